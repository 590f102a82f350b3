#include "run/hints.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "sys/proc_files.h"
#include "sys/settings_calls.h"

namespace isle::hints {
namespace {

using plan::Op;

/// `error` 0 is any.
struct Row {
  Op op;
  int error;
  Look look;
};

constexpr int kAny = 0;
constexpr int kKilled = -1;

// Asked from the top; the first that finds something has the word. What is sure comes before what
// is general.
constexpr Row kRows[] = {
    {Op::clone3, kKilled, killed_by_memory_limit},
    {Op::clone3, EPERM, namespaces_forbidden},
    {Op::clone3, EACCES, namespaces_forbidden},
    {Op::clone3, ENOSYS, clone3_filtered},
    {Op::clone3, ENOSPC, namespace_limits},
    {Op::clone3, EUSERS, namespace_limits},
    {Op::clone3, EINVAL, namespace_types_missing},
    {Op::clone3, EAGAIN, no_room_for_processes},
    {Op::clone3, ENOMEM, dead_pid_namespace},
    {Op::clone3, kAny, cgroup_refused},
    {Op::spawn, EAGAIN, no_room_for_processes},
    {Op::unshare, EPERM, namespaces_forbidden},
    {Op::unshare, ENOSPC, namespace_limits},
    {Op::unshare, EUSERS, namespace_limits},
    {Op::unshare, EINVAL, namespace_types_missing},
    {Op::setns, EPERM, join_forbidden},
    {Op::setns, EINVAL, join_wrong_type},
    {Op::make_userns, EPERM, namespaces_forbidden},
    {Op::make_userns, ENOSPC, namespace_limits},
    {Op::persist, kAny, keep_impossible},

    {Op::write_child, ERANGE, time_offset_too_far},
    {Op::write_file, ERANGE, time_offset_too_far},
    {Op::write_child, kAny, map_forbidden},
    {Op::write_file, kAny, map_forbidden},
    {Op::map_program, kAny, map_program_refused},
    {Op::setresuid, EINVAL, id_not_mapped},
    {Op::setresgid, EINVAL, id_not_mapped},
    {Op::setgroups, EPERM, setgroups_forbidden},
    {Op::setgroups, EINVAL, id_not_mapped},
    {Op::chown, EINVAL, id_not_mapped},

    {Op::fsopen, ENODEV, unknown_file_system},
    {Op::fsopen, EPERM, not_in_user_namespaces},
    {Op::fsconfig_create, ENODEV, unknown_file_system},
    {Op::fsconfig_create, EPERM, not_in_user_namespaces},
    {Op::fsmount, EPERM, masked_file_system},
    {Op::fsmount, EPERM, not_in_user_namespaces},
    {Op::open_tree, EINVAL, locked_mounts},
    {Op::open_tree, kAny, path_in_the_way},
    {Op::mount_setattr, EPERM, locked_flags},
    {Op::mount_setattr, kAny, idmap_unsupported},
    {Op::move_mount, ENOTDIR, other_kind},
    {Op::pivot_root, EINVAL, root_cannot_pivot},

    {Op::make_dir_in, EROFS, missing_on_read_only},
    {Op::make_file_in, EROFS, missing_on_read_only},
    {Op::symlink_in, EROFS, missing_on_read_only},
    {Op::mknod_in, EROFS, missing_on_read_only},
    {Op::copy_in, EROFS, missing_on_read_only},
    {Op::make_dir_in, ELOOP, link_in_the_way},
    {Op::make_file_in, ELOOP, link_in_the_way},
    {Op::open_in, ELOOP, link_in_the_way},
    {Op::copy_in, ELOOP, link_in_the_way},
    {Op::make_dir_in, EXDEV, link_in_the_way},
    {Op::make_file_in, EXDEV, link_in_the_way},
    {Op::open_in, EXDEV, link_in_the_way},
    {Op::copy_in, EXDEV, link_in_the_way},
    {Op::make_dir_in, ENOTDIR, other_kind},
    {Op::make_file_in, EISDIR, other_kind},
    {Op::make_dir_in, kAny, path_in_the_way},
    {Op::make_file_in, kAny, path_in_the_way},
    {Op::open_in, kAny, path_in_the_way},
    {Op::symlink_in, kAny, path_in_the_way},
    {Op::copy_in, kAny, path_in_the_way},
    {Op::mknod_in, kAny, path_in_the_way},
    {Op::open, kAny, cgroup_refused},
    {Op::mkdir, kAny, cgroup_refused},
    {Op::write_file, kAny, cgroup_refused},
    {Op::write_file, kAny, sysctl_unknown},
    {Op::open, kAny, path_in_the_way},
    {Op::mkdir, kAny, path_in_the_way},
    {Op::create_file, kAny, path_in_the_way},
    {Op::write_file, kAny, path_in_the_way},
    {Op::chroot, kAny, path_in_the_way},
    {Op::chdir, kAny, path_in_the_way},

    {Op::execve, ENOENT, command_missing},
    {Op::execve, kAny, command_not_executable},
    {Op::expect_command, ENOENT, command_missing},
    {Op::expect_command, kAny, command_not_executable},

    {Op::prlimit, EPERM, limit_above_hard},
    {Op::write_child, EACCES, oom_score_below},
    {Op::write_file, EACCES, oom_score_below},
    {Op::setpriority, kAny, nice_below},
    {Op::sched_setaffinity, EINVAL, cpus_not_ours},
    {Op::sched_setattr, EPERM, scheduler_not_ours},
    {Op::capset, EPERM, capabilities_not_ours},
    {Op::drop_bounding, EPERM, capabilities_not_ours},
    {Op::raise_ambient, EPERM, capabilities_not_ours},
};

bool may_be_confinement(const FailedStep& failed) {
  switch (failed.op()) {
    case Op::clone3:
    case Op::unshare:
    case Op::setns:
    case Op::open_tree:
    case Op::fsopen:
    case Op::fsmount:
    case Op::move_mount:
    case Op::mount_setattr:
    case Op::pivot_root:
    case Op::umount:
    case Op::persist:
      return failed.error() == EPERM || failed.error() == EACCES || failed.error() == ENOSYS;
    default:
      return false;
  }
}

}  // namespace

std::string find(const FailedStep& failed) {
  const int error = failed.error() == 0 ? kKilled : failed.error();
  for (const Row& row : kRows) {
    if (row.op != failed.op() || (row.error != error && (row.error != kAny || error == kKilled)))
      continue;
    if (std::string hint = row.look(failed); !hint.empty()) return hint;
  }
  if (std::string words = kernel_log(failed); !words.empty()) return words;
  return may_be_confinement(failed) ? confinement(failed) : std::string{};
}

bool caller_has(int capability) {
  sys::cap_user_header header;
  std::array<sys::cap_user_data, 2> data;
  if (sys::capget(&header, data.data()) != 0) return false;
  const uint64_t set = data[0].effective | uint64_t{data[1].effective} << 32;
  return (set >> capability & 1) != 0;
}

// "e overlay: No changes allowed in this mount\n": a letter for the severity, then the words.
std::string kernel_log(const FailedStep& failed) {
  if (failed.op() == Op::map_program || failed.op() == Op::hook) return {};
  std::string words;
  for (std::string_view rest = failed.log(); !rest.empty();) {
    std::string_view line = sys::next_part(rest, '\n');
    if (line.size() > 2 && line[1] == ' ') line.remove_prefix(2);
    if (!line.empty()) words.append(words.empty() ? "" : "; ").append(line);
  }
  return words.empty() ? words : "the kernel says: " + words;
}

std::string confinement(const FailedStep& failed) {
  const auto seccomp = [&](checks::Probed call) { return checks::seccomp_lets(call).hint(); };
  std::string hint;
  switch (failed.op()) {
    case Op::clone3:
      hint = seccomp(checks::Probed::clone3);
      break;
    case Op::unshare:
      hint = seccomp(checks::Probed::unshare);
      break;
    case Op::setns:
      hint = seccomp(checks::Probed::setns);
      break;
    case Op::open_tree:
      hint = seccomp(checks::Probed::open_tree);
      break;
    case Op::mount_setattr:
      hint = seccomp(checks::Probed::mount_setattr);
      break;
    default:
      break;
  }
  return hint.empty() ? checks::not_confined_by_apparmor().hint() : hint;
}

checks::Walker walker_of(const FailedStep& failed) {
  checks::Walker walker = checks::Walker::caller();
  if (failed.step().actor == plan::Actor::runtime) return walker;
  const bool had_override = walker.override_all || !walker.override_uids.empty();
  const bool new_user = failed.new_namespaces().contains(NamespaceType::user);
  walker.uid = failed.acting_uid().value_or(walker.uid);
  walker.gid = failed.acting_gid().value_or(walker.gid);
  if (new_user) {
    walker.override_all = false;
    walker.override_uids = failed.uid_map();
    walker.override_gids = failed.gid_map();
  }
  const bool dropped = failed.earlier([&](const plan::Step& step) {
    return step.actor == failed.step().actor &&
           ((step.op == Op::capset && (step.arg[0] & 0x6) == 0) ||
            (step.op == Op::setresuid && step.arg[0] != 0));
  }) != nullptr;
  if (dropped || (!new_user && !had_override)) {
    walker.override_all = false;
    walker.override_uids.clear();
    walker.override_gids.clear();
  }
  return walker;
}

}  // namespace isle::hints
