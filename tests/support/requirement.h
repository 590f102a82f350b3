// What a test needs from the machine, each with a real probe. Nothing else belongs here.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace isle::test {

/// Empty: it is there. Otherwise why it is not, in a few words.
using ProbeResult = std::string;

/// Probes one requirement; asked once a process, then remembered.
///
///   root            effective uid 0 with CAP_SYS_ADMIN
///   unprivileged    commands can be run as an ordinary user: see unprivileged()
///   userns          such a user can make a user namespace and mount in it
///   subids          such a user gets a range of ids through newuidmap: see
///                   unprivileged_with_subids()
///   cgroup_v1       a v1 controller is mounted and we may make directories in it
///   cgroup_v2       cgroup v2 only, and we may make directories below our cgroup
///   cgroups         one of these
///   hybrid          v1 controllers and a v2 hierarchy beside them, and we may use both
///   delegated       our own v2 cgroup may be divided: memory and pids for its children
///   systemd         systemd is pid 1
///   systemd_user    our systemd --user answers (XDG_RUNTIME_DIR, lingering)
///   overlay         overlayfs mounts (as root in a mount namespace; else in a user namespace)
///   userns_overlay  overlayfs mounts in an ordinary user's user namespace
///   timens, netns   that namespace can be made
///   tun             /dev/net/tun opens
///   fuse            /dev/fuse opens
///   nic             a physical network device that tests may take: ISLE_TEST_NIC names it
///   util_linux      unshare, nsenter, lsns, findmnt
///   criu            criu, and `criu check` is content
///   bwrap, crun, runc, newuidmap, busybox, ...   that program is on PATH
///   program:NAME    NAME is on PATH
///   kernel:6.3      this kernel is that or newer
///
/// Names nobody knows give "no requirement is called ...", which fails the test.
ProbeResult missing(std::string_view name);

/// The names above that stand for themselves; `TEST_PROGRAM --requirements` prints them with what is missing.
std::vector<std::string> requirement_names();

/// Adds a requirement, for suites with needs of their own. Call before the first use.
void add_requirement(std::string name, std::function<ProbeResult()> probe);

/// What ISLE_REQUIRE decides on.
struct Verdict {
  enum class Kind { kRun, kSkip, kFail };
  Kind kind = Kind::kRun;
  std::string reason;
};

/// The verdict on all of `names`, the first that is missing deciding; must_run as in
/// ISLE_TESTS_MUST_RUN.
Verdict judge(std::initializer_list<std::string_view> names, std::string_view must_run);
/// The same with the environment's ISLE_TESTS_MUST_RUN.
Verdict judge(std::initializer_list<std::string_view> names);

/// The names in ISLE_TESTS_MUST_RUN that nobody knows; main() refuses to run with any.
std::string unknown_must_run_names();

}  // namespace isle::test

/// Skips the test (returns from it) where one of the named requirements is missing; fails it if
/// ISLE_TESTS_MUST_RUN lists that one. Use it in TEST bodies and SetUp(), before anything else.
#define ISLE_REQUIRE(...)                                                                         \
  do {                                                                                            \
    const ::isle::test::Verdict isle_verdict_ = ::isle::test::judge({__VA_ARGS__});               \
    if (isle_verdict_.kind == ::isle::test::Verdict::Kind::kFail) FAIL() << isle_verdict_.reason; \
    if (isle_verdict_.kind == ::isle::test::Verdict::Kind::kSkip)                                 \
      GTEST_SKIP() << isle_verdict_.reason;                                                       \
  } while (false)
