// isle-exec on behalf of a program: from a sealed memfd, by vfork, so that its start costs the same
// whatever the program's size and threads are.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "exec/executor.h"
#include "isle/error.h"
#include "isle/fd.h"
#include "isle/run.h"

namespace isle {

/// Answers a `call` step: 0, or an errno that ends the launch.
using OnCall = std::function<int(CallPoint point, pid_t host_pid, BorrowedFd listener)>;

/// Has isle-exec carry out the plan in `arena`, a memfd. `keep` are descriptors of the caller that
/// the plan uses by number, `stdio` those that become its 0 to 2. `meanwhile`, where it is one, is
/// called every millisecond until there is an answer. Outcome's descriptors are owned by the caller
/// afterwards, its processes are the caller's children. Errors: what kept isle-exec itself from
/// starting or answering.
[[nodiscard]] Result<exec::Outcome> run_by_helper(BorrowedFd arena, BorrowedFd guard_read,
                                                  std::span<const int> keep,
                                                  const std::array<int, 3>& stdio,
                                                  uint64_t signal_mask,
                                                  const std::function<void()>& meanwhile,
                                                  const OnCall& on_call);

}  // namespace isle
