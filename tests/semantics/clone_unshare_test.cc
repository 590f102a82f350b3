// clone(2) and unshare(2) with the CLONE_NEW* flags: who becomes a member of what, and what is refused.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;

constexpr NamespaceSet kAll = NamespaceSet::all();
constexpr NamespaceSet kChildren = {pid, time};  // unshare(2) moves the caller's children

CloneFlags flags_of(NamespaceSet types) { return CloneFlags{types.clone_flags()}; }

/// The types in which `process` is elsewhere than the caller.
NamespaceSet apart(pid_t process) {
  NamespaceSet types;
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    if (link_of(std::to_string(process), info.proc_name) != link_of("self", info.proc_name)) {
      types.insert(info.type);
    }
  }
  return types;
}

/// 0 or -errno of clone3(2); a child ends at once and is reaped.
int try_clone(CloneFlags flags) {
  sys::clone_args args{};
  args.flags = static_cast<uint64_t>(flags);
  const bool shares_parent =
      (static_cast<uint64_t>(flags & (CloneFlags::thread | CloneFlags::parent))) != 0;
  args.exit_signal = shares_parent ? 0 : SIGCHLD;
  const int child = sys::clone3(&args);
  if (child == 0) sys::exit_group(0);
  if (child < 0) return child;
  ::waitpid(child, nullptr, 0);
  return 0;
}

class Clone : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "netns", "timens"); }
};
class Unshare : public Clone {};

// namespaces(7), The namespaces API, clone(2): a new namespace for each flag, of which the child is
// made a member; and none where there is no flag.
TEST_F(Clone, TheChildIsMemberOfOneForEachFlag) {
  for (const NamespaceType type : kAll) {
    const Member child({type});
    EXPECT_EQ(apart(child.pid()), NamespaceSet{type}) << to_string(type);
  }
  const Member all(kAll);
  EXPECT_EQ(apart(all.pid()), kAll);
  const Member none({});
  EXPECT_EQ(apart(none.pid()), NamespaceSet{});
}

// The overview, Namespace API: `ls -l /proc/pid/ns` shows the namespace links.
TEST_F(Clone, ProcShowsALinkForEachType) {
  const Member child(kAll);
  const std::string listing =
      output_of({"ls", "-l", "/proc/" + std::to_string(child.pid()) + "/ns"});
  for (const NamespaceType type : kAll) {
    const std::string text = child.of(type).link_text();
    const std::string link = std::string(type_info(type).proc_name) + " -> " + text;
    EXPECT_NE(listing.find(link), std::string::npos) << listing;
    EXPECT_EQ(text, std::string(type_info(type).proc_name) + ":[" +
                        std::to_string(child.of(type).inode()) + "]");
  }
}

// clone(2), ERRORS: EINVAL.
TEST_F(Clone, FlagsThatExcludeEachOther) {
  EXPECT_EQ(try_clone(CloneFlags::newns | CloneFlags::fs), -EINVAL);
  EXPECT_EQ(try_clone(CloneFlags::newuser | CloneFlags::fs), -EINVAL);
  EXPECT_EQ(try_clone(CloneFlags::newipc | CloneFlags::sysvsem), -EINVAL);
  const CloneFlags thread = CloneFlags::thread | CloneFlags::sighand | CloneFlags::vm;
  EXPECT_EQ(try_clone(CloneFlags::newpid | thread), -EINVAL);
  EXPECT_EQ(try_clone(CloneFlags::newuser | thread), -EINVAL);
}

// clone(2), ERRORS: EINVAL for CLONE_PARENT by the first process of a pid namespace, whose sibling
// would have its parent outside.
TEST_F(Clone, InitHasNoSiblings) {
  const Member init({pid}, [] {
    if (try_clone(CloneFlags::parent) != -EINVAL) throw std::runtime_error("not refused");
  });
}

// namespaces(7), The namespaces API: EPERM without CAP_SYS_ADMIN, but for user.
TEST_F(Clone, NobodyMayMakeUserNamespacesOnly) {
  ISLE_REQUIRE("userns");
  expect_in_fork([] {
    become_nobody();
    for (const NamespaceType type : kAll - NamespaceSet{user}) {
      EXPECT_EQ(try_clone(flags_of({type})), -EPERM) << to_string(type);
      EXPECT_EQ(sys::unshare(flags_of({type})), -EPERM) << to_string(type);
    }
    EXPECT_EQ(try_clone(flags_of({user})), 0);
    // user_namespaces(7): made first, whatever the order of the flags; it gives the right to the rest.
    EXPECT_EQ(try_clone(flags_of(kAll)), 0);
  });
}

// namespaces(7), The namespaces API, unshare(2): a new namespace for each flag, of which the caller is
// made a member; the others stay.
TEST_F(Unshare, TheCallerIsMemberOfOneForEachFlag) {
  for (const NamespaceType type : kAll - kChildren) {
    expect_in_fork([type] {
      EXPECT_EQ(sys::unshare(flags_of({type})), 0);
      EXPECT_EQ(ask_outside([] { return own_links(); }), own_links());
    });
  }
  expect_in_fork([] {
    const Member outside({});
    EXPECT_EQ(sys::unshare(flags_of(kAll - NamespaceSet{user})), 0);
    EXPECT_EQ(apart(outside.pid()), kAll - kChildren - NamespaceSet{user});
  });
}

