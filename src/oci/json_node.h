// A value of a JSON document together with its place in it, so that every complaint names the JSON
// pointer, what was found and what was expected. Reading goes on after a complaint with a default:
// all of them are told at once. What belongs in src/oci: the runtime-spec's documents to and from
// isle's data, and a container's state on disk. No namespaces, no processes, no printing.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"

namespace isle::oci {

using Json = nlohmann::json;

/// What is wrong with one document.
struct Complaints {
  std::string document;  ///< "config.json"
  std::vector<Error> errors;
  std::vector<std::string> warnings;
};

/// Integers as the field's documents write them: 4294967296 is no 32-bit id, and 1.5 no integer.
class Node {
 public:
  Node(const Json& value, std::string pointer, Complaints& complaints)
      : value_(&value), pointer_(std::move(pointer)), complaints_(&complaints) {}

  /// "config.json /mounts/3": for Spec::add_origin.
  [[nodiscard]] std::string where() const;
  [[nodiscard]] const Json& json() const { return *value_; }

  /// The member, where it is there and not null.
  [[nodiscard]] std::optional<Node> get(std::string_view key) const;
  /// The same; a complaint where it is missing.
  [[nodiscard]] std::optional<Node> require(std::string_view key) const;
  /// The elements of an array; of anything else none, with a complaint.
  [[nodiscard]] std::vector<Node> elements() const;
  /// The elements of the array `key`; none where it is missing.
  [[nodiscard]] std::vector<Node> elements(std::string_view key) const;
  /// The members of an object.
  [[nodiscard]] std::vector<std::pair<std::string, Node>> members() const;
  /// Whether there is anything in it: not null, {}, [], "".
  [[nodiscard]] bool filled() const;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::vector<std::string> texts() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] int64_t integer(int64_t least, int64_t most) const;
  [[nodiscard]] uint64_t natural() const;
  [[nodiscard]] uint32_t id() const;  ///< 0 to 4294967295.

  [[nodiscard]] std::string text_or(std::string_view key, std::string fallback = {}) const;
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;

  /// "found X, expected `expected`".
  void expected(std::string_view expected) const;
  /// Something understood that cannot be had.
  void refuse(std::string why, std::string hint = {}) const;
  void warn(std::string what) const;

 private:
  const Json* value_;
  std::string pointer_;
  Complaints* complaints_;
};

/// The document's text as JSON. Errors: where it stops being JSON.
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view document);

}  // namespace isle::oci
