// Namespaces that cannot be made or joined, and processes that cannot be.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdio>

#include "run/explain_support.h"

namespace isle {
namespace {

using test::complaint;
using test::complaint_in;
using test::must;
using test::TempDir;
using test::unprivileged;

class ExplainNamespaces : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }
};

// A user namespace of the child's own, with `file` of its /proc/sys/user set.
void limit(const char* file, int most) {
  test::own_user_namespace();
  test::write_file(fmt::format("/proc/sys/user/{}", file), std::to_string(most));
}

TEST_F(ExplainNamespaces, UserNamespacesSwitchedOff) {
  ISLE_REQUIRE("root");
  EXPECT_SAYS(
      complaint_in([] { limit("max_user_namespaces", 0); }, {"--", "true"}),
      "isle: create cgroup, ipc, mount, network, pid, user, uts namespaces: No space left on "
      "device (ENOSPC)",
      "hint: user.max_user_namespaces is 0: no user namespace may be made; sysctl -w");
}

TEST_F(ExplainNamespaces, ALimitReached) {
  ISLE_REQUIRE("root");
  const std::string text = complaint_in(
      [] {
        limit("max_uts_namespaces", 1);
        // One that is in use: by a child that ends with us.
        int ready[2];
        must(pipe(ready), "pipe");
        if (fork() == 0) {
          prctl(PR_SET_PDEATHSIG, SIGKILL);
          if (unshare(CLONE_NEWUTS) != 0 || write(ready[1], "", 1) != 1) _exit(1);
          for (;;) pause();
        }
        char byte = 0;
        must(read(ready[0], &byte, 1) == 1 ? 0 : -1, "wait for the child");
      },
      {"--", "true"});
  EXPECT_SAYS(text, "ENOSPC", "hint: user.max_uts_namespaces is 1, 1 in use by this user");
  EXPECT_TRUE(test::reap_orphans().empty());
}

TEST_F(ExplainNamespaces, ChrootedIntoADirectory) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  const std::string binary = test::isle_binary();
  ASSERT_FALSE(dir.make_dir("tree").empty());
  for (const char* name : {"bin", "lib", "lib64", "usr", "proc", "etc", "dev"})
    ASSERT_EQ(symlink(fmt::format("tree/{}", name).c_str(), (dir / name).c_str()), 0);
  const test::ForkResult result = test::call_in_fork([&]() -> std::string {
    test::own_mounts();
    must(mount("/", (dir / "tree").c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind");
    must(chroot(dir.path().c_str()), "chroot");
    must(chdir("/"), "chdir");
    return test::run_command({"/tree" + binary, "run", "--no-root", "--", "true"}).err;
  });
  EXPECT_TRUE(result.ok()) << result.describe();
  EXPECT_SAYS(result.value, "namespaces: Operation not permitted (EPERM)",
              "hint: this process is chrooted: its root directory is no mount",
              "the kernel makes no user namespace for a chrooted process");
}

TEST_F(ExplainNamespaces, ChrootedIntoAMount) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  const test::ForkResult result = test::call_in_fork([&]() -> std::string {
    // No mount namespace of our own: process 1 must be in ours to be compared with.
    must(unshare(CLONE_NEWPID | CLONE_NEWNS), "unshare");
    must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private");
    const test::ForkResult inner = test::call_in_fork([&]() -> std::string {
      // We are process 1 of a pid namespace, and a child of ours is chrooted.
      must(mount("/", dir.path().c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind");
      must(mount("proc", (dir / "proc").c_str(), "proc", 0, nullptr), "proc");
      return test::call_in_fork([&]() -> std::string {
               const std::string binary = test::isle_binary();
               must(chroot(dir.path().c_str()), "chroot");
               must(chdir("/"), "chdir");
               return test::run_command({binary, "run", "--", "true"}).err;
             })
          .value;
    });
    return inner.value + inner.error;
  });
  EXPECT_SAYS(
      result.value + result.error,
      "hint: this process is chrooted: its root directory is not that of its mount namespace");
}

void filter_out(long call, int error) {
  const std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = const_cast<sock_filter*>(program.data())};
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "seccomp");
}

TEST_F(ExplainNamespaces, ASeccompFilterOfOuterContainers) {
  EXPECT_SAYS(complaint_in([] { filter_out(SYS_clone3, EPERM); }, {"--", "true"}),
              "Operation not permitted (EPERM)",
              "hint: a seccomp filter on this process turns clone3 away", "seccomp=unconfined");
  EXPECT_SAYS(complaint_in([] { filter_out(SYS_clone3, ENOSYS); }, {"--", "true"}),
              "Function not implemented (ENOSYS)", "turns clone3 away");
  EXPECT_SAYS(
      complaint_in([] { filter_out(SYS_open_tree, EPERM); }, {"--bind", "/usr:/mnt", "--", "true"}),
      "turns open_tree away");
}

