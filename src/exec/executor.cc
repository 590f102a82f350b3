#include "exec/executor.h"

#include <linux/errno.h>

#include <cstddef>
#include <new>

#include "exec/context.h"
#include "exec/message.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle::exec {
namespace {

using plan::Actor;
using plan::Op;
using plan::Step;

constexpr sys::sigset kAllSignals = ~sys::sigset{0};
constexpr int kSigchld = 17;
constexpr int kSigkill = 9;
constexpr int kSigcont = 18;
constexpr int kFailedStatus = 125;
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: of the process itself, not to be passed on.
constexpr sys::sigset kOwnSignals = sys::signal_bit(4) | sys::signal_bit(5) | sys::signal_bit(6) |
                                    sys::signal_bit(7) | sys::signal_bit(8) | sys::signal_bit(11);

[[noreturn]] void run_steps_as(Context& context, Actor actor, std::uint32_t from) noexcept;

/// What every clone has in common. `host_pid`, in the arena or null, is written by the kernel.
sys::clone_args clone_arguments(const Context& context, sys::CloneFlags flags, int cgroup,
                                int* pidfd, std::int32_t* host_pid) noexcept {
  sys::clone_args args;
  args.flags = sys::bits(flags | sys::CloneFlags::pidfd);
  args.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  if (host_pid != nullptr) {
    *host_pid = 0;  // so that the page is there when the kernel writes
    args.flags |= sys::bits(sys::CloneFlags::parent_settid);
    args.parent_tid = reinterpret_cast<std::uint64_t>(host_pid);
  }
  if (context.launch->clone_parent && context.actor == Actor::runtime) {
    args.flags |= sys::bits(sys::CloneFlags::parent);  // the exit signal is then isle-exec's own
  } else {
    args.exit_signal = kSigchld;
  }
  if (cgroup >= 0) {
    args.flags |= sys::bits(sys::CloneFlags::into_cgroup);
    args.cgroup = static_cast<std::uint64_t>(cgroup);
  }
  return args;
}

/// One plain process.
int clone_plain(const Context& context, int* pidfd, std::int32_t* host_pid) noexcept {
  sys::clone_args args = clone_arguments(context, sys::CloneFlags::none, -1, pidfd, host_pid);
  const int pid = sys::clone3(&args);
  if (pid < 0) *pidfd = -1;  // the kernel writes it before it knows whether there will be a child
  return pid;
}

/// The guard: holds nothing but the pipe's read end; the end of all write ends is its signal.
[[noreturn]] void be_guard(Context& context) noexcept {
  const Launch& launch = *context.launch;
  sys::setsid();
  sys::rt_sigprocmask(sys::SigMask::setmask, &kAllSignals, nullptr);
  const auto pipe = static_cast<std::uint32_t>(launch.guard_read);
  if (pipe > 0) sys::close_range(0, pipe - 1, sys::CloseRange::none);
  sys::close_range(pipe + 1, ~0U, sys::CloseRange::none);
  char started = 0;
  for (;;) {
    const long got = sys::read(launch.guard_read, &started, 1);
    if (got == 1) context.started = true;
    if (got <= 0 && got != -EINTR) break;
  }
  sys::exit_group(run_undo(launch, context.started, launch.plan->step_count) == 0 ? 0 : 1);
}

long start_guard(Context& context) noexcept {
  const int pid = clone_plain(context, &context.guard_pidfd, &context.launch->plan->guard_pid);
  if (pid == 0) be_guard(context);
  context.guard = pid;
  return pid < 0 ? pid : 0;
}

/// What init starts with: its own context, which with CLONE_VM lies at the end of its own stack.
struct InitStart {
  Context context;
  int runtime_end = -1;
  std::uint32_t from = 0;
};

void be_init(void* argument) noexcept {
  InitStart& start = *static_cast<InitStart*>(argument);
  sys::close(start.runtime_end);
  run_steps_as(start.context, Actor::init, start.from);
}

/// With CLONE_VM the child shares this memory until its execve, which spares copying page tables
/// and every fault after that; it has a stack of its own and touches nothing that we do.
long start_init(Context& context, const Step& step, std::uint32_t index) noexcept {
  int pair[2];
  const int made = sys::socketpair(sys::AddressFamily::unix_,
                                   sys::SocketType::seqpacket | sys::SocketType::cloexec, 0, pair);
  if (made < 0) return made;
  const auto flags = sys::CloneFlags{step.arg[0]};
  const int cgroup = step.arg[1] == plan::kNoRegister ? -1 : context.in(step.arg[1]);
  sys::clone_args args = clone_arguments(context, flags, cgroup, &context.child_pidfd,
                                         &context.launch->plan->child_pid);
  int pid = 0;
  if (any(flags & sys::CloneFlags::vm)) {
    char* top = static_cast<char*>(context.launch->stack_top);
    top -= (sizeof(InitStart) + 15) & ~std::size_t{15};
    InitStart& start = *new (static_cast<void*>(top)) InitStart{context, pair[0], index + 1};
    start.context.channel = pair[1];
    pid = sys::clone3_on_stack(&args, top, be_init, &start);
  } else {
    pid = sys::clone3(&args);
    if (pid == 0) {
      InitStart start{context, pair[0], index + 1};
      start.context.channel = pair[1];
      be_init(&start);
    }
  }
  sys::close(pair[1]);
  if (pid < 0) {
    context.child_pidfd = -1;  // as in clone_plain()
    sys::close(pair[0]);
    return pid;
  }
  context.channel = pair[0];
  context.child = pid;
  return 0;
}

/// Notes what came from init; true where it was its failure.
bool note(Context& context, const Message& message) noexcept {
  if (message.kind == Message::Kind::created) context.started = true;
  if (message.kind != Message::Kind::failed) return false;
  context.failure = message;
  context.failed = context.child_failed = true;
  return true;
}

/// Waits for the other side: a rendezvous or a descriptor. The end of the other side is -EPIPE.
long await_message(Context& context, Message::Kind kind, plan::Point point, int* fd) noexcept {
  Message message;
  for (;;) {
    const int got = receive(context.channel, &message, fd);
    if (got < 0) return got;
    if (got == 0 || note(context, message)) return -EPIPE;
    if (message.kind == kind && (kind == Message::Kind::fd || message.point == point)) return 0;
  }
}

long post(Context& context, const Step& step) noexcept {
  Message message;
  message.kind = Message::Kind::reached;
  message.point = static_cast<plan::Point>(step.arg[0]);
  return send(context.channel, message);
}

/// Whether the runtime still has its end open.
long check_alive(const Context& context) noexcept {
  sys::pollfd poll;
  poll.fd = context.channel;
  sys::timespec now;
  const int ready = sys::ppoll(&poll, 1, &now);
  if (ready < 0) return ready;
  return (poll.revents & sys::kPollHup) != 0 ? -ESRCH : 0;
}

/// While one lives, SIGHUP, SIGINT, SIGQUIT and SIGTERM end this process, whoever sends them: from the
/// first one of a pid namespace the kernel keeps what that does not handle, pid_namespaces(7).
class EndsBySignal {
 public:
  EndsBySignal() noexcept {
    // A handler that does not return: there is nothing to restore.
    constexpr std::uint64_t kRestorer = 0x04000000;
    sys::kernel_sigaction end;
    end.handler = end.restorer = reinterpret_cast<std::uint64_t>(&end_by);
    end.flags = kRestorer;
    for (int i = 0; i < kSignals; ++i) sys::rt_sigaction(kEnding[i], &end, &before_[i]);
  }
  ~EndsBySignal() {
    for (int i = 0; i < kSignals; ++i) sys::rt_sigaction(kEnding[i], &before_[i], nullptr);
  }
  EndsBySignal(const EndsBySignal&) = delete;
  EndsBySignal& operator=(const EndsBySignal&) = delete;

