// The root. Either the very tree the sandbox's own mount namespace came with, changed in place; or
// a detached copy of a tree (or an overlay on it), attached over "/" of that namespace, filled, and
// pivoted to. Attached there because that needs no directory to mount on and hides nothing: an
// absolute path of this process still starts below it.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {
namespace {

constexpr uint64_t kAttach = sys::bits(sys::MoveMount::f_empty_path);
constexpr auto kClone = sys::OpenTree::clone | sys::OpenTree::cloexec;
constexpr uint64_t kEmptyPath = sys::bits(sys::AtFlags::empty_path);
constexpr uint64_t kWholeTree = sys::bits(sys::AtFlags::empty_path | sys::AtFlags::recursive);

/// In lowerdir= a colon separates and a backslash escapes.
std::string escape_layer(std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    if (c == ':' || c == '\\' || c == ',') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

bool is_below(std::string_view path, std::string_view top) {
  if (top == "/") return path.size() > 1;
  return path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/';
}

/// The kernel pivots to no mount that is shared (EINVAL).
Propagation until_pivot(const Root& root) {
  return root.pivot && root.propagation == Propagation::shared ? Propagation::private_
                                                               : root.propagation;
}

}  // namespace

uint64_t propagation_bits(Propagation propagation) {
  switch (propagation) {
    case Propagation::unchanged:
      return 0;
    case Propagation::private_:
      return sys::bits(sys::MountFlags::private_);
    case Propagation::slave:
      return sys::bits(sys::MountFlags::slave);
    case Propagation::shared:
      return sys::bits(sys::MountFlags::shared);
    case Propagation::unbindable:
      return sys::bits(sys::MountFlags::unbindable);
  }
  return 0;
}

/// The host's root as root: a copy of the tree and a pivot to it would show the same and cost an RCU
/// grace period. A new user namespace is what makes sure that "/" is the namespace's own root: the
/// kernel makes none for a chrooted process (kernel: create_user_ns()). What is mounted over "/"
/// itself is reached by a pivot only, and sources on the host must not be covered meanwhile.
bool Compiler::in_place() const {
  if (!spec_.root) return false;
  const Root& root = *spec_.root;
  return root.path == "/" && !root.overlay && !root.read_only && new_user() &&
         creates(NamespaceType::mount) &&
         std::none_of(spec_.mounts.begin(), spec_.mounts.end(), [](const FsOperation& op) {
           return op.destination.find_first_not_of('/') == std::string::npos ||
                  std::holds_alternative<Bind>(op.what) ||
                  std::holds_alternative<Overlay>(op.what) ||
                  std::holds_alternative<MakeFile>(op.what) ||
                  std::holds_alternative<WriteFile>(op.what) ||
                  std::holds_alternative<MakeDevice>(op.what) ||
                  std::holds_alternative<Mask>(op.what);
         });
}

Status Compiler::open_root() {
  const NamespaceWish* mount = spec_.find(NamespaceType::mount);
  const uint64_t whole = sys::bits(sys::AtFlags::recursive);
  if (!spec_.root) {
    const Propagation wish =
        spec_.mount_propagation ? spec_.mount_propagation->value : Propagation::private_;
    if (mount != nullptr && !mount->joins() && wish != Propagation::unchanged)
      init(Op::mount_setattr, spec_.mount_propagation ? spec_.mount_propagation->from : mount->from,
           {kNone, text("/"), whole, 0, 0, propagation_bits(wish), kNone});
    if (spec_.mounts.empty()) return {};
    init(Op::umask, 0, {0});
    root_ = b_.take();
    init(Op::open, 0, {text("/"), kOpenDirectory, root_});
    return {};
  }

  const Root& root = *spec_.root;
  const FileFact fact = host_.file(root.path);
  if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)
    return refuse(root.from, fact.error, fmt::format("use \"{}\" as root", root.path), fact.why);
  if (fact.kind != FileKind::directory && fact.kind != FileKind::unknown)
    return refuse(root.from, ENOTDIR, fmt::format("use \"{}\" as root", root.path),
                  "--root takes a directory tree");
  // Nothing we mount may reach the host. A mount namespace with a new owner comes with its mounts
  // made slaves (kernel: copy_tree() with CL_SHARED_TO_SLAVE); else that is for us to do.
  if (!new_user())
    init(Op::mount_setattr, root.from,
         {kNone, text("/"), whole, 0, 0, sys::bits(sys::MountFlags::slave), kNone});

