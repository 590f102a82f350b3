// Operations on namespaces and ids.
#include <linux/errno.h>

#include "exec/message.h"
#include "exec/operations.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle::exec {
namespace {

using plan::Op;
using plan::Step;

/// Waits for a child that has called execve, which makes its end a SIGCHLD whatever clone said: one
/// that is ignored would take the status along (kernel: do_notify_parent()).
class ChildStatus {
 public:
  ChildStatus() noexcept { sys::rt_sigaction(kSigchld, &kDefault, &before_); }
  ~ChildStatus() { sys::rt_sigaction(kSigchld, &before_, nullptr); }
  ChildStatus(const ChildStatus&) = delete;
  ChildStatus& operator=(const ChildStatus&) = delete;

 private:
  static constexpr int kSigchld = 17;
  static constexpr sys::kernel_sigaction kDefault{};
  sys::kernel_sigaction before_;
};

/// Runs newuidmap or newgidmap with the child's pid and waits; what it says on standard error
/// becomes the failure's log, its wait status the failure's detail.
long map_program(Context& c, const Step& s) noexcept {
  Text<24> pid_text;
  pid_text.add_number(static_cast<unsigned long>(c.child));
  const char** argv = c.scratch() + s.arg[2];
  argv[0] = c.text(s.arg[0]);
  argv[1] = pid_text.bytes;
  point_to(c, s.arg[1], s.arg[2] + 2);
  static const char* const kNoEnvironment[] = {nullptr};

  int output[2];
  if (const int made = sys::pipe2(output, sys::FdFlags::cloexec); made < 0) return made;
  const ChildStatus kept;
  sys::clone_args args;
  const int pid = sys::clone3(&args);
  if (pid == 0) {
    sys::dup3(output[1], 2);
    sys::exit_group(-sys::execve(argv[0], argv, kNoEnvironment) == ENOENT ? 127 : 126);
  }
  sys::close(output[1]);
  Message& failure = c.failure;
  long got = pid < 0 ? 0 : 1;
  failure.log_size = 0;
  while (got > 0 && failure.log_size < kMostLog) {
    got = sys::read(output[0], failure.log + failure.log_size, kMostLog - failure.log_size);
    if (got > 0) failure.log_size += static_cast<std::uint32_t>(got);
  }
  sys::close(output[0]);
  if (pid < 0) return pid;
  int status = 0;
  const int waited = sys::wait4(pid, &status, sys::WaitFlags::all);
  if (waited < 0) return waited;
  if (status == 0) {
    failure.log_size = 0;
    return 0;
  }
  failure.detail = static_cast<std::uint32_t>(status) << kDetailStatusShift;
  return -EPERM;
}

/// The type that a kernel lacks has no file, and no number.
long note_namespaces(const Context& c, const Step& s) noexcept {
  const char* name = c.text(s.arg[1]);
  for (std::uint32_t i = 0; i < plan::high(s.arg[1]) && i < plan::kMostNamespaces; ++i) {
    Text<64> path;
    path.add("self/ns/").add(name);
    sys::statx_t stat;
    const int result =
        sys::statx(c.in(s.arg[0]), path.bytes, sys::AtFlags::none, sys::StatxMask::ino, &stat);
    if (result < 0 && result != -ENOENT) return result;
    c.namespace_inodes()[i] = result < 0 ? 0 : stat.stx_ino;
    name += length_of(name) + 1;
  }
  return 0;
}

}  // namespace

long do_identity(Context& c, const Step& s) noexcept {
  char name[64];
  const auto id = static_cast<std::uint32_t>(s.arg[0]);
  switch (s.op) {
    case Op::unshare:
      return sys::unshare(static_cast<sys::CloneFlags>(s.arg[0]));
    case Op::setns:
      return sys::setns(c.in(s.arg[0]), static_cast<sys::CloneFlags>(s.arg[1]));
    case Op::persist: {
      Text<64> path;
      path.add("ns/").add(c.text(s.arg[0]));
      proc_path(name, c.child, path.bytes);
      return sys::mount(name, c.text(s.arg[1]), nullptr, sys::MountFlags::bind, nullptr);
    }
    case Op::note_namespaces:
      return note_namespaces(c, s);
    case Op::write_child: {
      proc_path(name, c.child, c.text(s.arg[0]));
      constexpr std::size_t kProc = sizeof "/proc/" - 1;
      const bool here = s.arg[2] != plan::kNoRegister;
      return write_once(here ? c.in(s.arg[2]) : sys::kAtFdcwd, here ? name + kProc : name,
                        c.text(s.arg[1]), false);
    }
    case Op::map_program:
      return map_program(c, s);
    case Op::setgroups:
      return sys::setgroups(plan::high(s.arg[0]) / sizeof(std::uint32_t),
                            blob<std::uint32_t>(c, s.arg[0]));
    case Op::setresgid:
      return sys::setresgid(id, id, id);
    case Op::setresuid:
      return sys::setresuid(id, id, id);
    default:
      return -ENOSYS;
  }
}

}  // namespace isle::exec
