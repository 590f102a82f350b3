#include "oci/config.h"

#include <fmt/format.h>

namespace isle::oci {
namespace {

std::string below_bundle(const std::string& path, const Circumstances& with) {
  return path.starts_with('/') ? path : with.bundle + "/" + path;
}

void read_root(const Node& config, const Circumstances& with, Spec& spec) {
  const auto root = config.require("root");
  if (!root) return;
  const auto path = root->require("path");
  if (!path) return;
  if (path->text().empty()) path->expected("a path");
  Root wish{.path = below_bundle(path->text(), with),
            .read_only = root->boolean_or("readonly", false),
            .pivot = with.pivot,
            .from = spec.add_origin(root->where())};
  const auto linux_node = config.get("linux");
  const auto propagation = linux_node ? linux_node->get("rootfsPropagation") : std::nullopt;
  if (propagation && propagation->filled()) {
    std::string_view word = propagation->json().is_string()
                                ? propagation->json().get_ref<const std::string&>()
                                : std::string_view{};
    if (word == "rprivate" || word == "private")
      wish.propagation = Propagation::private_;
    else if (word == "rslave" || word == "slave")
      wish.propagation = Propagation::slave;
    else if (word == "rshared" || word == "shared")
      wish.propagation = Propagation::shared;
    else if (word == "runbindable" || word == "unbindable")
      wish.propagation = Propagation::unbindable;
    else
      propagation->expected("\"shared\", \"slave\", \"private\" or \"unbindable\"");
  }
  spec.root = std::move(wish);
}

void check_propagation(const Node& config, const Spec& spec) {
  const auto linux_node = config.get("linux");
  const auto node = linux_node ? linux_node->get("rootfsPropagation") : std::nullopt;
  if (node && spec.root) warn_of_propagation(*node, spec.root->propagation, spec);
}

void check_version(const Node& config, Container& container) {
  const auto version = config.require("ociVersion");
  if (!version) return;
  container.version = version->text();
  if (!container.version.starts_with("1.") && !container.version.starts_with("0."))
    version->expected("a runtime-spec version 1.x");
}

void read_names(const Node& config, Spec& spec) {
  const auto name = [&](const char* key, Wish<std::string>& into) {
    const auto found = config.get(key);
    if (found && found->filled())
      into = {.value = found->text(), .from = spec.add_origin(found->where())};
  };
  name("hostname", spec.hostname);
  name("domainname", spec.domainname);
}

}  // namespace

void warn_of_propagation(const Node& asks, Propagation wish, const Spec& spec) {
  if ((wish == Propagation::shared || wish == Propagation::slave) &&
      !spec.creates(NamespaceType::mount))
    asks.warn("nothing propagates: the mount namespace is not the container's own");
}

std::unexpected<Error> complain(std::vector<Error> errors) {
  Error first = std::move(errors.front());
  first.asked_by.clear();  // its text begins with the place
  for (size_t i = 1; i < errors.size(); ++i)
    first.hint +=
        fmt::format("{}also {}", i == 1 && first.hint.empty() ? "" : "; ", errors[i].what);
  return std::unexpected(std::move(first));
}

Result<Container> read_config(std::string_view text, const Circumstances& with) {
  const Result<Json> json = parse_json(text, "config.json");
  if (!json) return std::unexpected(json.error());
  Complaints complaints{.document = "config.json"};
  const Node config(*json, "", complaints);
  if (!json->is_object()) config.expected("an object");
  Container container;
  check_version(config, container);
  for (const char* key : {"vm", "solaris", "windows", "zos", "freebsd"}) {
    const auto other = config.get(key);
    if (other && std::string_view(key) == "vm" && other->filled())
      other->refuse("isle-oci runs no virtual machines");
  }
  container.hooks = read_hooks(config, with.environment, &container.spec);
  read_root(config, with, container.spec);
  read_names(config, container.spec);
  if (const auto process = config.require("process")) {
    read_process_node(*process, container.spec);
    container.terminal = process->boolean_or("terminal", false);
  }
  if (with.keyring)
    container.spec.process.session_keyring = {.value = "_ses." + with.id,
                                              .from = container.spec.process.args.from};
  read_linux(config, container.spec);
  check_propagation(config, container.spec);
  if (const auto linux_node = config.get("linux")) {
    container.net_devices = read_net_devices(*linux_node, container.spec);
    container.rdt = read_rdt(*linux_node, with.id, container.spec);
  }
  container.seccomp = read_seccomp(config, container.spec);
  read_mounts(config, with, container.spec);
  read_resources(config, with, container);
  read_annotations(config, container);
  if (!complaints.errors.empty()) return complain(std::move(complaints.errors));
  container.warnings = std::move(complaints.warnings);
  return container;
}

Result<ExecProcess> read_process(std::string_view text) {
  const Result<Json> json = parse_json(text, "process.json");
  if (!json) return std::unexpected(json.error());
  Complaints complaints{.document = "process.json"};
  const Node process(*json, "", complaints);
  ExecProcess result;
  if (!json->is_object()) process.expected("an object");
  read_process_node(process, result.spec);
  read_exec_affinity(process, result.spec);
  result.terminal = process.boolean_or("terminal", false);
  if (!complaints.errors.empty()) return complain(std::move(complaints.errors));
  result.warnings = std::move(complaints.warnings);
  return result;
}

Result<std::optional<Filter>> read_for_exec(std::string_view text, Spec& spec) {
  const Result<Json> json = parse_json(text, "config.json");
  if (!json) return std::unexpected(json.error());
  Complaints complaints{.document = "config.json"};
  const Node config(*json, "", complaints);
  if (const auto linux_node = config.get("linux")) read_personality(*linux_node, spec);
  auto filter = read_seccomp(config, spec);
  if (!complaints.errors.empty()) return complain(std::move(complaints.errors));
  return filter;
}

}  // namespace isle::oci
