// The table of namespace types, sets of them, and the handle on the test's own namespaces.
#include "isle/namespace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using isle::Namespace;
using isle::NamespaceSet;
using isle::NamespaceType;

namespace {

std::string read_link(const std::string& path) {
  char buffer[256];
  const ssize_t length = ::readlink(path.c_str(), buffer, sizeof buffer);
  return length < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(length));
}

std::string own_link(NamespaceType type) {
  return "/proc/self/ns/" + std::string(isle::type_info(type).proc_name);
}

TEST(NamespaceTypes, TheTableIsInTheOrderOfTheEnumeration) {
  int row = 0;
  std::set<std::string_view> limits;
  for (const auto& info : isle::kNamespaceTypeTable) {
    EXPECT_EQ(static_cast<int>(info.type), row++);
    EXPECT_EQ(&isle::type_info(info.type), &info);
    EXPECT_EQ(isle::parse_namespace_type(info.name), info.type);
    EXPECT_EQ(isle::parse_namespace_type(info.proc_name), info.type);
    EXPECT_EQ(isle::type_of_clone_flag(info.clone_flag), info.type);
    EXPECT_EQ(isle::to_string(info.type), info.name);
    EXPECT_TRUE(limits.insert(info.limit_name).second);
    EXPECT_EQ(::access(own_link(info.type).c_str(), F_OK), 0) << info.proc_name;
    if (!info.children_name.empty()) {
      const std::string link = "/proc/self/ns/" + std::string(info.children_name);
      EXPECT_EQ(::access(link.c_str(), F_OK), 0) << link;
    }
  }
  EXPECT_EQ(row, isle::kNamespaceTypes);
}

TEST(NamespaceTypes, FlagsAreLibcs) {
  EXPECT_EQ(isle::type_info(NamespaceType::mount).clone_flag, unsigned{CLONE_NEWNS});
  EXPECT_EQ(isle::type_info(NamespaceType::time).clone_flag, unsigned{CLONE_NEWTIME});
  EXPECT_EQ(isle::type_info(NamespaceType::network).clone_flag, unsigned{CLONE_NEWNET});
  EXPECT_EQ(isle::type_info(NamespaceType::user).clone_flag, unsigned{CLONE_NEWUSER});
}

TEST(NamespaceTypes, OtherWordsAndFlagsAreNoType) {
  EXPECT_EQ(isle::parse_namespace_type("Mount"), std::nullopt);
  EXPECT_EQ(isle::parse_namespace_type(""), std::nullopt);
  EXPECT_EQ(isle::parse_namespace_type("pid_for_children"), std::nullopt);
  EXPECT_EQ(isle::type_of_clone_flag(0), std::nullopt);
  EXPECT_EQ(isle::type_of_clone_flag(CLONE_NEWNS | CLONE_NEWPID), std::nullopt);
}

TEST(NamespaceSets, AreSets) {
  constexpr NamespaceSet kSome{NamespaceType::uts, NamespaceType::mount, NamespaceType::uts};
  static_assert(kSome.size() == 2 && kSome.contains(NamespaceType::mount));
  static_assert(kSome.clone_flags() == (CLONE_NEWNS | CLONE_NEWUTS));
  static_assert(NamespaceSet::of_clone_flags(CLONE_NEWNS | CLONE_NEWUTS | CLONE_VM) == kSome);
  static_assert(NamespaceSet::all().size() == isle::kNamespaceTypes);
  static_assert(NamespaceSet().empty() && NamespaceSet().clone_flags() == 0);
  static_assert((kSome | NamespaceSet{NamespaceType::pid}).size() == 3);
  static_assert((kSome & NamespaceSet{NamespaceType::uts}) == NamespaceSet{NamespaceType::uts});
  static_assert((NamespaceSet::all() - kSome).size() == 6);
  NamespaceSet set = kSome;
  set.erase(NamespaceType::uts);
  EXPECT_EQ(set, NamespaceSet{NamespaceType::mount});
}

TEST(NamespaceSets, IterateInTheOrderOfTheEnumeration) {
  const NamespaceSet set{NamespaceType::user, NamespaceType::cgroup, NamespaceType::pid};
  EXPECT_EQ(std::vector<NamespaceType>(set.begin(), set.end()),
            (std::vector{NamespaceType::cgroup, NamespaceType::pid, NamespaceType::user}));
  EXPECT_EQ(NamespaceSet().begin(), NamespaceSet().end());
}

static_assert(std::is_nothrow_move_constructible_v<Namespace>);
static_assert(!std::is_copy_constructible_v<Namespace>);

