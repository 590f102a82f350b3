// Namespaces found by what leads to them (sockets, links, ids, file handles), their relations, and
// joining several in the right order.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "isle/namespace.h"
#include "ns/pids.h"
#include "support/neighbour.h"
#include "support/own_namespaces.h"
#include "support/support.h"

using isle::BorrowedFd;
using isle::Fd;
using isle::Namespace;
using isle::NamespaceSet;
using isle::NamespaceType;
using isle::test::in_fork;
using isle::test::Neighbour;

namespace {

bool has_unique_ids() { return Namespace::of_self(NamespaceType::uts)->id().unique != 0; }

size_t open_descriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

int ip(std::vector<std::string> words) {
  words.insert(words.begin(), "ip");
  return isle::test::run_command(std::move(words)).exit_code;
}

/// Until the namespace is gone: a pid or user namespace is some milliseconds after its last process,
/// when its RCU grace period is over.
void await_end(const isle::FileHandle& handle) {
  constexpr int kMostTries = 1000;
  for (int i = 0; i < kMostTries && Namespace::of_file_handle(handle); ++i) ::usleep(10'000);
}

TEST(NamespaceHandle, ASocketLeadsToTheNamespaceItWasMadeIn) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    const auto outer = Namespace::of_self(NamespaceType::network);
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::network}));
    const auto found = Namespace::of_socket(socket.borrow());
    ISLE_ASSERT_OK(found);
    EXPECT_EQ(*found, *outer);
    EXPECT_FALSE(*found == *Namespace::of_self(NamespaceType::network));
    const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(Namespace::of_socket(file.borrow()).error().code, ENOTTY);
    EXPECT_EQ(Namespace::of_socket(BorrowedFd(9999)).error().code, EBADF);
  }));
}

TEST(NamespaceHandle, AVethLeadsToItsPeer) {
  ISLE_REQUIRE("root", "netns", "ip");
  EXPECT_TRUE(in_fork([] {
    ISLE_ASSERT_OK(isle::unshare({NamespaceType::network}));
    const Neighbour neighbour({NamespaceType::network});
    ASSERT_TRUE(neighbour.ready());
    const Namespace theirs = neighbour.ns(NamespaceType::network);
    const auto unknown = theirs.nsid();
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ENOENT) << unknown.error().message();
    ASSERT_EQ(ip({"link", "add", "here", "type", "veth", "peer", "name", "there", "netns",
                  std::to_string(neighbour.pid())}),
              0);
    ASSERT_EQ(ip({"link", "add", "left", "type", "veth", "peer", "name", "right"}), 0);
    const auto peer = Namespace::of_link_peer("here");
    ISLE_ASSERT_OK(peer);
    EXPECT_EQ(*peer, theirs);
    const auto nsid = theirs.nsid();
    ISLE_ASSERT_OK(nsid);
    const auto by_number = Namespace::of_nsid(*nsid);
    ISLE_ASSERT_OK(by_number);
    EXPECT_EQ(*by_number, theirs);
    EXPECT_EQ(*Namespace::of_link_peer("left"), *Namespace::of_self(NamespaceType::network));
    EXPECT_EQ(Namespace::of_link_peer("nobody").error().code, ENODEV);
    EXPECT_EQ(Namespace::of_nsid(*nsid + 77).error().code, ENOENT);
    EXPECT_EQ(Namespace::of_self(NamespaceType::uts)->nsid().error().code, EINVAL);
  }));
}

TEST(NamespaceHandle, ReopensByIdAndByFileHandle) {
  ISLE_REQUIRE("root", "kernel:6.18");
  ASSERT_TRUE(has_unique_ids());
  EXPECT_TRUE(in_fork([] {
    for (const NamespaceType type : NamespaceSet::all() - NamespaceSet{NamespaceType::time}) {
      Neighbour neighbour({type});
      ASSERT_TRUE(neighbour.ready()) << isle::to_string(type);
      isle::FileHandle handle;
      isle::NamespaceId id;
      {
        const Namespace theirs = neighbour.ns(type);
        id = theirs.id();
        const auto written = theirs.file_handle();
        ISLE_ASSERT_OK(written);
        handle = *written;
        const auto by_handle = Namespace::of_file_handle(handle);
        ISLE_ASSERT_OK(by_handle);
        EXPECT_EQ(*by_handle, theirs);
        const auto by_unique_id = Namespace::of_unique_id(id.unique);
        ISLE_ASSERT_OK(by_unique_id);
        EXPECT_EQ(*by_unique_id, theirs);
        EXPECT_EQ(*Namespace::of_id(type, id), theirs);
      }
      neighbour.kill();
      EXPECT_FALSE(Namespace::of_unique_id(id.unique));
      await_end(handle);
      EXPECT_FALSE(Namespace::of_id(type, id)) << isle::to_string(type);
      const auto gone = Namespace::of_file_handle(handle);
      ASSERT_FALSE(gone) << isle::to_string(type);
      EXPECT_EQ(gone.error().code, ESTALE);
    }
    EXPECT_EQ(Namespace::of_unique_id(0).error().code, ESTALE);
  }));
}

