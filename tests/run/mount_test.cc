// Mounts as values and trees of mounts as objects, each test in a mount namespace of its own.
#include "isle/mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "isle/in.h"
#include "support/neighbour.h"
#include "support/own_namespaces.h"
#include "support/support.h"

using isle::Mount;
using isle::MountTree;
using isle::Namespace;
using isle::NamespaceType;
using isle::Propagation;
using isle::test::in_fork;
using isle::test::Neighbour;
using isle::test::own_mounts;

namespace {

Mount only_mount_at(const std::string& point) {
  const auto all = isle::mounts();
  const auto found = std::ranges::find(all.value(), point, &Mount::mount_point);
  return found == all->end() ? Mount{} : *found;
}

std::string mode_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return "missing";
  return std::to_string(status.st_uid) + ":" + std::to_string(status.st_gid);
}

TEST(Mounts, AreWhatMountinfoSays) {
  EXPECT_TRUE(in_fork([] {
    const auto listed = isle::mounts();
    const auto read = isle::mounts_of(::getpid());
    ISLE_ASSERT_OK(listed);
    ISLE_ASSERT_OK(read);
    ASSERT_EQ(listed->size(), read->size());
    for (const Mount& mount : *listed) {
      const auto same = std::ranges::find(*read, mount.mountinfo_id, &Mount::mountinfo_id);
      ASSERT_NE(same, read->end()) << mount.mount_point;
      Mount expected = *same;
      expected.id = mount.id;  // mountinfo has no unique ids
      expected.parent_id = mount.parent_id;
      EXPECT_EQ(mount, expected) << mount.mount_point << " (" << mount.fs_type << ") source "
                                 << mount.source << " / " << expected.source << " options "
                                 << mount.options << " / " << expected.options << " attributes "
                                 << mount.attributes << " / " << expected.attributes;
    }
  }));
}

TEST(Mounts, OfAnotherNamespaceAndOfAPath) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    const Neighbour neighbour({NamespaceType::mount}, [&] {
      return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             ::mount("isle-there", dir.path().c_str(), "tmpfs", MS_NODEV | MS_NOEXEC, "size=64k") ==
                 0;
    });
    ASSERT_TRUE(neighbour.ready());
    const auto theirs = isle::mounts(neighbour.ns(NamespaceType::mount));
    ISLE_ASSERT_OK(theirs);
    const auto found = std::ranges::find(*theirs, dir.path(), &Mount::mount_point);
    ASSERT_NE(found, theirs->end());
    EXPECT_EQ(found->source, "isle-there");
    EXPECT_EQ(found->fs_type, "tmpfs");
    EXPECT_EQ(found->root, "/");
    EXPECT_EQ(found->attributes & (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID),
              static_cast<uint64_t>(MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    EXPECT_NE(found->options.find("size=64k"), std::string::npos) << found->options;
    EXPECT_EQ(found->propagation(), Propagation::private_);
    EXPECT_EQ(only_mount_at(dir.path()), Mount{});
    const auto read = isle::mounts_of(neighbour.pid());
    ISLE_ASSERT_OK(read);
    EXPECT_NE(std::ranges::find(*read, dir.path(), &Mount::mount_point), read->end());
    const auto own = isle::mount_of("/proc/self/status");
    ISLE_ASSERT_OK(own);
    EXPECT_EQ(own->fs_type, "proc");
    EXPECT_EQ(isle::mounts(*Namespace::of_self(NamespaceType::uts)).error().code, EINVAL);
    EXPECT_EQ(isle::mounts_of(0x3fffffff).error().code, ENOENT);
  }));
}

