// isle::in: functions in other namespaces, what comes back of them, and the caller where it was.
#include "isle/in.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/neighbour.h"
#include "support/support.h"

using isle::Fd;
using isle::Namespace;
using isle::NamespaceSet;
using isle::NamespaceType;
using isle::Result;
using isle::test::in_fork;
using isle::test::Neighbour;

namespace {

uint64_t inode_of_self(NamespaceType type) { return Namespace::of_self(type)->inode(); }

std::vector<uint64_t> all_inodes() {
  std::vector<uint64_t> inodes;
  for (const NamespaceType type : NamespaceSet::all()) inodes.push_back(inode_of_self(type));
  return inodes;
}

size_t open_descriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

TEST(In, EachTypeIsThatOfTheFunctionAndNotOfTheCaller) {
  ISLE_REQUIRE("root", "netns", "timens");
  EXPECT_TRUE(in_fork([] {
    const std::vector<uint64_t> before = all_inodes();
    for (const NamespaceType type : NamespaceSet::all()) {
      if (type == NamespaceType::time) continue;  // needs a process that was born in it: below
      const Neighbour neighbour({type});
      ASSERT_TRUE(neighbour.ready()) << isle::to_string(type);
      const Namespace theirs = neighbour.ns(type);
      const pid_t caller = ::getpid();
      const auto seen = isle::in(theirs, [&]() -> Result<std::pair<uint64_t, bool>> {
        // /proc is the caller's, so in a pid namespace "thread-self" is nobody there.
        if (type == NamespaceType::pid) return std::pair(theirs.inode(), ::getpid() == 2);
        return std::pair(inode_of_self(type), ::getpid() == caller);
      });
      ISLE_ASSERT_OK(seen);
      EXPECT_EQ(seen->first, theirs.inode()) << isle::to_string(type);
      EXPECT_EQ(seen->second, type == NamespaceType::pid || !isle::needs_process({type}))
          << isle::to_string(type);
    }
    EXPECT_EQ(all_inodes(), before);
  }));
}

TEST(In, ATimeNamespace) {
  ISLE_REQUIRE("root", "timens");
  EXPECT_TRUE(in_fork([] {
    const auto before = inode_of_self(NamespaceType::time);
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::time}));
    const auto theirs = Namespace::for_children(::getpid(), NamespaceType::time);
    ISLE_ASSERT_OK(theirs);
    EXPECT_EQ(isle::in(*theirs, [] { return inode_of_self(NamespaceType::time); }).value(),
              theirs->inode());
    EXPECT_EQ(inode_of_self(NamespaceType::time), before);
  }));
}

TEST(In, AllOfAProcessAtOnce) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour(NamespaceSet::all() - NamespaceSet{NamespaceType::time});
    ASSERT_TRUE(neighbour.ready());
    const auto theirs = isle::namespaces_of(neighbour.pid());
    ISLE_ASSERT_OK(theirs);
    EXPECT_EQ(theirs->size(), 7U);
    const auto pid = isle::in(*theirs, [] { return ::getpid(); });
    ISLE_ASSERT_OK(pid);
    EXPECT_EQ(*pid, 2);
  }));
}

TEST(In, SocketsAndNamespacesComeBack) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::user, NamespaceType::network});
    ASSERT_TRUE(neighbour.ready());
    const Namespace user = neighbour.ns(NamespaceType::user);
    const Namespace network = neighbour.ns(NamespaceType::network);
    const size_t before = open_descriptors();
    {
      const auto socket = isle::in(
          {user, network}, [] { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
      ISLE_ASSERT_OK(socket);
      EXPECT_EQ(*Namespace::of_socket(socket->borrow()), network);
      EXPECT_EQ(::fcntl(socket->get(), F_GETFD), FD_CLOEXEC);
      const auto own = isle::in(user, [] { return Namespace::of_self(NamespaceType::user); });
      ISLE_ASSERT_OK(own);
      EXPECT_EQ(*own, user);
    }
    EXPECT_EQ(open_descriptors(), before);
  }));
}

TEST(In, ResultsOfAllKinds) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto uts = Namespace::of_self(NamespaceType::uts);
    const auto both = [&](auto function) {
      const auto by_thread = isle::in_thread(*uts, function);
      const auto by_process = isle::in_process(*uts, function);
      EXPECT_TRUE(by_thread.has_value() && by_process.has_value());
      EXPECT_EQ(*by_thread, *by_process);
      return *by_process;
    };
    EXPECT_EQ(both([] { return 42; }), 42);
    EXPECT_EQ(both([] { return std::string("with\0nul", 8); }), std::string("with\0nul", 8));
    EXPECT_EQ(both([] { return std::string(1 << 20, 'x'); }).size(), size_t{1} << 20);
    EXPECT_EQ(both([] { return std::vector<std::string>{"a", "", "c"}; }).at(2), "c");
    EXPECT_EQ(both([] { return std::optional<std::string>(); }), std::nullopt);
    EXPECT_EQ(both([] { return std::pair(1, std::string("x")); }).second, "x");
    EXPECT_EQ(both([]() -> Result<int> { return 7; }), 7);
    int changed = 0;
    ISLE_ASSERT_OK(isle::in_process(*uts, [&] { changed = 1; }));
    EXPECT_EQ(changed, 0);
    ISLE_ASSERT_OK(isle::in_thread(*uts, [&] { changed = 1; }));
    EXPECT_EQ(changed, 1);
    const auto failed = isle::in_process(
        *uts, []() -> isle::Status { return isle::fail(EXDEV, "say so", "a hint"); });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message(), isle::fail(EXDEV, "say so", "a hint").error().message());
  }));
}

