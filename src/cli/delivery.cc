#include "cli/delivery.h"

#include <poll.h>

#include "cli/pid_status.h"

namespace isle::cli {
namespace {

uint64_t bit_of(int signal) { return uint64_t{1} << (signal - 1); }

}  // namespace

void Delivery::send(int signal) {
  const auto state = signal_state(process_.host_pid());
  if (state && (state->blocked & ~state->handled & bit_of(signal)) != 0)
    undecided_ |= bit_of(signal);
  (void)process_.signal(signal);
}

void Delivery::await_rest() const {
  constexpr int kTries = 25;
  constexpr int kStepMs = 2;
  for (int i = 0; i < kTries; ++i) {
    const auto state = signal_state(process_.host_pid());
    if (!state || !state->runs) return;
    ::poll(nullptr, 0, kStepMs);
  }
}

void Delivery::send_unless_handled(int signal) {
  const auto state = signal_state(process_.host_pid());
  if (state && (state->handled & bit_of(signal)) == 0) send(signal);
}

void Delivery::check() {
  if (undecided_ == 0) return;
  const auto state = signal_state(process_.host_pid());
  const uint64_t waiting = state ? undecided_ & state->blocked & state->pending : 0;
  const uint64_t lost = state ? undecided_ & ~state->blocked & ~state->handled : 0;
  undecided_ = waiting;
  for (int signal = 1; signal <= 64; ++signal) {
    if ((lost & bit_of(signal)) != 0) send(signal);
  }
}

}  // namespace isle::cli
