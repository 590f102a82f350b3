#include <dirent.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <memory>
#include <optional>
#include <set>

#include "run/checks.h"
#include "sys/file_calls.h"
#include "sys/proc_files.h"
#include "sys/process_calls.h"

namespace isle::checks {
namespace {

constexpr sys::sigset kNoSignal = 0;

std::optional<uint64_t> number_in(const std::string& path) {
  const auto text = sys::read_text(path);
  if (!text) return std::nullopt;
  uint64_t value = 0;
  if (std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{})
    return std::nullopt;
  return value;
}

std::string link_text(const std::string& path) {
  std::array<char, 256> buffer{};
  const ssize_t size = readlink(path.c_str(), buffer.data(), buffer.size());
  return size <= 0 ? std::string{} : std::string(buffer.data(), static_cast<size_t>(size));
}

bool is_number(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

// The mount a path is on and what it is there; nothing where it cannot be looked at.
struct Place {
  uint64_t mount = 0;
  uint64_t inode = 0;
  bool operator==(const Place&) const = default;
};
std::optional<Place> place_of(const std::string& path) {
  sys::statx_t status;
  if (sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none,
                 sys::StatxMask::ino | sys::StatxMask::mnt_id, &status) != 0)
    return std::nullopt;
  return Place{status.stx_mnt_id, status.stx_ino};
}

// Whoever made a user namespace has all capabilities in it and below: cap_capable().
bool made_user_namespace_of(const std::string& process) {
  const auto own = Namespace::of_self(NamespaceType::user);
  auto level = Namespace::of_path(process + "/ns/user");
  while (own && level && !(*level == *own)) {
    auto above = level->parent();
    const auto owner = level->owner_uid();
    if (above && *above == *own) return owner && *owner == geteuid();
    level = std::move(above);
  }
  return false;
}

// In a child that joins the mount namespace it is in: setns(2) gives it that one's root. Nothing
// where that is not allowed.
std::optional<bool> is_at_root_of_mount_namespace() {
  const auto own = Namespace::of_self(NamespaceType::mount);
  const auto here = place_of("/");
  if (!own || !here) return std::nullopt;
  sys::clone_args args;
  args.exit_signal = SIGCHLD;
  const int child = sys::clone3(&args);
  if (child == 0) {
    if (sys::setns(own->fd().get(), sys::CloneFlags::newns) != 0) sys::exit_group(2);
    const auto root = place_of("/");
    sys::exit_group(root == here ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || sys::wait4(child, &status, sys::WaitFlags::none) != child) return std::nullopt;
  const int code = status >> 8 & 0xff;
  return code == 2 ? std::nullopt : std::optional(code == 0);
}

// The number of a mount namespace that is made on `cpu` and goes away at once; 0 where that fails.
uint64_t new_mount_namespace_on(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) return 0;
  sys::clone_args args;
  args.flags = sys::bits(sys::CloneFlags::newns);
  args.exit_signal = SIGCHLD;
  const int child = sys::clone3(&args);
  if (child == 0)
    while (true) sys::rt_sigtimedwait(&kNoSignal, nullptr, nullptr);
  if (child < 0) return 0;
  const auto made = Namespace::of_path(fmt::format("/proc/{}/ns/mnt", child));
  const uint64_t number = made ? made->id().unique : 0;
  sys::kill(child, SIGKILL);
  sys::wait4(child, nullptr, sys::WaitFlags::none);
  return number;
}

}  // namespace

Finding new_mount_namespace_is_newer() {
  const auto own = Namespace::of_self(NamespaceType::mount);
  if (!own || own->id().unique == 0) return yes("this kernel goes by time");
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return yes();
  std::optional<int> works;
  bool all_work = true;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const uint64_t fresh = new_mount_namespace_on(cpu);
    if (fresh == 0) continue;
    if (fresh > own->id().unique && !works) works = cpu;
    all_work = all_work && fresh > own->id().unique;
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
  if (all_work) return yes();
  return no(
      "this kernel numbers mount namespaces per cpu, and takes one with a lower number than the "
      "caller's for an older one, which it does not let itself be kept",
      works ? fmt::format("on cpu {} the number is higher: taskset -c {} isle ...", *works, *works)
            : "try from a mount namespace that was made earlier, such as that of a login shell");
}

pid_t process_of_path(std::string_view path) {
  constexpr std::string_view kProc = "/proc/";
  pid_t pid = 0;
  if (!path.starts_with(kProc)) return 0;
  path.remove_prefix(kProc.size());
  const auto end = std::from_chars(path.data(), path.data() + path.size(), pid);
  const std::string_view rest(end.ptr, static_cast<size_t>(path.data() + path.size() - end.ptr));
  return end.ec == std::errc{} && rest.starts_with("/ns/") ? pid : 0;
}

// __ptrace_may_access() in kernel/ptrace.c, in its order.
Finding process_lets_look(pid_t pid, const std::string& prefix) {
  const std::string directory = fmt::format("{}/proc/{}", prefix, pid);
  const auto status = sys::read_text(directory + "/status");
  if (!status) return no(fmt::format("there is no process {}", pid));
  const auto own = sys::read_text(prefix + "/proc/self/status");
  constexpr int kCapSysPtrace = 19;
  const auto capabilities = [](std::string_view text, std::string_view field) {
    return std::strtoull(std::string(sys::status_field(text, field)).c_str(), nullptr, 16);
  };
  const uint64_t effective = own ? capabilities(*own, "CapEff") : 0;
  if ((effective >> kCapSysPtrace & 1) != 0) return yes();
  const std::string who = fmt::format("process {} ({})", pid, sys::status_field(*status, "Name"));
  const uid_t uid = geteuid();
  for (const std::string_view id : sys::words(sys::status_field(*status, "Uid")))
    if (id != std::to_string(uid))
      return no(
          fmt::format("{} is of user {}, and only that user or CAP_SYS_PTRACE may look into it",
                      who, id),
          "run isle as root");
  for (const std::string_view id : sys::words(sys::status_field(*status, "Gid")))
    if (id != std::to_string(getegid()))
      return no(fmt::format("{} is of group {}, and only with that group or CAP_SYS_PTRACE may one "
                            "look into it",
                            who, id),
                "run isle as root");
  // Such a process's files are root's, or its user namespace's root's.
  struct stat environ{};
  if (stat((directory + "/environ").c_str(), &environ) == 0 && environ.st_uid != uid)
    return no(fmt::format("{} is not dumpable: it has changed its ids, or its program is not to be "
                          "read, and only CAP_SYS_PTRACE may look into it",
                          who),
              "run isle as root");
  if ((capabilities(*status, "CapPrm") & ~effective) != 0 && !made_user_namespace_of(directory))
    return no(fmt::format("{} has capabilities that the caller lacks", who), "run isle as root");
  return yes();
}

Finding kernel_has(NamespaceType type, const std::string& prefix) {
  const NamespaceTypeInfo& info = type_info(type);
  const std::string directory = prefix + "/proc/self/ns";
  if (access(directory.c_str(), F_OK) != 0) return yes("no /proc to tell it");
  if (access(fmt::format("{}/{}", directory, info.proc_name).c_str(), F_OK) == 0) return yes();
  return no(
      fmt::format("this kernel has no {} namespaces", info.name),
      fmt::format("it was built without CONFIG_{}_NS", type == NamespaceType::user      ? "USER"
                                                       : type == NamespaceType::time    ? "TIME"
                                                       : type == NamespaceType::network ? "NET"
                                                       : type == NamespaceType::pid     ? "PID"
                                                       : type == NamespaceType::ipc     ? "IPC"
                                                       : type == NamespaceType::uts     ? "UTS"
                                                                                        : "MNT"));
}

Finding unprivileged_userns_clone(const std::string& prefix) {
  if (number_in(prefix + "/proc/sys/kernel/unprivileged_userns_clone") != 0U) return yes();
  return no("kernel.unprivileged_userns_clone is 0: only root may make user namespaces",
            "sysctl -w kernel.unprivileged_userns_clone=1");
}

Finding apparmor_userns_restriction(const std::string& prefix) {
  if (number_in(prefix + "/proc/sys/kernel/apparmor_restrict_unprivileged_userns").value_or(0) == 0)
    return yes();
  return no(
      "kernel.apparmor_restrict_unprivileged_userns is 1: a program without an AppArmor profile "
      "that grants userns gets no rights in the user namespace it makes",
      "give isle such a profile in /etc/apparmor.d (\"profile isle /usr/bin/isle "
      "flags=(unconfined) { userns, }\"), or sysctl -w "
      "kernel.apparmor_restrict_unprivileged_userns=0");
}

uint64_t namespaces_in_use(NamespaceType type, uid_t uid, const std::string& prefix) {
  const std::string proc = prefix + "/proc";
  const std::string name(type_info(type).proc_name);
  std::set<std::string> seen;
  const auto close = [](DIR* directory) { closedir(directory); };
  const std::unique_ptr<DIR, decltype(close)> directory(opendir(proc.c_str()), close);
  if (!directory) return 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = readdir(directory.get())) {
    if (!is_number(entry->d_name)) continue;
    const std::string process = fmt::format("{}/{}", proc, entry->d_name);
    struct stat status{};
    if (stat(process.c_str(), &status) != 0 || status.st_uid != uid) continue;
    if (std::string link = link_text(fmt::format("{}/ns/{}", process, name)); !link.empty())
      seen.insert(std::move(link));
  }
  seen.erase(link_text(fmt::format("{}/self/ns/{}", proc, name)));
  return seen.size();
}