TEST(MountTree, AFileSystemIsMadeChangedAndAttached) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const auto tree = MountTree::create(isle::FileSystem{
        .type = "tmpfs", .source = "isle-new", .options = {{"size", "128k"}, {"mode", "0711"}}});
    ISLE_ASSERT_OK(tree);
    EXPECT_EQ(only_mount_at(dir.path()), Mount{});  // nobody sees it yet
    const int file =
        ::openat(tree->fd().get(), "made-before", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_GE(file, 0);  // but it is there
    ::close(file);
    ISLE_ASSERT_OK(tree->set_attributes({.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID}));
    ISLE_ASSERT_OK(tree->set_propagation(Propagation::shared));
    ISLE_ASSERT_OK(tree->attach(dir.path()));
    const Mount mount = only_mount_at(dir.path());
    EXPECT_EQ(mount.source, "isle-new");
    EXPECT_EQ(mount.propagation(), Propagation::shared);
    EXPECT_NE(mount.attributes & MOUNT_ATTR_NOSUID, 0U);
    EXPECT_EQ(::access((dir / "made-before").c_str(), F_OK), 0);
    EXPECT_EQ(::creat((dir / "later").c_str(), 0600), -1);
    EXPECT_EQ(errno, EROFS);
    ISLE_ASSERT_OK(isle::set_attributes(dir.path(), {.clear = MOUNT_ATTR_RDONLY}));
    ISLE_ASSERT_OK(isle::set_propagation(dir.path(), Propagation::private_));
    EXPECT_EQ(only_mount_at(dir.path()).propagation(), Propagation::private_);
    isle::test::write_file(dir / "later", "x");
    ISLE_ASSERT_OK(isle::unmount(dir.path()));
    EXPECT_EQ(only_mount_at(dir.path()), Mount{});
    EXPECT_EQ(isle::unmount(dir.path()).error().code, EINVAL);
    EXPECT_EQ(isle::set_attributes(dir.path(), {.set = MOUNT_ATTR_RDONLY}).error().code, EINVAL);
  }));
}

TEST(MountTree, WhatTheKernelSaysIsTheHint) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto unknown = MountTree::create(isle::FileSystem{.type = "nosuchfs"});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ENODEV);
    EXPECT_NE(unknown.error().hint.find("/proc/filesystems"), std::string::npos);
    const auto option =
        MountTree::create(isle::FileSystem{.type = "tmpfs", .options = {{"colour", "blue"}}});
    ASSERT_FALSE(option);
    EXPECT_EQ(option.error().code, EINVAL);
    EXPECT_EQ(option.error().what, "make a file system of type \"tmpfs\", option \"colour=blue\"");
    EXPECT_NE(option.error().hint.find("the kernel says: tmpfs: Unknown parameter 'colour'"),
              std::string::npos)
        << option.error().hint;
  }));
}

TEST(MountTree, ACloneIsTheSameFilesWithOrWithoutWhatIsBelow) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const std::string source = dir.make_dir("source");
    const std::string target = dir.make_dir("target");
    ASSERT_EQ(::mount("none", source.c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(::mkdir((source + "/below").c_str(), 0755), 0);
    ASSERT_EQ(::mount("none", (source + "/below").c_str(), "tmpfs", 0, nullptr), 0);
    isle::test::write_file(source + "/below/file", "text");
    for (const bool recursive : {true, false}) {
      const auto tree = MountTree::clone(source, recursive);
      ISLE_ASSERT_OK(tree);
      ISLE_ASSERT_OK(tree->attach(target));
      EXPECT_EQ(::access((target + "/below/file").c_str(), F_OK) == 0, recursive);
      ISLE_ASSERT_OK(isle::unmount(target));
    }
    const auto whole = MountTree::clone(source);
    ISLE_ASSERT_OK(whole->set_attributes({.recursive_set = MOUNT_ATTR_RDONLY}));
    const isle::Fd at(::open(target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ISLE_ASSERT_OK(whole->attach(at.borrow()));
    EXPECT_EQ(::creat((target + "/below/more").c_str(), 0600), -1);
    EXPECT_EQ(errno, EROFS);
    isle::test::write_file(source + "/below/more", "the source is not changed");
    const auto again = MountTree::clone(isle::BorrowedFd(at.get()));  // what is below the mount
    ISLE_ASSERT_OK(again);
    ISLE_ASSERT_OK(isle::set_propagation(source, Propagation::unbindable));
    EXPECT_EQ(MountTree::clone(source).error().code, EINVAL);
    EXPECT_EQ(MountTree::clone(dir / "missing").error().code, ENOENT);
    EXPECT_EQ(whole->attach(dir / "missing").error().code, ENOENT);
  }));
}

