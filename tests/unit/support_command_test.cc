// Commands, terminals, identities, temporary files and forked children of tests/support.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "support/support.h"

namespace isle::test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(Command, OutputAndStatus) {
  const auto result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.exit_code, 3) << result;
  EXPECT_EQ(result.shell_status(), 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_GT(result.usage.ru_maxrss, 0);
}

TEST(Command, Signal) {
  const auto result = run_command({"sh", "-c", "kill -TERM $$"});
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_EQ(result.exit_code, -1);
  EXPECT_EQ(result.shell_status(), 143);
}

TEST(Command, MuchInputAndOutput) {
  const std::string text(3'000'000, 'x');
  const auto result = run_command({"cat"}, {.input = text});
  EXPECT_EQ(result.out.size(), text.size());
  EXPECT_EQ(run_command({"true"}, {.input = text}).exit_code, 0);
}

TEST(Command, EnvironmentAndWorkingDirectory) {
  const TempDir dir;
  const auto result = run_command({"sh", "-c", "pwd; echo $A-$B"}, {.environment = {{"A=1", "B=2"}},
                                                                    .set_env = {{"B", "3"}},
                                                                    .unset_env = {"A"},
                                                                    .working_dir = dir.path()});
  EXPECT_EQ(result.out, dir.path() + "\n-3\n") << result;
}

TEST(Command, PassesOnlyTheDescriptorsNamed) {
  const int fd = open("/dev/zero", O_RDONLY);  // not close-on-exec
  const auto result = run_command({"sh", "-c", "readlink /proc/self/fd/7; exec ls /proc/self/fd"},
                                  {.descriptors = {{fd, 7}}});
  close(fd);
  EXPECT_EQ(result.out, "/dev/zero\n0\n1\n2\n3\n7\n") << result;
}

TEST(Command, CannotStart) {
  EXPECT_THROW(run_command({"isle-test-no-such-program"}), std::runtime_error);
  EXPECT_THROW(run_command({"/dev/null"}), std::runtime_error);
  EXPECT_THROW(run_command({"true"}, {.working_dir = "/nonexistent"}), std::runtime_error);
}

TEST(Command, TimeoutKillsTheTree) {
  const auto result =
      run_command({"sh", "-c", "setsid sleep 1000 & sleep 1000 & echo started; wait"},
                  {.timeout = milliseconds(300)});
  EXPECT_TRUE(result.timed_out) << result;
  EXPECT_EQ(result.signal, SIGKILL);
  EXPECT_TRUE(descendants().empty());
}

TEST(Command, AnAbandonedCommandIsKilled) {
  {
    Command command({"sh", "-c", "sleep 1000; true"});
  }
  EXPECT_TRUE(descendants().empty());
}

TEST(Command, DoesNotWaitForWhoHoldsItsOutput) {
  const auto result = run_command({"sh", "-c", "sleep 1000 & echo $!"});
  EXPECT_TRUE(result.ok()) << result;
  kill(std::stoi(result.out), SIGKILL);
  EXPECT_TRUE(reap_orphans().empty());
}

TEST(Command, Conversation) {
  Command command(
      {"sh", "-c", "echo ready; read line; echo got $line; echo bad >&2; cat >/dev/null"},
      {.keep_input_open = true});
  ASSERT_TRUE(command.expect("ready"));
  ASSERT_TRUE(command.write("one\n"));
  EXPECT_TRUE(command.expect("got one"));
  EXPECT_TRUE(command.expect_error("bad"));
  EXPECT_FALSE(command.expect("more", milliseconds(1)));
  command.close_input();
  EXPECT_TRUE(command.wait().ok());
}

TEST(Command, Terminal) {
  Command command(
      {"sh", "-c", "tty >/dev/null && echo terminal; stty size; read a; stty size; cat; exit 5"},
      {.pty = true});
  ASSERT_TRUE(command.expect("terminal")) << command.output();
  ASSERT_TRUE(command.expect("24 80\r\n")) << command.output();
  command.resize(40, 100);
  command.write("\n");
  EXPECT_TRUE(command.expect("40 100\r\n")) << command.output();
  command.write("word\n");
  EXPECT_TRUE(command.expect("word\r\nword\r\n")) << command.output();  // echo and cat
  command.write("\x04");
  EXPECT_EQ(command.wait().exit_code, 5);
}

