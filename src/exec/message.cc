#include "exec/message.h"

#include <linux/errno.h>

#include "sys/io_calls.h"

namespace isle::exec {
namespace {

/// Room for one descriptor, laid out as the kernel wants a control message.
struct Control {
  sys::cmsghdr header;
  std::int32_t fd = -1;
  std::int32_t padding = 0;
};
constexpr std::size_t kControlBytes = sizeof(sys::cmsghdr) + sizeof(std::int32_t);

}  // namespace

int send(int socket, const Message& message, int fd) noexcept {
  sys::iovec data{const_cast<Message*>(&message), sizeof message - kMostLog + message.log_size};
  Control control;
  sys::msghdr header;
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    control.header = {kControlBytes, sys::kSolSocket, sys::kScmRights};
    control.fd = fd;
    header.msg_control = &control;
    header.msg_controllen = sizeof control;
  }
  long sent = -EINTR;
  while (sent == -EINTR) sent = sys::sendmsg(socket, &header, sys::MsgFlags::nosignal);
  return sent < 0 ? static_cast<int>(sent) : 0;
}

int receive(int socket, Message* message, int* fd, bool wait) noexcept {
  sys::iovec data{message, sizeof *message};
  Control control;
  sys::msghdr header;
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  auto flags = sys::MsgFlags::cmsg_cloexec;
  if (!wait) flags |= sys::MsgFlags::dontwait;
  // An end that closes with messages it has not read makes that our error, once; what it had sent
  // itself is still there (kernel: unix_release_sock()).
  long got = -EINTR;
  while (got == -EINTR || got == -ECONNRESET) got = sys::recvmsg(socket, &header, flags);
  *fd = header.msg_controllen >= kControlBytes ? control.fd : -1;
  if (got <= 0) return static_cast<int>(got);
  const bool whole =
      static_cast<std::size_t>(got) >= sizeof *message - kMostLog && message->log_size <= kMostLog;
  return whole ? 1 : -EBADMSG;
}

}  // namespace isle::exec
