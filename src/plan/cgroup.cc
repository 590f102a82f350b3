// Limits: a cgroup of the sandbox's own, what is written to it, and how its first process gets in.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {
namespace {

constexpr uint64_t kMode = 0755;
constexpr int64_t kDefaultPeriod = 100'000;  // us, the kernel's own

std::string or_max(int64_t value) { return value < 0 ? "max" : std::to_string(value); }

/// cpu.shares of v1 (2..262144) as cpu.weight of v2 (1..10000), as crun and systemd do.
uint64_t weight_of(uint64_t shares) {
  return 1 + ((std::clamp<uint64_t>(shares, 2, 262144) - 2) * 9999) / 262142;
}

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

constexpr const char* kDelegateHint =
    "run it in a delegated scope: systemd-run --user --scope -p Delegate=yes isle ... (without a "
    "login session: loginctl enable-linger first); isle doctor tells what is delegated here";

}  // namespace

std::vector<CgroupWrite> cgroup_writes(const Resources& wish, bool v2) {
  std::vector<CgroupWrite> writes;
  const auto add = [&](const char* controller, const char* v1_file, const char* v2_file,
                       std::string v1_value, std::string v2_value, Origin from) {
    writes.push_back({.controller = controller,
                      .file = v2 ? v2_file : v1_file,
                      .value = v2 ? std::move(v2_value) : std::move(v1_value),
                      .from = from});
  };
  if (wish.memory_limit_bytes) {
    const int64_t limit = wish.memory_limit_bytes->value;
    add("memory", "memory.limit_in_bytes", "memory.max", std::to_string(limit), or_max(limit),
        wish.memory_limit_bytes->from);
  }
  // Without a limit of memory there is none of both together.
  if (wish.memory_limit_bytes && wish.memory_limit_bytes->value < 0 && !wish.memory_swap_bytes) {
    add("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", "-1", "max",
        wish.memory_limit_bytes->from);
    writes.back().pass_over = ENOENT;  // swap is not counted
    std::swap(writes[writes.size() - 2], writes.back());
  }
  if (wish.memory_swap_bytes) {  // v1 counts memory and swap together, v2 swap alone
    const int64_t both = wish.memory_swap_bytes->value;
    const int64_t memory = wish.memory_limit_bytes ? wish.memory_limit_bytes->value : 0;
    add("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", std::to_string(both),
        or_max(both < 0 ? -1 : std::max<int64_t>(both - memory, 0)), wish.memory_swap_bytes->from);
  }
  if (wish.cpu_quota_us || wish.cpu_period_us) {
    const int64_t quota = wish.cpu_quota_us ? wish.cpu_quota_us->value : -1;
    const uint64_t period = wish.cpu_period_us ? wish.cpu_period_us->value : kDefaultPeriod;
    const Origin from = wish.cpu_quota_us ? wish.cpu_quota_us->from : wish.cpu_period_us->from;
    if (v2) {
      writes.push_back({.controller = "cpu",
                        .file = "cpu.max",
                        .value = fmt::format("{} {}", or_max(quota), period),
                        .from = from});
    } else {
      if (wish.cpu_period_us)
        writes.push_back({.controller = "cpu",
                          .file = "cpu.cfs_period_us",
                          .value = std::to_string(period),
                          .from = from});
      if (wish.cpu_quota_us)
        writes.push_back({.controller = "cpu",
                          .file = "cpu.cfs_quota_us",
                          .value = std::to_string(quota),
                          .from = from});
    }
  }
  if (wish.cpu_shares)
    add("cpu", "cpu.shares", "cpu.weight", std::to_string(wish.cpu_shares->value),
        std::to_string(weight_of(wish.cpu_shares->value)), wish.cpu_shares->from);
  if (wish.pids_limit)
    add("pids", "pids.max", "pids.max", or_max(wish.pids_limit->value),
        or_max(wish.pids_limit->value), wish.pids_limit->from);
  return writes;
}

uint8_t Compiler::undo_flags() const {
  return spec_.resources.keep_cgroup ? uint8_t{kOnFailureOnly} : uint8_t{0};
}

