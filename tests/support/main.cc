// main() of every test binary.
#include <gtest/gtest.h>

#include <cstdio>

#include "leak_check.h"
#include "paths.h"
#include "requirement.h"
#include "temp_dir.h"

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
  isle::test::install_listeners();
  const int status = RUN_ALL_TESTS();
  const std::string problem = isle::test::remove_tree(isle::test::process_scratch_dir());
  if (!problem.empty()) std::fprintf(stderr, "not removed: %s\n", problem.c_str());
  return status;
}
