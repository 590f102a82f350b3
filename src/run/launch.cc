// From a plan to a process: who carries it out, what is left to do when that went wrong, and the
// process's own end. See exec/executor.h for what happens in between.
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "exec/executor.h"
#include "exec/message.h"
#include "isle/run.h"
#include "plan/view.h"
#include "run/arena.h"
#include "run/explain.h"
#include "run/helper.h"
#include "sys/io_calls.h"
#include "sys/proc_files.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle {

struct Process::State {
  Arena arena;
  std::unique_ptr<char[]> stack;  ///< Of a child that shares memory; until it is reaped.
  pid_t pid = 0;
  Fd pidfd;
  Fd console;
  Fd listener;
  bool guarded = false;  ///< The plan has a guard.
  Fd guard_pidfd;
  Fd guard_pipe;          ///< Its end is the guard's signal to undo.
  bool is_pid_1 = false;  ///< ... of a new pid namespace, with no init of isle's own.
  bool waited = false;
  int ended_for = 0;  ///< The signal that SIGKILL stood in for.
};

namespace {

bool plan_has(const Plan& plan, plan::Op op, plan::Actor actor) {
  const plan::View view(plan);
  return std::any_of(view.steps().begin(), view.steps().end(),
                     [&](const plan::Step& step) { return step.op == op && step.actor == actor; });
}

bool undoes_at_end(const Plan& plan) {
  const plan::View view(plan);
  return std::any_of(view.steps().begin(), view.steps().end(), [](const plan::Step& step) {
    return step.actor == plan::Actor::undo && (step.flags & plan::kOnFailureOnly) == 0;
  });
}

sys::CloneFlags clone_flags(const Plan& plan) {
  const plan::View view(plan);
  return sys::CloneFlags{view.steps()[view.header()->clone_step].arg[0]};
}

bool clones_pid_1(const Plan& plan) {
  return any(clone_flags(plan) & sys::CloneFlags::newpid) &&
         !plan_has(plan, plan::Op::reap, plan::Actor::init);
}

/// Descriptors of the caller that the plan names by number: those it uses, and those it leaves
/// open for the command, the gaps between its close_range steps.
std::vector<int> named_descriptors(const Plan& plan) {
  std::vector<int> numbers;
  constexpr uint64_t kFirst = 3;
  uint64_t next = kFirst;
  for (const plan::Step& step : plan::View(plan).steps()) {
    if (step.op == plan::Op::use_fd && step.arg[0] >= kFirst)
      numbers.push_back(static_cast<int>(step.arg[0]));
    if (step.op != plan::Op::close_range) continue;
    for (; next < step.arg[0]; ++next) numbers.push_back(static_cast<int>(next));
    next = step.arg[1] + 1;
  }
  return numbers;
}

uint64_t current_mask() {
  uint64_t mask = 0;
  sys::rt_sigprocmask(sys::SigMask::setmask, nullptr, &mask);
  return mask;
}

/// Reaps what `pidfd` refers to. False with errno ECHILD: somebody else did.
bool reap(int pidfd, siginfo_t& info) {
  info = {};
  int result = -1;
  do result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | __WALL);
  while (result < 0 && errno == EINTR);
  return result == 0;
}

/// Undoes what the plan's steps before `end` made.
bool undo(const Process::State& state, bool started, uint32_t end) {
  exec::Launch launch;
  launch.plan = state.arena.header();
  return exec::run_undo(launch, started, end) == 0;
}

/// Lets the guard undo, or does it in its place where it is gone. Errors: what could not be undone.
Status end_guard(Process::State& state, bool started) {
  if (!state.guard_pidfd) return {};
  state.guard_pipe.reset();
  siginfo_t info;
  const bool exited = reap(state.guard_pidfd.get(), info) && info.si_code == CLD_EXITED;
  state.guard_pidfd.reset();
  if (exited ? info.si_status == 0 : undo(state, started, state.arena.header()->step_count))
    return {};
  return fail(0, "undo what was made for the sandbox: a cgroup or a kept namespace is left behind",
              "find it with isle ls; a cgroup is removed by rmdir when nothing runs in it");
}

