// `isle unshare`, and the fronts' behaviour that a parity table cannot show: pids, signals.
#include <gtest/gtest.h>

#include <csignal>

#include "support/neighbour.h"
#include "support/support.h"

namespace isle {
namespace {

using test::CommandOptions;
using test::CommandResult;

CommandResult as_user(std::vector<std::string> words) {
  words.insert(words.begin(), test::isle_binary());
  CommandOptions how;
  how.identity = test::unprivileged();
  return test::run_command(words, how);
}

std::string sees(std::vector<std::string> options, const std::string& script) {
  std::vector<std::string> words{"unshare"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", "sh", "-c", script});
  const CommandResult result = as_user(words);
  if (result.ok()) return result.out;
  return "status " + std::to_string(result.shell_status()) + ": " + result.out + result.err;
}

class UnshareCommand : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }
};

TEST_F(UnshareCommand, Identity) {
  EXPECT_EQ(sees({"--new", "user", "-r"}, "id -u; id -g"), "0\n0\n");
  const std::string own = std::to_string(test::unprivileged().uid);
  EXPECT_EQ(sees({"--new", "user"}, "id -u"), own + "\n");
  EXPECT_EQ(sees({"--new", "user", "--map-uid", "7:" + own}, "id -u"), "7\n");
}

TEST_F(UnshareCommand, Settings) {
  EXPECT_EQ(sees({"--new", "user,uts", "-r", "--hostname", "box"}, "hostname"), "box\n");
  EXPECT_EQ(sees({"-n", "user,mount,pid", "-r", "--proc"}, "echo $$; readlink /proc/self"),
            "1\n2\n");
  EXPECT_EQ(sees({"-n", "user,net", "-r"}, "cat /proc/net/dev | grep -c :"), "1\n");
  EXPECT_EQ(sees({"-n", "user", "--workdir", "/usr"}, "pwd"), "/usr\n");
}

TEST_F(UnshareCommand, InPlaceIsTheSameProcess) {
  // Its parent is whoever started isle, not isle.
  const CommandResult in_place = test::run_command(
      {"sh", "-c",
       "echo $$; exec " + test::isle_binary() + " unshare -n user -r -- sh -c 'echo $$'"});
  ASSERT_TRUE(in_place.ok()) << in_place;
  const size_t half = in_place.out.size() / 2;
  EXPECT_EQ(in_place.out.substr(0, half), in_place.out.substr(half));
}

TEST_F(UnshareCommand, Statuses) {
  EXPECT_EQ(as_user({"unshare", "-n", "user", "--", "sh", "-c", "exit 3"}).exit_code, 3);
  EXPECT_EQ(as_user({"unshare", "-n", "user", "--", "sh", "-c", "kill $$"}).signal, SIGTERM);
  EXPECT_EQ(as_user({"unshare", "-f", "-n", "user", "--", "sh", "-c", "kill $$"}).signal, SIGTERM);
  EXPECT_EQ(as_user({"unshare", "-n", "user", "--", "/nonexistent/x"}).exit_code, 127);
  EXPECT_EQ(as_user({"unshare", "-n", "user", "--", "/etc/passwd"}).exit_code, 126);
  EXPECT_EQ(as_user({"unshare", "true"}).exit_code, 125);
  EXPECT_EQ(as_user({"unshare", "-n", "nosuch", "true"}).exit_code, 125);
}

TEST_F(UnshareCommand, ProcIsMountedBelowTheRoot) {
  ISLE_REQUIRE("root");
  const std::string script = "mount --rbind / /mnt && exec " + test::isle_binary() +
                             " unshare -n pid,mount --root /mnt --proc "
                             "sh -c 'echo $$; ls -d /proc/[0-9]*'";
  const CommandResult seen =
      test::run_command({"unshare", "-m", "--propagation", "private", "sh", "-c", script});
  EXPECT_TRUE(seen.out.starts_with("1\n/proc/1\n")) << seen;
  EXPECT_LE(seen.out.size(), std::string("1\n/proc/1\n/proc/2\n").size()) << seen;
}

// util-linux 2.42's options that the util-linux beside us has not.
TEST_F(UnshareCommand, ANamespaceByItsNumber) {
  ISLE_REQUIRE("root", "kernel:6.18");
  const test::Neighbour neighbour({NamespaceType::uts});
  ASSERT_TRUE(neighbour.ready());
  const Namespace uts = neighbour.ns(NamespaceType::uts);
  const std::string number = ":" + std::to_string(uts.id().unique);
  const std::string nsenter = test::isle_binary("isle-nsenter");
  EXPECT_EQ(test::run_command({nsenter, "--uts=" + number, "readlink", "/proc/self/ns/uts"}).out,
            uts.link_text() + "\n");
  const CommandResult other = test::run_command({nsenter, "--net=" + number, "true"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find(" is " + uts.link_text()), std::string::npos) << other;
}

TEST_F(UnshareCommand, AUserNamespaceOfAnother) {
  ISLE_REQUIRE("root");
  const std::string unshare = test::isle_binary("isle-unshare");
  const CommandResult made = test::run_command(
      {unshare, "--owner", "54321:54322", "--map-users", "0:0:1", "--map-users", "1:54321:1",
       "python3", "-c",
       "import fcntl, os, struct; ns = os.open('/proc/self/ns/user', 0); owner = bytearray(4); "
       "fcntl.ioctl(ns, 0xb704, owner); print(os.getuid(), struct.unpack('I', owner)[0])"});
  EXPECT_EQ(made.out, "0 1\n") << made;  // 54321 is 1 inside
  CommandOptions how;
  how.identity = test::unprivileged();
  const CommandResult refused = test::run_command({unshare, "--owner", "1:1", "true"}, how);
  EXPECT_NE(refused.err.find("it takes CAP_SETUID and CAP_SETGID"), std::string::npos) << refused;
  EXPECT_EQ(test::run_command({unshare, "--owner", "1", "true"}).exit_code, 1);
}

TEST_F(UnshareCommand, BinfmtOfItsOwn) {
  ISLE_REQUIRE("kernel:6.7");
  if (test::read_file("/proc/filesystems").find("binfmt_misc") == std::string::npos)
    GTEST_SKIP() << "no binfmt_misc in this kernel";
  CommandOptions how;
  how.identity = test::unprivileged();
  const CommandResult made =
      test::run_command({test::isle_binary("isle-unshare"), "-r", "-l",
                         ":isle:E::isle::/bin/echo:", "cat", "/proc/sys/fs/binfmt_misc/isle"},
                        how);
  EXPECT_TRUE(made.out.starts_with("enabled\ninterpreter /bin/echo\n")) << made;
}

TEST_F(UnshareCommand, Explain) {
  const CommandResult plan = as_user({"unshare", "-n", "user,net", "-r", "--explain", "true"});
  EXPECT_TRUE(plan.ok()) << plan;
  EXPECT_NE(plan.out.find("runtime unshare NEWUSER|NEWNET"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("runtime execve"), std::string::npos) << plan.out;
}

}  // namespace
}  // namespace isle
