// Wrappers of the system calls on paths and on files' metadata. Result or -errno; see raw_call.h.
#pragma once

#include "sys/abi_file.h"
#include "sys/abi_numbers.h"
#include "sys/raw_call.h"

namespace isle::sys {

/// openat(2). largefile is implied on both architectures.
inline int openat(int dirfd, const char* path, OpenFlags flags, std::uint32_t mode = 0) noexcept {
  return raw_int(__NR_openat, dirfd, path, flags, mode);
}
/// openat2(2), 5.6. -EAGAIN: the tree was changed under a RESOLVE_IN_ROOT or _BENEATH walk.
inline int openat2(int dirfd, const char* path, const open_how* how,
                   std::size_t size_bytes = sizeof(open_how)) noexcept {
  return raw_int(__NR_openat2, dirfd, path, how, size_bytes);
}
/// statx(2), 4.11.
inline int statx(int dirfd, const char* path, AtFlags flags, StatxMask mask,
                 statx_t* out) noexcept {
  return raw_int(__NR_statx, dirfd, path, flags, mask, out);
}
/// fstatfs(2).
inline int fstatfs(int fd, statfs_t* out) noexcept { return raw_int(__NR_fstatfs, fd, out); }
/// statfs(2).
inline int statfs(const char* path, statfs_t* out) noexcept {
  return raw_int(__NR_statfs, path, out);
}
/// faccessat2(2), 5.8.
inline int faccessat2(int dirfd, const char* path, Access mode, AtFlags flags) noexcept {
  return raw_int(__NR_faccessat2, dirfd, path, mode, flags);
}
/// readlinkat(2): the bytes written, no NUL; with path "" the link that `dirfd` (O_PATH) is.
inline int readlinkat(int dirfd, const char* path, char* buffer, std::size_t size_bytes) noexcept {
  return raw_int(__NR_readlinkat, dirfd, path, buffer, size_bytes);
}

/// mkdirat(2).
inline int mkdirat(int dirfd, const char* path, std::uint32_t mode) noexcept {
  return raw_int(__NR_mkdirat, dirfd, path, mode);
}
/// mknodat(2); `device` from device_number().
inline int mknodat(int dirfd, const char* path, std::uint32_t mode, std::uint32_t device) noexcept {
  return raw_int(__NR_mknodat, dirfd, path, mode, device);
}
/// symlinkat(2).
inline int symlinkat(const char* target, int dirfd, const char* path) noexcept {
  return raw_int(__NR_symlinkat, target, dirfd, path);
}
/// linkat(2).
inline int linkat(int from_dirfd, const char* from, int to_dirfd, const char* to,
                  AtFlags flags) noexcept {
  return raw_int(__NR_linkat, from_dirfd, from, to_dirfd, to, flags);
}
/// unlinkat(2).
inline int unlinkat(int dirfd, const char* path, AtFlags flags) noexcept {
  return raw_int(__NR_unlinkat, dirfd, path, flags);
}
/// renameat2(2).
inline int renameat2(int from_dirfd, const char* from, int to_dirfd, const char* to,
                     RenameFlags flags = RenameFlags::none) noexcept {
  return raw_int(__NR_renameat2, from_dirfd, from, to_dirfd, to, flags);
}
/// fchmod(2); -EBADF on an O_PATH descriptor.
inline int fchmod(int fd, std::uint32_t mode) noexcept { return raw_int(__NR_fchmod, fd, mode); }
/// fchmodat, the system call: no flags, so a last symbolic link is followed.
inline int fchmodat(int dirfd, const char* path, std::uint32_t mode) noexcept {
  return raw_int(__NR_fchmodat, dirfd, path, mode);
}
/// fchmodat2, 6.6: fchmodat with AtFlags::empty_path and symlink_nofollow.
inline int fchmodat2(int dirfd, const char* path, std::uint32_t mode, AtFlags flags) noexcept {
  return raw_int(kNrFchmodat2, dirfd, path, mode, flags);
}
/// fchown(2); ~0u leaves one as it is.
inline int fchown(int fd, std::uint32_t uid, std::uint32_t gid) noexcept {
  return raw_int(__NR_fchown, fd, uid, gid);
}
/// fchownat(2).
inline int fchownat(int dirfd, const char* path, std::uint32_t uid, std::uint32_t gid,
                    AtFlags flags) noexcept {
  return raw_int(__NR_fchownat, dirfd, path, uid, gid, flags);
}
/// ftruncate(2).
inline int ftruncate(int fd, std::int64_t length_bytes) noexcept {
  return raw_int(__NR_ftruncate, fd, length_bytes);
}
/// fsetxattr(2); flags 1 create only, 2 replace only.
inline int fsetxattr(int fd, const char* name, const void* value, std::size_t size_bytes,
                     int flags = 0) noexcept {
  return raw_int(__NR_fsetxattr, fd, name, value, size_bytes, flags);
}
/// getdents64(2): the bytes written, 0 at the end.
inline int getdents64(int fd, void* buffer, std::size_t size_bytes) noexcept {
  return raw_int(__NR_getdents64, fd, buffer, size_bytes);
}
/// name_to_handle_at(2); the handle's bytes follow its header in memory.
inline int name_to_handle_at(int dirfd, const char* path, file_handle* handle, int* mount_id,
                             AtFlags flags) noexcept {
  return raw_int(__NR_name_to_handle_at, dirfd, path, handle, mount_id, flags);
}
/// open_by_handle_at(2); `mount_fd` may be kFdNsfsRoot (6.18).
inline int open_by_handle_at(int mount_fd, file_handle* handle, OpenFlags flags) noexcept {
  return raw_int(__NR_open_by_handle_at, mount_fd, handle, flags);
}
/// inotify_init1(2).
inline int inotify_init1(FdFlags flags) noexcept { return raw_int(__NR_inotify_init1, flags); }
/// inotify_add_watch(2): a watch descriptor.
inline int inotify_add_watch(int fd, const char* path, InotifyMask mask) noexcept {
  return raw_int(__NR_inotify_add_watch, fd, path, mask);
}
/// inotify_rm_watch(2).
inline int inotify_rm_watch(int fd, int watch) noexcept {
  return raw_int(__NR_inotify_rm_watch, fd, watch);
}

}  // namespace isle::sys
