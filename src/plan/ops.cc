#include "plan/ops.h"

#include <array>

namespace isle::plan {
namespace {

using enum Kind;

constexpr std::array<OpInfo, kOps> kTable{{
    {Op::guard, "guard", {}, "starts the process that undoes, at the end, what would outlive us"},
    {Op::clone3,
     "clone3",
     {clone_flags, in_or_none},
     "the first process of the sandbox, in a cgroup where one is given"},
    {Op::post, "post", {point}, "tells the other side that this point is reached"},
    {Op::await, "await", {point}, "waits until the other side has reached this point"},
    {Op::alive, "alive", {}, "ends here if the runtime has died meanwhile"},
    {Op::await_start,
     "await_start",
     {in},
     "set up: the launch ends here, and goes on for who connects to this socket"},
    {Op::call, "call", {number, in_or_none}, "asks who launched: all mounted (0), a listener (1)"},
    {Op::hook,
     "hook",
     {Kind::text, list, list, scratch, Kind::text, Kind::text, number},
     "runs a program: its arguments, environment, input around the pid, seconds it may take"},
    {Op::spawn, "spawn", {}, "the command's process, child of init"},
    {Op::reap, "reap", {}, "forwards signals, reaps orphans, ends as the command ends"},
    {Op::expect_command,
     "expect_command",
     {list, list},
     "refuses where none of the candidate paths could be executed"},
    {Op::execve,
     "execve",
     {list, list, list, scratch},
     "the first of the candidate paths that exists, with these arguments and this environment"},

    {Op::use_fd, "use_fd", {number, out}, "a descriptor the caller handed in"},
    {Op::open, "open", {Kind::text, open_flags, out}, "a path of the host"},
    {Op::open_in,
     "open_in",
     {in, Kind::text, open_flags, resolve_flags, out},
     "a path below a directory, resolved by openat2(2)"},
    {Op::make_dir_in,
     "make_dir_in",
     {in, Kind::text, octal, out},
     "a directory in a root, made with its parents where it is missing"},
    {Op::make_file_in,
     "make_file_in",
     {in, Kind::text, octal, out},
     "a file in a root, made empty with its parents where it is missing"},
    {Op::symlink_in, "symlink_in", {in, Kind::text, Kind::text}, "a symbolic link in a root"},
    {Op::mknod_in,
     "mknod_in",
     {in, Kind::text, octal, number, id, id},
     "a device node in a root, and its owner and group"},
    {Op::copy_in,
     "copy_in",
     {in, in, Kind::text, octal},
     "a new file in a root with all that the descriptor gives"},
    {Op::copy_tree,
     "copy_tree",
     {in, Kind::text, in},
     "what stands in a directory of a root, into another directory"},
    {Op::copy_link,
     "copy_link",
     {Kind::text, in, Kind::text},
     "a symbolic link in a root like one of the host"},
    {Op::write_in, "write_in", {in, Kind::text, Kind::text}, "one write to a file in a root"},
    {Op::chown, "chown", {in, id, id}, "owner and group of what a descriptor refers to"},
    {Op::expect_fs, "expect_fs", {in, magic}, "refuses any other file system (EXDEV)"},
    {Op::expect_directory, "expect_directory", {in}, "refuses what is no directory (ENOTDIR)"},
    {Op::dup2, "dup2", {in, number}, "a register under a fixed number, open in the command"},
    {Op::close_range,
     "close_range",
     {number, number, close_range_flags},
     "descriptors by number; by 0 not those of registers, nor the channel to the other side"},
    {Op::keep_only,
     "keep_only",
     {in_or_none, in_or_none, in_or_none, in_or_none},
     "closes all registers but these"},
    {Op::send_fd, "send_fd", {in}, "hands a descriptor to the runtime"},
    {Op::receive_fd, "receive_fd", {out}, "takes a descriptor from init"},

    {Op::open_tree,
     "open_tree",
     {in_or_none, Kind::text, open_tree_flags, out},
     "a mount, or with CLONE a detached copy of it"},
    {Op::fsopen, "fsopen", {Kind::text, out}, "a new file system, to be configured"},
    {Op::fsconfig_string, "fsconfig", {in, Kind::text, Kind::text}, "an option of it"},
    {Op::fsconfig_flag, "fsconfig", {in, Kind::text}, "an option of it without a value"},
    {Op::fsconfig_fd, "fsconfig", {in, Kind::text, in}, "an option of it that is a descriptor"},
    {Op::fsconfig_create, "fsconfig_create", {in}, "makes the superblock"},
    {Op::fsmount, "fsmount", {in, mount_attributes, out}, "a detached mount of it"},
    {Op::mount_setattr,
     "mount_setattr",
     {in_or_none, Kind::text, at_flags, mount_attributes, mount_attributes, propagation,
      in_or_none},
     "attributes to set and to clear, propagation, id map"},
    {Op::move_mount,
     "move_mount",
     {in, in_or_none, Kind::text, move_mount_flags, Kind::copies},
     "attaches a mount, or, where that is attached, a copy of it"},
    {Op::pivot_root, "pivot_root", {Kind::text, Kind::text}, "new root, where the old one goes"},
    {Op::umount, "umount", {Kind::text, umount_flags}, "takes a mount away"},
    {Op::chroot, "chroot", {Kind::text}, "root directory"},
    {Op::chdir, "chdir", {Kind::text, resolve_flags, attempt}, "working directory"},
    {Op::fchdir, "fchdir", {in}, "working directory"},
    {Op::make_userns,
     "make_userns",
     {Kind::text, Kind::text, out},
     "a user namespace with these maps, for an idmapped mount"},

    {Op::unshare, "unshare", {clone_flags}, "new namespaces for this process"},
    {Op::setns, "setns", {in, clone_flags}, "joins what the descriptor refers to"},
    {Op::persist,
     "persist",
     {Kind::text, Kind::text},
     "binds a namespace of the sandbox to a path, which keeps it"},
    {Op::note_namespaces,
     "note_namespaces",
     {in, list},
     "hands the inode numbers of the namespaces by these names in this /proc to the caller"},
    {Op::write_child,
     "write_child",
     {Kind::text, Kind::text, in_or_none},
     "one write to a file of /proc/PID of the sandbox's first process; from this /proc"},
    {Op::map_program,
     "map_program",
     {Kind::text, list, scratch},
     "newuidmap or newgidmap for the sandbox's first process"},
    {Op::setgroups, "setgroups", {ids}, "supplementary groups"},
    {Op::setresgid, "setresgid", {id}, "real, effective and saved group id"},
    {Op::setresuid, "setresuid", {id}, "real, effective and saved user id"},

    {Op::mkdir, "mkdir", {Kind::text, octal, below}, "a directory of the host"},
    {Op::write_file,
     "write_file",
     {Kind::text, Kind::text, below},
     "one write to a file of the host"},
    {Op::create_file, "create_file", {Kind::text, octal}, "an empty file of the host, new or not"},
    {Op::unlink, "unlink", {Kind::text}, "removes a file of the host"},
    {Op::remove_cgroup, "remove_cgroup", {Kind::text}, "ends what is in a cgroup, removes it"},

    {Op::device_filter,
     "device_filter",
     {in, blob},
     "a BPF program that decides about devices, for this cgroup"},

    {Op::prctl, "prctl", {Kind::prctl, number}, "prctl(2)"},
    {Op::capset,
     "capset",
     {capabilities, capabilities, capabilities},
     "effective, permitted, inheritable"},
    {Op::drop_bounding, "drop_bounding", {capabilities}, "all but these from the bounding set"},
    {Op::raise_ambient, "raise_ambient", {capabilities}, "the ambient set"},
    {Op::setsid, "setsid", {}, "a session of its own"},
    {Op::default_signals, "default_signals", {}, "every signal does what it does by default"},
    {Op::open_console,
     "open_console",
     {in_or_none, Kind::text, number, number, out, out, number},
     "a new pseudoterminal from this ptmx: its rows and columns, its master, its slave; 1: without "
     "ONLCR"},
    {Op::open_slave,
     "open_slave",
     {in, in, out},
     "the slave of this master by its name in a directory"},
    {Op::controlling_terminal, "controlling_terminal", {in}, "TIOCSCTTY"},
    {Op::sethostname, "sethostname", {Kind::text}, ""},
    {Op::setdomainname, "setdomainname", {Kind::text}, ""},
    {Op::link_up, "link_up", {Kind::text}, "sets a network device up"},
    // These five are for the actor itself; done by the runtime, for the sandbox's first process.
    {Op::prlimit, "prlimit", {rlimit, limit, limit}, "soft and hard limit"},
    {Op::setpriority, "setpriority", {number}, "nice value"},
    {Op::sched_setaffinity, "sched_setaffinity", {cpus}, "mask of CPUs"},
    {Op::sched_setattr, "sched_setattr", {blob}, "scheduling policy"},
    {Op::ioprio_set, "ioprio_set", {number}, "I/O priority"},
    {Op::set_mempolicy, "set_mempolicy", {number, cpus}, "memory policy and its nodes"},
    {Op::join_keyring, "join_keyring", {Kind::text}, "a session keyring of its own"},
    {Op::umask, "umask", {octal}, ""},
    {Op::restore_umask, "restore_umask", {}, "the mask that the first umask step found"},
    {Op::personality, "personality", {number}, ""},
    {Op::seccomp, "seccomp", {blob, seccomp_flags, out}, "a filter; its listener where asked for"},
}};

constexpr bool in_order() {
  for (int i = 0; i < kOps; ++i)
    if (static_cast<int>(kTable[static_cast<size_t>(i)].op) != i) return false;
  return true;
}
static_assert(in_order(), "a row a value of Op, in its order");

}  // namespace

const OpInfo& info(Op op) {
  static constexpr OpInfo kNoSuch{Op::count_, "no such operation", {}, ""};
  return op < Op::count_ ? kTable[static_cast<size_t>(op)] : kNoSuch;
}

std::span<const OpInfo> all_ops() { return kTable; }

std::string_view actor_name(Actor actor) {
  constexpr std::string_view kNames[kActors] = {"runtime", "init", "command", "undo"};
  return static_cast<size_t>(actor) < kActors ? kNames[static_cast<size_t>(actor)] : "nobody";
}

std::string_view point_name(Point point) {
  constexpr std::string_view kNames[kPoints] = {"ids_ready", "namespaces_ready", "mounts_ready",
                                                "called", "runtime_done"};
  return static_cast<size_t>(point) < kPoints ? kNames[static_cast<size_t>(point)] : "nowhere";
}

}  // namespace isle::plan
