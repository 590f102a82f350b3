#include "cli/signals.h"

#include <sys/signalfd.h>
#include <sys/time.h>
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

// A child has no timers of its parent's, so this runs in isle only.
void set_timer(time_t seconds) {
  const itimerval every{.it_interval = {.tv_sec = seconds, .tv_usec = 0},
                        .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  ::setitimer(ITIMER_REAL, &every, nullptr);
}

// Launching takes long: did somebody ask isle to end?
void end_if_asked_to(int /*signal*/) {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    if (sigismember(&pending, signal) != 1) continue;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);  // its default action ends isle here
  }
}

}  // namespace

SignalEvents::SignalEvents() {
  sigset_t events;
  sigemptyset(&events);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (signal >= 32 && signal < SIGRTMIN) continue;  // libc's own
    if (std::ranges::find(kLeftAlone, signal) == kLeftAlone.end()) sigaddset(&events, signal);
  }
  sigset_t blocked = events;
  sigaddset(&blocked, SIGPIPE);
  launching_ = !ignored(SIGALRM);
  if (launching_) sigdelset(&blocked, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  fd_ = Fd(::signalfd(-1, &events, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!launching_) return;
  struct sigaction look{};
  look.sa_handler = end_if_asked_to;
  look.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &look, &alarm_before_);
  set_timer(1);
}

SignalEvents::~SignalEvents() {
  launched();
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void SignalEvents::launched() {
  if (!launching_) return;
  launching_ = false;
  set_timer(0);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  ::sigaction(SIGALRM, &alarm_before_, nullptr);
}

uint64_t SignalEvents::mask_before() const {
  uint64_t mask = 0;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (sigismember(&before_, signal) == 1) mask |= uint64_t{1} << (signal - 1);
  }
  return mask;
}

std::optional<int> SignalEvents::next() const {
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == ssize_t{sizeof info}) {
    // A blocked signal is queued even where it is ignored. To ask now costs a call for a signal
    // that came; before, it would be one for each there is.
    const int signal = static_cast<int>(info.ssi_signo);
    if (!ignored(signal)) return signal;
  }
  return std::nullopt;
}

}  // namespace isle::cli
