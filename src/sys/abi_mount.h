// Flags and structures of the mount system calls, old and new: mount(2), umount2(2),
// open_tree(2), move_mount(2), fsopen(2), mount_setattr(2), statmount(2), listmount(2).
// Our own because <linux/mount.h> and glibc's <sys/mount.h> cannot be included together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/flags.h"

namespace isle::sys {

/// MS_* of mount(2); the propagation types also go into mount_attr::propagation.
enum class MountFlags : std::uint32_t {
  none = 0,
  rdonly = 1,
  nosuid = 2,
  nodev = 4,
  noexec = 8,
  synchronous = 16,
  remount = 32,
  mandlock = 64,
  dirsync = 128,
  nosymfollow = 256,  // 5.10
  noatime = 1024,
  nodiratime = 2048,
  bind = 4096,
  move = 8192,
  rec = 16384,
  silent = 32768,
  posixacl = 1 << 16,
  unbindable = 1 << 17,
  private_ = 1 << 18,
  slave = 1 << 19,
  shared = 1 << 20,
  relatime = 1 << 21,
  i_version = 1 << 23,
  strictatime = 1 << 24,
  lazytime = 1 << 25,
};
template <>
inline constexpr bool is_flag_set<MountFlags> = true;

/// Flags of umount2(2).
enum class UmountFlags : std::uint32_t {
  none = 0,
  force = 1,
  detach = 2,
  expire = 4,
  nofollow = 8,  // UMOUNT_NOFOLLOW
};
template <>
inline constexpr bool is_flag_set<UmountFlags> = true;

/// Flags of open_tree(2); the AT_* ones are those it takes.
enum class OpenTree : std::uint32_t {
  none = 0,
  clone = 1,
  namespace_ = 2,  // 7.0: the clone becomes the root of a new mount namespace
  symlink_nofollow = 0x100,
  no_automount = 0x800,
  empty_path = 0x1000,
  recursive = 0x8000,
  cloexec = 02000000,
};
template <>
inline constexpr bool is_flag_set<OpenTree> = true;

/// Flags of move_mount(2); F_ is the source, T_ the target.
enum class MoveMount : std::uint32_t {
  none = 0,
  f_symlinks = 0x001,
  f_automounts = 0x002,
  f_empty_path = 0x004,
  t_symlinks = 0x010,
  t_automounts = 0x020,
  t_empty_path = 0x040,
  set_group = 0x100,  // 5.15
  beneath = 0x200,    // 6.5
};
template <>
inline constexpr bool is_flag_set<MoveMount> = true;

enum class FsopenFlags : std::uint32_t { none = 0, cloexec = 1 };
template <>
inline constexpr bool is_flag_set<FsopenFlags> = true;

enum class FspickFlags : std::uint32_t {
  none = 0,
  cloexec = 1,
  symlink_nofollow = 2,
  no_automount = 4,
  empty_path = 8,
};
template <>
inline constexpr bool is_flag_set<FspickFlags> = true;

enum class FsmountFlags : std::uint32_t {
  none = 0,
  cloexec = 1,
  namespace_ = 2,  // 7.1
};
template <>
inline constexpr bool is_flag_set<FsmountFlags> = true;

/// Command of fsconfig(2).
enum class Fsconfig : std::uint32_t {
  set_flag = 0,
  set_string = 1,
  set_binary = 2,
  set_path = 3,
  set_path_empty = 4,
  set_fd = 5,
  cmd_create = 6,
  cmd_reconfigure = 7,
  cmd_create_excl = 8,  // 6.6
};

/// MOUNT_ATTR_* of mount_setattr(2) and fsmount(2). The three atime bits are one field: to set
/// one, put `atime` into attr_clr.
enum class MountAttr : std::uint64_t {
  none = 0,
  rdonly = 0x01,
  nosuid = 0x02,
  nodev = 0x04,
  noexec = 0x08,
  relatime = 0,
  noatime = 0x10,
  strictatime = 0x20,
  atime = 0x70,  // MOUNT_ATTR__ATIME, the field's mask
  nodiratime = 0x80,
  idmap = 0x00100000,        // 5.12
  nosymfollow = 0x00200000,  // 5.14
};
template <>
inline constexpr bool is_flag_set<MountAttr> = true;

/// Argument of mount_setattr(2), first version (5.12).
struct mount_attr {
  std::uint64_t attr_set = 0;
  std::uint64_t attr_clr = 0;
  std::uint64_t propagation = 0;  // one of MountFlags' four, or 0 to leave it
  std::uint64_t userns_fd = 0;    // with MountAttr::idmap
};
static_assert(sizeof(mount_attr) == 32);

/// Argument of statmount(2) and listmount(2), second version (6.11).
struct mnt_id_req {
  std::uint32_t size = 32;
  std::uint32_t mnt_ns_fd = 0;  // 6.18; 0 for none
  std::uint64_t mnt_id = 0;     // unique id, or kLsmtRoot
  std::uint64_t param = 0;      // statmount: StatmountMask; listmount: last id seen, or 0
  std::uint64_t mnt_ns_id = 0;  // 6.11; 0 for the caller's
};
static_assert(sizeof(mnt_id_req) == 32);
inline constexpr std::uint64_t kLsmtRoot = ~std::uint64_t{0};
/// Flag of listmount(2): later mounts first. Linux 6.12.
inline constexpr std::uint32_t kListmountReverse = 1;

enum class StatmountMask : std::uint64_t {
  none = 0,
  sb_basic = 0x1,
  mnt_basic = 0x2,
  propagate_from = 0x4,
  mnt_root = 0x8,
  mnt_point = 0x10,
  fs_type = 0x20,
  mnt_ns_id = 0x40,         // 6.11
  mnt_opts = 0x80,          // 6.11
  fs_subtype = 0x100,       // 6.13
  sb_source = 0x200,        // 6.13
  opt_array = 0x400,        // 6.13
  opt_sec_array = 0x800,    // 6.13
  supported_mask = 0x1000,  // 6.15
  mnt_uidmap = 0x2000,      // 6.15
  mnt_gidmap = 0x4000,      // 6.15
};
template <>
inline constexpr bool is_flag_set<StatmountMask> = true;

/// Answer of statmount(2), struct statmount in the kernel. Fields marked [str] are offsets into
/// the text that follows the structure.
struct statmount_t {
  std::uint32_t size = 0;
  std::uint32_t mnt_opts = 0;  // [str]
  std::uint64_t mask = 0;
  std::uint32_t sb_dev_major = 0, sb_dev_minor = 0;
  std::uint64_t sb_magic = 0;
  std::uint32_t sb_flags = 0;
  std::uint32_t fs_type = 0;  // [str]
  std::uint64_t mnt_id = 0, mnt_parent_id = 0;
  std::uint32_t mnt_id_old = 0, mnt_parent_id_old = 0;
  std::uint64_t mnt_attr = 0;  // MountAttr
  std::uint64_t mnt_propagation = 0;
  std::uint64_t mnt_peer_group = 0, mnt_master = 0, propagate_from = 0;
  std::uint32_t mnt_root = 0, mnt_point = 0;  // [str]
  std::uint64_t mnt_ns_id = 0;
  std::uint32_t fs_subtype = 0, sb_source = 0;  // [str]
  std::uint32_t opt_num = 0, opt_array = 0;
  std::uint32_t opt_sec_num = 0, opt_sec_array = 0;
  std::uint64_t supported_mask = 0;
  std::uint32_t mnt_uidmap_num = 0, mnt_uidmap = 0;
  std::uint32_t mnt_gidmap_num = 0, mnt_gidmap = 0;
  std::uint64_t spare[43] = {};
};
static_assert(sizeof(statmount_t) == 512 && offsetof(statmount_t, supported_mask) == 0x90);

/// Answer of NS_MNT_GET_INFO, _NEXT and _PREV.
struct mnt_ns_info {
  std::uint32_t size = 16;
  std::uint32_t nr_mounts = 0;
  std::uint64_t mnt_ns_id = 0;
};
static_assert(sizeof(mnt_ns_info) == 16);

/// Body of an nsfs file handle (type 0xf1), for open_by_handle_at(2) with kFdNsfsRoot. Linux 6.18
/// answers ESTALE unless all three are right; from 6.19 ns_type and ns_inum may be 0.
struct nsfs_file_handle {
  std::uint64_t ns_id = 0;
  std::uint32_t ns_type = 0;
  std::uint32_t ns_inum = 0;
};
static_assert(sizeof(nsfs_file_handle) == 16);
inline constexpr int kFileidNsfs = 0xf1;

/// Argument of listns(2), Linux 6.19.
struct ns_id_req {
  std::uint32_t size = 32;
  std::uint32_t spare = 0;
  std::uint64_t ns_id = 0;  // the last one seen, or 0
  std::uint32_t ns_type = 0;
  std::uint32_t spare2 = 0;
  std::uint64_t user_ns_id = 0;  // owner, 0 for any, ~0 for the caller's
};
static_assert(sizeof(ns_id_req) == 32);

}  // namespace isle::sys
