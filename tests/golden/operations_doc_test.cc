// docs/plan-operations.md says what the table of operations says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "plan/ops.h"
#include "support/paths.h"

namespace isle::golden {
namespace {

using plan::Kind;

std::string_view word_for(Kind kind) {
  switch (kind) {
    case Kind::none:
    case Kind::scratch:  // the executor's own
      return "";
    case Kind::text:
      return "TEXT";
    case Kind::list:
      return "[TEXT, ...]";
    case Kind::blob:
      return "<BYTES>";
    case Kind::ids:
      return "[ID, ...]";
    case Kind::cpus:
      return "CPU,...";
    case Kind::in:
      return "%IN";
    case Kind::in_or_none:
      return "%IN or -";
    case Kind::below:
      return "below %IN";
    case Kind::out:
      return "-> %OUT";
    case Kind::attempt:
      return "ATTEMPT";
    case Kind::copies:
      return "COPIES";
    case Kind::number:
      return "NUMBER";
    case Kind::limit:
      return "LIMIT";
    case Kind::octal:
      return "MODE";
    case Kind::id:
      return "ID";
    case Kind::point:
      return "POINT";
    case Kind::signal:
      return "SIGNAL";
    case Kind::rlimit:
      return "RLIMIT";
    case Kind::prctl:
      return "PR_OPTION";
    case Kind::capabilities:
      return "CAPABILITIES";
    case Kind::propagation:
      return "PROPAGATION";
    case Kind::magic:
      return "FILE_SYSTEM";
    case Kind::clone_flags:
      return "CLONE_FLAGS";
    case Kind::open_flags:
      return "O_FLAGS";
    case Kind::resolve_flags:
      return "RESOLVE_FLAGS";
    case Kind::open_tree_flags:
      return "OPEN_TREE_FLAGS";
    case Kind::move_mount_flags:
      return "MOVE_MOUNT_FLAGS";
    case Kind::mount_attributes:
      return "MOUNT_ATTRIBUTES";
    case Kind::umount_flags:
      return "UMOUNT_FLAGS";
    case Kind::at_flags:
      return "AT_FLAGS";
    case Kind::close_range_flags:
      return "CLOSE_RANGE_FLAGS";
    case Kind::seccomp_flags:
      return "SECCOMP_FLAGS";
  }
  return "";
}

std::string table() {
  std::string text = "| operation | arguments | does |\n|---|---|---|\n";
  for (const plan::OpInfo& row : plan::all_ops()) {
    std::string arguments;
    for (const Kind kind : row.args)
      if (const std::string_view word = word_for(kind); !word.empty())
        arguments += fmt::format("{}`{}`", arguments.empty() ? "" : " ", word);
    text += fmt::format("| `{}` | {} | {} |\n", row.name, arguments,
                        row.what.empty() ? fmt::format("{}(2)", row.name) : row.what);
  }
  return text;
}

TEST(OperationsDoc, SaysWhatTheTableOfOperationsSays) {
  const std::string path = test::source_dir() + "/docs/plan-operations.md";
  std::ostringstream kept;
  kept << std::ifstream(path).rdbuf();
  const std::string words = kept.str().substr(0, kept.str().find("| operation |"));
  ASSERT_FALSE(words.empty());
  const char* update = std::getenv("ISLE_GOLDEN_UPDATE");
  if (update != nullptr && std::string_view(update) == "1")
    std::ofstream(path) << words << table();
  else
    EXPECT_EQ(kept.str(), words + table()) << "ISLE_GOLDEN_UPDATE=1 writes it anew";
}

}  // namespace
}  // namespace isle::golden
