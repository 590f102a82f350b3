#include "cli/enter_spec.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cli/values.h"
#include "isle/in.h"
#include "isle/mount.h"
#include "isle/user_namespace.h"
#include "linux_utils/target.h"
#include "run/checks.h"

namespace isle::cli {
namespace {

using linux_utils::Target;

std::unexpected<Error> asked_by(const EnterRequest& request, Origin from, Error error) {
  if (error.asked_by.empty()) error.asked_by = request.spec.origins[from];
  return std::unexpected(std::move(error));
}

bool joins(const EnterRequest& request, NamespaceType type) {
  return request.spec.find(type) != nullptr;
}

Status hold(EnterRequest& request, const std::string& path, Origin from, Wish<int>& wish) {
  Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return asked_by(request, from, {.code = errno, .what = fmt::format("open {}", path)});
  request.held.push_back(std::move(fd));
  wish = {{request.held.back().get(), from}};
  return {};
}

// Without privilege of its own, a caller enters a namespace by the user namespace that owns it.
Status add_owner(EnterRequest& request, const Caller& caller, const Namespace& entered,
                 Origin from) {
  if (joins(request, NamespaceType::user) || caller.has_capability(CAP_SYS_ADMIN)) return {};
  auto owner = entered.owner();
  if (!owner) return asked_by(request, from, std::move(owner.error()));
  const auto own = Namespace::of_self(NamespaceType::user);
  if (own && *own == *owner) return {};
  request.held.push_back(std::move(*owner).release());
  request.spec.namespaces.push_back(
      {.type = NamespaceType::user, .fd = request.held.back().get(), .from = from});
  return {};
}

Status enter_one(EnterRequest& request, const Caller& caller, EnterTarget& target) {
  if (!target.path.empty()) {
    auto found = Namespace::of_path(target.path, target.type);
    if (!found) return asked_by(request, request.target_from, std::move(found.error()));
    target.fd = std::move(*found).release();
  }
  auto entered = Namespace::from_fd(Fd(::fcntl(target.fd.get(), F_DUPFD_CLOEXEC, 3)));
  if (!entered) return asked_by(request, request.target_from, std::move(entered.error()));
  request.spec.namespaces.push_back(
      {.type = entered->type(), .fd = target.fd.get(), .from = request.target_from});
  request.held.push_back(std::move(target.fd));
  return add_owner(request, caller, *entered, request.target_from);
}

// By the process's pidfd, so that the kernel enters all at once or none: its checks are then made
// with the caller's privileges, whichever user namespace owns what.
Status enter_process(EnterRequest& request, const Caller& caller, EnterTarget& target) {
  if (!target.pidfd) {
    target.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, target.pid, 0)));
    if (!target.pidfd)
      return asked_by(request, request.target_from,
                      {.code = errno, .what = fmt::format("open pid {}", target.pid)});
  }
  const Origin from = request.types_from != 0 ? request.types_from : request.target_from;
  const NamespaceSet types = request.types.empty() ? NamespaceSet::all() : request.types;
  std::optional<Namespace> first;
  for (const NamespaceType type : types) {
    auto theirs = Namespace::of_process(target.pid, type);
    if (!theirs && theirs.error().code != EACCES && theirs.error().code != EPERM) {
      if (theirs.error().code == ENOENT && ::access("/proc/self/ns/user", F_OK) == 0 &&
          !request.types.contains(type))
        continue;  // a kernel without this type
      return asked_by(request, from, std::move(theirs.error()));
    }
    const auto own = Namespace::of_self(type);
    if (theirs && own && *theirs == *own) continue;
    request.spec.namespaces.push_back({.type = type, .fd = target.pidfd.get(), .from = from});
    if (type == NamespaceType::user) request.enters_target_user = true;
    if (theirs && !first) first = std::move(*theirs);
  }
  request.held.push_back(std::move(target.pidfd));
  return first ? add_owner(request, caller, *first, from) : Status{};
}

/// The target's mounts, from `directory` of its root down, as a tree that nobody has attached. Made by
/// somebody who is in its mount namespace: the kernel copies no mount of another one.
Result<Fd> tree_of(const EnterTarget& target, const Caller& caller, std::string_view directory) {
  const std::string path = fmt::format("/proc/{}/root{}", target.pid, directory);
  const Fd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail(errno, fmt::format("open {}", path));
  auto mounts = Namespace::of_process(target.pid, NamespaceType::mount);
  if (!mounts) return std::unexpected(std::move(mounts.error()));
  std::vector<Namespace> there;
  if (!caller.has_capability(CAP_SYS_ADMIN)) {
    auto owner = mounts->owner();
    if (!owner) return std::unexpected(std::move(owner.error()));
    there.push_back(std::move(*owner));
  }
  there.push_back(std::move(*mounts));
  return in(there, [&]() -> Result<Fd> {
    auto cloned = MountTree::clone(root.borrow());
    if (!cloned) return std::unexpected(std::move(cloned.error()));
    return std::move(*cloned).release();
  });
}

