// Process: its end, its signals, its own end as an object.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>

#include "isle/host.h"
#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

using Carrier = LaunchOptions::Carrier;

class LaunchProcess : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE(::geteuid() == 0 ? "root" : "userns");
    warm_up();
  }
};

Spec script(const std::string& text) { return default_sandbox({"/bin/sh", "-c", text}); }

Result<Process> start(const Spec& spec) { return spawn(spec); }

// Until the command has made `path` in a directory that both sides see.
bool wait_for(const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds(20'000));
  while (::access(path.c_str(), F_OK) != 0) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

Spec script_with(const TempDir& dir, const std::string& text) {
  Spec spec = script(text);
  Bind bind;
  bind.source = dir.path();
  spec.mounts.push_back({.destination = "/run/shared", .what = std::move(bind)});
  return spec;
}

TEST_F(LaunchProcess, EveryExitCodeArrives) {
  for (const int code : {0, 1, 2, 63, 64, 124, 125, 126, 127, 128, 137, 254, 255}) {
    const Result<ExitStatus> status = isle::run(script("exit " + std::to_string(code)));
    ASSERT_TRUE(status) << status.error().message();
    EXPECT_EQ(status->code, code);
    EXPECT_EQ(status->signal, 0);
    EXPECT_EQ(status->shell_status(), code);
  }
}

TEST_F(LaunchProcess, IsWaitedForOnce) {
  Result<Process> process = start(script("exit 3"));
  ASSERT_TRUE(process) << process.error().message();
  ASSERT_TRUE(process->wait());
  const Result<ExitStatus> again = process->wait();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ECHILD);
  const Status late = process->signal(SIGTERM);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ESRCH);
}

TEST_F(LaunchProcess, EndBySignalIsToldAsSuch) {
  Result<Process> process = start(default_sandbox({"/bin/sleep", "1000"}));
  ASSERT_TRUE(process) << process.error().message();
  ASSERT_TRUE(process->signal(SIGKILL));
  const Result<ExitStatus> status = process->wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, SIGKILL);
  EXPECT_EQ(status->shell_status(), 128 + SIGKILL);
}

// The kernel spares pid 1 of a pid namespace signals it has no handler for: without what signal()
// does, sleep would sleep on.
TEST_F(LaunchProcess, SignalWithoutHandlerEndsPid1AndIsTold) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    Result<Process> process = start(default_sandbox({"/bin/sleep", "1000"}));
    ASSERT_TRUE(process) << process.error().message();
    ASSERT_TRUE(process->signal(signal));
    const Result<ExitStatus> status = process->wait();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->signal, signal);
  }
}

TEST_F(LaunchProcess, HandlerOfPid1GetsTheSignalItself) {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  Result<Process> process = start(
      script_with(dir, "trap 'exit 42' TERM; : >/run/shared/ready; while :; do sleep 0.01; done"));
  ASSERT_TRUE(process) << process.error().message();
  ASSERT_TRUE(wait_for(dir / "ready"));
  ASSERT_TRUE(process->signal(SIGTERM));
  const Result<ExitStatus> status = process->wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, 0);
  EXPECT_EQ(status->code, 42);
}

TEST_F(LaunchProcess, IgnoredSignalIsIgnored) {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  Result<Process> process = start(script_with(
      dir,
      "trap '' TERM; : >/run/shared/ready; until [ -e /run/shared/go ]; do sleep 0.01; done; "
      "exit 7"));
  ASSERT_TRUE(process) << process.error().message();
  ASSERT_TRUE(wait_for(dir / "ready"));
  ASSERT_TRUE(process->signal(SIGTERM));
  dir.write("go", "");
  const Result<ExitStatus> status = process->wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, 0);
  EXPECT_EQ(status->code, 7);
}

// Signal 0 asks only whether it is there, and a stop is no end.
TEST_F(LaunchProcess, SignalsThatDoNotEndAreSentAsTheyAre) {
  Result<Process> process = start(default_sandbox({"/bin/sleep", "1000"}));
  ASSERT_TRUE(process) << process.error().message();
  for (const int signal : {0, SIGCHLD, SIGCONT, SIGWINCH, SIGURG})
    EXPECT_TRUE(process->signal(signal)) << signal;
  EXPECT_EQ(::waitpid(process->host_pid(), nullptr, WNOHANG), 0) << "it ended";
  EXPECT_FALSE(process->signal(-1));
  EXPECT_FALSE(process->signal(1000));
  ASSERT_TRUE(process->signal(SIGKILL));
  EXPECT_TRUE(process->wait());
}

TEST_F(LaunchProcess, CoreDumpIsTold) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_CORE, &limit), 0);
  if (limit.rlim_max == 0 && ::geteuid() != 0) GTEST_SKIP() << "the hard limit on cores is 0";
  // pid 1 is spared SIGABRT by itself, so a child of it: the shell tells 128+6 then. Without a pid
  // namespace the command is an ordinary process.
  Spec spec = bare_namespaces({NamespaceType::user, NamespaceType::uts},
                              {"/bin/sh", "-c", "cd /proc; kill -ABRT $$"});
  spec.process.rlimits.push_back({.resource = RLIMIT_CORE, .soft = 0, .hard = 0});
  const Result<ExitStatus> without = isle::run(spec);
  ASSERT_TRUE(without) << without.error().message();
  EXPECT_EQ(without->signal, SIGABRT);
  if (read_file("/proc/sys/kernel/core_pattern").starts_with('|'))
    GTEST_SKIP() << "cores go to a program of the host's here";
  EXPECT_FALSE(without->core_dumped);
}

