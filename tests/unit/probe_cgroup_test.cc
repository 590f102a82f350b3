// The cgroup layout and what is delegated, read from made-up trees as an ordinary user would.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup/facts.h"
#include "cgroup/paths.h"
#include "run/probe.h"
#include "support/support.h"

namespace isle::cgroup {
namespace {

using Strings = std::vector<std::string>;
using test::TempDir;

constexpr pid_t kSelf = 4711;

void write_proc(const TempDir& root, std::string_view mountinfo, std::string_view cgroup) {
  root.write("proc/self/mountinfo", mountinfo);
  root.write("proc/self/cgroup", cgroup);
}

struct Cgroup {
  std::string_view controllers = {};
  std::string_view subtree_control = {};
  std::string_view procs = {};
  std::string_view type = "domain\n";  // empty: the root, which has no such file
};

// A v2 cgroup directory with its files; `open` gives it to everybody.
void write_cgroup(const TempDir& root, const std::string& path, const Cgroup& cgroup, bool open) {
  const std::string below = path.substr(1);
  const mode_t mode = open ? 0666 : 0644;
  root.write(below + "/cgroup.controllers", cgroup.controllers);
  for (const auto& [name, text] : {std::pair{"cgroup.subtree_control", cgroup.subtree_control},
                                   std::pair{"cgroup.procs", cgroup.procs}})
    ASSERT_EQ(chmod(root.write(below + "/" + name, text).c_str(), mode), 0);
  if (!cgroup.type.empty()) root.write(below + "/cgroup.type", cgroup.type);
  ASSERT_EQ(chmod((root / below).c_str(), open ? 0777 : 0755), 0);
}

// look_up() by one who is not root; EXPECTs in `check` count.
void look_as_user(const TempDir& root, const Strings& controllers,
                  const std::function<void(const CgroupFacts&)>& check) {
  const test::Identity user = test::unprivileged();
  test::expect_in_fork([&] {
    const char* step = "";
    ASSERT_EQ(test::become(user, &step), 0) << step;
    check(look_up(controllers, kSelf, root.path()));
  });
}

constexpr std::string_view kV2Mount =
    "1 0 0:1 / / rw - ext4 d rw\n30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
const std::string kTop = "/sys/fs/cgroup";
const std::string kService = kTop + "/user.slice/user-1000.slice/user@1000.service";

// The tree systemd makes for a user, down to user@1000.service, which is the user's.
void write_systemd_tree(const TempDir& root) {
  constexpr std::string_view kAll = "cpu io memory pids\n";
  write_cgroup(root, kTop, {kAll, kAll, "1\n", ""}, false);
  write_cgroup(root, kTop + "/user.slice", {kAll, kAll}, false);
  write_cgroup(root, kTop + "/user.slice/user-1000.slice", {kAll, "memory pids\n"}, false);
  write_cgroup(root, kService, {"memory pids\n", "memory pids\n"}, true);
  write_cgroup(root, kService + "/app.slice", {"memory pids\n", "memory pids\n"}, true);
}

TEST(CgroupFacts, NothingThere) {
  const TempDir root;
  EXPECT_EQ(look_up({"memory"}, kSelf, root.path()).layout, CgroupLayout::none);
  write_proc(root, "1 0 0:1 / / rw - ext4 d rw\n", "0::/\n");
  EXPECT_EQ(look_up({"memory"}, kSelf, root.path()).layout, CgroupLayout::none);
}

TEST(CgroupFacts, ADelegatedScopeOfOnesOwn) {
  ISLE_REQUIRE("unprivileged");
  const TempDir root;
  write_systemd_tree(root);
  const std::string scope = kService + "/app.slice/run-1.scope";
  write_cgroup(root, scope, {"memory pids\n", "", "4711\n"}, true);
  write_proc(root, kV2Mount, "0::" + scope.substr(kTop.size()) + "\n");
  look_as_user(root, {"memory", "pids"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.layout, CgroupLayout::v2);
    EXPECT_EQ(facts.v2_mount, kTop);
    EXPECT_EQ(facts.v2_own, scope);
    EXPECT_EQ(facts.v2_parent, scope);
    EXPECT_EQ(facts.v2_available, (Strings{"memory", "pids"}));
    EXPECT_EQ(facts.v2_enabled, Strings{});
    EXPECT_FALSE(facts.v2_parent_has_others);
  });
}

TEST(CgroupFacts, AScopeSharedWithOthersGivesWayToTheSliceAbove) {
  ISLE_REQUIRE("root", "unprivileged");  // the tree must be somebody else's
  const TempDir root;
  write_systemd_tree(root);
  const std::string scope = kService + "/app.slice/terminal.scope";
  write_cgroup(root, scope, {"memory pids\n", "", "99\n4711\n"}, true);
  write_proc(root, kV2Mount, "0::" + scope.substr(kTop.size()) + "\n");
  look_as_user(root, {"memory"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.v2_parent, kService + "/app.slice");
    EXPECT_EQ(facts.v2_enabled, (Strings{"memory", "pids"}));
    EXPECT_FALSE(facts.v2_parent_has_others);
  });
  // Without a controller to enable, the next best will do.
  look_as_user(root, {}, [&](const CgroupFacts& facts) { EXPECT_EQ(facts.v2_parent, scope); });
  // cpu is delegated nowhere: the nearest that can be used at all, with what it lacks in the facts.
  look_as_user(root, {"cpu"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.v2_parent, scope);
    EXPECT_TRUE(facts.v2_parent_has_others);
    EXPECT_EQ(facts.v2_available, (Strings{"memory", "pids"}));
  });
}

