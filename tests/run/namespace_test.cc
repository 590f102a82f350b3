// Namespaces made, joined, kept and limited for real, each in a forked child.
#include "isle/namespace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "support/neighbour.h"
#include "support/own_namespaces.h"
#include "support/support.h"

using isle::Namespace;
using isle::NamespaceSet;
using isle::NamespaceType;
using isle::test::in_fork;
using isle::test::Neighbour;
using isle::test::own_mounts;

namespace {

constexpr NamespaceSet kWithoutUser = NamespaceSet::all() - NamespaceSet{NamespaceType::user};
/// Those whose unshare moves the caller itself.
constexpr NamespaceSet kMovesCaller =
    kWithoutUser - NamespaceSet{NamespaceType::pid, NamespaceType::time};

TEST(Namespace, UnshareMakesNewOnesAndEnterGoesBack) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    for (const NamespaceType type : kMovesCaller) {
      const auto before = Namespace::of_self(type);
      ISLE_ASSERT_OK(before);
      ISLE_ASSERT_OK(isle::unshare({type}));
      const auto after = Namespace::of_self(type);
      ISLE_ASSERT_OK(after);
      EXPECT_FALSE(*before == *after) << isle::to_string(type);
      EXPECT_FALSE(before->id() == after->id());
      ISLE_ASSERT_OK(before->enter());
      EXPECT_EQ(*Namespace::of_self(type), *before);
    }
  }));
}

TEST(Namespace, PidAndTimeMoveTheChildren) {
  ISLE_REQUIRE("root", "timens");
  EXPECT_TRUE(in_fork([] {
    const auto pid = Namespace::of_self(NamespaceType::pid);
    const auto time = Namespace::of_self(NamespaceType::time);
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::pid, NamespaceType::time}));
    EXPECT_EQ(*Namespace::of_self(NamespaceType::pid), *pid);
    EXPECT_EQ(*Namespace::of_self(NamespaceType::time), *time);
    const auto time_for_children = Namespace::for_children(::getpid(), NamespaceType::time);
    ISLE_ASSERT_OK(time_for_children);
    EXPECT_FALSE(*time_for_children == *time);
    // Its first process is still to come.
    EXPECT_EQ(Namespace::for_children(::getpid(), NamespaceType::pid).error().code, ENOENT);
    ISLE_ASSERT_OK(pid->enter());  // so that the fork below needs no init
    ISLE_ASSERT_OK(time->enter());
  }));
}

TEST(Namespace, OwnerAndParentAreTheOnesAround) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto outer_user = Namespace::of_self(NamespaceType::user);
    const auto outer_pid = Namespace::of_self(NamespaceType::pid);
    const Neighbour neighbour({NamespaceType::user, NamespaceType::uts, NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    const auto user = Namespace::of_process(neighbour.pid(), NamespaceType::user);
    const auto uts = Namespace::of_process(neighbour.pid(), NamespaceType::uts);
    ISLE_ASSERT_OK(user);
    ISLE_ASSERT_OK(uts);
    EXPECT_EQ(*uts->owner(), *user);
    EXPECT_EQ(*user->owner(), *outer_user);
    EXPECT_EQ(*user->parent(), *outer_user);
    EXPECT_EQ(*user->owner_uid(), ::geteuid());
    EXPECT_EQ(*neighbour.ns(NamespaceType::pid).parent(), *outer_pid);
    EXPECT_EQ(*neighbour.ns(NamespaceType::pid).owner(), *user);
  }));
}

TEST(Namespace, EnterAllOfAProcessAtOnce) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour(kMovesCaller);
    ASSERT_TRUE(neighbour.ready());
    const isle::Fd pidfd(static_cast<int>(::syscall(434 /* pidfd_open */, neighbour.pid(), 0)));
    ASSERT_TRUE(pidfd);
    ISLE_ASSERT_OK(isle::enter(pidfd.borrow(), kMovesCaller));
    for (const NamespaceType type : kMovesCaller) {
      EXPECT_EQ(*Namespace::of_self(type), *Namespace::of_process(neighbour.pid(), type))
          << isle::to_string(type);
    }
  }));
}