TEST_F(ExplainNamespaces, NoRoomForProcesses) {
  ISLE_REQUIRE("root");
  const test::Identity user = unprivileged();
  const std::string binary = test::isle_binary();
  const test::ForkResult result = test::call_in_fork([&]() -> std::string {
    const char* step = "";
    must(test::become(user, &step), step);
    int output[2];
    must(pipe(output), "pipe");
    const pid_t child = fork();
    if (child == 0) {
      dup2(output[1], 2);
      const rlimit one{1, 1};
      setrlimit(RLIMIT_NPROC, &one);
      execl(binary.c_str(), "isle", "run", "--", "true", nullptr);
      _exit(1);
    }
    close(output[1]);
    std::string text;
    char buffer[512];
    for (ssize_t got = 0; (got = read(output[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(got));
    waitpid(child, nullptr, 0);
    return text;
  });
  EXPECT_TRUE(result.ok()) << result.describe();
  EXPECT_SAYS(result.value, "Resource temporarily unavailable (EAGAIN)",
              "hint: RLIMIT_NPROC is 1, and this user has ");
}

// Status of a process in a new pid namespace which has ended: the descriptor keeps the namespace.
int dead_pid_namespace() {
  int ready[2];
  int end[2];
  if (pipe(ready) != 0 || pipe(end) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWPID) != 0) _exit(1);
    const pid_t first = fork();
    if (first == 0) {
      char byte = 0;
      close(end[1]);
      _exit(read(end[0], &byte, 1) == 0 ? 0 : 1);
    }
    if (write(ready[1], &first, sizeof first) != sizeof first) _exit(1);
    close(end[0]);
    close(end[1]);
    waitpid(first, nullptr, 0);
    _exit(0);
  }
  pid_t first = 0;
  if (read(ready[0], &first, sizeof first) != sizeof first) return -1;
  const int fd = open(fmt::format("/proc/{}/ns/pid", first).c_str(), O_RDONLY | O_CLOEXEC);
  for (const int used : {ready[0], ready[1], end[0], end[1]}) close(used);
  waitpid(child, nullptr, 0);
  return fd;
}

TEST_F(ExplainNamespaces, ADeadPidNamespace) {
  ISLE_REQUIRE("root");
  const Fd dead(dead_pid_namespace());
  ASSERT_TRUE(dead);
  EXPECT_SAYS(complaint({"--share", "user", "--join",
                         fmt::format("pid=/proc/{}/fd/{}", getpid(), dead.get()), "--", "true"}),
              "Cannot allocate memory (ENOMEM)",
              "takes no new process: its first process has ended");
}

TEST_F(ExplainNamespaces, JoiningWhatIsNoNamespaceOrAnother) {
  ISLE_REQUIRE("root");
  EXPECT_SAYS(complaint({"--share", "user", "--join", "network=/etc/passwd", "--", "true"}),
              "isle: join the network namespace \"/etc/passwd\": Invalid argument (EINVAL)",
              "hint: \"/etc/passwd\" is not a namespace");
  EXPECT_SAYS(complaint({"--share", "user", "--join", "network=/proc/self/ns/ipc", "--", "true"}),
              "hint: \"/proc/self/ns/ipc\" is a namespace of type ipc");
  EXPECT_SAYS(complaint({"--join", "network=/no/such", "--", "true"}),
              "No such file or directory (ENOENT)", "hint: /no does not exist");
}

TEST_F(ExplainNamespaces, JoiningWithoutRights) {
  EXPECT_SAYS(complaint({"--join", "network=/proc/self/ns/net", "--", "true"}, unprivileged()),
              "join the network namespace \"/proc/self/ns/net\": Operation not permitted (EPERM)",
              "hint: \"/proc/self/ns/net\" belongs to this user namespace; joining it needs "
              "CAP_SYS_ADMIN");
}

// What the kernel does not let a stranger look at cannot be joined either.
TEST_F(ExplainNamespaces, JoiningAProcessOfSomebodyElse) {
  ISLE_REQUIRE("root");
  const std::string pid = std::to_string(getpid());
  EXPECT_SAYS(
      complaint({"--join", "network=/proc/" + pid + "/ns/net", "--", "true"}, unprivileged()),
      "Permission denied (EACCES)\n  asked by: argv[2] --join", "hint: process " + pid + " (",
      "is of user 0, and only that user or CAP_SYS_PTRACE may look into it");
}

// Where mount namespaces are numbered per cpu, one made later may count as older; in which order of
// cpus that is so depends on what ran on them before.
TEST_F(ExplainNamespaces, AMountNamespaceThatCannotBeKept) {
  ISLE_REQUIRE("root");
  const test::TempDir dir;
  const auto pin = [](int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
  };
  int refused = 0;
  for (const auto& [callers, own] : {std::pair{0, 1}, {1, 0}}) {
    const std::string said = complaint_in(
        [&, from = callers, to = own] {
          pin(from);
          test::own_mounts();
          must(mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), "tmpfs");
          test::write_file(dir / "kept", "");
          pin(to);
        },
        {"--keep", "mount=" + (dir / "kept"), "--", "true"});
    if (said.find("exit status 0") != said.npos) continue;
    ++refused;
    EXPECT_SAYS(said, "keep the mount namespace at", "Invalid argument (EINVAL)",
                "this kernel numbers mount namespaces per cpu");
  }
  if (refused == 0) std::puts("no order of cpus is refused here");
  Fd peer;
  EXPECT_SAYS(complaint_in(
                  [&] {
                    test::own_mounts();
                    must(mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), "tmpfs");
                    must(mount(nullptr, dir.path().c_str(), nullptr, MS_SHARED, nullptr),
                         "share it");
                    peer.reset(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));  // stays
                    must(unshare(CLONE_NEWNS), "leave it");
                    test::write_file(dir / "kept", "");
                  },
                  {"--keep", "mount=" + (dir / "kept"), "--", "true"}),
              "keep the mount namespace at", "on a shared one", "mount --make-private");
}

}  // namespace
}  // namespace isle
