// The tables of flag names, and printing by them. An entry of several bits stands before
// entries of its parts.
#include "sys/flag_names.h"

#include <algorithm>
#include <charconv>

namespace isle::sys {
namespace {

constexpr FlagName kCloneEntries[] = {
    {bits(CloneFlags::newtime), "NEWTIME"},
    {bits(CloneFlags::vm), "VM"},
    {bits(CloneFlags::fs), "FS"},
    {bits(CloneFlags::files), "FILES"},
    {bits(CloneFlags::sighand), "SIGHAND"},
    {bits(CloneFlags::pidfd), "PIDFD"},
    {bits(CloneFlags::ptrace), "PTRACE"},
    {bits(CloneFlags::vfork), "VFORK"},
    {bits(CloneFlags::parent), "PARENT"},
    {bits(CloneFlags::thread), "THREAD"},
    {bits(CloneFlags::newns), "NEWNS"},
    {bits(CloneFlags::sysvsem), "SYSVSEM"},
    {bits(CloneFlags::settls), "SETTLS"},
    {bits(CloneFlags::parent_settid), "PARENT_SETTID"},
    {bits(CloneFlags::child_cleartid), "CHILD_CLEARTID"},
    {bits(CloneFlags::untraced), "UNTRACED"},
    {bits(CloneFlags::child_settid), "CHILD_SETTID"},
    {bits(CloneFlags::newcgroup), "NEWCGROUP"},
    {bits(CloneFlags::newuts), "NEWUTS"},
    {bits(CloneFlags::newipc), "NEWIPC"},
    {bits(CloneFlags::newuser), "NEWUSER"},
    {bits(CloneFlags::newpid), "NEWPID"},
    {bits(CloneFlags::newnet), "NEWNET"},
    {bits(CloneFlags::io), "IO"},
    {bits(CloneFlags::clear_sighand), "CLEAR_SIGHAND"},
    {bits(CloneFlags::into_cgroup), "INTO_CGROUP"},
    {bits(CloneFlags::autoreap), "AUTOREAP"},
    {bits(CloneFlags::nnp), "NNP"},
    {bits(CloneFlags::pidfd_autokill), "PIDFD_AUTOKILL"},
    {bits(CloneFlags::empty_mntns), "EMPTY_MNTNS"},
};

constexpr FlagName kOpenEntries[] = {
    {bits(OpenFlags::sync), "O_SYNC"},           {bits(OpenFlags::tmpfile), "O_TMPFILE"},
    {bits(OpenFlags::wronly), "O_WRONLY"},       {bits(OpenFlags::rdwr), "O_RDWR"},
    {bits(OpenFlags::creat), "O_CREAT"},         {bits(OpenFlags::excl), "O_EXCL"},
    {bits(OpenFlags::noctty), "O_NOCTTY"},       {bits(OpenFlags::trunc), "O_TRUNC"},
    {bits(OpenFlags::append), "O_APPEND"},       {bits(OpenFlags::nonblock), "O_NONBLOCK"},
    {bits(OpenFlags::dsync), "O_DSYNC"},         {bits(OpenFlags::directory), "O_DIRECTORY"},
    {bits(OpenFlags::nofollow), "O_NOFOLLOW"},   {bits(OpenFlags::direct), "O_DIRECT"},
    {bits(OpenFlags::largefile), "O_LARGEFILE"}, {bits(OpenFlags::noatime), "O_NOATIME"},
    {bits(OpenFlags::cloexec), "O_CLOEXEC"},     {bits(OpenFlags::path), "O_PATH"},
};

constexpr FlagName kResolveEntries[] = {
    {bits(Resolve::no_xdev), "RESOLVE_NO_XDEV"},
    {bits(Resolve::no_magiclinks), "RESOLVE_NO_MAGICLINKS"},
    {bits(Resolve::no_symlinks), "RESOLVE_NO_SYMLINKS"},
    {bits(Resolve::beneath), "RESOLVE_BENEATH"},
    {bits(Resolve::in_root), "RESOLVE_IN_ROOT"},
    {bits(Resolve::cached), "RESOLVE_CACHED"},
};

constexpr FlagName kAtEntries[] = {
    {bits(AtFlags::symlink_nofollow), "AT_SYMLINK_NOFOLLOW"},
    {bits(AtFlags::removedir), "AT_REMOVEDIR"},
    {bits(AtFlags::symlink_follow), "AT_SYMLINK_FOLLOW"},
    {bits(AtFlags::no_automount), "AT_NO_AUTOMOUNT"},
    {bits(AtFlags::empty_path), "AT_EMPTY_PATH"},
    {bits(AtFlags::statx_force_sync), "AT_STATX_FORCE_SYNC"},
    {bits(AtFlags::statx_dont_sync), "AT_STATX_DONT_SYNC"},
    {bits(AtFlags::recursive), "AT_RECURSIVE"},
    {bits(AtFlags::execve_check), "AT_EXECVE_CHECK"},
};

constexpr FlagName kOpenTreeEntries[] = {
    {bits(OpenTree::clone), "OPEN_TREE_CLONE"},
    {bits(OpenTree::namespace_), "OPEN_TREE_NAMESPACE"},
    {bits(OpenTree::symlink_nofollow), "AT_SYMLINK_NOFOLLOW"},
    {bits(OpenTree::no_automount), "AT_NO_AUTOMOUNT"},
    {bits(OpenTree::empty_path), "AT_EMPTY_PATH"},
    {bits(OpenTree::recursive), "AT_RECURSIVE"},
    {bits(OpenTree::cloexec), "OPEN_TREE_CLOEXEC"},
};

constexpr FlagName kMoveMountEntries[] = {
    {bits(MoveMount::f_symlinks), "MOVE_MOUNT_F_SYMLINKS"},
    {bits(MoveMount::f_automounts), "MOVE_MOUNT_F_AUTOMOUNTS"},
    {bits(MoveMount::f_empty_path), "MOVE_MOUNT_F_EMPTY_PATH"},
    {bits(MoveMount::t_symlinks), "MOVE_MOUNT_T_SYMLINKS"},
    {bits(MoveMount::t_automounts), "MOVE_MOUNT_T_AUTOMOUNTS"},
    {bits(MoveMount::t_empty_path), "MOVE_MOUNT_T_EMPTY_PATH"},
    {bits(MoveMount::set_group), "MOVE_MOUNT_SET_GROUP"},
    {bits(MoveMount::beneath), "MOVE_MOUNT_BENEATH"},
};

constexpr FlagName kFsopenEntries[] = {
    {bits(FsopenFlags::cloexec), "FSOPEN_CLOEXEC"},
};

constexpr FlagName kFspickEntries[] = {
    {bits(FspickFlags::cloexec), "FSPICK_CLOEXEC"},
    {bits(FspickFlags::symlink_nofollow), "FSPICK_SYMLINK_NOFOLLOW"},
    {bits(FspickFlags::no_automount), "FSPICK_NO_AUTOMOUNT"},
    {bits(FspickFlags::empty_path), "FSPICK_EMPTY_PATH"},
};

constexpr FlagName kFsmountEntries[] = {
    {bits(FsmountFlags::cloexec), "FSMOUNT_CLOEXEC"},
    {bits(FsmountFlags::namespace_), "FSMOUNT_NAMESPACE"},
};

constexpr FlagName kMountAttrEntries[] = {
    {bits(MountAttr::atime), "MOUNT_ATTR__ATIME"},
    {bits(MountAttr::rdonly), "MOUNT_ATTR_RDONLY"},
    {bits(MountAttr::nosuid), "MOUNT_ATTR_NOSUID"},
    {bits(MountAttr::nodev), "MOUNT_ATTR_NODEV"},
    {bits(MountAttr::noexec), "MOUNT_ATTR_NOEXEC"},
    {bits(MountAttr::noatime), "MOUNT_ATTR_NOATIME"},
    {bits(MountAttr::strictatime), "MOUNT_ATTR_STRICTATIME"},
    {bits(MountAttr::nodiratime), "MOUNT_ATTR_NODIRATIME"},
    {bits(MountAttr::idmap), "MOUNT_ATTR_IDMAP"},
    {bits(MountAttr::nosymfollow), "MOUNT_ATTR_NOSYMFOLLOW"},
};

constexpr FlagName kMountEntries[] = {
    {bits(MountFlags::rdonly), "MS_RDONLY"},
    {bits(MountFlags::nosuid), "MS_NOSUID"},
    {bits(MountFlags::nodev), "MS_NODEV"},
    {bits(MountFlags::noexec), "MS_NOEXEC"},
    {bits(MountFlags::synchronous), "MS_SYNCHRONOUS"},
    {bits(MountFlags::remount), "MS_REMOUNT"},
    {bits(MountFlags::mandlock), "MS_MANDLOCK"},
    {bits(MountFlags::dirsync), "MS_DIRSYNC"},
    {bits(MountFlags::nosymfollow), "MS_NOSYMFOLLOW"},
    {bits(MountFlags::noatime), "MS_NOATIME"},
    {bits(MountFlags::nodiratime), "MS_NODIRATIME"},
    {bits(MountFlags::bind), "MS_BIND"},
    {bits(MountFlags::move), "MS_MOVE"},
    {bits(MountFlags::rec), "MS_REC"},
    {bits(MountFlags::silent), "MS_SILENT"},
    {bits(MountFlags::posixacl), "MS_POSIXACL"},
    {bits(MountFlags::unbindable), "MS_UNBINDABLE"},
    {bits(MountFlags::private_), "MS_PRIVATE"},
    {bits(MountFlags::slave), "MS_SLAVE"},
    {bits(MountFlags::shared), "MS_SHARED"},
    {bits(MountFlags::relatime), "MS_RELATIME"},
    {bits(MountFlags::i_version), "MS_I_VERSION"},
    {bits(MountFlags::strictatime), "MS_STRICTATIME"},
    {bits(MountFlags::lazytime), "MS_LAZYTIME"},
};

constexpr FlagName kUmountEntries[] = {
    {bits(UmountFlags::force), "MNT_FORCE"},
    {bits(UmountFlags::detach), "MNT_DETACH"},
    {bits(UmountFlags::expire), "MNT_EXPIRE"},
    {bits(UmountFlags::nofollow), "UMOUNT_NOFOLLOW"},
};

constexpr FlagName kCloseRangeEntries[] = {
    {bits(CloseRange::unshare), "CLOSE_RANGE_UNSHARE"},
    {bits(CloseRange::cloexec), "CLOSE_RANGE_CLOEXEC"},
};

constexpr FlagName kSeccompEntries[] = {
    {bits(SeccompFlags::tsync), "SECCOMP_FILTER_FLAG_TSYNC"},
    {bits(SeccompFlags::log), "SECCOMP_FILTER_FLAG_LOG"},
    {bits(SeccompFlags::spec_allow), "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
    {bits(SeccompFlags::new_listener), "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
    {bits(SeccompFlags::tsync_esrch), "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"},
    {bits(SeccompFlags::wait_killable_recv), "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
};

constexpr FlagName kFsconfigEntries[] = {
    {static_cast<std::uint64_t>(Fsconfig::set_flag), "FSCONFIG_SET_FLAG"},
    {static_cast<std::uint64_t>(Fsconfig::set_string), "FSCONFIG_SET_STRING"},
    {static_cast<std::uint64_t>(Fsconfig::set_binary), "FSCONFIG_SET_BINARY"},
    {static_cast<std::uint64_t>(Fsconfig::set_path), "FSCONFIG_SET_PATH"},
    {static_cast<std::uint64_t>(Fsconfig::set_path_empty), "FSCONFIG_SET_PATH_EMPTY"},
    {static_cast<std::uint64_t>(Fsconfig::set_fd), "FSCONFIG_SET_FD"},
    {static_cast<std::uint64_t>(Fsconfig::cmd_create), "FSCONFIG_CMD_CREATE"},
    {static_cast<std::uint64_t>(Fsconfig::cmd_reconfigure), "FSCONFIG_CMD_RECONFIGURE"},
    {static_cast<std::uint64_t>(Fsconfig::cmd_create_excl), "FSCONFIG_CMD_CREATE_EXCL"},
};

void append_hex(std::string& text, std::uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  text.append("0x").append(digits, end);
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  return std::ranges::equal(a, b, {}, upper, upper);
}

}  // namespace

constinit const FlagTable kCloneFlagNames = kCloneEntries;
constinit const FlagTable kOpenFlagNames = kOpenEntries;
constinit const FlagTable kResolveNames = kResolveEntries;
constinit const FlagTable kAtFlagNames = kAtEntries;
constinit const FlagTable kOpenTreeNames = kOpenTreeEntries;
constinit const FlagTable kMoveMountNames = kMoveMountEntries;
constinit const FlagTable kFsopenFlagNames = kFsopenEntries;
constinit const FlagTable kFspickFlagNames = kFspickEntries;
constinit const FlagTable kFsmountFlagNames = kFsmountEntries;
constinit const FlagTable kMountAttrNames = kMountAttrEntries;
constinit const FlagTable kMountFlagNames = kMountEntries;
constinit const FlagTable kUmountFlagNames = kUmountEntries;
constinit const FlagTable kCloseRangeNames = kCloseRangeEntries;
constinit const FlagTable kSeccompFlagNames = kSeccompEntries;
constinit const FlagTable kFsconfigNames = kFsconfigEntries;

std::string flags_to_text(FlagTable table, std::uint64_t value, std::string_view none) {
  if (value == 0) return std::string(none);
  std::string text;
  for (const auto& [bits, name] : table) {
    if (bits == 0 || (value & bits) != bits) continue;
    if (!text.empty()) text += '|';
    text += name;
    value &= ~bits;
  }
  if (value != 0) {
    if (!text.empty()) text += '|';
    append_hex(text, value);
  }
  return text;
}

std::optional<std::uint64_t> parse_flag(FlagTable table, std::string_view name,
                                        std::string_view prefix) {
  for (const auto& entry : table) {
    std::string_view known = entry.name;
    if (equal_in_any_case(known, name)) return entry.value;
    if (prefix.empty() || !known.starts_with(prefix)) continue;
    known.remove_prefix(prefix.size());
    if (equal_in_any_case(known, name)) return entry.value;
  }
  return std::nullopt;
}

std::string to_text(OpenFlags flags) {
  constexpr OpenFlags kAccessMode = OpenFlags::wronly | OpenFlags::rdwr;
  std::string text = flags_to_text(kOpenFlagNames, bits(flags), "O_RDONLY");
  if (flags == OpenFlags::rdonly || any(flags & kAccessMode) || has(flags, OpenFlags::path))
    return text;
  return "O_RDONLY|" + text;
}

std::string to_text(Fsconfig command) {
  for (const auto& entry : kFsconfigNames) {
    if (entry.value == static_cast<std::uint64_t>(command)) return std::string(entry.name);
  }
  std::string text;
  append_hex(text, static_cast<std::uint64_t>(command));
  return text;
}

std::string to_text(CloneFlags flags) { return flags_to_text(kCloneFlagNames, bits(flags)); }
std::string to_text(Resolve flags) { return flags_to_text(kResolveNames, bits(flags)); }
std::string to_text(AtFlags flags) { return flags_to_text(kAtFlagNames, bits(flags)); }
std::string to_text(OpenTree flags) { return flags_to_text(kOpenTreeNames, bits(flags)); }
std::string to_text(MoveMount flags) { return flags_to_text(kMoveMountNames, bits(flags)); }
std::string to_text(FsopenFlags flags) { return flags_to_text(kFsopenFlagNames, bits(flags)); }
std::string to_text(FspickFlags flags) { return flags_to_text(kFspickFlagNames, bits(flags)); }
std::string to_text(FsmountFlags flags) { return flags_to_text(kFsmountFlagNames, bits(flags)); }
std::string to_text(MountAttr flags) { return flags_to_text(kMountAttrNames, bits(flags)); }
std::string to_text(MountFlags flags) { return flags_to_text(kMountFlagNames, bits(flags)); }
std::string to_text(UmountFlags flags) { return flags_to_text(kUmountFlagNames, bits(flags)); }
std::string to_text(CloseRange flags) { return flags_to_text(kCloseRangeNames, bits(flags)); }
std::string to_text(SeccompFlags flags) { return flags_to_text(kSeccompFlagNames, bits(flags)); }

}  // namespace isle::sys
