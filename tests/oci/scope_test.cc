// The systemd cgroup driver: what it would ask of systemd, without any; and, where systemd is pid 1
// on cgroup v2 (the guests of tools/vmtest), that what it asks comes to be.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "isle/cgroup.h"
#include "oci/bundle.h"
#include "oci/config.h"

namespace isle::test {
namespace {

using oci::Json;

Json minimal() {
  return {{"ociVersion", "1.2.0"},
          {"root", {{"path", "rootfs"}}},
          {"process", {{"args", Json::array({"true"})}, {"cwd", "/"}}},
          {"linux", {{"namespaces", Json::array({{{"type", "mount"}}})}}}};
}

Result<oci::Container> read(const Json& config) {
  return oci::read_config(config.dump(), {.bundle = "/b", .id = "c", .systemd_cgroup = true});
}

TEST(OciScope, CgroupsPathNamesSliceAndUnit) {
  const struct {
    const char* path;
    const char* slice;
    const char* unit;
  } rows[] = {{"system.slice:docker:id", "system.slice", "docker-id.scope"},
              {"a-b.slice:cri-containerd:id", "a-b.slice", "cri-containerd-id.scope"},
              {":runc:id", "", "runc-id.scope"},
              {"user.slice::libpod-1", "user.slice", "libpod-1.scope"},
              {"", "", "isle-oci-c.scope"}};
  for (const auto& row : rows) {
    Json config = minimal();
    config["linux"]["cgroupsPath"] = row.path;
    const auto container = read(config);
    ASSERT_TRUE(container) << container.error().message();
    ASSERT_TRUE(container->scope);
    EXPECT_EQ(container->scope->slice, row.slice);
    EXPECT_EQ(container->scope->unit, row.unit);
    EXPECT_EQ(container->cgroup_path, "");
  }
  for (const char* wrong : {"/a/b", "a.slice", "a.slice:b", "a:b:c:d", "a:b:", "a/../b:c:d"}) {
    Json config = minimal();
    config["linux"]["cgroupsPath"] = wrong;
    const auto container = read(config);
    ASSERT_FALSE(container) << wrong;
    EXPECT_NE(container.error().message().find("expected \"SLICE:PREFIX:NAME\""), std::string::npos)
        << container.error().message();
  }
}

std::string text_of(const std::vector<systemd::Property>& properties) {
  std::string text;
  for (const auto& [name, value] : properties) text += name + "=" + systemd::to_text(value) + "\n";
  return text;
}

TEST(OciScope, AnnotationsAreProperties) {
  Json config = minimal();
  config["annotations"] = {{"org.systemd.property.TimeoutStopUSec", "uint64 5"},
                           {"org.systemd.property.RuntimeMaxSec", "2"},
                           {"org.systemd.property.JobTimeoutSec", "0.5"},
                           {"org.systemd.property.CollectMode", "'inactive-or-failed'"},
                           {"org.systemd.property.Before", "['a.service', 'b.service']"},
                           {"org.systemd.property.SendSIGHUP", "true"},
                           {"run.oci.systemd.subgroup", "inner"},
                           {"other", "x"}};
  const auto container = read(config);
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(text_of(container->scope->properties),
            "Before=['a.service', 'b.service']\nCollectMode='inactive-or-failed'\n"
            "JobTimeoutUSec=uint64 500000\nRuntimeMaxUSec=uint64 2000000\nSendSIGHUP=true\n"
            "TimeoutStopUSec=uint64 5\n");
  EXPECT_EQ(container->scope->subgroup, "inner");
  const struct {
    const char* name;
    const char* value;
  } wrong[] = {{"org.systemd.property.Before", "word"},
               {"org.systemd.property.X", "true"},
               {"org.systemd.property.A-B", "true"},
               {"org.systemd.property.TimeoutStopSec", "'soon'"},
               {"org.systemd.property.TimeoutStopSec", "-1"},
               {"run.oci.systemd.subgroup", "../x"}};
  for (const auto& row : wrong) {
    Json one = minimal();
    one["annotations"] = {{row.name, row.value}};
    const auto refused = read(one);
    ASSERT_FALSE(refused) << row.name << " " << row.value;
    EXPECT_NE(refused.error().message().find("config.json /annotations/" + std::string(row.name)),
              std::string::npos)
        << refused.error().message();
  }
}

std::string limits(const char* resources, const CgroupFacts& facts) {
  auto update = oci::read_update(resources);
  if (!update) return "! " + update.error().message();
  update->spec.resources.path = {.value = "/c"};
  const auto writes = limit_writes(update->spec.resources, facts, update->spec.origins);
  if (!writes) return "! " + writes.error().message();
  return text_of(oci::limit_properties(*writes, facts));
}

TEST(OciScope, LimitsAreProperties) {
  const CgroupFacts v2{.layout = CgroupLayout::v2, .v2_mount = "/u"};
  CgroupFacts v1{.layout = CgroupLayout::v1};
  for (const char* name : {"memory", "cpu", "pids", "cpuset", "blkio"})
    v1.v1_hierarchies.push_back({std::string("/") + name, "/", {name}});
  const struct {
    const char* resources;
    const char* v1;
    const char* v2;
  } rows[] = {
      {R"({"memory":{"limit":100,"swap":150,"reservation":50}})", "MemoryLimit=uint64 100\n",
       "MemoryMax=uint64 100\nMemorySwapMax=uint64 50\nMemoryLow=uint64 50\n"},
      {R"({"memory":{"limit":-1}})", "MemoryLimit=uint64 18446744073709551615\n",
       "MemorySwapMax=uint64 18446744073709551615\nMemoryMax=uint64 18446744073709551615\n"},
      {R"({"cpu":{"shares":1024,"quota":50001,"period":100000}})",
       "CPUShares=uint64 1024\nCPUQuotaPerSecUSec=uint64 510000\nCPUQuotaPeriodUSec=uint64 "
       "100000\n",
       "CPUWeight=uint64 39\nCPUQuotaPerSecUSec=uint64 510000\nCPUQuotaPeriodUSec=uint64 "
       "100000\n"},
      {R"({"cpu":{"quota":-1}})", "CPUQuotaPerSecUSec=uint64 18446744073709551615\n",
       "CPUQuotaPerSecUSec=uint64 18446744073709551615\nCPUQuotaPeriodUSec=uint64 100000\n"},
      {R"({"cpu":{"cpus":"0-2,9","mems":"0"}})", "",
       "AllowedCPUs=[byte 0x07, byte 0x02]\nAllowedMemoryNodes=[byte 0x01]\n"},
      {R"({"pids":{"limit":7}})", "TasksMax=uint64 7\n", "TasksMax=uint64 7\n"},
      {R"({"pids":{"limit":-1}})", "TasksMax=uint64 18446744073709551615\n",
       "TasksMax=uint64 18446744073709551615\n"},
      {R"({"blockIO":{"weight":500}})", "BlockIOWeight=uint64 500\n", "IOWeight=uint64 4950\n"}};
  for (const auto& row : rows) {
    EXPECT_EQ(limits(row.resources, v1), row.v1) << row.resources;
    EXPECT_EQ(limits(row.resources, v2), row.v2) << row.resources;
  }
  EXPECT_EQ(limits(R"({"unified":{"memory.high":"5","memory.min":"max","hugetlb.2MB.max":"0",
                       "cpu.max":"max 50000"}})",
                   v2),
            "MemoryHigh=uint64 5\nMemoryMin=uint64 18446744073709551615\n"
            "CPUQuotaPerSecUSec=uint64 18446744073709551615\nCPUQuotaPeriodUSec=uint64 50000\n");
}

