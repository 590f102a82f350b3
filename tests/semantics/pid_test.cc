// Pid namespaces: the overview, PID NAMESPACE and init process; pid_namespaces(7), which it follows.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>

#include "isle/names.h"
#include "isle/run.h"
#include "member.h"
#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;

/// A process that stays until it is killed, or its namespace dies.
pid_t fork_sleeper() {
  const pid_t child = static_cast<pid_t>(must(libc(::fork())));
  if (child != 0) return child;
  for (;;) ::pause();
}

/// The state letter and the parent of a process, as /proc/pid/stat has them.
struct Stat {
  char state = '?';
  pid_t parent = -1;
};
Stat stat_of(const std::string& proc, pid_t process) {
  const std::string text = read_file(proc + "/" + std::to_string(process) + "/stat");
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  Stat stat;
  fields >> stat.state >> stat.parent;
  return stat;
}

void exit_with_47(int /*signal*/) { ::_exit(47); }

int handler_tells = -1;
void tell(int /*signal*/) {
  if (::write(handler_tells, "s", 1) != 1) ::_exit(1);
}

/// How a child of ours ended: "exit 0", "signal 9".
std::string end_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return outcome(libc(-1));
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit " + std::to_string(WEXITSTATUS(status));
}

/// Starts `first` as the first process of a pid namespace; its number here.
pid_t start_init(const std::function<void()>& first) {
  sys::clone_args args{};
  args.flags = static_cast<uint64_t>(CloneFlags::newpid);
  args.exit_signal = SIGCHLD;
  const int init = sys::clone3(&args);
  if (init != 0) return static_cast<pid_t>(must(init));
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  first();
  for (;;) ::pause();
}

class Pid : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root");
    warm_up();
  }
};

// The overview, init process: "the first process in a new namespace works as init process"; the next
// ones count on from there. And the overview, Namespace overview: several namespaces have the same pids.
TEST_F(Pid, TheFirstProcessIsPid1InEachNamespace) {
  const auto own_pid = [] { return std::to_string(::getpid()); };
  const auto check = [] {
    if (::getpid() != 1) throw std::runtime_error("not pid 1");
  };
  const Member one({pid}, check);
  const Member other({pid}, check);
  EXPECT_EQ(one.ask(own_pid), "2");
  EXPECT_EQ(other.ask(own_pid), "2");
}

// pid_namespaces(7), Nesting: a process is seen in each namespace above, under another number in each;
// and its parent, being in none of its own, is 0 to it.
TEST_F(Pid, TheParentSeesTheChildUnderAnotherNumber) {
  const Member init({pid}, [] {
    if (::getppid() != 0) throw std::runtime_error("sees its parent");
  });
  EXPECT_NE(init.pid(), 1);
  const std::string status = read_file("/proc/" + std::to_string(init.pid()) + "/status");
  EXPECT_NE(status.find("\t" + std::to_string(init.pid()) + "\t1\n"), std::string::npos) << status;
}

// The overview, PID NAMESPACE: "one process can view the other process if it's resides in same
// namespace or it's the parent of the namespace"; from inside nothing outside can be named.
TEST_F(Pid, NothingOutsideHasANumberInside) {
  const pid_t outside = ::getpid();
  const Member init({pid});
  EXPECT_EQ(::kill(init.pid(), 0), 0);
  EXPECT_EQ(init.ask([] { return std::to_string(sys::kill(1, 0)); }), "0");
  EXPECT_EQ(init.ask([outside] {
    // Where the test's own number is free in there.
    return std::to_string(outside > 3 ? sys::kill(outside, 0) : -ESRCH);
  }),
            std::to_string(-ESRCH));
}

// The overview, PID NAMESPACE: /proc shows the pids of the namespace whose process mounted it, and has
// to be mounted anew for ps to list those of another one; until then it shows the old ones.
TEST_F(Pid, ProcShowsTheMountersNamespace) {
  const Member init({pid});
  const std::string seen = init.ask([&] {
    own_mounts();
    const std::string old_proc =
        ::access(("/proc/" + std::to_string(init.pid())).c_str(), F_OK) == 0 ? "the outer one"
                                                                             : "?";
    must(sys::mount("proc", "/mnt", "proc", sys::MountFlags::none, nullptr));
    char self[16] = {};
    must(libc(::readlink("/mnt/self", self, sizeof self - 1)));
    return old_proc + ", " + self + ":" + output_of({"sh", "-c", "cd /mnt && echo [0-9]*"});
  });
  EXPECT_TRUE(seen.starts_with("the outer one, 2:1 2 ")) << seen;
}

