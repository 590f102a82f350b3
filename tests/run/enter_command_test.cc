// `isle enter` into sandboxes of others: of one user namespace and of two, by pid and by namespace.
#include <gtest/gtest.h>
#include "support/support.h"

namespace isle {
namespace {

using test::Command;
using test::CommandOptions;
using test::CommandResult;

CommandOptions user() {
  CommandOptions how;
  how.identity = test::unprivileged();
  return how;
}

/// Says its pid and links, then waits.
const std::string kScript =
    "echo $$; readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net; echo ready; "
    "exec sleep 60";

class EnterCommand : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("userns"); }

  /// Starts a sandbox that runs kScript in the host's pid namespace; its pid.
  std::string start(std::vector<std::string> words) {
    words.insert(words.end(), {"sh", "-c", kScript});
    sandbox_.emplace(words, user());
    EXPECT_TRUE(sandbox_->expect("ready\n"));
    const std::string out = sandbox_->output();
    const size_t line = out.find('\n');
    links_ = out.substr(line + 1, out.find("ready") - line - 1);
    return out.substr(0, line);
  }
  std::string enter(std::vector<std::string> words) {
    words.insert(words.begin(), {test::isle_binary(), "enter"});
    const CommandResult result = test::run_command(words, user());
    if (result.ok()) return result.out;
    return "status " + std::to_string(result.shell_status()) + ": " + result.out + result.err;
  }
  std::optional<Command> sandbox_;
  std::string links_;
};

const std::string kLinks = "readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net";

TEST_F(EnterCommand, AllOfAProcess) {
  const std::string pid = start({test::isle_binary(), "unshare", "-n", "user,mount,net", "-r"});
  EXPECT_EQ(enter({pid, "sh", "-c", kLinks}), links_);
  EXPECT_EQ(enter({pid, "id", "-u"}), "0\n");
  EXPECT_EQ(enter({"--all", pid, "--", "sh", "-c", kLinks}), links_);
}

TEST_F(EnterCommand, ATypeAloneWithItsOwner) {
  const std::string pid = start({test::isle_binary(), "unshare", "-n", "user,net", "-r"});
  const std::string net = enter({pid, "--types", "net", "readlink", "/proc/self/ns/net"});
  EXPECT_TRUE(links_.ends_with(net)) << links_ << net;
  EXPECT_EQ(enter({"/proc/" + pid + "/ns/net", "readlink", "/proc/self/ns/net"}), net);
  EXPECT_EQ(enter({net.substr(0, net.size() - 1), "readlink", "/proc/self/ns/net"}), net);
}

// The process's user namespace is below the one that owns its mounts.
TEST_F(EnterCommand, TwoUserNamespaces) {
  const std::string isle = test::isle_binary();
  const std::string pid =
      start({isle, "unshare", "-n", "user,mount,net", "-r", "--", isle, "unshare", "-n", "user"});
  EXPECT_EQ(enter({pid, "sh", "-c", kLinks}), links_);
}

// bubblewrap's --dev makes the second one, to own /dev as somebody who is not root inside.
TEST_F(EnterCommand, ASandboxOfBubblewrapWithDev) {
  ISLE_REQUIRE("bwrap");
  const std::string pid = start({"bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-user",
                                 "--unshare-net", "--uid", "1000", "--gid", "1000"});
  const std::string parents =
      "import fcntl, os; ns = os.open('/proc/" + pid +
      "/ns/user', 0); up = fcntl.ioctl(ns, 0xb702); up = fcntl.ioctl(up, 0xb702); "
      "print(os.fstat(up).st_ino == os.stat('/proc/self/ns/user').st_ino)";
  EXPECT_EQ(test::run_command({"python3", "-c", parents}).out, "True\n") << "two levels";
  EXPECT_EQ(enter({pid, "sh", "-c", kLinks}), links_);
  EXPECT_EQ(enter({pid, "--user", "follow", "id", "-u"}), "1000\n");
  EXPECT_EQ(enter({pid, "test", "-c", "/dev/null"}), "");
}

TEST_F(EnterCommand, WhatIsOfTheTarget) {
  const std::string pid =
      start({test::isle_binary(), "unshare", "-n", "user", "-r", "--workdir", "/usr"});
  EXPECT_EQ(enter({pid, "--cwd", "pwd"}), "/usr\n");
  EXPECT_EQ(enter({pid, "--workdir", "/etc", "pwd"}), "/etc\n");
  EXPECT_EQ(enter({pid, "--user", "follow", "id", "-u"}), "0\n");
}

// The target has changed its root to a directory without any program.
TEST_F(EnterCommand, ToolsOfTheHostForATargetWithoutAny) {
  const std::string chroots =
      "import os, sys, time\n"
      "os.system('mount -t tmpfs none /mnt && mkdir /mnt/proc && touch /mnt/theirs')\n"
      "said = sys.argv[3].replace('$$', str(os.getpid())).replace('exec sleep 60', '')\n"
      "os.system(said.replace('echo ready;', ''))\n"
      "os.chroot('/mnt')\n"
      "print('ready', flush=True)\n"
      "time.sleep(60)\n";
  const std::string pid = start({test::isle_binary(), "unshare", "-n", "user,mount,net", "-r", "--",
                                 "python3", "-c", chroots});
  EXPECT_EQ(enter({pid, "--tools", "sh", "-c", "pwd; ls; readlink /proc/self/ns/net"}),
            "/mnt\nproc\ntheirs\n" + links_.substr(links_.rfind("net:")));
}

TEST_F(EnterCommand, ToolsAreSeenByTheCommandOnly) {
  const std::string pid = start({test::isle_binary(), "unshare", "-n", "user,mount,net,uts", "-r"});
  const std::string mounts = "/proc/" + pid + "/mountinfo";
  const std::string before = test::read_file(mounts);
  // Its own mount namespace, read-only but for /tmp and the target's tree; the target's is as before.
  const std::string seen = enter({pid, "--tools=/opt", "--", "sh", "-c",
                                  "readlink /proc/self/ns/mnt; touch /tmp/made && echo made; touch "
                                  "/made 2>/dev/null || echo read-only; test -e /opt/etc/passwd && "
                                  "echo theirs; cat " +
                                      mounts});
  EXPECT_TRUE(seen.ends_with("made\nread-only\ntheirs\n" + before)) << seen;
  EXPECT_EQ(links_.find(seen.substr(0, seen.find('\n'))), std::string::npos) << seen;
  EXPECT_EQ(test::read_file(mounts), before);
  EXPECT_EQ(enter({pid, "--tools=opt"}).find("status 125: isle: --tools: needs an absolute path"),
            0U);
  EXPECT_EQ(enter({pid, "--tools", "--root"}).find("status 125: isle: --tools has a root"), 0U);
}

TEST_F(EnterCommand, Statuses) {
  const std::string self = start({test::isle_binary(), "unshare", "-n", "user", "-r"});
  EXPECT_EQ(enter({self, "sh", "-c", "exit 3"}), "status 3: ");
  EXPECT_TRUE(enter({"no such thing", "true"}).starts_with("status 125: isle: nothing to enter"));
  EXPECT_TRUE(enter({}).starts_with("status 125: isle: enter what?"));
  EXPECT_TRUE(enter({self, "--types", "nosuch"}).starts_with("status 125: "));
  EXPECT_NE(enter({self, "--explain", "true"}).find("execve"), std::string::npos);
}

}  // namespace
}  // namespace isle
