// Any bytes as config.json, on one of the made-up machines: what is read has to compile or to be
// refused with a reason, and what compiles has to verify. Nothing is executed. The first byte
// chooses the machine.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "golden/hosts.h"
#include "isle/plan.h"
#include "oci/config.h"

namespace {

void need(bool good, const char* what, const isle::Error& error) {
  if (good) return;
  std::fprintf(stderr, "%s: %s\n", what, error.message().c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto& hosts = isle::golden::hosts();
  const isle::Host& host = hosts[data[0] % hosts.size()].host;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  (void)isle::oci::read_process(text);
  (void)isle::oci::read_hooks(text, {});
  auto container = isle::oci::read_config(text, {.bundle = "/bundle", .id = "fuzz"});
  if (!container) {
    need(!container.error().what.empty(), "refused without a word", container.error());
    return 0;
  }
  isle::Spec& spec = container->spec;
  spec.create_hooks = container->hooks.create_container;
  spec.start_hooks = container->hooks.start_container;
  spec.calls_back.value = !container->hooks.create_runtime.empty();
  const auto plan = isle::compile(spec, host);
  if (!plan) {
    need(!plan.error().what.empty(), "refused without a word", plan.error());
    return 0;
  }
  if (const auto status = isle::verify(*plan); !status) need(false, "verify", status.error());
  const auto again = isle::compile(spec, host);
  if (!again || !std::ranges::equal(plan->bytes(), again->bytes())) std::abort();
  return 0;
}
