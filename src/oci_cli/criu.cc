#include "oci_cli/criu.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include "isle/host.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "oci/state.h"
#include "oci_cli/container.h"

namespace isle::oci_cli {
namespace {

constexpr unsigned kVarint = 0;
constexpr unsigned kBytes = 2;
constexpr unsigned kKindBits = 3;

/// A field of a message that came.
struct Field {
  int number = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

/// Reads the fields of a message one by one; what is cut off ends it.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  std::optional<Field> next() {
    const auto key = varint();
    if (!key) return std::nullopt;
    Field field{.number = static_cast<int>(*key >> kKindBits)};
    const auto value = varint();
    if (!value) return std::nullopt;
    field.value = *value;
    switch (*key & ((1U << kKindBits) - 1)) {
      case kVarint:
        return field;
      case kBytes:
        if (*value > rest_.size()) return std::nullopt;
        field.bytes = rest_.substr(0, *value);
        rest_.remove_prefix(*value);
        return field;
      default:  // rpc.proto has no other kind
        return std::nullopt;
    }
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; !rest_.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }
  std::string_view rest_;
};

uint64_t number_in(std::string_view message, int wanted) {
  Fields fields(message);
  while (const auto field = fields.next())
    if (field->number == wanted) return field->value;
  return 0;
}

std::string_view bytes_in(std::string_view message, int wanted) {
  Fields fields(message);
  while (const auto field = fields.next())
    if (field->number == wanted) return field->bytes;
  return {};
}

// criu_req, criu_resp and what they have in them.
constexpr int kType = 1;
constexpr int kRequestOptions = 2;
constexpr int kNotifySuccess = 3;
constexpr int kSuccess = 2;
constexpr int kRestored = 4;
constexpr int kNotice = 5;
constexpr int kErrno = 7;
constexpr int kErrorText = 9;
constexpr int kRestoredPid = 1;
constexpr int kNoticeScript = 1;
constexpr int kNoticePid = 2;
constexpr uint64_t kNotify = 6;  // criu_req_type

Status send(const Fd& socket, const std::string& bytes) {
  if (::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(bytes.size()))
    return {};
  return fail(errno, "ask criu");
}

/// A message, and the descriptor that came with it. Empty: criu is gone.
std::string receive(const Fd& socket, Fd& descriptor) {
  std::string bytes(size_t{1} << 16, '\0');
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = -1;
  do size = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    descriptor.reset(number);
  }
  bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return bytes;
}

/// The last errors of criu's log, "a; b", without time and place in its source.
std::string last_errors(const std::string& path) {
  constexpr size_t kMost = 4;
  const std::string text = oci::read_whole(path).value_or("");
  std::deque<std::string> errors;
  for (size_t at = text.find("Error ("); at != std::string::npos;
       at = text.find("Error (", at + 1)) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    const size_t place_end = line.find("): ");
    errors.push_back(place_end == std::string::npos ? line : line.substr(place_end + 3));
    if (errors.size() > kMost) errors.pop_front();
  }
  std::string joined;
  for (const std::string& error : errors) joined += (joined.empty() ? "" : "; ") + error;
  return joined;
}

std::string_view to_string(CriuDeed deed) {
  switch (deed) {
    case CriuDeed::restore:
      return "restore";
    case CriuDeed::pre_dump:
      return "pre-dump";
    case CriuDeed::dump:
      break;
  }
  return "dump";
}

std::unexpected<Error> failed(const CriuRequest& request, std::string_view answer) {
  std::string why = last_errors(request.work_directory + "/" + request.log);
  if (why.empty()) why = bytes_in(answer, kErrorText);
  if (why.empty()) why = answer.empty() ? "it ended without an answer" : "it does not say why";
  return fail(static_cast<int>(number_in(answer, kErrno)),
              fmt::format("criu failed to {}: {}", to_string(request.deed), why),
              fmt::format("criu's log is \"{}/{}\"", request.work_directory, request.log));
}

