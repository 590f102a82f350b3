#include "oci_cli/prepare.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "isle/namespace.h"
#include "oci_cli/container.h"
#include "oci_cli/hooks.h"
#include "run/read_in_root.h"

namespace isle::oci_cli {
namespace {

/// As it was named: hooks may know a link by its own name.
Result<std::string> absolute(const std::string& path) {
  struct stat status{};
  char working[PATH_MAX];
  if (::stat(path.c_str(), &status) < 0 || ::getcwd(working, sizeof working) == nullptr)
    return fail(errno, fmt::format("the bundle \"{}\"", path));
  std::string whole = path.starts_with('/') ? path : std::string(working) + "/" + path;
  while (whole.ends_with("/.") || (whole.size() > 1 && whole.ends_with('/'))) whole.pop_back();
  return whole;
}

/// Without a mode of its own a tmpfs has that of the directory it covers.
void take_modes(Spec& spec) {
  for (FsOperation& operation : spec.mounts) {
    auto* fs = std::get_if<FileSystem>(&operation.what);
    if (fs == nullptr || fs->type != "tmpfs" || !spec.root ||
        std::ranges::any_of(fs->options, [](const auto& option) { return option.first == "mode"; }))
      continue;
    if (const auto mode = directory_mode_in_root(spec.root->path, operation.destination))
      fs->options.emplace_back("mode", fmt::format("{:o}", *mode));
  }
}

/// Processes are put into its groups as into cgroups of v1: by "tasks".
Status prepare_rdt(Prepared& prepared, const std::string& id) {
  if (!prepared.container.rdt) return {};
  Spec& spec = prepared.container.spec;
  const Origin from = prepared.container.rdt->from;
  const auto mount = resctrl_mount();
  auto groups = mount ? plan_rdt(*prepared.container.rdt, id, *mount)
                      : Result<RdtGroups>(std::unexpected(mount.error()));
  if (!groups) {
    Error error = std::move(groups.error());
    error.asked_by = spec.origins[from];
    return std::unexpected(std::move(error));
  }
  prepared.resctrl = *mount;
  prepared.rdt = std::move(*groups);
  for (const std::string& group : prepared.rdt.joined)
    spec.resources.join.push_back({.value = group, .from = from});
  return {};
}

}  // namespace

Result<Prepared> prepare(const Call& call, const std::string& bundle_option,
                         const std::string& id) {
  Prepared prepared;
  const auto bundle = absolute(bundle_option);
  if (!bundle) return std::unexpected(bundle.error());
  prepared.bundle = *bundle;
  const std::string file = call.line.get("config", "config.json");
  auto config = oci::read_whole(file.starts_with('/') ? file : *bundle + "/" + file);
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
                        .selinux = [] { return ::access("/sys/fs/selinux/enforce", F_OK) == 0; },
                        .keyring = !call.line.has("no-new-keyring"),
                        .environment = own_environment()});
  if (!container) return std::unexpected(container.error());
  prepared.container = std::move(*container);
  if (prepared.container.scope && is_ordinary_user() &&
      machine_cgroups().layout != CgroupLayout::v2) {
    // podman names none then; whoever does is told.
    if (!prepared.container.scope->slice.empty())
      return fail(
          EACCES, "make a cgroup by the user's systemd: this machine has cgroup v1",
          "v1 is delegated to nobody; systemd.unified_cgroup_hierarchy=1 for the kernel, or "
          "--cgroup-manager disabled");
    prepared.container.scope.reset();
    prepared.container.spec.resources = {};
  }
  if (prepared.container.scope) {
    auto unit = Unit::plan(prepared.container);
    if (!unit) return std::unexpected(unit.error());
    prepared.unit = std::move(*unit);
  }
  // One that nobody named is not to be had where nothing is delegated.
  if (prepared.container.cgroup_path == "/" + id && is_ordinary_user()) {
    prepared.container.cgroup_path.clear();
    prepared.container.spec.resources = {};
  }
  take_modes(prepared.container.spec);
  if (Status status = prepare_rdt(prepared, id); !status) return std::unexpected(status.error());
  for (const std::string& warning : prepared.container.warnings) call.report.warn(warning);
  return prepared;
}

void probe(Prepared& prepared) {
  prepared.host = probe_host(prepared.container.spec);
  for (const std::string& group : prepared.rdt.joined)
    prepared.host.files[group + "/tasks"] = {.kind = FileKind::file};
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
  state.own_pids = container.spec.creates(NamespaceType::pid);
  state.rdt = prepared.rdt.joined;
  state.rdt_made = prepared.rdt.made;
  state.keeps_keyring = !container.spec.process.session_keyring;
  if (container.cgroup_path.empty()) return state;
  state.cgroup_path = container.cgroup_path;
  if (prepared.unit) state.unit = prepared.unit->name();
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
