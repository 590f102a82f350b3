// The subcommands of `isle`: a row each. To add one: its row in commands.cc, its options and its
// main function in a file of its own.
#pragma once

#include <span>
#include <string_view>

#include "cli/options.h"

namespace isle::cli {

/// A command line as main() got it; words before `first` are `isle` and the subcommand.
struct Invocation {
  std::span<char* const> argv;
  int first = 2;
};

struct Command {
  std::string_view name;
  std::string_view operands;  ///< "[--] [COMMAND [ARG...]]"
  std::string_view summary;   ///< One line, no full stop.
  std::span<const Option> (*options)() = nullptr;
  /// Does the work; the exit status.
  int (*main)(const Invocation& invocation) = nullptr;
  /// The operands begin with a program's name: shells offer those, then files.
  bool runs_program = false;
};

std::span<const Command> commands();
/// Null where there is none of that name.
const Command* find_command(std::string_view name);

int run_main(const Invocation& invocation);
int unshare_main(const Invocation& invocation);
std::span<const Option> unshare_options();
int enter_main(const Invocation& invocation);
std::span<const Option> enter_options();
int doctor_main(const Invocation& invocation);
std::span<const Option> doctor_options();

}  // namespace isle::cli
