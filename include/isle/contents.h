// What namespaces isolate, read from outside: host names, clock offsets, System V and POSIX IPC
// objects, the root of the cgroup tree. Mounts are mount.h's, id maps user_namespace.h's.
//
// Where the kernel gives nothing to those who are outside, somebody goes in, looks and comes back
// (in.h): that needs CAP_SYS_ADMIN over the namespace, and the errors are then those of in().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/namespace.h"

namespace isle {

/// uts_namespaces(7).
struct UtsNames {
  std::string hostname;
  std::string domainname;  ///< NIS's, not DNS's; "(none)" where it was never set.
  bool operator==(const UtsNames&) const = default;
};
/// By somebody inside. Errors: EINVAL no uts namespace; those of in().
[[nodiscard]] Result<UtsNames> uts_names(const Namespace& uts_namespace);

/// What a time namespace adds to the initial one's clocks; time_namespaces(7).
struct ClockOffsets {
  int64_t monotonic_ns = 0;
  int64_t boottime_ns = 0;
  bool operator==(const ClockOffsets&) const = default;
};
/// Of the time namespace in which the next children of `pid` will be, which is its own unless it has
/// called unshare(2). From outside. Errors: ENOENT no such process, or a kernel without time
/// namespaces. /proc/PID/timens_offsets, Linux 5.6.
[[nodiscard]] Result<ClockOffsets> clock_offsets(pid_t pid);
/// By somebody inside. Errors: EINVAL no time namespace; those of in().
[[nodiscard]] Result<ClockOffsets> clock_offsets(const Namespace& time_namespace);

/// Whose a System V object is, sysvipc(7); ids as the caller's user namespace counts.
struct IpcOwner {
  int id = 0;
  uint32_t key = 0;  ///< 0: IPC_PRIVATE.
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  ///< The permission bits.
  bool operator==(const IpcOwner&) const = default;
};
struct SharedMemory {
  IpcOwner owner;
  uint64_t size_bytes = 0;
  uint64_t attached = 0;  ///< How often it is attached at present.
  bool operator==(const SharedMemory&) const = default;
};
struct SemaphoreSet {
  IpcOwner owner;
  uint64_t semaphores = 0;
  bool operator==(const SemaphoreSet&) const = default;
};
struct MessageQueue {
  IpcOwner owner;
  uint64_t messages = 0;
  uint64_t size_bytes = 0;
  bool operator==(const MessageQueue&) const = default;
};
/// mq_overview(7).
struct PosixMessageQueue {
  std::string name;  ///< "/name", as mq_open(3) takes it.
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;
  uint64_t size_bytes = 0;  ///< Of the messages in it.
  bool operator==(const PosixMessageQueue&) const = default;
};
/// All that an IPC namespace holds; ipc_namespaces(7). POSIX shared memory and named semaphores are
/// not among them: those are files in /dev/shm, so the mount namespace's.
struct IpcObjects {
  std::vector<SharedMemory> shared_memory;
  std::vector<SemaphoreSet> semaphores;
  std::vector<MessageQueue> message_queues;
  std::vector<PosixMessageQueue> posix_message_queues;
  bool operator==(const IpcObjects&) const = default;
};
/// By somebody inside, objects of all users. Errors: EINVAL no IPC namespace; those of in();
/// EPERM the mqueue file system may not be mounted. Linux 5.2.
[[nodiscard]] Result<IpcObjects> ipc_objects(const Namespace& ipc_namespace);

/// The root that a cgroup namespace shows in one hierarchy; cgroup_namespaces(7).
struct CgroupRoot {
  std::string hierarchy;  ///< "cpu,cpuacct", "name=systemd"; empty for cgroup v2.
  std::string path;       ///< As the caller's cgroup namespace names it: "/user.slice".
  bool operator==(const CgroupRoot&) const = default;
};
/// Found by comparing what /proc/PID/cgroup says here and inside; a hierarchy in which no process is
/// at or below that root is left out. Errors: EINVAL no cgroup namespace; those of in(). Linux 4.6.
[[nodiscard]] Result<std::vector<CgroupRoot>> cgroup_roots(const Namespace& cgroup_namespace);

}  // namespace isle
