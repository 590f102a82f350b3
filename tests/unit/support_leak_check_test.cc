// The leak check sees what it is there to see, and lets pass what is none of our business.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "support/support.h"

namespace isle::test {
namespace {

// The lines that begin with `beginning`.
long count_of(const std::vector<std::string>& lines, const std::string& beginning) {
  return std::count_if(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.starts_with(beginning); });
}

// How often `line` is there. What other test runs on the machine do may be among the lines too.
long lines_equal(const std::vector<std::string>& lines, const std::string& line) {
  return std::count(lines.begin(), lines.end(), line);
}

TEST(LeakCheck, NothingChangedIsNoDifference) {
  const Snapshot start = Snapshot::take();
  for (const char* own : {"descriptor", "mount", "process", "test process"}) {
    EXPECT_EQ(count_of(start.differences(Snapshot::take()), std::string("+ ") + own), 0);
  }
}

TEST(LeakCheck, SeesDescriptor) {
  const Snapshot start = Snapshot::take();
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const std::vector<std::string> lines = start.differences(Snapshot::take());
  EXPECT_EQ(lines_equal(lines, "+ descriptor: " + std::to_string(fd) + " (/dev/null)"), 1);
  close(fd);
  EXPECT_EQ(count_of(leaks_since(start), "+ descriptor: "), 0);
}

TEST(LeakCheck, SeesADescriptorClosedThatWasNotOurs) {
  expect_in_fork([] {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const Snapshot start = Snapshot::take();
    close(fd);
    EXPECT_EQ(count_of(start.differences(Snapshot::take()), "- descriptor: "), 1);
  });
}

TEST(LeakCheck, SeesMountInAPrivateMountNamespace) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  expect_in_fork([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const Snapshot start = Snapshot::take();
    ASSERT_EQ(mount("leaked", dir.path().c_str(), "tmpfs", 0, nullptr), 0);
    const std::vector<std::string> lines = start.differences(Snapshot::take());
    ASSERT_EQ(count_of(lines, "+ mount: "), 1);
    const auto line = std::find_if(lines.begin(), lines.end(), [](const std::string& each) {
      return each.starts_with("+ mount: ");
    });
    EXPECT_NE(line->find(dir.path()), std::string::npos);
    ASSERT_EQ(umount(dir.path().c_str()), 0);
    EXPECT_EQ(count_of(start.differences(Snapshot::take()), "+ mount: "), 0);
  });
}

TEST(LeakCheck, SeesNamespaceLinkAndWorkingDirectoryOfTheTestProcess) {
  ISLE_REQUIRE("root", "netns");
  expect_in_fork([] {
    const Snapshot start = Snapshot::take();
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(chdir("/proc"), 0);
    const std::vector<std::string> lines = start.differences(Snapshot::take());
    EXPECT_EQ(count_of(lines, "+ test process: namespace net "), 1);
    EXPECT_EQ(count_of(lines, "+ test process: working directory "), 1);
  });
}

TEST(LeakCheck, SeesFileAndNamesOnlyOurs) {
  const Snapshot start = Snapshot::take();
  const std::string path = "/tmp/" + unique_name("leak");
  write_file(path, "");
  const std::string alien = "/tmp/not-" + unique_name("leak");
  write_file(alien, "");
  const std::vector<std::string> lines = start.differences(Snapshot::take());
  unlink(path.c_str());
  unlink(alien.c_str());
  EXPECT_EQ(lines_equal(lines, "+ file: " + path), 1);
  EXPECT_EQ(lines_equal(lines, "+ file: " + alien), 0);
}

TEST(LeakCheck, LetsAnotherTestProgramHaveItsOwn) {
  const Snapshot start = Snapshot::take();
  const std::string path = "/tmp/isle-test-" + std::to_string(getpid() + 1) + "-x";
  write_file(path, "");
  EXPECT_EQ(lines_equal(start.differences(Snapshot::take()), "+ file: " + path), 0);
  unlink(path.c_str());
}

TEST(LeakCheck, WhatAChildMakesIsOurs) {
  const Snapshot start = Snapshot::take();
  const ForkResult name = call_in_fork([] {
    std::string made = unique_name("leak");
    write_file("/tmp/" + made, "");
    return made;
  });
  ASSERT_TRUE(name.ok());
  const std::string path = "/tmp/" + name.value;
  EXPECT_EQ(lines_equal(start.differences(Snapshot::take()), "+ file: " + path), 1);
  unlink(path.c_str());
}

TEST(LeakCheck, SeesSharedMemory) {
  const Snapshot start = Snapshot::take();
  const std::string path = "/dev/shm/" + unique_name("leak");
  if (access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "needs /dev/shm";
  write_file(path, "");
  const std::vector<std::string> lines = start.differences(Snapshot::take());
  unlink(path.c_str());
  EXPECT_EQ(lines_equal(lines, "+ shared memory: " + path), 1);
}

TEST(LeakCheck, SeesCgroup) {
  ISLE_REQUIRE("root");
  const bool v1 = missing("cgroup_v1").empty();
  if (!v1) ISLE_REQUIRE("cgroup_v2");
  const std::string path = (v1 ? "/sys/fs/cgroup/pids/" : "/sys/fs/cgroup/") + unique_name("leak");
  const Snapshot start = Snapshot::take();
  ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  const std::vector<std::string> lines = start.differences(Snapshot::take());
  rmdir(path.c_str());
  EXPECT_EQ(lines_equal(lines, "+ cgroup: " + path), 1);
}

TEST(LeakCheck, SeesOrphanAndZombie) {
  expect_in_fork([] {
    ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    const Snapshot start = Snapshot::take();
    const auto result = run_command({"sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"});
    const pid_t orphan = std::stoi(result.out);
    EXPECT_EQ(
        count_of(start.differences(Snapshot::take()), "+ process: " + std::to_string(orphan) + " "),
        1);
    EXPECT_EQ(reap_orphans(milliseconds(1)), std::vector<pid_t>{orphan});
    ASSERT_EQ(kill(orphan, SIGKILL), 0);
    siginfo_t info;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(orphan), &info, WEXITED | WNOWAIT), 0);
    const std::vector<std::string> lines = start.differences(Snapshot::take());
    // Its name is sh where it was killed before its execve.
    EXPECT_EQ(std::ranges::count_if(lines,
                                    [&](const std::string& line) {
                                      return line.starts_with(
                                                 "+ process: " + std::to_string(orphan) + " (s") &&
                                             line.ends_with(" (ended, but nobody waited for it))");
                                    }),
              1);
    EXPECT_TRUE(reap_orphans().empty());
    EXPECT_EQ(count_of(leaks_since(start), "+ process: "), 0);
  });
}

}  // namespace
}  // namespace isle::test
