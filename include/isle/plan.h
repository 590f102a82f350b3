// What will be done: one ordered list of steps for all processes involved, as bytes without
// pointers. Made by compile(), checked by verify(), shown by to_text() and to_json(), carried out
// by launch() of run.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/host.h"
#include "isle/spec.h"

namespace isle {

/// An immutable plan. Copies are cheap enough (a few KiB).
class Plan {
 public:
  Plan() = default;
  /// Takes the bytes as they are; verify() tells whether they make sense.
  explicit Plan(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] size_t step_count() const;
  /// `mount_setattr /proc "" AT_EMPTY_PATH RDONLY`: a step without its number and actor.
  [[nodiscard]] std::string step_text(size_t index) const;
  [[nodiscard]] std::string_view step_actor(size_t index) const;
  [[nodiscard]] std::string_view step_op(size_t index) const;
  /// Who asked for it. Like the others, empty for an index past the end.
  [[nodiscard]] std::string_view step_origin(size_t index) const;

 private:
  std::vector<std::byte> bytes_;
};

/// The plan for `spec` on `host`. Pure: equal arguments, equal bytes; no system call.
/// Errors: the first complaint of validate(), or what this host cannot do, with the reason.
[[nodiscard]] Result<Plan> compile(const Spec& spec, const Host& host);

/// Whether every offset, register, actor and rendezvous of `plan` makes sense; what it says of a
/// plan from compile() is always nothing.
[[nodiscard]] Status verify(const Plan& plan);

/// A line a step: number, actor, operation, arguments, who asked.
[[nodiscard]] std::string to_text(const Plan& plan);

/// {"version":1,"steps":[{"index","actor","op","args":[...],"from"}...]}, where it applies with
/// "on_failure_only", "pass_over" and "skip"; keys are stable, `args` are in the operation's order.
[[nodiscard]] std::string to_json(const Plan& plan);

}  // namespace isle
