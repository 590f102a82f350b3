#include "oci_cli/prepare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "isle/namespace.h"
#include "oci_cli/container.h"

namespace isle::oci_cli {
namespace {

Result<std::string> absolute(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr)
    return fail(errno, fmt::format("the bundle \"{}\"", path));
  return std::string(resolved);
}

}  // namespace

Result<Prepared> prepare(const Call& call, const std::string& bundle_option,
                         const std::string& id) {
  Prepared prepared;
  const auto bundle = absolute(bundle_option);
  if (!bundle) return std::unexpected(bundle.error());
  prepared.bundle = *bundle;
  auto config = oci::read_whole(*bundle + "/config.json");
  if (!config) return std::unexpected(config.error());
  prepared.config = std::move(*config);
  const std::string manager = call.line.get("cgroup-manager", "cgroupfs");
  if (manager != "cgroupfs" && manager != "systemd" && manager != "disabled")
    return fail(
        0, fmt::format("--cgroup-manager {}: expected cgroupfs, systemd or disabled", manager));
  auto container = oci::read_config(
      prepared.config, {.bundle = *bundle,
                        .id = id,
                        .use_cgroups = manager != "disabled",
                        .systemd_cgroup = manager == "systemd" || call.line.has("systemd-cgroup"),
                        .pivot = !call.line.has("no-pivot"),
                        .selinux = ::access("/sys/fs/selinux/enforce", F_OK) == 0,
                        .keyring = !call.line.has("no-new-keyring")});
  if (!container) return std::unexpected(container.error());
  prepared.container = std::move(*container);
  // One that nobody named is not to be had where nothing is delegated.
  if (prepared.container.cgroup_path == "/isle-oci-" + id && is_ordinary_user()) {
    prepared.container.cgroup_path.clear();
    prepared.container.spec.resources = {};
  }
  for (const std::string& warning : prepared.container.warnings) call.report.warn(warning);
  return prepared;
}

oci::State new_state(const Prepared& prepared, const std::string& id) {
  const oci::Container& container = prepared.container;
  oci::State state{.id = id,
                   .version = container.version,
                   .bundle = prepared.bundle,
                   .created = timestamp(),
                   .ready = false,
                   .terminal = container.terminal,
                   .hooks = !container.hooks.poststart.empty() || !container.hooks.poststop.empty(),
                   .annotations = container.annotations};
  if (container.spec.root) state.rootfs = container.spec.root->path;
  for (const NamespaceWish& wish : container.spec.namespaces)
    state.namespaces.emplace_back(to_string(wish.type));
  if (container.cgroup_path.empty()) return state;
  state.cgroup_path = container.cgroup_path;
  const CgroupFacts& facts = prepared.host.cgroup;
  // Where processes are counted comes first: a hierarchy that every process is in.
  if (!facts.v2_mount.empty()) state.cgroups.push_back(facts.v2_mount + container.cgroup_path);
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies)
    state.cgroups.push_back(hierarchy.mount + container.cgroup_path);
  return state;
}

Status need_id(const Call& call) {
  if (call.line.operands.size() == 1) return oci::check_id(call.id());
  return fail(0, fmt::format("{}: expected a container id, found {} words", call.line.verb,
                             call.line.operands.size()));
}

}  // namespace isle::oci_cli
