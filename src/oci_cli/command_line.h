// The command line of isle-oci: Go's flags as engines write them, one dash or two, before the verb
// and after it. What belongs in src/oci_cli: the verbs, a file a group; printing and exiting.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"

namespace isle::oci_cli {

struct CommandLine {
  std::string verb;                   ///< Empty: none was given.
  std::vector<std::string> operands;  ///< What is no flag: ID, signal, command.
  std::multimap<std::string, std::string, std::less<>> flags;  ///< By long name; "" for a bool.

  [[nodiscard]] bool has(std::string_view flag) const;
  [[nodiscard]] std::string get(std::string_view flag, const std::string& fallback = {}) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view flag) const;
};

/// Errors: "flag provided but not defined: -x", "flag needs an argument: --x", which engines match.
Result<CommandLine> parse_command_line(std::span<char* const> argv);

}  // namespace isle::oci_cli