/// The host's tree as the target's other namespaces see it: a mount namespace that neither has.
Status tools(EnterRequest& request, const Caller& caller, const EnterTarget& target,
             const Asked<std::string>& wish) {
  Spec& spec = request.spec;
  const Origin from = wish.from;
  if (request.root)
    return asked_by(request, request.root->from, {.what = "--tools has a root of its own"});
  if (::access(wish.value.c_str(), F_OK) != 0)
    return asked_by(request, from,
                    {.code = errno,
                     .what = fmt::format("show the target's root on \"{}\"", wish.value),
                     .hint = "name a directory that exists; nothing is changed in it"});
  const auto bound = [&](std::string_view directory) -> Result<Bind> {
    auto tree = tree_of(target, caller, directory);
    if (!tree) return asked_by(request, from, std::move(tree.error()));
    request.held.push_back(std::move(*tree));
    return Bind{.source_fd = request.held.back().get(),
                .detached = true,
                .propagation = Propagation::private_,
                .propagation_recursive = true};
  };
  const auto tree = bound("");
  if (!tree) return std::unexpected(tree.error());
  std::erase_if(spec.namespaces,
                [](const NamespaceWish& other) { return other.type == NamespaceType::mount; });
  spec.namespaces.push_back({.type = NamespaceType::mount, .from = from});

  const auto add = [&](std::string_view destination, auto what) {
    spec.mounts.push_back(
        {.destination = std::string(destination), .what = std::move(what), .from = from});
  };
  add("/", Remount{.attributes = {.recursive_set = MOUNT_ATTR_RDONLY}});
  add("/tmp", FileSystem{.type = "tmpfs",
                         .source = "tmpfs",
                         .options = {{"mode", "1777"}},
                         .attributes = {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV}});
  if (joins(request, NamespaceType::pid) && !caller.has_capability(CAP_SYS_ADMIN)) {
    // Its pid namespace may be that of a user namespace around the target's, who may mount no proc.
    const auto proc = bound("/proc");
    if (!proc) return std::unexpected(proc.error());
    add("/proc", *proc);
  } else if (joins(request, NamespaceType::pid)) {
    add("/proc", FileSystem{.type = "proc",
                            .source = "proc",
                            .attributes = {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                                  MOUNT_ATTR_NOEXEC}});
  }
  add(wish.value, *tree);
  if (!request.cwd && !spec.process.cwd) spec.process.cwd = {{wish.value, from}};
  return {};
}

Status directories(EnterRequest& request, const Caller& caller, const EnterTarget& target) {
  if (request.tools) {
    if (Status status = tools(request, caller, target, *request.tools); !status) return status;
  }
  Spec& spec = request.spec;
  const std::string proc = fmt::format("/proc/{}/", target.pid);
  const bool can_chroot =
      caller.has_capability(CAP_SYS_CHROOT) || joins(request, NamespaceType::user);
  if (request.root) {
    if (Status status = hold(request, proc + "root", request.root->from, spec.root_fd); !status)
      return status;
  } else if (joins(request, NamespaceType::mount) && can_chroot && !request.tools) {
    (void)hold(request, proc + "root", request.target_from, spec.root_fd);
  }
  if (request.cwd) return hold(request, proc + "cwd", request.cwd->from, spec.cwd_fd);
  return {};
}

// ---- identity -----------------------------------------------------------------------------------

