// A running sandbox and its caller: terminal, signals, time limit, until it ends.
#pragma once

#include <cstdint>
#include <functional>

#include "cli/signals.h"
#include "isle/error.h"
#include "isle/fd.h"
#include "isle/run.h"

namespace isle::cli {

struct SessionOptions {
  int64_t timeout_ns = 0;  ///< 0: none.
  int64_t grace_ns = 0;    ///< Between SIGTERM and SIGKILL.
  /// Somebody else's, and what is done each time that it can be read, and at the end.
  BorrowedFd beside;
  std::function<void()> on_beside;
};

struct SessionEnd {
  ExitStatus status;
  bool timed_out = false;
};

/// Stays with `process` until it ends. Errors: those of Process::wait().
Result<SessionEnd> run_session(Process& process, SignalEvents& signals,
                               const SessionOptions& options);

}  // namespace isle::cli