TEST(Command, TerminalInterrupt) {
  Command command({"sleep", "1000"}, {.pty = true});
  // The kernel may deliver the key before sleep(1) runs; the session exists from the start.
  command.write("\x03");
  EXPECT_EQ(command.wait().signal, SIGINT);
}

TEST(Identity, OrdinaryUser) {
  ISLE_REQUIRE("unprivileged");
  const auto result =
      run_command({"sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status"},
                  {.identity = unprivileged()});
  EXPECT_TRUE(contains(result.out, "CapEff:\t0000000000000000")) << result;
  if (geteuid() == 0) {
    EXPECT_TRUE(result.out.starts_with("54321\n54321\n54321\n")) << result;
  }
}

TEST(Identity, SubidsLeaveTheHostsFilesAlone) {
  ISLE_REQUIRE("root", "subids");
  const std::string before = read_file("/etc/subuid");
  const auto result = run_command(
      {"sh", "-c", "id -un; grep isle-test /etc/subuid; grep '/etc/' /proc/self/mountinfo | wc -l"},
      {.identity = unprivileged_with_subids()});
  EXPECT_EQ(result.out, "isle-test\nisle-test:300000:65536\n4\n") << result;
  EXPECT_EQ(read_file("/etc/subuid"), before);
}

TEST(Identity, ProgramsAreWithinReach) {
  ISLE_REQUIRE("unprivileged");
  const TempDir dir;
  dir.write("closed/true", read_file("/bin/true"), 0755);
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0700), 0);
  const std::string path = reachable_by_all(dir / "closed/true");
  if (geteuid() == 0) {
    EXPECT_NE(path, dir / "closed/true");
  }
  EXPECT_EQ(reachable_by_all(dir / "closed/true"), path);
  EXPECT_TRUE(run_command({path}, {.identity = unprivileged()}).ok());
}

TEST(Identity, BecomeWithoutExec) {
  ISLE_REQUIRE("userns");
  expect_in_fork([] {
    const char* step = "";
    ASSERT_EQ(become(unprivileged(), &step), 0) << step;
    ASSERT_EQ(unshare(CLONE_NEWUSER), 0);
    EXPECT_NO_THROW(write_file("/proc/self/setgroups", "deny"));
  });
}

TEST(TempDir, IsRemovedWithAllInIt) {
  std::string path;
  {
    const TempDir dir;
    path = dir.path();
    dir.write("a/b/file", "text");
    ASSERT_EQ(symlink("/etc", (dir / "a/link").c_str()), 0);
    ASSERT_EQ(read_file(dir / "a/b/file"), "text");
    ASSERT_EQ(chmod((dir / "a/b").c_str(), 0), 0);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
}

TEST(TempDir, RemovingStopsAtABindMount) {
  ISLE_REQUIRE("root");
  const TempDir precious;
  precious.write("file", "text");
  expect_in_fork([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const TempDir dir;
    const std::string on = dir.make_dir("on");
    ASSERT_EQ(mount(precious.path().c_str(), on.c_str(), nullptr, MS_BIND, nullptr), 0);
    EXPECT_NE(remove_tree(dir.path()), "");
    ASSERT_EQ(umount(on.c_str()), 0);
  });
  EXPECT_EQ(read_file(precious / "file"), "text");
}

TEST(Fork, ValueErrorAndSignal) {
  EXPECT_EQ(call_in_fork([] { return std::string("value"); }).value, "value");
  EXPECT_EQ(call_in_fork([]() -> std::string { throw std::runtime_error("why"); }).error,
            "exception: why\n");
  EXPECT_EQ(call_in_fork([]() -> std::string { _exit(7); }).exit_code, 7);
  EXPECT_EQ(call_in_fork([]() -> std::string {
              raise(SIGKILL);
              return {};
            }).signal,
            SIGKILL);
}

TEST(Fork, AnEndInTheMiddleIsNoSuccess) {
  EXPECT_FALSE(in_fork([] { _exit(0); }));
  EXPECT_TRUE(in_fork([] {}));
}

}  // namespace
}  // namespace isle::test