Finding namespace_limit_left(NamespaceType type, const std::string& prefix) {
  const std::string name(type_info(type).limit_name);
  const auto limit = number_in(fmt::format("{}/proc/sys/user/{}", prefix, name));
  if (!limit) return yes("no /proc/sys/user to tell it");
  if (*limit == 0)
    return no(fmt::format("user.{} is 0: no {} namespace may be made", name, to_string(type)),
              fmt::format("sysctl -w user.{}=10000", name));
  const uint64_t used = namespaces_in_use(type, geteuid(), prefix);
  const std::string numbers = fmt::format("user.{} is {}, {} in use", name, *limit, used);
  if (used < *limit) return yes(numbers);
  return no(numbers + " by this user", fmt::format("end some, or sysctl -w user.{}={}", name,
                                                   std::max<uint64_t>(*limit * 2, 1000)));
}

Finding not_chrooted(const std::string& prefix) {
  constexpr std::string_view kAdvice =
      "the kernel makes no user namespace for a chrooted process; enter the tree with isle run "
      "--root or pivot_root instead of chroot, or run isle outside of it";
  const auto text = sys::read_text(prefix + "/proc/self/mountinfo");
  if (!text) return yes("no /proc to tell it");
  const auto mounts = sys::parse_mountinfo(*text);
  const bool has_root =
      std::ranges::any_of(mounts, [](const sys::MountEntry& mount) { return mount.point == "/"; });
  if (!mounts.empty() && !has_root)
    return no("this process is chrooted: its root directory is no mount", std::string(kAdvice));
  if (!prefix.empty()) return yes();
  // Chrooted into a mount. Where we may not look ourselves, the first process, if it is of our
  // mount namespace, has another root.
  if (const auto at_root = is_at_root_of_mount_namespace())
    return *at_root ? yes()
                    : no("this process is chrooted: its root directory is not that of its mount "
                         "namespace",
                         std::string(kAdvice));
  const std::string mine = link_text("/proc/self/ns/mnt");
  if (mine.empty() || link_text("/proc/1/ns/mnt") != mine) return yes();
  const auto first = place_of("/proc/1/root/.");
  const auto own = place_of("/proc/self/root/.");
  if (!first || !own || *first == *own) return yes();
  return no("this process is chrooted: its root directory is not that of process 1",
            std::string(kAdvice));
}

}  // namespace isle::checks
