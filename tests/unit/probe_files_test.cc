// What probe_host() finds out of files, mounts and the kernel's version.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "run/probe.h"
#include "support/support.h"

namespace isle::probe {
namespace {

using Strings = std::vector<std::string>;

TEST(KernelVersion, FromReleases) {
  EXPECT_EQ(parse_kernel_version("6.1.0-42-amd64"), (KernelVersion{6, 1}));
  EXPECT_EQ(parse_kernel_version("5.14.0-503.el9"), (KernelVersion{5, 14}));
  EXPECT_EQ(parse_kernel_version("7.0-rc3"), (KernelVersion{7, 0}));
  EXPECT_EQ(parse_kernel_version("custom"), KernelVersion{});
}

TEST(Features, FollowTheVersion) {
  Host host;
  host.kernel = {6, 1};
  set_features(host);
  EXPECT_FALSE(host.idmapped_tmpfs);
  EXPECT_FALSE(host.copy_of_detached);
  EXPECT_TRUE(host.cgroup_kill);
  host.kernel = {6, 18};
  set_features(host);
  EXPECT_TRUE(host.idmapped_tmpfs);
  EXPECT_TRUE(host.copy_of_detached);
  EXPECT_TRUE(host.proc_pidns_option);
}

TEST(LookAt, KindsAndErrors) {
  const test::TempDir dir;
  const std::string file = dir.write("file", "");
  ASSERT_EQ(symlink("file", (dir / "link").c_str()), 0);
  ASSERT_EQ(symlink("loop", (dir / "loop").c_str()), 0);
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(look_at(file).kind, FileKind::file);
  EXPECT_EQ(look_at(dir / "link").kind, FileKind::file);
  EXPECT_EQ(look_at(dir / "fifo").kind, FileKind::fifo);
  EXPECT_EQ(look_at(dir.path()).kind, FileKind::directory);
  EXPECT_EQ(look_at(dir / "none").kind, FileKind::missing);
  EXPECT_EQ(look_at(dir / "none").error, ENOENT);
  EXPECT_EQ(look_at(file + "/below").error, ENOTDIR);
  EXPECT_EQ(look_at(dir / "loop").error, ELOOP);
  const FileFact null = look_at("/dev/null");
  EXPECT_EQ(null.kind, FileKind::character_device);
  EXPECT_EQ(null.device, makedev(1, 3));
}

TEST(LookAt, NoAccess) {
  ISLE_REQUIRE("unprivileged");
  const test::TempDir dir;
  dir.write("closed/file", "");
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0), 0);
  const test::Identity user = test::unprivileged();
  EXPECT_TRUE(test::in_fork([&] {
    const char* step = "";
    ASSERT_EQ(test::become(user, &step), 0) << step;
    EXPECT_EQ(look_at(dir / "closed/file").kind, FileKind::no_access);
  }));
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0755), 0);
}

TEST(LookUpFiles, EverythingASpecNames) {
  const test::TempDir dir;
  const std::string source = dir.write("source", "");
  Spec spec;
  Overlay overlay;
  overlay.lower = {"/usr"};
  overlay.upper = dir / "up";
  spec.root = Root{.path = dir.path(), .overlay = overlay};
  Bind by_path;
  by_path.source = source;
  Bind by_fd;
  by_fd.source = "/by-fd";
  by_fd.source_fd = 0;
  spec.mounts.push_back({.destination = "/a", .what = by_path});
  spec.mounts.push_back({.destination = "/b", .what = by_fd});
  spec.mounts.push_back({.destination = "/c", .what = MakeFile{.source = dir / "none"}});
  spec.mounts.push_back({.destination = "/dev/zero", .what = MakeDevice{.mode = S_IFCHR | 0666}});
  spec.namespaces.push_back({.type = NamespaceType::network, .path = "/proc/self/ns/net"});
  Host host;
  look_up_files(spec, host);
  EXPECT_EQ(host.file(dir.path()).kind, FileKind::directory);
  EXPECT_EQ(host.file("/usr").kind, FileKind::directory);
  EXPECT_EQ(host.file(dir / "up").kind, FileKind::missing);
  EXPECT_EQ(host.file(source).kind, FileKind::file);
  EXPECT_EQ(host.file(dir / "none").kind, FileKind::missing);
  EXPECT_EQ(host.file("/dev/zero").device, makedev(1, 5));
  EXPECT_EQ(host.file("/proc/self/ns/net").kind, FileKind::file);
  EXPECT_FALSE(host.files.contains("/by-fd"));
  EXPECT_EQ(host.file("fd:0").kind, look_at(0).kind);
  EXPECT_NE(host.file("fd:0").kind, FileKind::unknown);
  EXPECT_EQ(host.file(dir / "none").why, dir / "none does not exist");
  EXPECT_FALSE(host.files.contains("/a"));
}

Strings visible(std::string_view mountinfo) {
  return visible_mount_points(sys::parse_mountinfo(mountinfo));
}

TEST(MountPoints, OutermostFirstWithoutTheRoot) {
  EXPECT_EQ(visible("30 20 0:3 / /b/c rw - tmpfs t rw\n"
                    "1 0 0:1 / / rw - ext4 d rw\n"
                    "21 1 0:4 / /a rw - tmpfs t rw\n"
                    "20 1 0:2 / /b rw - tmpfs t rw\n"),
            (Strings{"/a", "/b", "/b/c"}));
}

TEST(MountPoints, WhatIsCoveredIsLeftOut) {
  EXPECT_EQ(visible("1 0 0:1 / / rw - ext4 d rw\n"
                    "2 1 0:2 / /x/y rw - tmpfs t rw\n"  // covered by 3, on a directory above
                    "3 1 0:3 / /x rw - tmpfs t rw\n"
                    "4 3 0:4 / /x/z rw - tmpfs t rw\n"  // covered by 5, which stands on 3 itself
                    "5 3 0:5 / /x rw - tmpfs t rw\n"
                    "6 5 0:6 / /x/seen rw - tmpfs t rw\n"
                    "7 1 0:7 / /xy rw - tmpfs t rw\n"),  // not below /x
            (Strings{"/x", "/x/seen", "/xy"}));
}

TEST(MountPoints, ARootThatIsNoMountPoint) {
  EXPECT_EQ(visible("5 99 0:1 / /proc rw - proc p rw\n6 99 0:2 / /dev rw - tmpfs t rw\n"),
            (Strings{"/dev", "/proc"}));
  EXPECT_EQ(visible("5 5 0:1 / / rw - rootfs r rw\n6 5 0:2 / /dev rw - tmpfs t rw\n"),
            Strings{"/dev"});
}

TEST(ProbeHost, TellsTheTruthAboutThisProcess) {
  const Host host = probe_host(Spec{});
  EXPECT_EQ(host.uid, geteuid());
  EXPECT_EQ(host.gid, getegid());
  EXPECT_FALSE(host.environment.empty());
  EXPECT_EQ(host.cgroup.layout, CgroupLayout::none) << "not asked for";
  EXPECT_TRUE(host.mount_points.empty()) << "not asked for";
  EXPECT_GE(host.last_capability, 40U);
}

}  // namespace
}  // namespace isle::probe
