// Pids of one pid namespace in another by what /proc says, for kernels before 6.11.
#pragma once

#include "isle/namespace.h"

namespace isle::ns {

Result<pid_t> pid_in_by_proc(const Namespace& pid_ns, pid_t pid);
Result<pid_t> pid_from_by_proc(const Namespace& pid_ns, pid_t pid_inside);

}  // namespace isle::ns
