// From a step that failed to the Error a person reads: the sentence, who asked, what to try.
//   failed_step  what can be asked of a step and of the plan around it
//   phrases      the sentence for each operation
//   hints_*      which check may know the reason, by operation and errno
//   checks_*     the looks at the machine themselves, shared with doctor
// Runs after the failure, in the caller, when the sandbox is gone: it may look, nothing more.
#pragma once

#include <cstdint>
#include <string>

#include "isle/error.h"
#include "isle/plan.h"

namespace isle {

/// What launch() knows of a failure.
struct StepFailure {
  int step = -1;
  int error = 0;         ///< errno; 0: the process that did the step was killed.
  uint32_t detail = 0;   ///< exec::Outcome::detail
  std::string log = {};  ///< The kernel's fscontext log, or what a mapping program said.
};

/// The Error for `failure`. A hint only where a check found the reason.
[[nodiscard]] Error explain(const Plan& plan, const StepFailure& failure);

}  // namespace isle
