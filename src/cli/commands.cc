#include "cli/commands.h"

#include <algorithm>
#include <array>

#include "cli/run_request.h"

namespace isle::cli {
namespace {

constexpr auto kCommands = std::to_array<Command>({
    {.name = "run",
     .operands = "[--] [COMMAND [ARG...]]",
     .summary = "run a command isolated from this machine",
     .options = run_options,
     .main = run_main,
     .runs_program = true},
    {.name = "unshare",
     .operands = "[--] [COMMAND [ARG...]]",
     .summary = "run a command in new namespaces, with nothing else changed",
     .options = unshare_options,
     .main = unshare_main,
     .runs_program = true},
    {.name = "enter",
     .operands = "TARGET [--] [COMMAND [ARG...]]",
     .summary = "run a command in the namespaces of a process or a container",
     .options = enter_options,
     .main = enter_main},
    {.name = "doctor",
     .operands = "",
     .summary = "say what this kernel and this user can do",
     .options = doctor_options,
     .main = doctor_main},
});

}  // namespace

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const auto* found = std::ranges::find(kCommands, name, &Command::name);
  return found == kCommands.end() ? nullptr : found;
}

}  // namespace isle::cli