TEST(CgroupFacts, ALoginSessionIsNotDelegated) {
  ISLE_REQUIRE("root", "unprivileged");  // the tree must be somebody else's
  const TempDir root;
  write_systemd_tree(root);
  const std::string session = kTop + "/user.slice/user-1000.slice/session-3.scope";
  write_cgroup(root, session, {"memory pids\n", "", "4711\n"}, false);
  write_proc(root, kV2Mount, "0::" + session.substr(kTop.size()) + "\n");
  look_as_user(root, {"memory"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.layout, CgroupLayout::v2);
    EXPECT_EQ(facts.v2_own, session);
    EXPECT_EQ(facts.v2_parent, "");
  });
}

TEST(CgroupFacts, ADirectoryWithoutItsProcsIsNotDelegated) {
  ISLE_REQUIRE("root", "unprivileged");  // the tree must be somebody else's
  const TempDir root;
  write_systemd_tree(root);
  const std::string scope = kService + "/half.scope";
  write_cgroup(root, scope, {"memory\n", "", "4711\n"}, true);
  ASSERT_EQ(chmod((root / (scope.substr(1) + "/cgroup.procs")).c_str(), 0644), 0);
  write_proc(root, kV2Mount, "0::" + scope.substr(kTop.size()) + "\n");
  look_as_user(root, {"memory"},
               [&](const CgroupFacts& facts) { EXPECT_EQ(facts.v2_parent, kService); });
}

TEST(CgroupFacts, AThreadedCgroupIsPassedOver) {
  const TempDir root;
  write_systemd_tree(root);
  const std::string threaded = kService + "/threaded";
  write_cgroup(root, threaded, {"cpu\n", "", "", "threaded\n"}, true);
  EXPECT_FALSE(delegation_of(threaded, kSelf, root.path()).usable());
}

TEST(CgroupFacts, ACgroupNamespaceAndAMountOfAPart) {
  const TempDir root;
  // In a container: we are the root of what we see, which has a type and so is not the real root.
  write_cgroup(root, kTop, {"memory pids\n", "", "1\n4711\n"}, true);
  write_proc(root, kV2Mount, "0::/\n");
  CgroupFacts facts = look_up({"memory"}, kSelf, root.path());
  EXPECT_EQ(facts.v2_own, kTop);
  EXPECT_EQ(facts.v2_parent, kTop);
  EXPECT_TRUE(facts.v2_parent_has_others);
  EXPECT_FALSE(facts.v2_parent_is_root);
  // No cgroup namespace, a bind mount of one's own directory.
  write_proc(root, "30 1 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
             "0::/docker/abc\n");
  facts = look_up({"memory"}, kSelf, root.path());
  EXPECT_EQ(facts.v2_own, kTop);
  // Outside of the cgroup namespace, or of the part mounted: not seen.
  for (const char* path : {"0::/../other\n", "0::/docker/abcd\n"}) {
    write_proc(root, "30 1 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", path);
    facts = look_up({"memory"}, kSelf, root.path());
    EXPECT_EQ(facts.layout, CgroupLayout::v2);
    EXPECT_EQ(facts.v2_own, "") << path;
    EXPECT_EQ(facts.v2_parent, "") << path;
  }
}

