// What isle-oci's command line has: the table of flags, which parsing, --help and completions are made from.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace isle::oci_cli {

struct Flag {
  std::string_view name;
  char letter;             ///< 0: none.
  std::string_view value;  ///< What it takes: "FILE", "DIR", "one|other", ...; empty: nothing.
  std::string_view verbs;  ///< Whose it is, with spaces between; empty: everybody's.
  std::string_view what;   ///< For --help; empty: taken and left alone, as another runtime's.
  [[nodiscard]] bool takes_value() const { return !value.empty(); }
  [[nodiscard]] bool is_of(std::string_view verb) const;
};

std::span<const Flag> all_flags();

/// What --help prints: of the verb, or of all where there is none.
std::string usage(std::string_view verb);

/// A completion script for "bash", "zsh" or "fish"; empty for another shell.
std::string completion(std::string_view shell);

}  // namespace isle::oci_cli