/// After a launch that failed at step `end`. A plan without a guard is undone here.
void undo_failed(Process::State& state, uint32_t end) {
  if (state.guarded)
    (void)end_guard(state, false);
  else
    (void)undo(state, false, end);
}

/// isle-exec did not live to hand over what it had started: those are our children all the same.
void end_orphans(Process::State& state) {
  const auto adopt = [](pid_t pid) {
    Fd pidfd(pid > 0 ? sys::pidfd_open(pid) : -1);
    siginfo_t info;  // ECHILD: somebody reaped it, and the number may be another's by now
    if (pidfd && ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info,
                          WEXITED | WNOHANG | WNOWAIT | __WALL) != 0)
      pidfd.reset();
    return pidfd;
  };
  if (const Fd child = adopt(state.arena.header()->child_pid); child) {
    sys::pidfd_send_signal(child.get(), SIGKILL);
    siginfo_t info;
    reap(child.get(), info);
  }
  state.guard_pidfd = adopt(state.arena.header()->guard_pid);
  undo_failed(state, state.arena.header()->step_count);
}

/// `refused` becomes what the caller said no with.
Result<exec::Outcome> carry_out(const Plan& plan, const LaunchOptions& options,
                                const Process::State& state, BorrowedFd guard_read,
                                std::optional<Error>& refused) {
  const uint64_t mask = options.signal_mask.value_or(current_mask());
  if (options.carrier == LaunchOptions::Carrier::helper) {
    std::function<void()> meanwhile;
    if (options.on_progress) meanwhile = [&] { options.on_progress(state.arena.times()); };
    OnCall on_call;
    if (plan_has(plan, plan::Op::call, plan::Actor::runtime))
      on_call = [&](CallPoint point, pid_t host_pid, BorrowedFd listener) {
        if (!options.on_call) return 0;
        Status status = options.on_call(point, host_pid, listener);
        if (!status) refused = std::move(status.error());
        return refused ? ECANCELED : 0;
      };
    return run_by_helper(state.arena.fd(), guard_read, named_descriptors(plan), options.stdio, mask,
                         meanwhile, on_call);
  }
  exec::Launch launch;
  launch.plan = state.arena.header();
  launch.guard_read = guard_read.get();
  launch.guard_write = state.guard_pipe.get();
  launch.mask = mask;
  launch.stack_top = state.stack.get() + exec::kStackBytes;
  // A child that shares this memory and changes its credentials makes the memory's owner, which we
  // are, undumpable (kernel: commit_creds()); then our own /proc/self would be root's.
  const int dumpable = sys::prctl(sys::Prctl::get_dumpable, 0, 0, 0, 0);
  exec::Outcome outcome;
  exec::run_plan(launch, &outcome);
  constexpr int kDumpable = 1;
  if (dumpable == kDumpable) sys::prctl(sys::Prctl::set_dumpable, kDumpable, 0, 0, 0);
  return outcome;
}

/// A plan that joins namespaces before the clone changes the process that does it; a pid 1 of
/// isle's own is isle-exec; and who asks its caller is another than that. All need the helper.
bool needs_helper(const Plan& plan) {
  return plan_has(plan, plan::Op::setns, plan::Actor::runtime) ||
         plan_has(plan, plan::Op::chroot, plan::Actor::runtime) ||
         plan_has(plan, plan::Op::reap, plan::Actor::init) ||
         plan_has(plan, plan::Op::call, plan::Actor::runtime);
}

/// "SigCgt:\t0000000000000002" of /proc/PID/status.
uint64_t signal_set(std::string_view status, std::string_view field) {
  const std::string text(sys::status_field(status, field));
  return std::strtoull(text.c_str(), nullptr, 16);
}