TEST_F(Pid, PsListsTheNamespaceOnceProcIsMounted) {
  ISLE_REQUIRE("program:ps");
  const Member init({pid});
  EXPECT_EQ(init.ask([] {
    own_mounts();
    must(sys::mount("proc", "/proc", "proc", sys::MountFlags::none, nullptr));
    return output_of({"ps", "-e", "-o", "pid=", "--no-headers"});
  }),
            "      1\n      2\n      3\n");
}

// The overview, init process: "init process became the parent process of the other orphaned process in
// that namespace", also of one that was created from outside.
TEST_F(Pid, OrphansGoToInit) {
  const Member init({pid});
  const std::string parent = init.ask([] {
    const pid_t middle = static_cast<pid_t>(must(libc(::fork())));
    if (middle == 0) ::_exit(fork_sleeper());  // small numbers: the exit status tells the orphan's
    int status = 0;
    ::waitpid(middle, &status, 0);
    own_mounts();
    must(sys::mount("proc", "/mnt", "proc", sys::MountFlags::none, nullptr));
    return std::to_string(stat_of("/mnt", WEXITSTATUS(status)).parent);
  });
  EXPECT_EQ(parent, "1");
}

// pid_namespaces(7), The namespace init process: a subreaper (prctl(2)) closer than init adopts them.
TEST_F(Pid, OrphansGoToACloserSubreaper) {
  const Member init({pid});
  EXPECT_EQ(init.ask([] {
    must(libc(::prctl(PR_SET_CHILD_SUBREAPER, 1)));
    const pid_t middle = static_cast<pid_t>(must(libc(::fork())));
    if (middle == 0) ::_exit(fork_sleeper());
    int status = 0;
    ::waitpid(middle, &status, 0);
    ::kill(WEXITSTATUS(status), SIGKILL);
    return end_of(WEXITSTATUS(status));
  }),
            "signal 9");
}

// The overview, init process: "signals that can be delivered to init are those for which the process has
// established a signal handler". From inside that is so for all, SIGKILL and SIGSTOP with them.
TEST_F(Pid, FromInsideOnlySignalsWithAHandlerReachInit) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const Fd reads(fds[0]);
  const Fd writes(fds[1]);
  const Member init({pid}, [&] {
    handler_tells = writes.get();
    ::signal(SIGUSR1, tell);
  });
  const auto send = [&init](int signal) {
    return init.ask([signal] { return std::to_string(sys::kill(1, signal)); });
  };
  for (const int signal : {SIGKILL, SIGSTOP, SIGTERM, SIGUSR2, SIGSEGV, SIGHUP}) {
    EXPECT_EQ(send(signal), "0");
    EXPECT_EQ(::kill(init.pid(), 0), 0);
    const char state = stat_of("/proc", init.pid()).state;  // neither stopped nor dead
    EXPECT_EQ(std::string_view("TtZX").find(state), std::string_view::npos)
        << signal_name(signal) << ": " << state;
  }
  EXPECT_EQ(send(SIGUSR1), "0");
  char told = 0;
  EXPECT_EQ(::read(reads.get(), &told, 1), 1) << "waits until the handler has run";
}

// pid_namespaces(7), The namespace init process: from the parent namespace SIGKILL and SIGSTOP do reach
// it, others only with a handler.
TEST_F(Pid, FromOutsideSigkillAndSigstopReachInit) {
  const pid_t init = start_init([] { ::signal(SIGUSR1, exit_with_47); });
  for (const int signal : {SIGTERM, SIGUSR2, SIGHUP, SIGINT}) {
    EXPECT_EQ(::kill(init, signal), 0);
  }
  EXPECT_EQ(::kill(init, SIGSTOP), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(init, &status, WUNTRACED), init);
  EXPECT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(::kill(init, SIGCONT), 0);
  EXPECT_EQ(::kill(init, SIGKILL), 0);
  EXPECT_EQ(end_of(init), "signal 9");

  const Member with_handler({pid}, [] { ::signal(SIGTERM, exit_with_47); });
  EXPECT_EQ(::kill(with_handler.pid(), SIGTERM), 0);
  EXPECT_EQ(end_of(with_handler.pid()), "exit 47");
}

