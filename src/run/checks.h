// Looks at the machine that tell why something is not possible here. Each is written once; hints
// (a step failed, is this why?) and doctor (what can be done here?) both call it. They read, and
// try what leaves no trace. `prefix` goes before every path read, for made-up trees in tests.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/idmap.h"
#include "isle/namespace.h"

namespace isle::checks {

enum class Answer { yes, partly, no };

/// What one look told. `yes`: nothing in the way.
struct Finding {
  Answer answer = Answer::yes;
  std::string detail = {};  ///< What was found; with `no`, the reason.
  std::string advice = {};  ///< What to do about it; may be empty.

  [[nodiscard]] bool ok() const { return answer == Answer::yes; }
  /// "reason; advice"; empty where nothing is in the way.
  [[nodiscard]] std::string hint() const;
};

[[nodiscard]] Finding yes(std::string detail = {});
[[nodiscard]] Finding no(std::string detail, std::string advice = {});
[[nodiscard]] Finding partly(std::string detail, std::string advice = {});

// ---- namespaces, checks_namespaces.cc -----------------------------------------------------------

/// Whether this kernel has namespaces of `type` at all (/proc/self/ns).
[[nodiscard]] Finding kernel_has(NamespaceType type, const std::string& prefix = {});
/// kernel.unprivileged_userns_clone, of Debian's and Arch's kernels.
[[nodiscard]] Finding unprivileged_userns_clone(const std::string& prefix = {});
/// kernel.apparmor_restrict_unprivileged_userns, Ubuntu 23.10 and later.
[[nodiscard]] Finding apparmor_userns_restriction(const std::string& prefix = {});
/// user.max_*_namespaces: 0, or as many in use as may be.
[[nodiscard]] Finding namespace_limit_left(NamespaceType type, const std::string& prefix = {});
/// Namespaces of `type` that processes of user `uid` are in, as far as /proc shows them, those of
/// the initial user namespace's own not counted.
[[nodiscard]] uint64_t namespaces_in_use(NamespaceType type, uid_t uid,
                                         const std::string& prefix = {});
/// Whether a new mount namespace counts as newer than the caller's, as keeping it needs: since 6.18
/// that goes by numbers that are handed out per cpu. Tried for real on each cpu; where the one at
/// hand will not do, the advice names one that does. Needs CAP_SYS_ADMIN.
[[nodiscard]] Finding new_mount_namespace_is_newer();
/// A chrooted process can make no user namespace (EPERM). Told by /proc/self/mountinfo, which has
/// no "/" then, or by /proc/1/root where that may be looked at.
[[nodiscard]] Finding not_chrooted(const std::string& prefix = {});

/// Whether the kernel lets the caller look at the namespaces of process `pid`, to join them:
/// ptrace(2), PTRACE_MODE_READ.
[[nodiscard]] Finding process_lets_look(pid_t pid, const std::string& prefix = {});
/// The process that "/proc/PID/ns/..." is about; 0 for any other path.
[[nodiscard]] pid_t process_of_path(std::string_view path);

// ---- what confines this process, checks_confinement.cc ------------------------------------------

/// Calls that are tried with arguments the kernel refuses before it does or asks anything else:
/// any other answer is a seccomp filter's.
enum class Probed { unshare, clone3, setns, open_tree, mount_setattr };
/// Whether a seccomp filter (mode 2 in /proc/self/status) turns `call` away.
[[nodiscard]] Finding seccomp_lets(Probed call);
/// PR_GET_NO_NEW_PRIVS.
[[nodiscard]] Finding may_gain_privileges();
/// An enforcing AppArmor profile around this process.
[[nodiscard]] Finding not_confined_by_apparmor(const std::string& prefix = {});
/// RLIMIT_NPROC and the pids controller's limits of our cgroup and those above.
[[nodiscard]] Finding room_for_processes();

// ---- ids, checks_ids.cc -------------------------------------------------------------------------

/// The ranges of /etc/subuid and /etc/subgid for `uid`.
[[nodiscard]] Finding has_subids(uid_t uid, const std::string& prefix = {});
/// Whether `program` ("newuidmap") is installed with the rights it needs: setuid root or file
/// capabilities, on a mount that honours them.
[[nodiscard]] Finding mapping_program(std::string_view program, const std::string& prefix = {});

// ---- paths, checks_paths.cc ---------------------------------------------------------------------

/// Who walks a path.
struct Walker {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<uint32_t> groups = {};
  /// CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH: over everything, or only over owners that are on the
  /// right side of these maps.
  bool override_all = false;
  IdMap override_uids = {};
  IdMap override_gids = {};
  /// The calling process, by its effective ids and capabilities.
  [[nodiscard]] static Walker caller();
  [[nodiscard]] bool may(uint32_t access, const struct stat& status) const;
};

/// Walks `path` component by component and names the one that stops `walker`: missing, no
/// directory, no x for him, a loop of links. Yes where the end is reached. With a `root` the walk
/// is that of a process with this root directory.
[[nodiscard]] Finding path_is_reachable(const std::string& path,
                                        const Walker& walker = Walker::caller(),
                                        const std::string& root = {});
/// Whether `walker` may make something in the directory `path`.
[[nodiscard]] Finding directory_is_writable(const std::string& path, const Walker& walker,
                                            const std::string& root = {});
/// "/usr/bin/x is a directory", "... has no x bit", "... names the interpreter ..., which does not
/// exist": why execve(2) would refuse this file.
[[nodiscard]] Finding file_is_executable(const std::string& path,
                                         const Walker& walker = Walker::caller(),
                                         const std::string& root = {});
/// Whether every link on the way to `path` below `root` stays in it: "/proc/self/root is a link
/// that leads out of any root", "... is a loop".
[[nodiscard]] Finding links_stay_inside(const std::string& root, const std::string& path);

// ---- mounts, checks_mounts.cc -------------------------------------------------------------------

/// Whether this kernel, as it runs, knows file system `type` (/proc/filesystems), or has a module.
[[nodiscard]] Finding knows_file_system(std::string_view type, const std::string& prefix = {});
/// Whether `type` can be mounted in a user namespace, which of its own namespaces it then needs.
[[nodiscard]] Finding file_system_in_userns(std::string_view type, NamespaceSet new_ones);
/// Mounts that cover parts of /proc, or of /sys: the kernel makes no fresh one in a user namespace
/// then (mount_too_revealing() in fs/namespace.c).
[[nodiscard]] Finding not_covered(std::string_view mount_point, const std::string& prefix = {});
/// The options of the mount that `path` is on: "ro,nosuid,relatime"; empty where it cannot be told.
[[nodiscard]] std::string mount_options(const std::string& path);
/// Whether the mount that `path` is on is shared with other mount namespaces.
[[nodiscard]] bool is_shared_mount(const std::string& path);
/// The type of the file system that `path` is on: "ext4"; empty where it cannot be told.
[[nodiscard]] std::string file_system_of(const std::string& path);
/// The points of mounts below `path`.
[[nodiscard]] std::vector<std::string> mounts_below(const std::string& path,
                                                    const std::string& prefix = {});

// ---- cgroups, checks_cgroup.cc ------------------------------------------------------------------

/// Whether a cgroup may be made with limits by all of `controllers`.
[[nodiscard]] Finding cgroup_delegated(const std::vector<std::string>& controllers,
                                       const std::string& prefix = {});
/// How an ordinary user comes by a cgroup of his own.
[[nodiscard]] std::string delegation_advice(const std::vector<std::string>& controllers);

}  // namespace isle::checks