TEST(OciScope, DevicesAreAtLeastWhatIsAllowed) {
  using Rules = std::vector<DeviceRule>;
  const DeviceRule none{.allow = false};
  const DeviceRule all{.allow = true};
  EXPECT_EQ(text_of(oci::device_properties(Rules{})), "");
  EXPECT_EQ(text_of(oci::device_properties(Rules{none})),
            "DevicePolicy='strict'\nDeviceAllow=@a(ss) []\n");
  EXPECT_EQ(text_of(oci::device_properties(
                Rules{none,
                      {.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "r"},
                      {.allow = true, .type = 'b', .major = 8, .access = "rw"},
                      {.allow = true, .type = 'a', .major = 10, .minor = 200},
                      {.allow = true, .type = 'c', .minor = 1, .access = "m"}})),
            "DevicePolicy='strict'\nDeviceAllow=[('/dev/char/1:3', 'r'), ('block-8', 'rw'), "
            "('/dev/block/10:200', 'rwm'), ('/dev/char/10:200', 'rwm'), ('char-*', 'm')]\n");
  EXPECT_EQ(text_of(oci::device_properties(
                Rules{none, all, {.allow = false, .type = 'c', .major = 1, .minor = 1}})),
            "DevicePolicy='auto'\nDeviceAllow=@a(ss) []\n");
}