std::string text_of(pid_t pid, std::string_view file) {
  const Fd fd(::open(fmt::format("/proc/{}/{}", pid, file).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  while (fd) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

// The effective id in /proc/PID/status, the second of four, as this process counts.
uint32_t id_of(pid_t pid, std::string_view field) {
  const std::string status = text_of(pid, "status");
  const size_t at = status.find(fmt::format("\n{}:\t", field));
  if (at == std::string::npos) return 0;
  const std::vector<std::string> ids =
      split(status.substr(at + 1, status.find('\n', at + 1) - at - 1), '\t');
  return ids.size() > 2 ? whole_number<uint32_t>(ids[2]).value_or(0) : 0;
}

void identity(EnterRequest& request, const Caller& caller, const EnterTarget& target) {
  User& user = request.spec.process.user;
  user.as_is = true;
  const bool enters_user = joins(request, NamespaceType::user);
  if (enters_user && !request.enters_target_user) return;  // one around it: nobody knows its ids
  const IdMaps none{.uids = {}, .gids = {}, .setgroups = false};
  const IdMaps maps = enters_user ? id_maps(target.pid).value_or(none) : none;
  if (target.pid != 0 && !request.keep_ids && (enters_user || request.follow)) {
    for (const bool group : {false, true}) {
      const IdMap& map = group ? maps.gids : maps.uids;
      const uint32_t theirs = id_of(target.pid, group ? "Gid" : "Uid");
      std::optional<uint32_t> id = enters_user ? to_container(map, theirs) : theirs;
      if (!request.follow && to_host(map, 0)) id = 0;
      Wish<uint32_t>& wish = group ? user.gid : user.uid;
      if (id && !wish) wish = {{*id, request.user_from}};
    }
  }
  const bool may_drop = caller.has_capability(CAP_SETGID) || (enters_user && maps.setgroups);
  if (user.gid && may_drop) user.additional_gids = {{{}, user.gid->from}};
}

// ---- the rest of the target -----------------------------------------------------------------------

void label(EnterRequest& request, Origin from, const EnterTarget& target) {
  std::string text = text_of(target.pid, "attr/current");
  while (text.ends_with('\n') || text.ends_with('\0')) text.pop_back();
  ProcessWish& process = request.spec.process;
  if (::access("/sys/fs/selinux/enforce", F_OK) == 0) {
    process.selinux_label = {{std::move(text), from}};
    return;
  }
  if (text.empty() || text.starts_with("unconfined")) return;
  text.resize(std::min(text.size(), text.find(" (")));
  process.apparmor_profile = {{std::move(text), from}};
}

Status rest_of_target(EnterRequest& request, const EnterTarget& target) {
  Target process;
  process.pid = target.pid;
  if (request.env) {
    auto environment = process.environment();
    if (!environment) return asked_by(request, request.env->from, std::move(environment.error()));
    request.spec.process.env = {{std::move(*environment), request.env->from}};
  }
  if (request.cgroup) {
    auto cgroups = process.cgroups();
    if (!cgroups) return asked_by(request, request.cgroup->from, std::move(cgroups.error()));
    for (std::string& directory : *cgroups)
      request.spec.resources.join.push_back({std::move(directory), request.cgroup->from});
  }
  if (request.label) label(request, request.label->from, target);
  return {};
}

// A shell that is there: the caller's own is of the host.
void command_line(EnterRequest& request, const Caller& caller, std::span<char* const> command,
                  int command_index) {
  Asked<std::vector<std::string>>& args = request.spec.process.args;
  if (!command.empty()) {
    args.value.assign(command.begin(), command.end());
    args.from = request.spec.add_origin(fmt::format("argv[{}]", command_index));
    return;
  }
  args.value = {"/bin/sh"};
  if (joins(request, NamespaceType::mount) && !request.tools) return;
  if (const auto shell = caller.variable("SHELL"); shell && !shell->empty()) {
    args.value = {std::string(*shell)};
    args.from = request.spec.add_origin("the environment's SHELL");
  }
}

Status complete_for(EnterRequest& request, const Caller& caller, EnterTarget& target) {
  if (target.pid == 0) {
    for (const auto* wish :
         {&request.root, &request.cwd, &request.env, &request.cgroup, &request.label}) {
      if (*wish)
        return asked_by(request, (*wish)->from,
                        {.what = "a namespace has none of that: name a process"});
    }
    if (request.tools)
      return asked_by(request, request.tools->from, {.what = "--tools is for a process"});
    return enter_one(request, caller, target);
  }
  if (Status status = enter_process(request, caller, target); !status) return status;
  if (Status status = directories(request, caller, target); !status) return status;
  return rest_of_target(request, target);
}

}  // namespace

Status complete_enter(EnterRequest& request, const Caller& caller, std::span<char* const> command,
                      int command_index) {
  auto target =
      find_target(request.target,
                  {.uid = caller.uid,
                   .home = std::string(caller.variable("HOME").value_or("")),
                   .runtime_dir = std::string(caller.variable("XDG_RUNTIME_DIR").value_or(""))});
  const pid_t pid = target ? target->pid : checks::process_of_path(request.target);
  Status status = target ? complete_for(request, caller, *target)
                         : asked_by(request, request.target_from, std::move(target.error()));
  if (!status) {
    Error& error = status.error();
    if (pid > 0 && error.hint.empty() && (error.code == EACCES || error.code == EPERM))
      error.hint = checks::process_lets_look(pid).hint();
    return status;
  }
  identity(request, caller, *target);
  // A pid namespace is for children.
  request.spec.process.in_place.value = !joins(request, NamespaceType::pid);
  command_line(request, caller, command, command_index);
  return {};
}

}  // namespace isle::cli
