// What ISLE_REQUIRE decides, and that a test binary's exit status says so. The *Subject tests are
// run by the others, in a process of their own; alone they do nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "support/support.h"

namespace isle::test {
namespace {

constexpr const char* kNever = "program:isle-test-no-such-program";

bool is_subject() { return std::getenv("ISLE_TEST_SUBJECT") != nullptr; }

// This binary again, with `filter`.
CommandResult run_subject(const std::string& filter,
                          std::vector<std::pair<std::string, std::string>> environment = {}) {
  environment.emplace_back("ISLE_TEST_SUBJECT", "1");
  environment.emplace_back("ISLE_TEST_TIME_SCALE", "0.01");  // the wait before a leak is called one
  return run_command(
      {std::filesystem::read_symlink("/proc/self/exe"), "--gtest_filter=" + filter},
      {.set_env = environment,
       .unset_env = {"GTEST_OUTPUT", "GTEST_BRIEF", "GTEST_COLOR", "ISLE_TESTS_MUST_RUN",
                     "ISLE_TESTS_SKIP_REPORT", "ISLE_LEAK_CHECK"}});
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(RequirementSubject, NeedsWhatNobodyHas) {
  if (is_subject()) ISLE_REQUIRE(kNever);
}

TEST(RequirementSubject, LeaksADescriptor) {
  if (is_subject()) {
    ASSERT_GE(dup(0), 0);
  }
}

TEST(RequirementSubject, IsClean) {}

TEST(Requirement, Verdicts) {
  EXPECT_EQ(judge({}, "all").kind, Verdict::Kind::kRun);
  EXPECT_EQ(judge({"program:sh"}, "all").kind, Verdict::Kind::kRun);
  EXPECT_EQ(judge({kNever}, "").kind, Verdict::Kind::kSkip);
  EXPECT_EQ(judge({kNever}, "root,userns").kind, Verdict::Kind::kSkip);
  EXPECT_EQ(judge({kNever}, std::string("root,") + kNever).kind, Verdict::Kind::kFail);
  EXPECT_EQ(judge({"program:sh", kNever}, "all").kind, Verdict::Kind::kFail);
  EXPECT_EQ(judge({kNever}, "").reason,
            std::string("needs ") + kNever + ": no isle-test-no-such-program on PATH");
}

TEST(Requirement, UnknownNameFails) {
  const Verdict verdict = judge({"rooot"}, "");
  EXPECT_EQ(verdict.kind, Verdict::Kind::kFail);
  EXPECT_TRUE(contains(verdict.reason, "rooot")) << verdict.reason;
}

TEST(Requirement, KernelVersion) {
  EXPECT_EQ(missing("kernel:5.14"), "");
  EXPECT_TRUE(contains(missing("kernel:99.0"), "this kernel is "));
}

TEST(Requirement, SkipIsCountedByReason) {
  const auto result = run_subject("RequirementSubject.NeedsWhatNobodyHas");
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_TRUE(
      contains(result.out, "[ SKIPPED  ] 1, by reason:\n[ SKIPPED  ]      1  needs program:"))
      << result;
}

TEST(Requirement, MustRunTurnsASkipIntoAFailure) {
  const auto result =
      run_subject("RequirementSubject.NeedsWhatNobodyHas", {{"ISLE_TESTS_MUST_RUN", kNever}});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_TRUE(contains(result.out, "ISLE_TESTS_MUST_RUN lists it")) << result;
}

TEST(Requirement, MustRunOfAnUnknownNameIsRefused) {
  const auto result =
      run_subject("RequirementSubject.IsClean", {{"ISLE_TESTS_MUST_RUN", "root,uzerns"}});
  EXPECT_EQ(result.exit_code, 2) << result;
  EXPECT_TRUE(contains(result.err, "uzerns")) << result;
}

TEST(Requirement, SkipReport) {
  const TempDir dir;
  const auto result =
      run_subject("RequirementSubject.*",
                  {{"ISLE_TESTS_SKIP_REPORT", dir / "skips"}, {"ISLE_LEAK_CHECK", "off"}});
  EXPECT_TRUE(result.ok()) << result;
  const std::string report = read_file(dir / "skips");
  EXPECT_TRUE(contains(report, "\tRequirementSubject.NeedsWhatNobodyHas\tneeds program:"))
      << report;
}

TEST(Requirement, ALeakFailsItsTestOnly) {
  const auto result = run_subject("RequirementSubject.LeaksADescriptor:RequirementSubject.IsClean");
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_TRUE(
      contains(result.out, "RequirementSubject.LeaksADescriptor left behind:\n  + descriptor: "))
      << result;
  EXPECT_TRUE(contains(result.out, "[       OK ] RequirementSubject.IsClean")) << result;
  EXPECT_TRUE(run_subject("RequirementSubject.IsClean").ok());
}

TEST(Requirement, ALeakFailsItsSuite) {
  const auto result =
      run_subject("RequirementSubject.LeaksADescriptor", {{"ISLE_LEAK_CHECK", "suite"}});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_TRUE(contains(result.out, "suite RequirementSubject left behind:\n  + descriptor: "))
      << result;
}

}  // namespace
}  // namespace isle::test
