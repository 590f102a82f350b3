// `isle run` and its caller: exit statuses, signals, terminal, time limit, status and pid files.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "isle/fd.h"
#include "isle/namespace.h"
#include "support/support.h"

namespace isle {
namespace {

using test::Command;
using test::CommandOptions;
using test::CommandResult;

std::vector<std::string> isle_run(std::vector<std::string> words) {
  words.insert(words.begin(), {test::isle_binary(), "run"});
  return words;
}

CommandResult run(std::vector<std::string> words, CommandOptions options = {}) {
  return test::run_command(isle_run(std::move(words)), std::move(options));
}

TEST(RunCliSession, ExitStatusIsTheCommands) {
  ISLE_REQUIRE("userns");
  EXPECT_EQ(run({"--", "true"}).exit_code, 0);
  EXPECT_EQ(run({"--", "sh", "-c", "exit 7"}).exit_code, 7);
  EXPECT_EQ(run({"--init", "--", "sh", "-c", "exit 8"}).exit_code, 8);
  EXPECT_EQ(run({"--init", "--", "sh", "-c", "kill -KILL $$"}).exit_code, 128 + SIGKILL);
  EXPECT_EQ(run({"--", "isle-no-such-program"}).exit_code, 127);
  EXPECT_EQ(run({"--", "/etc"}).exit_code, 126);
  EXPECT_EQ(run({"--no-such-option"}).exit_code, 125);
  EXPECT_EQ(run({"--bind", "/isle-no-such-source", "--", "true"}).exit_code, 125);
}

TEST(RunCliSession, AFailureSaysWhoAskedAndWhatToTry) {
  ISLE_REQUIRE("userns");
  const CommandResult result = run({"--bind", "/isle-no-such-source", "--", "true"});
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with("isle: ")) << result;
  EXPECT_NE(result.err.find("/isle-no-such-source"), std::string::npos) << result;
  EXPECT_NE(result.err.find("(ENOENT)\n  asked by: argv[2] --bind\n  hint: "), std::string::npos)
      << result;
}

TEST(RunCliSession, SignalsAreHandedOn) {
  ISLE_REQUIRE("userns");
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1, SIGINT}) {
    Command handled(isle_run({"--tty=never", "--", "sh", "-c",
                              "trap 'echo got; exit 3' TERM HUP USR1 INT; echo ready; "
                              "while :; do sleep 0.05; done"}));
    ASSERT_TRUE(handled.expect("ready"));
    handled.send_signal(signal);
    EXPECT_TRUE(handled.expect("got")) << signal;
    EXPECT_EQ(handled.wait().exit_code, 3) << signal;
  }
}

TEST(RunCliSession, TheCommandsSignalMaskIsTheCallers) {
  ISLE_REQUIRE("userns");
  for (const char* how : {"--tty=never", "--init"}) {
    EXPECT_EQ(run({how, "--", "grep", "SigBlk", "/proc/self/status"}).out,
              "SigBlk:\t0000000000000000\n")
        << how;
  }
}

// Reading a fifo that nobody writes to is where launching can hang.
TEST(RunCliSession, ALaunchThatHangsCanBeEnded) {
  ISLE_REQUIRE("userns");
  const test::TempDir dir;
  const std::string fifo = dir / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0666), 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    Command command(isle_run({"--file", fifo + ":/tmp/f", "--", "true"}));
    std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(100)));
    command.send_signal(signal);
    const CommandResult result = command.wait();
    EXPECT_FALSE(result.timed_out);
    EXPECT_NE(result.shell_status(), 0) << result;
    // What it leaves to be reaped by init comes to the test instead, which is a subreaper.
    for (int i = 0; i < 100 && ::waitpid(-1, nullptr, WNOHANG) <= 0; ++i) {
      std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(10)));
    }
  }
}

TEST(RunCliSession, APid1WithoutAHandlerIsEndedAllTheSame) {
  ISLE_REQUIRE("userns");
  Command plain(isle_run({"--", "sh", "-c", "echo ready; exec sleep 100"}));
  ASSERT_TRUE(plain.expect("ready"));
  plain.send_signal(SIGTERM);
  EXPECT_EQ(plain.wait().shell_status(), 128 + SIGTERM);
}

TEST(RunCliSession, NohupIsRespected) {
  ISLE_REQUIRE("userns");
  Command command({"sh", "-c",
                   "trap '' HUP; exec \"$0\" run -- sh -c 'echo ready; sleep 0.5; echo on'",
                   test::isle_binary()});
  ASSERT_TRUE(command.expect("ready"));
  command.send_signal(SIGHUP);
  EXPECT_TRUE(command.expect("on"));
  EXPECT_EQ(command.wait().exit_code, 0);
}

TEST(RunCliSession, TerminalHasTheCallersSizeFromTheStart) {
  ISLE_REQUIRE("userns");
  const CommandResult result = run({"--", "stty", "size"}, {.pty = true});
  EXPECT_EQ(result.out, "24 80\r\n") << result;
}