 private:
  static constexpr int kSignals = 4;
  static constexpr int kEnding[kSignals] = {1, 2, 3, 15};
  static void end_by(int signal) noexcept {
    constexpr int kBySignal = 128;  // as a shell tells of it
    sys::exit_group(kBySignal + signal);
  }
  sys::kernel_sigaction before_[kSignals];
};

/// Lets the runtime go, and waits for whoever starts the command: that one is told what comes of
/// it, as the runtime would have been.
long await_start(Context& context, const Step& step) noexcept {
  const EndsBySignal ends;
  Message message;
  message.kind = Message::Kind::created;
  if (const int sent = send(context.channel, message); sent < 0) return sent;
  sys::close(context.channel);
  context.channel = -1;
  int peer = -EINTR;
  while (peer == -EINTR)
    peer = sys::accept4(context.in(step.arg[0]), nullptr, nullptr, sys::FdFlags::cloexec);
  if (peer < 0) return peer;
  context.channel = peer;
  context.has_starter = true;
  return 0;
}

/// What a caller says no to is that caller's to tell; here it is only an end.
long call(Context& context, const Step& step) noexcept {
  const int caller = context.launch->caller;
  if (caller < 0) return -ENOTCONN;
  Message message;
  message.kind = Message::Kind::call;
  message.point = static_cast<plan::Point>(step.arg[0]);
  message.detail = static_cast<std::uint32_t>(context.child);
  const int fd = step.arg[1] == plan::kNoRegister ? -1 : context.in(step.arg[1]);
  if (const int sent = send(caller, message, fd); sent < 0) return sent;
  int none = -1;
  const int got = receive(caller, &message, &none);
  if (got < 0) return got;
  return got == 0 ? -EPIPE : -message.error;
}

/// Signals are blocked from before there is a child to wait for, so that the first SIGCHLD stays
/// pending; the child's mask is set before its execve.
long start_command(Context& context, std::uint32_t index) noexcept {
  sys::rt_sigprocmask(sys::SigMask::setmask, &kAllSignals, nullptr);
  const int pid = clone_plain(context, &context.child_pidfd, nullptr);
  if (pid == 0) run_steps_as(context, Actor::command, index + 1);
  context.child = pid;
  return pid < 0 ? pid : 0;
}

/// Pid 1: ends as the command ends. Nothing of the host stays open or mapped in it but its code.
[[noreturn]] void reap(const Context& context) noexcept {
  sys::prctl(sys::Prctl::set_dumpable, 0, 0, 0, 0);  // the command cannot trace its pid 1
  const int command = context.child;
  sys::close_range(0, ~0U, sys::CloseRange::none);
  sys::munmap(context.launch->plan, plan::arena_size(context.plan()));
  for (;;) {
    sys::siginfo info;
    const int signal = sys::rt_sigtimedwait(&kAllSignals, &info, nullptr);
    if (signal > 0 && signal != kSigchld && (sys::signal_bit(signal) & kOwnSignals) == 0)
      sys::kill(command, signal);
    for (;;) {
      int status = 0;
      const int pid = sys::wait4(-1, &status, sys::WaitFlags::nohang | sys::WaitFlags::all);
      if (pid <= 0) break;
      if (pid != command) continue;
      const int killed_by = status & 0x7f;
      sys::exit_group(killed_by != 0 ? 128 + killed_by : (status >> 8) & 0xff);
    }
  }
}

/// As execve(2) refuses it, which access(2) does not.
bool is_directory(const char* path) noexcept {
  sys::statx_t stat;
  return sys::statx(sys::kAtFdcwd, path, sys::AtFlags::none, sys::StatxMask::basic_stats, &stat) ==
             0 &&
         (stat.stx_mode & sys::kModeTypeMask) == sys::kModeDirectory;
}

/// One that is looked for goes by the next directory; one that has a path is nowhere else.
bool is_elsewhere(long error, const Step& step) noexcept {
  return error == -ENOENT || (error == -ENOTDIR && plan::high(step.arg[0]) > 1);
}

/// -ENOENT, or -EACCES where one is there that may not be executed.
long expect_command(Context& context, const Step& step) noexcept {
  long result = -ENOENT;
  const char* candidate = context.text(step.arg[0]);
  for (std::uint32_t i = 0; i < plan::high(step.arg[0]); ++i) {
    int error = sys::faccessat2(sys::kAtFdcwd, candidate, sys::Access::x_ok, sys::AtFlags::eaccess);
    if (error == 0 && is_directory(candidate)) error = -EACCES;
    if (error == 0) return 0;
    if (!is_elsewhere(error, step)) {
      result = error;
      if (context.failure.detail == 0) context.failure.detail = i + 1;
    }
    while (*candidate++ != '\0') {
    }
  }
  return result;
}

/// Tries the candidates in order, as execvp(3) does, but never hands a file to a shell.
long execute(Context& context, const Step& step) noexcept {
  const std::uint64_t environment = point_to(context, step.arg[1], step.arg[3]);
  point_to(context, step.arg[2], environment);
  const char** argv = context.scratch() + step.arg[3];
  const char** envp = context.scratch() + environment;

  if (context.has_starter) {
    Message message;
    message.kind = Message::Kind::executing;
    if (const int sent = send(context.channel, message); sent < 0) return sent;
  } else if (context.channel >= 0) {  // in place there is nobody to tell
    // Any other error is a filter's, which is in place by now.
    if (const long alive = check_alive(context); alive == -ESRCH) return alive;
    // The runtime need not wake up for this: it looks when the channel's end wakes it.
    context.launch->plan->executing = 1;
  }
  sys::rt_sigprocmask(sys::SigMask::setmask, &context.launch->mask, nullptr);

  long result = -ENOENT;
  const char* candidate = context.text(step.arg[0]);
  for (std::uint32_t i = 0; i < plan::high(step.arg[0]); ++i) {
    const int error = sys::execve(candidate, argv, envp);
    const bool exists =
        sys::faccessat2(sys::kAtFdcwd, candidate, sys::Access::f_ok, sys::AtFlags::none) == 0;
    if (exists && context.failure.detail == 0) context.failure.detail = i + 1;
    if (error == -EACCES || (exists && error == -ENOENT)) {
      if (result == -ENOENT) result = error;
    } else if (!is_elsewhere(error, step)) {
      return error;
    }
    while (*candidate++ != '\0') {
    }
  }
  return result;
}

/// What a test stops here it may let go on, by SIGCONT.
void hang() noexcept {
  constexpr sys::sigset kContinue = sys::signal_bit(kSigcont);
  sys::sigset before = 0;
  // All of them, so that the mask tells who looks from outside that this is where we are.
  sys::rt_sigprocmask(sys::SigMask::setmask, &kAllSignals, &before);
  sys::siginfo info;
  while (sys::rt_sigtimedwait(&kContinue, &info, nullptr) != kSigcont) {
  }
  sys::rt_sigprocmask(sys::SigMask::setmask, &before, nullptr);
}

long do_step(Context& context, const Step& step, std::uint32_t index) noexcept {
  const plan::Header& header = *context.plan();
  if (header.fault_step == index) {
    if (header.fault_kind == plan::FaultKind::fail) return -header.fault_error;
    if (header.fault_kind == plan::FaultKind::hang) hang();
  }
  int fd = -1;
  switch (step.op) {
    case Op::guard:
      return start_guard(context);
    case Op::clone3:
      return start_init(context, step, index);
    case Op::post:
      return post(context, step);
    case Op::await:
      return await_message(context, Message::Kind::reached, static_cast<plan::Point>(step.arg[0]),
                           &fd);
    case Op::alive:
      return check_alive(context);
    case Op::await_start:
      return await_start(context, step);
    case Op::call:
      return call(context, step);
    case Op::hook:
      return run_hook(context, step);
    case Op::spawn:
      return start_command(context, index);
    case Op::reap:
      reap(context);
    case Op::expect_command:
      return expect_command(context, step);
    case Op::execve:
      return execute(context, step);
    case Op::send_fd: {
      Message message;
      message.kind = Message::Kind::fd;
      return send(context.channel, message, context.in(step.arg[0]));
    }
    case Op::receive_fd: {
      const long got = await_message(context, Message::Kind::fd, plan::Point{}, &fd);
      return got < 0 ? got : context.out(step.arg[0], fd);
    }
    default:
      return do_operation(context, step);
  }
}

/// Goes through the actor's steps from `from`; true when all are done.
bool run_steps(Context& context, std::uint32_t from) noexcept {
  const plan::Header& header = *context.plan();
  for (std::uint32_t i = from; i < header.step_count; ++i) {
    const Step& step = plan::steps(&header)[i];
    if (step.actor != context.actor) continue;
    if (step.op != Op::write_file) end_writing(context);
    const long result = do_step(context, step, i);
    if (result < 0) {
      end_writing(context);
      if (-result == step.pass_over || step.pass_over == plan::kAnyError) {
        i += step.skip;
        continue;
      }
      if (!context.failed) {
        context.failure.kind = Message::Kind::failed;
        context.failure.step = static_cast<std::uint16_t>(i);
        context.failure.error = static_cast<std::int32_t>(-result);
        context.failed = true;
      }
      return false;
    }
    if (header.record_times != 0) {
      sys::timespec now;
      sys::clock_gettime(sys::Clock::monotonic, &now);
      context.done_ns()[i] = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
                             static_cast<std::uint64_t>(now.tv_nsec);
    }
    if ((step.flags & plan::kSkipsIfDone) != 0) i += step.skip;
  }
  end_writing(context);
  return true;
}

void run_steps_as(Context& context, Actor actor, std::uint32_t from) noexcept {
  context.actor = actor;
  if (!run_steps(context, from) && context.channel >= 0) send(context.channel, context.failure);
  sys::exit_group(kFailedStatus);
}

/// Whether the child has ended. One that closed its channel or has no task any more is about to.
bool child_ended(const Context& context) noexcept {
  const bool is_ending = context.failure.error == EPIPE || context.failure.error == ESRCH;
  sys::pollfd poll;
  poll.fd = context.child_pidfd;
  poll.events = sys::kPollIn;
  sys::timespec time;
  time.tv_sec = is_ending ? 1 : 0;
  return sys::ppoll(&poll, 1, &time) == 1;
}

/// A child's last words say why it failed, and come before the runtime's own complaint (ESRCH and
/// EPIPE are only consequences). One that ended without a word was killed.
void end_child(Context& context) noexcept {
  if (context.child_pidfd < 0) return;
  Message message;
  int fd = -1;
  while (receive(context.channel, &message, &fd, false) == 1) {
    if (fd >= 0) sys::close(fd);
    note(context, message);
  }
  if (!context.child_failed && child_ended(context)) {
    context.failure.step = context.plan()->clone_step;
    context.failure.error = 0;
    context.failure.detail = 0;
    context.failure.log_size = 0;
  }
  sys::pidfd_send_signal(context.child_pidfd, kSigkill);
}

}  // namespace

