// Mounts: what is mounted where, as values; and trees of mounts as objects, made, changed and
// attached by the calls of the new mount API. What they look like in a sandbox is spec.h's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/namespace.h"
#include "isle/spec.h"

namespace isle {

// ---- what is mounted ------------------------------------------------------------------------------

/// One mount of a mount namespace, mount_namespaces(7).
struct Mount {
  /// Never used again until the next boot where the kernel has such ids (Linux 6.8), and is what
  /// statx(2) gives as STATX_MNT_ID_UNIQUE; where it has not, `mountinfo_id`.
  uint64_t id = 0;
  uint64_t parent_id = 0;
  /// As in /proc/PID/mountinfo and fdinfo: used again when the mount is gone.
  uint32_t mountinfo_id = 0;
  uint32_t mountinfo_parent_id = 0;
  uint32_t device_major = 0;  ///< Of the file system, as in st_dev.
  uint32_t device_minor = 0;
  std::string root;         ///< The directory of the file system that is the mount's root.
  std::string mount_point;  ///< Seen from the namespace's root, or the reader's in its own.
  std::string fs_type;      ///< With a subtype: "ext4", "fuse.sshfs".
  std::string source;       ///< What mount(8) was given: "/dev/sda1", "none".
  std::string options;      ///< The file system's own, as it prints them: "size=1024k".
  uint64_t attributes = 0;  ///< MOUNT_ATTR_*, mount_setattr(2).
  /// Propagation: the peers mounts are shared with, and those they come from; 0 for none. Both: a
  /// slave that is shared itself.
  uint64_t peer_group = 0;
  uint64_t master = 0;
  bool unbindable = false;
  bool operator==(const Mount&) const = default;

  /// shared, slave, unbindable or private; of a shared slave "shared".
  [[nodiscard]] Propagation propagation() const {
    if (peer_group != 0) return Propagation::shared;
    if (master != 0) return Propagation::slave;
    return unbindable ? Propagation::unbindable : Propagation::private_;
  }
};

/// The mounts of the calling thread's mount namespace that it can reach from its root directory, in
/// the order in which they were made. listmount(2) and statmount(2), Linux 6.13; before,
/// /proc/thread-self/mountinfo. Errors: ENOENT no /proc (before 6.13).
[[nodiscard]] Result<std::vector<Mount>> mounts();

/// Those of another mount namespace, whether a process is in it or not. Errors: EPERM no
/// CAP_SYS_ADMIN over it (before 6.13: those of in()); EINVAL no mount namespace.
[[nodiscard]] Result<std::vector<Mount>> mounts(const Namespace& mount_namespace);

/// Those that a process sees from its root directory. Errors: ENOENT no such process; EACCES
/// ptrace(2)'s access check said no. /proc/PID/mountinfo.
[[nodiscard]] Result<std::vector<Mount>> mounts_of(pid_t pid);

/// The mount that the file at `path` is on; a last symbolic link is followed. Errors: those of
/// statx(2) and mounts().
[[nodiscard]] Result<Mount> mount_of(const std::string& path);

// ---- trees that are attached nowhere --------------------------------------------------------------

/// A mount, with or without those below it, that no namespace has: it is gone with this object
/// unless attach() gives it a place. Meanwhile its files are reached through fd(). All calls need
/// CAP_SYS_ADMIN over the caller's mount namespace. Move-only. Linux 5.2.
class [[nodiscard]] MountTree {
 public:
  /// A copy of the mount at `path`, from there down, and with `recursive` of those below (bind
  /// mounts, of the same files). Errors: those of open_tree(2); EINVAL `path` is on an unbindable
  /// mount or, in a user namespace, has locked mounts below it and `recursive` is false.
  static Result<MountTree> clone(const std::string& path, bool recursive = true);
  /// The same of an open file (O_PATH will do).
  static Result<MountTree> clone(BorrowedFd file, bool recursive = true);
  /// A new file system: fsopen(2), fsconfig(2), fsmount(2). Errors: ENODEV the kernel knows no such
  /// type; EPERM not in this user namespace; EINVAL an option. The hint is what the kernel wrote
  /// into the context's log.
  static Result<MountTree> create(const FileSystem& file_system);
  /// overlayfs, overlay(5). Without `upper` changes go to memory (Linux 6.15). Errors: as create().
  static Result<MountTree> create(const Overlay& overlay);
  /// proc as the processes of a pid namespace see it; nosuid, nodev and noexec. By the mount option
  /// pidns= (Linux 6.17), before by a process inside. Errors: EPERM the namespace is not below the
  /// caller's; ENOMEM its init has ended (before 6.17); as create().
  static Result<MountTree> create_proc(const Namespace& pid_namespace);
  /// Takes ownership of what open_tree(2) or fsmount(2) gave.
  static MountTree from_fd(Fd fd) { return MountTree(std::move(fd)); }

