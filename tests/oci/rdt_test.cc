// linux.intelRdt in a made-up resctrl tree; few machines have a real one.
#include "oci_cli/rdt.h"

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;
using oci_cli::make_rdt;
using oci_cli::plan_rdt;
using oci_cli::remove_rdt;

class OciRdt : public testing::Test {
 protected:
  static oci::Rdt read(const Json& rdt) {
    Json config = Json::parse(oci::default_config(false, true, 0, 0));
    config["linux"]["intelRdt"] = rdt;
    const auto container = oci::read_config(config.dump(), {.bundle = "/b", .id = "c"});
    if (!container) {
      ADD_FAILURE() << container.error().message();
      return {};
    }
    return *container->rdt;
  }
  /// As the kernel makes a group.
  std::string add_group(const std::string& name, const std::string& schemata) {
    (void)tree_.make_dir(name + "/mon_groups");
    tree_.write(name + "/tasks", "");
    tree_.write(name + "/schemata", schemata);
    return tree_ / name;
  }
  TempDir tree_;
};

TEST_F(OciRdt, SchemataAreCombined) {
  const auto rdt = read({{"l3CacheSchema", "L3:0=ff\nMB:0=10"},
                         {"memBwSchema", "MB:0=20"},
                         {"schemata", {"L2:0=f"}}});
  EXPECT_EQ(rdt.schemata, (std::vector<std::string>{"L3:0=ff", "MB:0=20", "L2:0=f"}));
  EXPECT_EQ(rdt.name, "c");
  EXPECT_FALSE(rdt.monitored);
  for (const char* key : {"enableMonitoring", "enableCMT", "enableMBM"})
    EXPECT_TRUE(read({{key, true}}).monitored) << key;
}

TEST_F(OciRdt, AGroupOfItsOwnIsMadeAndRemoved) {
  const auto rdt = read({{"l3CacheSchema", "L3:0=ff"}});
  const auto groups = plan_rdt(rdt, "c", tree_.path());
  ASSERT_TRUE(groups);
  EXPECT_EQ(groups->joined, std::vector<std::string>{tree_ / "c"});
  EXPECT_EQ(groups->made, groups->joined);
  EXPECT_FALSE(fs::exists(tree_ / "c"));
  const auto made = make_rdt(*groups, rdt, tree_.path());
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(read_file(tree_ / "c/schemata"), "L3:0=ff\n");
  tree_.write("c/tasks", "1\n");
  fs::remove(tree_ / "c/schemata");  // the kernel's own files do not keep a group
  remove_rdt(groups->made);
  EXPECT_TRUE(fs::exists(tree_ / "c")) << "somebody else is in it";
  fs::remove(tree_ / "c/tasks");
  remove_rdt(groups->made);
  EXPECT_FALSE(fs::exists(tree_ / "c"));
}

TEST_F(OciRdt, AClassThatIsThereIsNotChanged) {
  const std::string group = add_group("gold", "    MB:0= 20;1=100\n    L3:0=00ff;1=fffff\n");
  for (const Json& same :
       {Json{{"closID", "gold"}}, Json{{"closID", "gold"}, {"l3CacheSchema", "L3:0=ff"}},
        Json{{"closID", "gold"}, {"memBwSchema", "MB:1=100;0=20"}}}) {
    const auto rdt = read(same);
    const auto groups = plan_rdt(rdt, "c", tree_.path());
    ASSERT_TRUE(groups) << groups.error().message();
    EXPECT_EQ(groups->joined, std::vector<std::string>{group});
    EXPECT_TRUE(groups->made.empty());
    EXPECT_TRUE(make_rdt(*groups, rdt, tree_.path()));
  }
  EXPECT_EQ(read_file(group + "/schemata"), "    MB:0= 20;1=100\n    L3:0=00ff;1=fffff\n");
  for (const char* other : {"L3:0=f", "L3:2=ff", "L2:0=ff", "MB:0=21"}) {
    const auto groups =
        plan_rdt(read({{"closID", "gold"}, {"schemata", {other}}}), "c", tree_.path());
    ASSERT_FALSE(groups) << other;
    EXPECT_NE(groups.error().what.find("is there, and is another"), std::string::npos);
  }
}

TEST_F(OciRdt, AClassWithoutSchemataHasToBeThere) {
  const auto groups = plan_rdt(read({{"closID", "none"}}), "c", tree_.path());
  ASSERT_FALSE(groups);
  EXPECT_EQ(groups.error().code, ENOENT);
  EXPECT_TRUE(plan_rdt(read({{"closID", "none"}, {"schemata", {"L3:0=1"}}}), "c", tree_.path()));
}

TEST_F(OciRdt, MonitoringIsAGroupBelow) {
  const std::string group = add_group("gold", "L3:0=ff\n");
  const auto rdt = read({{"closID", "gold"}, {"enableMonitoring", true}});
  const auto groups = plan_rdt(rdt, "c", tree_.path());
  ASSERT_TRUE(groups);
  EXPECT_EQ(groups->joined, (std::vector<std::string>{group, group + "/mon_groups/c"}));
  EXPECT_EQ(groups->made, std::vector<std::string>{group + "/mon_groups/c"});
  ASSERT_TRUE(make_rdt(*groups, rdt, tree_.path()));
  EXPECT_TRUE(fs::exists(group + "/mon_groups/c"));
  remove_rdt(groups->made);
  EXPECT_FALSE(fs::exists(group + "/mon_groups/c"));
  const auto root = plan_rdt(read({{"closID", "/"}, {"enableCMT", true}}), "c", tree_.path());
  ASSERT_TRUE(root);
  EXPECT_EQ(root->joined, (std::vector<std::string>{tree_.path(), tree_ / "mon_groups/c"}));
}

TEST_F(OciRdt, WhatTheKernelSaysIsTold) {
  const auto rdt = read({{"schemata", {"L3:0=0"}}});
  (void)tree_.make_dir("c/schemata");  // nothing can be written there
  tree_.write("info/last_cmd_status", "mask out of range\n");
  const auto made = make_rdt({.joined = {tree_ / "c"}, .made = {tree_ / "c"}}, rdt, tree_.path());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().hint, "mask out of range");
  EXPECT_NE(made.error().what.find("write \"L3:0=0\""), std::string::npos);
}

TEST_F(OciRdt, WithoutResctrlItIsRefused) {
  ISLE_REQUIRE("root", "program:busybox");
  if (oci_cli::resctrl_mount()) GTEST_SKIP() << "needs a machine without resctrl";
  Bundle bundle;
  bundle.config["linux"]["intelRdt"] = {{"closID", "gold"}};
  bundle.set_command({"true"});
  const auto refused = bundle.oci({"run", "c"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("none is mounted"), std::string::npos) << refused;
  EXPECT_NE(refused.err.find("asked by: config.json /linux/intelRdt"), std::string::npos)
      << refused;
  EXPECT_EQ(bundle.status("c"), "");
}

}  // namespace
}  // namespace isle::test
