// What `isle run` must know of whoever calls it, gathered in one place so that the translation of
// a command line to a Spec is a function of its arguments and tests can make a caller up.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/spec.h"

namespace isle::cli {

/// A user of some /etc/passwd, with the groups of the /etc/group beside it.
struct UserEntry {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;
};

struct Caller {
  pid_t pid = 0;
  uid_t uid = 0;              ///< Effective.
  gid_t gid = 0;              ///< Effective.
  uint64_t capabilities = 0;  ///< Effective set, bit n is capability n.
  std::vector<std::string> environment;
  std::string cwd = "/";
  bool input_is_terminal = false;
  bool output_is_terminal = false;
  std::optional<ConsoleSize> window;

  /// Looked up only where a name was given: `name` in the /etc/passwd of the tree at `root`.
  Result<UserEntry> (*find_user)(const std::string& root, std::string_view name) = nullptr;
  /// The login shell of `uid` in /etc/passwd; empty where there is none.
  std::string (*find_shell)(uid_t uid) = nullptr;

  [[nodiscard]] bool has_capability(int capability) const {
    return (capabilities >> capability & 1) != 0;
  }
  /// The value of an environment variable; nothing where it is not set.
  [[nodiscard]] std::optional<std::string_view> variable(std::string_view name) const;
};

/// This process.
Caller this_caller();

}  // namespace isle::cli
