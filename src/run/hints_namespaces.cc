// Why a namespace could not be made, joined or kept; why a process could not be.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "run/hints.h"
#include "sys/proc_files.h"
#include "sys/process_calls.h"

namespace isle::hints {
namespace {

using plan::Op;

constexpr int kCapSysAdmin = 21;

NamespaceSet asked_for(const FailedStep& failed) {
  if (failed.op() == Op::make_userns) return {NamespaceType::user};
  return NamespaceSet::of_clone_flags(failed.step().arg[0]);
}

/// A namespace that a setns joins, and what people know it by.
struct Joined {
  Result<Namespace> space;
  std::string name;
};

// What a setns joins: by a path, the runtime's own, by a descriptor of the caller's (it is open in us),
// or those of a process by its pidfd.
std::vector<Joined> joined(const FailedStep& failed, const plan::Step& setns) {
  std::vector<Joined> all;
  const plan::Step* opened = failed.writer(setns.arg[0]);
  if (opened == nullptr) return all;
  const auto add = [&](const std::string& path, std::string_view name) {
    auto space = Namespace::of_path(path);
    all.push_back({.space = std::move(space), .name = fmt::format("\"{}\"", name)});
    if (name.empty() && all.back().space) all.back().name = all.back().space->link_text();
  };
  if (opened->op == Op::open) {
    const std::string path = failed.text(*opened, 0);
    add(path, path);
  } else if (opened->op == Op::open_in) {  // the runtime's own
    add("/proc/" + failed.text(*opened, 1), {});
  } else if (const pid_t pid = failed.joined_process(setns); pid > 0) {
    for (const NamespaceType type : NamespaceSet::of_clone_flags(setns.arg[1]))
      add(fmt::format("/proc/{}/ns/{}", pid, type_info(type).proc_name), {});
  } else if (opened->op == Op::use_fd) {
    add(fmt::format("/proc/self/fd/{}", opened->arg[0]), {});
  }
  return all;
}

bool joins(const plan::Step& step, NamespaceType type) {
  return step.op == Op::setns && NamespaceSet::of_clone_flags(step.arg[1]).contains(type);
}

}  // namespace

std::string namespaces_forbidden(const FailedStep& failed) {
  const NamespaceSet types = asked_for(failed);
  if (types.empty()) return {};
  const bool privileged = caller_has(kCapSysAdmin);
  if (!types.contains(NamespaceType::user))
    return privileged || failed.new_namespaces().contains(NamespaceType::user)
               ? std::string{}
               : "without CAP_SYS_ADMIN a process can make these only in a user namespace of its "
                 "own: --new user, or run isle as root";
  if (auto finding = checks::not_chrooted(); !finding.ok()) return finding.hint();
  if (!privileged)
    if (auto finding = checks::unprivileged_userns_clone(); !finding.ok()) return finding.hint();
  const auto call = failed.op() == Op::unshare ? checks::Probed::unshare : checks::Probed::clone3;
  if (auto finding = checks::seccomp_lets(call); !finding.ok()) return finding.hint();
  if (auto finding = checks::seccomp_lets(checks::Probed::unshare); !finding.ok())
    return finding.hint();
  if (!privileged)
    if (auto finding = checks::apparmor_userns_restriction(); !finding.ok()) return finding.hint();
  return {};
}

std::string namespace_limits(const FailedStep& failed) {
  for (const NamespaceType type : asked_for(failed))
    if (auto finding = checks::namespace_limit_left(type); !finding.ok()) return finding.hint();
  // The kernel is sure; what is not in use by processes that can be seen is not counted here.
  for (const NamespaceType type : asked_for(failed)) {
    const auto limit = namespace_limit(type);
    if (!limit) continue;
    return fmt::format(
        "a limit of {} namespaces is reached: user.{} is {} here, and every user namespace around "
        "this one has its own{}",
        to_string(type), type_info(type).limit_name, *limit,
        type_info(type).has_parent ? "; they nest 32 deep at most" : "");
  }
  return {};
}

std::string namespace_types_missing(const FailedStep& failed) {
  for (const NamespaceType type : asked_for(failed))
    if (auto finding = checks::kernel_has(type); !finding.ok()) return finding.hint();
  return {};
}

std::string no_room_for_processes(const FailedStep&) { return checks::room_for_processes().hint(); }

std::string clone3_filtered(const FailedStep&) {
  return checks::seccomp_lets(checks::Probed::clone3).hint();
}

// Tried for real: a child joins the pid namespace as the runtime did, and forks.
std::string dead_pid_namespace(const FailedStep& failed) {
  const plan::Step* join =
      failed.earlier([](const plan::Step& step) { return joins(step, NamespaceType::pid); });
  if (join == nullptr) return {};
  const std::vector<Joined> spaces = joined(failed, *join);
  const auto found = std::ranges::find_if(spaces, [](const Joined& each) {
    return each.space && each.space->type() == NamespaceType::pid;
  });
  if (found == spaces.end()) return {};
  const Namespace& space = *found->space;
  sys::clone_args args;
  constexpr int kSigchld = 17;
  args.exit_signal = kSigchld;
  const int child = sys::clone3(&args);
  if (child == 0) {
    if (sys::setns(space.fd().get(), sys::CloneFlags::newpid) != 0) sys::exit_group(1);
    sys::clone_args inner;
    const int grandchild = sys::clone3(&inner);
    if (grandchild == 0) sys::exit_group(0);
    sys::exit_group(grandchild == -ENOMEM ? 2 : 0);
  }
  int status = 0;
  if (child < 0 || sys::wait4(child, &status, sys::WaitFlags::none) != child) return {};
  if ((status >> 8 & 0xff) != 2) return {};
  return fmt::format("the pid namespace {} takes no new process: its first process has ended",
                     found->name);
}

// Where the cgroup is gone already, only a limit that nothing can run in is a reason for sure.
std::string killed_by_memory_limit(const FailedStep& failed) {
  constexpr uint64_t kLeastBytes = 1 << 20;
  const plan::Step* limit = failed.earlier([&](const plan::Step& step) {
    return step.op == Op::write_file && (failed.text(step, 0).ends_with("/memory.max") ||
                                         failed.text(step, 0).ends_with("/memory.limit_in_bytes"));
  });
  if (limit == nullptr) return {};
  const std::string value = failed.text(*limit, 1);
  uint64_t bytes = kLeastBytes;
  std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (bytes >= kLeastBytes) return {};
  return fmt::format("its memory is limited to {} bytes, in which no process starts", bytes);
}

std::string join_forbidden(const FailedStep& failed) {
  if (const pid_t pid = failed.joined_process(failed.step()); pid > 0)
    if (auto finding = checks::process_lets_look(pid); !finding.ok()) return finding.hint();
  const bool joins_user = failed.earlier([](const plan::Step& step) {
    return joins(step, NamespaceType::user);
  }) != nullptr;
  const bool new_user = failed.new_namespaces().contains(NamespaceType::user);
  const auto own = Namespace::of_self(NamespaceType::user);
  for (const auto& [space, name] : joined(failed, failed.step())) {
    if (!space) continue;
    const auto owner = space->owner();
    if (owner && own && *owner == *own && !caller_has(kCapSysAdmin))
      return fmt::format(
          "{} belongs to this user namespace; joining it needs CAP_SYS_ADMIN: run isle as root",
          name);
    if (!owner && owner.error().code == EPERM)
      return fmt::format(
          "{} belongs to a user namespace that is not below this one; only a process with "
          "CAP_SYS_ADMIN there can join it",
          name);
    if (new_user)
      return "a process in a new user namespace has no rights over namespaces that exist: --share "
             "user as root, or --join user as well";
    if (owner && own && *owner == *own && joins_user)
      return fmt::format("a process in the user namespace that is joined has no rights over {}",
                         name);
    if (owner && !joins_user && !caller_has(kCapSysAdmin))
      return fmt::format(
          "{} belongs to another user namespace; join that one, too: --join user=...", name);
  }
  return {};
}

std::string join_wrong_type(const FailedStep& failed) {
  const NamespaceSet wanted = NamespaceSet::of_clone_flags(failed.step().arg[1]);
  const auto own = Namespace::of_self(NamespaceType::user);
  for (const auto& [space, name] : joined(failed, failed.step())) {
    if (!space && space.error().code == ENOTTY) return fmt::format("{} is not a namespace", name);
    if (!space) continue;
    if (!wanted.contains(space->type()))
      return fmt::format("{} is a namespace of type {}", name, to_string(space->type()));
    if (own && *own == *space) return fmt::format("isle is in the user namespace {} already", name);
  }
  return {};
}

std::string keep_impossible(const FailedStep& failed) {
  if (failed.error() == EPERM && !caller_has(kCapSysAdmin))
    return "binding a namespace to a path needs CAP_SYS_ADMIN in the mount namespace";
  if (auto way = checks::path_is_reachable(failed.text(1)); !way.ok()) return way.hint();
  if (failed.error() != EINVAL || failed.text(0) != "mnt") return {};
  if (checks::is_shared_mount(failed.text(1)))
    return fmt::format(
        "a mount namespace is bound only below a mount that no other namespace shares, and \"{}\" "
        "is "
        "on a shared one; bind a directory on itself and make it private (mount --make-private)",
        failed.text(1));
  return checks::new_mount_namespace_is_newer().hint();
}

}  // namespace isle::hints