struct Special : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(In, ExceptionsAreThrownWhereItWasCalled) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto uts = Namespace::of_self(NamespaceType::uts);
    EXPECT_THROW((void)isle::in_thread(*uts, [] { throw Special("x"); }), Special);
    EXPECT_THROW((void)isle::in_process(*uts, [] { throw std::out_of_range("x"); }),
                 std::out_of_range);
    EXPECT_THROW((void)isle::in_process(*uts, [] { throw std::bad_alloc(); }), std::bad_alloc);
    try {
      (void)isle::in_process(
          *uts, [] { throw std::system_error(ENOSPC, std::generic_category(), "write it"); });
      ADD_FAILURE();
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::no_space_on_device);
      EXPECT_STREQ(error.what(), "write it: No space left on device");
    }
    try {
      (void)isle::in_process(*uts, [] { throw Special("why"); });
      ADD_FAILURE();
    } catch (const isle::ForeignException& error) {
      EXPECT_STREQ(error.what(), "why");
      EXPECT_NE(error.type_name().find("Special"), std::string::npos);
    }
    EXPECT_THROW((void)isle::in_process(*uts, [] { throw 1; }), isle::ForeignException);
    try {
      (void)isle::in_process(*uts, [] { return Namespace::of_path("/dev/null").value().inode(); });
      ADD_FAILURE();
    } catch (const std::bad_expected_access<isle::Error>& access) {
      EXPECT_EQ(access.error().code, ENOTTY);
    }
  }));
}

TEST(In, AProcessThatIsKilledOrExitsIsAnError) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto uts = Namespace::of_self(NamespaceType::uts);
    const auto killed = isle::in_process(*uts, [] { ::raise(SIGKILL); });
    ASSERT_FALSE(killed);
    EXPECT_EQ(killed.error().what,
              "the function's process was killed by signal 9 before it gave a result");
    const auto left = isle::in_process(*uts, [] { ::_exit(3); });
    ASSERT_FALSE(left);
    EXPECT_NE(left.error().what.find("status 3"), std::string::npos);
    const Neighbour neighbour({NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    const auto inner = isle::in(neighbour.ns(NamespaceType::pid), [] { ::raise(SIGTERM); });
    ASSERT_FALSE(inner);
    EXPECT_NE(inner.error().what.find("signal 15"), std::string::npos) << inner.error().what;
  }));
}

TEST(In, APidNamespaceWithoutInitSaysSo) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    Neighbour neighbour({NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    const Namespace pid_ns = neighbour.ns(NamespaceType::pid);
    neighbour.kill();
    const auto called = isle::in(pid_ns, [] { return 1; });
    ASSERT_FALSE(called);
    EXPECT_EQ(called.error().code, ENOMEM);
    EXPECT_NE(called.error().hint.find("init has ended"), std::string::npos);
  }));
}

TEST(In, TheCallersDirectoryAndMountsStay) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::mount}, [] {
      return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0 && ::mkdir("/mnt/inside", 0755) == 0;
    });
    ASSERT_TRUE(neighbour.ready());
    ASSERT_EQ(::chdir("/usr"), 0);
    const auto found = isle::in(neighbour.ns(NamespaceType::mount), [] {
      ::umask(0);
      return ::chdir("/mnt/inside") == 0;
    });
    ISLE_ASSERT_OK(found);
    EXPECT_TRUE(*found);
    EXPECT_EQ(std::filesystem::current_path(), "/usr");
    EXPECT_NE(::umask(022), 0U);
    EXPECT_NE(::access("/mnt/inside", F_OK), 0);
  }));
}

TEST(In, AThreadIsRefusedWhereOnlyAProcessCanGo) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::user});
    ASSERT_TRUE(neighbour.ready());
    const auto called = isle::in_thread(neighbour.ns(NamespaceType::user), [] { return 1; });
    ASSERT_FALSE(called);
    EXPECT_EQ(called.error().code, EINVAL);
    EXPECT_FALSE(called.error().hint.empty());
  }));
}

TEST(In, FromThirtyTwoThreadsAtOnce) {
  ISLE_REQUIRE("root", "netns");
  const Neighbour network({NamespaceType::network});
  const Neighbour user({NamespaceType::user, NamespaceType::uts});
  ASSERT_TRUE(network.ready() && user.ready());
  const Namespace net_ns = network.ns(NamespaceType::network);
  const Namespace user_ns = user.ns(NamespaceType::user);
  const Namespace uts_ns = user.ns(NamespaceType::uts);
  constexpr int kThreads = 32;
  constexpr int kRounds = 8;
  const uint64_t own = inode_of_self(NamespaceType::network);
  std::vector<std::string> complaints(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const auto seen =
            (i + round) % 2 == 0
                ? isle::in(net_ns, [] { return inode_of_self(NamespaceType::network); })
                : isle::in({user_ns, uts_ns}, [] { return inode_of_self(NamespaceType::uts); });
        const uint64_t wanted = (i + round) % 2 == 0 ? net_ns.inode() : uts_ns.inode();
        if (!seen)
          complaints[static_cast<size_t>(i)] = seen.error().message();
        else if (*seen != wanted || inode_of_self(NamespaceType::network) != own)
          complaints[static_cast<size_t>(i)] = "not where it should be";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& complaint : complaints) EXPECT_EQ(complaint, "");
}

}  // namespace
