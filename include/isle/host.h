// What compile() may know of the machine, the caller and the files a Spec names: gathered before,
// as data, so that compile() itself makes no system call and a test can make a Host up.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "isle/idmap.h"
#include "isle/spec.h"

namespace isle {

struct KernelVersion {
  int major = 5;
  int minor = 14;
  auto operator<=>(const KernelVersion&) const = default;
};

/// What a path turned out to be, seen from the caller (links followed).
enum class FileKind : uint8_t {
  unknown,
  missing,
  directory,
  file,
  character_device,
  block_device,
  fifo,
  socket,
  symlink,  ///< Of "link:PATH" only: that name's own kind.
  no_access
};

struct FileFact {
  FileKind kind = FileKind::unknown;
  int error = 0;  ///< errno of the look where kind is missing or no_access.
  /// What was in the way then: "/home/x does not exist", "user 1000 may not go through /root ...".
  std::string why = {};
  uint64_t device = 0;  ///< st_rdev of a device.
};

/// What stands directly in a directory; links not followed.
struct DirectoryEntry {
  std::string name = {};
  bool is_directory = false;
  mode_t mode = 0755;     ///< Permission bits.
  std::string link = {};  ///< Target of a symbolic link, else empty.
};

enum class CgroupLayout : uint8_t { none, v1, hybrid, v2 };

/// A mounted v1 hierarchy.
struct CgroupHierarchy {
  std::string mount = {};
  std::string own = {};  ///< The caller's directory in it; empty where it is not visible.
  std::vector<std::string> controllers = {};  ///< "name=systemd" for a named one.
};

/// Where isle may make cgroups. All paths are absolute host paths of existing directories.
struct CgroupFacts {
  CgroupLayout layout = CgroupLayout::none;
  int error = 0;  ///< errno of the look at /proc/self/mountinfo and cgroup; then nothing is known.
  /// v1 controller -> directory of the caller's cgroup in that hierarchy. Co-mounted controllers
  /// have the same directory.
  std::map<std::string, std::string> v1 = {};
  std::vector<CgroupHierarchy> v1_hierarchies = {};
  /// v1 directories in which the caller may make cgroups and move itself.
  std::vector<std::string> v1_writable = {};
  /// cpuset.cpus and cpuset.mems of the nearest directory to Resources::path that is there, v1:
  /// a new one has neither, and takes no process so.
  std::string v1_cpus = {};
  std::string v1_mems = {};
  /// ... and those directories below it, on the way to Resources::path, that are there without any.
  std::vector<std::string> v1_without_cpus = {};
  /// The cgroup2 mount point, and the caller's own directory below it; empty where there is none.
  std::string v2_mount = {};
  std::string v2_own = {};
  /// Controllers of the hierarchy's root.
  std::vector<std::string> v2_controllers = {};
  /// The directory to make the sandbox's cgroup in: the nearest ancestor-or-self the caller may
  /// use; empty where none is delegated.
  std::string v2_parent = {};
  /// Controllers that v2_parent has (cgroup.controllers) and hands on (cgroup.subtree_control).
  std::vector<std::string> v2_available = {};
  std::vector<std::string> v2_enabled = {};
  /// Processes in v2_parent itself besides the caller: then controllers cannot be enabled there
  /// (the no-internal-process rule, cgroups(7)).
  bool v2_parent_has_others = false;
  /// It is the root of the whole hierarchy, which that rule spares. The root of a cgroup namespace
  /// looks alike and is not.
  bool v2_parent_is_root = false;
};

struct Host {
  KernelVersion kernel = {};

  // The caller.
  pid_t pid = 0;  ///< 0: not to be moved to another cgroup, whatever a limit would need.
  uid_t uid = 0;  ///< Effective ids.
  gid_t gid = 0;
  std::vector<uint32_t> groups = {};  ///< Supplementary.
  uint64_t capabilities = 0;          ///< Effective set, bit n is capability n.
  uint64_t last_capability = 40;
  bool in_initial_user_namespace = true;
  /// The caller's own maps (/proc/self/uid_map): what it can map further. Empty: everything.
  IdMap own_uid_map = {};
  IdMap own_gid_map = {};
  std::vector<std::string> environment = {};
  std::string cwd = "/";

  // Subordinate ids.
  std::vector<SubIdRange> subuid = {};
  std::vector<SubIdRange> subgid = {};
  std::string newuidmap = {};  ///< Path of the program; empty where there is none.
  std::string newgidmap = {};
  /// Why these are empty, where they were looked for, and what to do about it.
  std::string no_mapping_programs = {};
  std::string no_mapping_programs_advice = {};

  // Kernel features, each probed or known by version.
  bool user_namespaces = true;
  bool time_namespaces = true;
  /// execve moves a task into its time_for_children (6.3).
  bool exec_enters_time_namespace = true;
  bool idmapped_mounts = true;
  bool idmapped_tmpfs = false;            ///< 6.3
  bool overlay_in_user_namespace = true;  ///< 5.11
  bool proc_pidns_option = false;         ///< 6.18
  bool copy_of_detached = false;  ///< open_tree copies a mount that is itself detached (6.15).
  bool cgroup_kill = true;        ///< 5.14

  CgroupFacts cgroup = {};

  /// Facts of the files a Spec names, by the very string it names them with; "fd:7" for what
  /// descriptor 7 refers to.
  std::map<std::string, FileFact> files = {};
  /// Where mounts stand below the caller's root, outermost first (of /proc/self/mountinfo).
  std::vector<std::string> mount_points = {};
  /// What stands in the directory that is to be the root, by name; where an overlay goes over it.
  std::vector<DirectoryEntry> root_entries = {};

  [[nodiscard]] FileFact file(const std::string& path) const {
    const auto found = files.find(path);
    return found == files.end() ? FileFact{} : found->second;
  }
  [[nodiscard]] bool has_capability(int capability) const {
    return (capabilities >> capability & 1) != 0;
  }
  /// mknod(2) of devices asks for CAP_MKNOD in the initial user namespace.
  [[nodiscard]] bool may_make_devices() const {
    constexpr int kCapMknod = 27;
    return in_initial_user_namespace && has_capability(kCapMknod);
  }
};

/// Looks at this machine and this process, and at the files `spec` names. Reads only. What could
/// not be found out is left at its modest default. Costs well under a millisecond: facts that
/// only some specs need (cgroups, subordinate ids, mount points) are looked up only for those.
[[nodiscard]] Host probe_host(const Spec& spec);

}  // namespace isle
