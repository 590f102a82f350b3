// The plan without a clone: the caller itself becomes the command, step by step, and nobody is left
// outside. So only its own single id can be mapped, and a pid namespace is for its children.
#include <fmt/format.h>

#include "plan/compiler.h"

namespace isle::plan {

Result<Plan> Compiler::compile_in_place() {
  first_ = Actor::runtime;
  if (Status status = choose_ids(); !status) return std::unexpected(status.error());
  if (new_user() && !ids_.by_init)
    return refuse(ids_.uid_from != 0 ? ids_.uid_from : ids_.gid_from, EPERM,
                  "map ids in place: from inside, the kernel takes a map of the own id only",
                  "let another process do it: --fork");

  // What needs the host's privilege or its paths first; then the namespaces, joined ones before new
  // ones, which they are to own.
  for (const Asked<std::string>& directory : spec_.resources.join)
    write_file(first_, directory.from,
               directory.value + (is_v1_cgroup(directory.value) ? "/tasks" : "/cgroup.procs"), "0");
  if (Status status = open_joins(); !status) return std::unexpected(status.error());
  if (Status status = idmapped_binds(); !status) return std::unexpected(status.error());
  open_proc();
  open_own_mount_namespace();
  runtime_joins();
  // That of pids with that of time, below: both are for what comes after.
  const auto flags = clone_flags() & ~(sys::CloneFlags::vm | sys::CloneFlags::newpid);
  if (flags != sys::CloneFlags::none) {
    const NamespaceWish* user = spec_.find(NamespaceType::user);
    const Origin from = user != nullptr ? user->from : spec_.namespaces.front().from;
    runtime(Op::unshare, from, {sys::bits(flags)});
  }
  if (spec_.process.die_with_parent.value)
    runtime(Op::prctl, spec_.process.die_with_parent.from,
            {static_cast<uint64_t>(sys::Prctl::set_pdeathsig),
             static_cast<uint64_t>(spec_.process.death_signal)});
  default_signals();
  init_gets_ids();
  time_namespace();
  names();
  write_sysctl();
  if (Status status = open_root(); !status) return std::unexpected(status.error());
  if (Status status = mount_all(); !status) return std::unexpected(status.error());
  enter_root();
  enter_directories();
  if (spec_.loopback_up.value && creates(NamespaceType::network))
    runtime(Op::link_up, spec_.loopback_up.from, {text("lo")});
  if (Status status = finish_process(Actor::runtime); !status)
    return std::unexpected(status.error());
  return finish();
}

}  // namespace isle::plan
