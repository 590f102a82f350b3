#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <set>

#include "run/checks.h"
#include "sys/file_calls.h"
#include "sys/proc_files.h"

namespace isle::checks {
namespace {

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

}  // namespace

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
  // Chrooted into a mount: then the first process, if it is of our mount namespace, has another
  // root. Only root may look.
  const std::string mine = link_text("/proc/self/ns/mnt");
  if (mine.empty() || link_text("/proc/1/ns/mnt") != mine) return yes();
  const auto first = place_of("/proc/1/root/.");
  const auto own = place_of("/proc/self/root/.");
  if (!first || !own || *first == *own) return yes();
  return no("this process is chrooted: its root directory is not that of process 1",
            std::string(kAdvice));
}

}  // namespace isle::checks
