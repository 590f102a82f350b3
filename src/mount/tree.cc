// Trees of mounts: made, changed, attached.
#include <array>
#include <cerrno>
#include <string_view>

#include "isle/in.h"
#include "isle/mount.h"
#include "mount/words.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"

namespace isle {
namespace {

using mounts_detail::propagation_flag;
using mounts_detail::set_by;

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

/// A file system context, fsopen(2).
class Context {
 public:
  Context(std::string_view type, std::string what) : what_(std::move(what)) {
    const int r = sys::fsopen(std::string(type).c_str(), sys::FsopenFlags::cloexec);
    if (r >= 0) fd_.reset(r);
    if (r < 0) error_ = -r;
    if (r == -ENODEV) hint_ = "this kernel knows no such file system; see /proc/filesystems";
  }

  Context& set(const std::string& key, const std::string& value) {
    if (error_ != 0) return *this;
    return keep(
        value.empty()
            ? sys::fsconfig(fd_.get(), sys::Fsconfig::set_flag, key.c_str(), nullptr, 0)
            : sys::fsconfig(fd_.get(), sys::Fsconfig::set_string, key.c_str(), value.c_str(), 0),
        value.empty() ? key : key + '=' + value);
  }
  Context& set(const std::string& key, int fd) {
    if (error_ != 0) return *this;
    return keep(sys::fsconfig(fd_.get(), sys::Fsconfig::set_fd, key.c_str(), nullptr, fd), key);
  }
  [[nodiscard]] int error() const { return error_; }

  /// The file system made and mounted.
  Result<MountTree> mount(uint64_t attributes) {
    if (error_ == 0)
      keep(sys::fsconfig(fd_.get(), sys::Fsconfig::cmd_create, nullptr, nullptr, 0), {});
    int tree = -1;
    if (error_ == 0) {
      tree = sys::fsmount(fd_.get(), sys::FsmountFlags::cloexec, sys::MountAttr{attributes});
      keep(tree, {});
    }
    if (error_ == 0) return MountTree::from_fd(Fd(tree));
    if (!option_.empty()) what_ += ", option " + quoted(option_);
    return fail(error_, what_, hint_.empty() ? log() : hint_);
  }

 private:
  Context& keep(int result, std::string option) {
    if (result < 0) {
      error_ = -result;
      option_ = std::move(option);
    }
    return *this;
  }
  /// What the kernel wrote for a person: lines that begin with their kind, "e " an error.
  std::string log() {
    std::string said;
    std::array<char, 1024> line{};
    for (long got = 0; fd_ && (got = sys::read(fd_.get(), line.data(), line.size())) > 0;) {
      std::string_view text(line.data(), static_cast<size_t>(got));
      while (text.ends_with('\n')) text.remove_suffix(1);
      if (text.size() > 2 && text[1] == ' ') text.remove_prefix(2);
      said += (said.empty() ? "the kernel says: " : "; ") + std::string(text);
    }
    return said;
  }

