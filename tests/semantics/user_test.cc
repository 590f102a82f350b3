// User namespaces: namespaces(7), table, "User and group IDs"; the overview, User Namespace; and
// user_namespaces(7), which they point to.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;
using sys::MountFlags;

/// write(2) of a whole map, or of setgroups: 0 or -errno.
int write_map(const std::string& process, const char* file, const std::string& text) {
  const Fd fd(::open(("/proc/" + process + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
  must(libc(fd.get()));
  return ::write(fd.get(), text.data(), text.size()) < 0 ? -errno : 0;
}

std::string status_line(const std::string& process, const std::string& name) {
  const std::string text = read_file("/proc/" + process + "/status");
  const size_t at = text.find("\n" + name + ":\t") + name.size() + 3;
  return text.substr(at, text.find('\n', at) - at);
}

/// CapEff of who has every capability this kernel knows, whatever the bounding set was.
std::string all_capabilities() {
  const int last = std::stoi(read_file("/proc/sys/kernel/cap_last_cap"));
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", (2ULL << last) - 1);
  return text;
}

std::string ids() {
  return std::to_string(::getuid()) + " " + std::to_string(::geteuid()) + " " +
         std::to_string(::getgid()) + " " + std::to_string(::getegid());
}

class User : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "unprivileged", "userns"); }
};

// The overview, User Namespace: "An unprivileged user can used as root privileged user inside a
// namespace"; outside it is who it was.
TEST_F(User, RootInsideIsNobodyOutside) {
  expect_in_fork([] {
    become_nobody();
    const std::string before = ids();
    become_root_of_a_user_namespace();
    EXPECT_EQ(ids(), "0 0 0 0");
    const std::string host_pid = std::to_string(::getpid());
    EXPECT_EQ(status_line(host_pid, "Uid"), "0\t0\t0\t0") << "as a reader inside sees it";
    EXPECT_NE(before, ids());
  });
  const Member nobody({}, [] {
    become_nobody();
    become_root_of_a_user_namespace();
  });
  const std::string uid = std::to_string(unprivileged().uid);
  EXPECT_EQ(status_line(std::to_string(nobody.pid()), "Uid"),
            uid + "\t" + uid + "\t" + uid + "\t" + uid)
      << "as a reader outside sees it";
}

// The overview, User Namespace: "multiple process can have same user with same id": of two namespaces
// each has its root, and they are two different users.
TEST_F(User, TheSameIdInTwoNamespaces) {
  const auto root_of_own = [] {
    become_nobody();
    become_root_of_a_user_namespace();
  };
  const Member one({}, root_of_own);
  const Member other({}, [] { become_root_of_a_user_namespace(); });
  EXPECT_EQ(read_file("/proc/" + std::to_string(one.pid()) + "/uid_map"),
            "         0      54321          1\n");
  EXPECT_EQ(read_file("/proc/" + std::to_string(other.pid()) + "/uid_map"),
            "         0          0          1\n");
}