  // What is made on the way has the mode it is asked for; the last step but a few sets the mask.
  init(Op::umask, 0, {0});
  root_ = b_.take();
  if (in_place()) {
    init(Op::mount_setattr, root.from,
         {kNone, text("/"), whole, root.attributes, 0, propagation_bits(root.propagation), kNone});
    init(Op::open, root.from, {text("/"), kOpenDirectory, root_});
    return {};
  }
  if (root.overlay) {
    Overlay layers = *root.overlay;
    if (layers.lower.empty()) layers.lower = {root.path};
    if (layers.lower == std::vector{root.path} && has_mounts_below(root_path()))
      return overlay_by_entry(layers, layers.from != 0 ? layers.from : root.from);
    const Result<Register> layered = overlay(layers, layers.from != 0 ? layers.from : root.from);
    if (!layered) return std::unexpected(layered.error());
    b_.release(root_);
    root_ = *layered;
  } else {
    init(Op::open_tree, root.from,
         {kNone, text(root_path()), sys::bits(kClone | sys::OpenTree::recursive), root_});
    init(Op::mount_setattr, root.from,
         {root_, 0, kWholeTree, root.attributes, 0, propagation_bits(until_pivot(root)), kNone});
  }
  if (is_seen_by_path())
    init(Op::move_mount, root.from,
         {root_, kNone, text(root_path()), kAttach | sys::bits(sys::MoveMount::t_symlinks)});
  else
    init(Op::move_mount, root.from, {root_, kNone, text("/"), kAttach});
  return {};
}

/// Whether somebody looks for what is mounted so far by Root::path in our mount namespace: hooks that
/// enter it, as those of GPUs do, and a bind of what an earlier operation mounted.
bool Compiler::is_seen_by_path() const {
  return spec_.calls_back.value || !spec_.create_hooks.empty() ||
         std::ranges::any_of(spec_.mounts, [&](const FsOperation& op) {
           const auto* bind = std::get_if<Bind>(&op.what);
           return bind != nullptr && is_in_root(*bind);
         });
}

bool Compiler::is_in_root(const Bind& bind) const {
  return spec_.root && bind.source_fd < 0 && is_below(host_path(bind.source), root_path());
}