  Fd fd_;
  std::string what_;
  std::string option_;
  std::string hint_;
  int error_ = 0;
};

/// In lowerdir= a colon separates and a backslash escapes.
std::string joined_layers(const std::vector<std::string>& layers) {
  std::string joined;
  for (const std::string& layer : layers) {
    if (!joined.empty()) joined += ':';
    for (const char c : layer) {
      if (c == ':' || c == '\\') joined += '\\';
      joined += c;
    }
  }
  return joined;
}

constexpr size_t kLongestValue = 255;  // of fsconfig(2)'s set_string

/// One by one where they do not fit into one value (Linux 6.7).
void add_layers(Context& context, const std::vector<std::string>& layers) {
  const std::string joined = joined_layers(layers);
  if (joined.size() <= kLongestValue)
    context.set("lowerdir", joined);
  else
    for (const std::string& layer : layers) context.set("lowerdir+", layer);
}

/// A directory made in a detached tmpfs.
Result<Fd> directory_in(const MountTree& tree, const char* name) {
  if (const int r = sys::mkdirat(tree.fd().get(), name, 0755); r < 0)
    return fail(-r, "make the upper layer of an overlay in memory");
  const int fd =
      sys::openat(tree.fd().get(), name,
                  sys::OpenFlags::path | sys::OpenFlags::directory | sys::OpenFlags::cloexec);
  if (fd < 0) return fail(-fd, "open the upper layer of an overlay in memory");
  return Fd(fd);
}

Result<MountTree> clone_tree(int dirfd, const char* path, sys::OpenTree flags, bool recursive,
                             const std::string& what) {
  flags = flags | sys::OpenTree::clone | sys::OpenTree::cloexec;
  if (recursive) flags = flags | sys::OpenTree::recursive;
  const int fd = sys::open_tree(dirfd, path, flags);
  if (fd >= 0) return MountTree::from_fd(Fd(fd));
  return fail(-fd, "clone the mount at " + what,
              fd == -EINVAL ? "it is unbindable, or has locked mounts below it that are not asked "
                              "for"
                            : "");
}

}  // namespace

Result<MountTree> MountTree::clone(const std::string& path, bool recursive) {
  return clone_tree(sys::kAtFdcwd, path.c_str(), sys::OpenTree::none, recursive, quoted(path));
}

Result<MountTree> MountTree::clone(BorrowedFd file, bool recursive) {
  return clone_tree(file.get(), "", sys::OpenTree::empty_path, recursive,
                    "descriptor " + std::to_string(file.get()));
}

Result<MountTree> MountTree::create(const FileSystem& file_system) {
  Context context(file_system.type, "make a file system of type " + quoted(file_system.type));
  if (!file_system.source.empty()) context.set("source", file_system.source);
  for (const auto& [key, value] : file_system.options) context.set(key, value);
  Result<MountTree> tree = context.mount(file_system.attributes.set);
  if (!tree || file_system.propagation == Propagation::unchanged) return tree;
  if (const Status set = tree->set_propagation(file_system.propagation, false); !set)
    return std::unexpected(set.error());
  return tree;
}

Result<MountTree> MountTree::create(const Overlay& overlay) {
  Context context("overlay", "make an overlay");
  add_layers(context, overlay.lower);
  if (!overlay.upper.empty()) {
    context.set("upperdir", overlay.upper).set("workdir", overlay.work);
    return context.mount(overlay.attributes.set);
  }
  const Result<MountTree> memory = create(FileSystem{.type = "tmpfs"});
  if (!memory) return std::unexpected(memory.error());
  const Result<Fd> upper = directory_in(*memory, "upper");
  if (!upper) return std::unexpected(upper.error());
  const Result<Fd> work = directory_in(*memory, "work");
  if (!work) return std::unexpected(work.error());
  context.set("upperdir", upper->get()).set("workdir", work->get());
  return context.mount(overlay.attributes.set);
}

Result<MountTree> MountTree::create_proc(const Namespace& pid_namespace) {
  const std::string what = "make proc of " + pid_namespace.link_text();
  if (pid_namespace.type() != NamespaceType::pid)
    return fail(EINVAL, what, "it is no pid namespace");
  constexpr uint64_t kAttributes =
      sys::bits(sys::MountAttr::nosuid | sys::MountAttr::nodev | sys::MountAttr::noexec);
  Context context("proc", what);
  context.set("pidns", pid_namespace.fd().get());
  if (context.error() != EINVAL) return context.mount(kAttributes);
  // This kernel knows no such option: who makes it there is asked for his own.
  Result<Fd> made = in(pid_namespace, [&]() -> Result<Fd> {
    Result<MountTree> tree = Context("proc", what).mount(kAttributes);
    if (!tree) return std::unexpected(std::move(tree.error()));
    return std::move(*tree).release();
  });
  if (!made) return std::unexpected(std::move(made.error()));
  return from_fd(std::move(*made));
}

Status MountTree::set_attributes(const MountAttributes& attributes) const {
  return set_by(fd_.get(), "", sys::AtFlags::empty_path, attributes, "a mount tree");
}

Status MountTree::set_propagation(Propagation propagation, bool recursive) const {
  if (propagation == Propagation::unchanged) return {};
  const sys::mount_attr attr{.propagation = sys::bits(propagation_flag(propagation))};
  const int r = sys::mount_setattr(
      fd_.get(), "",
      sys::AtFlags::empty_path | (recursive ? sys::AtFlags::recursive : sys::AtFlags::none), &attr);
  if (r < 0) return fail(-r, "set the propagation of a mount tree");
  return {};
}

Status MountTree::idmap(const Namespace& user_namespace, bool recursive) const {
  const std::string what = "map the ids of a mount tree as " + user_namespace.link_text();
  if (user_namespace.type() != NamespaceType::user)
    return fail(EINVAL, what, "it is no user namespace");
  const sys::mount_attr attr{.attr_set = sys::bits(sys::MountAttr::idmap),
                             .userns_fd = static_cast<uint64_t>(user_namespace.fd().get())};
  const int r = sys::mount_setattr(
      fd_.get(), "",
      sys::AtFlags::empty_path | (recursive ? sys::AtFlags::recursive : sys::AtFlags::none), &attr);
  if (r == 0) return {};
  return fail(-r, what,
              r == -EINVAL ? "the file system cannot, or the mount has been attached already" : "");
}

Status MountTree::attach(const std::string& path) const {
  const int r = sys::move_mount(fd_.get(), "", sys::kAtFdcwd, path.c_str(),
                                sys::MoveMount::f_empty_path | sys::MoveMount::t_symlinks);
  if (r < 0) return fail(-r, "attach a mount tree on " + quoted(path));
  return {};
}

Status MountTree::attach(BorrowedFd at) const {
  const int r = sys::move_mount(fd_.get(), "", at.get(), "",
                                sys::MoveMount::f_empty_path | sys::MoveMount::t_empty_path);
  if (r < 0) return fail(-r, "attach a mount tree on descriptor " + std::to_string(at.get()));
  return {};
}

}  // namespace isle
