// What runtime and init say to each other on their socket pair (SOCK_SEQPACKET: a message is whole
// or not there, and the end of the other side is seen). A descriptor may go with a message.
#pragma once

#include <cstdint>

#include "exec/executor.h"

namespace isle::exec {

struct Message {
  enum class Kind : std::uint8_t {
    reached,    ///< A rendezvous: `point`.
    failed,     ///< A step failed: `step`, `error`, `detail`, `log`.
    executing,  ///< (to who started it) All is set up; execve comes next.
    created,    ///< All is set up; init waits to be started.
    fd,         ///< Carries a descriptor.
    call,       ///< (to the caller) `point` is a CallPoint, `detail` the first process's pid.
    answer,     ///< (by the caller) `error` is 0, or the launch ends.
  } kind{};
  plan::Point point{};
  std::uint16_t step = 0;
  std::int32_t error = 0;
  std::uint32_t detail = 0;
  std::uint32_t log_size = 0;
  char log[kMostLog] = {};
};

/// 0 or -errno; `fd` negative for none.
int send(int socket, const Message& message, int fd = -1) noexcept;

/// 1 and a message, 0 at the end, -errno. `*fd` gets what came with it, -1 for nothing.
int receive(int socket, Message* message, int* fd, bool wait = true) noexcept;

}  // namespace isle::exec
