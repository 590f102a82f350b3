// From the options of `isle run` to a whole Spec: the defaults, and what follows from several
// options together. A function of the request and the caller; nothing is looked up here but a
// user's name and a shell, and those through the caller.
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/mount.h>

#include <algorithm>

#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

using Kind = TypeChoice::Kind;

constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

std::unexpected<Error> contradiction(const RunRequest& request, Origin from, std::string what,
                                     std::string hint = {}) {
  Error error{.what = std::move(what),
              .asked_by = from == 0 ? std::string{} : request.spec.origins[from],
              .hint = std::move(hint)};
  return std::unexpected(std::move(error));
}

bool is_new(const RunRequest& request, NamespaceType type) {
  const Kind kind = request.choice(type).kind;
  if (type == NamespaceType::time && kind == Kind::by_default) {
    return !request.spec.time_offsets.empty();
  }
  return kind == Kind::by_default || kind == Kind::fresh;
}

// ---- namespaces ---------------------------------------------------------------------------------

Status namespaces(RunRequest& request) {
  for (const NamespaceType type : NamespaceSet::all()) {
    const TypeChoice& choice = request.choice(type);
    if (choice.kind == Kind::joined) {
      request.spec.namespaces.push_back(
          {.type = type, .path = choice.path, .fd = choice.fd, .from = choice.from});
    } else if (is_new(request, type)) {
      request.spec.namespaces.push_back({.type = type, .from = choice.from});
    }
  }
  return {};
}

// Without a new user namespace the others need privilege in the caller's.
Status privilege_for(const RunRequest& request, const Caller& caller) {
  const TypeChoice& user = request.choice(NamespaceType::user);
  if (user.kind != Kind::shared || caller.has_capability(CAP_SYS_ADMIN)) return {};
  std::vector<std::string_view> types;
  types.reserve(request.spec.namespaces.size());
  for (const NamespaceWish& wish : request.spec.namespaces) types.push_back(to_string(wish.type));
  if (types.empty()) return {};
  return contradiction(
      request, user.from,
      fmt::format("an ordinary user makes or joins namespaces ({}) only from within a new user "
                  "namespace, and that is not to be new",
                  fmt::join(types, ", ")),
      "leave user out of --share, share everything with --share all, or be root");
}

// An option that sets something up in a namespace needs that namespace to be new: elsewhere it
// would change what others see.
Status needs_new(const RunRequest& request, NamespaceType type, Origin from,
                 std::string_view what) {
  if (is_new(request, type)) return {};
  return contradiction(
      request, from,
      fmt::format("{} needs a new {} namespace, but that is {} ({})", what, to_string(type),
                  request.choice(type).kind == Kind::joined ? "joined" : "shared",
                  request.spec.origins[request.choice(type).from]));
}

Status settings_of_new_namespaces(const RunRequest& request) {
  const Spec& spec = request.spec;
  if (spec.hostname) {
    Status status = needs_new(request, NamespaceType::uts, spec.hostname->from, "a host name");
    if (!status) return status;
  }
  if (spec.domainname) {
    Status status = needs_new(request, NamespaceType::uts, spec.domainname->from, "a domain name");
    if (!status) return status;
  }
  for (const TimeOffset& offset : spec.time_offsets) {
    Status status = needs_new(request, NamespaceType::time, offset.from, "an offset");
    if (!status) return status;
  }
  for (const KeepWish& keep : spec.keep) {
    if (Status status = needs_new(request, keep.type, keep.from, "keeping it"); !status) {
      return status;
    }
  }
  Origin map_from = spec.map_auto.from;
  if (spec.uid_mappings) map_from = spec.uid_mappings->from;
  if (spec.gid_mappings) map_from = spec.gid_mappings->from;
  if (map_from == 0) return {};
  return needs_new(request, NamespaceType::user, map_from, "an id map");
}

// ---- the root ---------------------------------------------------------------------------------------

