// Flags and structures of the system calls on paths, descriptors and sockets: open(2),
// openat2(2), statx(2), fcntl(2), socket(2), poll(2). Values are those of the architecture.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/flags.h"

namespace isle::sys {

/// AT_FDCWD: relative paths start at the working directory.
inline constexpr int kAtFdcwd = -100;

/// O_* of open(2).
enum class OpenFlags : std::uint32_t {
  rdonly = 0,
  wronly = 01,
  rdwr = 02,
  creat = 0100,
  excl = 0200,
  noctty = 0400,
  trunc = 01000,
  append = 02000,
  nonblock = 04000,
  dsync = 010000,
#if defined(__aarch64__)
  directory = 040000,
  nofollow = 0100000,
  direct = 0200000,
  largefile = 0400000,
#else
  direct = 040000,
  largefile = 0100000,
  directory = 0200000,
  nofollow = 0400000,
#endif
  noatime = 01000000,
  cloexec = 02000000,
  sync = 04010000,
  path = 010000000,
  tmpfile = 020000000 | directory,
};
template <>
inline constexpr bool is_flag_set<OpenFlags> = true;

/// RESOLVE_* of openat2(2).
enum class Resolve : std::uint32_t {
  none = 0,
  no_xdev = 0x01,
  no_magiclinks = 0x02,
  no_symlinks = 0x04,
  beneath = 0x08,
  in_root = 0x10,
  cached = 0x20,  // 5.12
};
template <>
inline constexpr bool is_flag_set<Resolve> = true;

/// Argument of openat2(2), first version.
struct open_how {
  std::uint64_t flags = 0;
  std::uint64_t mode = 0;  // 0 unless creat or tmpfile
  std::uint64_t resolve = 0;
};
static_assert(sizeof(open_how) == 24);

/// AT_* flags. 0x200 is AT_EACCESS for faccessat2, AT_REMOVEDIR for unlinkat and
/// AT_HANDLE_FID for name_to_handle_at.
enum class AtFlags : std::uint32_t {
  none = 0,
  symlink_nofollow = 0x100,
  removedir = 0x200,
  eaccess = 0x200,
  handle_fid = 0x200,  // 6.5
  symlink_follow = 0x400,
  no_automount = 0x800,
  empty_path = 0x1000,
  statx_force_sync = 0x2000,
  statx_dont_sync = 0x4000,
  recursive = 0x8000,
  execve_check = 0x10000,  // 6.14
};
template <>
inline constexpr bool is_flag_set<AtFlags> = true;

/// Mode argument of faccessat2(2).
enum class Access : std::uint32_t { f_ok = 0, x_ok = 1, w_ok = 2, r_ok = 4 };
template <>
inline constexpr bool is_flag_set<Access> = true;

/// RENAME_* of renameat2(2).
enum class RenameFlags : std::uint32_t { none = 0, noreplace = 1, exchange = 2, whiteout = 4 };
template <>
inline constexpr bool is_flag_set<RenameFlags> = true;

/// File type bits of st_mode.
inline constexpr std::uint32_t kModeTypeMask = 0170000;
inline constexpr std::uint32_t kModeSocket = 0140000;
inline constexpr std::uint32_t kModeSymlink = 0120000;
inline constexpr std::uint32_t kModeRegular = 0100000;
inline constexpr std::uint32_t kModeBlock = 0060000;
inline constexpr std::uint32_t kModeDirectory = 0040000;
inline constexpr std::uint32_t kModeCharacter = 0020000;
inline constexpr std::uint32_t kModeFifo = 0010000;

/// Bits of statx_t::stx_mask.
enum class StatxMask : std::uint32_t {
  none = 0,
  type = 0x1,
  mode = 0x2,
  nlink = 0x4,
  uid = 0x8,
  gid = 0x10,
  atime = 0x20,
  mtime = 0x40,
  ctime = 0x80,
  ino = 0x100,
  size = 0x200,
  blocks = 0x400,
  basic_stats = 0x7ff,
  btime = 0x800,
  mnt_id = 0x1000,         // 5.8
  dioalign = 0x2000,       // 6.1
  mnt_id_unique = 0x4000,  // 6.8
  subvol = 0x8000,         // 6.10
};
template <>
inline constexpr bool is_flag_set<StatxMask> = true;
/// Bits of statx_t::stx_attributes.
inline constexpr std::uint64_t kStatxAttrMountRoot = 0x2000;

struct statx_timestamp {
  std::int64_t tv_sec = 0;
  std::uint32_t tv_nsec = 0;
  std::int32_t reserved = 0;
};
/// Answer of statx(2), struct statx in the kernel.
struct statx_t {
  std::uint32_t stx_mask = 0;
  std::uint32_t stx_blksize = 0;
  std::uint64_t stx_attributes = 0;
  std::uint32_t stx_nlink = 0;
  std::uint32_t stx_uid = 0;
  std::uint32_t stx_gid = 0;
  std::uint16_t stx_mode = 0;
  std::uint16_t spare0 = 0;
  std::uint64_t stx_ino = 0;
  std::uint64_t stx_size = 0;
  std::uint64_t stx_blocks = 0;
  std::uint64_t stx_attributes_mask = 0;
  statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
  std::uint32_t stx_rdev_major = 0, stx_rdev_minor = 0;
  std::uint32_t stx_dev_major = 0, stx_dev_minor = 0;
  std::uint64_t stx_mnt_id = 0;
  std::uint64_t rest[13] = {};
};
static_assert(sizeof(statx_t) == 256 && offsetof(statx_t, stx_mnt_id) == 0x90);

/// Answer of fstatfs(2), struct statfs in the kernel.
struct statfs_t {
  std::int64_t f_type = 0;  // a magic number of <linux/magic.h>
  std::int64_t f_bsize = 0;
  std::uint64_t f_blocks = 0, f_bfree = 0, f_bavail = 0, f_files = 0, f_ffree = 0;
  std::int32_t f_fsid[2] = {};
  std::int64_t f_namelen = 0, f_frsize = 0, f_flags = 0;
  std::int64_t f_spare[4] = {};
};
static_assert(sizeof(statfs_t) == 120);
/// f_type of some file systems, <linux/magic.h>.
inline constexpr std::int64_t kProcSuperMagic = 0x9fa0;
inline constexpr std::int64_t kSysfsMagic = 0x62656572;
inline constexpr std::int64_t kNsfsMagic = 0x6e736673;
inline constexpr std::int64_t kPidfsMagic = 0x50494446;  // 6.9
inline constexpr std::int64_t kTmpfsMagic = 0x01021994;
inline constexpr std::int64_t kRamfsMagic = 0x858458f6;
inline constexpr std::int64_t kDevptsSuperMagic = 0x1cd1;
inline constexpr std::int64_t kOverlayfsSuperMagic = 0x794c7630;
inline constexpr std::int64_t kCgroupSuperMagic = 0x27e0eb;
inline constexpr std::int64_t kCgroup2SuperMagic = 0x63677270;
inline constexpr std::int64_t kFuseSuperMagic = 0x65735546;
inline constexpr std::int64_t kNfsSuperMagic = 0x6969;

/// A device number as mknodat(2) takes it (new_encode_dev in the kernel).
constexpr std::uint32_t device_number(std::uint32_t major_number,
                                      std::uint32_t minor_number) noexcept {
  return (minor_number & 0xff) | (major_number << 8) | ((minor_number & ~0xffU) << 12);
}

/// Commands of fcntl(2).
enum class Fcntl : int {
  dupfd = 0,
  getfd = 1,
  setfd = 2,
  getfl = 3,
  setfl = 4,
  ofd_setlk = 37,
  ofd_setlkw = 38,
  dupfd_query = 1027,  // 6.10
  dupfd_cloexec = 1030,
  setpipe_sz = 1031,
  add_seals = 1033,
  get_seals = 1034,
};
inline constexpr int kFdCloexec = 1;
/// Seals of a memfd, fcntl(F_ADD_SEALS).
enum class Seals : std::uint32_t {
  none = 0,
  seal = 1,
  shrink = 2,
  grow = 4,
  write = 8,
  future_write = 16,
  exec = 32,  // 6.3
};
template <>
inline constexpr bool is_flag_set<Seals> = true;

/// Flags of close_range(2).
enum class CloseRange : std::uint32_t { none = 0, unshare = 2, cloexec = 4 };
template <>
inline constexpr bool is_flag_set<CloseRange> = true;

/// Directory record of getdents64(2); d_name follows, NUL-terminated.
struct linux_dirent64 {
  std::uint64_t d_ino = 0;
  std::int64_t d_off = 0;
  std::uint16_t d_reclen = 0;
  std::uint8_t d_type = 0;  // 4 directory, 8 regular, 10 symlink
};
/// Where d_name starts in a record.
inline constexpr std::size_t kDirentNameOffset = 19;
static_assert(offsetof(linux_dirent64, d_type) + 1 == kDirentNameOffset);

/// Header of name_to_handle_at(2)'s file handle; handle_bytes bytes follow.
struct file_handle {
  std::uint32_t handle_bytes = 0;
  std::int32_t handle_type = 0;
};
static_assert(sizeof(file_handle) == 8);
/// MAX_HANDLE_SZ: no handle has more bytes.
inline constexpr std::size_t kMaxHandleBytes = 128;

struct iovec {
  void* iov_base = nullptr;
  std::size_t iov_len = 0;
};
struct msghdr {
  void* msg_name = nullptr;
  std::int32_t msg_namelen = 0;
  iovec* msg_iov = nullptr;
  std::size_t msg_iovlen = 0;
  void* msg_control = nullptr;
  std::size_t msg_controllen = 0;
  std::uint32_t msg_flags = 0;
};
static_assert(sizeof(msghdr) == 56);
/// Header of one control message; data follows at 16 bytes, each message starts at 8-byte steps.
struct cmsghdr {
  std::size_t cmsg_len = 0;
  std::int32_t cmsg_level = 0;
  std::int32_t cmsg_type = 0;
};
static_assert(sizeof(cmsghdr) == 16);
inline constexpr int kSolSocket = 1;
inline constexpr int kScmRights = 1;
inline constexpr int kScmCredentials = 2;

enum class AddressFamily : int { unspec = 0, unix_ = 1, inet = 2, inet6 = 10, netlink = 16 };
/// Type of socket(2), with its two flags.
enum class SocketType : std::uint32_t {
  stream = 1,
  dgram = 2,
  raw = 3,
  seqpacket = 5,
  nonblock = 04000,
  cloexec = 02000000,
};
template <>
inline constexpr bool is_flag_set<SocketType> = true;
enum class MsgFlags : std::uint32_t {
  none = 0,
  oob = 1,
  peek = 2,
  ctrunc = 8,
  trunc = 0x20,
  dontwait = 0x40,
  waitall = 0x100,
  nosignal = 0x4000,
  cmsg_cloexec = 0x40000000,
};
template <>
inline constexpr bool is_flag_set<MsgFlags> = true;

struct pollfd {
  std::int32_t fd = -1;
  std::int16_t events = 0;
  std::int16_t revents = 0;
};
inline constexpr std::int16_t kPollIn = 1;
inline constexpr std::int16_t kPollOut = 4;
inline constexpr std::int16_t kPollErr = 8;
inline constexpr std::int16_t kPollHup = 16;

/// Flags shared by eventfd2, signalfd4, timerfd_create, pipe2, dup3, epoll_create1, inotify_init1.
enum class FdFlags : std::uint32_t {
  none = 0,
  semaphore = 1,
  nonblock = 04000,
  cloexec = 02000000
};
template <>
inline constexpr bool is_flag_set<FdFlags> = true;

enum class EpollOp : int { add = 1, del = 2, mod = 3 };
#if defined(__x86_64__)
struct [[gnu::packed]] epoll_event {
#else
struct epoll_event {
#endif
  std::uint32_t events = 0;
  std::uint64_t data = 0;
};

/// Bits of inotify_add_watch(2) and of inotify_event::mask.
enum class InotifyMask : std::uint32_t {
  none = 0,
  modify = 0x2,
  attrib = 0x4,
  close_write = 0x8,
  moved_from = 0x40,
  moved_to = 0x80,
  create = 0x100,
  delete_ = 0x200,
  delete_self = 0x400,
  onlydir = 0x01000000,
};
template <>
inline constexpr bool is_flag_set<InotifyMask> = true;

}  // namespace isle::sys
