// Puts a plan's bytes together: steps, registers, the text block. Knows nothing of what a Spec
// means; that is compile's.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/plan.h"
#include "isle/spec.h"
#include "plan/layout.h"

namespace isle::plan {

/// Number of a register; kNone stands for AT_FDCWD or "not given".
using Register = uint64_t;
inline constexpr Register kNone = kNoRegister;

class Builder {
 public:
  Builder();

  /// Offset of `text`.
  uint64_t text(std::string_view text);
  uint64_t list(std::span<const std::string> strings);
  uint64_t blob(const void* data, size_t size_bytes);
  /// The first of `count` pointers for the executor.
  uint64_t scratch(size_t count);

  /// A free register. Registers are few: release() what no later step reads.
  Register take();
  void release(Register number);

  /// The next step. The reference is good until the next call.
  Step& add(Actor actor, Op op, Origin from, std::initializer_list<uint64_t> args = {});

  [[nodiscard]] size_t step_count() const { return steps_.size(); }
  Step& step(size_t index) { return steps_[index]; }
  [[nodiscard]] std::span<const Step> steps() const { return steps_; }

  Header header;  ///< What is not about sizes and offsets is for the caller to set.

  /// The bytes. Whether there were enough registers: see out_of_registers.
  Plan finish(std::span<const std::string> origins);
  [[nodiscard]] bool out_of_registers() const { return out_of_registers_; }

 private:
  std::vector<Step> steps_;
  std::vector<char> text_;
  std::vector<bool> taken_;
  size_t scratch_pointers_ = 0;
  bool out_of_registers_ = false;
};

}  // namespace isle::plan
