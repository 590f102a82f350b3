// Wrappers of the system calls that make, join, signal, wait for and replace processes.
// Result or -errno; see raw_call.h. "4.9" in a comment is the first kernel with it; none is given
// where that is older than 4.0.
#pragma once

#include "sys/abi_file.h"
#include "sys/abi_numbers.h"
#include "sys/abi_process.h"
#include "sys/raw_call.h"

namespace isle::sys {

/// clone3(2), 5.3: a child; 0 in the child. With CloneFlags::vm the child runs on args' stack and
/// cannot return from the caller's frame: such callers need assembly of their own.
[[gnu::always_inline]] inline int clone3(clone_args* args,
                                         std::size_t size_bytes = sizeof(clone_args)) noexcept {
  return raw_int(__NR_clone3, args, size_bytes);
}
/// clone(2) with CLONE_PIDFD, 5.2: a child; 0 in the child. Filters that know no clone3 let it pass.
inline int clone_with_pidfd(int exit_signal, int* pidfd) noexcept {
  return raw_int(__NR_clone, bits(CloneFlags::pidfd) | static_cast<unsigned>(exit_signal), 0, pidfd,
                 0, 0);
}
/// clone3(2) with CloneFlags::vm: the child runs `entry(argument)` on the stack that ends at
/// `stack_top` (16-byte aligned; args' own stack fields stay 0) and must not return from it.
inline int clone3_on_stack(clone_args* args, void* stack_top, void (*entry)(void*),
                           void* argument) noexcept {
  args->stack = reinterpret_cast<std::uint64_t>(stack_top) - 16;  // the kernel adds the size
  args->stack_size = 16;
#if defined(__x86_64__)
  long result = __NR_clone3;
  register void (*r8)(void*) asm("r8") = entry;
  register void* r9 asm("r9") = argument;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(args), "S"(sizeof *args), "r"(r8), "r"(r9)
      : "rcx", "r11", "memory");
  return static_cast<int>(result);
#elif defined(__aarch64__)
  register long x8 asm("x8") = __NR_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(args);
  register long x1 asm("x1") = sizeof *args;
  register void (*x9)(void*) asm("x9") = entry;
  register void* x10 asm("x10") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x30, #0\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
      : "memory", "cc");
  return static_cast<int>(x0);
#endif
}
/// unshare(2): moves the caller into new namespaces, or stops sharing.
inline int unshare(CloneFlags flags) noexcept { return raw_int(__NR_unshare, flags); }
/// setns(2): joins the namespace `fd`, or with a pidfd (5.8) all those `flags` names.
inline int setns(int fd, CloneFlags flags) noexcept { return raw_int(__NR_setns, fd, flags); }

/// execve(2).
inline int execve(const char* path, const char* const* argv, const char* const* envp) noexcept {
  return raw_int(__NR_execve, path, argv, envp);
}
/// execveat(2).
inline int execveat(int dirfd, const char* path, const char* const* argv, const char* const* envp,
                    AtFlags flags) noexcept {
  return raw_int(__NR_execveat, dirfd, path, argv, envp, flags);
}
/// exit_group(2): ends the process, all threads.
[[noreturn]] inline void exit_group(int status) noexcept {
  for (;;) raw(__NR_exit_group, status);
}

/// pidfd_open(2), 5.3.
inline int pidfd_open(int pid, PidfdFlags flags = PidfdFlags::none) noexcept {
  return raw_int(__NR_pidfd_open, pid, flags);
}
/// pidfd_send_signal(2), 5.1; `info` as for rt_sigqueueinfo(2) or null.
inline int pidfd_send_signal(int pidfd, int signal, const siginfo* info = nullptr,
                             std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_pidfd_send_signal, pidfd, signal, info, flags);
}
/// pidfd_getfd(2), 5.6: a copy of the process's descriptor, close-on-exec.
inline int pidfd_getfd(int pidfd, int target_fd, std::uint32_t flags = 0) noexcept {
  return raw_int(__NR_pidfd_getfd, pidfd, target_fd, flags);
}
/// waitid(2); with nohang and nobody to report, 0 and info->pid 0. `usage` may be null.
inline int waitid(WaitId type, int id, siginfo* info, WaitFlags options,
                  rusage* usage = nullptr) noexcept {
  return raw_int(__NR_waitid, type, id, info, options, usage);
}
/// wait4(2): a pid, 0 with nohang and nobody, or -errno.
inline int wait4(int pid, int* status, WaitFlags options, rusage* usage = nullptr) noexcept {
  return raw_int(__NR_wait4, pid, status, options, usage);
}
/// kill(2).
inline int kill(int pid, int signal) noexcept { return raw_int(__NR_kill, pid, signal); }
/// tgkill(2).
inline int tgkill(int tgid, int tid, int signal) noexcept {
  return raw_int(__NR_tgkill, tgid, tid, signal);
}