FsOperation new_file_system(std::string path, const std::string& type, uint64_t attributes,
                            std::string_view mode) {
  FileSystem file_system{.type = type, .source = type, .attributes = {.set = attributes}};
  if (!mode.empty()) file_system.options.emplace_back("mode", mode);
  return {.destination = std::move(path), .what = std::move(file_system)};
}

FsOperation host_directory(const char* path, uint64_t attributes, Origin from, bool optional) {
  Bind bind{.source = path, .attributes = {.recursive_set = attributes}};
  return {.destination = path, .what = std::move(bind), .optional = optional, .from = from};
}

// What a sandbox has before the user's operations. A namespace that is shared shows in the file
// systems through which it is used.
std::vector<FsOperation> default_operations(const RunRequest& request) {
  const TypeChoice& pid = request.choice(NamespaceType::pid);
  const TypeChoice& ipc = request.choice(NamespaceType::ipc);
  const TypeChoice& network = request.choice(NamespaceType::network);
  std::vector<FsOperation> operations;
  const bool owns_joined = request.choice(NamespaceType::user).kind != Kind::by_default &&
                           request.choice(NamespaceType::user).kind != Kind::fresh;
  if (pid.kind == Kind::shared || (pid.kind == Kind::joined && !owns_joined)) {
    // Only whoever owns the pid namespace may mount a new proc of it.
    operations.push_back(host_directory("/proc", kQuiet | MOUNT_ATTR_NOEXEC, pid.from, false));
  } else {
    operations.push_back(new_file_system("/proc", "proc", kQuiet | MOUNT_ATTR_NOEXEC, {}));
  }
  operations.push_back({.destination = "/proc", .what = CoverProc{}});
  operations.push_back({.destination = "/dev", .what = Dev{}});
  if (ipc.kind == Kind::shared) {
    for (const char* path : {"/dev/shm", "/dev/mqueue"}) {
      operations.push_back(host_directory(path, kQuiet | MOUNT_ATTR_NOEXEC, ipc.from, true));
    }
  }
  operations.push_back(new_file_system("/tmp", "tmpfs", kQuiet, "1777"));
  operations.push_back(new_file_system("/run", "tmpfs", kQuiet, "755"));
  if (network.kind == Kind::shared && !request.root_path) {
    // Where /etc/resolv.conf leads on systemd, resolvconf and NetworkManager machines.
    for (const char* path : {"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"}) {
      operations.push_back(
          host_directory(path, kQuiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, network.from, true));
    }
  }
  return operations;
}

Root new_root(const RunRequest& request) {
  Root root{.path = request.root()};
  root.from = request.root_path ? request.root_path->from : Origin{0};
  root.attributes = MOUNT_ATTR_NODEV;
  // Where programs may gain privileges, set-user-id bits count.
  if (!request.keep_privileges.value) root.attributes |= MOUNT_ATTR_NOSUID;
  if (request.overlay) {
    root.overlay = Overlay{.from = request.overlay->from};
    if (!request.overlay->value.empty()) {
      root.overlay->upper = request.overlay->value + "/upper";
      root.overlay->work = request.overlay->value + "/work";
    }
    root.overlay->attributes.set = root.attributes;
    if (root.from == 0) root.from = request.overlay->from;
  } else if (!request.root_path) {
    root.attributes |= MOUNT_ATTR_RDONLY;
  }
  root.read_only = request.read_only;
  if (request.propagation) root.propagation = request.propagation->value;
  return root;
}

// The first option that needs a root to work on.
Origin root_option(const RunRequest& request) {
  if (request.root_path) return request.root_path->from;
  if (request.overlay) return request.overlay->from;
  if (!request.spec.mounts.empty()) return request.spec.mounts.front().from;
  return request.propagation ? request.propagation->from : Origin{0};
}

