// setns(2): what may be joined by which descriptor, and what else changes (nothing).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;

constexpr NamespaceSet kAll = NamespaceSet::all();
constexpr NamespaceSet kMovesCaller = kAll - NamespaceSet{pid};

CloneFlags flag_of(NamespaceType type) { return CloneFlags{type_info(type).clone_flag}; }
CloneFlags flags_of(NamespaceSet types) { return CloneFlags{types.clone_flags()}; }

/// The memberships of a process, in the order of NamespaceType. Read while one may: not from inside.
using Links = std::array<std::string, kNamespaceTypes>;
Links links_of(const std::string& process) {
  Links links;
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    links[static_cast<size_t>(info.type)] = link_of(process, info.proc_name);
  }
  return links;
}

/// Where the calling thread, which starts outside, follows a member.
class Way {
 public:
  explicit Way(const Member& member)
      : from_(links_of("thread-self")), to_(links_of(std::to_string(member.pid()))) {}
  /// The types in which the calling thread is where the member is, and was not before. Throws where
  /// it came to be anywhere else.
  [[nodiscard]] NamespaceSet gone() const {
    const Links now = links_of("thread-self");
    NamespaceSet types;
    for (const NamespaceType type : NamespaceSet::all()) {
      const auto at = static_cast<size_t>(type);
      if (now[at] == from_[at]) continue;
      if (now[at] != to_[at]) throw std::runtime_error("astray: " + now[at]);
      types.insert(type);
    }
    return types;
  }

 private:
  Links from_;
  Links to_;
};

/// A descriptor as one process gives it to another, unix(7).
Fd passed_by_socket(int fd) {
  int ends[2];
  must(libc(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)));
  const Fd left(ends[0]);
  const Fd right(ends[1]);
  const pid_t other = ::fork();
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  if (other == 0) {
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ::_exit(::sendmsg(left.get(), &message, 0) == 1 ? 0 : 1);
  }
  ::waitpid(other, nullptr, 0);
  must(libc(::recvmsg(right.get(), &message, MSG_CMSG_CLOEXEC)));
  int got = -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) throw std::runtime_error("no descriptor came");
  std::memcpy(&got, CMSG_DATA(header), sizeof got);
  return Fd(got);
}

class Setns : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "netns", "timens"); }
};

// setns(2), "fd refers to a /proc/[pid]/ns/ link": joins the namespace of that link, and each call
// changes just one membership. A time namespace, too, is joined by the caller itself.
TEST_F(Setns, ALinkIsJoinedAndNothingElse) {
  const Member member(kAll);
  for (const NamespaceType type : kMovesCaller) {
    expect_in_fork([&] {
      const Way way(member);
      EXPECT_EQ(sys::setns(member.of(type).fd().get(), flag_of(type)), 0);
      EXPECT_EQ(way.gone(), NamespaceSet{type}) << to_string(type);
    });
  }
}

// setns(2), the same and namespaces(7): a pid namespace is joined by the caller's later children.
TEST_F(Setns, APidNamespaceIsJoinedByTheChildren) {
  const Member member({pid});
  expect_in_fork([&] {
    const std::string before = own_links();
    must(sys::setns(member.of(pid).fd().get(), CloneFlags::newpid));
    EXPECT_EQ(own_links(), before);
    EXPECT_EQ(link_of("self", "pid_for_children"), link_of(std::to_string(member.pid()), "pid"));
    EXPECT_EQ(ask_outside([] { return std::to_string(::getpid()); }), "2");
  });
}

