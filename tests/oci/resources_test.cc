// "linux.resources": what is written for it on each layout of cgroups, and that the kernel has it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "cgroup/device_filter.h"
#include "isle/cgroup.h"
#include "oci/bundle.h"
#include "oci/config.h"
#include "sys/settings_calls.h"

namespace isle::test {
namespace {

CgroupFacts v1() {
  CgroupFacts facts{.layout = CgroupLayout::v1};
  for (const char* name :
       {"memory", "cpu", "pids", "blkio", "devices", "cpuset", "net_cls", "rdma"})
    facts.v1_hierarchies.push_back({std::string("/") + name, "/", {name}});
  return facts;
}

CgroupFacts v2() {
  return {.layout = CgroupLayout::v2, .v2_mount = "/u", .v2_controllers = {"memory", "cpu"}};
}

/// "file=value" of each write, one a line; the complaint where there is one.
std::string writes(const char* resources, const CgroupFacts& facts) {
  auto update = oci::read_update(resources);
  if (!update) return "! " + update.error().message();
  update->spec.resources.path = {.value = "/c"};
  const auto list = limit_writes(update->spec.resources, facts, update->spec.origins);
  if (!list) return "! " + list.error().message();
  std::string text;
  for (const CgroupWrite& write : *list) text += write.path + "=" + write.value + "\n";
  return text;
}

TEST(OciResources, AreAnotherFileOnEachVersion) {
  const struct {
    const char* resources;
    const char* v1;
    const char* v2;
  } rows[] = {
      {R"({"memory":{"limit":100,"swap":150,"reservation":50}})",
       "/memory/c/memory.limit_in_bytes=100\n/memory/c/memory.memsw.limit_in_bytes=150\n"
       "/memory/c/memory.soft_limit_in_bytes=50\n",
       "/u/c/memory.max=100\n/u/c/memory.swap.max=50\n/u/c/memory.low=50\n"},
      {R"({"memory":{"limit":-1}})",
       "/memory/c/memory.memsw.limit_in_bytes=-1\n/memory/c/memory.limit_in_bytes=-1\n",
       "/u/c/memory.swap.max=max\n/u/c/memory.max=max\n"},
      {R"({"memory":{"limit":0,"swap":0,"swappiness":18446744073709551615}})", "", ""},
      {R"({"cpu":{"shares":1024,"quota":50000,"period":100000,"burst":7,"idle":1}})",
       "/cpu/c/cpu.cfs_period_us=100000\n/cpu/c/cpu.cfs_quota_us=50000\n/cpu/c/cpu.shares=1024\n"
       "/cpu/c/cpu.cfs_burst_us=7\n/cpu/c/cpu.idle=1\n",
       "/u/c/cpu.max=50000 100000\n/u/c/cpu.weight=39\n/u/c/cpu.max.burst=7\n/u/c/cpu.idle=1\n"},
      {R"({"cpu":{"shares":2}})", "/cpu/c/cpu.shares=2\n", "/u/c/cpu.weight=1\n"},
      {R"({"cpu":{"shares":262144,"cpus":"0-1","mems":"0"}})",
       "/cpu/c/cpu.shares=262144\n/cpuset/c/cpuset.cpus=0-1\n/cpuset/c/cpuset.mems=0\n",
       "/u/c/cpu.weight=10000\n/u/c/cpuset.cpus=0-1\n/u/c/cpuset.mems=0\n"},
      {R"({"pids":{"limit":0}})", "/pids/c/pids.max=1\n", "/u/c/pids.max=1\n"},
      {R"({"pids":{"limit":-1}})", "/pids/c/pids.max=max\n", "/u/c/pids.max=max\n"},
      {R"({"pids":{}})", "", ""},
      {R"({"blockIO":{"weight":10,"weightDevice":[{"major":8,"minor":0,"weight":1000}]}})",
       "/blkio/c/blkio.bfq.weight=10\n/blkio/c/blkio.bfq.weight_device=8:0 1000\n",
       "/u/c/io.bfq.weight=10\n/u/c/io.weight=1\n/u/c/io.bfq.weight=8:0 1000\n"
       "/u/c/io.weight=8:0 10000\n"},
      {R"({"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":9}],
           "throttleWriteIOPSDevice":[{"major":8,"minor":1,"rate":3}]}})",
       "/blkio/c/blkio.throttle.read_bps_device=8:1 9\n"
       "/blkio/c/blkio.throttle.write_iops_device=8:1 3\n",
       "/u/c/io.max=8:1 rbps=9\n/u/c/io.max=8:1 wiops=3\n"},
      {R"({"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"x":{"hcaObjects":1}}})",
       "/rdma/c/rdma.max=mlx5_1 hca_handle=3 hca_object=10000\n/rdma/c/rdma.max=x hca_object=1\n",
       "/u/c/rdma.max=mlx5_1 hca_handle=3 hca_object=10000\n/u/c/rdma.max=x hca_object=1\n"},
      {R"({"network":{"classID":1048577}})", "/net_cls/c/net_cls.classid=1048577\n",
       "! set net_cls.classid: cgroup v2 has no such thing"},
      {R"({"memory":{"swappiness":10}})", "/memory/c/memory.swappiness=10\n",
       "! set memory.swappiness: cgroup v2 has no such thing"},
      {R"({"unified":{"memory.high":"100"}})", "! set memory.high: that is a file of cgroup v2",
       "/u/c/memory.high=100\n"},
      {R"({"unified":{"../memory.high":"100"}})", "! resources /unified/..~1memory.high",
       "! resources /unified/..~1memory.high"},
  };
  for (const auto& row : rows) {
    const std::string on_v1 = writes(row.resources, v1());
    const std::string on_v2 = writes(row.resources, v2());
    EXPECT_EQ(row.v1[0] == '!' ? on_v1.substr(0, std::strlen(row.v1)) : on_v1, row.v1)
        << row.resources;
    EXPECT_EQ(row.v2[0] == '!' ? on_v2.substr(0, std::strlen(row.v2)) : on_v2, row.v2)
        << row.resources;
  }
}

