// The one table of operations: what each is called and what its arguments are. Printing, verifying
// and documentation read it; the executor has one case a row.
#pragma once

#include <span>
#include <string_view>

#include "plan/layout.h"

namespace isle::plan {

struct OpInfo {
  Op op;
  std::string_view name;
  Kind args[kArgs];
  std::string_view what;  ///< One line for docs/plan-operations and --explain=json.
};

/// The row of `op`; for what is no operation, one that says so and has no arguments.
const OpInfo& info(Op op);

/// Whether an argument of this kind is a register that is read.
constexpr bool is_read(Kind kind) {
  return kind == Kind::in || kind == Kind::in_or_none || kind == Kind::below;
}

/// All rows, in the order of Op.
std::span<const OpInfo> all_ops();

std::string_view actor_name(Actor actor);
std::string_view point_name(Point point);

}  // namespace isle::plan
