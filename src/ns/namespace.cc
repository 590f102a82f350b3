// The handle on an existing namespace, the types' names, and moving the calling thread.
#include "isle/namespace.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "ns/hints.h"
#include "ns/search.h"
#include "sys/flag_names.h"
#include "sys/proc_files.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

constexpr sys::CloneFlags clone_flag(NamespaceType type) {
  return sys::CloneFlags{type_info(type).clone_flag};
}
static_assert(clone_flag(NamespaceType::cgroup) == sys::CloneFlags::newcgroup);
static_assert(clone_flag(NamespaceType::ipc) == sys::CloneFlags::newipc);
static_assert(clone_flag(NamespaceType::mount) == sys::CloneFlags::newns);
static_assert(clone_flag(NamespaceType::network) == sys::CloneFlags::newnet);
static_assert(clone_flag(NamespaceType::pid) == sys::CloneFlags::newpid);
static_assert(clone_flag(NamespaceType::time) == sys::CloneFlags::newtime);
static_assert(clone_flag(NamespaceType::user) == sys::CloneFlags::newuser);
static_assert(clone_flag(NamespaceType::uts) == sys::CloneFlags::newuts);

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

Result<Namespace> open_namespace(const std::string& path, std::optional<NamespaceType> expected) {
  // nonblock and noctty: the path may be any file, a FIFO or a terminal too.
  const int fd = sys::openat(sys::kAtFdcwd, path.c_str(),
                             sys::OpenFlags::rdonly | sys::OpenFlags::cloexec |
                                 sys::OpenFlags::nonblock | sys::OpenFlags::noctty);
  if (fd < 0) return fail(-fd, "open namespace " + quoted(path));
  Result<Namespace> opened = Namespace::from_fd(Fd(fd), expected);
  if (!opened) opened.error().what = quoted(path) + ": " + opened.error().what;
  return opened;
}

std::string proc_path(std::string_view process, std::string_view name) {
  return "/proc/" + std::string(process) + "/ns/" + std::string(name);
}

std::string path_of(pid_t id, NamespaceType type) {
  return proc_path(std::to_string(id), type_info(type).proc_name);
}

/// A namespace the kernel opened for us, of the type the request was for.
Result<Namespace> related(const Namespace& from, sys::Ioctl request, std::string_view what,
                          NamespaceType type) {
  const int fd = sys::ioctl(from.fd().get(), request);
  if (fd < 0) return fail(-fd, std::string(what) + " of " + from.link_text());
  return Namespace::from_fd(Fd(fd), type);
}

sys::Ioctl pidfd_request(NamespaceType type) {
  switch (type) {
    case NamespaceType::cgroup:
      return sys::Ioctl::pidfd_get_cgroup_namespace;
    case NamespaceType::ipc:
      return sys::Ioctl::pidfd_get_ipc_namespace;
    case NamespaceType::mount:
      return sys::Ioctl::pidfd_get_mnt_namespace;
    case NamespaceType::network:
      return sys::Ioctl::pidfd_get_net_namespace;
    case NamespaceType::pid:
      return sys::Ioctl::pidfd_get_pid_namespace;
    case NamespaceType::time:
      return sys::Ioctl::pidfd_get_time_namespace;
    case NamespaceType::user:
      return sys::Ioctl::pidfd_get_user_namespace;
    case NamespaceType::uts:
      break;
  }
  return sys::Ioctl::pidfd_get_uts_namespace;
}

}  // namespace

std::optional<NamespaceType> parse_namespace_type(std::string_view name) noexcept {
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    if (name == info.name || name == info.proc_name) return info.type;
  }
  return std::nullopt;
}

std::optional<NamespaceType> type_of_clone_flag(uint64_t flag) noexcept {
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    if (flag == info.clone_flag) return info.type;
  }
  return std::nullopt;
}

Result<Namespace> Namespace::of_process(pid_t pid, NamespaceType type) {
  return open_namespace(path_of(pid, type), type);
}

Result<Namespace> Namespace::of_thread(pid_t tid, NamespaceType type) {
  return open_namespace(path_of(tid, type), type);
}

