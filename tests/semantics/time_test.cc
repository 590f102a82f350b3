// Time namespaces: namespaces(7), table, "Boot and monotonic clocks"; time_namespaces(7).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "isle/run.h"
#include "member.h"
#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::Clock;
using sys::CloneFlags;

constexpr int64_t kHours = 10'000;
constexpr int64_t kShift = kHours * 3600;

int64_t seconds(Clock clock) {
  sys::timespec now{};
  must(sys::clock_gettime(clock, &now));
  return now.tv_sec;
}
/// Whole hours by which `a` is ahead of `b`; the tests take less than half of one.
int64_t hours_ahead(int64_t a, int64_t b) { return (a - b + 1800) / 3600; }

/// write(2) of one line to timens_offsets: 0 or -errno.
int write_offsets(const std::string& process, const std::string& text) {
  const Fd file(::open(("/proc/" + process + "/timens_offsets").c_str(), O_WRONLY | O_CLOEXEC));
  must(libc(file.get()));
  return ::write(file.get(), text.data(), text.size()) < 0 ? -errno : 0;
}

/// The clocks of a child of the caller's: "monotonic boottime realtime", hours ahead of `reference`.
struct Clocks {
  int64_t monotonic = seconds(Clock::monotonic);
  int64_t boottime = seconds(Clock::boottime);
  int64_t realtime = seconds(Clock::realtime);
};
std::string ahead_of(const Clocks& outside) {
  const Clocks here;
  return std::to_string(hours_ahead(here.monotonic, outside.monotonic)) + " " +
         std::to_string(hours_ahead(here.boottime, outside.boottime)) + " " +
         std::to_string(hours_ahead(here.realtime, outside.realtime));
}

class Time : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "timens");
    warm_up();
  }
};

// namespaces(7), table: both clocks are isolated, each with an offset of its own; CLOCK_REALTIME is not.
// And members see the shift, nobody else does.
TEST_F(Time, BothClocksAreShiftedAndOthersAreNot) {
  const Clocks outside;
  expect_in_fork([&] {
    must(sys::unshare(CloneFlags::newtime));
    EXPECT_EQ(write_offsets("self", "monotonic " + std::to_string(kShift) + " 0\nboottime " +
                                        std::to_string(2 * kShift) + " 0\n"),
              0);
    EXPECT_EQ(ahead_of(outside), "0 0 0") << "the caller has stayed outside";
    const Member member({});
    EXPECT_EQ(ask_outside([&] { return ahead_of(outside); }), "10000 20000 0");
    EXPECT_EQ(ask_outside([&] {
                must(sys::setns(member.of(time).fd().get(), CloneFlags::newtime));
                return ahead_of(outside);
              }),
              "10000 20000 0")
        << "setns moves the caller itself";
  });
  EXPECT_EQ(ahead_of(outside), "0 0 0");
}

// time_namespaces(7), DESCRIPTION: what else reads these clocks follows them: /proc/uptime, the vDSO.
TEST_F(Time, UptimeAndTheVdsoFollow) {
  const Clocks outside;
  expect_in_fork([&] {
    must(sys::unshare(CloneFlags::newtime));
    must(write_offsets("self", "boottime " + std::to_string(kShift) + " 0\nmonotonic " +
                                   std::to_string(kShift) + " 0\n"));
    EXPECT_EQ(ask_outside([&] {
                ::timespec now{};
                must(libc(::clock_gettime(CLOCK_MONOTONIC, &now)));  // the vDSO's
                const int64_t uptime = std::stoll(read_file("/proc/uptime"));
                return std::to_string(hours_ahead(now.tv_sec, outside.monotonic)) + " " +
                       std::to_string(hours_ahead(uptime, outside.boottime));
              }),
              "10000 10000");
  });
}

// time_namespaces(7), /proc/pid/timens_offsets: what was written is read again, from outside, too.
TEST_F(Time, OffsetsAreReadOfAnotherProcess) {
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newtime));
    must(write_offsets("self", "monotonic 3 5\nboottime -1 7\n"));
    const Member member({});
    EXPECT_EQ(read_file("/proc/" + std::to_string(member.pid()) + "/timens_offsets"),
              "monotonic           3         5\nboottime           -1         7\n");
  });
}

// time_namespaces(7), /proc/pid/timens_offsets: only before the first process has been made in it: then
// EACCES. The initial namespace has no offsets to write.
TEST_F(Time, OffsetsAreSetOnlyBeforeTheFirstProcess) {
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newtime));
    EXPECT_EQ(write_offsets("self", "monotonic 1 0\n"), 0);
    EXPECT_EQ(write_offsets("self", "monotonic 2 0\n"), 0);
    EXPECT_EQ(ask_outside([] { return "first"; }), "first");
    EXPECT_EQ(write_offsets("self", "monotonic 3 0\n"), -EACCES);
  });
}

// time_namespaces(7), /proc/pid/timens_offsets, ERRORS: EINVAL a clock nobody knows, or nanoseconds that
// are none; ERANGE a clock that would run before zero or past 146 years.
TEST_F(Time, WhatIsNoOffset) {
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newtime));
    EXPECT_EQ(write_offsets("self", "realtime 1 0\n"), -EINVAL);
    EXPECT_EQ(write_offsets("self", "monotonic 1 1000000000\n"), -EINVAL);
    EXPECT_EQ(write_offsets("self", "monotonic 1\n"), -EINVAL);
    EXPECT_EQ(write_offsets("self", "monotonic -1000000000 0\n"), -ERANGE);
    EXPECT_EQ(write_offsets("self", "boottime 9000000000 0\n"), -ERANGE);
  });
}

// The same, ERRORS: EPERM without CAP_SYS_TIME over the namespace's owner.
TEST_F(Time, OffsetsNeedCapSysTime) {
  ISLE_REQUIRE("unprivileged");
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newtime));
    become_nobody();
    must(libc(::prctl(PR_SET_DUMPABLE, 1)));  // so that its files in /proc are its own again
    EXPECT_EQ(write_offsets("self", "monotonic 1 0\n"), -EPERM);
  });
}

// The clocks through the library: an offset of each in a Spec.
TEST_F(Time, ASpecShiftsBoth) {
  Spec spec = bare_namespaces({time}, {"sh", "-c", "cat /proc/self/timens_offsets"});
  spec.time_offsets.push_back({.clock = TimeOffset::Clock::monotonic, .offset_ns = 3'000'000'005});
  spec.time_offsets.push_back({.clock = TimeOffset::Clock::boottime, .offset_ns = 4'000'000'000});
  const Ran ran = run_script(spec, "cat /proc/self/timens_offsets");
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "monotonic           3         5\nboottime            4         0\n");
}

}  // namespace
}  // namespace isle::test
