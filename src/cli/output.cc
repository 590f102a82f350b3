#include "cli/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace isle::cli {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<size_t>(count));
    } else if (errno == EAGAIN) {
      // Somebody made the shared file description non-blocking.
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int print(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) return 0;
  complain({.code = errno, .what = "write to standard output"});
  return kIsleFailed;
}

void print_error(std::string_view text) { write_all(STDERR_FILENO, text); }

void complain(const Error& error) { print_error(fmt::format("isle: {}\n", error.message())); }

}  // namespace isle::cli