TEST(NamespaceHandle, ChildrenAreThoseDirectlyBelow) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto own_user = Namespace::of_self(NamespaceType::user);
    const Neighbour first({NamespaceType::user});
    // Of this one only the grandchild has a process, which holds what is above it.
    const Neighbour second({NamespaceType::user}, [] {
      isle::test::map_root();
      return isle::unshare({NamespaceType::user}).has_value();
    });
    ASSERT_TRUE(first.ready() && second.ready());
    const auto grandchild = second.ns(NamespaceType::user);
    const auto middle = grandchild.parent();
    ISLE_ASSERT_OK(middle);
    const auto children = own_user->children();
    ISLE_ASSERT_OK(children);
    EXPECT_EQ(std::ranges::count(*children, first.ns(NamespaceType::user)), 1);
    EXPECT_EQ(std::ranges::count(*children, *middle), 1);
    EXPECT_EQ(std::ranges::count(*children, grandchild), 0);
    EXPECT_EQ(middle->children()->size(), 1U);
    EXPECT_EQ(middle->children()->front(), grandchild);
    EXPECT_TRUE(grandchild.children()->empty());
    EXPECT_EQ(Namespace::of_self(NamespaceType::uts)->children().error().code, EINVAL);
  }));
}

TEST(NamespaceHandle, PidsAreTranslatedBothWays) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    const Namespace inner = neighbour.ns(NamespaceType::pid);
    const auto own = Namespace::of_self(NamespaceType::pid);
    EXPECT_EQ(inner.pid_in(neighbour.pid()).value(), 1);
    EXPECT_EQ(inner.pid_from(1).value(), neighbour.pid());
    EXPECT_EQ(own->pid_in(neighbour.pid()).value(), neighbour.pid());
    EXPECT_EQ(inner.pid_in(::getpid()).error().code, ESRCH);
    EXPECT_EQ(inner.pid_from(4711).error().code, ESRCH);
    EXPECT_EQ(Namespace::of_self(NamespaceType::uts)->pid_in(1).error().code, EINVAL);
    // What /proc says is the same: kernels before 6.11 have nothing else.
    EXPECT_EQ(isle::ns::pid_in_by_proc(inner, neighbour.pid()).value(), 1);
    EXPECT_EQ(isle::ns::pid_from_by_proc(inner, 1).value(), neighbour.pid());
    EXPECT_EQ(isle::ns::pid_in_by_proc(*own, neighbour.pid()).value(), neighbour.pid());
    EXPECT_EQ(isle::ns::pid_in_by_proc(inner, ::getpid()).error().code, ESRCH);
    EXPECT_EQ(isle::ns::pid_from_by_proc(inner, 4711).error().code, ESRCH);
    EXPECT_EQ(isle::ns::pid_in_by_proc(inner, 0x3fffffff).error().code, ESRCH);
  }));
}

TEST(NamespaceHandle, MountNamespacesFollowOneAnother) {
  ISLE_REQUIRE("root", "kernel:6.12", "initial_pidns");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::mount});
    ASSERT_TRUE(neighbour.ready());
    const Namespace theirs = neighbour.ns(NamespaceType::mount);
    const auto own = Namespace::of_self(NamespaceType::mount);
    EXPECT_EQ(theirs.mount_count().value(), own->mount_count().value());
    // From the first on, all are met, in order.
    Namespace here = std::move(Namespace::of_self(NamespaceType::mount).value());
    for (auto before = here.previous(); before.value(); before = here.previous())
      here = std::move(**before);
    bool met_own = false;
    bool met_theirs = false;
    for (;;) {
      met_own |= here == *own;
      met_theirs |= here == theirs;
      auto after = here.next();
      ISLE_ASSERT_OK(after);
      if (!*after) break;
      if (here.id().unique != 0) {
        EXPECT_LT(here.id().unique, (*after)->id().unique);
      }
      here = std::move(**after);
    }
    EXPECT_TRUE(met_own && met_theirs);
    EXPECT_EQ(Namespace::of_self(NamespaceType::uts)->next().error().code, EINVAL);
  }));
}