/// Root::path as mount points are told: absolute, without a slash at its end.
std::string Compiler::root_path() const {
  std::string path = host_path(spec_.root->path);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// Whether an operation makes `inside` anew, or what it is in.
bool Compiler::replaced(std::string_view inside) const {
  return std::any_of(spec_.mounts.begin(), spec_.mounts.end(), [&](const FsOperation& op) {
    return (op.destination == inside || is_below(inside, op.destination)) &&
           !std::holds_alternative<CoverProc>(op.what) &&
           !std::holds_alternative<Remount>(op.what) &&
           !std::holds_alternative<MakeDirectory>(op.what);
  });
}

bool Compiler::has_mounts_below(const std::string& path) const {
  return std::any_of(host_.mount_points.begin(), host_.mount_points.end(),
                     [&](const std::string& point) { return is_below(point, path); });
}

/// A tree of the host as it is, read-only, at `inside`.
void Compiler::show_read_only(const std::string& path, const std::string& inside, bool directory,
                              Origin from) {
  const Register tree = b_.take();
  init(Op::open_tree, from,
       {kNone, text(path), sys::bits(kClone | sys::OpenTree::recursive), tree});
  init(Op::mount_setattr, from,
       {tree, 0, kWholeTree,
        sys::bits(sys::MountAttr::rdonly | sys::MountAttr::nosuid | sys::MountAttr::nodev), 0,
        propagation_bits(Propagation::private_), kNone});
  attach(tree, root_, inside, directory, from);
  b_.release(tree);
}

/// An overlay's lower layer is one file system, and the kernel makes none over a directory with
/// locked mounts below it (clone_private_mount()), as every mount of the host is in a new user
/// namespace. So where there are mounts below the root, the upper layer itself becomes the root,
/// and each directory in it gets an overlay of its own; what has mounts below is shown read-only.
Status Compiler::overlay_by_entry(const Overlay& wish, Origin from) {
  const std::string top = root_path() == "/" ? "" : root_path();
  Result<OverlayBase> layers = overlay_base(wish, from);
  if (!layers) return std::unexpected(layers.error());
  const OverlayBase& base = *layers;
  init(Op::open_tree, from,
       {base.memory, text(base.memory == kNone ? base.upper : "upper"), sys::bits(kClone), root_});
  init(Op::mount_setattr, from,
       {root_, 0, kEmptyPath, wish.attributes.set | sys::bits(sys::MountAttr::nodev), 0,
        propagation_bits(spec_.root->propagation), kNone});
  init(Op::move_mount, from, {root_, kNone, text("/"), kAttach});
  for (const DirectoryEntry& entry : host_.root_entries) {
    const std::string inside = "/" + entry.name;
    const std::string path = top + inside;
    if (replaced(inside)) continue;
    if (!entry.link.empty()) {
      init(Op::symlink_in, from, {root_, text(inside), text(entry.link)}).pass_over = EEXIST;
    } else if (!entry.is_directory || has_mounts_below(path)) {
      show_read_only(path, inside, entry.is_directory, from);
    } else {
      const Register made = b_.take();
      init(Op::make_dir_in, from, {root_, text(inside), entry.mode, made});
      constexpr uint64_t kMode = 0700;
      const std::string work = base.work + inside;
      if (base.memory != kNone)
        init(Op::make_dir_in, from, {base.memory, text(work), kMode, made});
      else
        make_directory(first_, from, work, kMode).pass_over = EEXIST;
      b_.release(made);
      const Register mount =
          overlay_mount(escape_layer(path), base.upper + inside, work, wish, from);
      attach(mount, root_, inside, true, from);
      b_.release(mount);
    }
  }
  if (base.memory != kNone) b_.release(base.memory);
  return {};
}

/// Where an overlay keeps its changes. overlayfs takes its layers by path; those in memory have
/// none on the host, so a tmpfs goes over "/" of our own mount namespace and their paths are told
/// relative to it.
Result<Compiler::OverlayBase> Compiler::overlay_base(const Overlay& wish, Origin from) {
  constexpr uint64_t kMode = 0755;
  if (!wish.upper.empty()) {
    for (const std::string* directory : {&wish.upper, &wish.work}) {
      const FileFact fact = host_.file(*directory);
      if (fact.kind == FileKind::no_access)
        return refuse(from, fact.error,
                      fmt::format("put an overlay's changes in \"{}\"", *directory), fact.why);
      if (fact.kind == FileKind::missing)
        make_directory(first_, from, host_path(*directory), kMode).pass_over = EEXIST;
    }
    return OverlayBase{.upper = host_path(wish.upper), .work = host_path(wish.work)};
  }
  const std::pair<std::string, std::string> options[] = {{"mode", "0755"}};
  const Register memory = new_file_system("tmpfs", "isle", options, 0, from);
  init(Op::move_mount, from, {memory, kNone, text("/"), kAttach});
  init(Op::fchdir, from, {memory});
  const Register made = b_.take();
  for (const char* name : {"upper", "work"})
    init(Op::make_dir_in, from, {memory, text(name), kMode, made});
  b_.release(made);
  return OverlayBase{.memory = memory, .upper = "upper", .work = "work"};
}

Register Compiler::overlay_mount(const std::string& lower, const std::string& upper,
                                 const std::string& work, const Overlay& wish, Origin from) {
  std::vector<std::pair<std::string, std::string>> options = {
      {"lowerdir", lower}, {"upperdir", upper}, {"workdir", work}};
  if (new_user()) options.emplace_back("userxattr", "");
  return new_file_system("overlay", "isle", options,
                         wish.attributes.set | sys::bits(sys::MountAttr::nodev), from);
}

Result<Register> Compiler::overlay(const Overlay& wish, Origin from) {
  std::string lower;
  for (const std::string& layer : wish.lower) {
    const FileFact fact = host_.file(layer);
    if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)
      return refuse(from, fact.error, fmt::format("use \"{}\" as a layer of an overlay", layer),
                    fact.why);
    if (!lower.empty()) lower += ':';
    lower += escape_layer(host_path(layer));
  }
  if (new_user() && !host_.overlay_in_user_namespace)
    return refuse(from, EPERM, "overlay in a user namespace: Linux 5.11 and later only",
                  "as root, --share user");
  const Result<OverlayBase> layers = overlay_base(wish, from);
  if (!layers) return std::unexpected(layers.error());
  const OverlayBase& base = *layers;
  const Register mount = overlay_mount(lower, base.upper, base.work, wish, from);
  if (base.memory != kNone) {  // the overlay holds it, and nobody is to come upon it at "/"
    init(Op::umount, from, {text("."), sys::bits(sys::UmountFlags::detach)});
    if (!spec_.root) init(Op::chdir, from, {text(host_.cwd)});
    b_.release(base.memory);
  }
  return mount;
}

