// The executor: carries a plan out. It runs between clone3 and execve, perhaps in the child of a
// process with many threads, so it allocates nothing, throws nothing, locks nothing and calls no
// libc; a test reads its objects' undefined symbols. Nothing else is in this folder:
//   executor.cc    the actors, the clone, rendezvous, what a failure becomes
//   operations.cc  one function an operation; identity.cc those on namespaces and ids
//   hook.cc        a program run between two steps
//   copy.cc        files and directories copied
//   message.cc     what runtime and init say to each other
#pragma once

#include <cstdint>

#include "plan/layout.h"
#include "sys/abi_process.h"

namespace isle::exec {

/// What the caller lends for the time of a launch.
struct Launch {
  /// At the start of its arena (layout.h), which the children share where times are recorded.
  plan::Header* plan = nullptr;
  /// Ends of the guard's pipe where the plan has one; the write end may be -1 (not in this process).
  int guard_read = -1;
  int guard_write = -1;
  /// Who is asked at `call` steps: a socket (SOCK_SEQPACKET); -1: nobody can be.
  int caller = -1;
  /// The children become the caller's parent's (isle-exec).
  bool clone_parent = false;
  /// For plans that clone with CLONE_VM: end of a stack of kStackBytes, 16-byte aligned.
  void* stack_top = nullptr;
  /// The signal mask the command starts with.
  sys::sigset mask = 0;
};

/// Enough for the deepest operation, which holds some paths (PATH_MAX) and a copy buffer.
inline constexpr unsigned kStackBytes = 96 * 1024;

/// Longest text of the kernel (fscontext log) or a mapping program that is passed on.
inline constexpr int kMostLog = 208;

/// What became of it. Goes from isle-exec to its caller as it is.
struct Outcome {
  std::int32_t step = -1;    ///< The step that failed; -1: the command runs.
  std::int32_t error = 0;    ///< errno, positive; 0 with step >= 0: its process was killed.
  std::uint32_t detail = 0;  ///< Bits below.
  std::int32_t child = 0;    ///< Pid of the first process in the runtime's pid namespace.
  std::int32_t pidfd = -1;
  std::int32_t guard = 0;
  std::int32_t guard_pidfd = -1;
  std::int32_t console = -1;
  std::int32_t listener = -1;
  std::uint32_t log_size = 0;
  char log[kMostLog] = {};
};

/// Outcome::detail of execve: the candidate (1-based) that exists but would not run.
inline constexpr std::uint32_t kDetailCandidateMask = 0xff;
/// Outcome::detail of map_program: the program's wait status in the upper half.
inline constexpr int kDetailStatusShift = 16;

/// Does the steps of the undo actor before step `end`, all of them whatever becomes of one; `started`: the
/// command ran, so that what is undone only after a failure stays. How many failed.
int run_undo(const Launch& launch, bool started, std::uint32_t end) noexcept;

/// Does the runtime's steps, the clone among them; in the children this does not return.
void run_plan(const Launch& launch, Outcome* outcome) noexcept;

}  // namespace isle::exec
