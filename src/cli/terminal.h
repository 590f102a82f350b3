// The caller's terminal: raw while a sandbox has the keyboard, and as it was before afterwards.
#pragma once

#include <termios.h>

#include <optional>

namespace isle::cli {

/// Whoever makes it has the terminal `fd` to give back: the destructor does. Nothing happens where
/// `fd` is no terminal.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() { restore(); }

  /// Every key goes through as a byte; nothing is echoed. In the background this waits (SIGTTOU)
  /// until the caller's shell puts isle into the foreground.
  void make_raw();
  void restore();

 private:
  int fd_;
  std::optional<termios> before_;
  bool raw_ = false;
};

/// Gives `to` the window size of `from`; whoever runs in `to` gets SIGWINCH. Nothing happens where
/// `from` is no terminal.
void copy_window_size(int from, int to);

}  // namespace isle::cli
