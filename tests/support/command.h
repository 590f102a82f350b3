// Running programs from a test: to the end (run_command), or with a conversation (Command).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "identity.h"
#include "isle/fd.h"

namespace isle::test {

using std::chrono::milliseconds;

/// `time` by ISLE_TEST_TIME_SCALE.
milliseconds scaled(milliseconds time);

struct CommandOptions {
  /// Standard input: this text, then end of file. (On a terminal the text only.)
  std::string input = {};
  /// The whole environment, "NAME=value" each; nullopt: ours.
  std::optional<std::vector<std::string>> environment = std::nullopt;
  /// Added to the environment, or in place of what it has.
  std::vector<std::pair<std::string, std::string>> set_env = {};
  /// Left out of the environment.
  std::vector<std::string> unset_env = {};
  std::string working_dir = {};
  /// Run as this user: unprivileged(), unprivileged_with_subids().
  std::optional<Identity> identity = std::nullopt;
  /// Scaled; then the whole tree is killed and CommandResult::timed_out is set.
  milliseconds timeout{60'000};
  /// {ours, the number it gets in the command}. All others but 0, 1, 2 are closed in the command.
  std::vector<std::pair<int, int>> descriptors = {};
  /// Standard input, output and error are a new terminal, the command's controlling one (24 by 80);
  /// what it prints is `out`.
  bool pty = false;
  /// Keep standard input open until close_input() (Command only).
  bool keep_input_open = false;
};

struct CommandResult {
  int exit_code = -1;  // -1: killed by `signal`
  int signal = 0;
  bool timed_out = false;
  std::string out;
  std::string err;
  struct rusage usage{};
  std::string command;  // as one would type it, for messages

  [[nodiscard]] bool ok() const { return exit_code == 0 && !timed_out; }
  /// What a shell's $? says: the exit code, or 128 + signal.
  [[nodiscard]] int shell_status() const { return signal != 0 ? 128 + signal : exit_code; }
};
/// The command, how it ended, and both outputs: EXPECT_TRUE(result.ok()) << result;
std::ostream& operator<<(std::ostream& stream, const CommandResult& result);

/// A command that runs beside the test, in a session of its own. The destructor kills and reaps its
/// tree.
class Command {
 public:
  /// Starts argv[0] (looked up in PATH). Throws std::runtime_error naming the step that failed.
  explicit Command(std::vector<std::string> argv, CommandOptions options = {});
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Writes to its standard input or terminal. False if it is closed there.
  bool write(std::string_view text);
  void close_input();
  /// Reads its output (out and, on a terminal, all) until `text` appears after what the last
  /// expect() found. False: it ended, or ran into `timeout` (scaled), without; see output().
  bool expect(std::string_view text, milliseconds timeout = milliseconds{10'000});
  /// The same on standard error.
  bool expect_error(std::string_view text, milliseconds timeout = milliseconds{10'000});
  /// Standard output so far; and standard error.
  [[nodiscard]] const std::string& output() const { return out_.text; }
  [[nodiscard]] const std::string& error_output() const { return err_.text; }
  /// Sends a signal to the command alone.
  void send_signal(int signal) const;
  /// The terminal's size; its foreground processes get SIGWINCH. Throws without a pty.
  void resize(unsigned rows, unsigned columns) const;
  /// Ends input (unless a terminal), reads the rest of the output and waits for the end.
  CommandResult wait();

 private:
  struct Stream {
    Fd fd = {};
    std::string text = {};
    std::size_t seen = 0;  // expect() searches behind this
  };
  void start(const std::vector<std::string>& argv);
  bool pump(int timeout_ms);
  bool expect_in(Stream& stream, std::string_view text, milliseconds timeout);
  void feed_input();
  void reap(bool kill_first);

  CommandOptions options_;
  CommandResult result_;
  pid_t pid_ = -1;
  Fd pidfd_;
  Fd input_;
  std::string pending_;  // input not written yet
  Stream out_;
  Stream err_;
  bool exited_ = false;
};

/// Runs a command to its end. Never throws for how it ends; throws if it could not be started.
CommandResult run_command(std::vector<std::string> argv, CommandOptions options = {});

}  // namespace isle::test
