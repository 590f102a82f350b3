#include "systemd/value.h"

#include <fmt/format.h>

#include <bit>

namespace isle::systemd {

Value string(std::string text) { return {.type = "s", .text = std::move(text)}; }
Value boolean(bool value) { return {.type = "b", .number = value ? 1U : 0U}; }
Value uint32(uint32_t value) { return {.type = "u", .number = value}; }
Value uint64(uint64_t value) { return {.type = "t", .number = value}; }

Value bytes(const std::vector<uint8_t>& values) {
  Value result{.type = "ay"};
  for (const uint8_t value : values) result.items.push_back({.type = "y", .number = value});
  return result;
}

Value array(std::string_view element, std::vector<Value> items) {
  return {.type = "a" + std::string(element), .items = std::move(items)};
}

Value tuple(std::vector<Value> items) {
  std::string type = "(";
  for (const Value& item : items) type += item.type;
  return {.type = type + ")", .items = std::move(items)};
}

namespace {

std::string quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string list_of(const std::vector<Value>& items) {
  std::string text;
  for (const Value& item : items) text += (text.empty() ? "" : ", ") + to_text(item);
  return text;
}

}  // namespace

std::string to_text(const Value& value) {
  switch (value.type.empty() ? '\0' : value.type.front()) {
    case 's':
      return quoted(value.text);
    case 'o':
      return "objectpath " + quoted(value.text);
    case 'g':
      return "signature " + quoted(value.text);
    case 'b':
      return value.number != 0 ? "true" : "false";
    case 'y':
      return fmt::format("byte 0x{:02x}", value.number);
    case 'n':
      return fmt::format("int16 {}", static_cast<int64_t>(value.number));
    case 'q':
      return fmt::format("uint16 {}", value.number);
    case 'i':
      return fmt::format("{}", static_cast<int64_t>(value.number));
    case 'u':
      return fmt::format("uint32 {}", value.number);
    case 'x':
      return fmt::format("int64 {}", static_cast<int64_t>(value.number));
    case 't':
      return fmt::format("uint64 {}", value.number);
    case 'd':
      return fmt::format("{:#}", std::bit_cast<double>(value.number));
    case 'v':
      return "<" + list_of(value.items) + ">";
    case 'a':
      if (value.items.empty()) return fmt::format("@{} []", value.type);
      return "[" + list_of(value.items) + "]";
    case '(':
      return "(" + list_of(value.items) + (value.items.size() == 1 ? ",)" : ")");
    default:
      return "?";
  }
}

}  // namespace isle::systemd
