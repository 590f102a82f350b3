#include "cli/relay.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "cli/output.h"

namespace isle::cli {
namespace {

constexpr size_t kChunk = 4096;
// Input that is not yet taken; beyond it the caller's own terminal holds it.
constexpr size_t kMostInput = 64 * kChunk;
// How long a terminal that others hold open is waited for after the end.
constexpr int kDrainMs = 50;

}  // namespace

Relay::Relay(Process& process, Delivery& delivery)
    : process_(process),
      delivery_(delivery),
      console_(process.console().get()),
      terminal_(STDIN_FILENO) {
  const int flags = ::fcntl(console_, F_GETFL);
  ::fcntl(console_, F_SETFL, flags | O_NONBLOCK);
  take_terminal();
}

void Relay::take_terminal() {
  terminal_.make_raw();
  resize();
}

void Relay::resize() const {
  copy_window_size(::isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : STDIN_FILENO, console_);
}

void Relay::prepare(std::span<pollfd, kPolled> polled) const {
  const bool reads = output_.empty() && !hung_up_;
  const auto console_events =
      static_cast<short>((reads ? POLLIN : 0) | (input_.empty() ? 0 : POLLOUT));
  const bool input = !input_ended_ && input_.size() < kMostInput;
  polled[0] = {.fd = console_events != 0 && !hung_up_ ? console_ : -1,
               .events = console_events,
               .revents = 0};
  polled[1] = {.fd = input ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  polled[2] = {.fd = output_.empty() ? -1 : STDOUT_FILENO, .events = POLLOUT, .revents = 0};
}

void Relay::handle(std::span<const pollfd, kPolled> polled) {
  hung_up_ = false;
  if (polled[1].revents != 0) read_input();
  if ((polled[0].revents & POLLOUT) != 0) write_input();
  if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && output_.empty()) read_output();
  if (polled[2].revents != 0) write_output();
}

void Relay::read_input() {
  std::array<char, kChunk> buffer{};
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count > 0) {
    input_.append(buffer.data(), static_cast<size_t>(count));
  } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    end_of_input();
  }
}

// The kernel turns keys into signals for the terminal's foreground group, but spares the first
// process of a pid namespace (pid_namespaces(7)); so that Ctrl-C ends a lone command, too, that
// one is signalled from here.
void Relay::after_keys(std::string_view keys, const termios& modes) {
  for (const char key : keys)
    if (const int signal = signal_of(key, modes); signal != 0)
      delivery_.send_unless_handled(signal);
}

/// What this key sends to the first process; 0: nothing.
int Relay::signal_of(char key, const termios& modes) const {
  int signal = 0;
  if (static_cast<cc_t>(key) == modes.c_cc[VINTR]) signal = SIGINT;
  if (static_cast<cc_t>(key) == modes.c_cc[VQUIT]) signal = SIGQUIT;
  const bool sends = signal != 0 && (modes.c_lflag & ISIG) != 0;
  return sends && ::tcgetpgrp(console_) == process_.host_pid() ? signal : 0;
}

// A file or pipe has ended: for whoever reads the terminal that is the end-of-file key.
void Relay::end_of_input() {
  input_ended_ = true;
  termios modes{};
  if (::tcgetattr(console_, &modes) == 0 && (modes.c_lflag & ICANON) != 0) {
    input_ += static_cast<char>(modes.c_cc[VEOF]);
  }
}

void Relay::write_input() {
  termios modes{};
  (void)::tcgetattr(console_, &modes);
  if (std::ranges::any_of(input_, [&](char key) { return signal_of(key, modes) != 0; }))
    delivery_.await_rest();
  const ssize_t count = ::write(console_, input_.data(), input_.size());
  if (count > 0) {
    const auto written = static_cast<size_t>(count);
    after_keys(std::string_view(input_).substr(0, written), modes);
    input_.erase(0, written);
  } else if (count < 0 && errno != EINTR && errno != EAGAIN) {
    input_.clear();
  }
}

bool Relay::read_output() {
  std::array<char, kChunk> buffer{};
  const ssize_t count = ::read(console_, buffer.data(), buffer.size());
  if (count > 0) {
    if (!output_closed_) output_.assign(buffer.data(), static_cast<size_t>(count));
    return true;
  }
  // EIO: all have closed the terminal; somebody may open /dev/tty again.
  hung_up_ = count == 0 || errno == EIO;
  return false;
}

// No more than a pipe takes at once, so that a slow reader does not hold up signals.
void Relay::write_output() {
  const ssize_t count = ::write(STDOUT_FILENO, output_.data(), output_.size());
  if (count >= 0) {
    output_.erase(0, static_cast<size_t>(count));
  } else if (errno != EINTR && errno != EAGAIN) {
    // Nobody reads any more: that is what a terminal that hangs up is.
    output_closed_ = true;
    output_.clear();
    delivery_.send(SIGHUP);
  }
}

void Relay::drain() {
  while (true) {
    if (!output_.empty()) {
      if (!write_all(STDOUT_FILENO, output_)) return;
      output_.clear();
    }
    if (read_output()) continue;
    if (hung_up_) return;
    pollfd polled{.fd = console_, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, kDrainMs) <= 0) return;
  }
}

}  // namespace isle::cli
