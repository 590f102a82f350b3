// A program run to its end between two steps: a hook.
#include <linux/errno.h>

#include "exec/context.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle::exec {
namespace {

constexpr int kSigchld = 17;
constexpr int kSigkill = 9;
constexpr int kNotFound = 127;
constexpr int kCannotExecute = 126;

long write_text(int fd, const char* text) noexcept {
  std::size_t size = 0;
  while (text[size] != '\0') ++size;
  while (size > 0) {
    const long written = sys::write(fd, text, size);
    if (written < 0 && written != -EINTR) return written;
    if (written <= 0) continue;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
  return 0;
}

/// A memory file, which holds any amount: with a pipe a program that does not read would stop us.
int make_input(const char* before, int pid, const char* after) noexcept {
  const int fd = sys::memfd_create("hook", sys::MemfdFlags::cloexec);
  if (fd < 0) return fd;
  char digits[12];
  char* digit = digits + sizeof digits - 1;
  *digit = '\0';
  auto rest = static_cast<unsigned>(pid);
  do *--digit = static_cast<char>('0' + rest % 10);
  while ((rest /= 10) != 0);
  long result = write_text(fd, before);
  if (result == 0) result = write_text(fd, digit);
  if (result == 0) result = write_text(fd, after);
  if (result == 0) result = sys::lseek(fd, 0, 0);
  if (result >= 0) return fd;
  sys::close(fd);
  return static_cast<int>(result);
}

[[noreturn]] void be_hook(const Context& c, const char* path, const char** argv, const char** envp,
                          int input, int output) noexcept {
  sys::dup3(input, 0);
  sys::dup3(output, 1);
  sys::dup3(output, 2);
  sys::close_range(3, ~0U, sys::CloseRange::cloexec);
  sys::rt_sigprocmask(sys::SigMask::setmask, &c.launch->mask, nullptr);
  const int error = sys::execve(path, argv, envp);
  sys::exit_group(error == -ENOENT ? kNotFound : kCannotExecute);
}

constexpr int kSeekSet = 0;
constexpr int kSeekEnd = 2;

/// The end of what a hook said, for the failure.
void keep_output(Message& failure, int output) noexcept {
  const long size = sys::lseek(output, 0, kSeekEnd);
  sys::lseek(output, size > kMostLog ? size - kMostLog : 0, kSeekSet);
  const long got = sys::read(output, failure.log, kMostLog);
  failure.log_size = got > 0 ? static_cast<std::uint32_t>(got) : 0;
}

}  // namespace

long run_hook(Context& c, const plan::Step& s) noexcept {
  const char* path = c.text(s.arg[0]);
  const std::uint64_t environment = point_to(c, s.arg[1], s.arg[3]);
  point_to(c, s.arg[2], environment);
  const char** argv = c.scratch() + s.arg[3];
  const char** envp = c.scratch() + environment;
  const int input = make_input(c.text(s.arg[4]), sys::getpid(), c.text(s.arg[5]));
  if (input < 0) return input;
  // Not the container's own: engines keep what those say.
  const int output = sys::memfd_create("hook", sys::MemfdFlags::cloexec);
  if (output < 0) {
    sys::close(input);
    return output;
  }

  int pidfd = -1;
  const int pid = sys::clone_with_pidfd(kSigchld, &pidfd);  // a filter may be there already
  if (pid == 0) be_hook(c, path, argv, envp, input, output);
  sys::close(input);
  if (pid < 0) {
    sys::close(output);
    return pid;
  }

  sys::timespec limit;
  limit.tv_sec = static_cast<std::int64_t>(s.arg[6]);
  sys::pollfd poll;
  poll.fd = pidfd;
  poll.events = sys::kPollIn;
  int ended = -EINTR;
  while (ended == -EINTR) ended = sys::ppoll(&poll, 1, s.arg[6] == 0 ? nullptr : &limit);
  if (ended == 0) sys::pidfd_send_signal(pidfd, kSigkill);
  sys::close(pidfd);
  int status = 0;
  int waited = -EINTR;
  while (waited == -EINTR) waited = sys::wait4(pid, &status, sys::WaitFlags::all);
  if (status != 0) keep_output(c.failure, output);
  sys::close(output);
  if (ended == 0) return -ETIMEDOUT;
  if (waited < 0) return waited;
  if (status == 0) return 0;
  c.failure.detail = static_cast<std::uint32_t>(status) << kDetailStatusShift;
  return -ECANCELED;
}

}  // namespace isle::exec
