// From a Spec or a Plan to a running process, and to its end. Nothing here prints or exits.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/plan.h"
#include "isle/spec.h"

namespace isle {

/// How a process ended.
struct ExitStatus {
  int code = 0;    ///< Exit code; meaningless where `signal` is not 0.
  int signal = 0;  ///< The signal that ended it, 0 for an exit.
  bool core_dumped = false;
  /// 128+signal or the code, as shells tell it.
  [[nodiscard]] int shell_status() const { return signal != 0 ? 128 + signal : code; }
};

/// When a step was done, on CLOCK_MONOTONIC; 0 for one that was not (or not by then).
struct StepTime {
  uint64_t done_ns = 0;
};

/// A failure that a test asks for: `step` reports `error`, or never returns.
struct Fault {
  int step = -1;
  int error = 0;  ///< 0: hang, until SIGCONT.
};

struct LaunchOptions {
  /// Who clones. `direct`: this very process (must have one thread and a small heap: the isle
  /// command). `helper`: isle-exec from a sealed memfd; right for every program, and required for
  /// plans that join namespaces before the clone or keep a pid 1 of isle's own.
  enum class Carrier { helper, direct } carrier = Carrier::helper;
  bool record_times = false;
  /// Called again and again while the launch goes on, by the thread that launches, and once at its
  /// end, with the times of the steps done by then. The carrier is the helper then, times are
  /// recorded.
  std::function<void(const std::vector<StepTime>&)> on_progress = {};
  /// Descriptors of the caller that are the command's 0, 1 and 2. Where it is another than that
  /// number itself it must be above 2, and the carrier is the helper then.
  std::array<int, 3> stdio = {0, 1, 2};
  /// The signal mask the command starts with (bit n-1 is signal n); by default the calling
  /// thread's.
  std::optional<uint64_t> signal_mask = {};
  std::optional<Fault> fault = {};
  /// For plans that call back: the first process's pid, and the listener where there is one. An
  /// error ends the launch, and is what that returns.
  std::function<Status(CallPoint point, pid_t host_pid, BorrowedFd listener)> on_call = {};
};

/// A sandboxed process that was started: its command's execve has succeeded. Move-only. A Process
/// that goes away unwaited is killed and reaped.
class Process {
 public:
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();

  /// Pid of the sandbox's first process in the caller's pid namespace.
  [[nodiscard]] pid_t host_pid() const;
  /// Becomes readable when that process ends. Owned by this object.
  [[nodiscard]] BorrowedFd pidfd() const;
  /// Master of the terminal where ProcessWish::terminal was asked for; owned by this object.
  [[nodiscard]] BorrowedFd console() const;

  /// stat(2)'s st_ino of its namespace of that type when its command started; lsns(8) calls it NS.
  /// 0 where Spec::note_namespaces was not asked for, or the kernel has no such type.
  [[nodiscard]] uint64_t namespace_inode(NamespaceType type) const;

  /// The listener of a filter that asks for one (seccomp_unotify(2)), where the plan does not call
  /// back for it; owned by this object.
  [[nodiscard]] BorrowedFd listener() const;

  /// Sends `signal`. The first process of a pid namespace is spared by the kernel from signals it
  /// has no handler for (pid_namespaces(7)); where such a signal would have ended it, it is ended
  /// with SIGKILL, and wait() tells `signal`. Errors: ESRCH it has ended; EPERM.
  Status signal(int signal);

  /// Waits for the end, undoes what was made on the host, gives the status. Once only.
  /// Errors: ECHILD somebody else reaped it; what could not be undone.
  Result<ExitStatus> wait();

  /// Leaves the process to itself: this object's end no longer kills it. Its pid. What the plan
  /// undoes at the end is undone now, so this is for plans that have nothing to undo then.
  pid_t release() &&;

  /// Times of the steps, where they were recorded.
  [[nodiscard]] std::vector<StepTime> step_times() const;

  struct State;

 private:
  friend Result<Process> launch(const Plan& plan, const LaunchOptions& options);
  explicit Process(State* state) : state_(state) {}
  State* state_ = nullptr;
};

/// Carries `plan` out up to the command's execve. Errors: what failed, by step, with who asked for
/// it and a hint; then nothing is left behind.
[[nodiscard]] Result<Process> launch(const Plan& plan, const LaunchOptions& options = {});

/// Lets the process that waits at `socket_path` for its start (ProcessWish::start_socket) execute
/// its command; `plan` is the one it was launched with. Errors: ENOENT, ECONNREFUSED nobody waits
/// there; what kept the command from being executed, by step.
[[nodiscard]] Status start_waiting(const std::string& socket_path, const Plan& plan);

/// Carries out a plan for ProcessWish::in_place: this process becomes the command, under its own
/// pid. Needs one thread. Returns only with what failed; what was done before that stays done.
[[nodiscard]] Error become(const Plan& plan, const LaunchOptions& options = {});

/// compile() on this machine, launch().
[[nodiscard]] Result<Process> spawn(const Spec& spec, const LaunchOptions& options = {});

/// spawn(), wait().
[[nodiscard]] Result<ExitStatus> run(const Spec& spec, const LaunchOptions& options = {});

/// The exit status for a failure, as shells have it: 127 the command was not found, 126 it could
/// not be executed, 125 anything else.
[[nodiscard]] int failure_status(const Plan& plan, const Error& error);

}  // namespace isle
