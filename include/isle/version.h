#pragma once

// Which build of isle this is.

#include <string_view>

namespace isle {

/// The library's version, "MAJOR.MINOR.PATCH".
extern const std::string_view kVersion;

/// The commit it was built from as git describes it ("-dirty" with local changes), or "unknown".
extern const std::string_view kCommit;

}  // namespace isle
