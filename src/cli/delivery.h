// Signals for the sandbox's first process. As pid 1 it is spared by the kernel from those it has no
// handler for, and Process::signal() makes up for that; but not while it blocks them: a shell does
// for a moment around each fork, and what it then has no handler for is lost. Who waits for a
// blocked signal (sigwait(3), signalfd(2)) takes it, and only then is it neither pending nor lost.
#pragma once

#include <cstdint>

#include "isle/run.h"

namespace isle::cli {

class Delivery {
 public:
  /// `process` is to outlive this.
  explicit Delivery(Process& process) : process_(process) {}

  void send(int signal);
  /// Waits a moment where the process is busy: a shell that is about to become its command has a handler still, with
  /// which the signal is lost.
  void await_rest() const;
  /// send() where the process has no handler: the kernel sends this one, too, as for a key of a terminal.
  void send_unless_handled(int signal);
  /// At most so long may be waited until check(); -1: any time.
  [[nodiscard]] int longest_wait_ms() const { return undecided_ != 0 ? 20 : -1; }
  /// Sees what became of signals that were blocked.
  void check();

 private:
  Process& process_;
  uint64_t undecided_ = 0;  ///< Bit n-1: signal n.
};

}  // namespace isle::cli
