// "annotations": kept for `state`, and those that ask for something, as crun has them. What concerns
// one part of the document is read there: seccomp.cc, mounts.cc, scope.cc; hooks' outputs by who runs
// hooks.
#include <fmt/format.h>

#include "oci/config.h"

namespace isle::oci {

std::optional<Node> annotation(const Node& config, std::string_view key) {
  const auto all = config.get("annotations");
  return all ? all->get(key) : std::nullopt;
}

void read_annotations(const Node& config, Container& container) {
  const auto all = config.get("annotations");
  if (!all) return;
  for (const auto& [key, value] : all->members()) container.annotations[key] = value.text();
  obey_annotations(container.annotations, container.spec.process);
  if (const auto handler = annotation(config, "run.oci.handler"))
    handler->refuse(
        fmt::format("isle-oci has no handler \"{}\": it runs programs", handler->text()),
        "a runtime with krun or wasm built in");
  if (const auto delegated = annotation(config, "run.oci.delegate-cgroup"))
    delegated->warn("isle-oci makes no cgroup below the container's own");
}

void obey_annotations(const Json& annotations, ProcessWish& process) {
  if (annotations.value("run.oci.keep_original_groups", "0") == "0") return;
  process.user.additional_gids.reset();
  process.user.keep_groups = true;
}

}  // namespace isle::oci