TEST(Namespaces, OfSelfIsWhatProcSays) {
  for (const NamespaceType type : NamespaceSet::all()) {
    const auto own = Namespace::of_self(type);
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(own->type(), type);
    EXPECT_EQ(own->link_text(), read_link(own_link(type)));
    struct stat stat{};
    ASSERT_EQ(::stat(own_link(type).c_str(), &stat), 0);
    EXPECT_EQ(own->inode(), stat.st_ino);
    EXPECT_EQ(own->id().device, stat.st_dev);
    EXPECT_EQ(own->id().inode, stat.st_ino);
    EXPECT_EQ(::fcntl(own->fd().get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(Namespaces, TheSameNamespaceIsEqualHoweverItWasOpened) {
  const auto own = Namespace::of_self(NamespaceType::network);
  ASSERT_TRUE(own);
  const auto by_pid = Namespace::of_process(::getpid(), NamespaceType::network);
  const auto by_tid = Namespace::of_thread(::gettid(), NamespaceType::network);
  const auto by_path = Namespace::of_path("/proc/self/ns/net");
  const auto other = Namespace::of_self(NamespaceType::uts);
  ASSERT_TRUE(by_pid && by_tid && by_path && other);
  EXPECT_EQ(*own, *by_pid);
  EXPECT_EQ(*own, *by_tid);
  EXPECT_EQ(*own, *by_path);
  EXPECT_EQ(own->id(), by_path->id());
  EXPECT_FALSE(*own == *other);
}

TEST(Namespaces, ForChildrenIsOneOfPidAndTime) {
  for (const NamespaceType type : {NamespaceType::pid, NamespaceType::time}) {
    const auto children = Namespace::for_children(::getpid(), type);
    ASSERT_TRUE(children) << children.error().message();
    EXPECT_EQ(children->type(), type);
    EXPECT_EQ(*children, *Namespace::of_self(type));
  }
  const auto wrong = Namespace::for_children(::getpid(), NamespaceType::network);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, EINVAL);
}

TEST(Namespaces, OfPidfd) {
  const isle::Fd pidfd(static_cast<int>(::syscall(434 /* pidfd_open */, ::getpid(), 0)));
  ASSERT_TRUE(pidfd);
  for (const NamespaceType type : NamespaceSet::all()) {
    const auto own = Namespace::of_pidfd(pidfd.borrow(), type);
    if (!own && own.error().code == ENOTTY) GTEST_SKIP() << "Linux 6.11 has PIDFD_GET_*_NAMESPACE";
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(*own, *Namespace::of_self(type));
  }
}

TEST(Namespaces, AreReopenedById) {
  const auto own = Namespace::of_self(NamespaceType::uts);
  ASSERT_TRUE(own);
  isle::NamespaceId id = own->id();
  if (id.unique == 0) {
    EXPECT_EQ(Namespace::of_id(NamespaceType::uts, id).error().code, ENOTSUP);
    GTEST_SKIP() << "Linux 6.18 has NS_GET_ID";
  }
  const auto again = Namespace::of_id(NamespaceType::uts, id);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *own);
  id.unique += 1'000'000'000;
  EXPECT_EQ(Namespace::of_id(NamespaceType::uts, id).error().code, ESTALE);
}

TEST(Namespaces, WhatIsNoNamespaceIsRefused) {
  const auto file = Namespace::of_path("/proc/self/status");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ENOTTY);
  EXPECT_EQ(file.error().what, "\"/proc/self/status\": not a namespace");
  EXPECT_EQ(Namespace::of_path("/nonexistent").error().code, ENOENT);
  EXPECT_EQ(Namespace::of_process(0x7fffffff, NamespaceType::uts).error().code, ENOENT);
  EXPECT_EQ(Namespace::from_fd(isle::Fd()).error().code, EBADF);
}

TEST(Namespaces, AnotherTypeThanExpectedIsRefused) {
  const auto other = Namespace::of_path("/proc/self/ns/uts", NamespaceType::network);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, EINVAL);
  EXPECT_EQ(other.error().what,
            "\"/proc/self/ns/uts\": a uts namespace where a network namespace is wanted");
}

TEST(Namespaces, FromFdTakesOwnership) {
  const int fd = ::open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  {
    auto taken = Namespace::from_fd(isle::Fd(fd), NamespaceType::uts);
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->fd().get(), fd);
    Namespace moved = std::move(*taken);
    EXPECT_EQ(moved.fd().get(), fd);
    EXPECT_FALSE(taken->fd());
    const isle::Fd released = std::move(moved).release();
    EXPECT_EQ(released.get(), fd);
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
  const int refused = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(Namespace::from_fd(isle::Fd(refused)).error().code, ENOTTY);
  EXPECT_EQ(::fcntl(refused, F_GETFD), -1) << "closed, also when it fails";
}

TEST(Namespaces, RelationsOnlyWhereTheTypeHasThem) {
  const auto uts = Namespace::of_self(NamespaceType::uts);
  ASSERT_TRUE(uts);
  EXPECT_EQ(uts->parent().error().code, EINVAL);
  EXPECT_EQ(uts->owner_uid().error().code, EINVAL);
  const auto user = Namespace::of_self(NamespaceType::user);
  ASSERT_TRUE(user);
  const auto uid = user->owner_uid();
  EXPECT_TRUE(uid) << uid.error().message();
}

TEST(Namespaces, JoiningOnesOwnUserNamespaceSaysSo) {
  const auto user = Namespace::of_self(NamespaceType::user);
  ASSERT_TRUE(user);
  const auto entered = user->enter();
  ASSERT_FALSE(entered);
  EXPECT_EQ(entered.error().code, EINVAL);
  EXPECT_EQ(entered.error().hint, "the process is in this user namespace already");
}

TEST(Namespaces, UnshareUserWithThreadsSaysSo) {
  // Another thread that waits while this one tries; nothing changes, as the kernel refuses.
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  std::thread other([&] {
    char byte = 0;
    EXPECT_EQ(::read(fds[0], &byte, 1), 0);
  });
  const auto made = isle::unshare({NamespaceType::user});
  ::close(fds[1]);
  other.join();
  ::close(fds[0]);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EINVAL);
  EXPECT_EQ(made.error().what, "unshare NEWUSER");
  EXPECT_TRUE(made.error().hint.starts_with("the process has ")) << made.error().hint;
}

TEST(NamespaceLimits, AreReadOfEachType) {
  for (const NamespaceType type : NamespaceSet::all()) {
    const auto limit = isle::namespace_limit(type);
    EXPECT_TRUE(limit) << limit.error().message();
  }
}

}  // namespace
