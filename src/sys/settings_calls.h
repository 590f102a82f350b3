// Wrappers of the system calls that change what a process is and may do: credentials,
// capabilities, limits, scheduling, memory policy, seccomp, Landlock, keyrings, host name.
// Result or -errno; see raw_call.h.
#pragma once

#include "sys/abi_numbers.h"
#include "sys/abi_process.h"
#include "sys/raw_call.h"

namespace isle::sys {

/// prctl(2).
template <class... Args>
inline int prctl(Prctl option, Args... args) noexcept {
  return raw_int(__NR_prctl, option, args...);
}

/// getuid(2).
inline std::uint32_t getuid() noexcept { return static_cast<std::uint32_t>(raw(__NR_getuid)); }
/// geteuid(2).
inline std::uint32_t geteuid() noexcept { return static_cast<std::uint32_t>(raw(__NR_geteuid)); }
/// getgid(2).
inline std::uint32_t getgid() noexcept { return static_cast<std::uint32_t>(raw(__NR_getgid)); }
/// getegid(2).
inline std::uint32_t getegid() noexcept { return static_cast<std::uint32_t>(raw(__NR_getegid)); }
/// setresuid(2), the calling thread only (libc's does all threads); ~0u leaves one as it is.
inline int setresuid(std::uint32_t real, std::uint32_t effective, std::uint32_t saved) noexcept {
  return raw_int(__NR_setresuid, real, effective, saved);
}
/// setresgid(2), the calling thread only; ~0u leaves one as it is.
inline int setresgid(std::uint32_t real, std::uint32_t effective, std::uint32_t saved) noexcept {
  return raw_int(__NR_setresgid, real, effective, saved);
}
/// setgroups(2), the calling thread only.
inline int setgroups(std::size_t count, const std::uint32_t* groups) noexcept {
  return raw_int(__NR_setgroups, count, groups);
}
/// getgroups(2): how many; with capacity 0 nothing is written.
inline int getgroups(std::size_t capacity, std::uint32_t* groups) noexcept {
  return raw_int(__NR_getgroups, capacity, groups);
}
/// setfsuid(2): the former one, whether it worked or not.
inline std::uint32_t setfsuid(std::uint32_t uid) noexcept {
  return static_cast<std::uint32_t>(raw(__NR_setfsuid, uid));
}
/// setfsgid(2): the former one, whether it worked or not.
inline std::uint32_t setfsgid(std::uint32_t gid) noexcept {
  return static_cast<std::uint32_t>(raw(__NR_setfsgid, gid));
}
/// capset(2); `data` is two records.
inline int capset(const cap_user_header* header, const cap_user_data* data) noexcept {
  return raw_int(__NR_capset, header, data);
}
/// capget(2); `data` is two records. An unknown header version is replaced by the kernel's.
inline int capget(cap_user_header* header, cap_user_data* data) noexcept {
  return raw_int(__NR_capget, header, data);
}

/// sethostname(2).
inline int sethostname(const char* name, std::size_t length_bytes) noexcept {
  return raw_int(__NR_sethostname, name, length_bytes);
}
/// setdomainname(2).
inline int setdomainname(const char* name, std::size_t length_bytes) noexcept {
  return raw_int(__NR_setdomainname, name, length_bytes);
}
/// umask(2): the former one.
inline std::uint32_t umask(std::uint32_t mask) noexcept {
  return static_cast<std::uint32_t>(raw(__NR_umask, mask));
}
/// personality(2): the former one; 0xffffffff only asks.
inline int personality(std::uint32_t persona) noexcept {
  return raw_int(__NR_personality, persona);
}

/// prlimit64(2); `resource` is a number of the rlimits table; either limit may be null.
inline int prlimit64(int pid, int resource, const rlimit64* wanted, rlimit64* old) noexcept {
  return raw_int(__NR_prlimit64, pid, resource, wanted, old);
}
/// setpriority(2); which 0 is PRIO_PROCESS.
inline int setpriority(int which, int who, int nice) noexcept {
  return raw_int(__NR_setpriority, which, who, nice);
}
/// getpriority(2): 20 - nice, so 1..40.
inline int getpriority(int which, int who) noexcept {
  return raw_int(__NR_getpriority, which, who);
}
/// sched_setaffinity(2); `mask` is a bit a cpu.
inline int sched_setaffinity(int pid, std::size_t size_bytes, const unsigned long* mask) noexcept {
  return raw_int(__NR_sched_setaffinity, pid, size_bytes, mask);
}
/// sched_getaffinity(2): the bytes written.
inline int sched_getaffinity(int pid, std::size_t size_bytes, unsigned long* mask) noexcept {
  return raw_int(__NR_sched_getaffinity, pid, size_bytes, mask);
}
/// sched_setscheduler(2); 0x40000000 in the policy is SCHED_RESET_ON_FORK.
inline int sched_setscheduler(int pid, SchedPolicy policy, const sched_param* param) noexcept {
  return raw_int(__NR_sched_setscheduler, pid, policy, param);
}
/// sched_setattr(2).
inline int sched_setattr(int pid, const sched_attr* attr, std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_sched_setattr, pid, attr, flags);
}
/// sched_getattr(2).
inline int sched_getattr(int pid, sched_attr* attr, std::uint32_t size_bytes = sizeof(sched_attr),
                         std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_sched_getattr, pid, attr, size_bytes, flags);
}
/// ioprio_set(2); which 1 is IOPRIO_WHO_PROCESS; ioprio is class << 13 | level.
inline int ioprio_set(int which, int who, int ioprio) noexcept {
  return raw_int(__NR_ioprio_set, which, who, ioprio);
}
/// ioprio_get(2).
inline int ioprio_get(int which, int who) noexcept { return raw_int(__NR_ioprio_get, which, who); }
/// set_mempolicy(2); max_node counts the bits of `nodes`.
inline int set_mempolicy(Mempolicy mode, const unsigned long* nodes,
                         unsigned long max_node) noexcept {
  return raw_int(__NR_set_mempolicy, mode, nodes, max_node);
}

/// seccomp(2); with new_listener the notify descriptor.
inline int seccomp(SeccompOp operation, SeccompFlags flags, const void* args) noexcept {
  return raw_int(__NR_seccomp, operation, flags, args);
}
/// bpf(2): a descriptor, or 0.
template <class Attributes>
int bpf(BpfCommand command, const Attributes& attributes) noexcept {
  return raw_int(__NR_bpf, command, &attributes, sizeof attributes);
}
/// keyctl(2): a serial number or 0.
template <class... Args>
inline int keyctl(Keyctl operation, Args... args) noexcept {
  return raw_int(__NR_keyctl, operation, args...);
}
/// landlock_create_ruleset(2), 5.13.
inline int landlock_create_ruleset(const landlock_ruleset_attr* attr, std::size_t size_bytes,
                                   std::uint32_t flags) noexcept {
  return raw_int(__NR_landlock_create_ruleset, attr, size_bytes, flags);
}
/// landlock_add_rule(2), 5.13; `attr` is the structure of `type`.
inline int landlock_add_rule(int ruleset_fd, LandlockRule type, const void* attr,
                             std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_landlock_add_rule, ruleset_fd, type, attr, flags);
}
/// landlock_restrict_self(2), 5.13; needs no_new_privs or CAP_SYS_ADMIN.
inline int landlock_restrict_self(int ruleset_fd, std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_landlock_restrict_self, ruleset_fd, flags);
}

}  // namespace isle::sys