  /// mount_setattr(2). Errors: EPERM an attribute to clear is locked. Linux 5.12.
  Status set_attributes(const MountAttributes& attributes) const;
  /// Errors: those of mount_setattr(2). Linux 5.12.
  Status set_propagation(Propagation propagation, bool recursive = true) const;
  /// Shows the files with the ids that the maps of `user_namespace` give their owners
  /// (create_user_namespace() makes one). Once for a mount. Errors: EPERM no CAP_SYS_ADMIN over the
  /// file system, the user namespace is the initial one, or the mount has been attached; EINVAL
  /// this file system cannot. Linux 5.12.
  Status idmap(const Namespace& user_namespace, bool recursive = false) const;
  /// Gives it a place: on `path`, a directory or, for a cloned file, a file; a last symbolic link is
  /// followed. Afterwards fd() is still the mount, and closing it changes nothing. Errors: those of
  /// move_mount(2).
  Status attach(const std::string& path) const;
  /// On an open directory or file.
  Status attach(BorrowedFd at) const;

  /// The root of the tree, as a directory descriptor. Lent for as long as this object lives.
  [[nodiscard]] BorrowedFd fd() const noexcept { return fd_.borrow(); }
  /// Gives the descriptor up; this object then holds nothing.
  [[nodiscard]] Fd release() && noexcept { return std::move(fd_); }

 private:
  explicit MountTree(Fd fd) noexcept : fd_(std::move(fd)) {}
  Fd fd_;
};

// ---- mounts that have a place ---------------------------------------------------------------------

/// mount_setattr(2) on the mount at `path`. Errors: EINVAL `path` is no mount point; EPERM an
/// attribute to clear is locked. Linux 5.12.
[[nodiscard]] Status set_attributes(const std::string& path, const MountAttributes& attributes);

/// Whether mounts made there show in other namespaces. Errors: EINVAL `path` is no mount point.
[[nodiscard]] Status set_propagation(const std::string& path, Propagation propagation,
                                     bool recursive = true);

/// Takes the topmost mount at `path` away, and those below it. With `detach` at once out of sight,
/// and gone when nobody uses it; without, EBUSY while somebody does. A last symbolic link is not
/// followed. Errors: EINVAL `path` is no mount point, or one that a more privileged namespace
/// locked.
[[nodiscard]] Status unmount(const std::string& path, bool detach = true);

/// Makes the directory `new_root`, a mount point, the root of the caller's mount namespace and of
/// every process in it whose root or working directory was the old one; the caller's working
/// directory is the new root then. The old root is detached or, where `put_old` is given, mounted
/// there: a directory at or below `new_root`, named as before the call. Errors: EBUSY it is the
/// root already, or no mount point but a directory on the root's mount; EINVAL no mount point, or
/// it, its parent or the root is shared. pivot_root(2).
[[nodiscard]] Status pivot_root(const std::string& new_root, const std::string& put_old = {});

}  // namespace isle
