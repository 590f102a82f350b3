// Pure cgroup v2: what a container's cgroup is there, as root and, where systemd has delegated one,
// as an ordinary user.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

/// For who is not root below the cgroup of their systemd.
class OciV2 : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("cgroup_v2", "program:busybox");
    if (::geteuid() != 0) ISLE_REQUIRE("delegated");
    bundle_.emplace();
    if (::geteuid() != 0) {
      // Our own has processes, and so no controllers to hand on.
      const std::string own = read_file("/proc/self/cgroup").substr(std::string("0::").size());
      parent_ = own.substr(0, own.find('/', own.find("/user@") + 1));
    }
    path_ = parent_ + "/isle-test-" + std::to_string(::getpid());
    bundle_->config["linux"]["cgroupsPath"] = path_;
    for (Json& mount : bundle_->config["mounts"])
      if (mount["destination"] == "/sys/fs/cgroup") mount["options"] = {"nosuid", "noexec", "rw"};
    bundle_->set_command({"sleep", "1000"});
  }
  void TearDown() override {
    if (!bundle_) return;
    bundle_.reset();
    EXPECT_FALSE(fs::exists(directory()));
    ::rmdir(directory().c_str());
  }
  [[nodiscard]] std::string directory() const { return "/sys/fs/cgroup" + path_; }
  [[nodiscard]] std::string file(const std::string& name) const {
    return read_file(directory() + "/" + name);
  }
  void start() {
    bundle_->save();
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  }
  Json& resources() { return bundle_->config["linux"]["resources"]; }

  std::string parent_;
  std::string path_;
  std::optional<Bundle> bundle_;
};

TEST_F(OciV2, LimitsAreInItsFiles) {
  resources()["memory"] = {{"limit", 67108864}, {"swap", 100663296}, {"reservation", 1048576}};
  resources()["cpu"] = {{"shares", 512}, {"quota", 50000}, {"period", 100000}};
  resources()["pids"] = {{"limit", 30}};
  resources()["unified"] = {{"memory.high", "50331648"}};
  start();
  EXPECT_EQ(file("memory.max"), "67108864\n");
  EXPECT_EQ(file("memory.swap.max"), "33554432\n");
  EXPECT_EQ(file("memory.low"), "1048576\n");
  EXPECT_EQ(file("memory.high"), "50331648\n");
  EXPECT_EQ(file("cpu.weight"), "20\n");
  EXPECT_EQ(file("cpu.max"), "50000 100000\n");
  EXPECT_EQ(file("pids.max"), "30\n");
  const auto updated = bundle_->oci({"update", "--memory", "96m", "--memory-swap", "128m",
                                     "--cpu-quota", "20000", "--pids-limit", "44", "c"});
  EXPECT_TRUE(updated.ok()) << updated;
  EXPECT_EQ(file("memory.max"), "100663296\n");
  EXPECT_EQ(file("memory.swap.max"), "33554432\n");
  EXPECT_EQ(file("cpu.max"), "20000 100000\n");
  EXPECT_EQ(file("pids.max"), "44\n");
}

/// Its first process is born there: what it used of memory before is nobody else's.
TEST_F(OciV2, IsBornInItsCgroup) {
  start();
  const Json state = Json::parse(bundle_->oci({"state", "c"}).out);
  EXPECT_EQ(file("cgroup.procs"), std::to_string(state["pid"].get<int>()) + "\n");
  const auto explained = bundle_->oci({"--explain", "."});
  EXPECT_EQ(explained.out.find("cgroup.procs"), std::string::npos) << explained;
  const auto one = bundle_->oci({"exec", "c", "cat", "/proc/self/cgroup"});
  EXPECT_EQ(one.out, "0::/\n") << one;
}

/// The kernel refuses the clone itself.
TEST_F(OciV2, OneThatTakesNobodyIsSaid) {
  resources()["unified"] = {{"pids.max", "0"}};
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_FALSE(result.ok());
  EXPECT_NE(result.err.find("(EAGAIN)"), std::string::npos) << result;
}

