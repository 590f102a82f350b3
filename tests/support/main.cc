// main() of every test binary.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <string_view>

#include "leak_check.h"
#include "paths.h"
#include "requirement.h"
#include "temp_dir.h"

namespace {

// One line a requirement: its name, and "yes" or why not.
void print_requirements() {
  for (const std::string& name : isle::test::requirement_names()) {
    const std::string why = isle::test::missing(name);
    std::printf("%-16s %s\n", name.c_str(), why.empty() ? "yes" : ("no: " + why).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::string unknown = isle::test::unknown_must_run_names();
  if (!unknown.empty()) {
    std::fprintf(stderr,
                 "ISLE_TESTS_MUST_RUN: no requirement is called \"%s\"; "
                 "tests/support/requirement.h lists them\n",
                 unknown.c_str());
    return 2;
  }
  ::umask(022);  // other users read what tests make
  isle::test::install_listeners();
  const bool list_only = argc > 1 && std::string_view(argv[1]) == "--requirements";
  const int status = list_only ? (print_requirements(), 0) : RUN_ALL_TESTS();
  const std::string problem = isle::test::remove_tree(isle::test::process_scratch_dir());
  if (!problem.empty()) std::fprintf(stderr, "not removed: %s\n", problem.c_str());
  return status;
}
