#include "oci_cli/notify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "isle/names.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/sockets.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

constexpr const char* kVariable = "NOTIFY_SOCKET";

/// What a service says of itself. Not of processes (MAINPID, NOTIFYACCESS), and nothing that comes with descriptors
/// (FDSTORE, BARRIER).
constexpr std::string_view kHandedOn[] = {"READY",  "RELOADING", "STOPPING", "MONOTONIC_USEC",
                                          "STATUS", "ERRNO",     "WATCHDOG", "EXTEND_TIMEOUT_USEC"};

std::string manager_socket() {
  const char* path = std::getenv(kVariable);  // NOLINT(concurrency-mt-unsafe): one thread
  return path != nullptr && path[0] == '/' ? path : "";
}

std::string handed_on(std::string_view message) {
  std::string text;
  for (const std::string_view line : split(message, "\n\r"))  // as systemd does, NEWLINE there
    if (std::ranges::find(kHandedOn, line.substr(0, line.find('='))) != std::end(kHandedOn))
      text.append(text.empty() ? "" : "\n").append(line);
  return text;
}

/// Where on the host the container will find `path`; "" for a file system that is new.
std::string source_of(const std::string& path, const Spec& spec) {
  std::string source = (spec.root ? spec.root->path : "") + path;
  for (const FsOperation& op : spec.mounts) {
    std::string_view top = op.destination;
    while (top.ends_with('/')) top.remove_suffix(1);
    if (!path.starts_with(top) || (path.size() > top.size() && path[top.size()] != '/')) continue;
    const auto* bind = std::get_if<Bind>(&op.what);
    source = bind != nullptr ? bind->source + path.substr(top.size()) : "";
  }
  return source;
}

bool says_ready(std::string_view text) {
  const auto lines = split(text, "\n");
  return std::ranges::find(lines, "READY=1") != lines.end();
}

}  // namespace

Status offer_notify_socket(const oci::Directory& directory, Spec& spec) {
  std::string path = manager_socket();
  if (path.empty() || has_variable(spec, kVariable)) return {};
  struct stat there{};  // in a root that is the host's, or has a part of it: the manager's own
  if (::lstat(source_of(path, spec).c_str(), &there) == 0 && !S_ISDIR(there.st_mode))
    path = "/run/notify";
  const std::string own = directory.path(oci::kNotifyDirectory);
  constexpr mode_t kSearched = 0755;  // by whoever is in the container
  if (::mkdir(own.c_str(), kSearched) < 0 || ::chmod(own.c_str(), kSearched) < 0)
    return fail(errno, fmt::format("make the directory \"{}\"", own));
  Bind bind{.source = own, .recursive = false};
  for (const char* option : {"ro", "nosuid", "nodev", "noexec"})
    bind.attributes.set |= parse_mount_option(option)->attributes.set;
  spec.mounts.push_back({.destination = path,
                         .what = std::move(bind),
                         .from = spec.add_origin(std::string("$") + kVariable)});
  spec.process.env->value.push_back(fmt::format("{}={}/notify", kVariable, path));
  return {};
}

Result<Notifications> Notifications::listen(const oci::Directory& directory) {
  Notifications made;
  made.manager_ = manager_socket();
  if (made.manager_.empty() || ::access(directory.path(oci::kNotifyDirectory).c_str(), F_OK) < 0)
    return made;
  const std::string path = directory.short_path(oci::kNotifySocket);
  auto socket = bind_socket(path, SOCK_DGRAM | SOCK_NONBLOCK);
  if (!socket) return std::unexpected(socket.error());
  constexpr mode_t kEverybody = 0777;  // who reaches it is in the container
  if (::chmod(path.c_str(), kEverybody) < 0)
    return fail(errno, fmt::format("let the container's processes write to \"{}\"", path));
  made.socket_ = std::move(*socket);
  return made;
}

void Notifications::hand_on() {
  constexpr int kAtOnce = 16;  // signals have their turn
  for (int i = 0; i < kAtOnce; ++i) {
    char message[4096];  // no more does systemd read
    // Descriptors that come with it are closed by the kernel, which is what BARRIER asks for.
    const ssize_t size = ::recv(socket_.get(), message, sizeof message, MSG_TRUNC);
    if (size < 0) return;
    if (size > static_cast<ssize_t>(sizeof message)) continue;
    const std::string text = handed_on({message, static_cast<size_t>(size)});
    if (text.empty()) continue;
    send(text);
    ready_ = ready_ || says_ready(text);
  }
}

void Notifications::stay_until_ready(BorrowedFd process, pid_t host_pid) {
  if (!socket_) return;
  pollfd polled[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                     {.fd = process.get(), .events = POLLIN, .revents = 0}};
  while (!ready_ && polled[1].revents == 0) {
    if (::poll(polled, std::size(polled), -1) < 0) continue;
    hand_on();
  }
  if (!ready_) return;
  send(fmt::format("MAINPID={}", host_pid));
  await_manager();
}

/// A manager that is gone, or does not read, is no reason for a container to fail or to wait long.
void Notifications::send(const std::string& text) const {
  const auto socket = connect_socket(manager_, SOCK_DGRAM);
  if (!socket) return;
  const timeval longest{.tv_sec = 1, .tv_usec = 0};
  (void)::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
  (void)send_message(socket->borrow(), text);
}

/// sd_notify_barrier(3): it closes what it is given once it has read all before. Until then the sender has to be
/// there, or it is not known whose the message is.
void Notifications::await_manager() const {
  int ends[2];
  const auto socket = connect_socket(manager_, SOCK_DGRAM);
  if (!socket || ::pipe2(ends, O_CLOEXEC) < 0) return;
  const Fd read_end(ends[0]);
  {
    const Fd write_end(ends[1]);
    if (send_message(socket->borrow(), "BARRIER=1", write_end.borrow()) < 0) return;
  }
  pollfd closed{.fd = read_end.get(), .events = 0, .revents = 0};
  constexpr int kLongestMs = 5000;  // one that knows no barrier never closes it
  (void)::poll(&closed, 1, kLongestMs);
}

}  // namespace isle::oci_cli
