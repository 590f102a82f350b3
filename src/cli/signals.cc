#include "cli/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace isle::cli {
namespace {

constexpr std::array kLeftAlone = {SIGKILL, SIGSTOP, SIGCHLD, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS,
                                   SIGILL,  SIGFPE,  SIGTRAP, SIGSYS,  SIGABRT, SIGPIPE};

bool ignored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

SignalEvents::SignalEvents() {
  sigset_t events;
  sigemptyset(&events);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (signal >= 32 && signal < SIGRTMIN) continue;  // libc's own
    const bool left_alone = std::ranges::find(kLeftAlone, signal) != kLeftAlone.end();
    if (!left_alone && !ignored(signal)) sigaddset(&events, signal);
  }
  sigset_t blocked = events;
  sigaddset(&blocked, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  fd_ = Fd(::signalfd(-1, &events, SFD_CLOEXEC | SFD_NONBLOCK));
}

SignalEvents::~SignalEvents() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

std::optional<int> SignalEvents::next() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != ssize_t{sizeof info}) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace isle::cli
