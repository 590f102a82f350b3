// Help and completions: nothing too wide, nothing without words.
#include "cli/describe.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace isle::cli {
namespace {

TEST(CliDescribe, HelpFitsATerminal) {
  for (const Command& command : commands()) {
    std::istringstream lines(help(command));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

TEST(CliDescribe, EveryOptionIsWellFormed) {
  for (const Command& command : commands()) {
    std::set<std::string_view> names;
    std::set<char> letters;
    std::set<std::string_view> groups;
    std::string_view group;
    for (const Option& option : command.options()) {
      EXPECT_TRUE(names.insert(option.name).second) << option.name;
      EXPECT_TRUE(option.letter == 0 || letters.insert(option.letter).second) << option.name;
      EXPECT_FALSE(option.help.empty()) << option.name;
      EXPECT_FALSE(option.help.ends_with('.') && !option.help.ends_with("...")) << option.name;
      EXPECT_TRUE(option.more.empty() || option.more.ends_with('.')) << option.name;
      EXPECT_EQ(option.takes == Takes::nothing, option.metavar.empty()) << option.name;
      EXPECT_NE(option.apply, nullptr) << option.name;
      if (option.group == group) continue;
      group = option.group;
      EXPECT_TRUE(groups.insert(group).second) << "rows of a group stand together: " << group;
    }
  }
}

TEST(CliDescribe, HelpNamesEveryOption) {
  for (const Command& command : commands()) {
    const std::string text = help(command);
    for (const Option& option : command.options()) {
      EXPECT_NE(text.find("--" + std::string(option.name)), std::string::npos) << option.name;
    }
  }
}

TEST(CliDescribe, NoShellIsGuessed) { EXPECT_EQ(completion("tcsh", commands()), ""); }

}  // namespace
}  // namespace isle::cli