int run_undo(const Launch& launch, bool started, std::uint32_t end) noexcept {
  Context context;
  context.launch = &launch;
  context.actor = Actor::undo;
  int failures = 0;
  for (std::uint32_t i = 0; i < end; ++i) {
    const Step& step = plan::steps(launch.plan)[i];
    if (step.actor != Actor::undo || (started && (step.flags & plan::kOnFailureOnly) != 0))
      continue;
    const long done = do_operation(context, step);
    if (done < 0 && -done != step.pass_over && step.pass_over != plan::kAnyError) ++failures;
  }
  return failures;
}

void run_plan(const Launch& launch, Outcome* outcome) noexcept {
  Context context;
  context.launch = &launch;
  for (int& fd : context.registers) fd = -1;
  bool done = run_steps(context, 0);
  if (done && context.child_pidfd >= 0) {  // until execve closes the other end
    Message message;
    int fd = -1;
    while (!context.failed && receive(context.channel, &message, &fd) == 1) note(context, message);
    context.started = context.started || context.plan()->executing != 0;
    done = !context.failed && context.started;
    if (!done && !context.failed) {
      context.failure.step = context.plan()->clone_step;
      context.failure.error = 0;
    }
  }
  outcome->child = context.child;
  outcome->pidfd = context.child_pidfd;
  outcome->guard = context.guard;
  outcome->guard_pidfd = context.guard_pidfd;
  if (!done) {
    end_child(context);
    outcome->step = context.failure.step;
    outcome->error = context.failure.error;
    outcome->detail = context.failure.detail;
    outcome->log_size = context.failure.log_size;
    for (std::uint32_t i = 0; i < context.failure.log_size; ++i)
      outcome->log[i] = context.failure.log[i];
  }
  if (context.channel >= 0) sys::close(context.channel);
  const std::uint8_t console = launch.plan->console_register;
  const std::uint8_t listener = launch.plan->listener_register;
  for (int i = 0; i < plan::kRegisters; ++i) {
    if (i == console) {
      outcome->console = context.registers[i];
    } else if (i == listener) {
      outcome->listener = context.registers[i];
    } else if (context.registers[i] >= 0) {
      sys::close(context.registers[i]);
    }
  }
}

}  // namespace isle::exec
