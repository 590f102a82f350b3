// D-Bus messages as bytes: the Message Protocol of its specification, in the machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "systemd/value.h"

namespace isle::systemd {

enum class MessageType : uint8_t { call = 1, reply = 2, error = 3, signal = 4 };

struct Message {
  MessageType type = MessageType::call;
  uint32_t serial = 0;
  uint32_t reply_to = 0;  ///< Serial of the call that this answers.
  std::string path = {};
  std::string interface = {};
  std::string member = {};
  std::string error_name = {};
  std::string destination = {};
  std::vector<Value> arguments = {};
};

[[nodiscard]] std::string to_bytes(const Message& message);

/// Bytes that a message's first 16 say it has, those included. Errors: no message, longer than
/// anything systemd answers, another byte order.
inline constexpr size_t kFixedHeader = 16;
[[nodiscard]] Result<size_t> size_of_message(std::string_view first);
/// Errors: lengths and types that do not fit together.
[[nodiscard]] Result<Message> parse_message(std::string_view bytes);

}  // namespace isle::systemd
