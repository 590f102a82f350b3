// Everything that is told about the options, made from their tables: help, the man page's list,
// completions for bash, zsh and fish.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"

namespace isle::cli {

/// `isle --help`.
std::string overview();
/// `isle COMMAND --help`: usage and the options by group, in 80 columns where words allow it.
std::string help(const Command& command);
/// The lines of the OPTIONS section of isle-COMMAND(1), in mdoc(7).
std::string man_options(const Command& command);
/// A completion script for all commands: "bash", "zsh", "fish"; empty for another shell.
std::string completion(std::string_view shell, std::span<const Command> all);

/// `text` inside single quotes: of zsh, and of _arguments' own syntax; of fish.
std::string zsh_text(std::string_view text);
std::string fish_text(std::string_view text);

/// The words an Option::completes stands for; nothing for "@file" and "@directory".
std::vector<std::string> completion_words(const Option& option);

}  // namespace isle::cli