TEST(OciResources, HybridTakesEachWhereItIs) {
  CgroupFacts facts = v1();
  facts.layout = CgroupLayout::hybrid;
  facts.v2_mount = "/u";
  EXPECT_EQ(
      writes(R"({"hugepageLimits":[{"pageSize":"2MB","limit":4}],"pids":{"limit":3}})", facts),
      "/pids/c/pids.max=3\n/u/c/hugetlb.2MB.max=4\n/u/c/hugetlb.2MB.rsvd.max=4\n");
}

/// The program attached to a v2 cgroup with no controllers, which hybrid machines have too.
TEST(OciResources, TheKernelTakesTheDeviceFilter) {
  ISLE_REQUIRE("root", "cgroups");
  if (!missing("cgroup_v2").empty()) ISLE_REQUIRE("hybrid");
  const std::string cgroup =
      Bundle::cgroup_file("unified/isle-test-", "isle-test-") + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(cgroup.c_str(), 0755), 0);
  const std::vector<uint64_t> program = cgroup::device_filter(std::vector<DeviceRule>{
      {.allow = false}, {.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "r"}});
  sys::bpf_prog_load load{.prog_type = sys::kBpfProgCgroupDevice,
                          .insn_cnt = static_cast<uint32_t>(program.size()),
                          .insns = program.data(),
                          .license = ""};
  const int loaded = sys::bpf(sys::BpfCommand::prog_load, load);
  ASSERT_GE(loaded, 0) << std::strerror(-loaded);
  const int directory = ::open(cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const sys::bpf_prog_attach attach{.target_fd = static_cast<uint32_t>(directory),
                                    .attach_bpf_fd = static_cast<uint32_t>(loaded),
                                    .attach_type = sys::kBpfCgroupDevice,
                                    .attach_flags = sys::kBpfAllowMulti};
  EXPECT_EQ(sys::bpf(sys::BpfCommand::prog_attach, attach), 0);
  const auto result =
      run_command({"/bin/sh", "-c",
                   "echo $$ >" + cgroup +
                       "/cgroup.procs; : </dev/null && echo read; (: >/dev/null) 2>&1 | "
                       "grep -o 'not permitted'; (: </dev/zero) 2>&1 | grep -o 'not permitted'"});
  EXPECT_EQ(result.out, "read\nnot permitted\nnot permitted\n") << result;
  ::close(loaded);
  ::close(directory);
  EXPECT_EQ(::rmdir(cgroup.c_str()), 0);
}

class OciLimits : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    bundle_->set_command({"sleep", "1000"});
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  }
  [[nodiscard]] std::string inside(const std::string& v1, const std::string& v2) const {
    return bundle_->oci({"exec", "c", "cat", Bundle::cgroup_file(v1, v2)}).out;
  }
  const bool v2_ = missing("cgroup_v2").empty();
  std::optional<Bundle> bundle_;
};

