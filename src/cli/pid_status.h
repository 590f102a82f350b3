// What /proc tells about the sandbox's first process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace isle::cli {

/// What a process does, with signals; bit n-1 is signal n.
struct SignalState {
  uint64_t handled = 0;  ///< It has a handler, or ignores them.
  uint64_t blocked = 0;
  uint64_t pending = 0;  ///< Sent to the process and not yet taken.
  bool runs = false;     ///< On a CPU or waiting for one, or where nothing interrupts it.
};

/// From the text of /proc/PID/status; what is not there is no signal.
SignalState parse_signal_state(std::string_view status);
/// Of `host_pid`; nothing where it cannot be seen.
std::optional<SignalState> signal_state(pid_t host_pid);

}  // namespace isle::cli
