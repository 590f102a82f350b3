// Bytes between the caller's standard input and output and the sandbox's terminal.
#pragma once

#include <poll.h>
#include <termios.h>

#include <span>
#include <string>

#include "cli/delivery.h"
#include "cli/terminal.h"
#include "isle/run.h"

namespace isle::cli {

class Relay {
 public:
  /// `process` must outlive this and have a console. The caller's terminal is raw from now on.
  Relay(Process& process, Delivery& delivery);

  static constexpr size_t kPolled = 3;
  /// What to wait for now; and what to do with what came.
  void prepare(std::span<pollfd, kPolled> polled) const;
  void handle(std::span<const pollfd, kPolled> polled);
  /// At most so long may be waited; -1: any time.
  [[nodiscard]] int longest_wait_ms() const { return hung_up_ ? 100 : -1; }

  /// After the end of the process: what it had still written.
  void drain();

  /// Before and after isle itself is stopped.
  void give_terminal_back() { terminal_.restore(); }
  void take_terminal();
  /// The caller's window changed.
  void resize() const;

 private:
  void read_input();
  [[nodiscard]] int signal_of(char key, const termios& modes) const;
  void after_keys(std::string_view keys, const termios& modes);
  void end_of_input();
  void write_input();
  bool read_output();
  void write_output();

  Process& process_;
  Delivery& delivery_;
  int console_;
  RawTerminal terminal_;
  std::string input_;   ///< Read, not yet written to the console.
  std::string output_;  ///< Read from the console, not yet written.
  bool input_ended_ = false;
  bool output_closed_ = false;
  bool hung_up_ = false;  ///< Nobody has the terminal open at the moment.
};

}  // namespace isle::cli
