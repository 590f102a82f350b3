// Every option of `isle run` by what the command inside sees of it, as an ordinary user where that
// is possible.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/support.h"

namespace isle {
namespace {

using test::CommandOptions;
using test::CommandResult;

/// `isle run OPTIONS -- sh -c SCRIPT` as the ordinary user; what it printed, or how it failed.
std::string sees(std::vector<std::string> options, const std::string& script,
                 CommandOptions how = {}) {
  std::vector<std::string> words{test::isle_binary(), "run"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", "sh", "-c", script});
  if (!how.identity) how.identity = test::unprivileged();
  const CommandResult result = test::run_command(words, how);
  if (result.ok()) return result.out;
  return fmt::format("status {}: {}{}", result.shell_status(), result.out, result.err);
}

class RunCliOptions : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }
};

TEST_F(RunCliOptions, Defaults) {
  EXPECT_EQ(sees({}, "echo $$"), "1\n");
  EXPECT_EQ(sees({}, "cat /proc/net/dev | grep -c :"), "1\n");
  EXPECT_EQ(sees({}, "ls -A /tmp /run"), "/run:\n\n/tmp:\n");
  EXPECT_EQ(sees({}, "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1\n");
  EXPECT_EQ(sees({}, "grep -E 'Cap(Eff|Bnd|Amb)' /proc/self/status | cut -f 2 | sort -u"),
            "0000000000000000\n");
  EXPECT_EQ(sees({}, "touch /usr/isle 2>&1 | grep -o 'Read-only file system'"),
            "Read-only file system\n");
  EXPECT_EQ(sees({}, "ls /dev | tr '\\n' ' '"),
            "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ");
  EXPECT_EQ(sees({}, "echo x > /tmp/f; echo y > /dev/shm/f; cat /tmp/f /dev/shm/f"), "x\ny\n");
}

TEST_F(RunCliOptions, Identity) {
  EXPECT_EQ(sees({"--uid", "0", "--gid", "0"}, "id -u; id -g"), "0\n0\n");
  EXPECT_EQ(sees({"--uid=33"}, "id -u"), "33\n");
  EXPECT_EQ(sees({"--user", "nobody"}, "id -un"), "nobody\n");
  EXPECT_EQ(sees({"--user", "12:34"}, "id -u; id -g"), "12\n34\n");
  EXPECT_EQ(
      sees({"--uid=7", "--map-uid", fmt::format("7:{}:1", test::unprivileged().uid)}, "id -u"),
      "7\n");
  EXPECT_EQ(sees({"--cap-add", "net_raw"}, "grep CapEff /proc/self/status"),
            "CapEff:\t0000000000002000\n");
  EXPECT_EQ(sees({"--keep-privileges"}, "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t0\n");
}

TEST_F(RunCliOptions, Namespaces) {
  EXPECT_EQ(sees({"--hostname", "box", "--domainname", "dom"},
                 "uname -n; cat /proc/sys/kernel/domainname"),
            "box\ndom\n");
  const CommandResult own = test::run_command({"readlink", "/proc/self/ns/net"});
  EXPECT_EQ(sees({"--share", "net"}, "readlink /proc/self/ns/net"), own.out);
  EXPECT_NE(sees({}, "readlink /proc/self/ns/net"), own.out);
  EXPECT_NE(sees({"--share", "pid"}, "echo $$"), "1\n");
  EXPECT_EQ(sees({"--share", "pid"}, "test -r /proc/$$/status && echo seen"), "seen\n");
  EXPECT_EQ(sees({"--share", "ipc"}, "test -d /dev/shm && echo shm"), "shm\n");
  EXPECT_EQ(sees({"--share", "all"}, "test $$ -ne 1 && echo all"), "all\n");
}

TEST_F(RunCliOptions, TimeOffset) {
  ISLE_REQUIRE("timens");
  const std::string uptime =
      sees({"--time-offset", "boottime=1000000"}, "cut -d . -f 1 /proc/uptime");
  EXPECT_GE(std::stol(uptime), 1000000) << uptime;
}

TEST_F(RunCliOptions, FileSystem) {
  const test::TempDir dir;
  dir.write("in", "bound\n");
  dir.give_to(test::unprivileged());
  const std::string host = dir.path();
  EXPECT_EQ(sees({"--bind", host + ":/tmp/b"}, "cat /tmp/b/in; touch /tmp/b/new && echo wrote"),
            "bound\nwrote\n");
  EXPECT_EQ(sees({"--ro-bind", host + ":/tmp/b"}, "touch /tmp/b/new2 2> /dev/null || echo refused"),
            "refused\n");
  EXPECT_EQ(sees({"--bind", "."}, "pwd; cat in", {.working_dir = host}), host + "\nbound\n");
  EXPECT_EQ(sees({"--tmpfs", "/mnt:size=4K,mode=700"}, "stat -c %a /mnt; df -k --output=size /mnt"),
            "700\n1K-blocks\n        4\n");
  EXPECT_EQ(sees({"--dir", "/tmp/a/b", "--symlink", "a/b:/tmp/l"}, "cd /tmp/l && pwd -P"),
            "/tmp/a/b\n");
  EXPECT_EQ(sees({"--file", dir / "in:/tmp/f:mode=600"}, "cat /tmp/f; stat -c %a /tmp/f"),
            "bound\n600\n");
  EXPECT_EQ(
      sees({"--mount", "type=tmpfs,dst=/mnt,ro"}, "touch /mnt/x 2> /dev/null || echo refused"),
      "refused\n");
  EXPECT_EQ(sees({"--tmpfs", "/mnt", "--dev-bind", "/dev/null:/mnt/null"},
                 "echo x > /mnt/null && echo wrote"),
            "wrote\n");
}

TEST_F(RunCliOptions, Mask) {
  EXPECT_EQ(sees({"--mask", "/etc/passwd"}, "cat /etc/passwd"), "");
  EXPECT_EQ(sees({"--mask", "/etc"}, "ls -A /etc"), "");
}

TEST_F(RunCliOptions, FileFromADescriptor) {
  const CommandResult result = test::run_command(
      {"sh", "-c", "echo text | \"$0\" run --file 0:/tmp/f -- cat /tmp/f", test::isle_binary()},
      {.identity = test::unprivileged()});
  EXPECT_EQ(result.out, "text\n") << result;
}

TEST_F(RunCliOptions, NoRoot) {
  EXPECT_EQ(sees({"--no-root"}, "test -d /proc/1 && echo same"), "same\n");
  EXPECT_EQ(sees({"--no-root", "--mount", "type=proc,dst=/proc"}, "echo /proc/[0-9]*"),
            "/proc/1\n");
}

TEST_F(RunCliOptions, Process) {
  EXPECT_EQ(sees({"--workdir", "/usr"}, "pwd"), "/usr\n");
  EXPECT_EQ(sees({"--umask", "027"}, "umask"), "0027\n");
  EXPECT_EQ(sees({"--rlimit", "nofile=64:128"}, "ulimit -Sn; ulimit -Hn"), "64\n128\n");
  const std::string nicer = std::to_string(std::min(::getpriority(PRIO_PROCESS, 0) + 1, 19));
  EXPECT_EQ(sees({"--nice", nicer}, "nice"), nicer + "\n");
  EXPECT_EQ(sees({"--cpus-allowed", "0"}, "grep Cpus_allowed_list /proc/self/status"),
            "Cpus_allowed_list:\t0\n");
  EXPECT_EQ(sees({"--oom-score-adj", "500"}, "cat /proc/self/oom_score_adj"), "500\n");
  EXPECT_EQ(sees({"--clear-env", "--env", "A=1", "--env", "LANG"},
                 "env | grep -v -e ^PWD -e ^_ -e ^SHLVL", {.set_env = {{"LANG", "C"}}}),
            "A=1\nLANG=C\n");
  EXPECT_EQ(sees({"--init"}, "echo $$"), "2\n");
  EXPECT_EQ(sees({"--env", "A=1", "--unset", "A"}, "echo ${A-none}"), "none\n");
}

TEST_F(RunCliOptions, PassFd) {
  const CommandResult result =
      test::run_command({"sh", "-c",
                         "exec 7< /etc/hostname 8< /etc/hostname; exec \"$0\" run --pass-fd 7 -- "
                         "sh -c 'ls /proc/self/fd'",
                         test::isle_binary()},
                        {.identity = test::unprivileged()});
  EXPECT_EQ(result.out, "0\n1\n2\n3\n7\n") << result;
}

TEST_F(RunCliOptions, ExplainRunsNothing) {
  const test::TempDir dir;
  const std::string flag = dir / "ran";
  const CommandResult text = test::run_command(
      {test::isle_binary(), "run", "--hostname", "box", "--explain", "--", "touch", flag});
  EXPECT_TRUE(text.ok());
  EXPECT_NE(text.out.find("sethostname \"box\""), std::string::npos);
  EXPECT_NE(text.out.find("from: argv[2] --hostname"), std::string::npos);
  const CommandResult json =
      test::run_command({test::isle_binary(), "run", "--explain=json", "--", "touch", flag});
  EXPECT_TRUE(json.out.starts_with("{")) << json;
  EXPECT_EQ(test::run_command({"test", "-e", flag}).exit_code, 1);
}

TEST(RunCliPrivileged, JoinAndKeep) {
  ISLE_REQUIRE("root", "util_linux");
  const test::TempDir dir;
  const std::string kept = dir / "uts";
  const CommandResult keep =
      test::run_command({test::isle_binary(), "run", "--share", "user", "--keep", "uts=" + kept,
                         "--hostname", "kept", "--", "true"});
  ASSERT_TRUE(keep.ok()) << keep;
  const CommandResult join = test::run_command({test::isle_binary(), "run", "--share", "user",
                                                "--join", "uts=" + kept, "--", "uname", "-n"});
  EXPECT_EQ(join.out, "kept\n") << join;
  EXPECT_TRUE(test::run_command({"umount", kept}).ok());
}

TEST(RunCliPrivileged, Overlay) {
  ISLE_REQUIRE("root", "overlay");
  const test::TempDir dir("/dev/shm");
  const std::string root = dir.make_dir("root");
  const std::string kept = dir.make_dir("kept");
  dir.write("root/file", "old\n");
  const auto in_root = [&](const std::string& overlay) {
    return test::run_command({test::isle_binary(), "run", "--share", "user", "--root", root,
                              overlay, "--ro-bind", "/usr", "--symlink", "usr/bin:/bin",
                              "--symlink", "usr/lib:/lib", "--symlink", "usr/lib64:/lib64", "--",
                              "/usr/bin/sh", "-c", "echo new > /file; cat /file"});
  };
  EXPECT_EQ(in_root("--overlay").out, "new\n");
  EXPECT_EQ(test::read_file(root + "/file"), "old\n");
  const CommandResult result = in_root("--overlay=" + kept);
  EXPECT_EQ(result.out, "new\n") << result;
  EXPECT_EQ(test::read_file(root + "/file"), "old\n");
  if (result.ok()) {
    EXPECT_EQ(test::read_file(kept + "/upper/file"), "new\n");
  }
}

}  // namespace
}  // namespace isle
