// What engines and users know from other runtimes, and what no document says.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

class OciHabits : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  Json& process() { return bundle_->config["process"]; }
  void without_namespace(std::string_view type) {
    Json& namespaces = bundle_->config["linux"]["namespaces"];
    for (size_t i = 0; i < namespaces.size(); ++i)
      if (namespaces[i]["type"] == type) namespaces.erase(i--);
  }
  void add_mount(Json mount) { bundle_->config["mounts"].push_back(std::move(mount)); }
  [[nodiscard]] std::string pid_of(const char* id) const {
    return std::to_string(Json::parse(bundle_->oci({"state", id}).out).value("pid", 0));
  }
  [[nodiscard]] CommandResult sh(const std::string& script) const {
    return run_command({"/bin/sh", "-c", script}, {.working_dir = bundle_->dir() / "bundle"});
  }
  std::optional<Bundle> bundle_;
};

TEST_F(OciHabits, KillEndsAllOfWhatHasNoPidNamespace) {
  without_namespace("pid");
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const std::string pid_file = bundle_->dir() / "second";
  const auto second = sh(Bundle::runtime() + " --root " + (bundle_->dir() / "state") +
                         " exec -d --pid-file " + pid_file + " c sleep 1000 </dev/null >/dev/null");
  ASSERT_TRUE(second.ok()) << second;
  const std::string other = "/proc/" + read_file(pid_file) + "/exe";
  ASSERT_NE(::access(other.c_str(), F_OK), -1);
  ASSERT_TRUE(sh("kill -9 " + pid_of("c")).ok());  // the first process alone
  ASSERT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_EQ(::access(other.c_str(), F_OK), 0);
  const auto killed = bundle_->oci({"kill", "c", "KILL"});
  EXPECT_TRUE(killed.ok()) << killed;
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  EXPECT_EQ(::access(other.c_str(), F_OK), -1);
}

TEST_F(OciHabits, CgroupOfOthersOrFrozenIsRefused) {
  const std::string path = "/isle-oci-test-" + std::to_string(::getpid());
  bundle_->config["linux"]["cgroupsPath"] = path;
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  EXPECT_FALSE(bundle_->create("d").ok());
  EXPECT_NE(bundle_->output().find("container's cgroup is not empty"), std::string::npos)
      << bundle_->output();
  EXPECT_EQ(bundle_->status("d"), "");
  EXPECT_EQ(bundle_->status("c"), "created");
  ASSERT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());

  const std::string freezer = Bundle::cgroup_file("freezer" + path, path.substr(1));
  const bool v2 = missing("cgroup_v2").empty();
  fs::create_directory(freezer);
  write_file(freezer + (v2 ? "/cgroup.freeze" : "/freezer.state"), v2 ? "1" : "FROZEN");
  EXPECT_FALSE(bundle_->create("c").ok());
  EXPECT_NE(bundle_->output().find("container's cgroup unexpectedly frozen"), std::string::npos)
      << bundle_->output();
  EXPECT_EQ(::rmdir(freezer.c_str()), 0);
}

// Who reads the caller's pipe to its end is not to wait for the start.
TEST_F(OciHabits, WhatWaitsHoldsNothingOpen) {
  bundle_->set_command({"true"});
  const auto created =
      sh("exec 9>" + (bundle_->dir() / "held") + "; exec " + Bundle::runtime() + " --root " +
         (bundle_->dir() / "state") + " create c </dev/null >/dev/null");
  ASSERT_TRUE(created.ok()) << created;
  for (const auto& entry : fs::directory_iterator("/proc/" + pid_of("c") + "/fd")) {
    if (std::stoi(entry.path().filename()) <= STDERR_FILENO) continue;
    const std::string target = fs::read_symlink(entry.path());
    EXPECT_FALSE(target.starts_with('/') && !target.starts_with("/memfd:")) << target;
  }
}

