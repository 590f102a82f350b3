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
constexpr uint64_t kCopies = 1;
constexpr uint64_t kOnto = sys::bits(sys::MoveMount::f_empty_path | sys::MoveMount::t_empty_path);
constexpr auto kClone = sys::OpenTree::clone | sys::OpenTree::cloexec;
constexpr uint64_t kNoSuidNoDev = sys::bits(sys::MountAttr::nosuid | sys::MountAttr::nodev);
/// What a mount namespace of a less privileged user keeps of the mounts that it copies: mount_namespaces(7).
constexpr uint64_t kLockable =
    kNoSuidNoDev | sys::bits(sys::MountAttr::rdonly | sys::MountAttr::noexec |
                             sys::MountAttr::atime | sys::MountAttr::nodiratime);
constexpr uint64_t kDirectoryMode = 0755;
constexpr uint64_t kFileMode = 0644;

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

bool is_fifo(const MakeDevice& make) { return (make.mode & sys::kModeTypeMask) == sys::kModeFifo; }

}  // namespace

Status Compiler::mount_all() {
  for (const FsOperation& op : spec_.mounts) {
    const Status status = std::visit([&](const auto& what) { return apply(op, what); }, op.what);
    if (!status) return status;
  }
  b_.release(empty_);
  return {};
}

Register Compiler::mounted_at(std::string_view destination) const {
  Register found = kNone;
  for (const Mounted& mounted : mounted_)
    if (mounted.destination == trimmed(destination)) found = mounted.fd;
  return found;
}

void Compiler::attach(Register mount, Register dir, std::string_view path, bool directory,
                      Origin from, bool no_follow) {
  const Register target = b_.take();
  Step& made = init(directory ? Op::make_dir_in : Op::make_file_in, from,
                    {dir, text(path), directory ? kDirectoryMode : kFileMode, target});
  if (no_follow) made.pass_over = kAnyError;  // a link there may lead to what is of another kind
  if (no_follow)
    init(Op::open_in, from,
         {dir, text(path), kOpenPath | sys::bits(sys::OpenFlags::nofollow), kInRoot, target});
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
                                   uint64_t attributes, Origin from, std::optional<Actor> by) {
  const Actor actor = by.value_or(first_);
  const Register context = b_.take();
  const Register mount = b_.take();
  b_.add(actor, Op::fsopen, from, {text(type), context});
  if (!source.empty())
    b_.add(actor, Op::fsconfig_string, from, {context, text("source"), text(source)});
  for (const auto& [key, value] : options) {
    if (value.empty())
      b_.add(actor, Op::fsconfig_flag, from, {context, text(key)});
    else
      b_.add(actor, Op::fsconfig_string, from, {context, text(key), text(value)});
  }
  b_.add(actor, Op::fsconfig_create, from, {context});
  b_.add(actor, Op::fsmount, from, {context, attributes, mount});
  b_.release(context);
  return mount;
}

