// "hooks": six lists of programs.
#include "oci/config.h"

namespace isle::oci {
namespace {

std::vector<Hook> read_list(const Node& hooks, const char* key,
                            std::span<const std::string> environment, Spec* spec) {
  std::vector<Hook> list;
  for (const Node& node : hooks.elements(key)) {
    const auto path = node.require("path");
    if (!path) continue;
    Hook hook{.path = path->text()};
    if (!hook.path.starts_with('/')) path->expected("an absolute path");
    if (const auto args = node.get("args")) hook.args = args->texts();
    if (const auto env = node.get("env")) {
      for (const Node& entry : env->elements()) {
        hook.env.push_back(entry.text());
        if (hook.env.back().find('=') == std::string::npos) entry.expected("\"NAME=value\"");
      }
    } else {
      hook.env.assign(environment.begin(), environment.end());
    }
    constexpr int64_t kMostSeconds = std::numeric_limits<int32_t>::max();
    if (const auto timeout = node.get("timeout"))
      hook.timeout_s = static_cast<uint32_t>(timeout->integer(1, kMostSeconds));
    if (spec != nullptr) hook.from = spec->add_origin(node.where());
    list.push_back(std::move(hook));
  }
  return list;
}

}  // namespace

Hooks read_hooks(const Node& config, std::span<const std::string> environment, Spec* spec) {
  const auto node = config.get("hooks");
  if (!node || !node->filled()) return {};
  if (!node->json().is_object()) node->expected("an object");
  return {.prestart = read_list(*node, "prestart", environment, spec),
          .create_runtime = read_list(*node, "createRuntime", environment, spec),
          .create_container = read_list(*node, "createContainer", environment, spec),
          // The container's own program: nothing of the host's is for it.
          .start_container = read_list(*node, "startContainer", {}, spec),
          .poststart = read_list(*node, "poststart", environment, spec),
          .poststop = read_list(*node, "poststop", environment, spec)};
}

Result<Hooks> read_hooks(std::string_view config, std::span<const std::string> environment) {
  const Result<Json> json = parse_json(config, "config.json");
  if (!json) return std::unexpected(json.error());
  Complaints complaints{.document = "config.json"};
  Hooks hooks = read_hooks(Node(*json, "", complaints), environment, nullptr);
  if (!complaints.errors.empty()) return std::unexpected(complaints.errors.front());
  return hooks;
}

}  // namespace isle::oci
