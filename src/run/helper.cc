#include "run/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "exec/message.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/process_calls.h"

extern "C" {
extern const unsigned char isle_exec_image_begin[];
extern const unsigned char isle_exec_image_end[];
}

namespace isle {
namespace {

constexpr auto kAllSeals =
    sys::Seals::seal | sys::Seals::shrink | sys::Seals::grow | sys::Seals::write;

/// The installed program by a read-only mount of its own, since a sandbox finds it at /proc/PID/exe. Who may not
/// mount may not write to it either, or has none.
int open_installed() {
  const std::string path = ISLE_EXEC_INSTALLED;
  const size_t slash = path.rfind('/');
  constexpr auto kOpen = sys::OpenFlags::path | sys::OpenFlags::cloexec;
  const Fd tree(sys::open_tree(sys::kAtFdcwd, path.substr(0, slash).c_str(),
                               sys::OpenTree::clone | sys::OpenTree::cloexec));
  if (tree) {
    sys::mount_attr read_only;
    read_only.attr_set = sys::bits(sys::MountAttr::rdonly);
    const int set = sys::mount_setattr(tree.get(), "", sys::AtFlags::empty_path, &read_only);
    return set < 0 ? set : sys::openat(tree.get(), path.c_str() + slash + 1, kOpen);
  }
  const bool is_writable =
      sys::faccessat2(sys::kAtFdcwd, path.c_str(), sys::Access::w_ok, sys::AtFlags::eaccess) == 0;
  return is_writable ? -EPERM : sys::openat(sys::kAtFdcwd, path.c_str(), kOpen);
}

/// isle-exec as a file nobody can write to: a memfd, sealed, made once a process; where memfds
/// cannot be executed (vm.memfd_noexec), the installed program.
int make_image() {
  const size_t size = static_cast<size_t>(isle_exec_image_end - isle_exec_image_begin);
  int fd =
      sys::memfd_create("isle-exec", sys::MemfdFlags::cloexec | sys::MemfdFlags::allow_sealing |
                                         sys::MemfdFlags::exec);
  if (fd == -EINVAL)  // before 6.3 there is no such flag, and every memfd is executable
    fd = sys::memfd_create("isle-exec", sys::MemfdFlags::cloexec | sys::MemfdFlags::allow_sealing);
  if (fd >= 0) {
    const long written = sys::write(fd, isle_exec_image_begin, size);
    if (written == static_cast<long>(size) &&
        sys::fcntl(fd, sys::Fcntl::add_seals, sys::bits(kAllSeals)) == 0)
      return fd;
    sys::close(fd);
  }
  return open_installed();
}

/// The image's descriptor, -errno where there is none. Kept for the life of the process.
int image() {
  static std::mutex mutex;
  static int fd = -1;
  const std::lock_guard lock(mutex);
  if (fd < 0) fd = make_image();
  return fd;
}

constexpr int kStandardFds = 3;

/// What the vforked child needs; it may not allocate.
struct Start {
  int image;
  const int* keep;
  size_t keep_count;
  const int* stdio;
  const char* const* argv;
  uint64_t mask;
  int error;
};

/// Shares the caller's memory until execveat, and only makes system calls.
int child_main(void* argument) {
  auto& start = *static_cast<Start*>(argument);
  for (size_t i = 0; i < start.keep_count; ++i) {
    const int result = sys::fcntl(start.keep[i], sys::Fcntl::setfd, 0);
    if (result < 0) {
      start.error = -result;
      sys::exit_group(1);
    }
  }
  for (int number = 0; number < kStandardFds; ++number) {
    const int source = start.stdio[number];
    const int result = source == number ? 0 : sys::dup3(source, number, sys::FdFlags::none);
    if (result < 0) {
      start.error = -result;
      sys::exit_group(1);
    }
  }
  sys::rt_sigprocmask(sys::SigMask::setmask, &start.mask, nullptr);
  static const char* const kNoEnvironment[] = {nullptr};
  start.error =
      -sys::execveat(start.image, "", start.argv, kNoEnvironment, sys::AtFlags::empty_path);
  sys::exit_group(1);
}

Result<pid_t> vfork_helper(Start& start) {
  constexpr size_t kStackBytes = size_t{16} * 1024;
  const auto stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  // No handler of this program may run in the child, which shares its memory.
  constexpr uint64_t kAll = ~uint64_t{0};
  uint64_t before = 0;
  sys::rt_sigprocmask(sys::SigMask::setmask, &kAll, &before);
  const pid_t pid =
      ::clone(child_main, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &start);
  const int error = errno;
  sys::rt_sigprocmask(sys::SigMask::setmask, &before, nullptr);
  // The child left its frames by execve, and with them the sanitizer's marks of them.
  ASAN_UNPOISON_MEMORY_REGION(stack.get(), kStackBytes);
  if (pid < 0) return fail(error, "start isle-exec");
  return pid;
}

/// One `call` answered; false: it cannot be.
bool answer(int socket, const char* bytes, size_t size, int fd, const OnCall& on_call) {
  const Fd listener(fd);
  exec::Message message;
  std::memcpy(&message, bytes, std::min(size, sizeof message));
  if (message.kind != exec::Message::Kind::call) return false;
  const auto point = static_cast<CallPoint>(message.point);
  const int error =
      on_call ? on_call(point, static_cast<pid_t>(message.detail), listener.borrow()) : 0;
  exec::Message reply;
  reply.kind = exec::Message::Kind::answer;
  reply.error = error;
  return exec::send(socket, reply) == 0;
}

/// The Outcome, with numbers of this process for its descriptors.
bool receive_outcome(int socket, exec::Outcome& outcome, const OnCall& on_call) {
  constexpr size_t kMostFds = 4;
  static_assert(sizeof(exec::Message) < sizeof(exec::Outcome), "told apart by their size");
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  iovec data{&outcome, sizeof outcome};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  std::array<int, kMostFds> fds{};
  for (;;) {
    message.msg_controllen = control.size();
    ssize_t got = -1;
    do got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return false;
    fds.fill(-1);
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr)
      std::memcpy(fds.data(), CMSG_DATA(header),
                  std::min(header->cmsg_len - CMSG_LEN(0), sizeof fds));
    const auto size = static_cast<size_t>(got);
    if (size == sizeof outcome) break;
    if (!answer(socket, reinterpret_cast<const char*>(&outcome), size, fds[0], on_call))
      return false;
  }
  size_t next = 0;
  for (int* fd : {&outcome.pidfd, &outcome.guard_pidfd, &outcome.console, &outcome.listener})
    if (*fd >= 0) *fd = fds[next++];
  return true;
}

}  // namespace

