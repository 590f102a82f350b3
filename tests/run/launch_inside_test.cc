// What a launched command finds: descriptors, environment, signals, terminal, pid 1; the same by
// both carriers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>

#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

using Carrier = LaunchOptions::Carrier;

class LaunchInside : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE(::geteuid() == 0 ? "root" : "userns");
    warm_up();
  }
};

// The rest of the line of /proc/self/status that begins with `field`.
std::string status_line(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field)) return line.substr(field.size());
  return {};
}

Spec sandbox() { return default_sandbox({"/bin/true"}); }

// Both carriers, the direct one from a forked process with one thread.
void with_both(const std::function<void(Carrier carrier)>& body) {
  for (const Carrier carrier : {Carrier::helper, Carrier::direct}) {
    expect_in_fork([&] {
      SCOPED_TRACE(carrier == Carrier::helper ? "helper" : "direct");
      body(carrier);
    });
  }
}

TEST_F(LaunchInside, NothingButWhatWasPassedIsOpen) {
  with_both([](Carrier carrier) {
    const Fd leaked(::open("/", O_RDONLY | O_DIRECTORY));  // not close-on-exec
    const Fd high(::fcntl(leaked.get(), F_DUPFD, 300));
    const Fd passed(::fcntl(leaked.get(), F_DUPFD, 200));
    ASSERT_TRUE(leaked && high && passed);
    Spec spec = sandbox();
    spec.process.pass_fds.value = {passed.get()};
    const Ran ran = run_script(spec, "exec ls -1 /proc/self/fd", {.carrier = carrier});
    ASSERT_TRUE(ran.status) << ran.status.error().message();
    std::istringstream numbers(ran.out);
    std::vector<int> open;
    for (int number = 0; numbers >> number;)
      if (number > 2) open.push_back(number);
    // ... and the pipe by which we read this, which run_script passes, and ls's own.
    std::ranges::sort(open);
    ASSERT_EQ(open.size(), 3U) << ran.out;
    EXPECT_EQ(open.back(), passed.get()) << ran.out;
    EXPECT_LT(open[1], 200) << ran.out;
  });
}

TEST_F(LaunchInside, EnvironmentIsExactlyTheOneAskedFor) {
  with_both([](Carrier carrier) {
    ::setenv("ISLE_TEST_LEAK", "1", 1);
    Spec spec = sandbox();
    spec.process.env = {{"A=1", "PATH=/usr/bin:/bin", "B=two words", "EMPTY="}, 0};
    const Ran ran = run_script(spec, "tr '\\0' '\\n' < /proc/$$/environ", {.carrier = carrier});
    ASSERT_TRUE(ran.status) << ran.status.error().message();
    EXPECT_EQ(ran.out, "A=1\nPATH=/usr/bin:/bin\nB=two words\nEMPTY=\n");
  });
}

TEST_F(LaunchInside, SignalMaskIsTheCallersOrTheOneAskedFor) {
  with_both([](Carrier carrier) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ASSERT_EQ(::sigprocmask(SIG_SETMASK, &set, nullptr), 0);
    // What is ignored stays so over an execve; the caller of this test may ignore something.
    const std::string say = "exec grep -E 'SigBlk|SigIgn' /proc/self/status";
    const std::string ignored = "SigIgn:" + status_line("SigIgn:") + "\n";
    const Ran own = run_script(sandbox(), say, {.carrier = carrier});
    ASSERT_TRUE(own.status) << own.status.error().message();
    EXPECT_EQ(own.out, "SigBlk:\t0000000000000800\n" + ignored);
    const Ran asked = run_script(sandbox(), say, {.carrier = carrier, .signal_mask = 1U << 9});
    ASSERT_TRUE(asked.status) << asked.status.error().message();
    EXPECT_EQ(asked.out, "SigBlk:\t0000000000000200\n" + ignored);
  });
}

// All a command can easily see of its surroundings, by both carriers.
TEST_F(LaunchInside, CarriersGiveTheSame) {
  const std::string say =
      "cd /; id; grep -E '^(Cap|Sig|NoNewPrivs|Seccomp|NSpid|Umask|Groups)' /proc/self/status; "
      "cut -d' ' -f5- /proc/self/mountinfo; ls -l /dev; hostname; "
      "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups /proc/self/limits; "
      "cat /proc/self/oom_score_adj; pwd; umask; ls /proc/sys/net/ipv4/conf; cat /proc/net/dev";
  std::string by[2];
  for (const Carrier carrier : {Carrier::helper, Carrier::direct}) {
    const ForkResult result = call_in_fork([&]() -> std::string {
      const Ran ran = run_script(sandbox(), say, {.carrier = carrier});
      if (!ran.status) throw std::runtime_error(ran.status.error().message());
      return ran.out;
    });
    ASSERT_TRUE(result.ok()) << result.describe();
    by[carrier == Carrier::direct] = result.value;
  }
  EXPECT_GT(by[0].size(), 1000U);
  // Times of device nodes and counters differ only in what the minute brings: none in these.
  EXPECT_EQ(by[0], by[1]);
}

class LaunchConsole : public LaunchInside {};

