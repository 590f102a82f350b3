// Which namespaces are new, which are joined and by whom, and what is set inside new ones.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {
namespace {

/// For plans only: the type's name, that under /proc/PID/ns, and the CLONE flag.
struct TypeRow {
  NamespaceType type;
  const char* name;
  const char* file;
  sys::CloneFlags flag;
};
// Order of joining. Mount last of these: it takes the host's paths away.
constexpr TypeRow kTypes[] = {
    {NamespaceType::user, "user", "user", sys::CloneFlags::newuser},
    {NamespaceType::cgroup, "cgroup", "cgroup", sys::CloneFlags::newcgroup},
    {NamespaceType::ipc, "ipc", "ipc", sys::CloneFlags::newipc},
    {NamespaceType::uts, "uts", "uts", sys::CloneFlags::newuts},
    {NamespaceType::network, "network", "net", sys::CloneFlags::newnet},
    {NamespaceType::pid, "pid", "pid", sys::CloneFlags::newpid},
    {NamespaceType::time, "time", "time", sys::CloneFlags::newtime},
    {NamespaceType::mount, "mount", "mnt", sys::CloneFlags::newns},
};

const TypeRow& row(NamespaceType type) {
  for (const TypeRow& entry : kTypes)
    if (entry.type == type) return entry;
  return kTypes[0];
}

}  // namespace

/// All new namespaces at once; but the time namespace is entered only by children (or execve), and
/// its offsets must be written before, so init unshares that one.
sys::CloneFlags Compiler::clone_flags() const {
  auto flags = sys::CloneFlags::none;
  for (const TypeRow& entry : kTypes)
    if (entry.type != NamespaceType::time &&
        (creates(entry.type) || (entry.type == NamespaceType::mount && carries_root())) &&
        !(entry.type == NamespaceType::cgroup && late_cgroup_namespace()))
      flags |= entry.flag;
  const NamespaceWish* pid = spec_.find(NamespaceType::pid);
  if (pid != nullptr && pid->for_children) flags &= ~sys::CloneFlags::newpid;
  if (shares_memory()) flags |= sys::CloneFlags::vm;
  return flags;
}

/// Not where init stays what it is (it unmaps the plan) or outlives the runtime, nor where it joins a time namespace
/// (kernel: timens_install() wants the only user of its memory).
bool Compiler::shares_memory() const {
  const bool joins_time = creates(NamespaceType::time) ? !host_.exec_enters_time_namespace
                                                       : spec_.find(NamespaceType::time) != nullptr;
  return !spec_.process.init.value && !spec_.process.start_socket && !joins_time;
}

/// A pid namespace is entered by children only, so whoever clones has to join it. With a user
/// namespace, new namespaces are to be owned by that one: it is joined before the clone, and then
/// so is everything else, for privilege over the others may come or go with it. And who is born in
/// a new user namespace has no privilege over anything that exists.
bool Compiler::joins_in_runtime() const {
  const auto joins = [this](NamespaceType type) {
    const NamespaceWish* wish = spec_.find(type);
    return wish != nullptr && wish->joins();
  };
  if (joins(NamespaceType::user) || joins(NamespaceType::pid)) return true;
  return new_user() && std::any_of(spec_.namespaces.begin(), spec_.namespaces.end(),
                                   [](const NamespaceWish& wish) { return wish.joins(); });
}

/// Whether the root is for a mount namespace that exists. It is built in a new one, and carried over.
bool Compiler::carries_root() const {
  return spec_.root.has_value() && !creates(NamespaceType::mount);
}

/// Where a root is carried to that nobody said a mount namespace for.
void Compiler::open_own_mount_namespace() {
  if (!carries_root() || spec_.find(NamespaceType::mount) != nullptr) return;
  const Register fd = b_.take();
  runtime(Op::open_in, spec_.root->from,
          {proc_, text("self/ns/mnt"), sys::bits(sys::OpenFlags::rdonly | sys::OpenFlags::cloexec),
           0, fd});
  joins_.emplace_back(NamespaceType::mount, fd);
}

bool Compiler::joins_pid() const {
  const NamespaceWish* pid = spec_.find(NamespaceType::pid);
  return pid != nullptr && pid->joins();
}