// user_namespaces(7), User and group ID mappings: files are made as the outer id, and shown by the map.
TEST_F(User, FilesBelongToTheOuterId) {
  const TempDir dir;
  dir.give_to(unprivileged());
  expect_in_fork([&] {
    become_nobody();
    become_root_of_a_user_namespace();
    write_file(dir / "made", "");
    struct stat made{};
    must(libc(::stat((dir / "made").c_str(), &made)));
    EXPECT_EQ(made.st_uid, 0U);
    struct stat etc{};
    must(libc(::stat("/etc", &etc)));
    EXPECT_EQ(etc.st_uid, 65534U) << "an id that is not mapped shows as the overflow id";
    EXPECT_EQ(libc(::chown((dir / "made").c_str(), 1, 1)), -EINVAL) << "ids that are not mapped";
  });
  struct stat made{};
  ASSERT_EQ(::stat((dir / "made").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, unprivileged().uid);
}

// user_namespaces(7), Capabilities: the first process of a new one has all of them, and setns(2) gives all.
TEST_F(User, AllCapabilitiesInside) {
  expect_in_fork([] {
    become_nobody();
    EXPECT_EQ(status_line("self", "CapEff"), "0000000000000000");
    must(sys::unshare(CloneFlags::newuser));
    EXPECT_EQ(status_line("self", "CapEff"), all_capabilities());
    EXPECT_EQ(status_line("self", "CapPrm"), all_capabilities());
    EXPECT_EQ(status_line("self", "CapInh"), "0000000000000000");
  });
  expect_in_fork([] {
    const Member member({}, [] {
      become_nobody();
      become_root_of_a_user_namespace();
    });
    const Fd there = Namespace(member.of(user)).release();
    become_nobody();
    EXPECT_EQ(sys::setns(there.get(), CloneFlags::newuser), 0) << "its owner may";
    EXPECT_EQ(status_line("self", "CapEff"), all_capabilities());
  });
}

// user_namespaces(7), Capabilities: they count only for resources of namespaces that it owns ...
TEST_F(User, CapabilitiesCountOnlyInside) {
  const Member outside_process({});
  expect_in_fork([&] {
    become_nobody();
    become_root_of_a_user_namespace();
    // ... none of what follows is.
    EXPECT_EQ(sys::sethostname("isle", 4), -EPERM);
    EXPECT_EQ(sys::mount("none", "/mnt", "tmpfs", MountFlags::none, nullptr), -EPERM);
    EXPECT_EQ(sys::kill(outside_process.pid(), SIGKILL), -EPERM);
    EXPECT_EQ(libc(::open("/etc/shadow", O_RDONLY)), -EACCES);
    EXPECT_EQ(sys::unshare(CloneFlags::newuts), 0);
    EXPECT_EQ(sys::sethostname("isle", 4), 0) << "a namespace it owns";
    EXPECT_EQ(sys::mount("none", "/mnt", "tmpfs", MountFlags::none, nullptr), -EPERM);
    EXPECT_EQ(sys::unshare(CloneFlags::newns), 0);
    EXPECT_EQ(sys::mount("none", "/mnt", "tmpfs", MountFlags::none, nullptr), 0);
    EXPECT_EQ(libc(::mknod("/mnt/null", S_IFCHR | 0600, sys::device_number(1, 3))), -EPERM)
        << "devices belong to the first namespace";
    ::timespec now{};
    must(libc(::clock_gettime(CLOCK_REALTIME, &now)));
    EXPECT_EQ(libc(::clock_settime(CLOCK_REALTIME, &now)), -EPERM) << "so does the clock";
  });
}

// The same of the network: devices of a namespace that another one owns are not its to change.
TEST_F(User, CapabilitiesCountInOwnedNetworkNamespaces) {
  ISLE_REQUIRE("netns", "ip");
  expect_in_fork([] {
    become_nobody();
    become_root_of_a_user_namespace();
    EXPECT_FALSE(run_command({"ip", "link", "add", "isle0", "type", "bridge"}).ok());
    must(sys::unshare(CloneFlags::newnet));
    const CommandResult added = run_command({"ip", "link", "add", "isle0", "type", "bridge"});
    EXPECT_TRUE(added.ok()) << added;
  });
}

// user_namespaces(7), Capabilities: the owner (by euid) and who is privileged in the parent have all of
// them in the child.
TEST_F(User, TheOwnerIsPrivilegedFromOutside) {
  const Member owned({}, [] {
    become_nobody();
    become_root_of_a_user_namespace();
    must(sys::unshare(CloneFlags::newuts));
  });
  expect_in_fork([&] {
    const Namespace names = owned.of(uts);
    become_nobody();
    EXPECT_EQ(sys::setns(names.fd().get(), CloneFlags::newuts), -EPERM)
        << "not its own CAP_SYS_ADMIN";
    must(sys::setns(must(names.owner()).fd().get(), CloneFlags::newuser));
    EXPECT_EQ(sys::setns(names.fd().get(), CloneFlags::newuts), 0);
  });
}

// user_namespaces(7), Defining user and group ID mappings: what an unprivileged process may write.
TEST_F(User, MapsAnOrdinaryUserMayWrite) {
  expect_in_fork([] {
    become_nobody();
    const std::string id = std::to_string(::getuid());
    must(sys::unshare(CloneFlags::newuser));
    EXPECT_EQ(read_file("/proc/self/uid_map"), "") << "none yet";
    EXPECT_EQ(::getuid(), 65534U);
    EXPECT_EQ(write_map("self", "uid_map", "0 0 1"), -EPERM) << "only its own id";
    EXPECT_EQ(write_map("self", "uid_map", "0 " + id + " 2"), -EPERM) << "only one";
    EXPECT_EQ(write_map("self", "uid_map", "47 " + id + " 1"), 0) << "as whatever it likes";
    EXPECT_EQ(write_map("self", "uid_map", "47 " + id + " 1"), -EPERM) << "once";
    EXPECT_EQ(write_map("self", "gid_map", "0 " + id + " 1"), -EPERM) << "first without setgroups";
    EXPECT_EQ(write_map("self", "setgroups", "deny"), 0);
    EXPECT_EQ(write_map("self", "gid_map", "0 " + id + " 1"), 0);
    EXPECT_EQ(write_map("self", "setgroups", "allow"), -EPERM) << "not any more";
    EXPECT_EQ(ids(), "47 47 0 0");
    EXPECT_EQ(libc(::setgroups(0, nullptr)), -EPERM);
  });
}

// The same of a privileged process in the parent: many ranges, up to 340, none overlapping.
TEST_F(User, MapsOfManyRanges) {
  const auto lines = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += std::to_string(2 * i) + " " + std::to_string(2 * i) + " 1\n";  // a page at most
    }
    return text;
  };
  const auto fresh = [](const std::function<void(const std::string&)>& check) {
    const Member member({}, [] { must(sys::unshare(CloneFlags::newuser)); });
    check(std::to_string(member.pid()));
  };
  fresh([&](const std::string& child) {
    EXPECT_EQ(write_map(child, "uid_map", "0 100000 10\n5 200000 10\n"), -EINVAL)
        << "overlaps inside";
    EXPECT_EQ(write_map(child, "uid_map", "0 100000 10\n50 100005 10\n"), -EINVAL) << "and outside";
    EXPECT_EQ(write_map(child, "uid_map", "0 100000 0\n"), -EINVAL);
    EXPECT_EQ(write_map(child, "uid_map", "0 4294967295 2\n"), -EINVAL);
    EXPECT_EQ(write_map(child, "uid_map", lines(341)), -EINVAL);
    EXPECT_EQ(write_map(child, "uid_map", lines(340)), 0);
    EXPECT_EQ(write_map(child, "gid_map", "0 100000 1000\n1000 0 1\n"), 0);
  });
}