/// To a mount namespace that exists, as a copy that is mounted nowhere. When its last descriptor is
/// closed the kernel takes it apart as a tree of mounts, but what was mounted in it stays so
/// (UMOUNT_CONNECTED) as long as somebody is in it; then it is gone. Private, since the copy of a
/// shared mount would be its peer, and one that is unbindable is not copied.
void Compiler::carry_root() {
  const Root& root = *spec_.root;
  const NamespaceWish* mount = spec_.find(NamespaceType::mount);
  const Register copy = b_.take();
  init(Op::mount_setattr, root.from,
       {root_, 0, kWholeTree, 0, 0, propagation_bits(Propagation::private_), kNone});
  init(Op::open_tree, root.from,
       {root_, 0, sys::bits(kClone | sys::OpenTree::recursive | sys::OpenTree::empty_path), copy});
  for (const auto& [type, fd] : joins_)
    if (type == NamespaceType::mount)
      init(Op::setns, mount != nullptr ? mount->from : root.from,
           {fd, sys::bits(sys::CloneFlags::newns)});
  init(Op::fchdir, root.from, {copy});
  init(Op::chroot, root.from, {text(".")});
  reopen_terminal(copy);
  b_.release(copy);
}

void Compiler::enter_root() {
  if (!spec_.root) return;
  const Root& root = *spec_.root;
  if (in_place()) {
    init(Op::chdir, root.from, {text("/")});
    return;
  }
  if (root.read_only)
    init(Op::mount_setattr, root.from,
         {root_, 0, kEmptyPath, sys::bits(sys::MountAttr::rdonly), 0, 0, kNone});
  if (carries_root()) return carry_root();
  init(Op::fchdir, root.from, {root_});
  if (root.pivot) {
    // pivot_root(".", ".") leaves the old root over the new one, where "." still names it.
    init(Op::pivot_root, root.from, {text("."), text(".")});
    init(Op::umount, root.from, {text("."), sys::bits(sys::UmountFlags::detach)});
    if (until_pivot(root) != root.propagation)
      init(Op::mount_setattr, root.from,
           {root_, 0, kEmptyPath, 0, 0, propagation_bits(root.propagation), kNone});
  } else {
    // The old root stays below, and a whole /proc in it would let a user namespace inside mount
    // another (kernel: mnt_already_visible()). There may be one over another.
    for (const char* path : {"/proc", "/proc", "/proc", "/sys", "/sys"})
      init(Op::umount, root.from, {text(path), sys::bits(sys::UmountFlags::detach)}).pass_over =
          kAnyError;
    init(Op::chroot, root.from, {text(".")});
  }
  init(Op::chdir, root.from, {text("/")});
}

}  // namespace isle::plan