Status Compiler::open_joins() {
  std::vector<std::pair<int, Register>> taken;
  for (const NamespaceWish& wish : spec_.namespaces) {
    if (!wish.joins()) continue;
    const auto same = std::find_if(taken.begin(), taken.end(), [&](const auto& known) {
      return wish.fd >= 0 && known.first == wish.fd;
    });
    if (same != taken.end()) {  // a pidfd, once more
      joins_.emplace_back(wish.type, same->second);
      continue;
    }
    const Register fd = b_.take();
    if (wish.fd >= 0) {
      runtime(Op::use_fd, wish.from, {static_cast<uint64_t>(wish.fd), fd});
    } else {
      const FileFact fact = host_.file(wish.path);
      if (fact.kind == FileKind::missing || fact.kind == FileKind::no_access)
        return refuse(wish.from, fact.error,
                      fmt::format("join the {} namespace \"{}\"", row(wish.type).name, wish.path),
                      fact.why);
      runtime(Op::open, wish.from,
              {text(wish.path), sys::bits(sys::OpenFlags::rdonly | sys::OpenFlags::cloexec), fd});
    }
    taken.emplace_back(wish.fd, fd);
    joins_.emplace_back(wish.type, fd);
  }
  const auto take_fd = [this](const Wish<int>& wish, Register& into) {
    if (!wish) return;
    into = b_.take();
    runtime(Op::use_fd, wish->from, {static_cast<uint64_t>(wish->value), into});
  };
  take_fd(spec_.root_fd, root_fd_);
  take_fd(spec_.cwd_fd, cwd_fd_);
  take_fd(spec_.process.start_socket, start_);
  return {};
}

/// One setns a descriptor: several types of one pidfd are joined at once. `order` says which comes
/// first; the kernel orders those of one call itself (kernel: validate_nsset()).
void Compiler::join_all(Actor actor, bool user_last) {
  std::vector<Register> done;
  const auto join = [&](const TypeRow& entry) {
    for (const auto& [type, fd] : joins_) {
      if (type != entry.type || std::find(done.begin(), done.end(), fd) != done.end()) continue;
      auto flags = sys::CloneFlags::none;
      for (const auto& [other, other_fd] : joins_)
        if (other_fd == fd && !(other == NamespaceType::cgroup && late_cgroup_join()) &&
            !(other == NamespaceType::mount && carries_root()))
          flags |= row(other).flag;
      done.push_back(fd);
      if (flags != sys::CloneFlags::none)
        b_.add(actor, Op::setns, spec_.find(type)->from, {fd, sys::bits(flags)});
    }
  };
  for (const TypeRow& entry : kTypes)
    if (entry.type != NamespaceType::user || !user_last) join(entry);
  if (user_last) join(kTypes[0]);
}

/// Who is in a cgroup namespace cannot clone into a cgroup from outside of it (kernel:
/// cgroup_attach_permissions(), where the hierarchy is mounted with nsdelegate).
bool Compiler::late_cgroup_join() const {
  const NamespaceWish* wish = spec_.find(NamespaceType::cgroup);
  return wish != nullptr && wish->joins() && cgroup_ != kNone;
}

void Compiler::join_cgroup_namespace() {
  for (const auto& [type, fd] : joins_)
    if (type == NamespaceType::cgroup)
      init(Op::setns, spec_.find(type)->from, {fd, sys::bits(sys::CloneFlags::newcgroup)});
}

// Gaining privilege: user first. Losing it: user last.
void Compiler::runtime_joins() {
  if (drops_groups_early())
    runtime(Op::setgroups, spec_.process.user.additional_gids->from, {b_.blob(nullptr, 0)});
  join_all(Actor::runtime, caller_is_privileged());
}
void Compiler::init_joins() { join_all(Actor::init, false); }

/// Before anything else is made for the command: what it makes later is born there.
void Compiler::children_namespaces() {
  const NamespaceWish* pid = spec_.find(NamespaceType::pid);
  const bool for_children =
      pid != nullptr && !pid->joins() && (pid->for_children || spec_.process.in_place.value);
  if (for_children) init(Op::unshare, pid->from, {sys::bits(sys::CloneFlags::newpid)});
}

/// Where nothing is done by the host's paths after it: a terminal is the root's, and who is born in a
/// pid namespace that is joined shows those in it, by /proc/PID/root, no other root. (The kernel makes
/// no user namespace for a chrooted process.)
bool Compiler::takes_root_early() const {
  return root_fd_ != kNone && !new_user() && spec_.keep.empty() && !spec_.root &&
         spec_.mounts.empty() && !spec_.process.in_place.value;
}

void Compiler::take_root(Actor actor) {
  b_.add(actor, Op::fchdir, spec_.root_fd->from, {root_fd_});
  b_.add(actor, Op::chroot, spec_.root_fd->from, {text(".")});
}

void Compiler::enter_directories() {
  if (spec_.root_directory) {
    init(Op::chroot, spec_.root_directory->from, {text(spec_.root_directory->value)});
    init(Op::chdir, spec_.root_directory->from, {text("/")});
  }
  if (root_fd_ != kNone && !takes_root_early()) take_root(first_);
  if (cwd_fd_ != kNone) init(Op::fchdir, spec_.cwd_fd->from, {cwd_fd_});
  if (spec_.process.user.as_is && spec_.process.cwd)
    init(Op::chdir, spec_.process.cwd->from, {text(spec_.process.cwd->value)});
}

