#include "oci_cli/sockets.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace isle::oci_cli {
namespace {

/// A socket for which `name_it` (bind(2), connect(2)) does what it does with the address of `path`.
Result<Fd> new_socket(const std::string& path, int type,
                      int (*name_it)(int, const sockaddr*, socklen_t)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, fmt::format("the socket \"{}\"", path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!socket) return fail(errno, "make a socket");
  if (name_it(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return fail(errno, fmt::format("the socket \"{}\"", path));
  return socket;
}

}  // namespace

Result<Fd> bind_socket(const std::string& path, int type) { return new_socket(path, type, ::bind); }

Result<Fd> connect_socket(const std::string& path, int type) {
  return new_socket(path, type, ::connect);
}

ssize_t send_message(BorrowedFd socket, std::string_view text, BorrowedFd descriptor) {
  std::string bytes(text);
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptor) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = descriptor.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof number);
  }
  return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
}

}  // namespace isle::oci_cli
