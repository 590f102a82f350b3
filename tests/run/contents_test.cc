// What namespaces isolate, read from outside; and the maps of user namespaces.
#include "isle/contents.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "isle/user_namespace.h"
#include "support/neighbour.h"
#include "support/support.h"

using isle::IdMap;
using isle::IdMaps;
using isle::Namespace;
using isle::NamespaceType;
using isle::test::in_fork;
using isle::test::Neighbour;

namespace {

TEST(Contents, HostNames) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::uts}, [] {
      return ::sethostname("there", 5) == 0 && ::setdomainname("example", 7) == 0;
    });
    ASSERT_TRUE(neighbour.ready());
    const auto names = isle::uts_names(neighbour.ns(NamespaceType::uts));
    ISLE_ASSERT_OK(names);
    EXPECT_EQ(names->hostname, "there");
    EXPECT_EQ(names->domainname, "example");
    EXPECT_NE(isle::uts_names(*Namespace::of_self(NamespaceType::uts))->hostname, "there");
    EXPECT_EQ(isle::uts_names(*Namespace::of_self(NamespaceType::ipc)).error().code, EINVAL);
  }));
}

TEST(Contents, ClockOffsets) {
  ISLE_REQUIRE("root", "timens");
  EXPECT_TRUE(in_fork([] {
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::time}));
    isle::test::write_file("/proc/self/timens_offsets", "monotonic 86400 5");
    isle::test::write_file("/proc/self/timens_offsets", "boottime -7 500000000");
    const isle::ClockOffsets expected{.monotonic_ns = 86'400'000'000'005,
                                      .boottime_ns = -6'500'000'000};
    EXPECT_EQ(isle::clock_offsets(::getpid()).value(), expected);
    const auto by_handle =
        isle::clock_offsets(*Namespace::for_children(::getpid(), NamespaceType::time));
    ISLE_ASSERT_OK(by_handle);
    EXPECT_EQ(*by_handle, expected);
    EXPECT_EQ(isle::clock_offsets(::getppid()).value(), isle::ClockOffsets{});
    EXPECT_EQ(isle::clock_offsets(0x3fffffff).error().code, ENOENT);
  }));
}

TEST(Contents, IpcObjects) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::ipc}, [] {
      const int queue = ::msgget(0x15, IPC_CREAT | 0640);
      const struct {
        long type = 1;
        char text[5] = {'h', 'e', 'l', 'l', 'o'};
      } message;
      mq_attr attributes{};
      attributes.mq_maxmsg = 2;
      attributes.mq_msgsize = 16;
      const mqd_t posix = ::mq_open("/isle-queue", O_CREAT | O_RDWR, 0620, &attributes);
      return ::shmget(0x13, 4097, IPC_CREAT | 0600) >= 0 &&
             ::semget(0x14, 3, IPC_CREAT | 0600) >= 0 &&
             ::msgsnd(queue, &message, sizeof message.text, 0) == 0 &&
             ::mq_send(posix, "seven b", 7, 0) == 0;
    });
    ASSERT_TRUE(neighbour.ready());
    const auto objects = isle::ipc_objects(neighbour.ns(NamespaceType::ipc));
    ISLE_ASSERT_OK(objects);
    ASSERT_EQ(objects->shared_memory.size(), 1U);
    EXPECT_EQ(objects->shared_memory[0].owner.key, 0x13U);
    EXPECT_EQ(objects->shared_memory[0].owner.mode, 0600U);
    EXPECT_EQ(objects->shared_memory[0].size_bytes, 4097U);
    EXPECT_EQ(objects->shared_memory[0].attached, 0U);
    ASSERT_EQ(objects->semaphores.size(), 1U);
    EXPECT_EQ(objects->semaphores[0].semaphores, 3U);
    ASSERT_EQ(objects->message_queues.size(), 1U);
    EXPECT_EQ(objects->message_queues[0].owner.mode, 0640U);
    EXPECT_EQ(objects->message_queues[0].messages, 1U);
    EXPECT_EQ(objects->message_queues[0].size_bytes, 5U);
    ASSERT_EQ(objects->posix_message_queues.size(), 1U);
    EXPECT_EQ(objects->posix_message_queues[0].name, "/isle-queue");
    EXPECT_EQ(objects->posix_message_queues[0].size_bytes, 7U);
    const Neighbour other({NamespaceType::ipc});
    EXPECT_EQ(isle::ipc_objects(other.ns(NamespaceType::ipc)).value(), isle::IpcObjects{});
  }));
}

TEST(Contents, CgroupRoots) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const pid_t ended = ::fork();  // on v1 it says it is in "/"
    if (ended == 0) ::_exit(0);
    siginfo_t info;
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(ended), &info, WEXITED | WNOWAIT), 0);
    // Where the neighbour is when it makes the namespace is that one's root in each hierarchy.
    const Neighbour neighbour({NamespaceType::cgroup});
    ASSERT_TRUE(neighbour.ready());
    const auto roots = isle::cgroup_roots(neighbour.ns(NamespaceType::cgroup));
    ISLE_ASSERT_OK(roots);
    const std::string expected =
        isle::test::read_file("/proc/" + std::to_string(neighbour.pid()) + "/cgroup");
    size_t lines = 0;
    for (const isle::CgroupRoot& root : *roots) {
      EXPECT_NE(expected.find(":" + root.hierarchy + ":" + root.path + "\n"), std::string::npos)
          << root.hierarchy << " " << root.path << "\n"
          << expected;
      ++lines;
    }
    EXPECT_EQ(lines, static_cast<size_t>(std::ranges::count(expected, '\n')));
    ::waitpid(ended, nullptr, 0);
  }));
}

