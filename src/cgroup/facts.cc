#include "cgroup/facts.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "cgroup/paths.h"
#include "sys/file_calls.h"

namespace isle::cgroup {
namespace {

using sys::Access;
using sys::AtFlags;

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

// By the effective ids, as the kernel asks when the file is used. A read-only mount says no, too.
bool may(Access mode, const std::string& path) {
  return sys::faccessat2(sys::kAtFdcwd, path.c_str(), mode, AtFlags::eaccess) == 0;
}

// Where `path` of /proc/PID/cgroup is below a mount of that hierarchy whose root is `root`. Both
// are relative to the cgroup namespace; a path that begins with "/.." lies outside of it.
std::optional<std::string> below_mount(std::string_view root, const std::string& point,
                                       std::string_view path) {
  if (path == "/.." || path.starts_with("/../")) return std::nullopt;
  if (root != "/") {
    if (!path.starts_with(root)) return std::nullopt;
    path.remove_prefix(root.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
  }
  if (path == "/" || path.empty()) return point;
  return std::string(point == "/" ? "" : point).append(path);
}

bool is_mount_of(const sys::MountEntry& mount, const sys::CgroupEntry& cgroup) {
  if (cgroup.v2) return mount.type == "cgroup2";
  return mount.type == "cgroup" && !cgroup.controllers.empty() &&
         std::ranges::all_of(cgroup.controllers, [&](const std::string& controller) {
           return sys::has_option(mount.super_options, controller);
         });
}

bool named_only(const Hierarchy& hierarchy) {
  return std::ranges::all_of(hierarchy.controllers,
                             [](const std::string& name) { return name.starts_with("name="); });
}

// Whether cgroup.procs lists anybody but `self`; a process of another pid namespace reads as 0.
bool lists_others(std::string_view procs, pid_t self) {
  while (!procs.empty()) {
    const std::string_view line = sys::next_part(procs, '\n');
    pid_t pid = -1;
    std::from_chars(line.data(), line.data() + line.size(), pid);
    if (!line.empty() && pid != self) return true;
  }
  return false;
}

// v1 asks no more of one who moves himself than write access to the destination's cgroup.procs,
// and what he makes is his: cgroup1_procs_write() in kernel/cgroup/cgroup-v1.c.
void look_for_room_v1(const std::string& prefix, CgroupFacts& facts) {
  for (const auto& [controller, own] : facts.v1)
    if (!contains(facts.v1_writable, own) && may(Access::w_ok | Access::x_ok, prefix + own))
      facts.v1_writable.push_back(own);
}

void look_for_room_v2(const std::vector<std::string>& controllers, pid_t self,
                      const std::string& prefix, CgroupFacts& facts) {
  std::optional<Delegation> chosen;
  for (std::string directory = facts.v2_own; !directory.empty();) {
    Delegation here = delegation_of(directory, self, prefix);
    const bool good = here.usable() && here.gives(controllers);
    if (good || (here.usable() && !chosen)) {
      facts.v2_parent = directory;
      chosen = std::move(here);
    }
    if (good || directory == facts.v2_mount) break;
    directory.resize(directory.rfind('/'));
  }
  if (!chosen) return;
  facts.v2_available = std::move(chosen->available);
  facts.v2_enabled = std::move(chosen->enabled);
  facts.v2_parent_has_others = chosen->has_others;
  facts.v2_parent_is_root = chosen->is_root;
}

}  // namespace

std::vector<Hierarchy> hierarchies(const std::vector<sys::MountEntry>& mounts,
                                   const std::vector<sys::CgroupEntry>& cgroups) {
  std::vector<Hierarchy> result;
  for (const sys::CgroupEntry& cgroup : cgroups) {
    std::optional<Hierarchy> found;
    for (const sys::MountEntry& mount : mounts) {
      if (!is_mount_of(mount, cgroup)) continue;
      auto own = below_mount(mount.root, mount.point, cgroup.path);
      // Mounted more than once: the mount in which we see ourselves.
      if (found && !own) continue;
      found = Hierarchy{.v2 = cgroup.v2,
                        .controllers = cgroup.controllers,
                        .mount = mount.point,
                        .own = own.value_or("")};
      if (own) break;
    }
    if (found) result.push_back(*std::move(found));
  }
  return result;
}

bool Delegation::gives(const std::vector<std::string>& controllers) const {
  return std::ranges::all_of(controllers, [&](const std::string& controller) {
    return contains(enabled, controller) ||
           (contains(available, controller) && enable && !has_others);
  });
}

Delegation delegation_of(const std::string& directory, pid_t self, const std::string& prefix) {
  const std::string path = prefix + directory;
  Delegation result;
  result.make = may(Access::w_ok | Access::x_ok, path);
  if (!result.make) return result;
  // Moving asks for write access to cgroup.procs of the common ancestor of where we are and where
  // we go, cgroup_procs_write_permission() in kernel/cgroup/cgroup.c; what we make is ours.
  result.move = may(Access::w_ok, path + "/cgroup.procs");
  if (!result.move) return result;
  result.enable = may(Access::w_ok, path + "/cgroup.subtree_control");
  result.available = sys::words(sys::read_text(path + "/cgroup.controllers").value_or(""));
  result.enabled = sys::words(sys::read_text(path + "/cgroup.subtree_control").value_or(""));
  // Only the root of the whole hierarchy has no type, and may have processes of its own.
  const auto type = sys::read_text(path + "/cgroup.type");
  result.is_root = !type;
  if (!type) return result;
  result.threaded = type->starts_with("threaded");
  const auto procs = sys::read_text(path + "/cgroup.procs");
  result.has_others = procs && lists_others(*procs, self);
  return result;
}

CgroupFacts look_at_layout(const std::string& prefix) {
  CgroupFacts facts;
  const auto mounts = sys::read_text(prefix + "/proc/self/mountinfo");
  const auto cgroups = sys::read_text(prefix + "/proc/self/cgroup");
  if (!mounts || !cgroups) {
    facts.error = mounts ? cgroups.error() : mounts.error();
    return facts;
  }
  std::vector<Hierarchy> mounted =
      hierarchies(sys::parse_mountinfo(*mounts), sys::parse_cgroup(*cgroups));
  std::vector<std::string> points;
  points.reserve(mounted.size());
  for (const Hierarchy& hierarchy : mounted) points.push_back(prefix + hierarchy.mount);
  const Paths paths(common_directory(points));
  const auto is_reached = [&](const std::string& path) {
    const auto [directory, rest] = paths.find(path);
    return sys::faccessat2(directory, rest, Access::f_ok, AtFlags::eaccess) == 0;
  };
  bool v1 = false;
  for (size_t i = 0; i < mounted.size(); ++i) {
    if (!is_reached(points[i])) continue;
    Hierarchy& hierarchy = mounted[i];
    if (hierarchy.v2) {
      facts.v2_controllers =
          sys::words(sys::read_text(prefix + hierarchy.mount + "/cgroup.controllers").value_or(""));
      facts.v2_mount = std::move(hierarchy.mount);
      facts.v2_own = std::move(hierarchy.own);
      continue;
    }
    for (const std::string& controller : hierarchy.controllers)
      if (!controller.starts_with("name=") && !hierarchy.own.empty())
        facts.v1[controller] = hierarchy.own;
    v1 = v1 || !named_only(hierarchy);
    facts.v1_hierarchies.push_back(
        {std::move(hierarchy.mount), std::move(hierarchy.own), std::move(hierarchy.controllers)});
  }
  const bool v2 = !facts.v2_mount.empty();
  facts.layout = v1 && v2 ? CgroupLayout::hybrid
                 : v1     ? CgroupLayout::v1
                 : v2     ? CgroupLayout::v2
                          : CgroupLayout::none;
  return facts;
}

CgroupFacts look_up(const std::vector<std::string>& controllers, pid_t self,
                    const std::string& prefix) {
  CgroupFacts facts = look_at_layout(prefix);
  look_for_room_v1(prefix, facts);
  look_for_room_v2(controllers, self, prefix, facts);
  return facts;
}

}  // namespace isle::cgroup
