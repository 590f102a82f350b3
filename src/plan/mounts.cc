// Operations on the root file system, one after another in the order they were asked for.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {

namespace {

constexpr uint64_t kEmptyPath = sys::bits(sys::AtFlags::empty_path);
constexpr uint64_t kWholeTree = sys::bits(sys::AtFlags::empty_path | sys::AtFlags::recursive);
constexpr uint64_t kOpenPath = sys::bits(sys::OpenFlags::path | sys::OpenFlags::cloexec);
constexpr uint64_t kInRoot = sys::bits(sys::Resolve::in_root | sys::Resolve::no_magiclinks);
constexpr uint64_t kOnto = sys::bits(sys::MoveMount::f_empty_path | sys::MoveMount::t_empty_path);
constexpr auto kClone = sys::OpenTree::clone | sys::OpenTree::cloexec;
constexpr uint64_t kNoSuidNoDev = sys::bits(sys::MountAttr::nosuid | sys::MountAttr::nodev);
constexpr uint64_t kDirectoryMode = 0755;
constexpr uint64_t kFileMode = 0644;
constexpr int kCapMknod = 27;

struct NodeRow {
  const char* name;
  uint32_t major;
  uint32_t minor;
};
constexpr NodeRow kNodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                              {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
constexpr std::pair<const char*, const char*> kDevLinks[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"}};
constexpr const char* kMachineWide[] = {"sys", "sysrq-trigger", "irq", "bus"};

/// "/proc/" and "/proc" are one place.
std::string_view trimmed(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

Status Compiler::mount_all() {
  for (const FsOperation& op : spec_.mounts) {
    const Status status =
        std::visit([&](const auto& what) { return apply(op, what); }, op.what);
    if (!status) return status;
  }
  return {};
}

Register Compiler::mounted_at(std::string_view destination) const {
  Register found = kNone;
  for (const Mounted& mounted : mounted_)
    if (mounted.destination == trimmed(destination)) found = mounted.fd;
  return found;
}

void Compiler::attach(Register mount, Register dir, std::string_view path, bool directory,
                      Origin from) {
  const Register target = b_.take();
  init(directory ? Op::make_dir_in : Op::make_file_in, from,
       {dir, text(path), directory ? kDirectoryMode : kFileMode, target});
  init(Op::move_mount, from, {mount, target, 0, kOnto});
  b_.release(target);
}

void Compiler::set_attributes(Register mount, const MountAttributes& attributes, Origin from) {
  if ((attributes.recursive_set | attributes.recursive_clear) != 0)
    init(Op::mount_setattr, from,
         {mount, 0, kWholeTree, attributes.recursive_set, attributes.recursive_clear, 0, kNone});
  if ((attributes.set | attributes.clear) != 0)
    init(Op::mount_setattr, from,
         {mount, 0, kEmptyPath, attributes.set, attributes.clear, 0, kNone});
}

Register Compiler::new_file_system(std::string_view type, std::string_view source,
                                   std::span<const std::pair<std::string, std::string>> options,
                                   uint64_t attributes, Origin from) {
  const Register context = b_.take();
  const Register mount = b_.take();
  init(Op::fsopen, from, {text(type), context});
  if (!source.empty())
    init(Op::fsconfig_string, from, {context, text("source"), text(source)});
  for (const auto& [key, value] : options) {
    if (value.empty()) init(Op::fsconfig_flag, from, {context, text(key)});
    else init(Op::fsconfig_string, from, {context, text(key), text(value)});
  }
  init(Op::fsconfig_create, from, {context});
  init(Op::fsmount, from, {context, attributes, mount});
  b_.release(context);
  return mount;
}

Register Compiler::idmap_userns(const Bind& bind, Origin from) {
  const Register fd = b_.take();
  const IdMap& gids = bind.gid_mappings.empty() ? bind.uid_mappings : bind.gid_mappings;
  runtime(Op::make_userns, from, {text(to_text(bind.uid_mappings)), text(to_text(gids)), fd});
  return fd;
}

Status Compiler::apply(const FsOperation& op, const Bind& bind) {
  const bool by_fd = bind.source_fd >= 0;
  const std::string name = by_fd ? fmt::format("fd:{}", bind.source_fd) : bind.source;
  const FileFact fact = host_.file(name);
  if (fact.kind == FileKind::missing && op.optional) return {};
  if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)
    return refuse(op.from, fact.error,
                  fmt::format("bind \"{}\" on \"{}\"", name, op.destination),
                  fact.why);
  auto flags = kClone;
  if (bind.recursive) flags |= sys::OpenTree::recursive;
  const Register tree = b_.take();
  if (by_fd) {
    const Register source = b_.take();
    init(Op::use_fd, op.from, {static_cast<uint64_t>(bind.source_fd), source});
    init(Op::open_tree, op.from,
         {source, 0, sys::bits(flags | sys::OpenTree::empty_path), tree});
    b_.release(source);
  } else {
    init(Op::open_tree, op.from, {kNone, text(bind.source), sys::bits(flags), tree});
  }
  set_attributes(tree, bind.attributes, op.from);
  if (bind.propagation != Propagation::unchanged)
    init(Op::mount_setattr, op.from,
         {tree, 0, bind.propagation_recursive ? kWholeTree : kEmptyPath, 0, 0,
          propagation_bits(bind.propagation), kNone});
  const auto index = static_cast<size_t>(&op - spec_.mounts.data());
  for (const auto& [of, userns] : idmaps_)
    if (of == index)
      init(Op::mount_setattr, op.from,
           {tree, 0, bind.idmap_recursive ? kWholeTree : kEmptyPath,
            sys::bits(sys::MountAttr::idmap), 0, 0, userns});
  const bool directory = fact.kind == FileKind::directory || fact.kind == FileKind::unknown;
  attach(tree, root_, op.destination, directory, op.from);
  b_.release(tree);
  return {};
}

Status Compiler::apply(const FsOperation& op, const FileSystem& fs) {
  const Register mount =
      new_file_system(fs.type, fs.source, fs.options, fs.attributes.set, op.from);
  if (fs.propagation != Propagation::unchanged)
    init(Op::mount_setattr, op.from,
         {mount, 0, kEmptyPath, 0, 0, propagation_bits(fs.propagation), kNone});
  attach(mount, root_, op.destination, true, op.from);
  // A later operation on this very mount goes by its descriptor.
  if (fs.type == "proc") mounted_.push_back({std::string(trimmed(op.destination)), mount});
  else b_.release(mount);
  return {};
}

Status Compiler::apply(const FsOperation& op, const Overlay& wish) {
  const Result<Register> mount = overlay(wish, op.from);
  if (!mount) return std::unexpected(mount.error());
  attach(*mount, root_, op.destination, true, op.from);
  b_.release(*mount);
  return {};
}

void Compiler::device_node(Register host_dev, Register dev, const char* name, uint32_t major,
                           uint32_t minor, Origin from) {
  constexpr uint64_t kMode = 020000 | 0666;
  if (host_dev == kNone) {
    init(Op::mknod_in, from, {dev, text(name), kMode, sys::device_number(major, minor)});
    return;
  }
  const Register node = b_.take();
  init(Op::open_tree, from, {host_dev, text(name), sys::bits(kClone), node});
  attach(node, dev, name, false, from);
  b_.release(node);
}

Status Compiler::apply(const FsOperation& op, const Dev&) {
  using Options = std::vector<std::pair<std::string, std::string>>;
  const Origin from = op.from;
  const uint64_t nosuid = sys::bits(sys::MountAttr::nosuid);
  const uint64_t noexec = sys::bits(sys::MountAttr::noexec);
  // A device node made in a file system that a user namespace owns is dead (SB_I_NODEV): the
  // host's are bound, found in a directory that was opened before anything covers it.
  const bool can_make = !new_user() && host_.in_initial_user_namespace &&
                        host_.has_capability(kCapMknod);
  Register host_dev = kNone;
  if (!can_make) {
    host_dev = b_.take();
    init(Op::open, from, {text("/dev"), kOpenPath, host_dev});
  }
  const Register dev =
      new_file_system("tmpfs", "dev", Options{{"mode", "0755"}}, nosuid | noexec, from);
  attach(dev, root_, op.destination, true, from);
  for (const NodeRow& node : kNodes)
    device_node(host_dev, dev, node.name, node.major, node.minor, from);
  b_.release(host_dev);
  for (const auto& [name, target] : kDevLinks)
    init(Op::symlink_in, from, {dev, text(name), text(target)});

  Options pts = {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  constexpr uint32_t kTtyGroup = 5;
  if (new_user() ? to_host(ids_.gid_map, kTtyGroup).has_value() : host_.uid == 0)
    pts.emplace_back("gid", std::to_string(kTtyGroup));
  const Register devpts = new_file_system("devpts", "devpts", pts, nosuid | noexec, from);
  attach(devpts, dev, "pts", true, from);
  mounted_.push_back({std::string(trimmed(op.destination)) + "/pts", devpts});

  const Register shm =
      new_file_system("tmpfs", "shm", Options{{"mode", "1777"}}, kNoSuidNoDev, from);
  attach(shm, dev, "shm", true, from);
  b_.release(shm);
  if (creates(NamespaceType::ipc)) {  // only the owner of the ipc namespace may mount its queues
    const Register mqueue =
        new_file_system("mqueue", "mqueue", Options{}, kNoSuidNoDev | noexec, from);
    attach(mqueue, dev, "mqueue", true, from);
    b_.release(mqueue);
  }
  b_.release(dev);
  return {};
}

Status Compiler::apply(const FsOperation& op, const CoverProc&) {
  Register proc = mounted_at(op.destination);
  const bool opened = proc == kNone;
  if (opened) {
    proc = b_.take();
    init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, proc});
    init(Op::expect_fs, op.from, {proc, static_cast<uint64_t>(sys::kProcSuperMagic)});
  }
  const Register tree = b_.take();
  const Register target = b_.take();
  for (const char* name : kMachineWide) {
    Step& open = init(Op::open_in, op.from, {proc, text(name), kOpenPath, kInRoot, target});
    open.pass_over = ENOENT;  // not every kernel has each
    open.skip = 3;
    init(Op::open_tree, op.from,
         {target, 0, sys::bits(kClone | sys::OpenTree::empty_path | sys::OpenTree::recursive),
          tree});
    init(Op::mount_setattr, op.from,
         {tree, 0, kWholeTree, sys::bits(sys::MountAttr::rdonly), 0, 0, kNone});
    init(Op::move_mount, op.from, {tree, target, 0, kOnto});
  }
  b_.release(tree);
  b_.release(target);
  if (opened) b_.release(proc);
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeDirectory& make) {
  const Register made = b_.take();
  init(Op::make_dir_in, op.from, {root_, text(op.destination), make.mode, made});
  b_.release(made);
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeSymlink& make) {
  Step& step =
      init(Op::symlink_in, op.from, {root_, text(op.destination), text(make.target)});
  if (op.optional) step.pass_over = EEXIST;
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeFile& make) {
  const Register source = b_.take();
  if (make.source_fd >= 0) {
    init(Op::use_fd, op.from, {static_cast<uint64_t>(make.source_fd), source});
  } else {
    const FileFact fact = host_.file(make.source);
    if (fact.kind == FileKind::missing && op.optional) return {};
    if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access ||
        fact.kind == FileKind::directory)
      return refuse(op.from, fact.kind == FileKind::directory ? EISDIR : fact.error,
                    fmt::format("copy \"{}\" to \"{}\"", make.source, op.destination),
                    fact.kind == FileKind::directory ? "--bind shows a directory" : fact.why);
    init(Op::open, op.from,
         {text(make.source), sys::bits(sys::OpenFlags::rdonly | sys::OpenFlags::cloexec), source});
  }
  init(Op::copy_in, op.from, {source, root_, text(op.destination), make.mode});
  b_.release(source);
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeDevice& make) {
  if (new_user() || !host_.has_capability(kCapMknod))
    return refuse(op.from, EPERM, fmt::format("make the device \"{}\"", op.destination),
                  "mknod(2) needs CAP_MKNOD in the initial user namespace; bind the host's node");
  init(Op::mknod_in, op.from,
       {root_, text(op.destination), make.mode, sys::device_number(make.major, make.minor)});
  const Register node = b_.take();
  init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, node});
  init(Op::chown, op.from, {node, make.uid, make.gid});
  b_.release(node);
  return {};
}