Result<exec::Outcome> run_by_helper(BorrowedFd arena, BorrowedFd guard_read,
                                    std::span<const int> keep, const std::array<int, 3>& stdio,
                                    uint64_t signal_mask, const std::function<void()>& meanwhile,
                                    const OnCall& on_call) {
  const int program = image();
  if (program < 0)
    return fail(-program,
                "start isle-exec: neither a memory file nor " ISLE_EXEC_INSTALLED
                " can be executed",
                "make install puts it there");
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    return fail(errno, "start isle-exec: make a socket pair");
  const Fd ours(pair[0]);
  Fd theirs(pair[1]);

  const std::string numbers[] = {std::to_string(arena.get()), std::to_string(theirs.get()),
                                 std::to_string(guard_read.get())};
  const char* argv[] = {"isle-exec", numbers[0].c_str(), numbers[1].c_str(), numbers[2].c_str(),
                        nullptr};
  std::vector<int> inherited(keep.begin(), keep.end());
  inherited.push_back(arena.get());
  inherited.push_back(theirs.get());
  if (guard_read) inherited.push_back(guard_read.get());

  Start start{program, inherited.data(), inherited.size(), stdio.data(), argv, signal_mask, 0};
  const Result<pid_t> pid = vfork_helper(start);
  if (!pid) return std::unexpected(pid.error());
  theirs.reset();
  int status = 0;
  pid_t waited = 0;
  const auto wait = [&] {
    do waited = ::waitpid(*pid, &status, 0);
    while (waited < 0 && errno == EINTR);
  };
  // Where there is nothing to do or to answer meanwhile its end is all to wait for: one sleep, not two.
  if (!meanwhile && !on_call) wait();
  exec::Outcome outcome;
  pollfd ready{ours.get(), POLLIN, 0};
  while (start.error == 0 && meanwhile && ::poll(&ready, 1, 1) == 0) meanwhile();
  const bool answered = start.error == 0 && receive_outcome(ours.get(), outcome, on_call);
  if (waited == 0) wait();
  if (start.error != 0) return fail(start.error, "start isle-exec");
  if (!answered)
    return fail(0, waited > 0 && WIFSIGNALED(status)
                       ? "isle-exec was killed by signal " + std::to_string(WTERMSIG(status))
                       : std::string("isle-exec ended without an answer"));
  return outcome;
}

}  // namespace isle