/// Signals whose default action does not end a process, signal(7).
bool ends_by_default(int signal) {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
      return false;
    default:
      return true;
  }
}

}  // namespace

Process::Process(Process&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Process::~Process() {
  if (state_ == nullptr) return;
  if (!state_->waited) {
    sys::pidfd_send_signal(state_->pidfd.get(), SIGKILL);
    (void)wait();
  }
  delete state_;
}

pid_t Process::release() && {
  const pid_t pid = state_->pid;
  state_->waited = true;
  (void)end_guard(*state_, true);
  return pid;
}

pid_t Process::host_pid() const { return state_->pid; }
BorrowedFd Process::pidfd() const { return state_->pidfd.borrow(); }
BorrowedFd Process::console() const { return state_->console.borrow(); }
BorrowedFd Process::listener() const { return state_->listener.borrow(); }
std::vector<StepTime> Process::step_times() const { return state_->arena.times(); }
uint64_t Process::namespace_inode(NamespaceType type) const {
  return state_->arena.namespace_inode(type);
}

Status Process::signal(int signal) {
  State& state = *state_;
  if (state.waited) return fail(ESRCH, "send a signal: the process has ended");
  constexpr int kLastSignal = 64;
  if (signal < 0 || signal > kLastSignal)
    return fail(EINVAL, "send signal " + std::to_string(signal) + ": there is no such signal");
  int send = signal;
  if (state.is_pid_1 && ends_by_default(signal) && signal != SIGKILL && signal != 0) {
    const auto status = sys::read_text("/proc/" + std::to_string(state.pid) + "/status");
    const uint64_t bit = uint64_t{1} << (signal - 1);
    const bool seen = status && ((signal_set(*status, "SigCgt") | signal_set(*status, "SigIgn") |
                                  signal_set(*status, "SigBlk")) &
                                 bit) != 0;
    if (status && !seen) {
      send = SIGKILL;
      state.ended_for = signal;
    }
  }
  const int result = sys::pidfd_send_signal(state.pidfd.get(), send);
  if (result < 0)
    return fail(-result,
                "send signal " + std::to_string(signal) + " to pid " + std::to_string(state.pid));
  return {};
}

Result<ExitStatus> Process::wait() {
  State& state = *state_;
  if (state.waited) return fail(ECHILD, "wait: the process has been waited for");
  siginfo_t info;
  const bool reaped = reap(state.pidfd.get(), info);
  const int error = errno;
  state.waited = true;
  const Status undone = end_guard(state, true);
  if (!reaped)
    return fail(error, "wait for pid " + std::to_string(state.pid),
                "SIGCHLD must not be ignored, and nobody else may wait for it");
  if (!undone) return std::unexpected(undone.error());
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal =
        info.si_status == SIGKILL && state.ended_for != 0 ? state.ended_for : info.si_status;
    status.core_dumped = info.si_code == CLD_DUMPED;
  }
  return status;
}