// The overview, init process: "PID namespace will also be destroyed when it's init process terminates":
// every process in it is killed.
TEST_F(Pid, TheNamespaceDiesWithInit) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const Fd reads(fds[0]);
  Fd writes(fds[1]);
  const pid_t init = start_init([&] {
    fork_sleeper();
    if (::write(writes.get(), "r", 1) != 1) ::_exit(1);
    ::signal(SIGUSR1, exit_with_47);
    if (::write(writes.get(), "s", 1) != 1) ::_exit(1);
  });
  writes.reset();
  char text[2];
  ASSERT_EQ(::read(reads.get(), &text[0], 1), 1);
  ASSERT_EQ(::read(reads.get(), &text[1], 1), 1);
  EXPECT_EQ(::kill(init, SIGUSR1), 0);
  EXPECT_EQ(end_of(init), "exit 47");
  EXPECT_EQ(::read(reads.get(), text, 1), 0) << "somebody still holds the other end";
}

// The overview, init process: then "it is not possible to create new processes in the namespace (via
// setns() plus fork()) ... the fork() call, which fails with an ENOMEM error".
TEST_F(Pid, WithoutInitForkFailsWithEnomem) {
  Member init({pid});
  const Namespace ns = init.of(pid);
  init.end();
  expect_in_fork([&] {
    EXPECT_EQ(sys::setns(ns.fd().get(), CloneFlags::newpid), 0);
    sys::clone_args args{};
    args.exit_signal = SIGCHLD;
    EXPECT_EQ(sys::clone3(&args), -ENOMEM);
  });
  // The same of unshare(2), whose first child has ended.
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newpid));
    const pid_t first = ::fork();
    if (first == 0) ::_exit(0);
    EXPECT_EQ(end_of(first), "exit 0");
    EXPECT_EQ(libc(::fork()), -ENOMEM);
  });
}

// And what isle says then.
TEST_F(Pid, WithoutInitTheErrorSaysSo) {
  Member init({pid});
  const Namespace ns = init.of(pid);
  init.end();
  Spec spec = bare_namespaces({}, {"true"});
  spec.namespaces.push_back({.type = pid, .fd = ns.fd().get()});
  const auto status = run(spec);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ENOMEM) << status.error().message();
  EXPECT_NE(status.error().message().find("ended"), std::string::npos) << status.error().message();
}

// pid_namespaces(7), The namespace init process: a process in it can wait for nobody outside, and init's
// exit is seen by its parent, which is outside.
TEST_F(Pid, TheParentIsToldOfInitsEnd) {
  const pid_t init = start_init([] { ::_exit(7); });
  EXPECT_EQ(end_of(init), "exit 7");
}

// clone3(2), set_tid: the number in each namespace can be chosen, innermost first.
TEST_F(Pid, TheNumberCanBeChosen) {
  const Member init({pid});
  EXPECT_EQ(init.ask([] {
    pid_t wanted = 4747;
    sys::clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<uint64_t>(&wanted);
    args.set_tid_size = 1;
    const int child = sys::clone3(&args);
    if (child == 0) ::_exit(::getpid() == 4747 ? 0 : 1);
    must(child);
    return std::to_string(child) + " " + end_of(child);
  }),
            "4747 exit 0");
}

// pid_namespaces(7), DESCRIPTION: pids in credentials passed over a socket are translated to the
// receiver's namespace. (unix(7), SCM_CREDENTIALS; here by SO_PEERCRED.)
TEST_F(Pid, PeerCredentialsAreTranslated) {
  const Member init({pid});
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  EXPECT_EQ(init.ask([&] {
    ucred peer{};
    socklen_t length = sizeof peer;
    must(libc(::getsockopt(theirs.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length)));
    return std::to_string(peer.pid);
  }),
            "0")
      << "who made the socket has no number inside";
  ucred peer{};
  socklen_t length = sizeof peer;
  ASSERT_EQ(::getsockopt(ours.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length), 0);
  EXPECT_EQ(peer.pid, ::getpid());
}

}  // namespace
}  // namespace isle::test