Status root_and_mounts(RunRequest& request) {
  Spec& spec = request.spec;
  const TypeChoice& mount = request.choice(NamespaceType::mount);
  if (!is_new(request, NamespaceType::mount)) {
    const Origin from = root_option(request);
    if (from == 0) return {};
    return contradiction(
        request, from,
        fmt::format("the file system cannot be changed in a mount namespace that is {} ({})",
                    mount.kind == Kind::joined ? "joined" : "shared", spec.origins[mount.from]));
  }
  if (!request.has_root()) {
    if (request.root_path || request.overlay || request.read_only) {
      const Origin from = request.root_path ? request.root_path->from
                                            : (request.overlay ? request.overlay->from : Origin{0});
      return contradiction(request, from,
                           "--no-root goes with neither --root, --overlay nor --read-only");
    }
    spec.mount_propagation =
        request.propagation ? request.propagation : Wish<Propagation>({Propagation::private_, 0});
    return {};
  }
  spec.root = new_root(request);
  std::vector<FsOperation> operations = default_operations(request);
  const size_t before = operations.size();
  std::ranges::move(spec.mounts, std::back_inserter(operations));
  spec.mounts = std::move(operations);
  for (size_t& index : request.idmapped_as_sandbox) index += before;
  return {};
}

// "." and "a/b" below `cwd`; nothing where only the file system knows what ".." means.
std::optional<std::string> absolute_path(std::string_view path, const std::string& cwd) {
  if (path.starts_with('/')) return std::string(path);
  std::string result = cwd == "/" ? "" : cwd;
  for (const std::string& part : split(path, '/')) {
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") result += "/" + part;
  }
  return result.empty() ? "/" : result;
}

// What was left open while the other options were not known.
Status complete_binds(RunRequest& request, const Caller& caller) {
  Spec& spec = request.spec;
  for (FsOperation& operation : spec.mounts) {
    const Bind* bind = std::get_if<Bind>(&operation.what);
    if (bind == nullptr || !operation.destination.empty()) continue;
    const auto path = absolute_path(bind->source, caller.cwd);
    if (!path) {
      return contradiction(request, operation.from,
                           fmt::format("bind {}: where to is not clear", quoted(bind->source)),
                           "add :DST");
    }
    operation.destination = *path;
  }
  for (const size_t index : request.idmapped_as_sandbox) {
    FsOperation& operation = spec.mounts[index];
    Bind* bind = std::get_if<Bind>(&operation.what);
    if (bind == nullptr || !bind->uid_mappings.empty()) continue;
    if (!spec.uid_mappings || !spec.gid_mappings) {
      return contradiction(
          request, operation.from,
          "idmap takes the maps of --map-uid and --map-gid, and they are not given",
          "give both, or write idmap=IN:OUT:COUNT");
    }
    bind->uid_mappings = spec.uid_mappings->value;
    bind->gid_mappings = spec.gid_mappings->value;
  }
  return {};
}

// ---- identity -----------------------------------------------------------------------------------

Status named_user(RunRequest& request, const Caller& caller) {
  if (!request.user_name) return {};
  const Origin from = request.user_name->from;
  auto entry = caller.find_user(request.root(), request.user_name->value);
  if (!entry) {
    entry.error().asked_by = request.spec.origins[from];
    return std::unexpected(std::move(entry.error()));
  }
  User& user = request.spec.process.user;
  if (!user.uid) user.uid = {entry->uid, from};
  if (!user.gid) user.gid = {entry->gid, from};
  // Groups that cannot be mapped are left out, as an ordinary user's own are.
  const bool can_have_groups =
      caller.has_capability(CAP_SETGID) || request.spec.gid_mappings || request.spec.map_auto.value;
  if (!user.additional_gids && can_have_groups && !entry->additional_gids.empty()) {
    user.additional_gids = {std::move(entry->additional_gids), from};
  }
  return {};
}

void privileges(RunRequest& request, const Caller& caller) {
  ProcessWish& process = request.spec.process;
  const bool keep = request.keep_privileges.value;
  process.no_new_privileges = {.value = !keep, .from = request.keep_privileges.from};
  if (keep && !request.capabilities_asked) return;
  // Who has none to begin with has none to lose, and with no_new_privileges gets none.
  const bool has_some = request.choice(NamespaceType::user).kind != Kind::shared ||
                        caller.has_capability(CAP_SETPCAP);
  if (!has_some && !request.capabilities_asked) return;
  uint64_t mask = keep ? all_capabilities() : 0;
  mask = (mask | request.capabilities_added) & ~request.capabilities_dropped;
  process.capabilities = {{.bounding = mask,
                           .effective = mask,
                           .permitted = mask,
                           .inheritable = mask,
                           .ambient = mask},
                          request.capabilities_from};
}

