// Any bytes as a plan: they may be refused, but never read out of bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "isle/plan.h"
#include "plan/view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const isle::Plan plan(std::vector<std::byte>(bytes, bytes + size));
  const bool good = isle::verify(plan).has_value();
  if (good && plan.step_count() == 0) std::abort();
  // Many steps with long lists would only be slow.
  if (plan.step_count() > 400) return 0;
  (void)isle::to_text(plan);
  (void)isle::to_json(plan);
  const isle::plan::View view(plan);
  for (uint16_t i = 0; i < 4; ++i) (void)view.origin(i);
  return 0;
}