TEST(RunCliSession, TerminalIsAnotherOne) {
  ISLE_REQUIRE("userns");
  EXPECT_EQ(run({"--", "tty"}, {.pty = true}).out, "/dev/pts/0\r\n");
  EXPECT_EQ(run({"--tty=never", "--", "sh", "-c", "tty < /dev/tty"}, {.pty = true}).exit_code, 2);
  EXPECT_EQ(run({"--tty=always", "--", "tty"}).out, "/dev/pts/0\r\n");
}

TEST(RunCliSession, ResizingTheWindowIsPassedOn) {
  ISLE_REQUIRE("userns");
  Command command(
      isle_run({"--", "sh", "-c",
                "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"}),
      {.pty = true});
  ASSERT_TRUE(command.expect("ready"));
  command.resize(50, 120);
  EXPECT_TRUE(command.expect("50 120"));
  EXPECT_EQ(command.wait().exit_code, 0);
}

TEST(RunCliSession, KeysWork) {
  ISLE_REQUIRE("userns");
  Command lone(isle_run({"--", "sh", "-c", "echo ready; exec sleep 100"}), {.pty = true});
  ASSERT_TRUE(lone.expect("ready"));
  lone.write("\x03");
  EXPECT_EQ(lone.wait().shell_status(), 128 + SIGINT);

  Command trapped(
      isle_run({"--", "sh", "-c", "trap 'n=$((n+1))' INT; echo ready; read line; echo n=$n.$line"}),
      {.pty = true});
  ASSERT_TRUE(trapped.expect("ready"));
  trapped.write("\x03");
  std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(200)));
  trapped.write("end\n");
  EXPECT_TRUE(trapped.expect("n=1.")) << trapped.output();
  trapped.write("\n");
  trapped.wait();
}

TEST(RunCliSession, EndOfInputReachesATerminal) {
  ISLE_REQUIRE("userns");
  const CommandResult result = run({"--tty=always", "--", "cat"}, {.input = "one\ntwo\n"});
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_NE(result.out.find("one\r\n"), std::string::npos) << result;
}