// ---- maps of user namespaces -------------------------------------------------------------------

TEST(IdMaps, AreExplained) {
  const IdMaps maps{.uids = {{0, 100000, 1}, {1, 200000, 999}, {1000, 1000, 1}},
                    .gids = {{0, 0, 0xffffffff}},
                    .setgroups = false};
  const std::vector<std::string> expected = {
      "uid 0 inside is uid 100000 outside",
      "uids 1 to 999 inside are uids 200000 to 200998 outside",
      "uid 1000 inside is the same outside",
      "every other uid outside shows as the overflow uid (65534) inside",
      "every gid inside is the same outside",
      "setgroups(2) is denied inside"};
  EXPECT_EQ(isle::explain(maps), expected);
  EXPECT_EQ(isle::explain({}).front(),
            "no uid is mapped: every one shows as the overflow uid (65534) inside");
}

TEST(IdMaps, ANamespaceWithManyRanges) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    IdMaps maps;
    for (uint32_t i = 0; i < 200; ++i) {
      maps.uids.push_back({i * 10, 100000 + i * 20, 10});
      maps.gids.push_back({i * 10, 500000 + i * 20, 10});
    }
    const auto made = isle::create_user_namespace(maps);
    ISLE_ASSERT_OK(made);
    EXPECT_EQ(isle::id_maps(*made).value(), maps);
    EXPECT_EQ(*made->parent(), *Namespace::of_self(NamespaceType::user));
    maps.uids.push_back({1990, 900000, 1});
    const auto overlap = isle::create_user_namespace(maps);
    ASSERT_FALSE(overlap);
    EXPECT_EQ(overlap.error().code, EINVAL);
    EXPECT_NE(overlap.error().hint.find("overlap"), std::string::npos);
    maps.uids.assign(341, {0, 0, 1});
    EXPECT_EQ(isle::create_user_namespace(maps).error().hint, "a map has at most 340 lines");
    const IdMaps denied{.uids = {{0, 0, 1}}, .gids = {{0, 0, 1}}, .setgroups = false};
    EXPECT_EQ(isle::id_maps(*isle::create_user_namespace(denied)).value(), denied);
    EXPECT_EQ(isle::id_maps(*Namespace::of_self(NamespaceType::uts)).error().code, EINVAL);
  }));
}

TEST(IdMaps, OfAnyProcess) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::user});
    ASSERT_TRUE(neighbour.ready());
    EXPECT_EQ(isle::id_maps(neighbour.pid()).value(), IdMaps{});
    const IdMaps maps{.uids = {{0, 1000, 5}}, .gids = {{0, 2000, 5}}};
    ISLE_ASSERT_OK(isle::write_id_maps(neighbour.pid(), maps));
    EXPECT_EQ(isle::id_maps(neighbour.pid()).value(), maps);
    EXPECT_EQ(isle::id_maps(neighbour.ns(NamespaceType::user)).value(), maps);
    EXPECT_EQ(isle::write_id_maps(neighbour.pid(), maps).error().code, EPERM);  // once only
    EXPECT_EQ(isle::id_maps(0x3fffffff).error().code, ENOENT);
  }));
}

/// In a child that is an ordinary user.
void as_ordinary_user(const isle::test::Identity& identity, const std::function<void()>& function) {
  EXPECT_TRUE(in_fork([&] {
    const char* step = "";
    ASSERT_EQ(isle::test::become(identity, &step), 0) << step;
    function();
  }));
}

TEST(IdMaps, AnOrdinaryUserMapsItsOwnIdAndNoOther) {
  ISLE_REQUIRE("unprivileged", "userns");
  as_ordinary_user(isle::test::unprivileged(), [] {
    IdMaps own{.uids = {{0, ::geteuid(), 1}}, .gids = {{0, ::getegid(), 1}}, .setgroups = false};
    const auto made = isle::create_user_namespace(own);
    ISLE_ASSERT_OK(made);
    EXPECT_EQ(isle::id_maps(*made).value(), own);
    own.setgroups = true;
    const auto refused = isle::create_user_namespace(own);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EPERM);
    EXPECT_NE(refused.error().hint.find("setgroups"), std::string::npos);
  });
}

TEST(IdMaps, SubordinateIdsGoThroughNewuidmap) {
  ISLE_REQUIRE("subids", "newuidmap", "program:newgidmap");
  as_ordinary_user(isle::test::unprivileged_with_subids(), [] {
    IdMaps maps{.uids = {{0, ::geteuid(), 1}, {1, isle::test::kFirstSubid, 100}},
                .gids = {{0, ::getegid(), 1}, {1, isle::test::kFirstSubid, 100}}};
    if (!isle::test::unprivileged_with_subids().drop) return;  // other ranges are granted
    const auto made = isle::create_user_namespace(maps);
    ISLE_ASSERT_OK(made);
    EXPECT_EQ(isle::id_maps(*made).value(), maps);
    maps.uids[1].host_id = 7;
    const auto refused = isle::create_user_namespace(maps);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EPERM);
    EXPECT_NE(refused.error().hint.find("newuidmap"), std::string::npos) << refused.error().hint;
  });
}

}  // namespace