Result<Namespace> Namespace::of_self(NamespaceType type) {
  return open_namespace(proc_path("thread-self", type_info(type).proc_name), type);
}

Result<Namespace> Namespace::of_pidfd(BorrowedFd pidfd, NamespaceType type) {
  const int fd = sys::ioctl(pidfd.get(), pidfd_request(type), 0);
  if (fd >= 0) return from_fd(Fd(fd), type);
  const std::string what = "get " + std::string(to_string(type)) + " namespace of a pidfd";
  if (fd != -ENOTTY) return fail(-fd, what);
  const auto info = sys::read_text("/proc/thread-self/fdinfo/" + std::to_string(pidfd.get()));
  if (!info) return fail(info.error() == ENOENT ? EBADF : info.error(), what);
  const std::string pid(sys::status_field(*info, "Pid"));
  if (pid.empty()) return fail(EBADF, what, "the descriptor is no pidfd");
  Result<Namespace> opened = open_namespace(proc_path(pid, type_info(type).proc_name), type);
  // Only of a process that is still there can the number not have become another's.
  if (const int r = sys::pidfd_send_signal(pidfd.get(), 0); r < 0) return fail(-r, what);
  return opened;
}

Result<Namespace> Namespace::for_children(pid_t pid, NamespaceType type) {
  const std::string_view name = type_info(type).children_name;
  if (!name.empty()) return open_namespace(proc_path(std::to_string(pid), name), type);
  return fail(EINVAL, "open " + std::string(to_string(type)) + " namespace for children",
              "only pid and time differ between a process and its next children");
}

Result<Namespace> Namespace::of_path(const std::string& path,
                                     std::optional<NamespaceType> expected) {
  return open_namespace(path, expected);
}

Result<Namespace> Namespace::from_fd(Fd fd, std::optional<NamespaceType> expected) {
  // Only nsfs is asked for its type: the same ioctl number may mean anything to a device.
  sys::statfs_t filesystem;
  if (const int r = sys::fstatfs(fd.get(), &filesystem); r < 0)
    return fail(-r, "look at descriptor " + std::to_string(fd.get()));
  if (filesystem.f_type != sys::kNsfsMagic) return fail(ENOTTY, "not a namespace");
  const int flag = sys::ioctl(fd.get(), sys::Ioctl::ns_get_nstype);
  if (flag < 0) return fail(-flag, "get the namespace's type");
  const auto type = type_of_clone_flag(static_cast<uint64_t>(flag));
  if (!type) return fail(EINVAL, "namespace of a type isle does not know");
  if (expected && *type != *expected) {
    return fail(EINVAL, "a " + std::string(to_string(*type)) + " namespace where a " +
                            std::string(to_string(*expected)) + " namespace is wanted");
  }
  sys::statx_t stat;
  if (const int r = sys::statx(fd.get(), "", sys::AtFlags::empty_path, sys::StatxMask::ino, &stat);
      r < 0)
    return fail(-r, "stat the namespace");
  const uint64_t device = sys::device_number(stat.stx_dev_major, stat.stx_dev_minor);
  return Namespace(std::move(fd), *type, device, stat.stx_ino);
}

Result<Namespace> Namespace::of_id(NamespaceType type, const NamespaceId& id) {
  const std::string what =
      "reopen " + std::string(to_string(type)) + " namespace " + std::to_string(id.unique);
  if (id.unique == 0) return fail(ENOTSUP, what, "Linux 6.18 gives namespaces ids of their own");
  struct {
    sys::file_handle head{.handle_bytes = sizeof(sys::nsfs_file_handle),
                          .handle_type = sys::kFileidNsfs};
    sys::nsfs_file_handle body;
  } handle;
  handle.body = {.ns_id = id.unique,
                 .ns_type = static_cast<uint32_t>(type_info(type).clone_flag),
                 .ns_inum = static_cast<uint32_t>(id.inode)};
  const int fd = sys::open_by_handle_at(sys::kFdNsfsRoot, &handle.head, sys::OpenFlags::cloexec);
  if (fd < 0)
    return fail(-fd, what,
                fd == -ESTALE ? "no namespace of this type has that id, or has it any more" : "");
  return from_fd(Fd(fd), type);
}

