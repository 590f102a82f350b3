// What is mounted where: by statmount(2) where it says everything, else by mountinfo.
//
// src/mount in general: include/isle/mount.h on the mount system calls. The executor's own steps
// (src/exec) do not come here: they may not allocate.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "isle/in.h"
#include "isle/mount.h"
#include "isle/names.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

constexpr auto kWanted = sys::StatmountMask::sb_basic | sys::StatmountMask::mnt_basic |
                         sys::StatmountMask::mnt_root | sys::StatmountMask::mnt_point |
                         sys::StatmountMask::fs_type | sys::StatmountMask::mnt_opts |
                         sys::StatmountMask::fs_subtype | sys::StatmountMask::sb_source;

/// Answers of statmount(2), each with its texts.
class Statmount {
 public:
  explicit Statmount(uint64_t namespace_id) : namespace_id_(namespace_id) {}

  /// 0 or -errno; then mount() has the answer.
  int ask(uint64_t id) {
    sys::mnt_id_req request;
    request.mnt_id = id;
    request.param = sys::bits(kWanted);
    request.mnt_ns_id = namespace_id_;
    int r = sys::statmount(&request, head(), buffer_.size());
    while (r == -EOVERFLOW) {
      buffer_.resize(buffer_.size() * 2);
      r = sys::statmount(&request, head(), buffer_.size());
    }
    return r;
  }

  /// Whether this kernel tells what mountinfo tells: the source came last, with Linux 6.13.
  [[nodiscard]] bool complete() { return has(sys::StatmountMask::sb_source); }

  [[nodiscard]] Mount mount() {
    const sys::statmount_t& from = *head();
    Mount mount;
    mount.id = from.mnt_id;
    mount.parent_id = from.mnt_parent_id;
    mount.mountinfo_id = from.mnt_id_old;
    mount.mountinfo_parent_id = from.mnt_parent_id_old;
    mount.device_major = from.sb_dev_major;
    mount.device_minor = from.sb_dev_minor;
    mount.root = text(sys::StatmountMask::mnt_root, from.mnt_root);
    mount.mount_point = text(sys::StatmountMask::mnt_point, from.mnt_point);
    mount.fs_type = text(sys::StatmountMask::fs_type, from.fs_type);
    if (const std::string subtype = text(sys::StatmountMask::fs_subtype, from.fs_subtype);
        !subtype.empty())
      mount.fs_type += '.' + subtype;
    mount.source = text(sys::StatmountMask::sb_source, from.sb_source);
    mount.options = text(sys::StatmountMask::mnt_opts, from.mnt_opts);
    mount.attributes = from.mnt_attr;
    mount.peer_group = from.mnt_peer_group;
    mount.master = from.mnt_master;
    mount.unbindable = (from.mnt_propagation & sys::bits(sys::MountFlags::unbindable)) != 0;
    return mount;
  }

 private:
  sys::statmount_t* head() { return reinterpret_cast<sys::statmount_t*>(buffer_.data()); }
  bool has(sys::StatmountMask what) { return (head()->mask & sys::bits(what)) != 0; }
  std::string text(sys::StatmountMask what, uint32_t offset) {
    return has(what) ? std::string(buffer_.data() + sizeof(sys::statmount_t) + offset)
                     : std::string();
  }

  static constexpr size_t kUsualBytes = 4096;
  uint64_t namespace_id_;
  // of u64, so that the head is aligned in it
  struct Buffer {
    std::vector<uint64_t> words = std::vector<uint64_t>(kUsualBytes / sizeof(uint64_t));
    char* data() { return reinterpret_cast<char*>(words.data()); }
    [[nodiscard]] size_t size() const { return words.size() * sizeof(uint64_t); }
    void resize(size_t bytes) { words.resize(bytes / sizeof(uint64_t)); }
  } buffer_;
};

/// The ids of all mounts, or -errno.
int list_ids(uint64_t namespace_id, std::vector<uint64_t>& ids) {
  constexpr size_t kPiece = 512;
  sys::mnt_id_req request;
  request.mnt_id = sys::kLsmtRoot;
  request.mnt_ns_id = namespace_id;
  for (;;) {
    const size_t old = ids.size();
    ids.resize(old + kPiece);
    const long got = sys::listmount(&request, ids.data() + old, kPiece);
    ids.resize(old + static_cast<size_t>(std::max(got, 0L)));
    if (got < 0) return static_cast<int>(got);
    if (static_cast<size_t>(got) < kPiece) return 0;
    request.param = ids.back();
  }
}