TEST_F(OciLimits, Update) {
  const auto by_flags =
      bundle_->oci({"update", "--memory", "64m", "-memory-swap=128m", "--cpu-quota", "30000",
                    "--cpu-share", "512", "--pids-limit=33", "--cpuset-cpus", "0", "c"});
  ASSERT_TRUE(by_flags.ok()) << by_flags;
  EXPECT_EQ(inside("memory/memory.limit_in_bytes", "memory.max"), "67108864\n");
  EXPECT_EQ(inside("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
            v2_ ? "67108864\n" : "134217728\n");
  EXPECT_EQ(inside("cpu/cpu.cfs_quota_us", "cpu.max"), v2_ ? "30000 100000\n" : "30000\n");
  EXPECT_EQ(inside("cpu/cpu.shares", "cpu.weight"), v2_ ? "20\n" : "512\n");
  EXPECT_EQ(inside("pids/pids.max", "pids.max"), "33\n");
  EXPECT_EQ(inside("cpuset/cpuset.cpus", "cpuset.cpus"), "0\n");
  // Above what memory and swap together may be now: the kernel wants these in another order.
  const std::string file = bundle_->dir().write(
      "r.json", R"({"memory":{"limit":268435456,"swap":536870912},"pids":{"limit":-1}})");
  const auto by_file = bundle_->oci({"update", "--resources", file, "c"});
  ASSERT_TRUE(by_file.ok()) << by_file;
  EXPECT_EQ(inside("memory/memory.limit_in_bytes", "memory.max"), "268435456\n");
  EXPECT_EQ(inside("pids/pids.max", "pids.max"), "max\n");
  const auto standard_input = run_command(
      {"/bin/sh", "-c", "echo '{\"pids\":{\"limit\":44}}' | exec \"$@\"", "sh", Bundle::runtime(),
       "--root", bundle_->dir() / "state", "update", "-r", "-", "c"});
  EXPECT_TRUE(standard_input.ok()) << standard_input;
  EXPECT_EQ(inside("pids/pids.max", "pids.max"), "44\n");
}

TEST_F(OciLimits, UpdateRefuses) {
  const std::string check =
      bundle_->dir().write("r.json", R"({"memory":{"limit":1,"checkBeforeUpdate":true}})");
  EXPECT_NE(
      bundle_->oci({"update", "--resources", check, "c"}).err.find("unable to set memory limit"),
      std::string::npos);
  EXPECT_EQ(inside("memory/memory.limit_in_bytes", "memory.max"),
            v2_ ? "max\n" : "9223372036854771712\n");
  for (const char* bad : {"--memory=64q", "--memory=", "--pids-limit=x", "--cpu-quota=1k"})
    EXPECT_EQ(bundle_->oci({"update", bad, "c"}).exit_code, 1) << bad;
  const std::string wrong = bundle_->dir().write("w.json", R"({"pids":{"limit":"many"}})");
  EXPECT_NE(bundle_->oci({"update", "--resources", wrong, "c"}).err.find("resources /pids/limit"),
            std::string::npos);
  EXPECT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  ASSERT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_NE(bundle_->oci({"update", "--pids-limit", "3", "c"}).err.find("container not running"),
            std::string::npos);
}

TEST_F(OciLimits, EventsTellWhatIsUsed) {
  ASSERT_TRUE(bundle_->oci({"update", "--pids-limit", "33", "c"}).ok());
  const auto result = bundle_->oci({"events", "--stats", "c"});
  ASSERT_TRUE(result.ok()) << result;
  const auto stats = oci::Json::parse(result.out);
  EXPECT_EQ(stats["type"], "stats");
  EXPECT_EQ(stats["id"], "c");
  EXPECT_EQ(stats["data"]["pids"], (oci::Json{{"current", 1}, {"limit", 33}}));
  EXPECT_GT(stats["data"]["memory"]["usage"]["usage"].get<uint64_t>(), 0U);
  EXPECT_GT(stats["data"]["cpu"]["usage"]["total"].get<uint64_t>(), 0U);
  for (const char* bad : {"--interval=5", "--interval=s", "--interval=-1s"})
    EXPECT_EQ(bundle_->oci({"events", bad, "c"}).exit_code, 1) << bad;
}

TEST_F(OciLimits, EventsEndWithTheContainer) {
  ASSERT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  const auto result = bundle_->oci({"events", "--interval", "10ms", "c"});
  EXPECT_TRUE(result.ok() || result.err.find("container not running") != std::string::npos)
      << result;
}

}  // namespace
}  // namespace isle::test