/// An idmapped mount needs privilege over the file system, which a process in a new user namespace
/// lacks: the runtime makes the tree, and init attaches it. It comes from the host's own mount
/// namespace, so it must stop being a peer of the host's mounts.
Status Compiler::idmapped_binds() {
  for (size_t i = 0; i < spec_.mounts.size(); ++i) {
    const FsOperation& op = spec_.mounts[i];
    const auto* bind = std::get_if<Bind>(&op.what);
    if (bind == nullptr) continue;
    if (bind->uid_mappings.empty() && bind->gid_mappings.empty() && !bind->idmap_as_joined) {
      bind_by_runtime(i, *bind);
      continue;
    }
    const std::string what = fmt::format("idmapped mount on \"{}\"", op.destination);
    if (!host_.idmapped_mounts) return refuse(op.from, EINVAL, what, "Linux 5.12 and later only");
    if (!caller_is_privileged())
      return refuse(op.from, EPERM, what,
                    "it needs CAP_SYS_ADMIN in the user namespace that mounted the file system");
    const FileFact fact =
        host_.file(bind->source_fd >= 0 ? fmt::format("fd:{}", bind->source_fd) : bind->source);
    // What an earlier operation may show there is for init to take, as privileged as the runtime then.
    const bool by_init = is_in_root(*bind) && spec_.find(NamespaceType::user) == nullptr;
    if (!by_init && (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)) {
      if (!is_in_root(*bind)) continue;  // see apply()
      return refuse(op.from, fact.error, what,
                    "in a user namespace the source has to be there before anything is mounted");
    }
    const IdMap same = {{0, 0, 0xffffffff}};  // of the kind of id that has no map
    const IdMap& uids = bind->uid_mappings.empty() ? same : bind->uid_mappings;
    const IdMap& gids = bind->gid_mappings.empty() ? same : bind->gid_mappings;
    const auto joined =
        std::ranges::find(joins_, NamespaceType::user, &std::pair<NamespaceType, Register>::first);
    if (bind->idmap_as_joined && joined == joins_.end())
      return refuse(op.from, 0, what, "neither the mount nor the container has a map");
    const Register userns = bind->idmap_as_joined ? joined->second : b_.take();
    if (!bind->idmap_as_joined)
      runtime(Op::make_userns, op.from, {text(to_text(uids)), text(to_text(gids)), userns});
    if (by_init) {
      late_idmaps_.emplace_back(i, userns);
      continue;
    }
    const Register tree = b_.take();
    bind_source(op, *bind, tree, Actor::runtime);
    runtime(Op::mount_setattr, op.from,
            {tree, 0, kWholeTree, 0, 0, sys::bits(sys::MountFlags::slave), kNone});
    idmap(op, *bind, tree, userns, Actor::runtime);
    if (!bind->idmap_as_joined) b_.release(userns);
    runtime_binds_.emplace_back(i, tree);
  }
  return {};
}

void Compiler::idmap(const FsOperation& op, const Bind& bind, Register tree, Register userns,
                     Actor actor) {
  b_.add(actor, Op::mount_setattr, op.from,
         {tree, 0, bind.idmap_recursive ? kWholeTree : kEmptyPath, sys::bits(sys::MountAttr::idmap),
          0, 0, userns});
}

/// Only what is taken from the host's own mount namespace stays a peer of the host's mount, so that
/// what is mounted inside shows there. And the way to what a privileged caller may bind may be closed to
/// those in a new user namespace, as its flags are locked for them.
void Compiler::bind_by_runtime(size_t index, const Bind& bind) {
  const FsOperation& op = spec_.mounts[index];
  const FileFact fact =
      host_.file(bind.source_fd >= 0 ? fmt::format("fd:{}", bind.source_fd) : bind.source);
  const bool is_peer = bind.propagation == Propagation::shared;
  // As the caller's own id, which is the owner's more often than not, init gets there itself; in a
  // user namespace that is joined it is another's.
  const NamespaceWish* userns = spec_.find(NamespaceType::user);
  const bool is_joined = userns != nullptr && userns->joins() && !spec_.process.user.as_is;
  const bool is_other =
      is_joined || (new_user() && to_host(ids_.uid_map, set_up_uid()) != host_.uid);
  const uint64_t cleared =
      bind.attributes.clear | bind.attributes.recursive_clear | bind.clear_unlocked;
  const bool unlocks = new_user() && (cleared & kLockable) != 0;
  const bool is_far = (is_other || unlocks) && !is_in_root(bind) && bind.source_fd < 0 &&
                      !bind.copy_link && spec_.root && !spec_.process.in_place.value;
  if ((!is_peer && !is_far) || !caller_is_privileged() || fact.kind == FileKind::missing ||
      fact.kind == FileKind::no_access)
    return;
  const Register tree = b_.take();
  bind_source(op, bind, tree, Actor::runtime);
  if (!is_peer)
    runtime(Op::mount_setattr, op.from,
            {tree, 0, bind.recursive ? kWholeTree : kEmptyPath, 0, 0,
             sys::bits(sys::MountFlags::slave), kNone});
  runtime_binds_.emplace_back(index, tree);
}

