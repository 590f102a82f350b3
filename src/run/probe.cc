// probe_host(): looks at this machine and this process. What only some specs need is looked up for
// those only; a feature that the kernel's version tells is not tried out. The default sandbox of
// `isle run` costs 10 system calls here.
#include "run/probe.h"

#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>

#include "cgroup/facts.h"
#include "sys/settings_calls.h"

namespace isle {
namespace {

using probe::controllers_for;

// PROC_USER_INIT_INO of include/linux/proc_ns.h: the inode number of the initial user namespace.
constexpr std::string_view kInitialUserNamespace = "user:[4026531837]";

void look_at_user_namespace(Host& host) {
  std::array<char, 64> target{};
  const ssize_t size = readlink("/proc/self/ns/user", target.data(), target.size());
  if (size < 0) {
    // With a /proc but without this link, the kernel has no user namespaces.
    host.user_namespaces = access("/proc/self/ns/mnt", F_OK) != 0;
    return;
  }
  host.in_initial_user_namespace =
      std::string_view(target.data(), static_cast<size_t>(size)) == kInitialUserNamespace;
  if (host.in_initial_user_namespace) return;
  host.own_uid_map = sys::parse_id_map(sys::read_text("/proc/self/uid_map").value_or(""));
  host.own_gid_map = sys::parse_id_map(sys::read_text("/proc/self/gid_map").value_or(""));
}

std::vector<uint32_t> supplementary_groups() {
  std::array<gid_t, 64> few{};
  const int count = getgroups(static_cast<int>(few.size()), few.data());
  if (count >= 0) return {few.begin(), few.begin() + count};
  std::vector<gid_t> many(NGROUPS_MAX);
  const int all = getgroups(NGROUPS_MAX, many.data());
  return {many.begin(), many.begin() + std::max(all, 0)};
}

uint64_t effective_capabilities() {
  sys::cap_user_header header;
  std::array<sys::cap_user_data, 2> data;
  if (sys::capget(&header, data.data()) != 0) return 0;
  return data[0].effective | uint64_t{data[1].effective} << 32;
}

// 40 since 5.9, beneath our floor; a kernel that knows more answers for those, too.
uint64_t last_capability() {
  unsigned long last = 40;
  while (last < 63 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) ++last;
  return last;
}

std::string working_directory() {
  std::array<char, PATH_MAX> buffer{};
  // "(unreachable)/..." where it lies outside of the caller's root.
  if (getcwd(buffer.data(), buffer.size()) == nullptr || buffer[0] != '/') return "/";
  return buffer.data();
}

void look_at_caller(Host& host) {
  host.pid = getpid();
  host.uid = geteuid();
  host.gid = getegid();
  host.groups = supplementary_groups();
  host.capabilities = effective_capabilities();
  host.last_capability = last_capability();
  look_at_user_namespace(host);
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
    host.environment.emplace_back(*variable);
  host.cwd = working_directory();
}

bool wants_time_namespace(const Spec& spec) {
  return !spec.time_offsets.empty() || spec.find(NamespaceType::time) != nullptr;
}

}  // namespace

namespace probe {

KernelVersion parse_kernel_version(std::string_view release) {
  KernelVersion version;
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(&*release.begin(), end, version.major);
  if (error != std::errc{} || dot == end || *dot != '.') return {};
  if (std::from_chars(dot + 1, end, version.minor).ec != std::errc{}) return {};
  return version;
}

void set_features(Host& host) {
  const KernelVersion kernel = host.kernel;
  // A vendor's kernel of an older number may have some of these by a backport: then the plan is
  // that of the older kernel, which works there, too.
  host.exec_enters_time_namespace = kernel >= KernelVersion{6, 3};
  host.idmapped_mounts = kernel >= KernelVersion{5, 12};
  host.idmapped_tmpfs = kernel >= KernelVersion{6, 3};
  host.overlay_in_user_namespace = kernel >= KernelVersion{5, 11};
  host.proc_pidns_option = kernel >= KernelVersion{6, 18};
  host.copy_of_detached = kernel >= KernelVersion{6, 15};
  host.cgroup_kill = kernel >= KernelVersion{5, 14};
}

std::vector<std::string> controllers_for(const Resources& resources) {
  std::vector<std::string> result;
  const auto need = [&](std::string_view controller) {
    if (std::ranges::find(result, controller) == result.end()) result.emplace_back(controller);
  };
  if (resources.memory_limit_bytes || resources.memory_swap_bytes) need("memory");
  if (resources.cpu_quota_us || resources.cpu_period_us || resources.cpu_shares) need("cpu");
  if (resources.pids_limit) need("pids");
  for (const UnifiedValue& value : resources.unified) {
    const std::string_view controller =
        std::string_view(value.file).substr(0, value.file.find('.'));
    // cgroup.* is there without a controller.
    if (controller != "cgroup") need(controller);
  }
  return result;
}

}  // namespace probe

Host probe_host(const Spec& spec) {
  Host host;
  utsname name{};
  if (uname(&name) == 0) host.kernel = probe::parse_kernel_version(name.release);
  probe::set_features(host);
  look_at_caller(host);
  // CONFIG_TIME_NS can be off; for one who wants none it does not matter.
  if (wants_time_namespace(spec)) host.time_namespaces = access("/proc/self/ns/time", F_OK) == 0;
  if (probe::may_use_subids(spec, host.uid)) probe::look_up_subids(spec, host);
  probe::look_up_files(spec, host);
  if (spec.root && spec.root->overlay) {
    host.mount_points = probe::visible_mount_points(
        sys::parse_mountinfo(sys::read_text("/proc/self/mountinfo").value_or("")));
    for (const std::string& point : host.mount_points)
      host.files.try_emplace(point, probe::look_at(point));
  }
  if (spec.resources.path) {
    host.cgroup = cgroup::look_at_layout();
    probe::look_up_cgroup(spec.resources.path->value, host);
  } else if (const auto controllers = controllers_for(spec.resources);
             !controllers.empty() || !spec.resources.cgroup_name.empty()) {
    host.cgroup = cgroup::look_up(controllers, getpid());
  } else if (probe::mounts_cgroups(spec)) {
    host.cgroup = cgroup::look_at_layout();
  }
  return host;
}

}  // namespace isle
