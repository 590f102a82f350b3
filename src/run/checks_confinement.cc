#include <dirent.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include "cgroup/facts.h"
#include "run/checks.h"
#include "sys/mount_calls.h"
#include "sys/proc_files.h"
#include "sys/process_calls.h"

namespace isle::checks {
namespace {

struct ProbedCall {
  std::string_view name;
  int expected;  // what the kernel says to these arguments, before any permission is asked for
  int (*call)();
};

// No kernel has these flags, or descriptor -1.
constexpr ProbedCall kProbedCalls[] = {
    {"unshare", EINVAL,
     [] { return sys::unshare(sys::CloneFlags::newuser | sys::CloneFlags{0x1}); }},
    {"clone3", EINVAL,
     [] {
       sys::clone_args args;
       return sys::clone3(&args, 1);  // a size below the first version's
     }},
    {"setns", EBADF, [] { return sys::setns(-1, sys::CloneFlags::none); }},
    {"open_tree", EINVAL, [] { return sys::open_tree(-1, "", sys::OpenTree{0x40000000}); }},
    {"mount_setattr", EINVAL,
     [] {
       sys::mount_attr attr;
       return sys::mount_setattr(-1, "", sys::AtFlags{0x40000000}, &attr);
     }},
};

std::string status_of_self(std::string_view name) {
  const auto status = sys::read_text("/proc/self/status");
  return status ? std::string(sys::status_field(*status, name)) : std::string{};
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{})
    return std::nullopt;
  return value;
}

// Threads of all processes with this real uid that /proc shows.
uint64_t tasks_of(uid_t uid) {
  uint64_t count = 0;
  const auto close = [](DIR* directory) { closedir(directory); };
  const std::unique_ptr<DIR, decltype(close)> directory(opendir("/proc"), close);
  if (!directory) return 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = readdir(directory.get())) {
    if (!number(entry->d_name)) continue;
    const auto status = sys::read_text(fmt::format("/proc/{}/status", entry->d_name));
    if (!status) continue;
    std::string_view ids = sys::status_field(*status, "Uid");
    if (number(sys::next_word(ids)) == uid)
      count += number(sys::status_field(*status, "Threads")).value_or(1);
  }
  return count;
}

Finding pids_controller() {
  const auto mounts = sys::read_text("/proc/self/mountinfo");
  const auto cgroups = sys::read_text("/proc/self/cgroup");
  if (!mounts || !cgroups) return yes();
  for (const cgroup::Hierarchy& hierarchy :
       cgroup::hierarchies(sys::parse_mountinfo(*mounts), sys::parse_cgroup(*cgroups))) {
    for (std::string path = hierarchy.own; path.size() >= hierarchy.mount.size() && !path.empty();
         path.resize(path.rfind('/'))) {
      const auto most = number(sys::read_text(path + "/pids.max").value_or("max"));
      const auto current = number(sys::read_text(path + "/pids.current").value_or(""));
      if (most && current && *current >= *most)
        return no(
            fmt::format("the cgroup {} may have {} processes and has {}", path, *most, *current),
            "raise its pids.max or end some");
    }
  }
  return yes();
}

}  // namespace

Finding seccomp_lets(Probed call) {
  if (status_of_self("Seccomp") != "2") return yes();
  const ProbedCall& probed = kProbedCalls[static_cast<size_t>(call)];
  const int result = -probed.call();
  if (result == probed.expected) return yes();
  return no(fmt::format("a seccomp filter on this process turns {} away", probed.name),
            "the container or service isle runs in has to allow it (podman and docker: "
            "--security-opt seccomp=unconfined or a profile that allows user namespaces)");
}

Finding may_gain_privileges() {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return yes();
  return no(
      "no_new_privs is set on this process, so setuid programs and file capabilities count "
      "for nothing",
      "start isle without it (systemd: NoNewPrivileges=no)");
}

Finding not_confined_by_apparmor(const std::string& prefix) {
  auto label = sys::read_text(prefix + "/proc/self/attr/apparmor/current");
  if (!label) label = sys::read_text(prefix + "/proc/self/attr/current");
  if (!label) return yes();
  while (label->ends_with('\n') || label->ends_with('\0')) label->pop_back();
  if (!label->ends_with("(enforce)")) return yes(*label);
  return no(fmt::format("this process is confined by the AppArmor profile {}", *label),
            "it has to allow mounts and user namespaces (podman and docker: --security-opt "
            "apparmor=unconfined)");
}

Finding room_for_processes() {
  if (Finding pids = pids_controller(); !pids.ok()) return pids;
  rlimit limit{};
  if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return yes();
  const uint64_t tasks = tasks_of(getuid());
  if (tasks < limit.rlim_cur) return yes();
  return no(fmt::format("RLIMIT_NPROC is {}, and this user has {} processes and threads",
                        limit.rlim_cur, tasks),
            "raise it (ulimit -u) or end some");
}

}  // namespace isle::checks