/// mknod(2) is for the initial user namespace: for a new one the runtime makes the nodes that are asked
/// for, with their owners and modes, in a file system of their own, and init attaches them.
void Compiler::devices_by_runtime() {
  if (!new_user() || !host_.may_make_devices() || !host_.copy_of_detached) return;
  Register nodes = kNone;
  for (size_t i = 0; i < spec_.mounts.size(); ++i) {
    const FsOperation& op = spec_.mounts[i];
    const auto* make = std::get_if<MakeDevice>(&op.what);
    if (make == nullptr || op.from == 0 || is_fifo(*make)) continue;
    const auto uid = to_host(ids_.uid_map, make->uid);
    const auto gid = to_host(ids_.gid_map, make->gid);
    if (!uid || !gid) continue;  // bound from the host
    if (nodes == kNone) {
      runtime(Op::umask, op.from, {0});
      nodes = new_file_system("tmpfs", "isle", {}, sys::bits(sys::MountAttr::nosuid), op.from,
                              Actor::runtime);
    }
    const uint64_t name = text(std::to_string(i));
    runtime(Op::mknod_in, op.from,
            {nodes, name, make->mode, sys::device_number(make->major, make->minor), *uid, *gid});
    const Register tree = b_.take();
    runtime(Op::open_tree, op.from, {nodes, name, sys::bits(kClone), tree});
    runtime_binds_.emplace_back(i, tree);
  }
  if (nodes == kNone) return;
  runtime(Op::restore_umask, 0);
  b_.release(nodes);
}

/// What the runtime has made for `op`.
Register Compiler::made_for(const FsOperation& op, const MadeFor& made) const {
  const auto index = static_cast<size_t>(&op - spec_.mounts.data());
  const auto found = std::ranges::find(made, index, &MadeFor::value_type::first);
  return found != made.end() ? found->second : kNone;
}

/// A detached copy of what is to be bound, or what is detached already.
void Compiler::bind_source(const FsOperation& op, const Bind& bind, Register tree, Actor actor) {
  auto flags = kClone;
  if (bind.recursive) flags |= sys::OpenTree::recursive;
  if (bind.no_follow) flags |= sys::OpenTree::symlink_nofollow;
  if (bind.detached) {
    b_.add(actor, Op::use_fd, op.from, {static_cast<uint64_t>(bind.source_fd), tree});
    return;
  }
  if (bind.source_fd < 0) {
    b_.add(actor, Op::open_tree, op.from,
           {kNone, text(host_path(bind.source)), sys::bits(flags), tree});
    return;
  }
  const Register source = b_.take();
  b_.add(actor, Op::use_fd, op.from, {static_cast<uint64_t>(bind.source_fd), source});
  b_.add(actor, Op::open_tree, op.from,
         {source, 0, sys::bits(flags | sys::OpenTree::empty_path), tree});
  b_.release(source);
}

Status Compiler::apply(const FsOperation& op, const Bind& bind) {
  const bool by_fd = bind.source_fd >= 0;
  const std::string name = by_fd ? fmt::format("fd:{}", bind.source_fd) : bind.source;
  const bool is_link = host_.file("link:" + name).kind == FileKind::symlink;
  if (is_link && bind.copy_link) {
    init(Op::copy_link, op.from, {text(host_path(bind.source)), root_, text(op.destination)})
        .pass_over = EEXIST;
    return {};
  }
  FileFact fact = host_.file(bind.no_follow && is_link ? "link:" + name : name);
  if (fact.kind == FileKind::missing && op.optional) return {};
  if (fact.kind == FileKind::missing && is_in_root(bind))
    fact.kind = FileKind::unknown;  // an earlier operation may make it
  if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)
    return refuse(op.from, fact.error, fmt::format(R"(bind "{}" on "{}")", name, op.destination),
                  fact.why);
  const Register made = made_for(op, runtime_binds_);
  const Register tree = made != kNone ? made : b_.take();
  if (made == kNone) bind_source(op, bind, tree, first_);
  if (const Register userns = made_for(op, late_idmaps_); userns != kNone) {
    idmap(op, bind, tree, userns, first_);
    b_.release(userns);
  }
  set_attributes(tree, bind.attributes, op.from);
  if (bind.clear_unlocked != 0)
    init(Op::mount_setattr, op.from, {tree, 0, kEmptyPath, 0, bind.clear_unlocked, 0, kNone})
        .pass_over = EPERM;
  if (bind.propagation != Propagation::unchanged)
    init(Op::mount_setattr, op.from,
         {tree, 0, bind.propagation_recursive ? kWholeTree : kEmptyPath, 0, 0,
          propagation_bits(bind.propagation), kNone});
  const bool directory = fact.kind == FileKind::directory || fact.kind == FileKind::unknown;
  attach(tree, root_, op.destination, directory, op.from, op.no_follow);
  b_.release(tree);
  return {};
}