Status Compiler::make_cgroup() {
  const Resources& wish = spec_.resources;
  join_cgroups();
  const std::vector<CgroupWrite> writes = cgroup_writes(wish, false);
  if (writes.empty() && wish.unified.empty()) return {};
  const Origin from = writes.empty() ? wish.unified.front().from : writes.front().from;
  if (wish.cgroup_name.empty()) return refuse(from, 0, "limits need a name for their cgroup");
  const bool on_v1 = std::all_of(writes.begin(), writes.end(),
                                 [&](const CgroupWrite& write) {
                                   return host_.cgroup.v1.contains(write.controller);
                                 }) &&
                     wish.unified.empty();
  switch (host_.cgroup.layout) {
    case CgroupLayout::none:
      return refuse(from, ENOENT, "limit memory, cpu or pids: no cgroup hierarchy is mounted",
                    "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    case CgroupLayout::v1:
      return cgroup_v1(wish);
    case CgroupLayout::hybrid:
      return on_v1 ? cgroup_v1(wish) : cgroup_v2(wish);
    case CgroupLayout::v2:
      return cgroup_v2(wish);
  }
  return {};
}

Status Compiler::cgroup_v1(const Resources& wish) {
  if (!wish.unified.empty())
    return refuse(wish.unified.front().from, 0,
                  fmt::format("set {}: these are files of cgroup v2, and this machine has v1",
                              wish.unified.front().file));
  for (const CgroupWrite& write : cgroup_writes(wish, false)) {
    const auto found = host_.cgroup.v1.find(write.controller);
    if (found == host_.cgroup.v1.end())
      return refuse(write.from, ENOENT,
                    fmt::format("limit {}: no hierarchy has that controller", write.controller));
    if (!contains(host_.cgroup.v1_writable, found->second))
      return refuse(write.from, EACCES, fmt::format("make a cgroup in \"{}\"", found->second),
                    "cgroup v1 cannot be delegated safely; limits need root on this machine");
    const std::string directory = found->second + "/" + wish.cgroup_name;
    if (!contains(attach_v1_, directory)) {
      need_guard(write.from);
      make_directory(Actor::runtime, write.from, directory, kMode);
      undo(Op::remove_cgroup, write.from, {text(directory)}).flags = undo_flags();
      attach_v1_.push_back(directory);
    }
    write_file(Actor::runtime, write.from, directory + "/" + write.file, write.value);
  }
  return {};
}

Status Compiler::cgroup_v2(const Resources& wish) {
  const CgroupFacts& facts = host_.cgroup;
  std::vector<CgroupWrite> writes = cgroup_writes(wish, true);
  for (const UnifiedValue& value : wish.unified)
    writes.push_back({.controller = value.file.substr(0, value.file.find('.')),
                      .file = value.file,
                      .value = value.value,
                      .from = value.from});
  const Origin from = writes.front().from;
  if (facts.v2_parent.empty())
    return refuse(from, EACCES,
                  fmt::format("make a cgroup: none is delegated to uid {}", host_.uid),
                  kDelegateHint);
  std::string enable;
  for (const CgroupWrite& write : writes) {
    if (contains(facts.v2_enabled, write.controller) ||
        enable.find("+" + write.controller) != std::string::npos || write.controller == "cgroup")
      continue;
    if (!contains(facts.v2_available, write.controller))
      return refuse(write.from, ENOENT,
                    fmt::format("limit {}: the controller is not delegated to \"{}\"",
                                write.controller, facts.v2_parent),
                    kDelegateHint);
    enable += (enable.empty() ? "+" : " +") + write.controller;
  }
  if (!enable.empty()) {
    if (facts.v2_parent_has_others && !facts.v2_parent_is_root)
      return refuse(from, EBUSY,
                    fmt::format("enable {} in \"{}\": processes other than isle are in it", enable,
                                facts.v2_parent),
                    kDelegateHint);
    if (facts.v2_parent == facts.v2_own && !facts.v2_parent_is_root) {
      // No internal processes (cgroups(7)): the caller, and isle-exec where that one is its
      // carrier, steps aside into a leaf. Before there is a guard, which would be one more.
      const std::string leaf = facts.v2_parent + "/isle";
      make_directory(Actor::runtime, from, leaf, kMode).pass_over = EEXIST;
      write_file(Actor::runtime, from, leaf + "/cgroup.procs", "0");
      if (host_.pid != 0)
        write_file(Actor::runtime, from, leaf + "/cgroup.procs", std::to_string(host_.pid));
    }
    write_file(Actor::runtime, from, facts.v2_parent + "/cgroup.subtree_control", enable);
  }
  need_guard(from);
  const std::string directory = facts.v2_parent + "/" + wish.cgroup_name;
  make_directory(Actor::runtime, from, directory, kMode);
  undo(Op::remove_cgroup, from, {text(directory)}).flags = undo_flags();
  for (const CgroupWrite& write : writes)
    write_file(Actor::runtime, write.from, directory + "/" + write.file, write.value);
  open_cgroup(directory, from);
  return {};
}

void Compiler::open_cgroup(const std::string& directory, Origin from) {
  if (cgroup_ == kNone) cgroup_ = b_.take();
  runtime(Op::open, from, {text(directory), kOpenDirectory, cgroup_});
  if (!joins_pid()) return;
  // Who is born there has it, and may be looked at by those in that pid namespace: so it is a mount by
  // itself, from which no ".." leads on, and which nothing is written to.
  constexpr uint64_t kEmptyPath = sys::bits(sys::AtFlags::empty_path);
  Step& alone =
      runtime(Op::open_tree, from,
              {cgroup_, 0,
               sys::bits(sys::OpenTree::clone | sys::OpenTree::cloexec | sys::OpenTree::empty_path),
               cgroup_});
  alone.pass_over = EPERM;
  alone.skip = 1;
  runtime(Op::mount_setattr, from,
          {cgroup_, 0, kEmptyPath, sys::bits(sys::MountAttr::rdonly), 0, 0, kNone});
}

/// v1 has a file "tasks" in each of its directories, v2 in none.
bool Compiler::is_v1_cgroup(const std::string& directory) const {
  return host_.file(directory + "/tasks").kind == FileKind::file;
}

/// A cgroup of v2 may belong to the root of the user namespace that the runtime joins before it
/// clones, and then has no privilege over what is of ids that are not mapped there.
void Compiler::join_cgroups() {
  const NamespaceWish* user = spec_.find(NamespaceType::user);
  for (const Asked<std::string>& directory : spec_.resources.join)
    if (is_v1_cgroup(directory.value))
      attach_v1_.push_back(directory.value);
    else if (user != nullptr && user->joins())
      write_file(Actor::runtime, 0, directory.value + "/cgroup.procs", "0");
    else
      open_cgroup(directory.value, directory.from);
}

/// Into v2 by clone3. On v1 a process with one thread moves that thread itself, "0" to tasks: any
/// other write to tasks or cgroup.procs waits for an RCU grace period (kernel:
/// cgroup_procs_write_start()). By init, before its ids change; a runtime that joins namespaces
/// loses sight of the hierarchies, and moves itself before that, so that its child is born there.
void Compiler::attach_v1(Actor actor) {
  if ((actor == Actor::runtime) != joins_in_runtime()) return;
  for (const std::string& directory : attach_v1_) write_file(actor, 0, directory + "/tasks", "0");
}

}  // namespace isle::plan
