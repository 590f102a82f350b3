// Wrappers of the system calls on open descriptors: input, output, sockets, waiting.
// Result or -errno; see raw_call.h. None retries on -EINTR.
#pragma once

#include "sys/abi_file.h"
#include "sys/abi_numbers.h"
#include "sys/abi_process.h"
#include "sys/raw_call.h"

namespace isle::sys {

/// read(2).
inline long read(int fd, void* buffer, std::size_t size_bytes) noexcept {
  return raw(__NR_read, fd, buffer, size_bytes);
}
/// pread64: read at an offset, pread(2).
inline long pread64(int fd, void* buffer, std::size_t size_bytes,
                    std::int64_t offset_bytes) noexcept {
  return raw(__NR_pread64, fd, buffer, size_bytes, offset_bytes);
}
/// write(2).
inline long write(int fd, const void* buffer, std::size_t size_bytes) noexcept {
  return raw(__NR_write, fd, buffer, size_bytes);
}
/// lseek(2); whence 0 SEEK_SET, 1 SEEK_CUR, 2 SEEK_END.
inline long lseek(int fd, std::int64_t offset_bytes, int whence) noexcept {
  return raw(__NR_lseek, fd, offset_bytes, whence);
}
/// close(2): the number is free whatever this returns.
inline int close(int fd) noexcept { return raw_int(__NR_close, fd); }
/// close_range(2), 5.9; both ends included.
inline int close_range(std::uint32_t first, std::uint32_t last, CloseRange flags) noexcept {
  return raw_int(__NR_close_range, first, last, flags);
}
/// dup(2).
inline int dup(int fd) noexcept { return raw_int(__NR_dup, fd); }
/// dup3(2); -EINVAL when both are the same.
inline int dup3(int from, int to, FdFlags flags = FdFlags::none) noexcept {
  return raw_int(__NR_dup3, from, to, flags);
}
/// fcntl(2) without or with one argument.
inline int fcntl(int fd, Fcntl command) noexcept { return raw_int(__NR_fcntl, fd, command); }
template <class T>
inline int fcntl(int fd, Fcntl command, T argument) noexcept {
  return raw_int(__NR_fcntl, fd, command, argument);
}
/// ioctl(2) without or with one argument.
inline int ioctl(int fd, Ioctl request) noexcept { return raw_int(__NR_ioctl, fd, request); }
template <class T>
inline int ioctl(int fd, Ioctl request, T argument) noexcept {
  return raw_int(__NR_ioctl, fd, request, argument);
}
/// pipe2(2).
inline int pipe2(int fds[2], FdFlags flags) noexcept { return raw_int(__NR_pipe2, fds, flags); }
/// eventfd2: eventfd(2).
inline int eventfd2(std::uint32_t initial, FdFlags flags) noexcept {
  return raw_int(__NR_eventfd2, initial, flags);
}
/// memfd_create(2).
inline int memfd_create(const char* name, MemfdFlags flags) noexcept {
  return raw_int(__NR_memfd_create, name, flags);
}
/// sendfile(2): the bytes sent; `offset_bytes` may be null.
inline long sendfile(int to, int from, std::int64_t* offset_bytes,
                     std::size_t count_bytes) noexcept {
  return raw(__NR_sendfile, to, from, offset_bytes, count_bytes);
}
/// copy_file_range(2), 4.5: the bytes copied; offsets may be null.
inline long copy_file_range(int from, std::int64_t* from_offset, int to, std::int64_t* to_offset,
                            std::size_t count_bytes, std::uint32_t flags = 0) noexcept {
  return raw(__NR_copy_file_range, from, from_offset, to, to_offset, count_bytes, flags);
}
/// splice(2): the bytes moved; offsets may be null; flags 2 is SPLICE_F_NONBLOCK.
inline long splice(int from, std::int64_t* from_offset, int to, std::int64_t* to_offset,
                   std::size_t count_bytes, std::uint32_t flags) noexcept {
  return raw(__NR_splice, from, from_offset, to, to_offset, count_bytes, flags);
}

/// socket(2).
inline int socket(AddressFamily family, SocketType type, int protocol) noexcept {
  return raw_int(__NR_socket, family, type, protocol);
}
/// socketpair(2).
inline int socketpair(AddressFamily family, SocketType type, int protocol, int fds[2]) noexcept {
  return raw_int(__NR_socketpair, family, type, protocol, fds);
}
/// bind(2); `address` is a sockaddr of the family.
inline int bind(int fd, const void* address, std::uint32_t length_bytes) noexcept {
  return raw_int(__NR_bind, fd, address, length_bytes);
}
/// connect(2).
inline int connect(int fd, const void* address, std::uint32_t length_bytes) noexcept {
  return raw_int(__NR_connect, fd, address, length_bytes);
}
/// listen(2).
inline int listen(int fd, int backlog) noexcept { return raw_int(__NR_listen, fd, backlog); }
/// accept4(2); address and its length may be null.
inline int accept4(int fd, void* address, std::uint32_t* length_bytes, FdFlags flags) noexcept {
  return raw_int(__NR_accept4, fd, address, length_bytes, flags);
}
/// setsockopt(2).
inline int setsockopt(int fd, int level, int option, const void* value,
                      std::uint32_t length_bytes) noexcept {
  return raw_int(__NR_setsockopt, fd, level, option, value, length_bytes);
}
/// sendmsg(2).
inline long sendmsg(int fd, const msghdr* message, MsgFlags flags) noexcept {
  return raw(__NR_sendmsg, fd, message, flags);
}
/// recvmsg(2).
inline long recvmsg(int fd, msghdr* message, MsgFlags flags) noexcept {
  return raw(__NR_recvmsg, fd, message, flags);
}
/// sendto(2); `address` may be null on a connected socket.
inline long sendto(int fd, const void* buffer, std::size_t size_bytes, MsgFlags flags,
                   const void* address, std::uint32_t length_bytes) noexcept {
  return raw(__NR_sendto, fd, buffer, size_bytes, flags, address, length_bytes);
}
/// recvfrom(2); `address` and its length may be null.
inline long recvfrom(int fd, void* buffer, std::size_t size_bytes, MsgFlags flags, void* address,
                     std::uint32_t* length_bytes) noexcept {
  return raw(__NR_recvfrom, fd, buffer, size_bytes, flags, address, length_bytes);
}

/// ppoll(2), poll(2) with a timespec and a signal set; either may be null. aarch64 has no poll.
inline int ppoll(pollfd* fds, std::uint32_t count, timespec* timeout,
                 const sigset* mask = nullptr) noexcept {
  return raw_int(__NR_ppoll, fds, count, timeout, mask, sizeof(sigset));
}
/// epoll_create1(2).
inline int epoll_create1(FdFlags flags) noexcept { return raw_int(__NR_epoll_create1, flags); }
/// epoll_ctl(2); `event` may be null for EpollOp::del.
inline int epoll_ctl(int epoll_fd, EpollOp operation, int fd, epoll_event* event) noexcept {
  return raw_int(__NR_epoll_ctl, epoll_fd, operation, fd, event);
}
/// epoll_pwait(2); -1 ms waits for ever; `mask` may be null.
inline int epoll_pwait(int epoll_fd, epoll_event* events, int capacity, int timeout_ms,
                       const sigset* mask = nullptr) noexcept {
  return raw_int(__NR_epoll_pwait, epoll_fd, events, capacity, timeout_ms, mask, sizeof(sigset));
}
/// getrandom(2): the bytes written; flags 1 is GRND_NONBLOCK.
inline long getrandom(void* buffer, std::size_t size_bytes, std::uint32_t flags = 0) noexcept {
  return raw(__NR_getrandom, buffer, size_bytes, flags);
}

}  // namespace isle::sys
