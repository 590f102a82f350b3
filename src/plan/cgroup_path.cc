// A cgroup at a path of the caller's choice in every hierarchy, as container engines want it, and the
// hierarchies as they are shown inside.
#include <fmt/format.h>

#include <algorithm>

#include "cgroup/device_filter.h"
#include "cgroup/paths.h"
#include "plan/compiler.h"

namespace isle::plan {
namespace {

constexpr uint64_t kMode = 0755;

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

/// A new cpuset has no CPUs and takes no process, so that one is made only where it is known what
/// to put in.
bool is_wanted(const CgroupHierarchy& hierarchy, const CgroupFacts& facts) {
  return !contains(hierarchy.controllers, "cpuset") || !facts.v1_cpus.empty();
}

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

/// The kernel makes a cgroup namespace's root of where its maker is, and who is cloned into a cgroup
/// is not there yet (kernel: copy_cgroup_ns()).
bool Compiler::late_cgroup_namespace() const {
  return creates(NamespaceType::cgroup) && spec_.resources.path.has_value();
}

void Compiler::unshare_cgroup_namespace() {
  init(Op::unshare, spec_.find(NamespaceType::cgroup)->from,
       {sys::bits(sys::CloneFlags::newcgroup)});
}

/// What cgroup/paths.h says, as steps. Not where the pid namespace is another's: who is born there would have
/// the descriptor, and those in it may look.
void Compiler::open_hierarchies(Origin from) {
  if (joins_pid()) return;
  hierarchies_at_ = cgroup::common_directory(host_.cgroup);
  if (hierarchies_at_.empty()) return;
  hierarchies_ = b_.take();
  runtime(Op::open, from, {text(hierarchies_at_), kOpenDirectory, hierarchies_});
}

Compiler::Place Compiler::place(const std::string& path) {
  const std::string_view rest = cgroup::rest_below(hierarchies_at_, path);
  if (rest.empty()) return {text(path), kNone};
  return {text(rest), hierarchies_};
}

Step& Compiler::write_file(Actor actor, Origin from, const std::string& path,
                           std::string_view value) {
  const Place where = place(path);
  return b_.add(actor, Op::write_file, from, {where.path, text(value), where.below});
}

Step& Compiler::make_directory(Actor actor, Origin from, const std::string& path, uint64_t mode) {
  const Place where = place(path);
  return b_.add(actor, Op::mkdir, from, {where.path, mode, where.below});
}

/// Parents are left behind, as somebody else may be in them by then.
void Compiler::cgroup_directory(const std::string& mount, bool cpuset, Origin from) {
  const std::string& path = spec_.resources.path->value;
  const std::string leaf = mount + path;
  // What was there before is not ours to remove, nor are the processes in it ours to end.
  const bool is_new = host_.file(leaf).kind == FileKind::missing;
  if (is_new) {
    if (!spec_.resources.keep_cgroup) need_guard(from);
    // Before the deed, which is several steps: launch() undoes what stands before the step that failed.
    undo(Op::remove_cgroup, from, {text(leaf)}).flags = undo_flags();
  }
  const auto make = [&](const std::string& directory) {
    const bool is_bare = contains(host_.cgroup.v1_without_cpus, directory);
    if (!is_bare) {
      Step& step = make_directory(Actor::runtime, from, directory, kMode);
      step.pass_over = EEXIST;
      if (!cpuset) return;
      step.skip = 2;  // it has CPUs, and which is not for us to say
    }
    write_file(Actor::runtime, from, directory + "/cpuset.cpus", host_.cgroup.v1_cpus);
    write_file(Actor::runtime, from, directory + "/cpuset.mems", host_.cgroup.v1_mems);
  };
  const bool is_bare = contains(host_.cgroup.v1_without_cpus, leaf);
  for (size_t slash = path.find('/', 1); (is_new || is_bare) && slash != std::string::npos;
       slash = path.find('/', slash + 1))
    make(mount + path.substr(0, slash));
  if (is_new || is_bare) make(leaf);
}

Status Compiler::cgroup_by_path() {
  const Resources& wish = spec_.resources;
  const Origin from = wish.path->from;
  const CgroupFacts& facts = host_.cgroup;
  join_cgroups();
  if (facts.error != 0)
    return refuse(from, facts.error, "read /proc/self/mountinfo and /proc/self/cgroup");
  if (facts.layout == CgroupLayout::none)
    return refuse(from, ENOENT,
                  fmt::format("make the cgroup \"{}\": no hierarchy is mounted", wish.path->value),
                  "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
  open_hierarchies(from);
  std::vector<std::string> done;
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies) {
    if (!is_wanted(hierarchy, facts) || contains(done, hierarchy.mount)) continue;
    done.push_back(hierarchy.mount);
    cgroup_directory(hierarchy.mount, contains(hierarchy.controllers, "cpuset"), from);
    attach_v1_.push_back(hierarchy.mount + wish.path->value);
  }
  if (!facts.v2_mount.empty()) {
    cgroup_directory(facts.v2_mount, false, from);
    hand_controllers_on(from);
  }
  if (Status status = cgroup_values(); !status) return status;
  if (facts.v2_mount.empty()) return {};
  open_cgroup(facts.v2_mount + wish.path->value, from);
  give_cgroup(facts.v2_mount + wish.path->value, from);
  device_filter();
  return {};
}

/// Each directory on the way hands its controllers on; which it may, its parent decides. memory first:
/// a directory that has processes refuses it and not cpu, which would make it threaded, and whatever
/// is below it one that nobody can be put in.
void Compiler::hand_controllers_on(Origin from) {
  const std::string& path = spec_.resources.path->value;
  std::vector<std::string> controllers = host_.cgroup.v2_controllers;
  const bool memory = contains(controllers, "memory");
  if (const auto found = std::ranges::find(controllers, "memory"); found != controllers.end())
    std::rotate(controllers.begin(), found, found + 1);
  for (size_t slash = 0; slash != std::string::npos; slash = path.find('/', slash + 1)) {
    bool first = memory;
    for (const std::string& controller : controllers) {
      Step& step =
          write_file(Actor::runtime, from,
                     host_.cgroup.v2_mount + path.substr(0, slash) + "/cgroup.subtree_control",
                     "+" + controller);
      step.pass_over = kAnyError;
      if (first) step.skip = static_cast<uint8_t>(controllers.size() - 1);
      first = false;
    }
  }
}

/// To the process's user, who divides it further, where it sees no other and may write there: "Cgroup
/// ownership" of the runtime-spec. Of the files those that delegation hands over, cgroups(7); limits
/// stay ours.
void Compiler::give_cgroup(const std::string& directory, Origin from) {
  const bool writable = std::ranges::any_of(spec_.mounts, [](const FsOperation& op) {
    const auto* fs = std::get_if<FileSystem>(&op.what);
    return fs != nullptr && fs->type.starts_with("cgroup") &&
           (fs->attributes.set & sys::bits(sys::MountAttr::rdonly)) == 0;
  });
  if (!writable || !creates(NamespaceType::cgroup) || host_.cgroup.layout != CgroupLayout::v2)
    return;
  const User& user = spec_.process.user;
  const uint32_t inside = user.uid ? user.uid->value : 0;
  const auto owner = new_user() ? to_host(ids_.uid_map, inside) : inside;
  if (!owner || *owner == host_.uid) return;
  for (const char* name : {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control",
                           "/memory.oom.group", "/memory.reclaim"}) {
    const Register file = b_.take();
    Step& opened = runtime(
        Op::open, from,
        {text(directory + name), sys::bits(sys::OpenFlags::path | sys::OpenFlags::cloexec), file});
    opened.pass_over = ENOENT;  // no such controller there, or a kernel before it
    opened.skip = 1;
    runtime(Op::chown, from, {file, *owner, kSameOwner}).pass_over = EPERM;
    b_.release(file);
  }
}

Status Compiler::cgroup_values() {
  Resources wish = spec_.resources;
  // In a user namespace no device can be made, and none but the host's own be opened.
  if (new_user() || !host_.in_initial_user_namespace) wish.devices.clear();
  const auto writes = limit_writes(wish, host_.cgroup, spec_.origins);
  if (!writes) return std::unexpected(writes.error());
  for (const CgroupWrite& write : *writes)
    write_file(Actor::runtime, write.from, write.path, write.value).pass_over =
        static_cast<uint8_t>(write.pass_over);
  return {};
}

/// v2 has no list of devices, but a program that is asked.
void Compiler::device_filter() {
  const std::vector<DeviceRule>& rules = spec_.resources.devices;
  const bool on_v1 = std::ranges::any_of(host_.cgroup.v1_hierarchies, [](const auto& hierarchy) {
    return contains(hierarchy.controllers, "devices");
  });
  if (rules.empty() || on_v1 || new_user() || !host_.in_initial_user_namespace) return;
  const std::vector<uint64_t> program = cgroup::device_filter(rules);
  runtime(Op::device_filter, rules.front().from,
          {cgroup_, b_.blob(program.data(), program.size() * sizeof(uint64_t))});
}

/// The cgroup as a tree of its own.
Register Compiler::own_cgroup(const std::string& directory, Origin from) {
  if (hierarchies_ != kNone && !init_has_hierarchies_) {  // the runtime's are of its own namespace
    init(Op::open, from, {text(hierarchies_at_), kOpenDirectory, hierarchies_});
    init_has_hierarchies_ = true;
  }
  const Register tree = b_.take();
  const Place where = place(directory);
  init(Op::open_tree, from,
       {where.below, where.path, sys::bits(sys::OpenTree::clone | sys::OpenTree::cloexec), tree});
  return tree;
}

/// On v2 the one hierarchy. On v1 a tmpfs with the container's own cgroup of each bound into it:
/// a new mount of a hierarchy would be as deep as the namespace, which comes later.
Status Compiler::cgroup_tree(const FsOperation& op, const FileSystem& fs) {
  using Options = std::vector<std::pair<std::string, std::string>>;
  const CgroupFacts& facts = host_.cgroup;
  const Resources& wish = spec_.resources;
  // Who may mount it has CAP_SYS_ADMIN where the cgroup namespace belongs; others see their own part
  // by a bind, which is what a namespace of its own would show.
  const bool owns_namespace = spec_.find(NamespaceType::cgroup) != nullptr ||
                              (!new_user() && host_.in_initial_user_namespace);
  const auto set_all = [&](Register tree) {
    constexpr uint64_t kAtime = sys::bits(sys::MountAttr::atime);
    init(Op::mount_setattr, op.from,
         {tree, 0, sys::bits(sys::AtFlags::empty_path | sys::AtFlags::recursive), fs.attributes.set,
          (fs.attributes.set & kAtime) != 0 ? kAtime : 0, propagation_bits(Propagation::private_),
          kNone});
  };
  const std::string own_v2 = wish.path ? facts.v2_mount + wish.path->value : facts.v2_own;
  if (facts.layout == CgroupLayout::v2 && !owns_namespace && !own_v2.empty()) {
    const Register tree = own_cgroup(own_v2, op.from);
    set_all(tree);
    attach(tree, root_, op.destination, true, op.from);
    b_.release(tree);
    return {};
  }
  if (facts.layout == CgroupLayout::v2) {
    FileSystem unified = fs;
    unified.type = "cgroup2";
    return apply(op, unified);
  }
  const Register top = new_file_system("tmpfs", "tmpfs", Options{{"mode", "0755"}}, 0, op.from);
  attach(top, root_, op.destination, true, op.from);
  const auto show = [&](const std::string& mount, const std::string& own) {
    const bool ours = wish.path.has_value();
    if (!ours && own.empty()) return;
    const Register tree = own_cgroup(ours ? mount + wish.path->value : own, op.from);
    attach(tree, top, last_name(mount), true, op.from);
    b_.release(tree);
  };
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies) {
    if (wish.path && !is_wanted(hierarchy, facts)) continue;
    show(hierarchy.mount, hierarchy.own);
    for (const std::string& controller : hierarchy.controllers)
      if (hierarchy.controllers.size() > 1)
        init(Op::symlink_in, op.from, {top, text(controller), text(last_name(hierarchy.mount))})
            .pass_over = EEXIST;
  }
  if (!facts.v2_mount.empty()) show(facts.v2_mount, facts.v2_own);
  set_all(top);
  b_.release(top);
  return {};
}

}  // namespace isle::plan