/// getpid(2), in the caller's pid namespace.
inline int getpid() noexcept { return raw_int(__NR_getpid); }
/// getppid(2); 0 when the parent is in another pid namespace.
inline int getppid() noexcept { return raw_int(__NR_getppid); }
/// gettid(2).
inline int gettid() noexcept { return raw_int(__NR_gettid); }
/// setsid(2).
inline int setsid() noexcept { return raw_int(__NR_setsid); }
/// getsid(2).
inline int getsid(int pid) noexcept { return raw_int(__NR_getsid, pid); }
/// setpgid(2).
inline int setpgid(int pid, int pgid) noexcept { return raw_int(__NR_setpgid, pid, pgid); }
/// getpgid(2).
inline int getpgid(int pid) noexcept { return raw_int(__NR_getpgid, pid); }

/// rt_sigprocmask(2); either set may be null.
inline int rt_sigprocmask(SigMask how, const sigset* set, sigset* old) noexcept {
  return raw_int(__NR_rt_sigprocmask, how, set, old, sizeof(sigset));
}
/// rt_sigaction(2); either action may be null.
inline int rt_sigaction(int signal, const kernel_sigaction* action,
                        kernel_sigaction* old) noexcept {
  return raw_int(__NR_rt_sigaction, signal, action, old, sizeof(sigset));
}
/// rt_sigtimedwait(2): a signal's number, -EAGAIN when the time is over.
inline int rt_sigtimedwait(const sigset* set, siginfo* info, const timespec* timeout) noexcept {
  return raw_int(__NR_rt_sigtimedwait, set, info, timeout, sizeof(sigset));
}
/// signalfd4(2); fd -1 makes a new one.
inline int signalfd4(int fd, const sigset* set, FdFlags flags) noexcept {
  return raw_int(__NR_signalfd4, fd, set, sizeof(sigset), flags);
}
/// timerfd_create(2).
inline int timerfd_create(Clock clock, FdFlags flags) noexcept {
  return raw_int(__NR_timerfd_create, clock, flags);
}
/// timerfd_settime(2); flags 1 is TFD_TIMER_ABSTIME; `old` may be null.
inline int timerfd_settime(int fd, std::uint32_t flags, const itimerspec* value,
                           itimerspec* old) noexcept {
  return raw_int(__NR_timerfd_settime, fd, flags, value, old);
}
/// clock_gettime(2), always the system call, never the vDSO.
inline int clock_gettime(Clock clock, timespec* out) noexcept {
  return raw_int(__NR_clock_gettime, clock, out);
}
/// nanosleep(2); `remaining` may be null.
inline int nanosleep(const timespec* time, timespec* remaining = nullptr) noexcept {
  return raw_int(__NR_nanosleep, time, remaining);
}

/// mmap(2): an address, or -errno in -4095..-1.
inline long mmap(void* address, std::size_t length_bytes, Prot prot, MapFlags flags, int fd,
                 std::int64_t offset_bytes) noexcept {
  return raw(__NR_mmap, address, length_bytes, prot, flags, fd, offset_bytes);
}
/// munmap(2).
inline int munmap(void* address, std::size_t length_bytes) noexcept {
  return raw_int(__NR_munmap, address, length_bytes);
}
/// mprotect(2).
inline int mprotect(void* address, std::size_t length_bytes, Prot prot) noexcept {
  return raw_int(__NR_mprotect, address, length_bytes, prot);
}

}  // namespace isle::sys
