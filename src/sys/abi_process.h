// Flags and structures of the system calls that make, join, limit and watch processes:
// clone(2), setns(2), pidfd_open(2), waitid(2), prctl(2), sched(7), credentials(7), signal(7).
// Kernel layouts, which for some types differ from libc's of the same name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/flags.h"

namespace isle::sys {

/// CLONE_* of clone3(2), unshare(2) and setns(2).
enum class CloneFlags : std::uint64_t {
  none = 0,
  newtime = 0x00000080,  // 5.6; not for clone(2), whose low byte is the signal
  vm = 0x00000100,
  fs = 0x00000200,
  files = 0x00000400,
  sighand = 0x00000800,
  pidfd = 0x00001000,  // 5.2
  ptrace = 0x00002000,
  vfork = 0x00004000,
  parent = 0x00008000,
  thread = 0x00010000,
  newns = 0x00020000,
  sysvsem = 0x00040000,
  settls = 0x00080000,
  parent_settid = 0x00100000,
  child_cleartid = 0x00200000,
  untraced = 0x00800000,
  child_settid = 0x01000000,
  newcgroup = 0x02000000,  // 4.6
  newuts = 0x04000000,
  newipc = 0x08000000,
  newuser = 0x10000000,
  newpid = 0x20000000,
  newnet = 0x40000000,
  io = 0x80000000,
  clear_sighand = 0x100000000,    // 5.5
  into_cgroup = 0x200000000,      // 5.7
  autoreap = 0x400000000,         // 7.1
  nnp = 0x800000000,              // 7.1
  pidfd_autokill = 0x1000000000,  // 7.1
  empty_mntns = 0x2000000000,     // 7.1
};
template <>
inline constexpr bool is_flag_set<CloneFlags> = true;

/// UNSHARE_EMPTY_MNTNS: unshare(2) only, the bit clone3 calls CLONE_PARENT_SETTID. Linux 7.1.
inline constexpr CloneFlags kUnshareEmptyMntns = CloneFlags{0x00100000};

/// Argument of clone3(2); 88 bytes is the third published version (5.7).
struct clone_args {
  std::uint64_t flags = 0;
  std::uint64_t pidfd = 0;  // int* in the caller
  std::uint64_t child_tid = 0;
  std::uint64_t parent_tid = 0;
  std::uint64_t exit_signal = 0;
  std::uint64_t stack = 0;  // lowest address
  std::uint64_t stack_size = 0;
  std::uint64_t tls = 0;
  std::uint64_t set_tid = 0;  // pid_t*, innermost pid namespace first
  std::uint64_t set_tid_size = 0;
  std::uint64_t cgroup = 0;  // descriptor, with into_cgroup
};
static_assert(sizeof(clone_args) == 88);

/// Flags of pidfd_open(2).
enum class PidfdFlags : std::uint32_t {
  none = 0,
  thread = 0x80,     // O_EXCL, 6.9
  nonblock = 0x800,  // 5.10
};
template <>
inline constexpr bool is_flag_set<PidfdFlags> = true;

/// Numbers that stand for a pidfd of the caller itself (6.15).
inline constexpr int kPidfdSelfThread = -10000;
inline constexpr int kPidfdSelfThreadGroup = -10001;
/// Directory descriptors of pidfs and nsfs for open_by_handle_at(2) (6.18).
inline constexpr int kFdPidfsRoot = -10002;
inline constexpr int kFdNsfsRoot = -10003;

/// Bits of pidfd_info::mask.
enum class PidfdInfo : std::uint64_t {
  none = 0,
  pid = 1,
  creds = 2,
  cgroupid = 4,
  exit = 8,       // 6.15; the process may be reaped already, the answer stays
  coredump = 16,  // 6.16
};
template <>
inline constexpr bool is_flag_set<PidfdInfo> = true;

/// Answer of PIDFD_GET_INFO; the first published version, 64 bytes (6.13). The ioctl's number
/// holds the size, so larger structures need a number of their own.
struct pidfd_info {
  std::uint64_t mask = 0;  // in: wanted, out: filled in
  std::uint64_t cgroupid = 0;
  std::uint32_t pid = 0, tgid = 0, ppid = 0;
  std::uint32_t ruid = 0, rgid = 0, euid = 0, egid = 0;
  std::uint32_t suid = 0, sgid = 0, fsuid = 0, fsgid = 0;
  std::int32_t exit_code = 0;  // wait status, with PidfdInfo::exit
};
static_assert(sizeof(pidfd_info) == 64);

/// idtype of waitid(2).
enum class WaitId : int { all = 0, pid = 1, pgid = 2, pidfd = 3 };

/// Options of waitid(2).
enum class WaitFlags : std::uint32_t {
  none = 0,
  nohang = 1,
  stopped = 2,
  exited = 4,
  continued = 8,
  nowait = 0x01000000,
  notthread = 0x20000000,  // __WNOTHREAD
  all = 0x40000000,        // __WALL
  clone = 0x80000000,      // __WCLONE
};
template <>
inline constexpr bool is_flag_set<WaitFlags> = true;

/// siginfo_t as waitid(2) and SIGCHLD fill it in. Members have no si_: libc makes macros of those.
struct siginfo {
  std::int32_t signo = 0;
  std::int32_t error = 0;
  std::int32_t code = 0;  // kCldExited and the like
  std::int32_t pad = 0;
  std::int32_t pid = 0;
  std::uint32_t uid = 0;
  std::int32_t status = 0;  // exit status or signal, as code says
  std::int32_t rest[25] = {};
};
static_assert(sizeof(siginfo) == 128);
inline constexpr int kCldExited = 1;
inline constexpr int kCldKilled = 2;
inline constexpr int kCldDumped = 3;
inline constexpr int kCldStopped = 5;
inline constexpr int kCldContinued = 6;

struct timespec {
  std::int64_t tv_sec = 0;
  std::int64_t tv_nsec = 0;
};
struct itimerspec {
  timespec it_interval;
  timespec it_value;
};
struct timeval {
  std::int64_t tv_sec = 0;
  std::int64_t tv_usec = 0;
};
/// Resources used, getrusage(2); ru_maxrss is in KiB.
struct rusage {
  timeval ru_utime;
  timeval ru_stime;
  std::int64_t ru_maxrss = 0, ru_ixrss = 0, ru_idrss = 0, ru_isrss = 0;
  std::int64_t ru_minflt = 0, ru_majflt = 0, ru_nswap = 0;
  std::int64_t ru_inblock = 0, ru_oublock = 0, ru_msgsnd = 0, ru_msgrcv = 0;
  std::int64_t ru_nsignals = 0, ru_nvcsw = 0, ru_nivcsw = 0;
};
static_assert(sizeof(rusage) == 144);

/// First argument of prctl(2).
enum class Prctl : int {
  set_pdeathsig = 1,
  get_pdeathsig = 2,
  get_dumpable = 3,
  set_dumpable = 4,
  get_keepcaps = 7,
  set_keepcaps = 8,
  set_name = 15,
  get_name = 16,
  get_seccomp = 21,
  capbset_read = 23,
  capbset_drop = 24,
  get_securebits = 27,
  set_securebits = 28,
  set_timerslack = 29,
  set_child_subreaper = 36,
  get_child_subreaper = 37,
  set_no_new_privs = 38,
  get_no_new_privs = 39,
  set_thp_disable = 41,
  cap_ambient = 47,
  set_speculation_ctrl = 53,
  set_io_flusher = 57,
  set_mdwe = 65,          // 6.3
  set_memory_merge = 67,  // 6.4
};
/// Second argument of prctl(PR_CAP_AMBIENT).
enum class CapAmbient : unsigned long { is_set = 1, raise = 2, lower = 3, clear_all = 4 };

/// Credentials of capset(2)/capget(2), version 3: two data records, capabilities 0-31 and 32-63.
struct cap_user_header {
  std::uint32_t version = 0x20080522;
  std::int32_t pid = 0;
};
struct cap_user_data {
  std::uint32_t effective = 0;
  std::uint32_t permitted = 0;
  std::uint32_t inheritable = 0;
};

/// Limits of prlimit64(2); kRlimInfinity for none.
struct rlimit64 {
  std::uint64_t rlim_cur = 0;
  std::uint64_t rlim_max = 0;
};
inline constexpr std::uint64_t kRlimInfinity = ~std::uint64_t{0};

/// Argument of sched_setattr(2), second version (5.3).
struct sched_attr {
  std::uint32_t size = 56;
  std::uint32_t sched_policy = 0;
  std::uint64_t sched_flags = 0;
  std::int32_t sched_nice = 0;
  std::uint32_t sched_priority = 0;
  std::uint64_t sched_runtime = 0, sched_deadline = 0, sched_period = 0;  // ns
  std::uint32_t sched_util_min = 0, sched_util_max = 0;
};
static_assert(sizeof(sched_attr) == 56);
struct sched_param {
  std::int32_t sched_priority = 0;
};
/// Scheduling policies, sched(7).
enum class SchedPolicy : std::uint32_t {
  other = 0,
  fifo = 1,
  rr = 2,
  batch = 3,
  idle = 5,
  deadline = 6,
  ext = 7,  // 6.12
};

/// Signal sets are 64 bits in the kernel: signal n is bit n-1.
using sigset = std::uint64_t;
constexpr sigset signal_bit(int signal) noexcept { return sigset{1} << (signal - 1); }
enum class SigMask : int { block = 0, unblock = 1, setmask = 2 };
/// The kernel's sigaction. SA_RESTORER (0x04000000) and `restorer` are needed on x86-64 for a
/// handler; SIG_DFL (0) and SIG_IGN (1) need neither.
struct kernel_sigaction {
  std::uint64_t handler = 0;
  std::uint64_t flags = 0;
  std::uint64_t restorer = 0;
  sigset mask = 0;
};
static_assert(sizeof(kernel_sigaction) == 32);
/// Record read from a signalfd.
struct signalfd_siginfo {
  std::uint32_t ssi_signo = 0;
  std::int32_t ssi_errno = 0, ssi_code = 0;
  std::uint32_t ssi_pid = 0, ssi_uid = 0;
  std::int32_t ssi_fd = 0;
  std::uint32_t ssi_tid = 0, ssi_band = 0, ssi_overrun = 0, ssi_trapno = 0;
  std::int32_t ssi_status = 0, ssi_int = 0;
  std::uint8_t rest[80] = {};
};
static_assert(sizeof(signalfd_siginfo) == 128);

/// First argument of seccomp(2).
enum class SeccompOp : std::uint32_t {
  set_mode_strict = 0,
  set_mode_filter = 1,
  get_action_avail = 2,  // 4.14
  get_notif_sizes = 3,   // 5.0
};
/// Flags of SECCOMP_SET_MODE_FILTER.
enum class SeccompFlags : std::uint32_t {
  none = 0,
  tsync = 1,
  log = 2,                  // 4.14
  spec_allow = 4,           // 4.17
  new_listener = 8,         // 5.0
  tsync_esrch = 16,         // 5.7
  wait_killable_recv = 32,  // 5.19
};
template <>
inline constexpr bool is_flag_set<SeccompFlags> = true;
struct sock_filter {
  std::uint16_t code = 0;
  std::uint8_t jt = 0, jf = 0;
  std::uint32_t k = 0;
};
struct sock_fprog {
  std::uint16_t len = 0;
  const sock_filter* filter = nullptr;
};
static_assert(sizeof(sock_fprog) == 16);

/// First argument of bpf(2), and as much of its second as isle uses.
enum class BpfCommand : int { prog_load = 5, prog_attach = 8 };
inline constexpr std::uint32_t kBpfProgCgroupDevice = 15;  // 4.15
inline constexpr std::uint32_t kBpfCgroupDevice = 6;
inline constexpr std::uint32_t kBpfAllowMulti = 2;
struct bpf_prog_load {
  std::uint32_t prog_type = 0, insn_cnt = 0;
  const std::uint64_t* insns = nullptr;
  const char* license = nullptr;
  std::uint32_t log_level = 0, log_size = 0;
  const void* log_buf = nullptr;
  std::uint32_t kern_version = 0, prog_flags = 0;
};
static_assert(sizeof(bpf_prog_load) == 48);
struct bpf_prog_attach {
  std::uint32_t target_fd = 0, attach_bpf_fd = 0, attach_type = 0, attach_flags = 0;
};

/// First argument of keyctl(2).
enum class Keyctl : int { get_keyring_id = 0, join_session_keyring = 1, setperm = 5 };

/// Policies of set_mempolicy(2), flags of set_mempolicy(2).
enum class Mempolicy : int {
  default_ = 0,
  preferred = 1,
  bind = 2,
  interleave = 3,
  local = 4,
  preferred_many = 5,       // 5.15
  weighted_interleave = 6,  // 6.9
  numa_balancing = 1 << 13,
  relative_nodes = 1 << 14,
  static_nodes = 1 << 15,
};
template <>
inline constexpr bool is_flag_set<Mempolicy> = true;

/// Argument of landlock_create_ruleset(2); a kernel reads as many bytes as it is told.
struct landlock_ruleset_attr {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;  // ABI 4, 6.7
  std::uint64_t scoped = 0;              // ABI 6, 6.12
};
struct [[gnu::packed]] landlock_path_beneath_attr {
  std::uint64_t allowed_access = 0;
  std::int32_t parent_fd = -1;
};
static_assert(sizeof(landlock_path_beneath_attr) == 12);
struct landlock_net_port_attr {
  std::uint64_t allowed_access = 0;
  std::uint64_t port = 0;
};
enum class LandlockRule : std::uint32_t { path_beneath = 1, net_port = 2 };
/// landlock_create_ruleset(nullptr, 0, this): the highest ABI the kernel has.
inline constexpr std::uint32_t kLandlockCreateRulesetVersion = 1;

/// Flags of memfd_create(2).
enum class MemfdFlags : std::uint32_t {
  none = 0,
  cloexec = 1,
  allow_sealing = 2,
  noexec_seal = 8,  // 6.3
  exec = 16,        // 6.3
};
template <>
inline constexpr bool is_flag_set<MemfdFlags> = true;

enum class Prot : std::uint32_t { none = 0, read = 1, write = 2, exec = 4 };
template <>
inline constexpr bool is_flag_set<Prot> = true;
enum class MapFlags : std::uint32_t {
  none = 0,
  shared = 1,
  private_ = 2,
  fixed = 0x10,
  anonymous = 0x20,
  growsdown = 0x100,
  noreserve = 0x4000,
  populate = 0x8000,
  stack = 0x20000,
};
template <>
inline constexpr bool is_flag_set<MapFlags> = true;

/// Clocks of clock_gettime(2).
enum class Clock : int { realtime = 0, monotonic = 1, boottime = 7 };

}  // namespace isle::sys
