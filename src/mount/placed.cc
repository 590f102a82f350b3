// Mounts that have a place: their attributes and propagation, taking them away, the root.
#include <cerrno>

#include "isle/mount.h"
#include "mount/words.h"
#include "sys/file_calls.h"
#include "sys/mount_calls.h"

namespace isle {
namespace mounts_detail {

sys::MountFlags propagation_flag(Propagation propagation) {
  switch (propagation) {
    case Propagation::unchanged:
      break;
    case Propagation::private_:
      return sys::MountFlags::private_;
    case Propagation::slave:
      return sys::MountFlags::slave;
    case Propagation::shared:
      return sys::MountFlags::shared;
    case Propagation::unbindable:
      return sys::MountFlags::unbindable;
  }
  return sys::MountFlags::none;
}

Status set_by(int dirfd, const char* path, sys::AtFlags flags, const MountAttributes& attributes,
              const std::string& whose) {
  const auto set = [&](uint64_t to_set, uint64_t to_clear, sys::AtFlags more) {
    if (to_set == 0 && to_clear == 0) return 0;
    const sys::mount_attr attr{.attr_set = to_set, .attr_clr = to_clear};
    return sys::mount_setattr(dirfd, path, flags | more, &attr);
  };
  int r = set(attributes.set, attributes.clear, sys::AtFlags::none);
  if (r == 0)
    r = set(attributes.recursive_set, attributes.recursive_clear, sys::AtFlags::recursive);
  if (r == 0) return {};
  return fail(-r, "set the attributes of " + whose,
              r == -EPERM    ? "what a more privileged namespace has set stays set"
              : r == -EINVAL ? "it is no mount point, or there is no such attribute"
                             : "");
}

}  // namespace mounts_detail

namespace {

std::string quoted(const std::string& text) { return '"' + text + '"'; }

/// What pivot_root(2) has against `new_root`, by looking.
std::string pivot_hint(const std::string& new_root, int code) {
  if (code != EINVAL && code != EBUSY) return {};
  sys::statx_t stat;
  if (sys::statx(sys::kAtFdcwd, new_root.c_str(), sys::AtFlags::none, sys::StatxMask::type,
                 &stat) == 0 &&
      (stat.stx_attributes & sys::kStatxAttrMountRoot) == 0)
    return quoted(new_root) + " is no mount point: attach a mount tree there, or bind it on itself";
  if (code == EBUSY) return "it is the root already";
  const auto all = mounts();
  if (!all) return {};
  const auto mount = mount_of(new_root);
  for (const Mount& each : *all) {
    const bool concerned =
        each.mount_point == "/" || (mount && (each.id == mount->id || each.id == mount->parent_id));
    if (concerned && each.peer_group != 0)
      return "the mount at " + quoted(each.mount_point) + " is shared: make it private first";
  }
  return {};
}

}  // namespace

Status set_attributes(const std::string& path, const MountAttributes& attributes) {
  return mounts_detail::set_by(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none, attributes,
                               "the mount at " + quoted(path));
}

Status set_propagation(const std::string& path, Propagation propagation, bool recursive) {
  if (propagation == Propagation::unchanged) return {};
  const sys::MountFlags flags = mounts_detail::propagation_flag(propagation) |
                                (recursive ? sys::MountFlags::rec : sys::MountFlags::none);
  const int r = sys::mount(nullptr, path.c_str(), nullptr, flags, nullptr);
  if (r == 0) return {};
  return fail(-r, "set the propagation of the mount at " + quoted(path),
              r == -EINVAL ? "it is no mount point" : "");
}

Status unmount(const std::string& path, bool detach) {
  const sys::UmountFlags flags =
      sys::UmountFlags::nofollow | (detach ? sys::UmountFlags::detach : sys::UmountFlags::none);
  const int r = sys::umount2(path.c_str(), flags);
  if (r == 0) return {};
  return fail(-r, "unmount " + quoted(path),
              r == -EBUSY ? "somebody has a file open there, or is there: detach it" : "");
}

Status pivot_root(const std::string& new_root, const std::string& put_old) {
  const std::string what = "make " + quoted(new_root) + " the root";
  const auto failed = [&](int r) { return fail(-r, what, pivot_hint(new_root, -r)); };
  if (!put_old.empty()) {
    if (const int r = sys::pivot_root(new_root.c_str(), put_old.c_str()); r < 0) return failed(r);
  } else {
    const int fd =
        sys::openat(sys::kAtFdcwd, new_root.c_str(),
                    sys::OpenFlags::path | sys::OpenFlags::directory | sys::OpenFlags::cloexec);
    if (fd < 0) return fail(-fd, what);
    const Fd closer(fd);
    const int back =
        sys::openat(sys::kAtFdcwd, ".",
                    sys::OpenFlags::path | sys::OpenFlags::directory | sys::OpenFlags::cloexec);
    const Fd back_closer(back);
    if (const int r = sys::fchdir(fd); r < 0) return fail(-r, what);
    if (const int r = sys::pivot_root(".", "."); r < 0) {
      if (back >= 0) sys::fchdir(back);
      return failed(r);
    }
    // Old and new root are stacked now, and "." is the upper one, the old.
    if (const int r = sys::umount2(".", sys::UmountFlags::detach); r < 0)
      return fail(-r, "detach the old root");
  }
  if (const int r = sys::chdir("/"); r < 0) return fail(-r, "go to the new root");
  return {};
}

}  // namespace isle