Status Compiler::apply(const FsOperation& op, const Remount& remount) {
  const Register target = b_.take();
  Step& open = init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, target});
  const size_t opened = b_.step_count() - 1;
  if (op.optional) open.pass_over = ENOENT;
  if (remount.bind) {
    const Register tree = b_.take();
    init(Op::open_tree, op.from,
         {target, 0, sys::bits(kClone | sys::OpenTree::empty_path | sys::OpenTree::recursive),
          tree});
    set_attributes(tree, remount.attributes, op.from);
    init(Op::move_mount, op.from, {tree, target, 0, kOnto});
    b_.release(tree);
  } else {
    set_attributes(target, remount.attributes, op.from);
  }
  b_.step(opened).skip = static_cast<uint16_t>(b_.step_count() - 1 - opened);
  b_.release(target);
  return {};
}

/// One of two mounts fits: an empty directory or an empty file. The kernel refuses the other with
/// ENOTDIR, so nobody has to look first.
Status Compiler::apply(const FsOperation& op, const Mask&) {
  const Register target = b_.take();
  Step& open = init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, target});
  const size_t opened = b_.step_count() - 1;
  if (op.optional) open.pass_over = ENOENT;
  const std::pair<std::string, std::string> options[] = {{"mode", "0555"}, {"size", "0"}};
  const uint64_t attributes = kNoSuidNoDev | sys::bits(sys::MountAttr::noexec) |
                              sys::bits(sys::MountAttr::rdonly);
  const Register directory = new_file_system("tmpfs", "isle", options, attributes, op.from);
  init(Op::move_mount, op.from, {directory, target, 0, kOnto}).pass_over = ENOTDIR;
  b_.release(directory);
  const Register file = b_.take();
  init(Op::open_tree, op.from, {kNone, text("/dev/null"), sys::bits(kClone), file});
  init(Op::move_mount, op.from, {file, target, 0, kOnto}).pass_over = ENOTDIR;
  b_.release(file);
  b_.step(opened).skip = static_cast<uint16_t>(b_.step_count() - 1 - opened);
  b_.release(target);
  return {};
}

}  // namespace isle::plan
