// Signals as events: blocked, and read from a descriptor in the session's one loop.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>

#include "isle/fd.h"

namespace isle::cli {

/// While it lives, the signals that isle hands on are blocked and readable. Those the caller had
/// set to be ignored (nohup) stay ignored; those of faults, SIGKILL, SIGSTOP, SIGCHLD, SIGTTIN and
/// SIGTTOU do what they always do. SIGPIPE becomes EPIPE.
///
/// It is made before the sandbox is launched, so that no signal is lost between the command's
/// start and the loop. Should launching take long, a signal that asks isle to end does so within a
/// second; what was made for the sandbox goes with it. One at a time: signals are the process's.
class SignalEvents {
 public:
  SignalEvents();
  SignalEvents(const SignalEvents&) = delete;
  SignalEvents& operator=(const SignalEvents&) = delete;
  ~SignalEvents();

  /// The sandbox runs: from now on signals are for next() only.
  void launched();
  /// The mask from before, which is the command's; bit n-1 is signal n.
  [[nodiscard]] uint64_t mask_before() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The next one that came; nothing where there is none.
  [[nodiscard]] std::optional<int> next() const;

 private:
  Fd fd_;
  sigset_t before_{};
  struct sigaction alarm_before_{};
  bool launching_ = false;
};

}  // namespace isle::cli
