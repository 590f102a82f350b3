#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "cli/output.h"
#include "oci_cli/verbs.h"
#include "seccomp/compile.h"

namespace isle::oci_cli {

Status pass_descriptors(const CommandLine& line, Spec& spec) {
  const std::string text = line.get("preserve-fds", "0");
  int count = 0;
  constexpr int kMost = 1024;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 0 || count > kMost)
    return fail(0, fmt::format("--preserve-fds {}: expected 0 to {}", text, kMost));
  for (int i = 0; i < count; ++i) {
    const int fd = STDERR_FILENO + 1 + i;
    if (::fcntl(fd, F_GETFD) < 0)
      return fail(EBADF, fmt::format("--preserve-fds {}: descriptor {} is not open", count, fd));
    spec.process.pass_fds.value.push_back(fd);
  }
  spec.process.pass_fds.from = spec.add_origin("--preserve-fds");
  return {};
}

namespace {

/// One message on a connection of its own: `text`, and `fd` with it.
Status send_with_fd(const std::string& socket_path, std::string_view text, BorrowedFd fd,
                    std::string_view what) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, fmt::format("{} at \"{}\"", what, socket_path));
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return fail(errno, fmt::format("connect to {} at \"{}\"", what, socket_path));
  std::string bytes(text);
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  const ssize_t sent = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return {};
  if (sent > 0 && cli::write_all(socket.get(), text.substr(static_cast<size_t>(sent)))) return {};
  return fail(errno, fmt::format("send to {}", what));
}

}  // namespace

Status send_to(const CommandLine& line, std::string_view flag, BorrowedFd descriptor) {
  const std::string socket_path = line.get(flag);
  if (socket_path.empty() || !descriptor) return {};
  return send_with_fd(socket_path, std::string_view("/dev/ptmx\0", sizeof "/dev/ptmx"), descriptor,
                      fmt::format("--{}", flag));
}

Status load_filter(const std::optional<oci::Filter>& filter, const std::string& root, Spec& spec) {
  if (!filter) return {};
  // No container is called so: the colon.
  auto program = seccomp::compile_cached(filter->profile, root + "/seccomp:programs");
  if (!program) {
    Error error = program.error();
    error.asked_by = spec.origins[filter->from];
    return std::unexpected(std::move(error));
  }
  spec.process.seccomp = {.value = {.instructions = std::move(*program), .flags = filter->flags},
                          .from = filter->from};
  if (!filter->listener_path.empty()) spec.calls_back = {.value = true, .from = filter->from};
  return {};
}

Status hand_listener_over(const oci::Filter& filter, BorrowedFd listener, pid_t host_pid,
                          const oci::Json& container) {
  const oci::Json told = {{"ociVersion", container["ociVersion"]},
                          {"fds", {"seccompFd"}},
                          {"pid", host_pid},
                          {"metadata", filter.listener_metadata},
                          {"state", container}};
  return send_with_fd(filter.listener_path,
                      told.dump(-1, ' ', false, oci::Json::error_handler_t::replace), listener,
                      "the seccomp agent's socket");
}

/// Renamed into place: who waits for the file finds all of it.
Status write_pid_file(const std::string& path, pid_t pid) {
  if (path.empty()) return {};
  const size_t slash = path.rfind('/');
  const std::string temporary = slash == std::string::npos
                                    ? "." + path
                                    : path.substr(0, slash + 1) + "." + path.substr(slash + 1);
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file || !cli::write_all(file.get(), std::to_string(pid)) ||
      ::rename(temporary.c_str(), path.c_str()) < 0)
    return fail(errno, fmt::format("write the pid file \"{}\"", path));
  return {};
}

Error in_engine_words(Error error, int status, const std::vector<std::string>& args) {
  constexpr int kCannotRun = 126;
  constexpr int kNotFound = 127;
  if (args.empty()) return error;
  const std::string& command = args.front();
  if (status == kCannotRun && error.code == EACCES)
    error.what = fmt::format("exec: \"{}\": permission denied", command);
  if (status != kNotFound) return error;
  const bool searched = command.find('/') == std::string::npos;
  error.what = searched
                   ? fmt::format("exec: \"{}\": executable file not found in $PATH", command)
                   : fmt::format("exec: \"{0}\": stat {0}: no such file or directory", command);
  if (searched) error.code = 0;
  return error;
}

}  // namespace isle::oci_cli
