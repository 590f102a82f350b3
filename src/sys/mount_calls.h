// Wrappers of the mount system calls, and of those that change a process's root.
// Result or -errno; see raw_call.h.
#pragma once

#include "sys/abi_file.h"
#include "sys/abi_mount.h"
#include "sys/abi_numbers.h"
#include "sys/raw_call.h"

namespace isle::sys {

/// open_tree(2), 5.2: a descriptor of a mount, or with OpenTree::clone of a detached copy.
inline int open_tree(int dirfd, const char* path, OpenTree flags) noexcept {
  return raw_int(__NR_open_tree, dirfd, path, flags);
}
/// open_tree_attr(2), 6.15: open_tree and mount_setattr in one.
inline int open_tree_attr(int dirfd, const char* path, OpenTree flags, const mount_attr* attr,
                          std::size_t size_bytes = sizeof(mount_attr)) noexcept {
  return raw_int(kNrOpenTreeAttr, dirfd, path, flags, attr, size_bytes);
}
/// move_mount(2), 5.2: attaches a detached tree, or moves an attached one.
inline int move_mount(int from_dirfd, const char* from_path, int to_dirfd, const char* to_path,
                      MoveMount flags) noexcept {
  return raw_int(__NR_move_mount, from_dirfd, from_path, to_dirfd, to_path, flags);
}
/// mount_setattr(2), 5.12; AtFlags::recursive for the whole tree.
inline int mount_setattr(int dirfd, const char* path, AtFlags flags, const mount_attr* attr,
                         std::size_t size_bytes = sizeof(mount_attr)) noexcept {
  return raw_int(__NR_mount_setattr, dirfd, path, flags, attr, size_bytes);
}
/// fsopen(2), 5.2. Reading from the descriptor gives the kernel's own words for an error.
inline int fsopen(const char* fs_name, FsopenFlags flags) noexcept {
  return raw_int(__NR_fsopen, fs_name, flags);
}
/// fsconfig(2), 5.2; what `value` and `aux` are depends on `command`.
inline int fsconfig(int fs_fd, Fsconfig command, const char* key, const void* value,
                    int aux) noexcept {
  return raw_int(__NR_fsconfig, fs_fd, command, key, value, aux);
}
/// fsmount(2), 5.2: a detached mount.
inline int fsmount(int fs_fd, FsmountFlags flags, MountAttr attr) noexcept {
  return raw_int(__NR_fsmount, fs_fd, flags, attr);
}
/// fspick(2), 5.2: the configuration of a mounted file system.
inline int fspick(int dirfd, const char* path, FspickFlags flags) noexcept {
  return raw_int(__NR_fspick, dirfd, path, flags);
}

/// mount(2).
inline int mount(const char* source, const char* target, const char* type, MountFlags flags,
                 const void* data) noexcept {
  return raw_int(__NR_mount, source, target, type, flags, data);
}
/// umount2(2).
inline int umount2(const char* target, UmountFlags flags) noexcept {
  return raw_int(__NR_umount2, target, flags);
}
/// pivot_root(2).
inline int pivot_root(const char* new_root, const char* put_old) noexcept {
  return raw_int(__NR_pivot_root, new_root, put_old);
}
/// chroot(2).
inline int chroot(const char* path) noexcept { return raw_int(__NR_chroot, path); }
/// chdir(2).
inline int chdir(const char* path) noexcept { return raw_int(__NR_chdir, path); }
/// fchdir(2).
inline int fchdir(int fd) noexcept { return raw_int(__NR_fchdir, fd); }
/// getcwd(2): the bytes written with the NUL; a path outside the root starts with "(unreachable)".
inline int getcwd(char* buffer, std::size_t size_bytes) noexcept {
  return raw_int(__NR_getcwd, buffer, size_bytes);
}

/// statmount(2), 6.8; -EOVERFLOW when the buffer is too small for the strings.
inline int statmount(const mnt_id_req* request, statmount_t* buffer, std::size_t size_bytes,
                     std::uint32_t flags = 0) noexcept {
  return raw_int(kNrStatmount, request, buffer, size_bytes, flags);
}
/// listmount(2), 6.8: how many ids were written.
inline long listmount(const mnt_id_req* request, std::uint64_t* ids, std::size_t capacity,
                      std::uint32_t flags = 0) noexcept {
  return raw(kNrListmount, request, ids, capacity, flags);
}
/// listns(2), 6.19: how many namespace ids were written.
inline long listns(const ns_id_req* request, std::uint64_t* ids, std::size_t capacity,
                   std::uint32_t flags = 0) noexcept {
  return raw(kNrListns, request, ids, capacity, flags);
}

}  // namespace isle::sys