Status Compiler::apply(const FsOperation& op, const FileSystem& fs) {
  if (fs.type == "cgroup") return cgroup_tree(op, fs);
  const uint64_t read_only = sys::bits(sys::MountAttr::rdonly);
  const bool is_filled_first =
      (fs.type == "tmpfs" || fs.type == "ramfs") && (fs.attributes.set & read_only) != 0;
  const Register mount =
      new_file_system(fs.type, fs.source, fs.options,
                      fs.attributes.set & ~(is_filled_first ? read_only : 0), op.from);
  if (fs.propagation != Propagation::unchanged)
    init(Op::mount_setattr, op.from,
         {mount, 0, kEmptyPath, 0, 0, propagation_bits(fs.propagation), kNone});
  // In the caller's own tree: where mounts are shared, only what is private hides this one.
  if (!spec_.root && spec_.mount_propagation &&
      spec_.mount_propagation->value != Propagation::private_)
    init(Op::mount_setattr, op.from,
         {kNone, text(op.destination), sys::bits(sys::AtFlags::recursive), 0, 0,
          propagation_bits(Propagation::private_), kNone})
        .pass_over = EINVAL;
  if (fs.copy_up)
    init(Op::copy_tree, op.from, {root_, text(op.destination), mount}).pass_over = ENOENT;
  attach(mount, root_, op.destination, true, op.from, op.no_follow);
  if (fs.refuse_links && (fs.type == "proc" || fs.type == "sysfs")) {
    const Register seen = b_.take();
    const auto open = sys::OpenFlags::path | sys::OpenFlags::cloexec | sys::OpenFlags::nofollow;
    init(Op::open_in, op.from, {root_, text(op.destination), sys::bits(open), kInRoot, seen});
    init(
        Op::expect_fs, op.from,
        {seen, static_cast<uint64_t>(fs.type == "proc" ? sys::kProcSuperMagic : sys::kSysfsMagic)});
    b_.release(seen);
  }
  // A later operation on this very mount goes by its descriptor; the terminal is of this devpts.
  if (fs.type == "proc" || fs.type == "devpts")
    mounted_.push_back({std::string(trimmed(op.destination)), mount});
  else if (is_filled_first)
    filled_first_.emplace_back(mount, op.from);
  else
    b_.release(mount);
  return {};
}

/// What starts empty, when all that goes below it is there: /dev/console of a read-only /dev, too.
void Compiler::finish_read_only() {
  for (const auto& [mount, from] : filled_first_) {
    init(Op::mount_setattr, from,
         {mount, 0, kEmptyPath, sys::bits(sys::MountAttr::rdonly), 0, 0, kNone});
    b_.release(mount);
  }
}

Status Compiler::apply(const FsOperation& op, const Overlay& wish) {
  const Result<Register> mount = overlay(wish, op.from);
  if (!mount) return std::unexpected(mount.error());
  attach(*mount, root_, op.destination, true, op.from);
  b_.release(*mount);
  return {};
}

/// A device of the host's, to be bound. Read-only, which keeps nobody from writing to the device: its owner and mode
/// are the host's, and with the host's ids not for the sandbox's root to change.
void Compiler::host_node(Register dir, std::string_view path, Register node, Origin from) {
  init(Op::open_tree, from, {dir, text(path), sys::bits(kClone), node});
  // In place the host's mount has by now the attributes of the root, nodev among them.
  init(Op::mount_setattr, from,
       {node, 0, kEmptyPath, sys::bits(sys::MountAttr::rdonly),
        in_place() ? sys::bits(sys::MountAttr::nodev) : 0, 0, kNone});
}