// ---- the process --------------------------------------------------------------------------------

std::string_view variable_name(std::string_view entry) { return entry.substr(0, entry.find('=')); }

void environment(RunRequest& request, const Caller& caller) {
  if (!request.environment_asked) return;
  std::vector<std::string> entries;
  if (!request.clear_environment) entries = caller.environment;
  for (const EnvironmentChange& change : request.environment) {
    const std::string_view name = variable_name(change.text);
    std::erase_if(entries, [&](const std::string& entry) { return variable_name(entry) == name; });
    if (change.kind == EnvironmentChange::Kind::set) entries.push_back(change.text);
    if (change.kind != EnvironmentChange::Kind::pass) continue;
    if (const auto value = caller.variable(name))
      entries.push_back(fmt::format("{}={}", name, *value));
  }
  request.spec.process.env = {std::move(entries), request.environment_from};
}

void terminal_for(RunRequest& request, const Caller& caller) {
  ProcessWish& process = request.spec.process;
  const bool interactive = caller.input_is_terminal && caller.output_is_terminal;
  const bool wanted = request.terminal == TerminalUse::always ||
                      (request.terminal == TerminalUse::when_interactive && interactive);
  process.terminal = {.value = wanted, .from = request.terminal_from};
  if (wanted && caller.window) process.console_size = {*caller.window, request.terminal_from};
  process.new_session = {.value = true, .from = 0};
  process.die_with_parent = {.value = true, .from = 0};
}

// The caller's shell is what the host's root has; another root has a /bin/sh, if any.
void command_line(RunRequest& request, const Caller& caller, std::span<char* const> command,
                  int command_index) {
  Asked<std::vector<std::string>>& args = request.spec.process.args;
  if (!command.empty()) {
    args.value.assign(command.begin(), command.end());
    args.from = request.spec.add_origin(fmt::format("argv[{}]", command_index));
    return;
  }
  std::string shell;
  if (!request.root_path) {
    if (const auto variable = caller.variable("SHELL")) {
      shell = *variable;
      if (!shell.empty()) args.from = request.spec.add_origin("the environment's SHELL");
    }
    if (shell.empty() && caller.find_shell != nullptr) {
      shell = caller.find_shell(caller.uid);
      if (!shell.empty()) args.from = request.spec.add_origin("the login shell in /etc/passwd");
    }
  }
  args.value = {shell.empty() ? "/bin/sh" : shell};
}

void cgroup(RunRequest& request, const Caller& caller) {
  Resources& resources = request.spec.resources;
  if (resources.memory_limit_bytes || resources.cpu_quota_us || resources.pids_limit) {
    resources.cgroup_name = fmt::format("isle-{}", caller.pid);
  }
}

}  // namespace

bool RunRequest::has_root() const { return !no_root && is_new(*this, NamespaceType::mount); }

Status complete(RunRequest& request, const Caller& caller, std::span<char* const> command,
                int command_index) {
  if (Status status = namespaces(request); !status) return status;
  if (Status status = privilege_for(request, caller); !status) return status;
  if (Status status = settings_of_new_namespaces(request); !status) return status;
  if (Status status = root_and_mounts(request); !status) return status;
  if (Status status = complete_binds(request, caller); !status) return status;
  if (Status status = named_user(request, caller); !status) return status;
  request.spec.loopback_up = {.value = is_new(request, NamespaceType::network), .from = 0};
  privileges(request, caller);
  environment(request, caller);
  terminal_for(request, caller);
  command_line(request, caller, command, command_index);
  cgroup(request, caller);
  return {};
}

}  // namespace isle::cli
