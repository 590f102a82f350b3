#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "run/checks.h"
#include "sys/file_calls.h"
#include "sys/proc_files.h"

namespace isle::checks {
namespace {

std::vector<sys::MountEntry> mounts_of_self(const std::string& prefix) {
  return sys::parse_mountinfo(sys::read_text(prefix + "/proc/self/mountinfo").value_or(""));
}

std::optional<sys::MountEntry> mount_of(const std::string& path) {
  sys::statx_t status;
  if (sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none, sys::StatxMask::mnt_id,
                 &status) != 0)
    return std::nullopt;
  for (sys::MountEntry& mount : mounts_of_self({}))
    if (mount.id == status.stx_mnt_id) return std::move(mount);
  return std::nullopt;
}

bool is_below(std::string_view path, std::string_view ancestor) {
  if (ancestor == "/") return path.size() > 1;
  return path.size() > ancestor.size() && path.starts_with(ancestor) &&
         path[ancestor.size()] == '/';
}

// Whether modules.dep or modules.builtin of the running kernel lists TYPE.ko.
bool has_module(std::string_view type, const std::string& prefix) {
  utsname name{};
  if (uname(&name) != 0) return false;
  const auto list = sys::read_text(
      fmt::format("{}/lib/modules/{}/modules.dep", prefix, static_cast<const char*>(name.release)));
  return list && list->find(fmt::format("/{}.ko", type)) != std::string::npos;
}

// File systems with FS_USERNS_MOUNT, and the namespace that the mounting user namespace must own.
struct UsernsType {
  std::string_view name;
  std::optional<NamespaceType> needs;
};
constexpr UsernsType kUsernsTypes[] = {
    {"tmpfs", {}},
    {"ramfs", {}},
    {"devpts", {}},
    {"overlay", {}},
    {"fuse", {}},
    {"binfmt_misc", {}},
    {"bpf", {}},
    {"proc", NamespaceType::pid},
    {"sysfs", NamespaceType::network},
    {"mqueue", NamespaceType::ipc},
    {"cgroup", NamespaceType::cgroup},
    {"cgroup2", NamespaceType::cgroup},
};

// Directories of procfs and sysfs that are empty for mounts to stand on: those do not count as
// covering something (mnt_already_visible() in fs/namespace.c).
constexpr std::array<std::string_view, 12> kMadeForMounts = {
    "/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd",       "/proc/openprom",
    "/sys/fs/cgroup",           "/sys/fs/bpf",         "/sys/fs/pstore",
    "/sys/fs/fuse/connections", "/sys/kernel/config",  "/sys/kernel/debug",
    "/sys/kernel/security",     "/sys/kernel/tracing", "/sys/fs/selinux",
};

}  // namespace

Finding knows_file_system(std::string_view type, const std::string& prefix) {
  const auto text = sys::read_text(prefix + "/proc/filesystems");
  if (!text) return yes("no /proc/filesystems to tell it");
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = sys::next_part(rest, '\n');
    std::string_view word = sys::next_word(line);
    if (word == "nodev") word = sys::next_word(line);
    if (word == type) return yes();
  }
  if (has_module(type, prefix))
    return no(fmt::format("the kernel module for {} is not loaded", type),
              fmt::format("modprobe {}", type));
  return no(fmt::format("this kernel knows no file system \"{}\"", type), "see /proc/filesystems");
}

Finding file_system_in_userns(std::string_view type, NamespaceSet new_ones) {
  const auto* found = std::ranges::find(kUsernsTypes, type, &UsernsType::name);
  if (found == std::end(kUsernsTypes))
    return no(fmt::format("the kernel lets no user namespace mount {}", type),
              "mount it outside and bind it, or share the user namespace (--share user, as root)");
  if (!found->needs || new_ones.contains(*found->needs)) return yes();
  return no(fmt::format("{} belongs to a {} namespace, and the sandbox has none of its own", type,
                        to_string(*found->needs)),
            fmt::format("--new {}, or bind the host's", to_string(*found->needs)));
}

Finding not_covered(std::string_view mount_point, const std::string& prefix) {
  std::vector<std::string> covered;
  bool mounted = false;
  for (const sys::MountEntry& mount : mounts_of_self(prefix)) {
    if (mount.point == mount_point) mounted = true;
    if (is_below(mount.point, mount_point) &&
        std::ranges::find(kMadeForMounts, mount.point) == kMadeForMounts.end())
      covered.push_back(mount.point);
  }
  const std::string advice = fmt::format(
      "bind the {0} that is there (--bind {0}), or have the outer container show all of it "
      "(podman: "
      "--security-opt unmask=ALL; docker: --security-opt systempaths=unconfined)",
      mount_point);
  if (!mounted)
    return no(
        fmt::format("no {} is mounted here, and a user namespace gets a fresh one only where "
                    "one is visible already",
                    mount_point));
  if (covered.empty()) return yes();
  constexpr size_t kShown = 4;
  const std::string more = covered.size() > kShown ? " ..." : "";
  if (covered.size() > kShown) covered.resize(kShown);
  return no(fmt::format("parts of {} are covered ({}{}), and the kernel gives a user namespace no "
                        "fresh one that would show them",
                        mount_point, fmt::join(covered, ", "), more),
            advice);
}

std::string mount_options(const std::string& path) {
  const auto mount = mount_of(path);
  return mount ? mount->options : std::string{};
}

bool is_shared_mount(const std::string& path) {
  const auto mount = mount_of(path);
  return mount && mount->peer_group != 0;
}

std::string file_system_of(const std::string& path) {
  const auto mount = mount_of(path);
  return mount ? mount->type : std::string{};
}

std::vector<std::string> mounts_below(const std::string& path, const std::string& prefix) {
  std::vector<std::string> result;
  for (const sys::MountEntry& mount : mounts_of_self(prefix))
    if (is_below(mount.point, path)) result.push_back(mount.point);
  return result;
}

}  // namespace isle::checks
