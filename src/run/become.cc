// A plan without a clone, carried out by the very process that asks.
#include "exec/executor.h"
#include "isle/run.h"
#include "plan/view.h"
#include "run/arena.h"
#include "run/explain.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle {
namespace {

bool joins(const Plan& plan) {
  for (const plan::Step& step : plan::View(plan).steps())
    if (step.op == plan::Op::setns) return true;
  return false;
}

uint64_t current_mask() {
  uint64_t mask = 0;
  sys::rt_sigprocmask(sys::SigMask::setmask, nullptr, &mask);
  return mask;
}

}  // namespace

Error become(const Plan& plan, const LaunchOptions& options) {
  if (Status status = verify(plan); !status) return status.error();
  if (plan::View(plan).header()->clone_step != plan::kNoStep)
    return {.what = "become: this plan makes a process of its own; launch() carries it out"};
  const auto arena = Arena::make(plan, options, Arena::Sharing::threads);
  if (!arena) return arena.error();
  // Nobody in a namespace that others live in shall trace us or open what we hold.
  const int dumpable = sys::prctl(sys::Prctl::get_dumpable, 0, 0, 0, 0);
  if (joins(plan)) sys::prctl(sys::Prctl::set_dumpable, 0, 0, 0, 0);
  exec::Launch launch;
  launch.plan = arena->header();
  launch.mask = options.signal_mask.value_or(current_mask());
  exec::Outcome outcome;
  exec::run_plan(launch, &outcome);
  if (dumpable == 1) sys::prctl(sys::Prctl::set_dumpable, 1, 0, 0, 0);
  return explain(plan, StepFailure{.step = outcome.step,
                                   .error = outcome.error,
                                   .detail = outcome.detail,
                                   .log = std::string(outcome.log, outcome.log_size)});
}

}  // namespace isle
