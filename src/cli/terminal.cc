#include "cli/terminal.h"

#include <sys/ioctl.h>

#include <cerrno>

namespace isle::cli {
namespace {

void set(int fd, const termios& modes) {
  while (::tcsetattr(fd, TCSADRAIN, &modes) != 0 && errno == EINTR) {
  }
}

}  // namespace

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  termios now{};
  if (::tcgetattr(fd, &now) == 0) before_ = now;
}

void RawTerminal::make_raw() {
  if (!before_) return;
  termios modes = *before_;
  ::cfmakeraw(&modes);
  set(fd_, modes);
  raw_ = true;
}

void RawTerminal::restore() {
  if (!raw_ || !before_) return;
  raw_ = false;
  set(fd_, *before_);
}

void copy_window_size(int from, int to) {
  winsize size{};
  if (::ioctl(from, TIOCGWINSZ, &size) == 0) ::ioctl(to, TIOCSWINSZ, &size);
}

}  // namespace isle::cli
