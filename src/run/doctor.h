// What this kernel and this user can do: a row a capability. Checks are those that hints use
// (checks.h), and trials.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "isle/spec.h"
#include "run/checks.h"

namespace isle {

struct DoctorRow {
  std::string_view name;   ///< Stable key: "user_namespaces".
  std::string_view title;  ///< For people: "user namespaces".
  checks::Finding finding;
};

/// All rows, the most important first. `sandbox` is run for real in the row "run"; its command must
/// end by itself with 0 and say nothing.
[[nodiscard]] std::vector<DoctorRow> examine(const Spec& sandbox);

/// Whether the row "run" of these says yes.
[[nodiscard]] bool runs(const std::vector<DoctorRow>& rows);

}  // namespace isle