TEST_F(OciHabits, WhatWaitsCanBeAskedToEnd) {
  bundle_->set_command({"true"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  EXPECT_TRUE(bundle_->oci({"kill", "c", "TERM"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));

  // By others, too, as an engine that was given the process's descriptor.
  ASSERT_TRUE(bundle_->create("d").ok()) << bundle_->output();
  ASSERT_TRUE(sh("kill -HUP " + pid_of("d")).ok());
  EXPECT_TRUE(bundle_->becomes("d", "stopped"));
}

TEST_F(OciHabits, DestinationsMayBeTheHostsPathsOfThem) {
  fs::create_directory(bundle_->rootfs("/shown"));
  write_file(bundle_->rootfs("/shown/file"), "seen");
  const std::string beside = bundle_->dir() / "bundle/rootfs-beside";
  add_mount({{"destination", bundle_->rootfs("//one")}, {"type", "tmpfs"}});
  add_mount({{"destination", bundle_->rootfs("/one/two")},
             {"type", "bind"},
             {"source", bundle_->rootfs("/shown")},
             {"options", {"rbind"}}});
  add_mount({{"destination", beside}, {"type", "tmpfs"}});  // not below the root
  bundle_->set_command({"sh", "-c", "cat /one/two/file; cut -d' ' -f5 /proc/self/mountinfo"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out.find("seen/\n"), 0) << result;
  for (const std::string& point : {std::string("/one"), std::string("/one/two"), beside})
    EXPECT_NE(result.out.find("\n" + point + "\n"), std::string::npos) << point << result;
}

TEST_F(OciHabits, HelpOnWhatIsNoCommand) {
  const auto result = bundle_->oci({"frobnicate", "--help"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("No help topic for 'frobnicate'"), std::string::npos) << result;
}

TEST_F(OciHabits, TerminalThatAProgramReadsHasPlainNewlines) {
  process()["terminal"] = true;
  bundle_->set_command({"sh", "-c", "test -t 1 && echo lines; echo of text"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "lines\nof text\n");
}

TEST_F(OciHabits, WorkingDirectoryIsEnteredBeforePrivilegeGoes) {
  fs::create_directory(bundle_->rootfs("/home"));
  ASSERT_EQ(::chown(bundle_->rootfs("/home").c_str(), 42, 42), 0);
  ASSERT_EQ(::chmod(bundle_->rootfs("/home").c_str(), 0700), 0);
  process()["cwd"] = "/home";
  process()["user"] = {{"uid", 7}, {"gid", 7}};
  bundle_->set_command({"readlink", "/proc/self/cwd"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "/home\n") << result;
}

TEST_F(OciHabits, CpusOfTheCallerAreNotTheContainers) {
  ISLE_REQUIRE("program:taskset");
  bundle_->set_command({"grep", "Cpus_allowed_list", "/proc/self/status"});
  const std::string all = bundle_->oci({"run", "c"}).out;
  const auto result = sh("exec taskset -c 0 " + Bundle::runtime() + " --root " +
                         (bundle_->dir() / "state") + " run c");
  EXPECT_EQ(result.out, all) << result;
}

TEST_F(OciHabits, AnotherProcessHasThePersonalityToo) {
  bundle_->config["linux"]["personality"] = {{"domain", "LINUX32"}};
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_EQ(bundle_->oci({"exec", "c", "cat", "/proc/self/personality"}).out, "00000008\n");
}

TEST_F(OciHabits, CapabilityOfExecIsAmbientWhereItIsInheritable) {
  for (const char* set : {"bounding", "permitted", "effective", "inheritable", "ambient"})
    process()["capabilities"][set] = {"CAP_KILL"};
  for (const char* set : {"bounding", "inheritable"})
    process()["capabilities"][set] = {"CAP_KILL", "CAP_CHOWN"};
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto ambient = [&](const char* capability) {
    return bundle_->oci({"exec", "--cap", capability, "c", "grep", "CapAmb", "/proc/self/status"})
        .out;
  };
  EXPECT_EQ(ambient("CAP_CHOWN"), "CapAmb:\t0000000000000021\n");
  EXPECT_EQ(ambient("CAP_FOWNER"), "CapAmb:\t0000000000000020\n");
}

TEST_F(OciHabits, DebugOfExecIsItsPlan) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const std::string log = bundle_->dir() / "log";
  EXPECT_EQ(bundle_->oci({"--debug", "--log", log, "exec", "c", "true"}).err, "");
  EXPECT_NE(read_file(log).find("execve"), std::string::npos);
}

TEST_F(OciHabits, ReadOnlyDevIsFilledFirst) {
  for (Json& mount : bundle_->config["mounts"])
    if (mount["destination"] == "/dev") mount["options"].push_back("ro");
  bundle_->set_command(
      {"sh", "-c", "echo x >/dev/null; touch /dev/new; test -c /dev/zero && ls /dev"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.err.find("Read-only file system"), std::string::npos) << result;
  EXPECT_NE(result.out.find("pts"), std::string::npos) << result;
}

TEST_F(OciHabits, BindOfWhatAnEarlierMountShows) {
  bundle_->config["root"]["readonly"] = false;
  const std::string shown = bundle_->dir() / "shown";
  fs::create_directory(shown);
  fs::create_directory(shown + "/below");
  write_file(shown + "/below/file", "seen\n");
  add_mount({{"destination", "/one"}, {"type", "bind"}, {"source", shown}, {"options", {"rbind"}}});
  add_mount({{"destination", "/two"},
             {"type", "bind"},
             {"source", bundle_->rootfs("/one/below")},
             {"options", {"rbind"}}});
  bundle_->set_command({"cat", "/two/file"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "seen\n") << result;

  ISLE_REQUIRE("idmap");
  const Json map = Json::array({{{"containerID", 0}, {"hostID", 1000}, {"size", 10}}});
  bundle_->config["mounts"].back()["uidMappings"] = map;
  bundle_->config["mounts"].back()["gidMappings"] = map;
  bundle_->set_command({"sh", "-c", "cat /two/file; stat -c %u:%g /two/file"});
  const auto mapped = bundle_->oci({"run", "c"});
  EXPECT_EQ(mapped.out, "seen\n1000:1000\n") << mapped;
}

// nvidia-container-cli and others enter the mount namespace and mount below the root's path there.
TEST_F(OciHabits, HooksFindTheRootByItsPathInTheNamespace) {
  ISLE_REQUIRE("program:nsenter");
  const std::string script =
      "pid=$(tr -d ' \\n' | grep -o '\"pid\":[0-9]*' | cut -d: -f2); "
      "nsenter --mount=/proc/$pid/ns/mnt test -c " +
      bundle_->rootfs("/dev/null");
  const Json by_host = {{"path", "/bin/sh"}, {"args", {"sh", "-c", script}}};
  const Json inside = {{"path", "/bin/sh"}, {"args", {"sh", "-c", "test -c ./dev/null"}}};
  bundle_->config["hooks"] = {
      {"prestart", {by_host}}, {"createRuntime", {by_host}}, {"createContainer", {inside}}};
  bundle_->set_command({"sh", "-c", "test -c /dev/null"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
}

TEST_F(OciHabits, StartHookIsUnderTheFilterAndInTheEnvironment) {
  process()["env"] = {"PATH=/bin", "ONE=two"};
  bundle_->config["hooks"] = {
      {"startContainer", {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "test $ONE = two"}}}}}};
  bundle_->set_command({"true"});
  const auto with_environment = bundle_->oci({"run", "c"});
  EXPECT_TRUE(with_environment.ok()) << with_environment;

  bundle_->config["hooks"] = {
      {"startContainer", {{{"path", "/bin/mkdir"}, {"args", {"mkdir", "/dev/shm/made"}}}}}};
  bundle_->config["linux"]["seccomp"] = {
      {"defaultAction", "SCMP_ACT_ALLOW"},
      {"syscalls", {{{"names", {"mkdir", "mkdirat"}}, {"action", "SCMP_ACT_KILL"}}}}};
  process()["rlimits"] = {{{"type", "RLIMIT_CORE"}, {"soft", 0}, {"hard", 0}}};
  bundle_->save();
  const auto filtered = bundle_->oci({"run", "c"});
  EXPECT_EQ(filtered.exit_code, 1);
  EXPECT_NE(filtered.err.find("error running startContainer hook #0"), std::string::npos)
      << filtered;
  EXPECT_NE(filtered.err.find("bad system call"), std::string::npos) << filtered;
}

TEST_F(OciHabits, CpusetParentsWithoutCpusAreGivenSome) {
  ISLE_REQUIRE("cgroup_v1");
  const std::string top = "/sys/fs/cgroup/cpuset/isle-oci-test-" + std::to_string(::getpid());
  if (!fs::exists("/sys/fs/cgroup/cpuset")) GTEST_SKIP() << "no cpuset hierarchy";
  fs::create_directory(top);
  fs::create_directory(top + "/pod");
  bundle_->config["linux"]["cgroupsPath"] = "/" + fs::path(top).filename().string() + "/pod/c";
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup"))
    for (const char* below : {"/pod", ""})
      ::rmdir((hierarchy.path() / fs::path(top).filename()).string().append(below).c_str());
}

TEST_F(OciHabits, SpecHasACgroupNamespaceWhereThereIsV2Alone) {
  fs::remove(bundle_->dir() / "bundle/config.json");
  ASSERT_TRUE(bundle_->oci({"spec"}).ok());
  const Json config = Json::parse(read_file(bundle_->dir() / "bundle/config.json"));
  const std::string namespaces = config["linux"]["namespaces"].dump();
  EXPECT_EQ(namespaces.find("cgroup") != std::string::npos, missing("cgroup_v2").empty());
}

}  // namespace
}  // namespace isle::test