Result<Namespace> Namespace::of_unique_id(uint64_t unique) {
  std::optional<Namespace> found;
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    ns::visit_namespaces(info.type, [&](Namespace& each) {
      if (unique != 0 && each.id().unique == unique) found = std::move(each);
      return found.has_value();
    });
    if (found) return std::move(*found);
  }
  return fail(ESTALE, "open the namespace with id " + std::to_string(unique),
              "neither a process of /proc is in it nor is it bound to a file here");
}

Result<FileHandle> Namespace::file_handle() const {
  struct {
    sys::file_handle head;
    std::array<unsigned char, sys::kMaxHandleBytes> bytes{};
  } handle;
  handle.head.handle_bytes = handle.bytes.size();
  int mount_id = 0;
  const int r =
      sys::name_to_handle_at(fd_.get(), "", &handle.head, &mount_id, sys::AtFlags::empty_path);
  if (r < 0) return fail(-r, "make a file handle of " + link_text());
  return FileHandle{
      .type = handle.head.handle_type,
      .bytes = {handle.bytes.begin(), handle.bytes.begin() + handle.head.handle_bytes}};
}

Result<Namespace> Namespace::of_file_handle(const FileHandle& handle) {
  constexpr std::string_view kWhat = "open a namespace's file handle";
  struct {
    sys::file_handle head;
    std::array<unsigned char, sys::kMaxHandleBytes> bytes{};
  } buffer;
  if (handle.bytes.size() > buffer.bytes.size()) return fail(EINVAL, std::string(kWhat));
  buffer.head.handle_bytes = static_cast<uint32_t>(handle.bytes.size());
  buffer.head.handle_type = handle.type;
  std::ranges::copy(handle.bytes, buffer.bytes.begin());
  const int fd = sys::open_by_handle_at(sys::kFdNsfsRoot, &buffer.head, sys::OpenFlags::cloexec);
  if (fd < 0) return fail(-fd, std::string(kWhat));
  return from_fd(Fd(fd));
}

NamespaceId Namespace::id() const {
  NamespaceId id{.unique = 0, .device = device_, .inode = inode_};
  if (sys::ioctl(fd_.get(), sys::Ioctl::ns_get_id, &id.unique) < 0) id.unique = 0;
  return id;
}

std::string Namespace::link_text() const {
  return std::string(type_info(type_).proc_name) + ":[" + std::to_string(inode_) + "]";
}

Result<Namespace> Namespace::owner() const {
  return related(*this, sys::Ioctl::ns_get_userns, "get the owner", NamespaceType::user);
}

Result<Namespace> Namespace::parent() const {
  return related(*this, sys::Ioctl::ns_get_parent, "get the parent", type_);
}

Result<uid_t> Namespace::owner_uid() const {
  uid_t uid = 0;
  const int r = sys::ioctl(fd_.get(), sys::Ioctl::ns_get_owner_uid, &uid);
  if (r < 0) return fail(-r, "get the owner's uid of " + link_text());
  return uid;
}

Status Namespace::enter() const {
  const int r = sys::setns(fd_.get(), clone_flag(type_));
  if (r < 0) return fail(-r, "join " + link_text(), ns::enter_hint(*this, -r));
  return {};
}

Status unshare(NamespaceSet types) {
  const auto flags = sys::CloneFlags{types.clone_flags()};
  const int r = sys::unshare(flags);
  if (r < 0) return fail(-r, "unshare " + sys::to_text(flags), ns::unshare_hint(types, -r));
  return {};
}

Status enter(BorrowedFd pidfd, NamespaceSet types) {
  const auto flags = sys::CloneFlags{types.clone_flags()};
  const int r = sys::setns(pidfd.get(), flags);
  if (r < 0) return fail(-r, "join " + sys::to_text(flags) + " of a process");
  return {};
}

}  // namespace isle