TEST(OciScope, NoBusIsOneSentence) {
  ISLE_REQUIRE("root", "program:busybox");
  Bundle bundle;
  bundle.config["linux"].erase("cgroupsPath");
  bundle.set_command({"true"});
  const auto result =
      bundle.oci({"--systemd-cgroup", "run", "c"},
                 {.set_env = {{"DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus"}}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err.substr(0, result.err.find("  hint: ")),
            "isle-oci: reach the machine's systemd: connect to the bus at "
            "\"unix:path=/nonexistent/bus\": No such file or directory (ENOENT)\n");
  EXPECT_NE(result.err.find("--cgroup-manager cgroupfs"), std::string::npos);
  EXPECT_EQ(bundle.status("c"), "");
}

/// Root of a user namespace is an ordinary user outside.
TEST(OciScope, UsersHaveNoneOnV1) {
  ISLE_REQUIRE("root", "program:busybox", "cgroup_v1", "program:unshare");
  Bundle bundle;
  bundle.config["linux"]["cgroupsPath"] = "user.slice:isle:c";
  bundle.set_command({"true"});
  const auto result =
      run_command({"unshare", "--user", "--map-root-user", Bundle::runtime(), "--root",
                   bundle.dir() / "state", "--systemd-cgroup", "run", "c"},
                  {.working_dir = bundle.dir() / "bundle"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("this machine has cgroup v1"), std::string::npos) << result;
}

/// Of systemd, what `systemctl show` says of a property.
class OciSystemd : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() == 0)
      ISLE_REQUIRE("root", "systemd", "cgroup_v2", "program:busybox");
    else
      ISLE_REQUIRE("systemd_user", "cgroup_v2", "program:busybox");
    bundle_.emplace();
    bundle_->config["linux"]["cgroupsPath"] = "isle-test.slice:isle:" + name_;
    bundle_->config["linux"]["resources"]["pids"]["limit"] = 30;
    bundle_->set_command({"sleep", "1000"});
  }

  void TearDown() override {
    if (!bundle_) return;
    bundle_.reset();
    auto stop = systemctl();
    stop.insert(stop.end(), {"stop", "isle.slice"});
    EXPECT_TRUE(run_command(std::move(stop)).ok());
  }

  [[nodiscard]] CommandResult systemd_create() const {
    return run_command(
        {"/bin/sh", "-c", "exec \"$@\" </dev/null >/dev/null", "sh", Bundle::runtime(), "--root",
         bundle_->dir() / "state", "--systemd-cgroup", "create", "c"},
        {.working_dir = bundle_->dir() / "bundle"});
  }
  [[nodiscard]] std::string unit() const { return "isle-" + name_ + ".scope"; }
  [[nodiscard]] static std::vector<std::string> systemctl() {
    if (::geteuid() == 0) return {"systemctl"};
    return {"systemctl", "--user"};
  }
  [[nodiscard]] std::string shown(const std::string& property) const {
    auto argv = systemctl();
    argv.insert(argv.end(), {"show", "--value", "-p", property, unit()});
    std::string text = run_command(std::move(argv)).out;
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  [[nodiscard]] std::string cgroup() const { return "/sys/fs/cgroup" + shown("ControlGroup"); }

  std::string name_ = "t" + std::to_string(::getpid());
  std::optional<Bundle> bundle_;
};