TEST(MountTree, AnOverlayOnDirectoriesAndInMemory) {
  ISLE_REQUIRE("root", "overlay");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    // The directory itself may be on an overlay, which can be no upper layer.
    ASSERT_EQ(::mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), 0);
    const std::string target = dir.make_dir("target");
    const std::string upper = dir.make_dir("upper");
    isle::Overlay overlay{.lower = {dir.make_dir("a:b\\c"), dir.make_dir("second")},
                          .upper = upper,
                          .work = dir.make_dir("work")};
    isle::test::write_file(overlay.lower[0] + "/first", "1");
    isle::test::write_file(overlay.lower[1] + "/second", "2");
    {
      const auto tree = MountTree::create(overlay);
      ISLE_ASSERT_OK(tree);
      ISLE_ASSERT_OK(tree->attach(target));
      EXPECT_EQ(isle::test::read_file(target + "/first"), "1");
      EXPECT_EQ(isle::test::read_file(target + "/second"), "2");
      isle::test::write_file(target + "/second", "changed");
      EXPECT_EQ(isle::test::read_file(upper + "/second"), "changed");
      EXPECT_EQ(isle::test::read_file(overlay.lower[1] + "/second"), "2");
      ISLE_ASSERT_OK(isle::unmount(target));
    }
    if (!isle::test::missing("kernel:6.7").empty()) return;
    // More layers than fit into one option.
    for (int i = 0; i < 40; ++i)
      overlay.lower.push_back(dir.make_dir("layer-" + std::to_string(i)));
    isle::test::write_file(overlay.lower.back() + "/last", "x");
    overlay.upper = dir.make_dir("upper2");
    overlay.work = dir.make_dir("work2");
    const auto many = MountTree::create(overlay);
    ISLE_ASSERT_OK(many);
    EXPECT_EQ(::faccessat(many->fd().get(), "last", F_OK, 0), 0);
  }));
}

TEST(MountTree, AnOverlayInMemory) {
  ISLE_REQUIRE("root", "overlay", "kernel:6.15");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const std::string lower = dir.make_dir("lower");
    const std::string target = dir.make_dir("target");
    isle::test::write_file(lower + "/file", "old");
    const auto tree = MountTree::create(isle::Overlay{.lower = {lower}});
    ISLE_ASSERT_OK(tree);
    ISLE_ASSERT_OK(tree->attach(target));
    isle::test::write_file(target + "/file", "new");
    EXPECT_EQ(isle::test::read_file(target + "/file"), "new");
    EXPECT_EQ(isle::test::read_file(lower + "/file"), "old");
  }));
}

TEST(MountTree, ProcOfAnotherPidNamespace) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const Neighbour neighbour({NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    const auto tree = MountTree::create_proc(neighbour.ns(NamespaceType::pid));
    ISLE_ASSERT_OK(tree);
    ISLE_ASSERT_OK(tree->attach(dir.path()));
    std::vector<std::string> pids;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
      if (std::isdigit(entry.path().filename().c_str()[0]) != 0)
        pids.push_back(entry.path().filename());
    EXPECT_EQ(pids, std::vector<std::string>{"1"});
    EXPECT_EQ(Namespace::of_path(dir / "1/ns/pid").value(), neighbour.ns(NamespaceType::pid));
    EXPECT_NE(only_mount_at(dir.path()).attributes & MOUNT_ATTR_NOEXEC, 0U);
    EXPECT_EQ(MountTree::create_proc(*Namespace::of_self(NamespaceType::uts)).error().code, EINVAL);
  }));
}

