// What /proc tells about the sandbox's first process.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace isle::cli {

/// Whether `host_pid` has a handler for `signal` or ignores it; false where that cannot be seen.
bool handles_signal(pid_t host_pid, int signal);
/// The same by the text of /proc/PID/status.
bool handles_signal(std::string_view status, int signal);

}  // namespace isle::cli
