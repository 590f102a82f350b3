#include "cli/pid_status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "isle/fd.h"

namespace isle::cli {
namespace {

uint64_t mask_of(std::string_view status, std::string_view name) {
  const size_t at = status.find(name);
  if (at == std::string_view::npos) return 0;
  const std::string_view value = status.substr(at + name.size());
  const size_t digits = value.find_first_not_of(" \t");
  uint64_t mask = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(value.data() + digits, value.data() + value.size(), mask, 16);
  }
  return mask;
}

}  // namespace

SignalState parse_signal_state(std::string_view status) {
  return {.handled = mask_of(status, "\nSigIgn:") | mask_of(status, "\nSigCgt:"),
          .blocked = mask_of(status, "\nSigBlk:"),
          .pending = mask_of(status, "\nShdPnd:"),
          .runs = status.find("\nState:\tR") != std::string_view::npos ||
                  status.find("\nState:\tD") != std::string_view::npos};
}

std::optional<SignalState> signal_state(pid_t host_pid) {
  const Fd fd(::open(fmt::format("/proc/{}/status", host_pid).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 8192> buffer{};
  const ssize_t count = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : -1;
  if (count <= 0) return std::nullopt;
  return parse_signal_state({buffer.data(), static_cast<size_t>(count)});
}

}  // namespace isle::cli
