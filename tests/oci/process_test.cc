// "process" and "mounts" of config.json as a process inside sees them.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

class OciInside : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  CommandResult sh(const std::string& script) {
    bundle_->set_command({"sh", "-c", script});
    return bundle_->oci({"run", "c"});
  }
  void add_mount(Json mount) { bundle_->config["mounts"].push_back(std::move(mount)); }
  std::optional<Bundle> bundle_;
};

TEST_F(OciInside, UserUmaskGroupsAndDirectory) {
  bundle_->config["process"]["user"] = {
      {"uid", 1000}, {"gid", 1001}, {"umask", 027}, {"additionalGids", {5, 6}}};
  bundle_->config["process"]["cwd"] = "/tmp/made/here";
  bundle_->config["root"]["readonly"] = false;
  const auto result = sh("id -u; id -g; id -G; umask; pwd");
  EXPECT_EQ(result.out, "1000\n1001\n1001 5 6\n0027\n/tmp/made/here\n") << result;
}

TEST_F(OciInside, FiveCapabilitySets) {
  bundle_->config["process"]["capabilities"] = {
      {"bounding", {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"}},
      {"permitted", {"CAP_CHOWN", "CAP_KILL"}},
      {"effective", {"CAP_CHOWN"}},
      {"inheritable", {"CAP_KILL"}},
      {"ambient", {"CAP_KILL"}}};
  bundle_->config["process"]["user"] = {{"uid", 7}, {"gid", 7}};
  const auto result = sh("grep ^Cap /proc/self/status");
  // execve of an ordinary file by an ordinary user: what is ambient stays, and nothing else.
  EXPECT_EQ(result.out,
            "CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n"
            "CapBnd:\t0000000000002021\nCapAmb:\t0000000000000020\n")
      << result;
}

TEST_F(OciInside, LimitsScoreAndPriorities) {
  bundle_->config["process"]["rlimits"] =
      Json::array({{{"type", "RLIMIT_NOFILE"}, {"soft", 100}, {"hard", 200}},
                   {{"type", "RLIMIT_CORE"}, {"soft", 0}, {"hard", 0}}});
  bundle_->config["process"]["oomScoreAdj"] = 321;
  bundle_->config["process"]["scheduler"] = {{"policy", "SCHED_BATCH"}, {"nice", 3}};
  bundle_->config["process"]["ioPriority"] = {{"class", "IOPRIO_CLASS_IDLE"}};
  bundle_->config["linux"]["personality"] = {{"domain", "LINUX32"}};
  const auto result =
      sh("ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; "
         "cut -d' ' -f19,41 /proc/self/stat; cat /proc/self/personality; busybox ionice");
  EXPECT_EQ(result.out, "100\n200\n0\n321\n3 3\n00000008\nidle\n") << result;
}

// sched_setattr(2) wants all CPUs for a deadline. A new process has it before it comes into a v1 cpuset.
TEST_F(OciInside, ADeadlineAndSomeOfTheCpus) {
  if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "a machine of one CPU";
  bundle_->take_cgroup();
  bundle_->config["linux"]["resources"]["cpu"]["cpus"] = "0";
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->oci({"run", "--detach", "c"}).ok());
  const std::string process = bundle_->dir() / "process.json";
  write_file(process, R"({"cwd":"/","args":["true"],"scheduler":{"policy":"SCHED_DEADLINE",)"
                      R"("runtime":42000,"deadline":1000000,"period":1000000}})");
  const auto entered = bundle_->oci({"exec", "--process", process, "c"});
  EXPECT_EQ(entered.exit_code, 255);
  EXPECT_NE(entered.err.find("a deadline needs all CPUs"), std::string::npos) << entered;
}

TEST_F(OciInside, SessionKeyring) {
  // Keyrings of containers that have ended are listed until the kernel collects them.
  const std::string id = "k" + std::to_string(::getpid());
  bundle_->config["linux"]["maskedPaths"] = Json::array();
  bundle_->set_command({"grep", "-c", "_ses." + id + "a", "/proc/keys"});
  EXPECT_EQ(bundle_->oci({"run", id + "a"}).out, "1\n");
  bundle_->set_command({"grep", "-c", "_ses." + id + "b", "/proc/keys"});
  EXPECT_EQ(bundle_->oci({"run", "--no-new-keyring", id + "b"}).out, "0\n");
  // exec has one of its own, too, and not its caller's.
  bundle_->set_command({"sleep", "1000"});
  for (const auto& [name, flag, rings] :
       {std::tuple{"c", "--no-new-keyring=false", "2\n"}, {"d", "--no-new-keyring", "0\n"}}) {
    ASSERT_TRUE(bundle_->create(id + name, {flag}).ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", id + name}).ok());
    const auto result =
        bundle_->oci({"exec", id + name, "grep", "-c", "_ses." + id + name, "/proc/keys"});
    EXPECT_EQ(result.out, rings) << result;
    ASSERT_TRUE(bundle_->oci({"delete", "--force", id + name}).ok());
  }
}

TEST_F(OciInside, MemoryPolicyAndSysctl) {
  bundle_->config["linux"]["memoryPolicy"] = {{"mode", "MPOL_BIND"}, {"nodes", "0"}};
  bundle_->config["linux"]["sysctl"] = {{"kernel.shmmni", "77"},
                                        {"net/ipv4/conf/lo/forwarding", "1"}};
  bundle_->config["linux"]["readonlyPaths"] = Json::array();
  const auto result =
      sh("head -1 /proc/self/numa_maps | cut -d' ' -f2; cat /proc/sys/kernel/shmmni "
         "/proc/sys/net/ipv4/conf/lo/forwarding");
  EXPECT_EQ(result.out, "bind:0\n77\n1\n") << result;
}

TEST_F(OciInside, ExecCpuAffinity) {
  bundle_->config["process"]["execCPUAffinity"] = {{"initial", "0"}, {"final", "0"}};
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto result = bundle_->oci({"exec", "c", "grep", "Cpus_allowed_list", "/proc/self/status"});
  EXPECT_EQ(result.out, "Cpus_allowed_list:\t0\n") << result;
}

TEST_F(OciInside, TmpfsWithACopy) {
  fs::create_directories(bundle_->rootfs("/data/sub"));
  write_file(bundle_->rootfs("/data/file"), "from the image");
  write_file(bundle_->rootfs("/data/sub/deep"), "deep");
  fs::create_symlink("file", bundle_->rootfs("/data/link"));
  ASSERT_EQ(::chmod(bundle_->rootfs("/data/file").c_str(), 04751), 0);
  ASSERT_EQ(::chown(bundle_->rootfs("/data/sub").c_str(), 12, 34), 0);
  add_mount({{"destination", "/data"},
             {"type", "tmpfs"},
             {"source", "tmpfs"},
             {"options", {"tmpcopyup", "nosuid"}}});
  const auto result =
      sh("cat /data/link /data/sub/deep; echo; stat -c %a /data/file; stat -c %u:%g /data/sub; "
         "touch /data/new && grep -c ' /data tmpfs' /proc/self/mounts");
  EXPECT_EQ(result.out, "from the imagedeep\n4751\n12:34\n1\n") << result;
  EXPECT_FALSE(fs::exists(bundle_->rootfs("/data/new")));
}

TEST_F(OciInside, LinksAsSourceAndDestination) {
  const std::string source = bundle_->dir() / "target";
  write_file(source, "the file");
  fs::create_symlink(source, bundle_->dir() / "link");
  fs::create_symlink("/tmp", bundle_->rootfs("/to-tmp"));
  add_mount({{"destination", "/etc/copied"},
             {"type", "bind"},
             {"source", bundle_->dir() / "link"},
             {"options", {"bind", "copy-symlink"}}});
  add_mount({{"destination", "/etc/followed"},
             {"type", "bind"},
             {"source", bundle_->dir() / "link"},
             {"options", {"bind"}}});
  add_mount({{"destination", "/to-tmp"},
             {"type", "bind"},
             {"source", source},
             {"options", {"bind", "dest-nofollow"}}});
  const auto result = sh("readlink /etc/copied; cat /etc/followed; echo; cat /to-tmp");
  EXPECT_EQ(result.out, source + "\nthe file\nthe file") << result;
}

TEST_F(OciInside, RecursiveAttributesAndRelativeDestination) {
  add_mount({{"destination", "relative/path"},
             {"type", "tmpfs"},
             {"source", "tmpfs"},
             {"options", {"size=1m", "noexec"}}});
  add_mount({{"destination", "/seen"},
             {"type", "bind"},
             {"source", "/proc"},
             {"options", {"rbind", "rro", "rnosuid"}}});
  const auto result =
      sh("grep ' /relative/path ' /proc/self/mountinfo | grep -o noexec; "
         "grep -o ' /seen [^ ]*' /proc/self/mountinfo | head -1 | cut -d, -f1,2");
  EXPECT_EQ(result.out, "noexec\n /seen ro,nosuid\n") << result;
}

TEST_F(OciInside, MaskedAndReadOnlyPaths) {
  write_file(bundle_->rootfs("/etc/secret"), "secret");
  fs::create_directories(bundle_->rootfs("/etc/dir/sub"));
  bundle_->config["root"]["readonly"] = false;
  bundle_->config["linux"]["maskedPaths"] = {"/etc/secret", "/etc/dir", "/nosuch"};
  bundle_->config["linux"]["readonlyPaths"] = {"/tmp", "/nosuch"};
  const auto result =
      sh("cat /etc/secret; ls /etc/dir; touch /tmp/x 2>&1 | grep -o Read-only; "
         "touch /etc/y && echo writable");
  EXPECT_EQ(result.out, "Read-only\nwritable\n") << result;
}

// podman's --read-only, and its pods' first containers: what goes onto a read-only tmpfs is made all the same.
TEST_F(OciInside, ReadOnlyTmpfsWithMountsBelow) {
  for (Json& mount : bundle_->config["mounts"])
    if (mount["destination"] == "/dev") mount["options"].push_back("ro");
  add_mount(
      {{"destination", "/new/"}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", {"ro"}}});
  add_mount({{"destination", "/new/inner"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  add_mount(
      {{"destination", "/empty"}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", {"ro"}}});
  bundle_->config["root"]["readonly"] = false;
  const auto result =
      sh("for d in /dev /new /empty /new/inner /dev/shm; do touch $d/x 2>/dev/null && echo $d; "
         "done; echo > /dev/null; "
         "ls -d /dev/pts /dev/null");
  EXPECT_EQ(result.out, "/new/inner\n/dev/shm\n/dev/null\n/dev/pts\n") << result;
}

TEST_F(OciInside, JoinedAndNewNamespacesMixed) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("first").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "first"}).ok());
  const std::string pid =
      std::to_string(Json::parse(bundle_->oci({"state", "first"}).out)["pid"].get<int>());
  for (Json& entry : bundle_->config["linux"]["namespaces"]) {
    const auto type = entry["type"].get<std::string>();
    if (type == "pid" || type == "ipc" || type == "uts" || type == "network")
      entry["path"] = "/proc/" + pid + "/ns/" + (type == "network" ? "net" : type);
  }
  bundle_->config.erase("hostname");
  bundle_->take_cgroup();
  bundle_->set_command(
      {"sh", "-c", "for n in pid ipc uts net mnt; do readlink /proc/self/ns/$n; done"});
  const auto result = bundle_->oci({"run", "second"});
  std::string joined;
  for (const char* name : {"pid", "ipc", "uts", "net"})
    joined += fs::read_symlink("/proc/" + pid + "/ns/" + name).string() + "\n";
  EXPECT_EQ(result.out.find(joined), 0U) << result;
  EXPECT_EQ(result.out.find(fs::read_symlink("/proc/" + pid + "/ns/mnt").string()),
            std::string::npos);
}

// A device of a network namespace of the test's own becomes the container's.
TEST_F(OciInside, NetDevices) {
  bundle_->config["linux"]["netDevices"] = {{"isle-moved", {{"name", "inside0"}}}};
  bundle_->set_command({"sh", "-c",
                        "busybox ip -o addr show dev inside0 | grep -o 'inet 192.0.2.7/24'; "
                        "busybox ip -o link show dev inside0 | grep -o ',UP'"});
  const auto result =
      run_command({"unshare", "--net", "/bin/sh", "-c",
                   "ip link add isle-moved type veth peer name other && ip addr add 192.0.2.7/24 "
                   "dev isle-moved "
                   "&& exec \"$@\"",
                   "sh", isle_binary("isle-oci"), "--root", bundle_->dir() / "state", "run", "c"},
                  {.working_dir = bundle_->dir() / "bundle"});
  EXPECT_EQ(result.out, "inet 192.0.2.7/24\n,UP\n") << result;
  const auto missing = bundle_->oci({"run", "c"});
  EXPECT_NE(missing.err.find("/linux/netDevices/isle-moved"), std::string::npos) << missing;
  EXPECT_NE(missing.exit_code, 0);
}

TEST_F(OciInside, TimeOffsets) {
  bundle_->config["linux"]["namespaces"].push_back({{"type", "time"}});
  bundle_->config["linux"]["timeOffsets"] = {{"boottime", {{"secs", 604800}, {"nanosecs", 5}}}};
  const auto result = sh("grep boottime /proc/self/timens_offsets | tr -s ' '");
  EXPECT_EQ(result.out, "boottime 604800 5\n") << result;
}

}  // namespace
}  // namespace isle::test