TEST(NamespaceHandle, APidfdLeadsThere) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::uts, NamespaceType::ipc});
    ASSERT_TRUE(neighbour.ready());
    const auto theirs = isle::namespaces_of(neighbour.pid());
    ISLE_ASSERT_OK(theirs);
    ASSERT_EQ(theirs->size(), 2U);  // what is the caller's too is left out
    EXPECT_EQ(theirs->at(0), neighbour.ns(NamespaceType::ipc));
    EXPECT_EQ(theirs->at(1), neighbour.ns(NamespaceType::uts));
    EXPECT_EQ(isle::namespaces_of(0x3fffffff).error().code, ESRCH);
    const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(Namespace::of_pidfd(file.borrow(), NamespaceType::uts).error().code, EBADF);
  }));
}

TEST(NamespaceHandle, TenThousandLeaveNoDescriptor) {
  EXPECT_TRUE(in_fork([] {
    const size_t before = open_descriptors();
    for (int i = 0; i < 10'000; ++i) {
      auto self = Namespace::of_self(static_cast<NamespaceType>(i % isle::kNamespaceTypes));
      ISLE_ASSERT_OK(self);
      Namespace moved = std::move(*self);
      EXPECT_FALSE(Namespace::from_fd(Fd(::dup(moved.fd().get())),
                                      static_cast<NamespaceType>((i + 1) % isle::kNamespaceTypes)));
      (void)moved.parent();
    }
    EXPECT_EQ(open_descriptors(), before);
  }));
}

// ---- joining a set -----------------------------------------------------------------------------

/// The types in the order in which they are joined.
std::vector<NamespaceType> order_of(const std::vector<Namespace>& namespaces) {
  std::vector<NamespaceType> types;
  for (const Namespace* each : isle::join_order(namespaces)) types.push_back(each->type());
  return types;
}

TEST(EnterSet, UserFirstWhereItGivesPrivilege) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    // They belong to its user namespace, over which an ordinary user has privilege only inside.
    const Neighbour neighbour({NamespaceType::user, NamespaceType::network, NamespaceType::uts});
    ASSERT_TRUE(neighbour.ready());
    const auto theirs = isle::namespaces_of(neighbour.pid());
    ISLE_ASSERT_OK(theirs);
    EXPECT_EQ(order_of(*theirs).front(), NamespaceType::user);
    ISLE_ASSERT_OK(isle::enter(*theirs));
    EXPECT_TRUE(isle::namespaces_of(neighbour.pid())->empty());
  }));
}

TEST(EnterSet, UserLastWhereItTakesPrivilegeAway) {
  ISLE_REQUIRE("root", "netns");
  EXPECT_TRUE(in_fork([] {
    // The host's uts namespace beside a user namespace below: nobody in that one may join it.
    const Neighbour user({NamespaceType::user});
    const Neighbour uts({NamespaceType::uts});
    ASSERT_TRUE(user.ready() && uts.ready());
    const Namespace user_ns = user.ns(NamespaceType::user);
    const Namespace uts_ns = uts.ns(NamespaceType::uts);
    EXPECT_EQ(isle::join_order({user_ns, uts_ns}).back()->type(), NamespaceType::user);
    ISLE_ASSERT_OK(isle::enter({user_ns, uts_ns}));
    EXPECT_EQ(*Namespace::of_self(NamespaceType::uts), uts_ns);
    EXPECT_EQ(*Namespace::of_self(NamespaceType::user), user_ns);
    EXPECT_EQ(uts_ns.enter().error().code, EPERM);  // as it would have been after
  }));
}

TEST(EnterSet, OneOfATypeAndTheOwnUserNamespacePassedOver) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const auto user = Namespace::of_self(NamespaceType::user);
    const auto uts = Namespace::of_self(NamespaceType::uts);
    EXPECT_EQ(user->enter().error().code, EINVAL);
    ISLE_ASSERT_OK(isle::enter({*user, *uts}));
    EXPECT_EQ(isle::enter({*uts, *uts}).error().code, EINVAL);
    ISLE_ASSERT_OK(isle::enter(*uts));
  }));
}

}  // namespace
