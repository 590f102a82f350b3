// `isle run` by an ordinary user who has ranges in /etc/subuid and /etc/subgid: more ids inside than
// the own one, and otherwise nothing is different.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <string>
#include <thread>
#include <vector>

#include "support/support.h"

namespace isle {
namespace {

using test::CommandResult;

class RunSubids : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("userns", "subids"); }

  static CommandResult run(std::vector<std::string> words) {
    words.insert(words.begin(), {test::isle_binary(), "run"});
    return test::run_command(words, {.identity = user()});
  }
  static std::string sees(std::vector<std::string> options, const std::string& script) {
    for (const std::string& word :
         {std::string("--"), std::string("sh"), std::string("-c"), script})
      options.push_back(word);
    const CommandResult result = run(std::move(options));
    return result.ok() ? result.out
                       : "exit status " + std::to_string(result.exit_code) + "\n" + result.err;
  }
  static test::Identity user() { return test::unprivileged_with_subids(); }
  /// Maps that leave the own id out: init sets up as their root.
  static std::vector<std::string> foreign_maps(std::vector<std::string> more) {
    const CommandResult first = test::run_command(
        {"sh", "-c", "sed -n \"s/^$(id -un):\\([0-9]*\\):.*/\\1/p\" /etc/subuid /etc/subgid"},
        {.identity = user()});
    const size_t line = first.out.find('\n');
    more.insert(more.begin(),
                {"--map-uid", "0:" + first.out.substr(0, line) + ":1000", "--map-gid",
                 "0:" + first.out.substr(line + 1, first.out.size() - line - 2) + ":1000"});
    return more;
  }
};

TEST_F(RunSubids, TheOwnIdIsInsideWhatItIsOutside) {
  const std::string own = std::to_string(user().uid);
  EXPECT_EQ(sees({}, "id -u; id -g"), own + "\n" + std::to_string(user().gid) + "\n");
  EXPECT_EQ(sees({}, "awk '$1 == 0 { print $3 }' /proc/self/uid_map"), own + "\n");
}

// As the id asked for, and with all the others there still.
TEST_F(RunSubids, AnIdAskedForStandsForTheOwnOneAmongOthers) {
  EXPECT_EQ(sees({"--uid=0", "--gid=0"}, "id -u; id -g; wc -l </proc/self/uid_map"), "0\n0\n2\n");
  EXPECT_EQ(sees({"--uid=33"}, "id -u; awk '$1 == 33 { print $2 }' /proc/self/uid_map"),
            fmt::format("33\n{}\n", user().uid));
  EXPECT_EQ(sees({"--uid=0", "--gid=0", "--tmpfs=/mnt", "--cap-add=CHOWN"},
                 "touch /mnt/x && chown 5:7 /mnt/x && stat -c %u:%g /mnt/x"),
            "5:7\n");
}

TEST_F(RunSubids, WhatIsMadeBelongsToTheCommand) {
  const test::TempDir dir;
  dir.write("in", "text\n");
  dir.give_to(user());
  EXPECT_EQ(
      sees({"--file", dir / "in:/tmp/f:mode=600", "--tmpfs=/mnt:mode=700", "--dir=/tmp/d:mode=700"},
           "cat /tmp/f; touch /mnt/x /tmp/d/x && echo wrote"),
      "text\nwrote\n");
}

TEST_F(RunSubids, PrivilegesAreKeptWhenAskedFor) {
  EXPECT_NE(sees({"--keep-privileges", "--uid=0"}, "grep CapEff /proc/self/status"),
            "CapEff:\t0000000000000000\n");
  EXPECT_EQ(sees({}, "grep CapEff /proc/self/status"), "CapEff:\t0000000000000000\n");
}

TEST_F(RunSubids, SettingsMadeFromOutsideComeBeforeOtherIds) {
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(sees(foreign_maps({"--oom-score-adj=900"}), "cat /proc/self/oom_score_adj"), "900\n");
}

TEST_F(RunSubids, TimeOffsetsAreWrittenBeforeOtherIds) {
  ISLE_REQUIRE("timens");
  for (const auto& maps : {std::vector<std::string>{}, foreign_maps({})}) {
    std::vector<std::string> options = maps;
    options.emplace_back("--time-offset=boottime=1000000");
    EXPECT_EQ(sees(options,
                   "read seconds rest </proc/uptime; test ${seconds%.*} -ge 1000000 && echo later"),
              "later\n");
  }
}

// commit_creds() clears the parent's death signal.
TEST_F(RunSubids, ASetUpThatHangsDiesWithItsParent) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0666), 0);
  ASSERT_EQ(::chmod((dir / "fifo").c_str(), 0666), 0);
  dir.give_to(user());
  std::vector<std::string> words =
      foreign_maps({"-v", "--file", dir / "fifo:/tmp/f", "--", "true"});
  words.insert(words.begin(), {test::isle_binary(), "run"});
  test::Command command(words, {.identity = user()});
  ASSERT_TRUE(command.expect_error("setresuid 0"));
  command.send_signal(SIGKILL);
  command.wait();
  for (int i = 0; i < 100 && ::waitpid(-1, nullptr, WNOHANG) >= 0; ++i)
    std::this_thread::sleep_for(test::scaled(std::chrono::milliseconds(10)));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // nobody of it is left
}

}  // namespace
}  // namespace isle