Result<Process> launch(const Plan& plan, const LaunchOptions& options) {
  if (Status status = verify(plan); !status) return std::unexpected(status.error());
  if (plan::View(plan).header()->clone_step == plan::kNoStep)
    return fail(0, "launch: this plan makes no process; become() carries it out");
  LaunchOptions settled = options;
  if (needs_helper(plan) || settled.stdio != LaunchOptions{}.stdio || settled.on_progress)
    settled.carrier = LaunchOptions::Carrier::helper;
  settled.record_times = settled.record_times || settled.on_progress;

  // From here on Process's destructor cleans up.
  Process process(new Process::State);
  Process::State& state = *process.state_;
  state.waited = true;  // nothing to wait for yet
  auto sharing = Arena::Sharing::programs;
  if (settled.carrier == LaunchOptions::Carrier::direct)
    sharing = any(clone_flags(plan) & sys::CloneFlags::vm) ? Arena::Sharing::threads
                                                           : Arena::Sharing::processes;
  auto arena = Arena::make(plan, settled, sharing);
  if (!arena) return std::unexpected(arena.error());
  state.arena = std::move(*arena);
  if (sharing == Arena::Sharing::threads)
    state.stack = std::make_unique_for_overwrite<char[]>(exec::kStackBytes);
  state.is_pid_1 = clones_pid_1(plan);

  Fd guard_read;
  state.guarded = plan_has(plan, plan::Op::guard, plan::Actor::runtime);
  if (state.guarded) {
    int pipe[2];
    if (const int made = sys::pipe2(pipe, sys::FdFlags::cloexec); made < 0)
      return fail(-made, "make a pipe");
    guard_read.reset(pipe[0]);
    state.guard_pipe.reset(pipe[1]);
  }
  std::optional<Error> refused;
  const Result<exec::Outcome> result =
      carry_out(plan, settled, state, guard_read.borrow(), refused);
  if (settled.on_progress) settled.on_progress(state.arena.times());
  if (!result) {
    end_orphans(state);
    return std::unexpected(result.error());
  }

  state.pid = result->child;
  state.pidfd.reset(result->pidfd);
  state.guard_pidfd.reset(result->guard_pidfd);
  state.console.reset(result->console);
  state.listener.reset(result->listener);
  if (result->step >= 0) {
    siginfo_t info;
    if (state.pidfd) reap(state.pidfd.get(), info);
    undo_failed(state, static_cast<uint32_t>(result->step));
    if (refused) return std::unexpected(std::move(*refused));
    return std::unexpected(
        explain(plan, StepFailure{.step = result->step,
                                  .error = result->error,
                                  .detail = result->detail,
                                  .log = std::string(result->log, result->log_size)}));
  }
  state.stack.reset();  // the child has memory of its own since its execve
  state.waited = false;
  if (state.guard_pipe) {  // with a read end of our own open, so that a dead guard is no SIGPIPE
    constexpr char kStarted = 1;
    sys::write(state.guard_pipe.get(), &kStarted, 1);
    // With nothing to undo at the end it may go now: who waits then does not wait for it too.
    if (!undoes_at_end(plan)) state.guard_pipe.reset();
  }
  return process;
}

Status start_waiting(const std::string& socket_path, const Plan& plan) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, "start: the socket \"" + socket_path + "\"");
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const Fd peer(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!peer) return fail(errno, "start: make a socket");
  if (::connect(peer.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return fail(errno, "start: connect to \"" + socket_path + "\"");
  exec::Message message;
  int fd = -1;
  bool executing = false;
  int got = 0;
  while ((got = exec::receive(peer.get(), &message, &fd)) == 1) {
    if (fd >= 0) sys::close(fd);
    if (message.kind == exec::Message::Kind::failed)
      return std::unexpected(
          explain(plan, StepFailure{.step = message.step,
                                    .error = message.error,
                                    .detail = message.detail,
                                    .log = std::string(message.log, message.log_size)}));
    executing = executing || message.kind == exec::Message::Kind::executing;
  }
  if (!executing)
    return fail(got < 0 ? -got : ESRCH, "start: the process ended before its command");
  return {};
}

Result<Process> spawn(const Spec& spec, const LaunchOptions& options) {
  const Result<Plan> plan = compile(spec, probe_host(spec));
  if (!plan) return std::unexpected(plan.error());
  return launch(*plan, options);
}

Result<ExitStatus> run(const Spec& spec, const LaunchOptions& options) {
  Result<Process> process = spawn(spec, options);
  if (!process) return std::unexpected(process.error());
  return process->wait();
}

int failure_status(const Plan& plan, const Error& error) {
  constexpr int kNotFound = 127;
  constexpr int kCannotExecute = 126;
  constexpr int kFailed = 125;
  if (error.step < 0) return kFailed;
  const std::string_view op = plan.step_op(static_cast<size_t>(error.step));
  if (op != "execve" && op != "expect_command") return kFailed;
  return error.code == ENOENT ? kNotFound : kCannotExecute;
}

}  // namespace isle
