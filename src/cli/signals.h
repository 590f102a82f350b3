// Signals as events: blocked, and read from a descriptor in the session's one loop.
#pragma once

#include <csignal>
#include <optional>

#include "isle/fd.h"

namespace isle::cli {

/// While it lives, the signals that isle hands on are blocked and readable. Those the caller had
/// set to be ignored (nohup) stay ignored; those of faults, SIGKILL, SIGSTOP, SIGCHLD, SIGTTIN and
/// SIGTTOU do what they always do. SIGPIPE becomes EPIPE.
class SignalEvents {
 public:
  SignalEvents();
  SignalEvents(const SignalEvents&) = delete;
  SignalEvents& operator=(const SignalEvents&) = delete;
  ~SignalEvents();

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The next one that came; nothing where there is none.
  [[nodiscard]] std::optional<int> next() const;

 private:
  Fd fd_;
  sigset_t before_{};
};

}  // namespace isle::cli