// Reads the terminal until `text` has come.
bool expect_on(BorrowedFd console, const std::string& text, std::string& all) {
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds(20'000));
  while (all.find(text) == all.npos && std::chrono::steady_clock::now() < deadline) {
    pollfd entry{.fd = console.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 200) <= 0) continue;
    char buffer[4096];
    const ssize_t got = ::read(console.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    all.append(buffer, static_cast<size_t>(got));
  }
  return all.find(text) != all.npos;
}

TEST_F(LaunchConsole, IsAControllingTerminalOfItsOwn) {
  with_both([](Carrier carrier) {
    Spec spec = default_sandbox(
        {"/bin/sh", "-c",
         "tty; stty size; echo tpgid=$(ps -o tpgid= -p $$ 2>/dev/null | tr -d ' ') pid=$$; "
         "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && echo all; read line; echo got "
         "$line"});
    spec.process.terminal.value = true;
    spec.process.console_size = Asked<ConsoleSize>{{33, 99}};
    Result<Process> process = spawn(spec, {.carrier = carrier});
    ASSERT_TRUE(process) << process.error().message();
    ASSERT_TRUE(process->console());
    std::string all;
    EXPECT_TRUE(expect_on(process->console(), "all\r\n", all)) << all;
    EXPECT_NE(all.find("/dev/pts/0\r\n"), all.npos) << all;
    EXPECT_NE(all.find("33 99\r\n"), all.npos) << all;
    ASSERT_EQ(::write(process->console().get(), "word\n", 5), 5);
    EXPECT_TRUE(expect_on(process->console(), "got word\r\n", all)) << all;
    const Result<ExitStatus> status = process->wait();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code, 0);
  });
}

// ^C reaches the foreground job and not the shell that started it, as only job control does.
TEST_F(LaunchConsole, HasJobControl) {
  Spec spec = default_sandbox({"/bin/sh", "-i"});
  spec.process.env = {{"PATH=/usr/bin:/bin", "PS1=$ "}, 0};
  spec.process.terminal.value = true;
  spec.process.init.value = true;
  Result<Process> process = spawn(spec);
  ASSERT_TRUE(process) << process.error().message();
  std::string all;
  const auto type = [&](const std::string& text) {
    EXPECT_EQ(::write(process->console().get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  };
  ASSERT_TRUE(expect_on(process->console(), "$ ", all)) << all;
  EXPECT_EQ(all.find("job control"), all.npos) << all;
  type("sh -c 'echo star''ted; exec sleep 1000'\n");
  ASSERT_TRUE(expect_on(process->console(), "started", all)) << all;
  type("\x03");
  type("echo status $?\n");
  EXPECT_TRUE(expect_on(process->console(), "status 130", all)) << all;
  type("exit 9\n");
  const Result<ExitStatus> status = process->wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 9);
}

TEST_F(LaunchInside, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  for (const Carrier carrier : {Carrier::helper, Carrier::direct}) {
    const pid_t parent = ::fork();
    if (parent == 0) {
      Result<Process> process =
          spawn(default_sandbox({"/bin/sleep", "1000"}), {.carrier = carrier});
      const pid_t pid = process ? process->host_pid() : -1;
      (void)!::write(write_end.get(), &pid, sizeof pid);
      ::pause();
      ::_exit(0);
    }
    pid_t pid = -1;
    ASSERT_EQ(::read(read_end.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    EXPECT_GT(pid, 0);
    ::kill(parent, SIGKILL);
    EXPECT_EQ(reap_orphans(), std::vector<pid_t>{});  // it came to us, and had ended
  }
}

// pid 1 of --init is the program in the memory file: sealed, so that nobody inside can change what
// the host runs next (CVE-2019-5736), whoever opens it. Shown to fail with an unsealed memfd.
TEST_F(LaunchInside, Pid1OfInitIsTheSealedMemoryFile) {
  Spec spec = default_sandbox({"/bin/sleep", "1000"});
  spec.process.init.value = true;
  Result<Process> process = spawn(spec);
  ASSERT_TRUE(process) << process.error().message();
  const std::string exe = "/proc/" + std::to_string(process->host_pid()) + "/exe";
  char target[256] = {};
  if (::readlink(exe.c_str(), target, sizeof target - 1) < 0) {
    ASSERT_EQ(errno, EACCES);  // it is not dumpable: only root may look
    GTEST_SKIP() << "only root may look at /proc/PID/exe of pid 1";
  }
  EXPECT_NE(std::string(target).find("memfd:isle-exec"), std::string::npos) << target;
  const Fd writable(::open(exe.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_FALSE(writable) << "opened for writing";
  const Fd readable(::open(exe.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(readable);
  const int seals = ::fcntl(readable.get(), F_GET_SEALS);
  EXPECT_EQ(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
                       (seals & 0x20 /* F_SEAL_EXEC, 6.3 */));
  ASSERT_TRUE(process->signal(SIGKILL));
  EXPECT_TRUE(process->wait());
}

// It is there once for each sandbox that has it.
TEST_F(LaunchInside, Pid1OfInitIsSmall) {
  Spec spec = default_sandbox({"/bin/sleep", "1000"});
  spec.process.init.value = true;
  Result<Process> process = spawn(spec);
  ASSERT_TRUE(process) << process.error().message();
  const std::string proc = "/proc/" + std::to_string(process->host_pid());
  const std::string status = read_file(proc + "/status");
  const size_t at = status.find("VmRSS:");
  ASSERT_NE(at, status.npos) << status;
  constexpr long kMostResidentKib = 300;
  EXPECT_LT(std::strtol(status.c_str() + at + sizeof "VmRSS:" - 1, nullptr, 10), kMostResidentKib);
  struct stat program{};
  if (::stat((proc + "/exe").c_str(), &program) == 0) {  // only root may look
    EXPECT_LT(program.st_size, 100 * 1024);
  }
  ASSERT_TRUE(process->signal(SIGKILL));
  EXPECT_TRUE(process->wait());
}

}  // namespace
}  // namespace isle::test
