// Files and directories copied, by descriptor all the way: nothing is followed.
#include <linux/errno.h>

#include "exec/context.h"
#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle::exec {
namespace {

constexpr int kDeepest = 32;  // a frame is 2 KiB, and the stack 96
constexpr std::size_t kEntriesBytes = 1024;
constexpr std::size_t kLinkBytes = 512;
constexpr std::uint32_t kPermissions = 07777;

/// struct linux_dirent64.
struct Entry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t size_bytes;
  std::uint8_t type;
  char name[1];
};

constexpr auto kReadDirectory = sys::OpenFlags::rdonly | sys::OpenFlags::directory |
                                sys::OpenFlags::nofollow | sys::OpenFlags::cloexec;

long copy_bytes(int from, int to) noexcept {
  for (;;) {
    const long copied = sys::sendfile(to, from, nullptr, 1U << 20);
    if (copied == -EINTR) continue;
    if (copied <= 0) return copied;
  }
}

long copy_file(int from, int to, const char* name, std::uint32_t mode) noexcept {
  const int source = sys::openat(from, name,
                                 sys::OpenFlags::rdonly | sys::OpenFlags::nofollow |
                                     sys::OpenFlags::noctty | sys::OpenFlags::cloexec);
  if (source < 0) return source;
  const int target =
      sys::openat(to, name,
                  sys::OpenFlags::wronly | sys::OpenFlags::creat | sys::OpenFlags::excl |
                      sys::OpenFlags::nofollow | sys::OpenFlags::cloexec,
                  mode);
  long result = target < 0 ? target : copy_bytes(source, target);
  if (target >= 0) sys::close(target);
  sys::close(source);
  return result;
}

long copy_link_in(int from, int to, const char* name) noexcept {
  char target[kLinkBytes];
  const int size = sys::readlinkat(from, name, target, sizeof target);
  if (size < 0) return size;
  if (static_cast<std::size_t>(size) == sizeof target) return -ENAMETOOLONG;
  target[size] = '\0';
  return sys::symlinkat(target, to, name);
}

long copy_entries(int from, int to, int depth) noexcept;

long copy_directory(int from, int to, const char* name, std::uint32_t mode, int depth) noexcept {
  long result = sys::mkdirat(to, name, mode);
  if (result < 0) return result;
  const int source = sys::openat(from, name, kReadDirectory);
  if (source < 0) return source;
  const int target = sys::openat(to, name, kReadDirectory);
  result = target < 0 ? target : copy_entries(source, target, depth + 1);
  if (target >= 0) sys::close(target);
  sys::close(source);
  return result;
}

/// Owner and mode last: a chown takes set-id bits away.
long copy_entry(int from, int to, const char* name, int depth) noexcept {
  sys::statx_t stat;
  long result =
      sys::statx(from, name, sys::AtFlags::symlink_nofollow, sys::StatxMask::basic_stats, &stat);
  if (result < 0) return result;
  const std::uint32_t mode = stat.stx_mode & kPermissions;
  switch (stat.stx_mode & sys::kModeTypeMask) {
    case sys::kModeDirectory:
      result = copy_directory(from, to, name, mode, depth);
      break;
    case sys::kModeRegular:
      result = copy_file(from, to, name, mode);
      break;
    case sys::kModeSymlink:
      result = copy_link_in(from, to, name);
      break;
    case sys::kModeSocket:
      return 0;
    default:
      result = sys::mknodat(to, name, stat.stx_mode,
                            sys::device_number(stat.stx_rdev_major, stat.stx_rdev_minor));
  }
  if (result < 0) return result;
  result = sys::fchownat(to, name, stat.stx_uid, stat.stx_gid, sys::AtFlags::symlink_nofollow);
  if (result < 0 || (stat.stx_mode & sys::kModeTypeMask) == sys::kModeSymlink) return result;
  return sys::fchmodat(to, name, mode);
}

long copy_entries(int from, int to, int depth) noexcept {
  if (depth > kDeepest) return -ELOOP;
  alignas(Entry) char buffer[kEntriesBytes];
  for (;;) {
    const int got = sys::getdents64(from, buffer, sizeof buffer);
    if (got <= 0) return got;
    for (int at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->size_bytes;
      const char* name = entry->name;
      if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
      if (const long result = copy_entry(from, to, name, depth); result < 0) return result;
    }
  }
}

}  // namespace

long copy_in(int source, int parent, const char* name, std::uint32_t mode) noexcept {
  const int file =
      sys::openat(parent, name,
                  sys::OpenFlags::wronly | sys::OpenFlags::creat | sys::OpenFlags::excl |
                      sys::OpenFlags::nofollow | sys::OpenFlags::cloexec,
                  mode);
  if (file < 0) return file;
  char buffer[16384];
  long result = 0;
  for (;;) {
    const long got = sys::read(source, buffer, sizeof buffer);
    if (got == -EINTR) continue;
    if (got <= 0) {
      result = got;
      break;
    }
    long done = 0;
    while (done < got && result >= 0) {
      result = sys::write(file, buffer + done, static_cast<std::size_t>(got - done));
      if (result > 0) done += result;
    }
    if (result < 0) break;
  }
  sys::close(file);
  return result < 0 ? result : 0;
}

long copy_link(const char* source, int parent, const char* name) noexcept {
  char target[4096];
  const int size = sys::readlinkat(sys::kAtFdcwd, source, target, sizeof target - 1);
  if (size < 0) return size;
  target[size] = '\0';
  return sys::symlinkat(target, parent, name);
}

long copy_tree(int root, const char* path, int to) noexcept {
  const int from = path::open_in(
      root, path, sys::OpenFlags::rdonly | sys::OpenFlags::directory | sys::OpenFlags::cloexec);
  if (from < 0) return from;
  sys::statx_t stat;
  long result = sys::statx(from, "", sys::AtFlags::empty_path, sys::StatxMask::basic_stats, &stat);
  // `to` may be an O_PATH-like mount descriptor: opened anew, to be read and written through.
  const int target = sys::openat(to, ".", kReadDirectory);
  if (target < 0) result = target;
  if (result >= 0) result = copy_entries(from, target, 0);
  if (result >= 0) result = sys::fchown(target, stat.stx_uid, stat.stx_gid);
  if (result >= 0) result = sys::fchmod(target, stat.stx_mode & kPermissions);
  if (target >= 0) sys::close(target);
  sys::close(from);
  return result;
}

}  // namespace isle::exec
