// Reads a plan's bytes without trust: an offset that leads out of them gives an empty answer.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/plan.h"
#include "plan/layout.h"

namespace isle::plan {

class View {
 public:
  explicit View(const Plan& plan);

  /// Null where the bytes are no plan at all.
  [[nodiscard]] const Header* header() const { return header_; }
  [[nodiscard]] std::span<const Step> steps() const { return steps_; }
  [[nodiscard]] std::string_view text(uint64_t argument) const;
  [[nodiscard]] std::vector<std::string_view> list(uint64_t argument) const;
  [[nodiscard]] std::span<const std::byte> blob(uint64_t argument) const;
  [[nodiscard]] std::string_view origin(uint16_t index) const;

  template <class T>
  [[nodiscard]] std::vector<T> blob_of(uint64_t argument) const {
    const auto bytes = blob(argument);
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }

  /// Whether `argument` is the offset of a text that ends within the text block.
  [[nodiscard]] bool holds_text(uint64_t argument) const;
  [[nodiscard]] bool holds_list(uint64_t argument) const;
  [[nodiscard]] bool holds_blob(uint64_t argument) const;

 private:
  const Header* header_ = nullptr;
  std::span<const Step> steps_;
  std::string_view texts_;
};

/// An argument as it is printed; empty for what is not shown.
std::string argument_text(const View& view, Kind kind, uint64_t value);

}  // namespace isle::plan