/// All of a namespace, 0 being the caller's. Nothing: this kernel has not got it all.
std::optional<Result<std::vector<Mount>>> by_statmount(uint64_t namespace_id) {
  std::vector<uint64_t> ids;
  if (const int r = list_ids(namespace_id, ids); r == -ENOSYS || r == -EINVAL)
    return std::nullopt;
  else if (r < 0)
    return fail(-r, "list the mounts");
  Statmount statmount(namespace_id);
  std::vector<Mount> found;
  bool complete = ids.empty();
  for (const uint64_t id : ids) {
    const int r = statmount.ask(id);
    if (r == -ENOENT) continue;  // unmounted meanwhile
    if (r < 0) return fail(-r, "look at mount " + std::to_string(id));
    complete = complete || statmount.complete();
    found.push_back(statmount.mount());
  }
  if (!complete) return std::nullopt;
  return found;
}

uint64_t attributes_of(std::string_view options) {
  uint64_t attributes = 0;
  while (!options.empty())
    if (const auto option = parse_mount_option(sys::next_part(options, ',')))
      attributes = (attributes & ~option->attributes.clear) | option->attributes.set;
  return attributes;
}

std::vector<Mount> from_mountinfo(std::string_view text) {
  std::vector<Mount> found;
  for (sys::MountEntry& entry : sys::parse_mountinfo(text)) {
    std::string_view own = entry.super_options;  // "ro" and "rw" are not the file system's words
    sys::next_part(own, ',');
    found.push_back({.id = entry.id,
                     .parent_id = entry.parent,
                     .mountinfo_id = static_cast<uint32_t>(entry.id),
                     .mountinfo_parent_id = static_cast<uint32_t>(entry.parent),
                     .device_major = entry.device_major,
                     .device_minor = entry.device_minor,
                     .root = std::move(entry.root),
                     .mount_point = std::move(entry.point),
                     .fs_type = std::move(entry.type),
                     .source = std::move(entry.source),
                     .options = std::string(own),
                     .attributes = attributes_of(entry.options),
                     .peer_group = entry.peer_group,
                     .master = entry.master,
                     .unbindable = entry.unbindable});
  }
  return found;
}

Result<std::vector<Mount>> by_mountinfo(const std::string& path) {
  const auto text = sys::read_text(path);
  if (!text) return fail(text.error(), "read " + path);
  return from_mountinfo(*text);
}

}  // namespace

Result<std::vector<Mount>> mounts() {
  if (auto found = by_statmount(0)) return std::move(*found);
  return by_mountinfo("/proc/thread-self/mountinfo");
}

Result<std::vector<Mount>> mounts(const Namespace& mount_namespace) {
  const std::string what = "list the mounts of " + mount_namespace.link_text();
  if (mount_namespace.type() != NamespaceType::mount)
    return fail(EINVAL, what, "it is no mount namespace");
  uint64_t id = 0;
  if (sys::ioctl(mount_namespace.fd().get(), sys::Ioctl::ns_get_mntns_id, &id) == 0)
    if (auto found = by_statmount(id)) return std::move(*found);
  // The caller's /proc, since there may be none inside; its "thread-self" is whoever asks.
  const int proc =
      sys::openat(sys::kAtFdcwd, "/proc", sys::OpenFlags::path | sys::OpenFlags::cloexec);
  if (proc < 0) return fail(-proc, what);
  const Fd closer(proc);
  const Result<Fd> file = in_thread(mount_namespace, [&]() -> Result<Fd> {
    const int fd = sys::openat(proc, "thread-self/mountinfo",
                               sys::OpenFlags::rdonly | sys::OpenFlags::cloexec);
    if (fd < 0) return fail(-fd, what);
    return Fd(fd);
  });
  if (!file) return std::unexpected(file.error());
  const auto text = sys::read_text(file->get());  // by no path: the thread it is of has ended
  if (!text) return fail(text.error(), what);
  return from_mountinfo(*text);
}

Result<std::vector<Mount>> mounts_of(pid_t pid) {
  return by_mountinfo("/proc/" + std::to_string(pid) + "/mountinfo");
}

Result<Mount> mount_of(const std::string& path) {
  const std::string what = "find the mount that \"" + path + "\" is on";
  sys::statx_t stat;
  const auto mask = sys::StatxMask::mnt_id | sys::StatxMask::mnt_id_unique;
  const int r = sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none, mask, &stat);
  if (r < 0) return fail(-r, what);
  const bool unique = (stat.stx_mask & sys::bits(sys::StatxMask::mnt_id_unique)) != 0;
  Result<std::vector<Mount>> all = mounts();
  if (!all) return std::unexpected(std::move(all.error()));
  // Where mountinfo was read while statx knows unique ids, ask for the other number.
  const bool listed_unique = !all->empty() && all->front().id != all->front().mountinfo_id;
  if (unique && !listed_unique) {
    sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none, sys::StatxMask::mnt_id, &stat);
  }
  const auto found = std::ranges::find(*all, stat.stx_mnt_id, &Mount::id);
  if (found == all->end()) return fail(ENOENT, what, "it is not below the caller's root directory");
  return std::move(*found);
}

}  // namespace isle
