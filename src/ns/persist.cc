// Namespaces kept by a bind mount on a file, so that they outlive their processes.
#include <cerrno>

#include "isle/namespace.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

using sys::OpenFlags;

/// A regular file at `path` that nothing is mounted on, as an O_PATH descriptor; made where there
/// is none, and then removed again unless keep() is called.
class MountPoint {
 public:
  static Result<MountPoint> at(const std::string& path) {
    const int made = sys::openat(
        sys::kAtFdcwd, path.c_str(),
        OpenFlags::rdonly | OpenFlags::creat | OpenFlags::excl | OpenFlags::cloexec, 0444);
    if (made >= 0) return MountPoint(Fd(made), path);
    if (made != -EEXIST) return fail(-made, "create \"" + path + '"');
    const int fd = sys::openat(sys::kAtFdcwd, path.c_str(),
                               OpenFlags::path | OpenFlags::nofollow | OpenFlags::cloexec);
    if (fd < 0) return fail(-fd, "open \"" + path + '"');
    MountPoint point{Fd(fd), {}};
    sys::statx_t stat;
    const int r = sys::statx(fd, "", sys::AtFlags::empty_path, sys::StatxMask::type, &stat);
    if (r < 0) return fail(-r, "stat \"" + path + '"');
    if ((stat.stx_mode & sys::kModeTypeMask) != sys::kModeRegular)
      return fail(EEXIST, '"' + path + "\" is no regular file");
    if ((stat.stx_attributes & sys::kStatxAttrMountRoot) != 0)
      return fail(EEXIST, "something is mounted on \"" + path + '"');
    return point;
  }

  MountPoint(MountPoint&& other) noexcept
      : fd_(std::move(other.fd_)), made_(std::exchange(other.made_, {})) {}
  MountPoint& operator=(MountPoint&&) = delete;
  ~MountPoint() {
    if (!made_.empty()) sys::unlinkat(sys::kAtFdcwd, made_.c_str(), sys::AtFlags::none);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void keep() { made_.clear(); }

 private:
  MountPoint(Fd fd, std::string made) : fd_(std::move(fd)), made_(std::move(made)) {}
  Fd fd_;
  std::string made_;  // path to remove, empty for a file that was there
};

/// Only mount namespaces are refused for what they are.
std::string bind_hint(const Namespace& target, int code) {
  if (target.type() != NamespaceType::mount) return {};
  if (code == EINVAL)
    return "a mount namespace is bound only below a mount that no other namespace shares; make one "
           "private first (mount --make-private)";
  if (code != ELOOP) return {};
  const auto own = Namespace::of_self(NamespaceType::mount);
  if (!own) return {};
  if (*own == target) return "a mount namespace cannot hold itself";
  const uint64_t own_number = own->id().unique;
  const uint64_t number = target.id().unique;
  if (own_number == 0) return "a mount namespace cannot hold one that is older";
  return "this kernel takes namespace " + std::to_string(number) +
         " for older than the caller's, " + std::to_string(own_number) +
         "; it hands numbers out per cpu, so it may be newer: make it on the cpu the caller's was "
         "made on";
}

}  // namespace

Status Namespace::persist(const std::string& path) const {
  const auto failed = [&](int r) {
    return fail(-r, "bind " + link_text() + " on \"" + path + '"', bind_hint(*this, -r));
  };
  Result<MountPoint> point = MountPoint::at(path);
  if (!point) return std::unexpected(std::move(point.error()));
  const int tree = sys::open_tree(
      fd_.get(), "", sys::OpenTree::clone | sys::OpenTree::empty_path | sys::OpenTree::cloexec);
  if (tree < 0) return failed(tree);
  const Fd closer(tree);
  const int r = sys::move_mount(tree, "", point->fd(), "",
                                sys::MoveMount::f_empty_path | sys::MoveMount::t_empty_path);
  if (r < 0) return failed(r);
  point->keep();
  return {};
}

Status Namespace::unpersist(const std::string& path) {
  const int fd = sys::openat(sys::kAtFdcwd, path.c_str(),
                             OpenFlags::path | OpenFlags::nofollow | OpenFlags::cloexec);
  if (fd < 0) return fail(-fd, "open \"" + path + '"');
  sys::statfs_t filesystem;
  const int looked = sys::fstatfs(fd, &filesystem);
  sys::close(fd);
  if (looked < 0) return fail(-looked, "look at \"" + path + '"');
  if (filesystem.f_type != sys::kNsfsMagic)
    return fail(ENOTTY, "no namespace is bound on \"" + path + '"');
  if (const int r =
          sys::umount2(path.c_str(), sys::UmountFlags::detach | sys::UmountFlags::nofollow);
      r < 0)
    return fail(-r, "unmount \"" + path + '"');
  if (const int r = sys::unlinkat(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none); r < 0)
    return fail(-r, "remove \"" + path + '"');
  return {};
}

}  // namespace isle
