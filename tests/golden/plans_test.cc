// The plan of each command line on each made-up machine, held against tests/golden/plans: a change
// of any step, of its order or of who is said to have asked for it shows as a difference here.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/commands.h"
#include "cli/run_request.h"
#include "golden/cases.h"
#include "golden/hosts.h"
#include "isle/plan.h"
#include "support/paths.h"

namespace isle::golden {
namespace {

namespace fs = std::filesystem;

fs::path plans() { return fs::path(test::source_dir()) / "tests/golden/plans"; }

std::string file_name(const Case& test_case, const std::string& host) {
  return fmt::format("{}.{}.txt", test_case.name, host);
}

std::string command_line(const Case& test_case) {
  std::string text(test_case.command);
  for (const std::string& word : test_case.words)
    text += word.empty() || word.find(' ') != word.npos ? fmt::format(" '{}'", word) : " " + word;
  return text;
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

/// What differs, from the first line that does to the last, with - and + as diff(1) has them.
std::string difference(const std::string& golden, const std::string& now) {
  std::vector<std::string> a = lines(golden);
  std::vector<std::string> b = lines(now);
  size_t first = 0;
  while (first < a.size() && first < b.size() && a[first] == b[first]) ++first;
  while (a.size() > first && b.size() > first && a.back() == b.back()) {
    a.pop_back();
    b.pop_back();
  }
  std::string text = fmt::format("@@ line {} @@\n", first + 1);
  for (size_t i = first; i < a.size(); ++i) text += "-" + a[i] + "\n";
  for (size_t i = first; i < b.size(); ++i) text += "+" + b[i] + "\n";
  return text;
}

bool updating() {
  const char* wish = std::getenv("ISLE_GOLDEN_UPDATE");
  return wish != nullptr && std::string_view(wish) == "1";
}

/// The golden file's text: the command line, the machine, the plan or the refusal.
std::string plan_text(const Case& test_case, const MadeUpHost& on) {
  std::string text = fmt::format("# {}\n# {}\n", command_line(test_case), on.what);
  const auto spec = translate(test_case, on.host);
  if (!spec) return text + "isle: " + spec.error().message() + "\n";
  const auto plan = compile(*spec, on.host);
  if (!plan) return text + "isle: " + plan.error().message() + "\n";

  const Status verified = verify(*plan);
  EXPECT_TRUE(verified) << verified.error().message();
  const auto again = compile(*spec, on.host);
  EXPECT_TRUE(again && std::ranges::equal(plan->bytes(), again->bytes()))
      << "two compilations of one Spec give different bytes";
  return text + to_text(*plan);
}

class GoldenPlan : public testing::TestWithParam<Case> {};

TEST_P(GoldenPlan, IsAsKept) {
  const Case& test_case = GetParam();
  for (const std::string& host : host_names(test_case)) {
    SCOPED_TRACE(file_name(test_case, host));
    const std::string now = plan_text(test_case, host_named(host));
    const fs::path path = plans() / file_name(test_case, host);
    if (updating()) {
      std::ofstream(path) << now;
      continue;
    }
    const std::string golden = read(path);
    EXPECT_EQ(golden == now, true)
        << command_line(test_case) << " has another plan now:\n"
        << difference(golden, now)
        << "if that is as it should be: ISLE_GOLDEN_UPDATE=1 build/release/bin/isle_golden_tests, "
           "and look at the difference in git";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenPlan, testing::ValuesIn(cases().begin(), cases().end()),
                         [](const auto& of) { return std::string(of.param.name); });

TEST(GoldenPlans, AllFilesAreUsed) {
  std::set<std::string> used;
  for (const Case& test_case : cases())
    for (const std::string& host : host_names(test_case))
      EXPECT_TRUE(used.insert(file_name(test_case, host)).second)
          << file_name(test_case, host) << " is kept twice";
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(plans()))
    found.insert(entry.path().filename().string());
  EXPECT_EQ(found, used);
}

void expect_every_option(std::string_view command, std::span<const cli::Option> options) {
  std::set<std::string> seen;
  for (const Case& test_case : cases()) {
    if (test_case.command != command) continue;
    for (const std::string& word : test_case.words) {
      if (word.starts_with("--"))
        seen.insert(word.substr(2, word.find('=') - 2));
      else if (word.size() >= 2 && word[0] == '-')
        seen.insert(std::string(1, word[1]));
    }
  }
  for (const cli::Option& option : options) {
    if (option.name == "help") continue;  // it has no plan
    const bool has = seen.contains(std::string(option.name)) ||
                     (option.letter != 0 && seen.contains(std::string(1, option.letter)));
    EXPECT_TRUE(has) << "no golden plan with " << command << " --" << option.name;
  }
}

TEST(GoldenPlans, EveryOptionHasOne) {
  expect_every_option("isle run", cli::run_options());
  expect_every_option("isle unshare", cli::unshare_options());
}

TEST(GoldenPlans, EveryHostHasOne) {
  std::set<std::string> seen;
  for (const Case& test_case : cases())
    for (const std::string& host : host_names(test_case)) seen.insert(host);
  for (const MadeUpHost& host : hosts()) EXPECT_TRUE(seen.contains(host.name)) << host.name;
}

}  // namespace
}  // namespace isle::golden