TEST(MountTree, AnIdmappedCloneShowsOtherOwners) {
  ISLE_REQUIRE("root", "kernel:6.3");  // of a tmpfs
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    ASSERT_EQ(::mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), 0);
    const std::string target = dir.make_dir("target");
    isle::test::write_file(dir / "file", "x");
    // A namespace in which 0 is the host's 100000, as ids of files are to be seen.
    const Neighbour user({NamespaceType::user});
    ASSERT_TRUE(user.ready());
    isle::test::write_file("/proc/" + std::to_string(user.pid()) + "/uid_map", "0 100000 1000");
    isle::test::write_file("/proc/" + std::to_string(user.pid()) + "/gid_map", "0 200000 1000");
    const auto tree = MountTree::clone(dir.path(), false);
    ISLE_ASSERT_OK(tree);
    ISLE_ASSERT_OK(tree->idmap(user.ns(NamespaceType::user)));
    ISLE_ASSERT_OK(tree->attach(target));
    EXPECT_EQ(mode_of(dir / "file"), "0:0");
    EXPECT_EQ(mode_of(target + "/file"), "100000:200000");
    const auto again = tree->idmap(user.ns(NamespaceType::user));
    EXPECT_FALSE(again);
    EXPECT_EQ(tree->idmap(*Namespace::of_self(NamespaceType::uts)).error().code, EINVAL);
  }));
}

TEST(PivotRoot, TheNewRootIsTheRootAndTheOldOneIsGone) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const std::string plain = dir.make_dir("plain");
    const auto none = isle::pivot_root(plain);
    ASSERT_FALSE(none);
    EXPECT_TRUE(none.error().code == EINVAL || none.error().code == EBUSY);
    EXPECT_NE(none.error().hint.find("is no mount point"), std::string::npos) << none.error().hint;
    EXPECT_EQ(isle::pivot_root(dir / "missing").error().code, ENOENT);
    ASSERT_EQ(::chdir("/usr"), 0);
    const auto busy = isle::pivot_root("/");
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().hint, "it is the root already") << busy.error().message();
    EXPECT_EQ(std::filesystem::current_path(), "/usr");  // as before

    const isle::Fd proc(::open("/proc/self", O_PATH | O_CLOEXEC));
    const auto tree = MountTree::create(isle::FileSystem{.type = "tmpfs"});
    ISLE_ASSERT_OK(tree->attach(plain));
    ASSERT_EQ(::mkdirat(tree->fd().get(), "inside", 0755), 0);
    ISLE_ASSERT_OK(isle::pivot_root(plain));
    EXPECT_EQ(::access("/inside", F_OK), 0);
    EXPECT_NE(::access("/usr", F_OK), 0);
    EXPECT_EQ(std::filesystem::current_path(), "/");
    const isle::Fd mountinfo(::openat(proc.get(), "mountinfo", O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> left{};
    ASSERT_GT(::read(mountinfo.get(), left.data(), left.size()), 0);
    EXPECT_EQ(std::ranges::count(left, '\n'), 1);
  }));
}

TEST(PivotRoot, TheOldRootMayStaySomewhere) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const auto tree = MountTree::create(isle::FileSystem{.type = "tmpfs"});
    ISLE_ASSERT_OK(tree->attach(dir.path()));
    ASSERT_EQ(::mkdirat(tree->fd().get(), "old", 0755), 0);
    ISLE_ASSERT_OK(isle::pivot_root(dir.path(), dir / "old"));
    EXPECT_EQ(::access("/old/usr", F_OK), 0);
    EXPECT_EQ(std::filesystem::current_path(), "/");
    ISLE_ASSERT_OK(isle::unmount("/old"));
    EXPECT_NE(::access("/old/usr", F_OK), 0);
  }));
}

TEST(PivotRoot, ASharedMountIsNamed) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&] {
    own_mounts();
    const auto tree = MountTree::create(isle::FileSystem{.type = "tmpfs"});
    ISLE_ASSERT_OK(tree->attach(dir.path()));
    ISLE_ASSERT_OK(isle::set_propagation(dir.path(), Propagation::shared));
    const auto pivoted = isle::pivot_root(dir.path());
    ASSERT_FALSE(pivoted);
    EXPECT_EQ(pivoted.error().hint,
              "the mount at \"" + dir.path() + "\" is shared: make it private first");
  }));
}

}  // namespace