// setns(2), DESCRIPTION: "(or a bind mount to such a link)".
TEST_F(Setns, ABindMountOfALink) {
  expect_in_fork([] {
    own_mounts();
    must(sys::mount("none", "/mnt", "tmpfs", sys::MountFlags::none, nullptr));
    write_file("/mnt/net", "");
    const Member member({network});
    const std::string link = "/proc/" + std::to_string(member.pid()) + "/ns/net";
    must(sys::mount(link.c_str(), "/mnt/net", nullptr, sys::MountFlags::bind, nullptr));
    const Way way(member);
    const Fd fd(::open("/mnt/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(sys::setns(fd.get(), CloneFlags::newnet), 0);
    EXPECT_EQ(way.gone(), NamespaceSet{network});
  });
}

// setns(2), nstype: "0 Allow any type of namespace to be joined."
TEST_F(Setns, TypeZeroAllowsAny) {
  const Member member(kAll);
  for (const NamespaceType type : kAll) {
    expect_in_fork([&] {
      EXPECT_EQ(sys::setns(member.of(type).fd().get(), CloneFlags::none), 0) << to_string(type);
    });
  }
}

// setns(2), nstype: each CLONE_NEW* constant: fd must refer to a namespace of that type. ERRORS: EINVAL.
TEST_F(Setns, AnyOtherTypeIsRefused) {
  const Member member(kAll);
  for (const NamespaceType type : kAll) {
    for (const NamespaceType wrong : kAll - NamespaceSet{type}) {
      expect_in_fork([&] {
        const std::string before = own_links();
        EXPECT_EQ(sys::setns(member.of(type).fd().get(), flag_of(wrong)), -EINVAL)
            << to_string(type) << " as " << to_string(wrong);
        EXPECT_EQ(own_links(), before);
      });
    }
  }
}

// setns(2), nstype: the check is for a descriptor that another process opened and passed.
TEST_F(Setns, ADescriptorFromAnotherProcessIsChecked) {
  const Member member({uts});
  expect_in_fork([&] {
    const Way way(member);
    const Fd fd = passed_by_socket(member.of(uts).fd().get());
    EXPECT_EQ(sys::setns(fd.get(), CloneFlags::newnet), -EINVAL);
    EXPECT_EQ(sys::setns(fd.get(), CloneFlags::newuts), 0);
    EXPECT_EQ(way.gone(), NamespaceSet{uts});
  });
}

// setns(2), ERRORS: EBADF no valid descriptor, EINVAL one of something else.
TEST_F(Setns, OnlyDescriptorsOfNamespaces) {
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(sys::setns(-1, CloneFlags::none), -EBADF);
  EXPECT_EQ(sys::setns(file.get(), CloneFlags::none), -EINVAL);
}

// setns(2), DESCRIPTION: "allows the calling thread to move".
TEST_F(Setns, MovesTheCallingThreadOnly) {
  const Member member({uts});
  expect_in_fork([&] {
    const std::string before = own_links();
    NamespaceSet of_thread;
    std::thread([&] {
      const Way way(member);
      must(sys::setns(member.of(uts).fd().get(), CloneFlags::newuts));
      of_thread = way.gone();
    }).join();
    EXPECT_EQ(of_thread, NamespaceSet{uts});
    EXPECT_EQ(own_links(), before);
  });
}

// setns(2), nstype: "CLONE_NEWPID: fd must refer to a descendant PID namespace" or be the caller's.
TEST_F(Setns, OnlyDescendantPidNamespaces) {
  const Namespace ours = must(Namespace::of_self(pid));
  const Member sibling({pid});
  const Member member({pid});
  EXPECT_EQ(
      member.ask([&] { return std::to_string(sys::setns(ours.fd().get(), CloneFlags::newpid)); }),
      std::to_string(-EINVAL));
  const Namespace beside = sibling.of(pid);
  EXPECT_EQ(
      member.ask([&] { return std::to_string(sys::setns(beside.fd().get(), CloneFlags::newpid)); }),
      std::to_string(-EINVAL));
  expect_in_fork([&] {
    EXPECT_EQ(sys::setns(member.of(pid).fd().get(), CloneFlags::newpid), 0);
    EXPECT_EQ(sys::setns(ours.fd().get(), CloneFlags::newpid), 0) << "the way back to its own";
  });
}

// setns(2), "fd is a PID file descriptor": into one or more of the process's namespaces at once, the
// memberships in the remaining ones unchanged.
TEST_F(Setns, APidfdWithAMask) {
  const Member member(kAll);
  for (const NamespaceSet mask : {kMovesCaller, NamespaceSet{uts}, NamespaceSet{ipc, network},
                                  NamespaceSet{mount, time, cgroup}, NamespaceSet{user, uts},
                                  NamespaceSet{user, mount, network}}) {
    expect_in_fork([&] {
      const Way way(member);
      EXPECT_EQ(sys::setns(member.pidfd().get(), flags_of(mask)), 0);
      EXPECT_EQ(way.gone(), mask);
    });
  }
}

// setns(2), "fd is a PID file descriptor": from pidfd_open(2) as from clone(2), which Member uses.
TEST_F(Setns, APidfdOfPidfdOpen) {
  const Member member({uts, pid});
  expect_in_fork([&] {
    const Way way(member);
    const Fd pidfd(sys::pidfd_open(member.pid()));
    EXPECT_EQ(sys::setns(pidfd.get(), CloneFlags::newuts | CloneFlags::newpid), 0);
    EXPECT_EQ(way.gone(), NamespaceSet{uts});
    EXPECT_EQ(ask_outside([] { return std::to_string(::getpid()); }), "2");
  });
}

// setns(2), "fd is a PID file descriptor": the mask is made of CLONE_NEW* constants, "one or more".
TEST_F(Setns, AMaskOfOtherThingsIsRefused) {
  const Member member({uts});
  for (const CloneFlags mask :
       {CloneFlags::none, CloneFlags::fs, CloneFlags::newuts | CloneFlags::vm}) {
    EXPECT_EQ(sys::setns(member.pidfd().get(), mask), -EINVAL);
  }
}

// setns(2), "fd is a PID file descriptor": "atomically moves": where one is refused, none is joined.
// A user namespace of one's own cannot be joined again, nor a pid namespace above.
TEST_F(Setns, AllOrNothing) {
  const Member member({uts, network, mount});
  expect_in_fork([&] {
    const std::string before = own_links();
    EXPECT_EQ(sys::setns(member.pidfd().get(), flags_of({uts, network, mount, user})), -EINVAL);
    EXPECT_EQ(own_links(), before);
  });
  const Member inside({pid});
  EXPECT_EQ(inside.ask([&]() -> std::string {
    const std::string before = own_links();
    const int error = sys::setns(member.pidfd().get(), flags_of({uts, network, mount, pid}));
    return own_links() == before ? outcome(error) : "moved";
  }),
            "EINVAL");
}

// setns(2), ERRORS: ESRCH, the process of the pidfd has ended and been waited for.
TEST_F(Setns, APidfdOfNobody) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  const Fd pidfd(sys::pidfd_open(child));
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(sys::setns(pidfd.get(), CloneFlags::newuts), -ESRCH);
}

// setns(2), ERRORS: EPERM without CAP_SYS_ADMIN over the namespace; also CAP_SYS_CHROOT for mount.
TEST_F(Setns, NobodyMayNot) {
  ISLE_REQUIRE("unprivileged");
  const Member member(kAll - NamespaceSet{user});
  for (const NamespaceType type : kAll - NamespaceSet{user}) {
    expect_in_fork([&] {
      const Namespace there = member.of(type);
      become_nobody();
      EXPECT_EQ(sys::setns(there.fd().get(), flag_of(type)), -EPERM) << to_string(type);
    });
  }
}

// setns(2), ERRORS, and user_namespaces(7): EINVAL for one's own, and for a process of several threads.
TEST_F(Setns, AUserNamespaceNeedsOneThreadAndIsNotOnesOwn) {
  const Member member({user});
  EXPECT_EQ(sys::setns(must(Namespace::of_self(user)).fd().get(), CloneFlags::newuser), -EINVAL);
  expect_in_fork([&] {
    std::thread([&] {
      EXPECT_EQ(sys::setns(member.of(user).fd().get(), CloneFlags::newuser), -EINVAL);
    }).join();
  });
}

// setns(2), Details, CLONE_NEWTIME: EUSERS for a process of several threads.
TEST_F(Setns, ATimeNamespaceNeedsOneThread) {
  const Member member({time});
  expect_in_fork([&] {
    std::thread([&] {
      EXPECT_EQ(sys::setns(member.of(time).fd().get(), CloneFlags::newtime), -EUSERS);
    }).join();
  });
}

// setns(2), Details, mount: EINVAL while root and working directory are shared with another process.
TEST_F(Setns, AMountNamespaceNeedsItsOwnRootAndDirectory) {
  const Member member({mount});
  expect_in_fork([&] {
    std::thread([&] {
      EXPECT_EQ(sys::setns(member.of(mount).fd().get(), CloneFlags::newns), -EINVAL);
      must(sys::unshare(CloneFlags::fs));
      EXPECT_EQ(sys::setns(member.of(mount).fd().get(), CloneFlags::newns), 0);
    }).join();
  });
}

}  // namespace
}  // namespace isle::test
