#include "cli/caller.h"

#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "cli/passwd.h"

namespace isle::cli {
namespace {

// libc has no wrapper for capget(2), and libcap is more than this needs.
uint64_t effective_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return 0;
  return uint64_t{data[1].effective} << 32 | data[0].effective;
}

std::optional<ConsoleSize> window_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return ConsoleSize{.rows = size.ws_row, .columns = size.ws_col};
}

}  // namespace

std::optional<std::string_view> Caller::variable(std::string_view name) const {
  for (const std::string_view entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

Caller this_caller() {
  Caller caller;
  caller.pid = ::getpid();
  caller.uid = ::geteuid();
  caller.gid = ::getegid();
  caller.capabilities = effective_capabilities();
  for (char** entry = environ; *entry != nullptr; ++entry) caller.environment.emplace_back(*entry);
  std::array<char, PATH_MAX> cwd{};
  if (::getcwd(cwd.data(), cwd.size()) != nullptr) caller.cwd = cwd.data();
  caller.input_is_terminal = ::isatty(STDIN_FILENO) != 0;
  caller.output_is_terminal = ::isatty(STDOUT_FILENO) != 0;
  if (caller.output_is_terminal) caller.window = window_size(STDOUT_FILENO);
  if (!caller.window && caller.input_is_terminal) caller.window = window_size(STDIN_FILENO);
  caller.find_user = user_from_root;
  caller.find_shell = login_shell;
  return caller;
}

}  // namespace isle::cli
