#include "run/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "cgroup/facts.h"
#include "isle/host.h"
#include "isle/run.h"
#include "run/hints.h"
#include "run/probe.h"
#include "run/trials.h"
#include "sys/flag_names.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle {
namespace {

using checks::Answer;
using checks::Finding;
using checks::no;
using checks::partly;
using checks::yes;

KernelVersion kernel() {
  utsname name{};
  return uname(&name) == 0 ? probe::parse_kernel_version(name.release) : KernelVersion{};
}

bool at_least(int major, int minor) { return kernel() >= KernelVersion{major, minor}; }

// The first reason found by a check, else the errno of the trial.
Finding because(int error, std::initializer_list<Finding> reasons) {
  if (error == 0) return yes();
  for (const Finding& reason : reasons)
    if (!reason.ok()) return reason;
  return no(sys::errno_message(error));
}

// ---- namespaces ---------------------------------------------------------------------------------

Finding user_namespaces() {
  const int error = trials::user_namespace();
  return because(
      error,
      {checks::kernel_has(NamespaceType::user), checks::not_chrooted(),
       checks::unprivileged_userns_clone(), checks::namespace_limit_left(NamespaceType::user),
       checks::namespace_limit_left(NamespaceType::mount),
       checks::seccomp_lets(checks::Probed::unshare), checks::apparmor_userns_restriction(),
       checks::not_confined_by_apparmor()});
}

Finding userns_clone_sysctl() {
  if (access("/proc/sys/kernel/unprivileged_userns_clone", F_OK) != 0)
    return yes("this kernel has no kernel.unprivileged_userns_clone");
  return checks::unprivileged_userns_clone();
}

Finding userns_apparmor() {
  if (access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) != 0)
    return yes("this kernel has no kernel.apparmor_restrict_unprivileged_userns");
  Finding finding = checks::apparmor_userns_restriction();
  // A profile may grant it to isle all the same.
  if (!finding.ok() && trials::user_namespace() == 0) finding.answer = Answer::partly;
  return finding;
}

Finding namespace_limits() {
  std::vector<std::string> limits;
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    if (Finding left = checks::namespace_limit_left(info.type); !left.ok()) return left;
    const auto limit = namespace_limit(info.type);
    if (limit)
      limits.push_back(fmt::format("{} {}/{}", info.proc_name,
                                   checks::namespaces_in_use(info.type, geteuid()), *limit));
  }
  return limits.empty() ? partly("no /proc/sys/user to tell it")
                        : yes(fmt::format("in use/at most: {}", fmt::join(limits, ", ")));
}

Finding time_namespaces() {
  if (Finding has = checks::kernel_has(NamespaceType::time); !has.ok()) return has;
  return because(trials::time_namespace(), {checks::namespace_limit_left(NamespaceType::time)});
}

Finding fresh_proc() {
  const int error = trials::fresh_proc();
  return because(error, {checks::not_covered("/proc")});
}

// ---- ids ------------------------------------------------------------------------------------------

Finding subordinate_ids() {
  constexpr int kCapSetgid = 6;
  constexpr int kCapSetuid = 7;
  Finding finding = checks::has_subids(geteuid());
  if (!finding.ok() && hints::caller_has(kCapSetuid) && hints::caller_has(kCapSetgid))
    return yes("not needed: this user may map any id");
  return finding;
}

Finding mapping_programs() {
  if (Finding gain = checks::may_gain_privileges(); !gain.ok()) return gain;
  std::string found;
  for (const char* program : {"newuidmap", "newgidmap"}) {
    Finding finding = checks::mapping_program(program);
    if (!finding.ok()) return finding;
    found += (found.empty() ? "" : ", ") + finding.detail;
  }
  return yes(found);
}

// ---- cgroups --------------------------------------------------------------------------------------

Finding cgroup_layout() {
  const CgroupFacts facts = cgroup::look_at_layout();
  switch (facts.layout) {
    case CgroupLayout::v2:
      return yes(fmt::format("v2 at {}", facts.v2_mount));
    case CgroupLayout::hybrid:
      return yes(fmt::format("v1, and v2 at {}", facts.v2_mount));
    case CgroupLayout::v1:
      return yes("v1");
    case CgroupLayout::none:
      break;
  }
  return no("no cgroup file system is mounted", "mount -t cgroup2 none /sys/fs/cgroup");
}

Finding cgroup_limits() {
  const std::vector<std::string> all = {"memory", "cpu", "pids"};
  Finding finding = checks::cgroup_delegated(all);
  if (finding.ok()) return finding;
  std::vector<std::string> some;
  for (const std::string& controller : all)
    if (checks::cgroup_delegated({controller}).ok()) some.push_back(controller);
  if (some.empty()) return finding;
  return partly(fmt::format("only {}: {}", fmt::join(some, ", "), finding.detail), finding.advice);
}

// ---- file systems -----------------------------------------------------------------------------------

Finding mount_api() {
  const int error = trials::mount_calls();
  if (error != 0)
    return because(error, {checks::seccomp_lets(checks::Probed::open_tree),
                           checks::seccomp_lets(checks::Probed::mount_setattr),
                           checks::not_confined_by_apparmor()});
  std::string newer;
  for (const auto& [what, has] : {std::pair{"mounts on detached trees", at_least(6, 15)},
                                  std::pair{"proc pidns=", at_least(6, 18)}})
    if (has) newer += fmt::format("{}{}", newer.empty() ? "with " : ", ", what);
  return yes(newer);
}

Finding overlay() { return because(trials::overlay(), {checks::knows_file_system("overlay")}); }

