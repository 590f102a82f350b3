// The option parser, on a table of its own.
#include "cli/options.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace isle::cli {
namespace {

struct Seen {
  std::vector<std::string> uses;
};

Status note(Seen& seen, const Argument& argument) {
  std::string use(argument.option);
  if (argument.has_value) use += "=" + std::string(argument.value);
  seen.uses.push_back(use + "@" + std::to_string(argument.index));
  return {};
}

Status refuse(Seen&, const Argument& argument) {
  return fail(0, std::string(argument.value) + " will not do");
}

constexpr auto kTable = std::to_array<Option>({
    {.name = "flag", .letter = 'f', .apply = by<&note>},
    {.name = "value", .letter = 'o', .takes = Takes::value, .metavar = "X", .apply = by<&note>},
    {.name = "maybe", .takes = Takes::optional_value, .metavar = "X", .apply = by<&note>},
    {.name = "hostname", .takes = Takes::value, .metavar = "NAME", .apply = by<&note>},
    {.name = "strict", .takes = Takes::value, .metavar = "X", .apply = by<&refuse>},
});

// The uses seen, then where the operands begin; or the message.
std::string parse(std::vector<std::string> words) {
  words.insert(words.begin(), {"isle", "test"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  Seen seen;
  const auto next = parse_options(kTable, argv, 2, &seen);
  if (!next) return next.error().message();
  std::string text;
  for (const std::string& use : seen.uses) text += use + " ";
  return text + "| " + std::to_string(*next);
}

TEST(CliOptions, Forms) {
  EXPECT_EQ(parse({}), "| 2");
  EXPECT_EQ(parse({"--flag", "--value", "1", "--value=2"}), "flag@2 value=1@3 value=2@5 | 6");
  EXPECT_EQ(parse({"-f", "-o", "1", "-o2", "-fo3"}),
            "flag@2 value=1@3 value=2@5 flag@6 value=3@6 | 7");
  EXPECT_EQ(parse({"--maybe", "--maybe=", "--maybe=x"}), "maybe@2 maybe=@3 maybe=x@4 | 5");
  EXPECT_EQ(parse({"--value", "--flag"}), "value=--flag@2 | 4");
  EXPECT_EQ(parse({"--value="}), "value=@2 | 3");
  EXPECT_EQ(parse({"--value=a=b"}), "value=a=b@2 | 3");
}

TEST(CliOptions, OperandsEndOptions) {
  EXPECT_EQ(parse({"true", "--flag"}), "| 2");
  EXPECT_EQ(parse({"-f", "true", "--flag"}), "flag@2 | 3");
  EXPECT_EQ(parse({"-f", "--", "--flag"}), "flag@2 | 4");
  EXPECT_EQ(parse({"-"}), "| 2");
  EXPECT_EQ(parse({""}), "| 2");
  EXPECT_EQ(parse({"--maybe", "x"}), "maybe@2 | 3");
}

TEST(CliOptions, Complaints) {
  EXPECT_EQ(parse({"--hostnam", "x"}),
            "unknown option \"--hostnam\"\n  asked by: argv[2]\n  hint: did you mean --hostname?");
  EXPECT_EQ(parse({"-f", "--zzz=1"}),
            "unknown option \"--zzz\"\n  asked by: argv[3]\n  hint: --help lists the options");
  EXPECT_EQ(parse({"-x"}),
            "unknown option \"-x\"\n  asked by: argv[2]\n  hint: --help lists the options");
  EXPECT_EQ(parse({"--value"}), "--value needs a value: X\n  asked by: argv[2] --value");
  EXPECT_EQ(parse({"--flag=1"}),
            "--flag takes no value, but got \"1\"\n  asked by: argv[2] --flag");
  EXPECT_EQ(parse({"--strict", "7"}), "--strict: 7 will not do\n  asked by: argv[2] --strict");
}

TEST(CliOptions, Nearest) {
  constexpr std::array<std::string_view, 4> names = {"bind", "ro-bind", "hostname", "umask"};
  EXPECT_EQ(nearest("bnid", names), "bind");
  EXPECT_EQ(nearest("robind", names), "ro-bind");
  EXPECT_EQ(nearest("host", names), "hostname");
  EXPECT_EQ(nearest("xyzzy", names), "");
  EXPECT_EQ(nearest("b", names), "");
}

}  // namespace
}  // namespace isle::cli
