// System call numbers the headers of Linux 6.1 lack, and ioctl numbers. Since 5.1 new
// system calls have one number on all architectures isle runs on.
#pragma once

#include <asm/unistd.h>

#include <cstdint>

namespace isle::sys {

inline constexpr long kNrCachestat = 451;       // 6.5
inline constexpr long kNrFchmodat2 = 452;       // 6.6
inline constexpr long kNrStatmount = 457;       // 6.8
inline constexpr long kNrListmount = 458;       // 6.8
inline constexpr long kNrLsmGetSelfAttr = 459;  // 6.8
inline constexpr long kNrLsmListModules = 461;  // 6.8
inline constexpr long kNrMseal = 462;           // 6.10
inline constexpr long kNrSetxattrat = 463;      // 6.13
inline constexpr long kNrGetxattrat = 464;      // 6.13
inline constexpr long kNrOpenTreeAttr = 467;    // 6.15
inline constexpr long kNrFileGetattr = 468;     // 6.17
inline constexpr long kNrListns = 470;          // 6.19

/// _IO, _IOR, _IOW, _IOWR of <asm-generic/ioctl.h>, the same on x86-64 and aarch64.
constexpr std::uint32_t ioctl_number(std::uint32_t direction, std::uint32_t type,
                                     std::uint32_t number, std::uint32_t size_bytes) noexcept {
  return direction << 30 | size_bytes << 16 | type << 8 | number;
}
inline constexpr std::uint32_t kIoctlWrite = 1;
inline constexpr std::uint32_t kIoctlRead = 2;

/// ioctl(2) requests isle makes, by their kernel names in lower case.
enum class Ioctl : std::uint32_t {
  // nsfs: ioctl_nsfs(2)
  ns_get_userns = ioctl_number(0, 0xb7, 0x1, 0),                    // 4.9
  ns_get_parent = ioctl_number(0, 0xb7, 0x2, 0),                    // 4.9
  ns_get_nstype = ioctl_number(0, 0xb7, 0x3, 0),                    // 4.11
  ns_get_owner_uid = ioctl_number(0, 0xb7, 0x4, 0),                 // 4.11
  ns_get_mntns_id = ioctl_number(kIoctlRead, 0xb7, 0x5, 8),         // 6.10
  ns_get_pid_from_pidns = ioctl_number(kIoctlRead, 0xb7, 0x6, 4),   // 6.11
  ns_get_tgid_from_pidns = ioctl_number(kIoctlRead, 0xb7, 0x7, 4),  // 6.11
  ns_get_pid_in_pidns = ioctl_number(kIoctlRead, 0xb7, 0x8, 4),     // 6.11
  ns_get_tgid_in_pidns = ioctl_number(kIoctlRead, 0xb7, 0x9, 4),    // 6.11
  ns_mnt_get_info = ioctl_number(kIoctlRead, 0xb7, 10, 16),         // 6.12
  ns_mnt_get_next = ioctl_number(kIoctlRead, 0xb7, 11, 16),         // 6.12
  ns_mnt_get_prev = ioctl_number(kIoctlRead, 0xb7, 12, 16),         // 6.12
  ns_get_id = ioctl_number(kIoctlRead, 0xb7, 13, 8),                // 6.18
  // pidfs; each gives a descriptor of the process's namespace
  pidfd_get_cgroup_namespace = ioctl_number(0, 0xff, 1, 0),               // 6.11
  pidfd_get_ipc_namespace = ioctl_number(0, 0xff, 2, 0),                  // 6.11
  pidfd_get_mnt_namespace = ioctl_number(0, 0xff, 3, 0),                  // 6.11
  pidfd_get_net_namespace = ioctl_number(0, 0xff, 4, 0),                  // 6.11
  pidfd_get_pid_namespace = ioctl_number(0, 0xff, 5, 0),                  // 6.11
  pidfd_get_pid_for_children_namespace = ioctl_number(0, 0xff, 6, 0),     // 6.11
  pidfd_get_time_namespace = ioctl_number(0, 0xff, 7, 0),                 // 6.11
  pidfd_get_time_for_children_namespace = ioctl_number(0, 0xff, 8, 0),    // 6.11
  pidfd_get_user_namespace = ioctl_number(0, 0xff, 9, 0),                 // 6.11
  pidfd_get_uts_namespace = ioctl_number(0, 0xff, 10, 0),                 // 6.11
  pidfd_get_info = ioctl_number(kIoctlRead | kIoctlWrite, 0xff, 11, 64),  // 6.13; struct pidfd_info
  // terminals: ioctl_tty(2)
  tcgets = 0x5401,
  tcsets = 0x5402,
  tiocsctty = 0x540e,
  tiocspgrp = 0x5410,
  tiocgwinsz = 0x5413,
  tiocswinsz = 0x5414,
  tiocnotty = 0x5422,
  tiocgptn = ioctl_number(kIoctlRead, 'T', 0x30, 4),
  tiocsptlck = ioctl_number(kIoctlWrite, 'T', 0x31, 4),
  tiocgptpeer = ioctl_number(0, 'T', 0x41, 0),  // 4.13
  // sockets
  siocgifflags = 0x8913,
  siocsifflags = 0x8914,
  siocgskns = 0x894c,  // 4.10
  // files
  ficlone = ioctl_number(kIoctlWrite, 0x94, 9, 4),  // 4.5
};

}  // namespace isle::sys
