// Every step of every plan made to fail in turn: the message names the step, who asked for it and
// the errno, and nothing is left. An undo step has no failure of its own to report: it is done
// whatever becomes of the others, so it is left out here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "cases.h"
#include "plan/view.h"

namespace isle::test {
namespace {

class FailStep : public testing::TestWithParam<FaultCase> {};

// No step reports these by itself, and none passes over them.
constexpr int kMadeUp = ENOTBLK;
constexpr const char* kMadeUpName = "ENOTBLK";

// The text arguments of a step, as they stand in its text between quotes; without ".".
std::vector<std::string> quoted_words(const std::string& step_text) {
  std::vector<std::string> words;
  for (size_t at = 0; (at = step_text.find('"', at)) != step_text.npos;) {
    const size_t end = step_text.find('"', at + 1);
    if (end == step_text.npos) break;
    if (end > at + 2) words.push_back(step_text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return words;
}

// An undo step reports to nobody, and some steps may fail for whatever reason.
bool can_fail(const Plan& plan, size_t step) {
  const plan::Step& asked = plan::View(plan).steps()[step];
  return asked.actor != plan::Actor::undo && asked.pass_over != plan::kAnyError;
}

void expect_failure(const Plan& plan, size_t step, Carrier carrier) {
  SCOPED_TRACE(to_string(carrier) + " step " + std::to_string(step) + " " +
               std::string(plan.step_actor(step)) + " " + plan.step_text(step).substr(0, 200));
  const Result<Process> process = launch(
      plan, {.carrier = carrier, .fault = Fault{.step = static_cast<int>(step), .error = kMadeUp}});
  // What is below us now was left by this very launch.
  EXPECT_EQ(descendants(), std::vector<pid_t>{});
  EXPECT_EQ(traces_of(plan), std::vector<std::string>{});
  ASSERT_FALSE(process) << "it was launched";
  const Error& error = process.error();
  EXPECT_EQ(error.step, static_cast<int>(step)) << error.message();
  EXPECT_EQ(error.code, kMadeUp) << error.message();
  EXPECT_EQ(error.asked_by, plan.step_origin(step)) << error.message();
  EXPECT_NE(error.message().find(kMadeUpName), std::string::npos) << error.message();
  // Two sentences say what is done in words of their own, not by the path it is done through.
  if (plan.step_op(step) == "open_console" || error.what.find("setgroups") != std::string::npos)
    return;
  const std::vector<std::string> words = quoted_words(plan.step_text(step));
  EXPECT_TRUE(words.empty() || std::ranges::any_of(words,
                                                   [&](const std::string& word) {
                                                     return error.what.find(word) !=
                                                            std::string::npos;
                                                   }))
      << error.message();
}

TEST_P(FailStep, IsToldAndNothingIsLeft) {
  const FaultCase& fault_case = GetParam();
  for (const std::string& need : fault_case.needs) ISLE_REQUIRE(need);
  in_case(fault_case, [](const Plan& plan) {
    const std::vector<bool> done = steps_done(plan);
    for (const Carrier carrier : carriers_for(plan))
      for (size_t step = 0; step < plan.step_count(); ++step)
        if (done[step] && can_fail(plan, step)) expect_failure(plan, step, carrier);
  });
}

// The errno a step passes over is no failure: the launch goes on as if the step were done, or as
// if it and those it skips were not there.
TEST_P(FailStep, ErrnoToPassOverIsNoFailure) {
  const FaultCase& fault_case = GetParam();
  for (const std::string& need : fault_case.needs) ISLE_REQUIRE(need);
  in_case(fault_case, [](const Plan& plan) {
    const plan::View view(plan);
    for (size_t step = 0; step < plan.step_count(); ++step) {
      const plan::Step& passed = view.steps()[step];
      if (passed.pass_over == 0 || passed.actor == plan::Actor::undo) continue;
      // EEXIST here would be a lie: what is there already need not be made. So would be ENOTDIR of a directory.
      if (passed.op == plan::Op::symlink_in || passed.op == plan::Op::mkdir ||
          passed.op == plan::Op::expect_directory)
        continue;
      const int passed_over = passed.pass_over == plan::kAnyError ? kMadeUp : passed.pass_over;
      SCOPED_TRACE(plan.step_text(step));
      Result<Process> process =
          launch(plan, {.fault = Fault{.step = static_cast<int>(step), .error = passed_over}});
      ASSERT_TRUE(process) << process.error().message();
      EXPECT_TRUE(process->signal(SIGKILL));
      const Result<ExitStatus> status = process->wait();
      ASSERT_TRUE(status) << status.error().message();
      EXPECT_EQ(status->signal, SIGKILL);
      clear_traces(plan);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Faults, FailStep, testing::ValuesIn(fault_cases()),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace isle::test