TEST(CgroupFacts, HybridAndV1) {
  ISLE_REQUIRE("root", "unprivileged");  // the tree must be somebody else's
  const TempDir root;
  for (const char* path : {"/sys/fs/cgroup/cpu,cpuacct/mine", "/sys/fs/cgroup/memory"})
    ASSERT_EQ(chmod(root.make_dir(path + 1).c_str(),
                    std::string_view(path).ends_with("mine") ? 0777 : 0755),
              0);
  write_cgroup(root, kTop + "/unified", {"", "", "1\n", ""}, false);
  const std::string mounts =
      "32 1 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "33 1 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "34 1 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
  const std::string cgroups = "9:name=systemd:/\n4:memory:/\n3:cpu,cpuacct:/mine\n2:pids:/\n";
  write_proc(root, mounts, cgroups);
  look_as_user(root, {"cpu"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.layout, CgroupLayout::v1);
    EXPECT_EQ(facts.v1.at("cpu"), "/sys/fs/cgroup/cpu,cpuacct/mine");
    EXPECT_EQ(facts.v1.at("cpuacct"), "/sys/fs/cgroup/cpu,cpuacct/mine");
    EXPECT_EQ(facts.v1.at("memory"), "/sys/fs/cgroup/memory");
    EXPECT_FALSE(facts.v1.contains("pids")) << "not mounted";
    EXPECT_EQ(facts.v1_writable, Strings{"/sys/fs/cgroup/cpu,cpuacct/mine"});
  });
  write_proc(root, mounts + "41 1 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
             cgroups + "0::/\n");
  look_as_user(root, {"cpu"}, [&](const CgroupFacts& facts) {
    EXPECT_EQ(facts.layout, CgroupLayout::hybrid);
    EXPECT_EQ(facts.v2_mount, "/sys/fs/cgroup/unified");
    EXPECT_EQ(facts.v2_parent, "");
  });
}

TEST(CgroupFacts, AV1HierarchyOfANameAloneIsNoHybrid) {
  const TempDir root;
  write_cgroup(root, kTop, {"memory\n", "memory\n", "1\n", ""}, true);
  ASSERT_FALSE(root.make_dir("sys/fs/elogind").empty());
  write_proc(
      root,
      std::string(kV2Mount) + "40 1 0:37 / /sys/fs/elogind rw - cgroup cgroup rw,name=elogind\n",
      "1:name=elogind:/\n0::/\n");
  const CgroupFacts facts = look_up({"memory"}, kSelf, root.path());
  EXPECT_EQ(facts.layout, CgroupLayout::v2);
  EXPECT_TRUE(facts.v2_parent_is_root);
  EXPECT_FALSE(facts.v2_parent_has_others);
}

TEST(CgroupPaths, CommonDirectory) {
  EXPECT_EQ(common_directory(Strings{}), "");
  EXPECT_EQ(common_directory(Strings{"/sys/fs/cgroup"}), "/sys/fs/cgroup");
  EXPECT_EQ(common_directory(Strings{"/s/cpu", "/s/cpuacct", "/s/pids"}), "/s");
  EXPECT_EQ(common_directory(Strings{"/s/cpuacct", "/s/cpu"}), "/s");
  EXPECT_EQ(common_directory(Strings{"/s/cpu/a/b", "/s/cpu", "/s/cpu/a"}), "/s/cpu");
  EXPECT_EQ(common_directory(Strings{"/s", "/t", "/s"}), "");
  EXPECT_EQ(common_directory(Strings{"s", "/t"}), "");
  EXPECT_EQ(rest_below("/s", "/s/cpu/a"), "cpu/a");
  for (const char* other : {"/s", "/s/", "/scpu/a", "/t/s", "s/a", ""})
    EXPECT_EQ(rest_below("/s", other), "") << other;
  EXPECT_EQ(rest_below("", "/s"), "");
}

TEST(CgroupPaths, AreFoundFromTheDirectoryOrAsTheyAre) {
  const TempDir root;
  root.write("s/cpu/a", "");
  const Paths paths(root / "s");
  const std::string below = root / "s/cpu/a";
  const auto found = paths.find(below);
  EXPECT_STREQ(found.path, "cpu/a");
  EXPECT_EQ(faccessat(found.directory, found.path, F_OK, 0), 0);
  const Paths none(root / "none");
  for (const Paths* each : {&paths, &none}) {
    const std::string elsewhere = root / "none/x";
    EXPECT_EQ(each->find(elsewhere).directory, AT_FDCWD);
    EXPECT_EQ(each->find(elsewhere).path, elsewhere);
  }
}

TEST(ControllersFor, LimitsAndUnifiedFiles) {
  Resources resources;
  EXPECT_EQ(probe::controllers_for(resources), Strings{});
  resources.memory_limit_bytes = Asked<int64_t>{1 << 20};
  resources.cpu_quota_us = Asked<int64_t>{1000};
  resources.unified = {{.file = "io.max", .value = ""},
                       {.file = "memory.high", .value = ""},
                       {.file = "cgroup.freeze", .value = "1"}};
  EXPECT_EQ(probe::controllers_for(resources), (Strings{"memory", "cpu", "io"}));
}

}  // namespace
}  // namespace isle::cgroup
