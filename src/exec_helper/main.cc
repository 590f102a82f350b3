// isle-exec: the executor as a program of its own, without libc. The library starts it from a
// sealed memfd, hands it the arena with the plan, and it clones the sandbox's first process as a
// sibling of itself, so that neither memory nor descriptors nor /proc/PID/exe of the program that
// asked are ever within the sandbox's reach. Where the plan asks for a pid 1 of isle's own, that
// is this program too.
//
//   isle-exec ARENA REPORT GUARD     numbers of inherited descriptors: the arena's memfd, a socket
//                                    for the Outcome, the guard's pipe (-1: none)
#include <linux/errno.h>

#include "exec/executor.h"
#include "sys/io_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace {

using namespace isle;

constexpr int kUsageStatus = 125;
constexpr int kMostFds = 4;

alignas(16) char init_stack[exec::kStackBytes];

int parse_number(const char* text) {
  const bool negative = *text == '-';
  if (negative) ++text;
  int number = 0;
  while (*text >= '0' && *text <= '9') number = number * 10 + (*text++ - '0');
  return negative ? -number : number;
}

void set_cloexec(int fd) {
  if (fd >= 0) sys::fcntl(fd, sys::Fcntl::setfd, sys::kFdCloexec);
}

/// Whether nobody has the other end.
bool is_closed(int socket) {
  sys::pollfd poll;
  poll.fd = socket;
  sys::timespec now;
  return sys::ppoll(&poll, 1, &now) == 1 && (poll.revents & sys::kPollHup) != 0;
}

/// The Outcome with its descriptors, in the order of its fields.
void report(int socket, const exec::Outcome& outcome) {
  struct {
    sys::cmsghdr header;
    std::int32_t fds[kMostFds];
  } control;
  std::size_t count = 0;
  for (const int fd : {outcome.pidfd, outcome.guard_pidfd, outcome.console, outcome.listener})
    if (fd >= 0) control.fds[count++] = fd;
  control.header = {sizeof(sys::cmsghdr) + count * sizeof(std::int32_t), sys::kSolSocket,
                    sys::kScmRights};
  sys::iovec data{const_cast<exec::Outcome*>(&outcome), sizeof outcome};
  sys::msghdr message;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = &control;
    message.msg_controllen = (control.header.cmsg_len + 7) & ~std::size_t{7};
  }
  long sent = -EINTR;
  while (sent == -EINTR) sent = sys::sendmsg(socket, &message, sys::MsgFlags::nosignal);
}

plan::Header* map_arena(int fd) {
  plan::Header header;
  if (sys::pread64(fd, &header, sizeof header, 0) != static_cast<long>(sizeof header) ||
      header.magic != plan::Header::kMagic)
    return nullptr;
  const long address = sys::mmap(nullptr, plan::arena_size(&header),
                                 sys::Prot::read | sys::Prot::write, sys::MapFlags::shared, fd, 0);
  if (address < 0 && address > -4096) return nullptr;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the call's result is an address or an error
  return reinterpret_cast<plan::Header*>(address);
}

bool joins_namespaces(const plan::Header* header) noexcept {
  for (std::uint32_t i = 0; i < header->step_count; ++i) {
    const plan::Step& step = plan::steps(header)[i];
    if (step.op == plan::Op::setns && step.actor == plan::Actor::runtime) return true;
  }
  return false;
}

}  // namespace

/// `stack` as the kernel leaves it: argc, argv, null, environment.
extern "C" [[noreturn]] void isle_exec_main(long* stack) {
  const auto argc = stack[0];
  char** argv = reinterpret_cast<char**>(stack + 1);
  if (argc != 4) {
    constexpr char kUsage[] = "isle-exec: started by libisle only; see isle-run(1)\n";
    sys::write(2, kUsage, sizeof kUsage - 1);
    sys::exit_group(kUsageStatus);
  }
  const int arena = parse_number(argv[1]);
  const int socket = parse_number(argv[2]);
  exec::Launch launch;
  launch.guard_read = parse_number(argv[3]);
  launch.caller = socket;
  for (const int fd : {arena, socket, launch.guard_read}) set_cloexec(fd);
  sys::prctl(sys::Prctl::set_pdeathsig, 9, 0, 0, 0);
  if (is_closed(socket)) sys::exit_group(kUsageStatus);  // it had ended before the prctl
  launch.clone_parent = true;
  launch.stack_top = init_stack + sizeof init_stack;
  sys::rt_sigprocmask(sys::SigMask::setmask, nullptr, &launch.mask);
  launch.plan = map_arena(arena);
  sys::close(arena);
  if (launch.plan == nullptr) sys::exit_group(kUsageStatus);
  // In a pid namespace that others live in, nobody shall trace us or open what we hold. Not in
  // other plans: /proc/self of such a process is root's, and init may have its own ids to map.
  if (joins_namespaces(launch.plan)) sys::prctl(sys::Prctl::set_dumpable, 0, 0, 0, 0);

  exec::Outcome outcome;
  exec::run_plan(launch, &outcome);
  report(socket, outcome);
  sys::exit_group(0);
}