TEST_F(OciV2, PauseFreezesAll) {
  bundle_->set_command({"sh", "-c", "sleep 1000 & exec sleep 1000"});
  start();
  ASSERT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_EQ(file("cgroup.freeze"), "1\n");
  EXPECT_NE(file("cgroup.events").find("frozen 1"), std::string::npos);
  EXPECT_EQ(bundle_->status("c"), "paused");
  EXPECT_EQ(bundle_->oci({"exec", "c", "true"}).exit_code, 255);
  ASSERT_TRUE(bundle_->oci({"resume", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "running");
  ASSERT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
}

TEST_F(OciV2, EventsTellWhatIsUsed) {
  resources()["pids"] = {{"limit", 33}};
  start();
  const auto result = bundle_->oci({"events", "--stats", "c"});
  ASSERT_TRUE(result.ok()) << result;
  const Json stats = Json::parse(result.out);
  EXPECT_EQ(stats["data"]["pids"], (Json{{"current", 1}, {"limit", 33}}));
  EXPECT_GT(stats["data"]["memory"]["usage"]["usage"].get<uint64_t>(), 0U);
  EXPECT_GT(stats["data"]["cpu"]["usage"]["total"].get<uint64_t>(), 0U);
}

/// No process in a cgroup whose children have controllers (cgroups(7)): exec goes where init went.
TEST_F(OciV2, ExecIntoOneThatDividedItsCgroup) {
  bundle_->set_command({"sh", "-c",
                        "mkdir /sys/fs/cgroup/init && echo 1 >/sys/fs/cgroup/init/cgroup.procs && "
                        "echo +pids >/sys/fs/cgroup/cgroup.subtree_control && echo divided; "
                        "exec sleep 1000"});
  if (::geteuid() != 0) {  // the default for others shows the host's cgroups, read-only
    bundle_->config["mounts"].push_back({{"destination", "/sys/fs/cgroup"},
                                         {"type", "cgroup"},
                                         {"source", "cgroup"},
                                         {"options", {"rw"}}});
  }
  start();
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
  while (bundle_->output().empty() && std::chrono::steady_clock::now() < deadline) ::usleep(10'000);
  ASSERT_EQ(bundle_->output(), "divided\n");
  const auto one = bundle_->oci({"exec", "c", "cat", "/proc/self/cgroup"});
  EXPECT_EQ(one.out, "0::/init\n") << one;
  const auto listed = bundle_->oci({"ps", "--format", "json", "c"});
  EXPECT_EQ(Json::parse(listed.out).size(), 1U) << listed;
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
}

class OciV2Root : public OciV2 {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root");
    OciV2::SetUp();
  }
};

TEST_F(OciV2Root, DevicesByAProgram) {
  bundle_->config["process"]["capabilities"]["bounding"].push_back("CAP_MKNOD");
  bundle_->config["process"]["capabilities"]["effective"].push_back("CAP_MKNOD");
  bundle_->config["process"]["capabilities"]["permitted"].push_back("CAP_MKNOD");
  bundle_->config["mounts"].push_back({{"destination", "/nodes"},
                                       {"type", "tmpfs"},
                                       {"source", "tmpfs"},
                                       {"options", {"mode=755"}}});
  // Whoever may write to kmsg, by its file, may open it so.
  bundle_->config["process"]["args"] = {
      "sh", "-c",
      "mknod /nodes/kmsg c 1 11; (: >/nodes/kmsg) 2>/dev/null && echo opened; "
      "echo >/dev/null && echo null"};
  for (const bool allowed : {false, true}) {
    auto& rules = resources()["devices"];
    rules = Json::array({{{"allow", false}, {"access", "rwm"}}});
    if (allowed)
      rules.push_back(
          {{"allow", true}, {"type", "c"}, {"major", 1}, {"minor", 11}, {"access", "w"}});
    bundle_->save();
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_EQ(result.out, allowed ? "opened\nnull\n" : "null\n") << result;
  }
}

/// The container's root owns its cgroup where it may write to it ("Cgroup ownership" of the
/// runtime-spec).
TEST_F(OciV2Root, BelongsToTheContainersRoot) {
  auto& namespaces = bundle_->config["linux"]["namespaces"];
  namespaces.push_back({{"type", "user"}});
  const Json map = Json::array({{{"containerID", 0}, {"hostID", 100000}, {"size", 65536}}});
  bundle_->config["linux"]["uidMappings"] = map;
  bundle_->config["linux"]["gidMappings"] = map;
  resources()["pids"] = {{"limit", 30}};
  start();
  struct stat status{};
  for (const char* name : {"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"}) {
    ASSERT_EQ(::stat((directory() + name).c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 100000U) << name;
  }
  ASSERT_EQ(::stat((directory() + "/pids.max").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
  const auto inside = bundle_->oci({"exec", "c", "cat", "/proc/self/cgroup"});
  EXPECT_EQ(inside.out, "0::/\n") << inside;
}

TEST_F(OciV2Root, StaysRootsWhereItIsReadOnly) {
  for (Json& mount : bundle_->config["mounts"])
    if (mount["destination"] == "/sys/fs/cgroup") mount["options"] = {"nosuid", "noexec", "ro"};
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}};
  start();
  struct stat status{};
  ASSERT_EQ(::stat(directory().c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
}

}  // namespace
}  // namespace isle::test
