// A value with its D-Bus type, as properties of systemd's units have it, and its two forms: the text
// of GVariant, which annotations are written in, and the bytes of a message.
//
// What belongs in src/systemd: asking systemd for a unit by D-Bus, and no more of D-Bus than that
// takes. What a container's unit is to be like is for src/oci to say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"

namespace isle::systemd {

struct Value {
  std::string type;          ///< One complete type: "s", "b", "t", "ay", "a(ss)" ...
  uint64_t number = 0;       ///< Of a boolean, an integer (sign-extended), a double (its bits).
  std::string text;          ///< Of "s", "o", "g".
  std::vector<Value> items;  ///< Of an array or a struct; a variant has one.

  bool operator==(const Value&) const = default;
};

struct Property {
  std::string name;
  Value value;
};

[[nodiscard]] Value string(std::string text);
[[nodiscard]] Value boolean(bool value);
[[nodiscard]] Value uint32(uint32_t value);
[[nodiscard]] Value uint64(uint64_t value);
[[nodiscard]] Value bytes(const std::vector<uint8_t>& values);
/// An array of what has the type `element`.
[[nodiscard]] Value array(std::string_view element, std::vector<Value> items);
[[nodiscard]] Value tuple(std::vector<Value> items);

/// "uint64 5", "'text'", "[('a', 'rw')]": with its type where that is no string, boolean or int32.
[[nodiscard]] std::string to_text(const Value& value);

/// The same text read: numbers are int32 or, with a point, double, where no type stands before them
/// ("uint64 5"); strings, booleans, "@as []", b'bytes', arrays of one type and tuples.
/// Errors: where it stops being that.
[[nodiscard]] Result<Value> parse_value(std::string_view text);

}  // namespace isle::systemd
