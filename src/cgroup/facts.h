// The cgroup hierarchies as the caller finds them: which layout, where its own cgroups are, where
// it may make new ones. Reads only. What belongs in src/cgroup: how cgroups are laid out and what
// their files mean; making and removing them are steps of a plan.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "isle/host.h"
#include "sys/proc_files.h"

namespace isle::cgroup {

/// A mounted hierarchy, and the directory of one process below it.
struct Hierarchy {
  bool v2 = false;
  std::vector<std::string> controllers;  ///< v1; "name=systemd" for a named hierarchy.
  std::string mount;
  std::string own;  ///< Empty where that directory is outside of what is mounted.
};

/// The hierarchies of /proc/PID/mountinfo and /proc/PID/cgroup, one each, in the order mounted.
[[nodiscard]] std::vector<Hierarchy> hierarchies(const std::vector<sys::MountEntry>& mounts,
                                                 const std::vector<sys::CgroupEntry>& cgroups);

/// What the caller (its effective ids) may do with one v2 directory, by the delegation rules of
/// cgroups(7).
struct Delegation {
  bool make = false;    ///< mkdir in it.
  bool move = false;    ///< From it or from below it to another place below it: its cgroup.procs.
  bool enable = false;  ///< Write to its cgroup.subtree_control.
  bool threaded = false;
  bool is_root = false;  ///< Of the whole hierarchy.
  /// Processes in it besides `self`: no domain controller can be enabled (no-internal-process
  /// rule).
  bool has_others = false;
  std::vector<std::string> available;
  std::vector<std::string> enabled;

  [[nodiscard]] bool usable() const { return make && move && !threaded; }
  /// Whether children of it can have all of `controllers`.
  [[nodiscard]] bool gives(const std::vector<std::string>& controllers) const;
};

/// `self` is the caller's pid. `prefix` goes before every path looked at, for made-up trees.
[[nodiscard]] Delegation delegation_of(const std::string& directory, pid_t self,
                                       const std::string& prefix = {});

/// Which hierarchies there are, by the files prefix/proc/self/...
[[nodiscard]] CgroupFacts look_at_layout(const std::string& prefix = {});

/// ... and where one may make a cgroup for limits by `controllers` ("memory", "pids" ...).
[[nodiscard]] CgroupFacts look_up(const std::vector<std::string>& controllers, pid_t self,
                                  const std::string& prefix = {});

}  // namespace isle::cgroup
