// compile(): cgroups, by name and by path, of v1 and v2.
#include <gtest/gtest.h>

#include <cerrno>

#include "plan_compile_support.h"

namespace isle::compile_test {
namespace {

TEST(CompileCgroup, V2StepsAsideBeforeThereIsAGuard) {
  Spec spec = sandbox();
  spec.resources.cgroup_name = "n";
  spec.resources.pids_limit = {7, 0};
  Host host = root();
  host.pid = 42;
  host.cgroup = {.layout = CgroupLayout::v2,
                 .v2_mount = "/",
                 .v2_own = "/c",
                 .v2_parent = "/c",
                 .v2_available = {"pids"}};
  EXPECT_TRUE(in_order(
      steps(spec, host),
      {"mkdir \"/c/isle\"", "\"/c/isle/cgroup.procs\" \"0\"", "\"/c/isle/cgroup.procs\" \"42\"",
       "\"/c/cgroup.subtree_control\" \"+pids\"", "guard", "mkdir \"/c/n\"", "remove_cgroup",
       "\"/c/n/pids.max\" \"7\"", "open \"/c/n\"", "clone3"}));
  host.cgroup.v2_enabled = {"pids"};
  const std::string enabled = steps(spec, host);
  EXPECT_FALSE(has(enabled, "/c/isle"));
  EXPECT_FALSE(has(enabled, "subtree_control"));
}

TEST(CompileCgroup, V2CountsSwapAlone) {
  Spec spec = sandbox();
  spec.resources.cgroup_name = "n";
  spec.resources.memory_limit_bytes = {100, 0};
  spec.resources.memory_swap_bytes = {150, 0};
  spec.resources.cpu_shares = {1'000'000, 0};
  Host host = root();
  host.cgroup = {.layout = CgroupLayout::v2, .v2_parent = "/c", .v2_enabled = {"memory", "cpu"}};
  const std::string text = steps(spec, host);
  EXPECT_TRUE(has(text, "\"/c/n/memory.swap.max\" \"50\""));
  EXPECT_TRUE(has(text, "\"/c/n/cpu.weight\" \"10000\""));
  host.cgroup = {.layout = CgroupLayout::v1,
                 .v1 = {{"memory", "/m"}, {"cpu", "/c"}},
                 .v1_writable = {"/m", "/c"}};
  EXPECT_TRUE(in_order(steps(spec, host),
                       {"memory.limit_in_bytes\" \"100\"", "memory.memsw.limit_in_bytes\" \"150\"",
                        "clone3", "\"/m/n/tasks\" \"0\""}));
}

TEST(CompileCgroup, WhoRemovesItTakesThePlaceOfTheGuard) {
  Spec spec = sandbox();
  spec.resources.path = Asked<std::string>{"/a"};
  Host host = root();
  host.cgroup = {.layout = CgroupLayout::v2, .v2_mount = "/c"};
  host.files["/c/a"] = {.kind = FileKind::missing, .error = ENOENT};
  EXPECT_TRUE(in_order(steps(spec, host), {"guard", "remove_cgroup \"/c/a\"", "mkdir \"a\""}));
  spec.resources.keep_cgroup = true;
  const std::string kept = steps(spec, host);
  EXPECT_TRUE(in_order(kept, {"remove_cgroup \"/c/a\"", "mkdir \"a\""}));
  EXPECT_FALSE(has(kept, "guard"));
}

// Not where others could look at who has the directory; and what init binds is of its own mounts.
TEST(CompileCgroup, HierarchiesAreWalkedToOnce) {
  Spec spec = spec_with({NamespaceType::mount, NamespaceType::pid, NamespaceType::cgroup});
  spec.root = Root{};
  spec.mounts.push_back(operation(FileSystem{.type = "cgroup"}));
  spec.resources.path = Asked<std::string>{"/a"};
  spec.resources.pids_limit = Asked<int64_t>{7};
  Host host = root();
  host.cgroup = {
      .layout = CgroupLayout::v1,
      .v1 = {{"cpu", "/c/cpu"}, {"pids", "/c/pids"}},
      .v1_hierarchies = {{"/c/cpu", "/c/cpu", {"cpu"}}, {"/c/pids", "/c/pids", {"pids"}}}};
  for (const char* mount : {"/c/cpu", "/c/pids"})
    host.files[std::string(mount) + "/a"] = {.kind = FileKind::missing, .error = ENOENT};
  EXPECT_TRUE(in_order(
      steps(spec, host),
      {"runtime open \"/c\"", "runtime mkdir \"cpu/a\" 0755 below %",
       "mkdir \"pids/a\" 0755 below %", "runtime write_file \"pids/a/pids.max\" \"7\" below %",
       "clone3", "init write_file \"cpu/a/tasks\" \"0\" below %", "init open \"/c\"",
       "init open_tree %"}));
  spec.namespaces.erase(spec.namespaces.begin() + 1);
  spec.namespaces.push_back({.type = NamespaceType::pid, .fd = 9});
  const std::string joined = steps(spec, host);
  EXPECT_TRUE(in_order(
      joined, {"mkdir \"/c/cpu/a\" 0755", "\"/c/cpu/a/tasks\" \"0\"", "open_tree - \"/c/cpu/a\""}));
  EXPECT_FALSE(has(joined, "open \"/c\""));
}

// The one to be born into is read-only where others could look at who is.
TEST(CompileCgroup, IsGivenByAWayThatIsNotReadOnly) {
  Spec spec = spec_with({NamespaceType::mount, NamespaceType::cgroup});
  spec.namespaces.push_back({.type = NamespaceType::pid, .fd = 9});
  spec.root = Root{};
  spec.mounts.push_back(operation(FileSystem{.type = "cgroup"}));
  spec.resources.path = Asked<std::string>{"/a"};
  spec.process.user.uid = Asked<uint32_t>{7};
  Host host = root();
  host.cgroup = {.layout = CgroupLayout::v2, .v2_mount = "/c"};
  EXPECT_TRUE(in_order(steps(spec, host), {"open_tree", "MOUNT_ATTR_RDONLY", "open \"/c/a\"",
                                           "chown", "open \"/c/a/cgroup.procs\"", "chown"}));
}

TEST(CompileCgroup, ToJoinOneOfV2IsToCloneIntoIt) {
  Spec spec = sandbox();
  spec.resources.join = {{"/one/c", 0}, {"/two/c", 0}};
  spec.namespaces = {{.type = NamespaceType::pid, .fd = 9},
                     {.type = NamespaceType::cgroup, .fd = 9}};
  Host host = root();
  host.files["/one/c/tasks"] = {.kind = FileKind::file};
  host.files["/two/c/tasks"] = {.kind = FileKind::missing, .error = ENOENT};
  const std::string text = steps(spec, host);
  EXPECT_TRUE(in_order(text, {"open \"/two/c\"", "runtime write_file \"/one/c/tasks\" \"0\"",
                              "NEWPID", "clone3", "NEWCGROUP"}));
  EXPECT_FALSE(has(text, "cgroup.procs"));
}

}  // namespace
}  // namespace isle::compile_test
