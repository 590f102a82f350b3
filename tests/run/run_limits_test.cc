// --memory, --cpus and --pids by what the kernel then does: on v1 and hybrid as root, on v2 as root
// and as a user to whom a cgroup was delegated.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/support.h"

namespace isle {
namespace {

using test::Command;
using test::CommandResult;

std::vector<std::string> isle_run(std::vector<std::string> words) {
  words.insert(words.begin(), {test::isle_binary(), "run"});
  return words;
}

class RunLimits : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("userns");
    if (::geteuid() != 0) ISLE_REQUIRE("delegated");
  }

  static CommandResult run(std::vector<std::string> words) {
    return test::run_command(isle_run(std::move(words)));
  }
};

TEST_F(RunLimits, NoMoreProcesses) {
  const std::string start = "n=0; while test $n -lt 20; do sleep 60 & n=$((n + 1)); done; echo all";
  EXPECT_EQ(run({"--", "sh", "-c", start}).out, "all\n");
  const CommandResult limited = run({"--pids", "5", "--", "sh", "-c", start});
  EXPECT_NE(limited.exit_code, 0) << limited;
  EXPECT_EQ(limited.out, "") << limited;
}

// tail keeps all that it may have to print.
TEST_F(RunLimits, NoMoreMemory) {
  const std::string fill = "head -c 64M /dev/zero | tail -c 64M | wc -c";
  EXPECT_EQ(run({"--memory", "512M", "--", "sh", "-c", fill}).out, "67108864\n");
  // Whom the kernel ends for it, tail or the shell itself, is its choice.
  EXPECT_NE(run({"--memory", "16M", "--", "sh", "-c", fill}).out, "67108864\n");
}

TEST_F(RunLimits, EachInItsFile) {
  ISLE_REQUIRE("cgroup_v2");
  Command command(isle_run({"--memory", "64M", "--cpus", "0.5", "--pids", "20", "--tty=never", "--",
                            "sh", "-c", "cat /proc/self/cgroup; echo ready; read line"}),
                  {.keep_input_open = true});
  ASSERT_TRUE(command.expect("ready")) << command.error_output();
  EXPECT_TRUE(command.output().starts_with("0::/\n"))
      << command.output();  // a namespace of its own
  std::string directory;
  for (const pid_t pid : test::descendants()) {
    const std::string own = test::read_file(fmt::format("/proc/{}/cgroup", pid));
    const size_t name = own.find("/isle-");
    if (name != std::string::npos) directory = "/sys/fs/cgroup" + own.substr(3, own.size() - 4);
  }
  ASSERT_NE(directory, "");
  EXPECT_EQ(test::read_file(directory + "/memory.max"), "67108864\n");
  EXPECT_EQ(test::read_file(directory + "/cpu.max"), "50000 100000\n");
  EXPECT_EQ(test::read_file(directory + "/pids.max"), "20\n");
  command.close_input();
  command.wait();
  EXPECT_NE(::access(directory.c_str(), F_OK), 0);
}

TEST_F(RunLimits, WithoutDelegationTheErrorSaysHowToGetOne) {
  ISLE_REQUIRE("root", "cgroup_v2");
  for (const char* limit : {"--memory=64M", "--cpus=0.5", "--pids=20"}) {
    const CommandResult refused =
        test::run_command(isle_run({limit, "--", "true"}), {.identity = test::unprivileged()});
    EXPECT_EQ(refused.exit_code, 125) << refused;
    EXPECT_NE(refused.err.find(
                  fmt::format("asked by: argv[2] --{}",
                              std::string(limit).substr(2, std::string(limit).find('=') - 2))),
              std::string::npos)
        << refused;
    EXPECT_NE(refused.err.find("systemd-run --user --scope -p Delegate=yes isle"),
              std::string::npos)
        << refused;
  }
}

}  // namespace
}  // namespace isle
