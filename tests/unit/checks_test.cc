// The looks at the machine, on made-up trees; what needs the real situation is in tests/run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/checks.h"
#include "support/support.h"

namespace isle::checks {
namespace {

using test::TempDir;

bool says(const Finding& finding, std::string_view words) {
  return finding.answer != Answer::yes && finding.hint().find(words) != std::string::npos;
}

TEST(Finding, HintIsReasonAndAdvice) {
  EXPECT_EQ(no("a", "b").hint(), "a; b");
  EXPECT_EQ(no("a").hint(), "a");
  EXPECT_EQ(partly("a").hint(), "a");
  EXPECT_EQ(yes("a").hint(), "");
}

TEST(Sysctls, ForbidUserNamespaces) {
  const TempDir root;
  EXPECT_TRUE(unprivileged_userns_clone(root.path()).ok()) << "not of this kernel";
  EXPECT_TRUE(apparmor_userns_restriction(root.path()).ok());
  root.write("proc/sys/kernel/unprivileged_userns_clone", "0\n");
  root.write("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
  EXPECT_TRUE(
      says(unprivileged_userns_clone(root.path()), "kernel.unprivileged_userns_clone is 0"));
  EXPECT_TRUE(says(apparmor_userns_restriction(root.path()), "userns,"));
  root.write("proc/sys/kernel/unprivileged_userns_clone", "1\n");
  root.write("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n");
  EXPECT_TRUE(unprivileged_userns_clone(root.path()).ok());
  EXPECT_TRUE(apparmor_userns_restriction(root.path()).ok());
}

TEST(NamespaceLimit, NoneLeft) {
  const TempDir root;
  EXPECT_TRUE(namespace_limit_left(NamespaceType::network, root.path()).ok());
  root.write("proc/sys/user/max_net_namespaces", "0\n");
  EXPECT_TRUE(says(namespace_limit_left(NamespaceType::network, root.path()),
                   "user.max_net_namespaces is 0: no network namespace may be made"));
  root.write("proc/sys/user/max_net_namespaces", "2\n");
  for (const auto& [pid, inode] :
       {std::pair{"self", 1}, {"10", 1}, {"11", 2}, {"12", 2}, {"13", 3}}) {
    const std::string directory = root.make_dir(std::string("proc/") + pid + "/ns");
    ASSERT_EQ(
        symlink(("net:[" + std::to_string(inode) + "]").c_str(), (directory + "/net").c_str()), 0);
  }
  EXPECT_EQ(namespaces_in_use(NamespaceType::network, geteuid(), root.path()), 2U);
  EXPECT_EQ(namespaces_in_use(NamespaceType::network, geteuid() + 1, root.path()), 0U);
  EXPECT_TRUE(says(namespace_limit_left(NamespaceType::network, root.path()),
                   "user.max_net_namespaces is 2, 2 in use by this user"));
}

TEST(Chroot, ARootThatIsNoMount) {
  const TempDir root;
  EXPECT_TRUE(not_chrooted(root.path()).ok()) << "nothing to tell it by";
  root.write("proc/self/mountinfo", "1 0 0:1 / / rw - ext4 d rw\n");
  EXPECT_TRUE(not_chrooted(root.path()).ok());
  root.write("proc/self/mountinfo", "7 1 0:1 / /proc rw - proc p rw\n");
  EXPECT_TRUE(says(not_chrooted(root.path()), "this process is chrooted"));
}

TEST(AppArmor, AProfileThatEnforces) {
  const TempDir root;
  EXPECT_TRUE(not_confined_by_apparmor(root.path()).ok());
  root.write("proc/self/attr/current", "unconfined\n");
  EXPECT_TRUE(not_confined_by_apparmor(root.path()).ok());
  root.write("proc/self/attr/apparmor/current", "docker-default (enforce)\n");
  EXPECT_TRUE(says(not_confined_by_apparmor(root.path()), "docker-default (enforce)"));
}

TEST(SubIds, GrantedOrNot) {
  const TempDir root;
  EXPECT_TRUE(says(has_subids(1000, root.path()), "/etc/subuid grants 1000 no range"));
  root.write("etc/passwd", "alice:x:1000:1000::/:/bin/sh\n");
  root.write("etc/subuid", "alice:100000:65536\n");
  EXPECT_TRUE(says(has_subids(1000, root.path()), "/etc/subgid grants alice no range"));
  root.write("etc/subgid", "1000:100000:65536\n");
  EXPECT_TRUE(has_subids(1000, root.path()).ok());
}

TEST(MappingProgram, MissingOrWithoutRights) {
  const TempDir root;
  EXPECT_TRUE(says(mapping_program("newuidmap", root.path()), "newuidmap is not installed"));
  const std::string program = root.write("usr/bin/newuidmap", "", 0755);
  EXPECT_TRUE(says(mapping_program("newuidmap", root.path()), "chmod u+s"));
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  EXPECT_EQ(mapping_program("newuidmap", root.path()).detail.ends_with("/usr/bin/newuidmap"), true);
}

TEST(Path, TheComponentThatStopsTheWay) {
  const TempDir dir;
  dir.write("a/file", "");
  ASSERT_EQ(symlink("a", (dir / "link").c_str()), 0);
  ASSERT_EQ(symlink("gone", (dir / "dangling").c_str()), 0);
  ASSERT_EQ(symlink("loop", (dir / "loop").c_str()), 0);
  EXPECT_TRUE(path_is_reachable(dir / "link/file").ok());
  EXPECT_TRUE(path_is_reachable(dir / "a/../link/./file").ok());
  EXPECT_TRUE(says(path_is_reachable(dir / "a/b/c"), dir / "a/b does not exist"));
  EXPECT_TRUE(says(path_is_reachable(dir / "dangling/x"), dir / "gone does not exist"));
  EXPECT_TRUE(says(path_is_reachable(dir / "a/file/x"), dir / "a/file is not a directory"));
  EXPECT_TRUE(says(path_is_reachable(dir / "loop/x"), "loop of symbolic links"));
}

TEST(Path, WithoutX) {
  const TempDir dir;
  dir.write("closed/file", "");
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0750), 0);
  const Walker stranger{.uid = 4711, .gid = 4711};
  EXPECT_TRUE(says(path_is_reachable(dir / "closed/file", stranger),
                   "user 4711 may not go through " + (dir / "closed") + " (mode 0750"));
  EXPECT_TRUE(path_is_reachable(dir / "closed/file", {.uid = 4711, .gid = getegid()}).ok());
  EXPECT_TRUE(path_is_reachable(dir / "closed/file", {.uid = 4711, .groups = {getegid()}}).ok());
  EXPECT_TRUE(path_is_reachable(dir / "closed/file", {.uid = geteuid(), .gid = 4711}).ok());
  EXPECT_TRUE(path_is_reachable(dir / "closed/file", {.uid = 4711, .override_all = true}).ok());
  EXPECT_TRUE(says(directory_is_writable(dir / "", stranger), "may not make anything in"));
}

TEST(Path, LinksStartAtTheRootOfTheWalk) {
  const TempDir root;
  root.write("usr/bin/tool", "");
  ASSERT_EQ(symlink("/usr/bin", (root / "bin").c_str()), 0);
  ASSERT_EQ(symlink("../../../../usr", (root / "up").c_str()), 0);
  const Walker all{.override_all = true};
  EXPECT_TRUE(path_is_reachable("/bin/tool", all, root.path()).ok());
  EXPECT_TRUE(path_is_reachable("/up/bin/tool", all, root.path()).ok());
  EXPECT_TRUE(says(path_is_reachable("/bin/no", all, root.path()), "/usr/bin/no does not exist"));
}

TEST(Links, OfProcAndLoops) {
  EXPECT_TRUE(links_stay_inside("", "/etc").ok());
  EXPECT_TRUE(says(links_stay_inside("", "/proc/self/root/etc"), "leads out of any root"));
  const TempDir root;
  ASSERT_EQ(symlink("/loop", (root / "loop").c_str()), 0);
  EXPECT_TRUE(says(links_stay_inside(root.path(), "/loop"), "/loop is a loop"));
}

TEST(Executable, WhyNot) {
  const TempDir dir;
  const Walker stranger{.uid = 4711, .gid = 4711};
  EXPECT_TRUE(file_is_executable("/bin/sh").ok());
  EXPECT_TRUE(says(file_is_executable(dir.path()), "is a directory"));
  EXPECT_TRUE(says(file_is_executable("/dev/null"), "is not a regular file"));
  EXPECT_TRUE(says(file_is_executable(dir.write("plain", "x")), "has no x bit (mode 0644"));
  EXPECT_TRUE(says(file_is_executable(dir.write("mine", "x", 0700), stranger), "may not execute"));
  EXPECT_TRUE(says(file_is_executable(dir.write("empty", "", 0755)), "is empty"));
  EXPECT_TRUE(says(file_is_executable(dir.write("text", "hello", 0755)), "nor a script"));
  EXPECT_TRUE(says(file_is_executable(dir.write("gone.sh", "#! /no/such -x\n", 0755)),
                   "names the interpreter /no/such: /no does not exist"));
  EXPECT_TRUE(
      says(file_is_executable(dir.write("dos.sh", "#!/bin/sh\r\n", 0755)), "carriage return"));
  EXPECT_TRUE(says(file_is_executable(dir.write("dir.sh", "#!/etc\n", 0755)), "not executable"));
  EXPECT_TRUE(file_is_executable(dir.write("good.sh", "#!/bin/sh\n", 0755)).ok());
}

TEST(Executable, LoaderAndMachine) {
  const TempDir dir;
  std::string program = test::read_file("/bin/true");
  const size_t loader = program.find("/lib");
  ASSERT_NE(loader, std::string::npos);
  std::string broken = program;
  broken[loader + 1] = 'L';
  EXPECT_TRUE(says(file_is_executable(dir.write("broken", broken, 0755)), "names the loader /L"));
  constexpr size_t kMachine = 18;  // e_machine of Elf64_Ehdr
  program[kMachine] = '\xf3';      // EM_RISCV
  program[kMachine + 1] = 0;
  EXPECT_TRUE(says(file_is_executable(dir.write("foreign", program, 0755)), "program for RISC-V"));
}

TEST(FileSystems, KnownToTheKernel) {
  const TempDir root;
  root.write("proc/filesystems", "nodev\ttmpfs\n\text4\n");
  EXPECT_TRUE(knows_file_system("tmpfs", root.path()).ok());
  EXPECT_TRUE(knows_file_system("ext4", root.path()).ok());
  EXPECT_TRUE(
      says(knows_file_system("nosuchfs", root.path()), "knows no file system \"nosuchfs\""));
}

TEST(FileSystems, InUserNamespaces) {
  EXPECT_TRUE(file_system_in_userns("tmpfs", {}).ok());
  EXPECT_TRUE(says(file_system_in_userns("ext4", {}), "lets no user namespace mount ext4"));
  EXPECT_TRUE(says(file_system_in_userns("sysfs", {}), "belongs to a network namespace"));
  EXPECT_TRUE(file_system_in_userns("sysfs", {NamespaceType::network}).ok());
}

TEST(Covered, PartsOfProc) {
  const TempDir root;
  const std::string proc = "1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /proc rw - proc p rw\n";
  root.write("proc/self/mountinfo", "1 0 0:1 / / rw - ext4 d rw\n");
  EXPECT_TRUE(says(not_covered("/proc", root.path()), "no /proc is mounted"));
  root.write("proc/self/mountinfo", proc + "3 2 0:3 / /proc/sys/fs/binfmt_misc rw - autofs a rw\n");
  EXPECT_TRUE(not_covered("/proc", root.path()).ok());
  root.write("proc/self/mountinfo", proc +
                                        "3 2 0:3 / /proc/kcore rw - devtmpfs d rw\n"
                                        "4 2 0:3 / /proc/acpi ro - tmpfs t rw\n");
  EXPECT_TRUE(says(not_covered("/proc", root.path()), "(/proc/kcore, /proc/acpi)"));
  EXPECT_EQ(mounts_below("/proc", root.path()),
            (std::vector<std::string>{"/proc/kcore", "/proc/acpi"}));
}

TEST(Delegation, NoneAndPartial) {
  const TempDir root;
  EXPECT_TRUE(says(cgroup_delegated({"memory"}, root.path()), "no cgroup file system"));
  root.write("proc/self/mountinfo", "3 1 0:3 / /cg rw - cgroup2 c rw\n");
  root.write("proc/self/cgroup", "0::/a\n");
  for (const char* file : {"cg/a/cgroup.procs", "cg/a/cgroup.subtree_control"})
    root.write(file, "");
  root.write("cg/a/cgroup.type", "domain\n");
  root.write("cg/a/cgroup.controllers", "memory pids\n");
  EXPECT_TRUE(cgroup_delegated({"memory", "pids"}, root.path()).ok());
  EXPECT_TRUE(
      says(cgroup_delegated({"cpu"}, root.path()), "has no controller cpu (it has: memory, pids)"));
  root.write("cg/a/cgroup.procs", "1\n");
  EXPECT_TRUE(says(cgroup_delegated({"memory"}, root.path()), "has other processes in it"));
  root.write("proc/self/cgroup", "0::/../b\n");
  EXPECT_TRUE(says(cgroup_delegated({"memory"}, root.path()), "our own cgroup is not below /cg"));
}

}  // namespace
}  // namespace isle::checks