Result<Process> start_criu(const CriuRequest& request, const Fd& socket) {
  Spec spec = request.spec;
  spec.process.args = {.value = {request.program, "swrk", std::to_string(socket.get())}};
  spec.process.user.as_is = true;
  spec.process.pass_fds.value = request.pass_fds;
  spec.process.pass_fds.value.push_back(socket.get());
  const auto plan = compile(spec, probe_host(spec));
  if (!plan) return std::unexpected(plan.error());
  auto process = launch(*plan, {.signal_mask = kNoSignals});
  constexpr int kNotFound = 127;
  if (!process && failure_status(*plan, process.error()) == kNotFound)
    return fail(0, fmt::format("criu is not installed: no \"{}\" in PATH", request.program));
  return process;
}

/// criu takes directories by numbers of our descriptors, and mounts in them: that goes only where
/// they are of criu's own mount namespace.
struct Directories {
  Fd images;
  Fd work;
};

Result<Directories> open_directories(const CriuRequest& request, pid_t criu_pid) {
  const auto open_there = [&](const std::string& path) {
    return Fd(::open(fmt::format("/proc/{}/root{}", criu_pid, path).c_str(),
                     O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  };
  Directories opened{.images = open_there(request.images),
                     .work = open_there(request.work_directory)};
  if (!opened.images) return fail(errno, fmt::format("open \"{}\" for criu", request.images));
  if (!opened.work) return fail(errno, fmt::format("open \"{}\" for criu", request.work_directory));
  return opened;
}

/// Up to criu's answer; the error that on_notice had, if any.
Result<std::string> exchange(const CriuRequest& request, const Fd& socket) {
  std::optional<Error> refused;
  for (;;) {
    CriuNotice notice;
    std::string answer = receive(socket, notice.descriptor);
    if (number_in(answer, kType) != kNotify) {
      if (refused) return std::unexpected(std::move(*refused));
      return answer;
    }
    const std::string_view told = bytes_in(answer, kNotice);
    notice.name = bytes_in(told, kNoticeScript);
    notice.host_pid = static_cast<pid_t>(number_in(told, kNoticePid));
    Status status = request.on_notice ? request.on_notice(notice) : Status{};
    if (!status) refused = std::move(status.error());
    CriuMessage reply;
    reply.number(kType, kNotify).number(kNotifySuccess, refused ? 0 : 1);
    if (Status sent = send(socket, reply.bytes()); !sent) return std::unexpected(sent.error());
  }
}

}  // namespace

void CriuMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

CriuMessage& CriuMessage::number(int field, uint64_t value) {
  varint(static_cast<uint64_t>(field) << kKindBits | kVarint);
  varint(value);
  return *this;
}

CriuMessage& CriuMessage::text(int field, std::string_view value) {
  varint(static_cast<uint64_t>(field) << kKindBits | kBytes);
  varint(value.size());
  bytes_.append(value);
  return *this;
}

Result<pid_t> ask_criu(CriuRequest request) {
  int sockets[2];
  // Its peer's credentials tell criu whose descriptors it is told of.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
    return fail(errno, "make a socket");
  const Fd ours(sockets[0]);
  Fd its(sockets[1]);
  auto process = start_criu(request, its);
  if (!process) return std::unexpected(process.error());
  its.reset();
  const auto directories = open_directories(request, process->host_pid());
  // Of a process that has ended there is no root.
  if (!directories && directories.error().code == ENOENT) return failed(request, {});
  if (!directories) return std::unexpected(directories.error());
  constexpr uint64_t kDebug = 4;
  request.options
      .number(criu_option::images_dir_fd, static_cast<uint64_t>(directories->images.get()))
      .number(criu_option::work_dir_fd, static_cast<uint64_t>(directories->work.get()))
      .number(criu_option::log_level, kDebug)
      .text(criu_option::log_file, request.log);
  if (request.complete) request.complete(process->host_pid(), request.options);
  CriuMessage message;
  message.number(kType, static_cast<uint64_t>(request.deed))
      .message(kRequestOptions, request.options);
  if (!send(ours, message.bytes())) return failed(request, {});
  const auto answer = exchange(request, ours);
  (void)::shutdown(ours.get(), SHUT_RDWR);  // after a pre-dump it waits for more
  (void)process->wait();
  if (!answer) return std::unexpected(answer.error());
  if (number_in(*answer, kSuccess) == 0) return failed(request, *answer);
  return static_cast<pid_t>(number_in(bytes_in(*answer, kRestored), kRestoredPid));
}

}  // namespace isle::oci_cli
