#include "systemd/bus.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace isle::systemd {
namespace {

constexpr int kLongestWaitMs = 60'000;
constexpr const char* kSystemBus = "unix:path=/run/dbus/system_bus_socket";

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

/// "%2f" is "/".
std::string unescaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string digits(text[i] == '%' ? text.substr(i + 1, 2) : "");
    char* end = nullptr;
    const auto code = std::strtoul(digits.c_str(), &end, 16);
    const bool escape = digits.size() == 2 && end == digits.c_str() + 2;
    result += escape ? static_cast<char>(code) : text[i];
    if (escape) i += 2;
  }
  return result;
}

/// The first of "unix:path=P,guid=G;unix:abstract=A" that is a socket here.
Result<std::string> socket_name(std::string_view address) {
  for (std::string_view rest = address; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    if (!one.starts_with("unix:")) continue;
    for (std::string_view pairs = one.substr(5); !pairs.empty();) {
      const std::string_view pair = pairs.substr(0, pairs.find(','));
      pairs.remove_prefix(std::min(pair.size() + 1, pairs.size()));
      if (pair.starts_with("path=")) return unescaped(pair.substr(5));
      if (pair.starts_with("abstract=")) return '\0' + unescaped(pair.substr(9));
    }
  }
  return fail(0, fmt::format("\"{}\" is no D-Bus address of a socket of this machine", address));
}

}  // namespace

std::string address_of(BusKind kind) {
  std::string set =
      environment(kind == BusKind::system ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS");
  if (!set.empty()) return set;
  if (kind == BusKind::system) return kSystemBus;
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  return runtime.empty() ? "" : "unix:path=" + runtime + "/bus";
}

Result<Bus> Bus::connect(const std::string& address) {
  const auto name = socket_name(address);
  if (!name) return std::unexpected(name.error());
  const auto what = [&] { return fmt::format("connect to the bus at \"{}\"", address); };
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (name->size() >= sizeof where.sun_path) return fail(ENAMETOOLONG, what());
  std::memcpy(where.sun_path, name->data(), name->size());
  // An abstract name has no end but its length.
  const size_t length =
      offsetof(sockaddr_un, sun_path) + name->size() + (name->starts_with('\0') ? 0 : 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail(errno, what());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&where),
                static_cast<socklen_t>(length)) < 0)
    return fail(errno, what());
  Bus bus(std::move(socket));
  if (Status status = bus.log_in(); !status) {
    Error error = status.error();
    error.what = what() + ": " + error.what;
    return std::unexpected(std::move(error));
  }
  return bus;
}

/// Authentication Protocol of the D-Bus Specification, its lines sent at once: EXTERNAL with no
/// name, so that the bus takes the credentials' (our uid here may be another one there).
Status Bus::log_in() {
  constexpr char kLines[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
  if (Status status = send({kLines, sizeof kLines - 1}); !status) return status;
  for (const std::string_view expected : {"DATA", "OK"}) {
    size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
      if (Status status = fill(buffer_.size() + 1); !status) return status;
    if (!buffer_.starts_with(expected))
      return fail(EACCES, fmt::format("it says \"{}\"", buffer_.substr(0, end)));
    buffer_.erase(0, end + 2);
  }
  const auto hello = call({.path = "/org/freedesktop/DBus",
                           .interface = "org.freedesktop.DBus",
                           .member = "Hello",
                           .destination = "org.freedesktop.DBus"});
  return hello ? Status{} : std::unexpected(hello.error());
}

Status Bus::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno, "send to the bus");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

Status Bus::fill(size_t size) {
  while (buffer_.size() < size) {
    pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int count = ::poll(&ready, 1, kLongestWaitMs);
    if (count == 0) return fail(ETIMEDOUT, "wait for an answer of the bus");
    char piece[4096];
    const ssize_t got = count < 0 ? -1 : ::recv(socket_.get(), piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, "read from the bus");
    if (got == 0) return fail(ECONNRESET, "the bus hung up");
    buffer_.append(piece, static_cast<size_t>(got));
  }
  return {};
}

Result<Message> Bus::receive() {
  if (Status status = fill(kFixedHeader); !status) return std::unexpected(status.error());
  const auto size = size_of_message(buffer_);
  if (!size) return std::unexpected(size.error());
  if (Status status = fill(*size); !status) return std::unexpected(status.error());
  auto message = parse_message(std::string_view(buffer_).substr(0, *size));
  buffer_.erase(0, *size);
  return message;
}

Result<std::vector<Value>> Bus::call(Message message) {
  message.serial = ++last_serial_;
  if (Status status = send(to_bytes(message)); !status) return std::unexpected(status.error());
  for (;;) {
    auto answer = receive();
    if (!answer) return std::unexpected(answer.error());
    if (answer->type == MessageType::signal) signals_.push_back(std::move(*answer));
    if (answer->reply_to != message.serial) continue;
    if (answer->type == MessageType::reply) return std::move(answer->arguments);
    const bool told = !answer->arguments.empty() && answer->arguments.front().type == "s";
    return fail(0, fmt::format("{}: {}", answer->error_name,
                               told ? answer->arguments.front().text : message.member));
  }
}

Result<Message> Bus::signal(std::string_view member) {
  for (;;) {
    while (!signals_.empty()) {
      Message first = std::move(signals_.front());
      signals_.pop_front();
      if (first.member == member) return first;
    }
    auto next = receive();
    if (!next) return next;
    if (next->type == MessageType::signal) signals_.push_back(std::move(*next));
  }
}

}  // namespace isle::systemd