Finding idmapped_mounts() {
  const int root = trials::idmapped_root();
  const int tmpfs = trials::idmapped_tmpfs();
  if (root == 0) return yes(fmt::format("of / ({}) too", checks::file_system_of("/")));
  const std::string why =
      root == EPERM
          ? "of the host's files by root only (CAP_SYS_ADMIN over the file system)"
          : fmt::format("of / ({}): {}", checks::file_system_of("/"), sys::errno_message(root));
  if (tmpfs == 0) return partly(fmt::format("of the sandbox's own tmpfs; {}", why));
  return no(why);
}

// ---- the rest ---------------------------------------------------------------------------------------

Finding pidfd() {
  const int fd = sys::pidfd_open(getpid());
  if (fd < 0) return no(sys::errno_message(-fd), "Linux 5.3 and later have pidfd_open");
  close(fd);
  return yes();
}

Finding landlock() {
  const int abi = sys::landlock_create_ruleset(nullptr, 0, sys::kLandlockCreateRulesetVersion);
  if (abi > 0) return yes(fmt::format("ABI {}", abi));
  return no(abi == -EOPNOTSUPP ? "built in, but switched off" : sys::errno_message(-abi),
            "boot with landlock in lsm= (kernel command line)");
}

Finding seccomp() {
  constexpr uint32_t kUserNotif = 0x7fc00000;  // SECCOMP_RET_USER_NOTIF
  const int result =
      sys::seccomp(sys::SeccompOp::get_action_avail, sys::SeccompFlags::none, &kUserNotif);
  if (result == 0) return yes("filters and notification");
  return result == -EOPNOTSUPP ? partly("filters without notification")
                               : no(sys::errno_message(-result));
}

Finding confinement() {
  for (const auto call : {checks::Probed::unshare, checks::Probed::clone3, checks::Probed::setns,
                          checks::Probed::open_tree, checks::Probed::mount_setattr})
    if (Finding finding = checks::seccomp_lets(call); !finding.ok()) return finding;
  if (Finding finding = checks::not_confined_by_apparmor(); !finding.ok()) {
    finding.answer = Answer::partly;
    return finding;
  }
  return yes("no seccomp filter or AppArmor profile is in the way");
}

Finding tun() {
  const int error = trials::tun();
  if (error == 0) return yes();
  if (error == ENOENT || error == ENODEV)
    return no(fmt::format("/dev/net/tun: {}", sys::errno_message(error)), "modprobe tun");
  return no(fmt::format("/dev/net/tun: {}", sys::errno_message(error)));
}

std::string in_path(std::string_view program) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it here
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path; !rest.empty();) {
    std::string candidate = fmt::format("{}/{}", sys::next_part(rest, ':'), program);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Finding pasta() {
  if (std::string path = in_path("pasta"); !path.empty()) return yes(path);
  if (std::string path = in_path("slirp4netns"); !path.empty())
    return partly(path + " instead", "install the package passt");
  return no("neither pasta nor slirp4netns is installed", "install the package passt");
}

Finding nftables() {
  const int error = trials::nftables();
  if (error == 0) return yes();
  return no(fmt::format("nf_tables does not answer: {}", sys::errno_message(error)),
            "modprobe nf_tables");
}

struct RowKind {
  std::string_view name;
  std::string_view title;
  Finding (*look)();
};

constexpr RowKind kRows[] = {
    {"user_namespaces", "user namespaces", user_namespaces},
    {"unprivileged_userns_clone", "user namespaces: sysctl", userns_clone_sysctl},
    {"apparmor_userns", "user namespaces: AppArmor", userns_apparmor},
    {"chroot", "not chrooted", [] { return checks::not_chrooted(); }},
    {"confinement", "no outer confinement", confinement},
    {"namespace_limits", "namespace limits", namespace_limits},
    {"time_namespaces", "time namespaces", time_namespaces},
    {"subordinate_ids", "subordinate ids", subordinate_ids},
    {"mapping_programs", "newuidmap, newgidmap", mapping_programs},
    {"cgroup_layout", "cgroups", cgroup_layout},
    {"cgroup_limits", "memory, cpu, pids limits", cgroup_limits},
    {"mount_api", "mount calls", mount_api},
    {"fresh_proc", "fresh /proc", fresh_proc},
    {"overlay", "overlay in user namespaces", overlay},
    {"idmapped_mounts", "idmapped mounts", idmapped_mounts},
    {"pidfd", "pidfd", pidfd},
    {"landlock", "Landlock", landlock},
    {"seccomp", "seccomp", seccomp},
    {"tun", "/dev/net/tun", tun},
    {"pasta", "pasta", pasta},
    {"nftables", "nftables", nftables},
};

Finding run_sandbox(const Spec& sandbox) {
  const auto end = run(sandbox);
  if (!end) {
    const std::string hint = end.error().hint;
    return no(end.error().summary(), hint);
  }
  if (end->shell_status() == 0) return yes("with its defaults");
  return no(fmt::format("the sandbox ended with status {}", end->shell_status()));
}

}  // namespace

std::vector<DoctorRow> examine(const Spec& sandbox) {
  std::vector<DoctorRow> rows;
  rows.push_back({"run", "isle run", run_sandbox(sandbox)});
  for (const RowKind& kind : kRows) rows.push_back({kind.name, kind.title, kind.look()});
  return rows;
}

bool runs(const std::vector<DoctorRow>& rows) {
  return std::ranges::any_of(
      rows, [](const DoctorRow& row) { return row.name == "run" && row.finding.ok(); });
}

}  // namespace isle