TEST(Namespace, PersistKeepsItWithoutProcesses) {
  ISLE_REQUIRE("root", "netns");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&dir] {
    own_mounts();
    for (const NamespaceType type : kMovesCaller) {
      const std::string path = dir / isle::to_string(type);
      uint64_t inode = 0;
      {
        const Neighbour neighbour({type});
        ASSERT_TRUE(neighbour.ready());
        const auto made = Namespace::of_process(neighbour.pid(), type);
        ISLE_ASSERT_OK(made);
        ISLE_ASSERT_OK(made->persist(path));
        inode = made->inode();
        const auto twice = made->persist(path);
        ASSERT_FALSE(twice);
        EXPECT_EQ(twice.error().code, EEXIST);
      }
      const auto kept = Namespace::of_path(path, type);
      ISLE_ASSERT_OK(kept);
      EXPECT_EQ(kept->inode(), inode);
      ISLE_ASSERT_OK(Namespace::unpersist(path));
      EXPECT_EQ(::access(path.c_str(), F_OK), -1);
      ISLE_ASSERT_OK(kept->enter());  // the handle keeps it now
      EXPECT_EQ(*Namespace::of_self(type), *kept);
    }
  }));
}

TEST(Namespace, PersistUsesAFileThatIsThere) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  const std::string path = dir.write("uts", "");
  EXPECT_TRUE(in_fork([&path] {
    own_mounts();
    ISLE_ASSERT_OK(Namespace::of_self(NamespaceType::uts)->persist(path));
    EXPECT_TRUE(Namespace::of_path(path, NamespaceType::uts));
    ISLE_ASSERT_OK(Namespace::unpersist(path));
  }));
}

TEST(Namespace, AFailedPersistLeavesNoFile) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  const std::string path = dir / "mount";
  EXPECT_TRUE(in_fork([&path] {
    own_mounts();
    const auto kept = Namespace::of_self(NamespaceType::mount)->persist(path);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, ELOOP) << kept.error().message();
    EXPECT_EQ(kept.error().hint, "a mount namespace cannot hold itself");
    EXPECT_EQ(::access(path.c_str(), F_OK), -1);
  }));
  EXPECT_TRUE(in_fork([&path] {
    own_mounts();  // stays on one cpu, so ids are in order (docs/kernel-notes.md)
    const auto outer = Namespace::of_self(NamespaceType::mount);
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::mount}));
    const auto kept = outer->persist(path);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, ELOOP) << kept.error().message();
    EXPECT_NE(kept.error().hint.find("older"), std::string::npos) << kept.error().hint;
    EXPECT_EQ(::access(path.c_str(), F_OK), -1);
  }));
  EXPECT_TRUE(in_fork([&dir] {
    const auto uts = Namespace::of_self(NamespaceType::uts);
    EXPECT_EQ(uts->persist(dir / "no/such/directory").error().code, ENOENT);
    EXPECT_EQ(uts->persist(dir.path()).error().code, EEXIST);
  }));
}

TEST(Namespace, AMountNamespaceOnASharedMountSaysWhatToDo) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  EXPECT_TRUE(in_fork([&dir] {
    own_mounts();
    ASSERT_EQ(::mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), 0) << "errno " << errno;
    ASSERT_EQ(::mount("none", dir.path().c_str(), nullptr, MS_SHARED, nullptr), 0);
    const Neighbour neighbour({NamespaceType::mount});  // shares it
    ASSERT_TRUE(neighbour.ready());
    const std::string path = dir / "mount";
    const auto kept = Namespace::of_process(neighbour.pid(), NamespaceType::mount)->persist(path);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, EINVAL) << kept.error().message();
    EXPECT_NE(kept.error().hint.find("private"), std::string::npos);
    EXPECT_EQ(::access(path.c_str(), F_OK), -1);
  }));
}

TEST(Namespace, UnpersistTouchesNothingElse) {
  ISLE_REQUIRE("root");
  const isle::test::TempDir dir;
  const std::string file = dir.write("file", "text");
  EXPECT_EQ(Namespace::unpersist(file).error().code, ENOTTY);
  EXPECT_EQ(isle::test::read_file(file), "text");
  EXPECT_EQ(Namespace::unpersist(dir / "missing").error().code, ENOENT);
}

TEST(NamespaceLimits, ZeroForbidsAndTheErrorSaysSo) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    // In a user namespace of its own: the limit of the machine stays as it is.
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::user}));
    const auto before = isle::namespace_limit(NamespaceType::uts);
    ISLE_ASSERT_OK(before);
    const auto set = isle::set_namespace_limit(NamespaceType::uts, 0);
    ISLE_ASSERT_OK(set);
    EXPECT_EQ(*isle::namespace_limit(NamespaceType::uts), 0U);
    const auto made = isle::unshare({NamespaceType::uts});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ENOSPC);
    EXPECT_EQ(made.error().hint, "user.max_uts_namespaces is 0: no namespaces of this type");
    ISLE_ASSERT_OK(isle::set_namespace_limit(NamespaceType::uts, *before));
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::uts}));
  }));
}

TEST(NamespaceLimits, TooLargeIsRefused) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::user}));
    const auto set = isle::set_namespace_limit(NamespaceType::uts, 0x80000000);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, EINVAL) << set.error().message();
  }));
}

}  // namespace
