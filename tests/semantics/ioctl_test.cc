// ioctl(2) on namespaces: namespaces(7), The namespaces API, "various ioctl(2) operations can be used to
// discover information about namespaces ... described in ioctl_ns(2)". Every operation of the kernel's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::Ioctl;

constexpr NamespaceSet kAll = NamespaceSet::all();

/// The namespace whose descriptor an operation returned.
Namespace given(int fd) { return must(Namespace::from_fd(Fd(static_cast<int>(must(fd))))); }
int ask_ns(const Namespace& of, Ioctl operation) { return sys::ioctl(of.fd().get(), operation); }

class IoctlNs : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "netns", "timens"); }
};

// ioctl_ns(2), Discovering namespace relationships, NS_GET_USERNS: the owning user namespace.
TEST_F(IoctlNs, UsernsIsTheOwner) {
  const Namespace ours = must(Namespace::of_self(user));
  const Member member(kAll);
  const Namespace theirs = member.of(user);
  for (const NamespaceType type : kAll - NamespaceSet{user}) {
    EXPECT_EQ(given(ask_ns(member.of(type), Ioctl::ns_get_userns)), theirs) << to_string(type);
  }
  EXPECT_EQ(given(ask_ns(theirs, Ioctl::ns_get_userns)), ours) << "of a user namespace, its parent";
  const Member beside({uts});
  EXPECT_EQ(given(ask_ns(beside.of(uts), Ioctl::ns_get_userns)), ours);
}

// The same, NS_GET_PARENT: of a user or pid namespace; EINVAL for the types that do not nest.
TEST_F(IoctlNs, ParentOfUserAndPid) {
  const Member member(kAll);
  for (const NamespaceType type : kAll) {
    if (type_info(type).has_parent) {
      EXPECT_EQ(given(ask_ns(member.of(type), Ioctl::ns_get_parent)),
                must(Namespace::of_self(type)));
    } else {
      EXPECT_EQ(ask_ns(member.of(type), Ioctl::ns_get_parent), -EINVAL) << to_string(type);
    }
  }
}

// The same, ERRORS: EPERM, the namespace asked for is outside of the caller's own.
TEST_F(IoctlNs, NothingAboveOnesOwn) {
  const Member member({user, pid, uts});
  for (const NamespaceType type : {user, pid}) {
    EXPECT_EQ(member.ask([type] {
      return std::to_string(ask_ns(must(Namespace::of_self(type)), Ioctl::ns_get_parent));
    }),
              std::to_string(-EPERM))
        << to_string(type);
  }
  EXPECT_EQ(member.ask([] {
    return std::to_string(ask_ns(must(Namespace::of_self(user)), Ioctl::ns_get_userns));
  }),
            std::to_string(-EPERM));
}

// The same: a descriptor that an operation returns is close-on-exec and compares by device and inode.
TEST_F(IoctlNs, DescriptorsAreCloseOnExecAndCompareByInode) {
  const Member member({uts});
  const Fd owner(static_cast<int>(must(ask_ns(member.of(uts), Ioctl::ns_get_userns))));
  EXPECT_EQ(::fcntl(owner.get(), F_GETFD), FD_CLOEXEC);
  struct stat by_ioctl{};
  struct stat by_path{};
  ASSERT_EQ(::fstat(owner.get(), &by_ioctl), 0);
  ASSERT_EQ(::stat("/proc/self/ns/user", &by_path), 0);
  EXPECT_EQ(by_ioctl.st_dev, by_path.st_dev);
  EXPECT_EQ(by_ioctl.st_ino, by_path.st_ino);
}

// ioctl_ns(2), Discovering the namespace type, NS_GET_NSTYPE: a CLONE_NEW* constant.
TEST_F(IoctlNs, NstypeIsTheFlag) {
  for (const NamespaceType type : kAll) {
    EXPECT_EQ(static_cast<uint64_t>(ask_ns(must(Namespace::of_self(type)), Ioctl::ns_get_nstype)),
              type_info(type).clone_flag);
  }
}

