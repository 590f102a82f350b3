#include "cli/carry_out.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "cli/output.h"
#include "isle/host.h"
#include "isle/plan.h"
#include "isle/run.h"

namespace isle::cli {
namespace {

sigset_t terminating_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

uint64_t mask_of(const sigset_t& set) {
  uint64_t mask = 0;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (sigismember(&set, signal) == 1) mask |= uint64_t{1} << (signal - 1);
  }
  return mask;
}

// Job control: a command that is stopped stops whoever started it, and goes on with it.
void stop_along(Process& process) {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(process.pidfd().get());
  while (true) {
    if (::waitid(P_PIDFD, pidfd, &info, WEXITED | WSTOPPED | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (info.si_code != CLD_STOPPED) return;
    ::waitid(P_PIDFD, pidfd, &info, WSTOPPED);
    ::kill(::getpid(), SIGSTOP);
    (void)process.signal(SIGCONT);
  }
}

void forward_signals(Process& process) {
  const sigset_t set = terminating_signals();
  const Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  std::array<pollfd, 2> polled{pollfd{process.pidfd().get(), POLLIN, 0},
                               pollfd{signals.get(), POLLIN, 0}};
  while (true) {
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == ssize_t{sizeof info}) {
      (void)process.signal(static_cast<int>(info.ssi_signo));
    }
    if (polled[0].revents != 0) return;
  }
}

// Whoever waits for this process is to see what became of the command.
[[noreturn]] void end_by(int signal) {
  ::signal(signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  ::kill(::getpid(), signal);
  ::_exit(128 + signal);
}

int failed(const CarryOut& how, const Plan& plan, const Error& error) {
  complain_as(how.program, error);
  const int status = failure_status(plan, error);
  return status == kIsleFailed ? how.failed_status : status;
}

int wait_for(Process process, const CarryOut& how, const Plan& plan) {
  if (how.forwards_signals) forward_signals(process);
  if (how.stops_along) stop_along(process);
  const auto status = process.wait();
  if (!status) return failed(how, plan, status.error());
  if (status->signal != 0) end_by(status->signal);
  return status->code;
}

int launch_and_wait(const Plan& plan, const Spec& spec, const CarryOut& how) {
  LaunchOptions options;
  const bool helper =
      spec.process.init.value || std::ranges::any_of(spec.namespaces, &NamespaceWish::joins);
  options.carrier = helper ? LaunchOptions::Carrier::helper : LaunchOptions::Carrier::direct;
  sigset_t before;
  const sigset_t blocked = terminating_signals();
  ::pthread_sigmask(SIG_BLOCK, how.ignores_signals ? &blocked : nullptr, &before);
  options.signal_mask = mask_of(before);
  ::signal(SIGCHLD, SIG_DFL);
  auto process = launch(plan, options);
  if (!process) return failed(how, plan, process.error());
  return wait_for(std::move(*process), how, plan);
}

}  // namespace

void complain_as(std::string_view program, const Error& error) {
  print_error(fmt::format("{}: {}\n", program, error.message()));
}

int carry_out(const Spec& spec, const CarryOut& how) {
  const std::vector<Error> complaints = validate(spec);
  for (const Error& complaint : complaints) complain_as(how.program, complaint);
  if (!complaints.empty()) return how.failed_status;
  const auto plan = compile(spec, probe_host(spec));
  if (!plan) {
    complain_as(how.program, plan.error());
    return how.failed_status;
  }
  if (how.explain == Explain::text) return print(to_text(*plan));
  if (how.explain == Explain::json) return print(to_json(*plan) + "\n");
  if (!spec.process.in_place.value) return launch_and_wait(*plan, spec, how);
  return failed(how, *plan, become(*plan));
}

}  // namespace isle::cli
