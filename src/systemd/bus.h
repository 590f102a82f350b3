// A connection to the message bus, to ask one service and to hear its signals. One thread, one call
// at a time; a closed or silent bus is an error, never a wait without end.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "systemd/message.h"

namespace isle::systemd {

/// Of the machine, or of the user who asks.
enum class BusKind : uint8_t { system, user };

/// Where the bus listens, as D-Bus writes addresses: $DBUS_SYSTEM_BUS_ADDRESS or
/// /run/dbus/system_bus_socket; $DBUS_SESSION_BUS_ADDRESS or $XDG_RUNTIME_DIR/bus. Empty: of the
/// user's neither is set.
[[nodiscard]] std::string address_of(BusKind kind);

class Bus {
 public:
  /// Connects, and says who it is: by its socket's credentials, which hold in a user namespace too.
  /// Errors: no address with a socket, nobody listens there, the bus refuses.
  static Result<Bus> connect(const std::string& address);

  /// An answer's arguments. Errors: that of the service, its name in front ("org...: text").
  Result<std::vector<Value>> call(Message message);
  /// The next signal `member`, also one that came during a call.
  Result<Message> signal(std::string_view member);

 private:
  explicit Bus(Fd socket) : socket_(std::move(socket)) {}
  Status send(std::string_view bytes);
  /// At least `size` bytes into `buffer_`.
  Status fill(size_t size);
  Status log_in();
  Result<Message> receive();

  Fd socket_;
  std::string buffer_;
  std::deque<Message> signals_;
  uint32_t last_serial_ = 0;
};

}  // namespace isle::systemd