// ioctl_ns(2), Discovering the owner of a user namespace, NS_GET_OWNER_UID: EINVAL for other types.
TEST_F(IoctlNs, OwnerUidOfUserOnly) {
  ISLE_REQUIRE("userns");
  const Member made_by_us({user, uts});
  uid_t owner = 1;
  EXPECT_EQ(sys::ioctl(made_by_us.of(user).fd().get(), Ioctl::ns_get_owner_uid, &owner), 0);
  EXPECT_EQ(owner, ::geteuid());
  for (const NamespaceType type : kAll - NamespaceSet{user}) {
    EXPECT_EQ(
        sys::ioctl(must(Namespace::of_self(type)).fd().get(), Ioctl::ns_get_owner_uid, &owner),
        -EINVAL)
        << to_string(type);
  }
  expect_in_fork([] {
    become_nobody();
    must(unshare({user}));
    uid_t maker = 1;
    EXPECT_EQ(
        sys::ioctl(must(Namespace::of_self(user)).fd().get(), Ioctl::ns_get_owner_uid, &maker), 0);
    EXPECT_EQ(maker, 65534U) << "not mapped inside: the overflow uid";
  });
}

// ioctl_ns(2), ERRORS: ENOTTY where the descriptor is of no namespace.
TEST_F(IoctlNs, OnlyOnNamespaces) {
  const Fd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  for (const Ioctl operation : {Ioctl::ns_get_userns, Ioctl::ns_get_parent, Ioctl::ns_get_nstype}) {
    EXPECT_EQ(sys::ioctl(file.get(), operation), -ENOTTY);
  }
}

// ioctl_nsfs(2): NS_GET_PID_FROM_PIDNS and its kin translate between the caller's pid namespace and
// the one of the descriptor. ESRCH: nobody there has that number.
TEST_F(IoctlNs, PidsAreTranslated) {
  ISLE_REQUIRE("kernel:6.11");
  const Member init({pid});
  const Namespace inside = init.of(pid);
  const auto asked = [&](Ioctl operation, pid_t number) {
    return sys::ioctl(inside.fd().get(), operation, number);
  };
  for (const Ioctl from : {Ioctl::ns_get_pid_from_pidns, Ioctl::ns_get_tgid_from_pidns}) {
    EXPECT_EQ(asked(from, 1), init.pid());
    EXPECT_EQ(asked(from, 4747), -ESRCH);
  }
  for (const Ioctl in : {Ioctl::ns_get_pid_in_pidns, Ioctl::ns_get_tgid_in_pidns}) {
    EXPECT_EQ(asked(in, init.pid()), 1);
    EXPECT_EQ(asked(in, ::getpid()), -ESRCH) << "it is not in there";
  }
  EXPECT_EQ(sys::ioctl(must(Namespace::of_self(uts)).fd().get(), Ioctl::ns_get_pid_in_pidns, 1),
            -EINVAL);
}

// ioctl_nsfs(2): NS_GET_MNTNS_ID; EINVAL for the other types.
TEST_F(IoctlNs, MountNamespaceId) {
  ISLE_REQUIRE("kernel:6.11");
  const Member member({mount});
  uint64_t ours = 0;
  uint64_t theirs = 0;
  EXPECT_EQ(sys::ioctl(must(Namespace::of_self(mount)).fd().get(), Ioctl::ns_get_mntns_id, &ours),
            0);
  EXPECT_EQ(sys::ioctl(member.of(mount).fd().get(), Ioctl::ns_get_mntns_id, &theirs), 0);
  EXPECT_NE(ours, theirs);
  if (missing("kernel:6.18").empty()) {
    EXPECT_EQ(must(Namespace::of_self(mount)).id().unique, ours);
  } else {
    EXPECT_EQ(sys::ioctl(must(Namespace::of_self(uts)).fd().get(), Ioctl::ns_get_mntns_id, &ours),
              -EINVAL);
  }
}

/// NS_MNT_GET_*'s answer, struct mnt_ns_info of <linux/nsfs.h>, first version.
struct MntNsInfo {
  uint32_t size = sizeof(MntNsInfo);
  uint32_t nr_mounts = 0;
  uint64_t mnt_ns_id = 0;
};

/// The mount namespaces from `start` on as far as `direction` leads.
std::set<uint64_t> mount_namespaces(const Namespace& start, Ioctl direction) {
  std::set<uint64_t> ids;
  Fd at(::dup(start.fd().get()));
  for (;;) {
    MntNsInfo info;
    const int next = sys::ioctl(at.get(), direction, &info);
    if (next < 0) return ids;
    ids.insert(info.mnt_ns_id);
    at.reset(next);
  }
}