void Compiler::time_namespace() {
  children_namespaces();
  if (!creates(NamespaceType::time)) return;
  const Origin from = spec_.find(NamespaceType::time)->from;
  constexpr int64_t kSecond = 1'000'000'000;
  init(Op::unshare, from, {sys::bits(sys::CloneFlags::newtime)});
  for (const TimeOffset& offset : spec_.time_offsets) {
    int64_t seconds = offset.offset_ns / kSecond;
    int64_t rest = offset.offset_ns % kSecond;
    if (rest < 0) {  // the kernel wants 0 <= nanoseconds
      rest += kSecond;
      --seconds;
    }
    const char* clock = offset.clock == TimeOffset::Clock::monotonic ? "monotonic" : "boottime";
    write_proc(offset.from, "self/timens_offsets", fmt::format("{} {} {}", clock, seconds, rest));
  }
  if (host_.exec_enters_time_namespace) return;
  const Register fd = b_.take();
  const uint64_t flags = sys::bits(sys::OpenFlags::rdonly | sys::OpenFlags::cloexec);
  if (proc_ == kNone)
    init(Op::open, from, {text("/proc/self/ns/time_for_children"), flags, fd});
  else
    init(Op::open_in, from, {proc_, text("self/ns/time_for_children"), flags, 0, fd});
  init(Op::setns, from, {fd, sys::bits(sys::CloneFlags::newtime)});
  b_.release(fd);
}

void Compiler::names() {
  if (spec_.hostname) init(Op::sethostname, spec_.hostname->from, {text(spec_.hostname->value)});
  if (spec_.domainname)
    init(Op::setdomainname, spec_.domainname->from, {text(spec_.domainname->value)});
}

void Compiler::write_sysctl() {
  for (const auto& [key, value] : spec_.sysctl) {
    // As sysctl(8): where a slash comes first it separates, and a dot is of a name.
    const size_t first = key.find_first_of("./");
    const bool by_slash = first != std::string::npos && key[first] == '/';
    std::string path = key;
    for (char& c : path)
      if (!by_slash && (c == '.' || c == '/')) c = c == '.' ? '/' : '.';
    write_proc(value.from, "sys/" + path, value.value);
  }
}

/// By init itself, which has them all by now and still has a /proc of the host's.
void Compiler::note_namespaces() {
  if (!spec_.note_namespaces.value) return;
  std::vector<std::string> files(kNamespaceTypes);
  for (const TypeRow& entry : kTypes) files[static_cast<size_t>(entry.type)] = entry.file;
  if (creates(NamespaceType::time) && host_.exec_enters_time_namespace)
    files[static_cast<size_t>(NamespaceType::time)] = "time_for_children";
  init(Op::note_namespaces, spec_.note_namespaces.from, {proc_, b_.list(files)});
}

Status Compiler::keep_namespaces() {
  if (spec_.keep.empty()) return {};
  runtime_has_late_steps_ = true;
  const NamespaceWish* pid = spec_.find(NamespaceType::pid);
  const bool late_pid = pid != nullptr && pid->for_children;
  if (creates(NamespaceType::time) || late_pid) {  // init has made it by now
    init(Op::post, 0, {static_cast<uint64_t>(Point::namespaces_ready)});
    runtime(Op::await, 0, {static_cast<uint64_t>(Point::namespaces_ready)});
  }
  constexpr uint64_t kMode = 0600;
  for (const KeepWish& wish : spec_.keep) {
    const FileFact fact = host_.file(wish.path);
    if (fact.kind == FileKind::directory)
      return refuse(wish.from, EISDIR,
                    fmt::format("keep the {} namespace at \"{}\"", row(wish.type).name, wish.path),
                    "name a file; it is made where it is missing");
    if (!caller_is_privileged())
      return refuse(wish.from, EPERM,
                    fmt::format("keep the {} namespace at \"{}\"", row(wish.type).name, wish.path),
                    "binding a namespace to a path needs CAP_SYS_ADMIN in the mount namespace");
    const bool is_new = fact.kind == FileKind::missing;
    if (is_new) runtime(Op::create_file, wish.from, {text(wish.path), kMode});
    const char* file = row(wish.type).file;
    if (wish.type == NamespaceType::time) file = "time_for_children";
    if (wish.type == NamespaceType::pid && late_pid) file = "pid_for_children";
    runtime(Op::persist, wish.from, {text(file), text(wish.path)});
    // Undone only when the command never started; not made is nothing to undo.
    Step& umount =
        undo(Op::umount, wish.from, {text(wish.path), sys::bits(sys::UmountFlags::detach)});
    umount.flags = kOnFailureOnly;
    umount.pass_over = EINVAL;
    if (is_new) {
      Step& unlink = undo(Op::unlink, wish.from, {text(wish.path)});
      unlink.flags = kOnFailureOnly;
      unlink.pass_over = ENOENT;
    }
  }
  return {};
}

}  // namespace isle::plan