TEST_F(OciSystemd, ALifeInAScope) {
  auto& resources = bundle_->config["linux"]["resources"];
  resources["memory"] = {{"limit", 67108864}, {"swap", 100663296}};
  resources["cpu"] = {{"shares", 512}, {"quota", 50000}, {"period", 100000}};
  bundle_->config["annotations"]["org.systemd.property.TimeoutStopUSec"] = "uint64 7000000";
  bundle_->save();
  const auto created = systemd_create();
  ASSERT_TRUE(created.ok()) << created;
  EXPECT_EQ(bundle_->status("c"), "created");
  EXPECT_EQ(shown("Slice"), "isle-test.slice");
  EXPECT_EQ(shown("Delegate"), "yes");
  EXPECT_EQ(shown("DefaultDependencies"), "no");
  EXPECT_EQ(shown("MemoryMax"), "67108864");
  EXPECT_EQ(shown("MemorySwapMax"), "33554432");
  EXPECT_EQ(shown("CPUWeight"), "20");
  EXPECT_EQ(shown("CPUQuotaPerSecUSec"), "500ms");
  EXPECT_EQ(shown("TasksMax"), "30");
  EXPECT_EQ(shown("TimeoutStopUSec"), "7s");
  const std::string directory = cgroup();
  EXPECT_TRUE(directory.ends_with("/isle.slice/isle-test.slice/" + unit())) << directory;
  const auto state = Json::parse(bundle_->oci({"state", "c"}).out);
  EXPECT_EQ(read_file(directory + "/cgroup.procs"), std::to_string(state["pid"].get<int>()) + "\n");
  EXPECT_EQ(read_file(directory + "/memory.max"), "67108864\n");
  EXPECT_EQ(read_file(directory + "/cpu.max"), "50000 100000\n");
  EXPECT_EQ(read_file(directory + "/pids.max"), "30\n");

  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_EQ(bundle_->oci({"exec", "c", "cat", "/proc/self/cgroup"}).out, "0::/\n");
  const auto updated = bundle_->oci({"update", "--pids-limit", "44", "--memory", "80m", "c"});
  ASSERT_TRUE(updated.ok()) << updated;
  EXPECT_EQ(shown("TasksMax"), "44");
  EXPECT_EQ(shown("MemoryMax"), "83886080");
  EXPECT_EQ(read_file(directory + "/pids.max"), "44\n");
  ASSERT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "paused");
  ASSERT_TRUE(bundle_->oci({"resume", "c"}).ok());
  // systemd looks at all units anew, and finds what it was told.
  auto reload = systemctl();
  reload.emplace_back("daemon-reload");
  ASSERT_TRUE(run_command(std::move(reload)).ok());
  EXPECT_EQ(read_file(directory + "/pids.max"), "44\n");
  EXPECT_EQ(read_file(directory + "/memory.max"), "83886080\n");

  const auto removed = bundle_->oci({"delete", "--force", "c"});
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_EQ(shown("LoadState"), "not-found");
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(OciSystemd, RunLeavesNothing) {
  bundle_->config["linux"]["resources"]["pids"]["limit"] = 1;  // no room for anybody else
  bundle_->config["process"]["args"] = {"cat", "/proc/self/cgroup"};
  bundle_->save();
  const auto result = bundle_->oci({"--systemd-cgroup", "run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "0::/\n");
  EXPECT_EQ(shown("LoadState"), "not-found");
}

TEST_F(OciSystemd, ASubgroupIsTheContainers) {
  bundle_->config["annotations"]["run.oci.systemd.subgroup"] = "inner";
  bundle_->save();
  const auto created = systemd_create();
  ASSERT_TRUE(created.ok()) << created;
  const auto state = Json::parse(bundle_->oci({"state", "c"}).out);
  EXPECT_EQ(read_file(cgroup() + "/inner/cgroup.procs"),
            std::to_string(state["pid"].get<int>()) + "\n");
  EXPECT_EQ(read_file(cgroup() + "/inner/pids.max"), "30\n");
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_EQ(shown("LoadState"), "not-found");
}

TEST_F(OciSystemd, AUnitThatRunsIsNotTaken) {
  auto argv = std::vector<std::string>{"systemd-run", "--quiet", "--scope", "--unit=" + unit()};
  if (::geteuid() != 0) argv.insert(argv.begin() + 1, "--user");
  argv.insert(argv.end(), {"sleep", "1000"});
  Command other(std::move(argv));
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
  while (shown("ActiveState") != "active" && std::chrono::steady_clock::now() < deadline)
    ::usleep(50'000);
  const auto refused = systemd_create();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("UnitExists"), std::string::npos) << refused;
  EXPECT_NE(refused.err.find("hint: systemctl"), std::string::npos) << refused;
  EXPECT_EQ(shown("ActiveState"), "active");
  auto stop = systemctl();
  stop.insert(stop.end(), {"stop", unit()});
  EXPECT_TRUE(run_command(std::move(stop)).ok());
  (void)other.wait();
}

TEST_F(OciSystemd, AStartThatFailsLeavesNoUnit) {
  bundle_->set_command({"/nosuch"});
  const auto failed = bundle_->oci({"--systemd-cgroup", "run", "c"});
  EXPECT_FALSE(failed.ok()) << failed;
  EXPECT_EQ(shown("LoadState"), "not-found");
  bundle_->config["annotations"]["org.systemd.property.NoSuch"] = "true";
  bundle_->save();
  const auto refused = bundle_->oci({"--systemd-cgroup", "run", "c"});
  EXPECT_NE(refused.err.find("NoSuch"), std::string::npos) << refused;
  EXPECT_EQ(shown("LoadState"), "not-found");
}

}  // namespace
}  // namespace isle::test