TEST(RunCliSession, NothingThatWasWrittenIsLost) {
  ISLE_REQUIRE("userns");
  const CommandResult result = run({"--tty=always", "--", "seq", "50000"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.out.ends_with("\r\n49999\r\n50000\r\n")) << result.out.size();
  EXPECT_TRUE(result.out.starts_with("1\r\n2\r\n"));
}

TEST(RunCliSession, AReaderThatGoesAwayEndsTheSandbox) {
  ISLE_REQUIRE("userns");
  const CommandResult result = test::run_command(
      {"sh", "-c", "\"$0\" run --tty=always -- yes | head -n 1", test::isle_binary()});
  EXPECT_EQ(result.out, "y\r\n") << result;
  EXPECT_FALSE(result.timed_out);
}

TEST(RunCliSession, Timeout) {
  ISLE_REQUIRE("userns");
  EXPECT_EQ(run({"--timeout", "100ms", "--", "sleep", "100"}).exit_code, 124);
  const std::string limit = fmt::format("{}ms", test::scaled(test::milliseconds(200)).count());
  const CommandResult stubborn = run({"--timeout", limit + ":" + limit, "--", "sh", "-c",
                                      "trap 'echo no' TERM; while :; do sleep 0.02; done"});
  EXPECT_EQ(stubborn.exit_code, 124) << stubborn;
  EXPECT_EQ(stubborn.out, "no\n");
  EXPECT_EQ(run({"--timeout", "100s", "--", "true"}).exit_code, 0);
}

TEST(RunCliSession, StatusEvents) {
  ISLE_REQUIRE("userns");
  const test::TempDir dir;
  const std::string events = dir / "events";
  const auto with_events = [&](const std::string& command) {
    test::run_command({"sh", "-c",
                       fmt::format("exec \"$0\" run --status-fd 7 {} 7> {}", command, events),
                       test::isle_binary()});
    return test::read_file(events);
  };
  const std::string exited = with_events("-- sh -c 'sleep 0.3; exit 5'");
  EXPECT_TRUE(exited.starts_with("{\"event\":\"started\",\"pid\":")) << exited;
  EXPECT_NE(exited.find("\"network\":"), std::string::npos) << exited;
  EXPECT_TRUE(exited.ends_with("\n{\"event\":\"exited\",\"code\":5}\n")) << exited;
  const std::string late = with_events("--timeout 50ms -- sleep 100");
  EXPECT_NE(late.find("\"name\":\"SIGTERM\""), std::string::npos) << late;
  EXPECT_NE(late.find("\"timeout\":true"), std::string::npos) << late;
  const std::string failed = with_events("-- /isle/no/such/program");
  EXPECT_TRUE(failed.starts_with("{\"event\":\"failed\",\"status\":127,\"error\":")) << failed;
  for (int i = 0; i < 20; ++i) {  // however soon it ends
    const std::string quick = with_events("--new time -- true");
    for (const char* type : {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"})
      EXPECT_NE(quick.find(fmt::format("\"{}\":", type)), std::string::npos) << quick;
  }
  const CommandResult closed = run({"--status-fd", "77", "--", "true"});
  EXPECT_EQ(closed.exit_code, 125);
  EXPECT_NE(closed.err.find("asked by: argv[2] --status-fd\n  hint: it is not open"),
            std::string::npos)
      << closed;
  const std::string inside = with_events("-- sh -c 'echo x >&7'");
  EXPECT_EQ(inside.find("x\n"), std::string::npos) << inside;
}

TEST(RunCliSession, StatusEventsNameTheCommandsNamespaces) {
  ISLE_REQUIRE("userns", "timens");
  const test::TempDir dir;
  for (const char* how : {"--tty=never", "--init"}) {
    const CommandResult result =
        test::run_command({"sh", "-c",
                           fmt::format("\"$0\" run {} --new time --status-fd 7 -- "
                                       "sh -c 'cd /proc/self/ns && stat -Lc \"%n %i\" *' 7> {}",
                                       how, dir / "events"),
                           test::isle_binary()});
    const std::string events = test::read_file(dir / "events");
    const auto started = nlohmann::json::parse(events.substr(0, events.find('\n')));
    std::istringstream lines(result.out);
    int seen = 0;
    std::string name;
    for (uint64_t inode = 0; lines >> name >> inode;) {
      const auto type = parse_namespace_type(name);
      if (!type) continue;  // pid_for_children
      EXPECT_EQ(started.at("namespaces").at(std::string(to_string(*type))), inode) << name;
      ++seen;
    }
    EXPECT_EQ(seen, kNamespaceTypes) << result << events;
  }
}

TEST(RunCliSession, PidFileLivesAsLongAsTheSandbox) {
  ISLE_REQUIRE("userns");
  const test::TempDir dir;
  const std::string file = dir / "pid";
  Command command(isle_run({"--pid-file", file, "--", "sh", "-c", "echo ready; read line"}),
                  {.keep_input_open = true});
  ASSERT_TRUE(command.expect("ready"));
  // It is written when the command has started, so perhaps after what that printed.
  for (int i = 0; i < 100 && ::access(file.c_str(), F_OK) != 0; ++i) {
    std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(10)));
  }
  const std::string pid = test::read_file(file);
  EXPECT_EQ(::kill(std::stoi(pid), 0), 0);
  command.close_input();
  command.wait();
  EXPECT_NE(::access(file.c_str(), F_OK), 0);
}

TEST(RunCliSession, VerbosePrintsStepsWithTheirTimes) {
  ISLE_REQUIRE("userns");
  const CommandResult result = run({"-v", "--hostname", "box", "--", "true"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.err.find(" us  init    sethostname \"box\"\n"), std::string::npos) << result;
}

TEST(RunCliSession, VerbosePrintsAsItGoes) {
  ISLE_REQUIRE("userns");
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0666), 0);
  Command command(
      isle_run({"-v", "--hostname", "box", "--file", dir / "fifo:/tmp/f", "--", "true"}));
  ASSERT_TRUE(command.expect_error("sethostname \"box\"\n")) << command.error_output();
  EXPECT_EQ(command.error_output().find("execve"), std::string::npos);
  const auto deadline = std::chrono::steady_clock::now() + test::scaled(std::chrono::seconds(20));
  while (!Fd(::open((dir / "fifo").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC))) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nobody reads the fifo";
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(command.expect_error("execve"));
  EXPECT_EQ(command.wait().exit_code, 0);
}

TEST(RunCliSession, StoppedWithItsCallersJob) {
  ISLE_REQUIRE("userns");
  Command command(isle_run({"--tty=never", "--", "sh", "-c", "echo ready; sleep 0.3; echo done"}));
  ASSERT_TRUE(command.expect("ready"));
  command.send_signal(SIGTSTP);
  std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(100)));
  command.send_signal(SIGCONT);
  EXPECT_TRUE(command.expect("done"));
  EXPECT_EQ(command.wait().exit_code, 0);
}

// What isle opens must not take the place of a closed standard descriptor and so get inside.
TEST(RunCliSession, ClosedStandardDescriptorsStayHarmless) {
  ISLE_REQUIRE("userns");
  const CommandResult result = test::run_command(
      {"sh", "-c", "\"$0\" run -- sh -c 'readlink /proc/self/fd/0 /proc/self/fd/2' <&- 2>&-",
       test::isle_binary()});
  EXPECT_EQ(result.out, "/dev/null\n/dev/null\n") << result;
  EXPECT_EQ(test::run_command({"sh", "-c", "\"$0\" run -- true <&- >&- 2>&-", test::isle_binary()})
                .exit_code,
            0);
}

}  // namespace
}  // namespace isle
