#include "run/explain.h"

#include "plan/view.h"
#include "run/failed_step.h"
#include "run/hints.h"
#include "run/phrases.h"

namespace isle {

Error explain(const Plan& plan, const StepFailure& failure) {
  const plan::View view(plan);
  if (view.header() == nullptr || failure.step < 0 ||
      static_cast<size_t>(failure.step) >= view.steps().size())
    return Error{.code = failure.error, .what = "carry the plan out", .step = failure.step};
  const FailedStep failed(plan, failure);
  std::string what = phrase(failed);
  if (failure.error == 0) what += ": the process was killed while it was being set up";
  return Error{.code = failure.error,
               .what = std::move(what),
               .asked_by = std::string(plan.step_origin(failed.index())),
               .hint = hints::find(failed),
               .step = failure.step};
}

}  // namespace isle