// die_with_parent is off: it is the destructor that ends it.
TEST_F(LaunchProcess, DestructorKillsAndReaps) {
  Spec spec = default_sandbox({"/bin/sleep", "1000"});
  spec.process.die_with_parent.value = false;
  pid_t pid = 0;
  {
    Result<Process> process = start(spec);
    ASSERT_TRUE(process) << process.error().message();
    pid = process->host_pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(LaunchProcess, MovesLikeAHandle) {
  Result<Process> first = start(script("exit 1"));
  Result<Process> second = start(script("exit 2"));
  ASSERT_TRUE(first && second);
  Process moved(std::move(*first));
  moved = std::move(*second);  // what it held is ended with `second`
  const Result<ExitStatus> status = moved.wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 2);
}

// With SIGCHLD ignored the kernel reaps for us: then there is no status, and that is said.
TEST_F(LaunchProcess, IgnoredSigchldCostsTheStatusOnly) {
  expect_in_fork([] {
    ::signal(SIGCHLD, SIG_IGN);
    for (const Carrier carrier : {Carrier::helper, Carrier::direct}) {
      Result<Process> process = spawn(script("exit 3"), {.carrier = carrier});
      ASSERT_TRUE(process) << process.error().message();
      const Result<ExitStatus> status = process->wait();
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, ECHILD);
      EXPECT_NE(status.error().hint.find("SIGCHLD"), std::string::npos);
      EXPECT_FALSE(spawn(default_sandbox({"/no/such/program"}), {.carrier = carrier}));
    }
    EXPECT_EQ(descendants(), std::vector<pid_t>{});
  });
}

TEST_F(LaunchProcess, FailureStatusIsAsShellsHaveIt) {
  const TempDir dir;
  const std::string text = dir.write("text", "no program\n", 0755);
  const std::string closed = dir.write("closed", "#!/bin/sh\n", 0644);
  const std::string lost = dir.write("lost", "#!/no/such/interpreter\n", 0755);
  const auto status_of = [](const std::string& command) {
    Spec spec = bare_namespaces({NamespaceType::user, NamespaceType::uts}, {command});
    const Result<Plan> plan = compile(spec, probe_host(spec));
    EXPECT_TRUE(plan);
    const Result<Process> process = launch(*plan);
    return process ? -1 : failure_status(*plan, process.error());
  };
  EXPECT_EQ(status_of("/no/such/program"), 127);
  EXPECT_EQ(status_of("no-such-program-in-path"), 127);
  EXPECT_EQ(status_of(text), 126);
  EXPECT_EQ(status_of(closed), 126);
  EXPECT_EQ(status_of("/"), 126);
  EXPECT_EQ(status_of(lost), 127);
  Spec spec = script("exit 0");
  const Result<Plan> plan = compile(spec, probe_host(spec));
  ASSERT_TRUE(plan);
  const Result<Process> failed = launch(*plan, {.fault = Fault{.step = 0, .error = ENOTBLK}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failure_status(*plan, failed.error()), 125);
}

TEST_F(LaunchProcess, StepTimesAreThoseOfStepsDone) {
  Spec spec = script("exit 0");
  const Result<Plan> plan = compile(spec, probe_host(spec));
  ASSERT_TRUE(plan);
  for (const bool recorded : {true, false}) {
    Result<Process> process = launch(*plan, {.record_times = recorded});
    ASSERT_TRUE(process) << process.error().message();
    ASSERT_TRUE(process->wait());
    const std::vector<StepTime> times = process->step_times();
    ASSERT_EQ(times.size(), plan->step_count());
    uint64_t last = 0;
    size_t done = 0;
    for (size_t i = 0; i < times.size(); ++i) {
      if (times[i].done_ns == 0 || plan->step_actor(i) != "init") continue;
      EXPECT_GE(times[i].done_ns, last) << i;
      last = times[i].done_ns;
      ++done;
    }
    EXPECT_EQ(done > 0, recorded);
  }
}

TEST_F(LaunchProcess, GarbageIsRefusedBeforeAnythingIsDone) {
  Spec spec = script("exit 0");
  const Result<Plan> plan = compile(spec, probe_host(spec));
  ASSERT_TRUE(plan);
  const std::vector<std::byte> good(plan->bytes().begin(), plan->bytes().end());
  EXPECT_FALSE(launch(Plan{}));
  for (const size_t size : {size_t{1}, size_t{16}, good.size() / 2, good.size() - 1})
    EXPECT_FALSE(launch(Plan(
        std::vector<std::byte>(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)))));
  for (size_t i = 0; i < 64; ++i) {  // the header, and some of the first step
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{0xff};
    const Plan garbled(std::move(bad));
    if (verify(garbled)) continue;  // a field that any value is good for
    const Result<Process> process = launch(garbled);
    EXPECT_FALSE(process) << "byte " << i;
  }
}

TEST(LaunchHelper, RunByHandSaysWhatItIs) {
  const std::string program = build_dir() + "/libexec/isle/isle-exec";
  const CommandResult result = run_command({program});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_NE(result.err.find("libisle"), std::string::npos) << result;
  for (const char* argument : {"0", "-1", "99999"}) {
    const CommandResult garbage = run_command({program, argument, argument, argument});
    EXPECT_EQ(garbage.exit_code, 125) << garbage;
  }
}

}  // namespace
}  // namespace isle::test
