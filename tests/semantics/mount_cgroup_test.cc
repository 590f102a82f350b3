// What of mount and cgroup namespaces is more than a row of isolation_test.cc: umount, propagation
// between mount namespaces, and the cgroup root directory as each side sees it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;
using sys::MountFlags;

bool is_mounted(const std::string& path) {
  return read_file("/proc/self/mountinfo").find(" " + path + " ") != std::string::npos;
}

class Mount : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root"); }
};

// The overview, Mount Namespace: mount() and umount(): neither is seen outside, as long as the mounts
// are private (mount_namespaces(7)).
TEST_F(Mount, UmountInsideIsNotSeenOutside) {
  expect_in_fork([] {
    own_mounts();
    must(sys::mount("none", "/mnt", "tmpfs", MountFlags::none, nullptr));
    const Member member({mount}, [] { must(sys::umount2("/mnt", sys::UmountFlags::none)); });
    EXPECT_EQ(member.ask([] { return std::string(is_mounted("/mnt") ? "mounted" : "gone"); }),
              "gone");
    EXPECT_TRUE(is_mounted("/mnt"));
  });
}

// mount_namespaces(7), SHARED SUBTREES: what a copy shares with its source goes both ways, to a slave
// one way, from and to a private mount no way.
TEST_F(Mount, PropagationGoesAsTheMountsType) {
  struct Case {
    MountFlags type;
    bool in;
    bool out;
  };
  for (const Case& one :
       {Case{MountFlags::shared, true, true}, Case{MountFlags::slave, true, false},
        Case{MountFlags::private_, false, false}}) {
    expect_in_fork([&] {
      own_mounts();
      must(sys::mount("none", "/mnt", "tmpfs", MountFlags::none, nullptr));
      for (const char* path : {"/mnt/in", "/mnt/out"}) must(libc(::mkdir(path, 0755)));
      must(sys::mount("none", "/mnt", nullptr, MountFlags::shared, nullptr));
      const Member member({mount}, [&] {
        must(sys::mount("none", "/mnt", nullptr, one.type, nullptr));
        must(sys::mount("none", "/mnt/out", "tmpfs", MountFlags::none, nullptr));
      });
      must(sys::mount("none", "/mnt/in", "tmpfs", MountFlags::none, nullptr));
      EXPECT_EQ(is_mounted("/mnt/out"), one.out);
      EXPECT_EQ(member.ask([] { return std::string(is_mounted("/mnt/in") ? "seen" : "unseen"); }),
                one.in ? "seen" : "unseen");
    });
  }
}

// mount_namespaces(7), Restrictions: a copy in a less privileged namespace is a slave, and what came
// along is locked: not to be unmounted alone, nor made writable again.
TEST_F(Mount, ALessPrivilegedCopyIsLocked) {
  expect_in_fork([] {
    own_mounts();
    must(sys::mount("none", "/mnt", "tmpfs", MountFlags::rdonly, nullptr));
    must(sys::mount("none", "/mnt", nullptr, MountFlags::shared, nullptr));
    const Member source({});  // keeps the namespace that the copy is a slave of
    become_root_of_a_user_namespace();
    must(sys::unshare(CloneFlags::newns));
    EXPECT_EQ(sys::umount2("/mnt", sys::UmountFlags::none), -EINVAL);
    EXPECT_EQ(sys::mount("none", "/mnt", nullptr, MountFlags::remount | MountFlags::bind, nullptr),
              -EPERM);
    EXPECT_NE(read_file("/proc/self/mountinfo").find("master:"), std::string::npos);
  });
}

/// A cgroup of the test's, with one below it: in the first hierarchy where one can be made.
class Cgroups {
 public:
  Cgroups() {
    std::ifstream lines("/proc/self/cgroup");
    for (std::string line; std::getline(lines, line) && outer_.empty();) {
      const std::string controllers =
          line.substr(line.find(':') + 1, line.rfind(':') - line.find(':') - 1);
      const std::string below = line.substr(line.rfind(':') + 1);
      for (const char* mounted :
           {"/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
        const bool unified = controllers.empty() && !std::string_view(mounted).ends_with("/pids") &&
                             std::filesystem::exists(std::string(mounted) + "/cgroup.procs");
        const bool pids = controllers == "pids" && std::string_view(mounted).ends_with("/pids");
        if (!unified && !pids) continue;
        name_ = (below == "/" ? "" : below) + "/" + unique_name("cgroup");
        outer_ = mounted + name_;
        line_start_ = line.substr(0, line.rfind(':') + 1);
        break;
      }
    }
    std::error_code error;
    if (!outer_.empty() && !std::filesystem::create_directories(outer_ + "/inner", error))
      outer_.clear();
  }
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;
  ~Cgroups() {
    if (outer_.empty()) return;
    ::rmdir((outer_ + "/inner").c_str());
    ::rmdir(outer_.c_str());
  }
  [[nodiscard]] bool made() const { return !outer_.empty(); }
  /// As /proc/pid/cgroup names it in the first cgroup namespace of the test's.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Moves the caller into the outer one or, "/inner", the one below.
  void join(const std::string& below) const { write_file(outer_ + below + "/cgroup.procs", "0"); }
  /// What /proc/`process`/cgroup says of this hierarchy.
  [[nodiscard]] std::string seen_of(const std::string& process) const {
    const std::string text = "\n" + read_file("/proc/" + process + "/cgroup");
    const size_t at = text.find("\n" + line_start_) + 1 + line_start_.size();
    return text.substr(at, text.find('\n', at) - at);
  }

 private:
  std::string name_;
  std::string outer_;
  std::string line_start_;  // "8:pids:", "0::"
};

// namespaces(7), table: Cgroup, "Cgroup root directory": the cgroup its maker was in is the root to the
// members, and paths are relative to it; outside nothing has changed (cgroup_namespaces(7)).
TEST(Cgroup, TheRootDirectoryIsTheMakersCgroup) {
  ISLE_REQUIRE("root");
  const Cgroups cgroups;
  if (!cgroups.made()) GTEST_SKIP() << "no cgroup hierarchy here in which a cgroup can be made";
  const Member outside({}, [&] { cgroups.join(""); });
  const Member member({}, [&] {
    cgroups.join("");
    must(sys::unshare(CloneFlags::newcgroup));
    cgroups.join("/inner");
  });
  const Namespace home = member.of(cgroup);
  const std::string pid_of_member = std::to_string(member.pid());
  EXPECT_EQ(cgroups.seen_of(pid_of_member), cgroups.name() + "/inner");
  EXPECT_EQ(ask_outside([&] {
              must(home.enter());
              return cgroups.seen_of(pid_of_member) + " " +
                     cgroups.seen_of(std::to_string(outside.pid())) + " " +
                     cgroups.seen_of("self").substr(0, 3);
            }),
            "/inner / /..")
      << "who is above the root shows as such";
}

}  // namespace
}  // namespace isle::test
