// The order of things, and why it is this one. What a part does is in its own file.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>

#include "plan/compiler.h"
#include "plan/ops.h"

namespace isle {
namespace plan {

std::unexpected<Error> Compiler::refuse(Origin from, int code, std::string what,
                                        std::string hint) const {
  return std::unexpected(Error{.code = code,
                               .what = std::move(what),
                               .asked_by = from < spec_.origins.size() ? spec_.origins[from] : "",
                               .hint = std::move(hint)});
}

bool Compiler::caller_is_privileged() const {
  constexpr int kSysAdmin = 21;
  return host_.has_capability(kSysAdmin);
}

std::string Compiler::host_path(std::string_view path) const {
  if (path.starts_with('/')) return std::string(path);
  return host_.cwd + (host_.cwd.ends_with('/') ? "" : "/") + std::string(path);
}

void Compiler::need_guard(Origin from) {
  if (has_guard_) return;
  has_guard_ = true;
  runtime(Op::guard, from);
}

Status Compiler::check_host() const {
  if (new_user() && !host_.user_namespaces)
    return refuse(spec_.find(NamespaceType::user)->from, ENOSPC,
                  "create a user namespace: this kernel or its administrator forbids them",
                  "see isle doctor; --share user needs privilege but no user namespace");
  if (creates(NamespaceType::time) && !host_.time_namespaces)
    return refuse(spec_.find(NamespaceType::time)->from, EINVAL,
                  "create a time namespace: this kernel has none", "see isle doctor");
  for (const int fd : spec_.process.pass_fds.value)
    if (const FileFact fact = host_.file(fmt::format("fd:{}", fd)); fact.kind == FileKind::missing)
      return refuse(spec_.process.pass_fds.from, fact.error,
                    fmt::format("pass descriptor {} on", fd), "it is not open");
  return {};
}

/// The host's /proc, where something is written to it after the way there may be gone. Not without need:
/// who is born in a pid namespace that is joined has it by then, and may be looked at by those in it.
void Compiler::open_proc() {
  const NamespaceWish* mount = spec_.find(NamespaceType::mount);
  const bool way_goes = (mount != nullptr && mount->joins()) || carries_root() || spec_.root_fd;
  const bool is_written = new_user() || creates(NamespaceType::time) || !spec_.sysctl.empty() ||
                          spec_.allow_setgroups || (spec_.process.oom_score_adj && !joins_pid());
  const bool opens_own_mounts = carries_root() && mount == nullptr;
  if (!(way_goes && is_written) && !opens_own_mounts && !spec_.process.apparmor_profile &&
      !spec_.process.selinux_label && !spec_.note_namespaces.value)
    return;
  proc_ = b_.take();
  runtime(Op::open, 0, {text("/proc"), kOpenDirectory, proc_});
  runtime(Op::expect_fs, 0, {proc_, static_cast<uint64_t>(sys::kProcSuperMagic)});
}

Result<Plan> Compiler::compile() {
  if (auto complaints = validate(spec_); !complaints.empty())
    return std::unexpected(std::move(complaints.front()));
  if (Status status = check_host(); !status) return std::unexpected(status.error());
  if (spec_.process.in_place.value) return compile_in_place();
  if (Status status = choose_ids(); !status) return std::unexpected(status.error());

  // Before the clone, on the host's side: cgroups first, so that the child is born in its own;
  // namespaces to join last, since they may take the privilege for all else away.
  if (!spec_.keep.empty()) need_guard(spec_.keep.front().from);
  if (Status status = spec_.resources.path ? cgroup_by_path() : make_cgroup(); !status)
    return std::unexpected(status.error());
  if (Status status = open_joins(); !status) return std::unexpected(status.error());
  if (Status status = idmapped_binds(); !status) return std::unexpected(status.error());
  devices_by_runtime();
  const bool joins_mount =
      spec_.find(NamespaceType::mount) != nullptr && !spec_.creates(NamespaceType::mount);
  if (joins_mount && !carries_root() && !spec_.keep.empty())
    return refuse(spec_.keep.front().from, 0,
                  "keep a namespace: from a mount namespace that is joined, the host's paths are "
                  "out of reach");
  open_proc();
  open_own_mount_namespace();
  attach_v1(Actor::runtime);
  if (spec_.process.oom_score_adj && joins_pid()) inherit_oom_score();
  if (joins_in_runtime()) runtime_joins();
  if (takes_root_early() && joins_in_runtime()) take_root(Actor::runtime);

  b_.header.clone_step = static_cast<uint16_t>(b_.step_count());
  const NamespaceWish* user = spec_.find(NamespaceType::user);
  runtime(Op::clone3, user != nullptr ? user->from : Origin{0},
          {sys::bits(clone_flags()), cgroup_});

  // Both sides now run at once. Init makes what needs no ids while the runtime writes them.
  // What it does by /proc/PID comes before init may take on other ids, and be root's there.
  runtime_writes_ids();
  if (Status status = host_side_settings(); !status) return std::unexpected(status.error());
  if (!ids_by_init()) runtime(Op::post, 0, {static_cast<uint64_t>(Point::ids_ready)});

  dies_with_parent(Actor::init);
  default_signals();
  choose_cpus(spec_.process.initial_cpus_allowed);
  attach_v1(Actor::init);
  choose_cpus(spec_.process.cpus_allowed);  // a cpuset that is entered takes what was chosen before
  if (!joins_in_runtime()) init_joins();
  if (takes_root_early() && !joins_in_runtime()) take_root(Actor::init);
  if (late_cgroup_join()) join_cgroup_namespace();
  init_gets_ids();
  if (late_cgroup_namespace()) unshare_cgroup_namespace();
  time_namespace();
  init_takes_set_up_ids();
  if (Status status = keep_namespaces(); !status) return std::unexpected(status.error());
  names();
  write_sysctl();

  if (Status status = open_root(); !status) return std::unexpected(status.error());
  if (Status status = mount_all(); !status) return std::unexpected(status.error());
  call_when_mounted();
  if (!spec_.create_hooks.empty() && root_ != kNone) {
    init(Op::fchdir, spec_.create_hooks.front().from, {root_});
    init(Op::restore_umask, 0);  // what they make on the host is not for everybody to write to
  }
  run_hooks(Actor::init, spec_.create_hooks);
  // A terminal of the sandbox's own devpts, while the way there is still by descriptor.
  if (spec_.process.terminal.value) terminal(Actor::init);
  finish_read_only();
  enter_root();
  enter_directories();
  if (spec_.loopback_up.value && creates(NamespaceType::network))
    init(Op::link_up, spec_.loopback_up.from, {text("lo")});

  if (runtime_has_late_steps_) {
    runtime(Op::post, 0, {static_cast<uint64_t>(Point::runtime_done)});
    init(Op::await, 0, {static_cast<uint64_t>(Point::runtime_done)});
  }
  note_namespaces();
  if (spec_.process.terminal.value) {
    runtime(Op::receive_fd, spec_.process.terminal.from, {console_});
    b_.header.console_register = static_cast<uint8_t>(console_);
  }
  Actor actor = Actor::init;
  if (spec_.process.init.value) {
    init(Op::spawn, spec_.process.init.from);
    init(Op::reap, spec_.process.init.from);
    actor = Actor::command;
  }
  if (Status status = finish_process(actor); !status) return std::unexpected(status.error());
  return finish();
}

/// keep_only keeps what its actor reads later.
void Compiler::keep_what_is_read() {
  for (size_t at = 0; at < b_.step_count(); ++at) {
    Step& keep = b_.step(at);
    if (keep.op != Op::keep_only) continue;
    const std::span<uint64_t> kept(keep.arg, kKept);
    std::ranges::fill(kept, kNone);
    std::vector<Register> own;  // written after it, and none of its business
    for (size_t i = at + 1; i < b_.step_count(); ++i) {
      const Step& later = b_.step(i);
      if (later.actor != keep.actor) continue;
      for (size_t n = 0; n < kArgs; ++n) {
        const Kind kind = info(later.op).args[n];
        if (kind == Kind::out) own.push_back(later.arg[n]);
        if (!is_read(kind) || later.arg[n] >= kRegisters ||
            std::ranges::find(own, later.arg[n]) != own.end() ||
            std::ranges::find(kept, later.arg[n]) != kept.end())
          continue;
        const auto free = std::ranges::find(kept, kNone);
        assert(free != kept.end());
        *free = later.arg[n];
      }
    }
  }
}

Result<Plan> Compiler::finish() {
  keep_what_is_read();
  if (b_.out_of_registers())
    return fail(ENFILE, "plan: more descriptors at once than a plan has registers");
  constexpr size_t kMostSteps = 0xfff0;
  if (b_.step_count() > kMostSteps)
    return fail(E2BIG, fmt::format("plan: {} steps; at most {}", b_.step_count(), kMostSteps));
  // A wish with an origin that is none of the Spec's counts as nobody's in particular.
  std::vector<std::string> origins = spec_.origins;
  if (origins.empty()) origins.emplace_back("default");
  for (size_t i = 0; i < b_.step_count(); ++i)
    if (b_.step(i).origin >= origins.size()) b_.step(i).origin = 0;
  Plan plan = b_.finish(origins);
  return plan;
}

}  // namespace plan

Result<Plan> compile(const Spec& spec, const Host& host) {
  return plan::Compiler(spec, host).compile();
}

}  // namespace isle