void Compiler::device_node(Register host_dev, Register dev, const char* name, uint32_t major,
                           uint32_t minor, Origin from) {
  constexpr uint64_t kMode = 020000 | 0666;
  if (host_dev == kNone) {
    init(Op::mknod_in, from,
         {dev, text(name), kMode, sys::device_number(major, minor), kSameOwner, kSameOwner});
    return;
  }
  const Register node = b_.take();
  host_node(host_dev, name, node, from);
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
  const bool can_make = spec_.find(NamespaceType::user) == nullptr && host_.may_make_devices();
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
  Step& step = init(Op::symlink_in, op.from, {root_, text(op.destination), text(make.target)});
  if (op.optional) step.pass_over = EEXIST;
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeFile& make) {
  Register source = kNone;
  if (make.source_fd >= 0) {
    source = b_.take();
    init(Op::use_fd, op.from, {static_cast<uint64_t>(make.source_fd), source});
  } else {
    const FileFact fact = host_.file(make.source);
    if (fact.kind == FileKind::missing && op.optional) return {};
    if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access ||
        fact.kind == FileKind::directory)
      return refuse(op.from, fact.kind == FileKind::directory ? EISDIR : fact.error,
                    fmt::format(R"(copy "{}" to "{}")", make.source, op.destination),
                    fact.kind == FileKind::directory ? "--bind shows a directory" : fact.why);
    source = b_.take();
    init(Op::open, op.from,
         {text(host_path(make.source)), sys::bits(sys::OpenFlags::rdonly | sys::OpenFlags::cloexec),
          source});
  }
  init(Op::copy_in, op.from, {source, root_, text(op.destination), make.mode});
  b_.release(source);
  return {};
}

Status Compiler::apply(const FsOperation& op, const WriteFile& write) {
  init(Op::write_in, op.from, {root_, text(op.destination), text(write.text)});
  return {};
}

Status Compiler::apply(const FsOperation& op, const MakeDevice& make) {
  if (const Register made = made_for(op, runtime_binds_); made != kNone) {
    attach(made, root_, op.destination, false, op.from);
    b_.release(made);
    return {};
  }
  const bool may_make = spec_.find(NamespaceType::user) == nullptr && host_.may_make_devices();
  if (!is_fifo(make) && !may_make) {
    const FileFact fact = host_.file(op.destination);
    if ((fact.kind != FileKind::character_device && fact.kind != FileKind::block_device) ||
        fact.device != sys::device_number(make.major, make.minor))
      return refuse(op.from, EPERM, fmt::format("make the device \"{}\"", op.destination),
                    "mknod(2) needs CAP_MKNOD in the initial user namespace, and the host has no "
                    "such node at that path to bind");
    const Register node = b_.take();
    host_node(kNone, op.destination, node, op.from);
    attach(node, root_, op.destination, false, op.from);
    b_.release(node);
    return {};
  }
  Step& made = init(Op::mknod_in, op.from,
                    {root_, text(op.destination), make.mode,
                     sys::device_number(make.major, make.minor), make.uid, make.gid});
  if (op.optional) made.pass_over = EEXIST;
  return {};
}

Status Compiler::apply(const FsOperation& op, const Remount& remount) {
  const Register target = b_.take();
  Step& open =
      init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, target});
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

/// A directory gets an empty directory, anything else an empty file.
/// One file system for all masked directories: what costs is the superblock. Of none that is attached
/// nothing is left over, which the kernel would take apart in a grace period.
Status Compiler::apply(const FsOperation& op, const Mask&) {
  if (empty_ == kNone) {
    const std::pair<std::string, std::string> options[] = {{"mode", "0555"}, {"size", "4k"}};
    empty_ = new_file_system(
        "tmpfs", "isle", options,
        kNoSuidNoDev | sys::bits(sys::MountAttr::noexec) | sys::bits(sys::MountAttr::rdonly),
        op.from);
  }
  const size_t begin = b_.step_count();
  const auto skip_rest_from = [&](size_t index) {
    b_.step(index).skip = static_cast<uint16_t>(b_.step_count() - 1 - index);
  };
  const Register target = b_.take();
  Step& open =
      init(Op::open_in, op.from, {root_, text(op.destination), kOpenPath, kInRoot, target});
  if (op.optional) open.pass_over = ENOENT;

  Step& as_directory = init(Op::expect_directory, op.from, {target});
  as_directory.pass_over = ENOTDIR;
  as_directory.skip = 1;
  const size_t masked = b_.step_count();
  init(Op::move_mount, op.from, {empty_, target, 0, kOnto, kCopies}).flags = kSkipsIfDone;

  const Register node = b_.take();
  host_node(kNone, "/dev/null", node, op.from);
  init(Op::move_mount, op.from, {node, target, 0, kOnto});
  skip_rest_from(masked);
  if (op.optional) skip_rest_from(begin);
  b_.release(node);
  b_.release(target);
  return {};
}

}  // namespace isle::plan
