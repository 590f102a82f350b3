// `isle`: finds the subcommand and hands over.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <vector>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/faces.h"
#include "cli/output.h"
#include "cli/values.h"
#include "isle/version.h"

namespace isle::cli {
namespace {

int unknown_command(std::string_view word) {
  std::vector<std::string_view> names{"help"};
  for (const Command& command : commands()) names.push_back(command.name);
  std::string hint = did_you_mean(word, names);
  if (hint.empty()) hint = "isle --help lists the commands";
  const bool option = word.starts_with('-');
  complain({.what = fmt::format("unknown {} {}", option ? "option" : "command", quoted(word)),
            .asked_by = "argv[1]",
            .hint = std::move(hint)});
  return kIsleFailed;
}

int help_on(std::span<char* const> argv) {
  if (argv.size() < 3) return print(overview());
  const Command* command = find_command(argv[2]);
  return command == nullptr ? unknown_command(argv[2]) : print(help(*command));
}

// For the build: what completions/ and the man pages are made of.
int print_generated(std::span<char* const> argv) {
  if (argv.size() == 3) {
    const std::string_view what = argv[1];
    const std::string script = completion(argv[2], commands());
    if (what == "--print-completion" && !script.empty()) return print(script);
    const Command* command = find_command(argv[2]);
    if (what == "--print-man-options" && command != nullptr) return print(man_options(*command));
  }
  complain({.what = "--print-completion takes bash, zsh or fish; --print-man-options a command"});
  return kIsleFailed;
}

// A caller may start isle with standard descriptors closed; whatever isle opened first would then
// take their numbers, and be the command's standard input.
void keep_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR | O_NOCTTY);
  }
}

int dispatch(std::span<char* const> argv) {
  keep_standard_descriptors();
  if (!argv.empty()) {
    if (FaceMain* const face = face_called(argv.front())) return face(argv);
  }
  if (argv.size() < 2) {
    print_error(overview());
    return kIsleFailed;
  }
  const std::string_view word = argv[1];
  if (word == "help" || word == "--help" || word == "-h") return help_on(argv);
  if (word == "--version") return print(fmt::format("isle {} ({})\n", kVersion, kCommit));
  if (word.starts_with("--print-")) return print_generated(argv);
  const Command* command = find_command(word);
  if (command == nullptr) return unknown_command(word);
  return command->main({.argv = argv, .first = 2});
}

}  // namespace
}  // namespace isle::cli

int main(int argc, char** argv) {
  // A short life: the heap grows in one go and is not handed back piece by piece before the end.
  // NOLINTBEGIN(concurrency-mt-unsafe): there is no other thread yet
  ::mallopt(M_TOP_PAD, 256 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
  // NOLINTEND(concurrency-mt-unsafe)
  return isle::cli::dispatch({argv, static_cast<size_t>(argc)});
}