// The same: a process of neither the namespace nor its parent may not write.
TEST_F(User, MapsAreTheParentsOrItsOwnToWrite) {
  const Member member({user}, [] { must(sys::unshare(CloneFlags::newuser)); });  // two levels down
  EXPECT_EQ(write_map(std::to_string(member.pid()), "uid_map", "0 0 1"), -EPERM);
}

// user_namespaces(7), User and group ID mappings: a map is shown as the reader's namespace counts.
TEST_F(User, MapsAreShownByTheReadersIds) {
  const Member outer({}, [] { must(sys::unshare(CloneFlags::newuser)); });
  for (const char* map : {"uid_map", "gid_map"}) {
    must(write_map(std::to_string(outer.pid()), map, "0 100000 1000"));
  }
  const auto inside = [&outer](const std::function<std::string()>& function) {
    return [&outer, function] {
      must(enter(outer.pidfd(), {user}));
      must(sys::setresgid(0, 0, 0));
      must(sys::setresuid(0, 0, 0));
      must(libc(::prctl(PR_SET_DUMPABLE, 1)));  // its files in /proc are its own again
      return function();
    };
  };
  const Member inner({}, [&] {
    inside([] { return std::to_string(must(sys::unshare(CloneFlags::newuser))); })();
  });
  const std::string pid = std::to_string(inner.pid());
  ask_outside(inside([&] { return std::to_string(must(write_map(pid, "uid_map", "0 500 10"))); }));
  const auto read_map = [&] { return read_file("/proc/" + pid + "/uid_map"); };
  EXPECT_EQ(read_map(), "         0     100500         10\n");
  EXPECT_EQ(ask_outside(inside(read_map)), "         0        500         10\n");
  EXPECT_EQ(ask_outside([&] {
              must(enter(inner.pidfd(), {user}));
              return read_map();
            }),
            "         0        500         10\n")
      << "to a member, as the parent counts";
}

// user_namespaces(7), The /proc/pid/setgroups file: denied once, denied below.
TEST_F(User, SetgroupsStaysDeniedBelow) {
  expect_in_fork([] {
    become_root_of_a_user_namespace();
    must(sys::unshare(CloneFlags::newuser));
    EXPECT_EQ(read_file("/proc/self/setgroups"), "deny\n");
    EXPECT_EQ(write_map("self", "setgroups", "allow"), -EPERM);
  });
}

// user_namespaces(7), Effect of capabilities: CAP_SYS_ADMIN of the parent is lost inside.
TEST_F(User, PrivilegeOutsideIsLost) {
  expect_in_fork([] {
    const Namespace names = must(Namespace::of_self(uts));
    must(sys::unshare(CloneFlags::newuser));
    EXPECT_EQ(sys::sethostname("isle", 4), -EPERM) << "though it was the host's root";
    EXPECT_EQ(sys::setns(names.fd().get(), CloneFlags::newuts), -EPERM);
  });
}

}  // namespace
}  // namespace isle::test