// unshare(2), CLONE_NEWPID, CLONE_NEWTIME: the caller's children are moved, it is not.
TEST_F(Unshare, OfPidAndTimeTheChildrenAreMembers) {
  expect_in_fork([] {
    const std::string before = own_links();
    EXPECT_EQ(sys::unshare(flags_of(kChildren)), 0);
    EXPECT_EQ(own_links(), before);
    const Member child({});
    EXPECT_EQ(apart(child.pid()), kChildren);
    EXPECT_EQ(link_of("self", "pid_for_children"), link_of(std::to_string(child.pid()), "pid"));
    EXPECT_EQ(link_of("self", "time_for_children"), link_of(std::to_string(child.pid()), "time"));
  });
}

// The overview, Namespace API, unshare(): leaves the current namespace; and changes are apart.
TEST_F(Unshare, LeavesTheCurrentOne) {
  expect_in_fork([] {
    const std::string before = read_file("/proc/sys/kernel/hostname");
    must(sys::unshare(CloneFlags::newuts));
    must(sys::sethostname("isle-inside", 11));
    EXPECT_EQ(read_file("/proc/sys/kernel/hostname"), "isle-inside\n");
    const Namespace outside = must(Namespace::of_process(::getppid(), uts));
    must(outside.enter());
    EXPECT_EQ(read_file("/proc/sys/kernel/hostname"), before);
  });
}

// unshare(2), ERRORS: EINVAL for an invalid flag.
TEST_F(Unshare, OtherFlagsAreRefused) {
  EXPECT_EQ(sys::unshare(CloneFlags::vfork), -EINVAL);
  EXPECT_EQ(sys::unshare(CloneFlags::newuts | CloneFlags::pidfd), -EINVAL);
}

// unshare(2), ERRORS: EINVAL for CLONE_NEWUSER (and CLONE_THREAD, CLONE_VM) by one of several threads.
TEST_F(Unshare, WhatNeedsASingleThread) {
  expect_in_fork([] {
    std::thread([] {
      for (const CloneFlags flag :
           {CloneFlags::newuser, CloneFlags::thread, CloneFlags::vm, CloneFlags::sighand}) {
        EXPECT_EQ(sys::unshare(flag), -EINVAL);
      }
      EXPECT_EQ(sys::unshare(CloneFlags::newuts), 0) << "the other types move a thread alone";
    }).join();
  });
}

// unshare(2), CLONE_NEWPID: no thread can be made then, which would be in another one than its process.
TEST_F(Unshare, NoThreadInAnotherPidNamespace) {
  expect_in_fork([] {
    must(sys::unshare(CloneFlags::newpid));
    EXPECT_EQ(try_clone(CloneFlags::thread | CloneFlags::sighand | CloneFlags::vm), -EINVAL);
  });
}

// unshare(2), ERRORS: EINVAL for a second CLONE_NEWPID before the first namespace has a process.
TEST_F(Unshare, OnePidNamespaceAtATime) {
  expect_in_fork([] {
    EXPECT_EQ(sys::unshare(CloneFlags::newpid), 0);
    EXPECT_EQ(sys::unshare(CloneFlags::newpid), -EINVAL);
  });
}

// unshare(2), ERRORS: EPERM, a user namespace from a chroot.
TEST_F(Unshare, NoUserNamespaceInAChroot) {
  expect_in_fork([] {
    must(sys::chroot("/proc"));
    EXPECT_EQ(sys::unshare(CloneFlags::newuser), -EPERM);
    EXPECT_EQ(sys::unshare(CloneFlags::newuts), 0);
  });
}

// unshare(2), ERRORS, clone(2): ENOSPC, the limit of a type (python-lxns: set_current_limit) is reached.
TEST_F(Unshare, ALimitForEachType) {
  for (const NamespaceType type : kAll) {
    expect_in_fork([type] {
      become_root_of_a_user_namespace();
      must(set_namespace_limit(type, 0));
      EXPECT_EQ(must(namespace_limit(type)), 0U);
      EXPECT_EQ(sys::unshare(flags_of({type})), -ENOSPC) << to_string(type);
      EXPECT_EQ(try_clone(flags_of({type})), -ENOSPC) << to_string(type);
      must(set_namespace_limit(type, 2));
      EXPECT_EQ(try_clone(flags_of({type})), 0) << to_string(type);
    });
  }
}

// user_namespaces(7), Nested namespaces: 32 levels, ENOSPC beyond. (create_user_ns() lets a parent be of
// level 32, so there are 33 below the first; of pid namespaces 32, as pid_namespaces(7) says.)
TEST_F(Unshare, UserNamespacesNest) {
  expect_in_fork([] {
    int levels = 0;
    int error = 0;
    while (levels < 40 && (error = sys::unshare(CloneFlags::newuser)) == 0) {
      ++levels;
      write_file("/proc/self/setgroups", "deny");
      write_file("/proc/self/uid_map", "0 0 1");  // who is not mapped may make no other
      write_file("/proc/self/gid_map", "0 0 1");
    }
    EXPECT_EQ(error, -ENOSPC);
    EXPECT_LE(levels, 33);
    EXPECT_GT(levels, 20) << "but for those the tests run in";
  });
}

/// How many pid namespaces can be made inside of each other, and the error at the end: "31 -28".
std::string pid_levels(int so_far) {
  const int error = sys::unshare(CloneFlags::newpid);
  if (error != 0 || so_far == 40) return std::to_string(so_far) + " " + std::to_string(error);
  return ask_outside([so_far] { return pid_levels(so_far + 1); });
}
TEST_F(Unshare, PidNamespacesNest) {
  const std::string outcome = ask_outside([] { return pid_levels(0); });
  const int levels = std::stoi(outcome);
  EXPECT_LE(levels, 32);
  EXPECT_GT(levels, 20);
  EXPECT_EQ(outcome.substr(outcome.find(' ') + 1), std::to_string(-ENOSPC));
}

}  // namespace
}  // namespace isle::test
