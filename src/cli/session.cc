#include "cli/session.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <span>

#include "cli/relay.h"

namespace isle::cli {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerMs = 1'000'000;

int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}

// SIGTERM when the time is up, SIGKILL when the grace is, too.
class TimeLimit {
 public:
  TimeLimit(int64_t timeout_ns, int64_t grace_ns) : grace_ns_(grace_ns) {
    if (timeout_ns == 0) return;
    const int64_t now = now_ns();
    // A limit beyond what the clock can say is none.
    if (!__builtin_add_overflow(now, timeout_ns, &next_ns_)) running_ = true;
  }

  [[nodiscard]] bool passed() const { return passed_; }

  /// How long until there is something to do; -1: for ever.
  [[nodiscard]] int64_t wait_ns() const {
    if (!running_) return -1;
    const int64_t left = next_ns_ - now_ns();
    return left > 0 ? left : 0;
  }

  void check(Delivery& delivery) {
    if (!running_ || now_ns() < next_ns_) return;
    if (passed_) {
      delivery.send(SIGKILL);
      running_ = false;
      return;
    }
    passed_ = true;
    delivery.send(SIGTERM);
    delivery.send(SIGCONT);
    running_ = !__builtin_add_overflow(now_ns(), grace_ns_, &next_ns_);
  }

 private:
  int64_t grace_ns_;
  int64_t next_ns_ = 0;
  bool running_ = false;
  bool passed_ = false;
};

class Session {
 public:
  Session(Process& process, SignalEvents& signals, const SessionOptions& options)
      : signals_(signals),
        process_(process),
        delivery_(process),
        limit_(options.timeout_ns, options.grace_ns),
        options_(options) {
    if (process.console()) relay_.emplace(process, delivery_);
  }

  Result<SessionEnd> run();

 private:
  void wait_for_events(std::span<pollfd> polled);
  void handle_signals();
  void stop();

  SignalEvents& signals_;
  Process& process_;
  Delivery delivery_;
  std::optional<Relay> relay_;
  TimeLimit limit_;
  const SessionOptions& options_;
};

Result<SessionEnd> Session::run() {
  // The process's end, signals, what is beside, and what the relay waits for.
  std::array<pollfd, 3 + Relay::kPolled> polled{};
  const std::span<pollfd, Relay::kPolled> relayed = std::span(polled).subspan<3>();
  while (true) {
    polled[0] = {.fd = process_.pidfd().get(), .events = POLLIN, .revents = 0};
    polled[1] = {.fd = signals_.fd(), .events = POLLIN, .revents = 0};
    polled[2] = {.fd = options_.beside.get(), .events = POLLIN, .revents = 0};
    for (pollfd& each : relayed) each = {.fd = -1, .events = 0, .revents = 0};
    if (relay_) relay_->prepare(relayed);
    wait_for_events(polled);
    if (polled[2].revents != 0) options_.on_beside();
    if (polled[0].revents != 0) break;
    if (relay_) relay_->handle(relayed);
    if (polled[1].revents != 0) handle_signals();
    delivery_.check();
    limit_.check(delivery_);
  }
  if (relay_) {
    relay_->drain();
    relay_.reset();
  }
  auto status = process_.wait();
  if (!status) return std::unexpected(std::move(status.error()));
  return SessionEnd{.status = *status, .timed_out = limit_.passed()};
}

void Session::wait_for_events(std::span<pollfd> polled) {
  int64_t wait_ns = limit_.wait_ns();
  for (const int wait_ms : {relay_ ? relay_->longest_wait_ms() : -1, delivery_.longest_wait_ms()}) {
    if (wait_ms >= 0 && (wait_ns < 0 || wait_ns > wait_ms * kNsPerMs)) wait_ns = wait_ms * kNsPerMs;
  }
  const timespec wait{.tv_sec = wait_ns / kNsPerSecond, .tv_nsec = wait_ns % kNsPerSecond};
  const int count = ::ppoll(polled.data(), polled.size(), wait_ns < 0 ? nullptr : &wait, nullptr);
  if (count < 0) {
    for (pollfd& each : polled) each.revents = 0;
  }
}

void Session::handle_signals() {
  while (const auto signal = signals_.next()) {
    switch (*signal) {
      case SIGWINCH:
        if (relay_) relay_->resize();
        break;
      case SIGTSTP:
        stop();
        break;
      case SIGCONT:
        // The caller's shell has set its terminal anew.
        if (relay_) relay_->take_terminal();
        (void)process_.signal(SIGCONT);
        break;
      default:
        delivery_.send(*signal);
    }
  }
}

// Job control of the caller's shell. With a terminal of its own the sandbox has its own job
// control; without, it stops with isle.
void Session::stop() {
  if (relay_) {
    relay_->give_terminal_back();
  } else {
    (void)process_.signal(SIGSTOP);
  }
  ::kill(::getpid(), SIGSTOP);
}

}  // namespace

Result<SessionEnd> run_session(Process& process, SignalEvents& signals,
                               const SessionOptions& options) {
  Session session(process, signals, options);
  return session.run();
}

}  // namespace isle::cli