// ioctl_nsfs(2): NS_MNT_GET_INFO, and NS_MNT_GET_NEXT, NS_MNT_GET_PREV to the mount namespaces beside.
// Newer kernels (6.18.44 does) refuse whoever is not in the initial pid namespace.
TEST_F(IoctlNs, MountNamespacesAreIterated) {
  ISLE_REQUIRE("kernel:6.12", "initial_pidns");
  const Member member({mount});
  MntNsInfo ours;
  MntNsInfo theirs;
  const Namespace here = must(Namespace::of_self(mount));
  const Namespace there = member.of(mount);
  ASSERT_EQ(sys::ioctl(here.fd().get(), Ioctl::ns_mnt_get_info, &ours), 0);
  ASSERT_EQ(sys::ioctl(there.fd().get(), Ioctl::ns_mnt_get_info, &theirs), 0);
  EXPECT_EQ(theirs.nr_mounts, ours.nr_mounts) << "a copy";
  EXPECT_GT(ours.nr_mounts, 0U);
  const bool newer = theirs.mnt_ns_id > ours.mnt_ns_id;
  EXPECT_TRUE(mount_namespaces(here, newer ? Ioctl::ns_mnt_get_next : Ioctl::ns_mnt_get_prev)
                  .contains(theirs.mnt_ns_id));
  EXPECT_TRUE(mount_namespaces(there, newer ? Ioctl::ns_mnt_get_prev : Ioctl::ns_mnt_get_next)
                  .contains(ours.mnt_ns_id));
}

// ioctl_nsfs(2): NS_GET_ID: another one for each namespace, and never used again.
TEST_F(IoctlNs, EveryNamespaceHasItsOwnId) {
  ISLE_REQUIRE("kernel:6.18");
  std::set<uint64_t> ids;
  for (int round = 0; round < 2; ++round) {
    const Member member(kAll);
    for (const NamespaceType type : kAll) {
      uint64_t id = 0;
      ASSERT_EQ(sys::ioctl(member.of(type).fd().get(), Ioctl::ns_get_id, &id), 0);
      EXPECT_TRUE(ids.insert(id).second) << to_string(type);
    }
  }
}

// open_by_handle_at(2) on nsfs: reopens by id while the namespace lives; ESTALE afterwards.
TEST_F(IoctlNs, AHandleReopensWhatLives) {
  ISLE_REQUIRE("kernel:6.18");
  Member member({uts});
  const NamespaceId id = member.of(uts).id();
  EXPECT_EQ(must(Namespace::of_id(uts, id)), member.of(uts));
  member.end();
  const auto gone = Namespace::of_id(uts, id);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ESTALE);
}

// ioctl_pidfd(2): PIDFD_GET_*_NAMESPACE, all ten, give what /proc/pid/ns shows.
TEST_F(IoctlNs, APidfdGivesEachNamespace) {
  ISLE_REQUIRE("kernel:6.11");
  const Member member(kAll);
  constexpr std::pair<Ioctl, const char*> kOperations[] = {
      {Ioctl::pidfd_get_cgroup_namespace, "cgroup"},
      {Ioctl::pidfd_get_ipc_namespace, "ipc"},
      {Ioctl::pidfd_get_mnt_namespace, "mnt"},
      {Ioctl::pidfd_get_net_namespace, "net"},
      {Ioctl::pidfd_get_pid_namespace, "pid"},
      {Ioctl::pidfd_get_pid_for_children_namespace, "pid_for_children"},
      {Ioctl::pidfd_get_time_namespace, "time"},
      {Ioctl::pidfd_get_time_for_children_namespace, "time_for_children"},
      {Ioctl::pidfd_get_user_namespace, "user"},
      {Ioctl::pidfd_get_uts_namespace, "uts"},
  };
  for (const auto& [operation, name] : kOperations) {
    EXPECT_EQ(given(sys::ioctl(member.pidfd().get(), operation)).link_text(),
              link_of(std::to_string(member.pid()), name));
  }
}

// socket(7), SIOCGSKNS: the network namespace of a socket, wherever its holder is now.
TEST_F(IoctlNs, ASocketGivesItsNetworkNamespace) {
  const Member member({network});
  expect_in_fork([&] {
    const Namespace outside = must(Namespace::of_self(network));
    must(enter(member.pidfd(), {network}));
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    must(outside.enter());
    EXPECT_EQ(given(sys::ioctl(socket.get(), Ioctl::siocgskns)), member.of(network));
  });
}

}  // namespace
}  // namespace isle::test
