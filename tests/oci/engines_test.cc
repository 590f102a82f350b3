// What engines count on beside the runtime-spec: how they start a runtime, and what they ask of it in passing.
#include <sys/stat.h>

#include "oci/bundle.h"

namespace isle::test {
namespace {

using oci::Json;

class OciForEngines : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  /// isle-oci, started by `prefix`.
  CommandResult by(std::vector<std::string> prefix, const std::vector<std::string>& words) {
    prefix.insert(prefix.end(), {Bundle::runtime(), "--root", bundle_->dir() / "state"});
    prefix.insert(prefix.end(), words.begin(), words.end());
    return run_command(std::move(prefix), {.working_dir = bundle_->dir() / "bundle"});
  }
  std::optional<Bundle> bundle_;
};

// conmon ignores SIGPIPE; a shell could not even trap it again.
TEST_F(OciForEngines, NoSignalIsIgnoredOrBlocked) {
  const std::vector<std::string> engine = {"env", "--ignore-signal=PIPE,USR2,CHLD",
                                           "--block-signal=USR1,TERM,64"};
  const std::vector<std::string> look = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"};
  const std::string none = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
  const std::string in_a_hook = bundle_->dir() / "hook";
  for (const char* kind : {"prestart", "createContainer", "poststop"})
    bundle_->config["hooks"][kind] = Json::array(
        {{{"path", "/bin/sh"},
          {"args", {"sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status >> " + in_a_hook}}}});
  bundle_->set_command(look);
  const auto ran = by(engine, {"run", "c"});
  EXPECT_EQ(ran.out, none) << ran;
  EXPECT_EQ(read_file(in_a_hook), none + none + none);

  bundle_->config.erase("hooks");
  bundle_->set_command({"sleep", "1000"});
  const auto detached = by(engine, {"run", "--detach", "d"});
  ASSERT_TRUE(detached.ok()) << detached;
  const std::string pid =
      std::to_string(Json::parse(bundle_->oci({"state", "d"}).out)["pid"].get<int>());
  const std::string status = read_file("/proc/" + pid + "/status");
  EXPECT_NE(status.find("SigIgn:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("SigBlk:\t0000000000000000"), std::string::npos) << status;
  std::vector<std::string> exec = {"exec", "d"};
  exec.insert(exec.end(), look.begin(), look.end());
  const auto executed = by(engine, exec);
  EXPECT_EQ(executed.out, none) << executed;
}

// podman run --group-add keep-groups
TEST_F(OciForEngines, GroupsOfTheEngineAreKept) {
  const std::vector<std::string> engine = {"setpriv", "--groups", "1234,5678"};
  bundle_->config["process"]["user"]["additionalGids"] = {7};
  bundle_->set_command({"sh", "-c", "grep ^Groups /proc/self/status; exec sleep 1000"});
  const auto groups = [&](const char* id) {
    return by(engine, {"exec", id, "grep", "^Groups", "/proc/self/status"}).out;
  };
  ASSERT_TRUE(by(engine, {"run", "--detach", "plain"}).ok());
  EXPECT_EQ(groups("plain"), "Groups:\t7 \n");
  bundle_->config["annotations"]["run.oci.keep_original_groups"] = "1";
  bundle_->take_cgroup();
  ASSERT_TRUE(by(engine, {"run", "--detach", "keeps"}).ok());
  EXPECT_EQ(groups("keeps"), "Groups:\t1234 5678 \n");
  bundle_->config["annotations"]["run.oci.keep_original_groups"] = "0";
  bundle_->take_cgroup();
  ASSERT_TRUE(by(engine, {"run", "--detach", "not"}).ok());
  EXPECT_EQ(groups("not"), "Groups:\t7 \n");
}

// An engine tells its user what create says; of start it knows only that it failed.
TEST_F(OciForEngines, WhatCannotBeExecutedIsToldByCreate) {
  write_file(bundle_->rootfs("/etc/text"), "text");
  const std::pair<const char*, const char*> commands[] = {
      {"/etc", "permission denied"},    {"/etc/text", "permission denied"},
      {"/bin/..", "permission denied"}, {"/etc/text/x", "Not a directory"},
      {"/nosuch", "no such file"},      {"", "file not found in $PATH"}};
  for (const auto& [command, why] : commands) {
    bundle_->set_command({command});
    EXPECT_FALSE(bundle_->create("c").ok()) << command;
    EXPECT_NE(bundle_->output().find(why), std::string::npos) << bundle_->output();
    EXPECT_EQ(bundle_->status("c"), "");
  }
}

// docker knows it by ENOTDIR, and says what to look for.
TEST_F(OciForEngines, FileOntoADirectory) {
  bundle_->config["mounts"].push_back({{"destination", "/etc"},
                                       {"type", "bind"},
                                       {"source", "/etc/passwd"},
                                       {"options", {"bind"}}});
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.err.find("onto a directory"), std::string::npos) << result;
  EXPECT_NE(result.err.find("Not a directory"), std::string::npos) << result;
}

// An engine keeps what a container says; a hook's words are for whoever asks why it failed.
TEST_F(OciForEngines, HooksDoNotSpeakForTheContainer) {
  bundle_->set_command({"sh", "-c", "echo container"});
  write_file(bundle_->rootfs("/hook"), "#!/bin/sh\necho a hook; echo a hook >&2\n");
  ASSERT_EQ(::chmod(bundle_->rootfs("/hook").c_str(), 0755), 0);
  const Json talks =
      Json::array({{{"path", "/bin/sh"}, {"args", {"sh", "-c", "echo a hook; echo a hook >&2"}}}});
  for (const char* kind : {"prestart", "createRuntime", "createContainer", "poststart", "poststop"})
    bundle_->config["hooks"][kind] = talks;
  bundle_->config["hooks"]["startContainer"] = Json::array({{{"path", "/hook"}}});
  bundle_->save();
  const auto quiet = bundle_->oci({"run", "c"});
  EXPECT_EQ(quiet.out, "container\n") << quiet;
  EXPECT_EQ(quiet.err, "");
  for (const char* kind : {"prestart", "createContainer"}) {
    bundle_->config["hooks"] = {
        {kind, Json::array({{{"path", "/bin/sh"},
                             {"args", {"sh", "-c", "echo this is why >&2; exit 3"}}}})}};
    bundle_->save();
    const auto failed = bundle_->oci({"run", "c"});
    EXPECT_FALSE(failed.ok()) << failed;
    EXPECT_NE(failed.err.find("it said: this is why"), std::string::npos) << failed;
    EXPECT_NE(failed.err.find("exit status 3"), std::string::npos) << failed;
  }
}

// A container of a pod with a user namespace: the engine's files are root's alone.
TEST_F(OciForEngines, BindsFromAClosedDirectoryInAJoinedUserNamespace) {
  const std::string closed = bundle_->dir() / "closed";
  ASSERT_EQ(::mkdir(closed.c_str(), 0700), 0);
  write_file(closed + "/resolv.conf", "nameserver\n");
  write_file(bundle_->rootfs("/etc/resolv.conf"), "");
  ASSERT_EQ(::chmod((closed + "/resolv.conf").c_str(), 0644), 0);
  for (const std::string& way : {bundle_->dir() / "", bundle_->dir() / "bundle"})
    ASSERT_EQ(::chmod(way.c_str(), 0755), 0);
  bundle_->config["linux"]["namespaces"].push_back({{"type", "user"}});
  for (const char* map : {"uidMappings", "gidMappings"})
    bundle_->config["linux"][map] =
        Json::array({{{"containerID", 0}, {"hostID", 100000}, {"size", 1000}}});
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->oci({"run", "--detach", "first"}).ok());
  const std::string pid =
      std::to_string(Json::parse(bundle_->oci({"state", "first"}).out)["pid"].get<int>());
  bundle_->config["linux"].erase("uidMappings");
  bundle_->config["linux"].erase("gidMappings");
  bundle_->config["linux"]["namespaces"].back()["path"] = "/proc/" + pid + "/ns/user";
  bundle_->config["mounts"].push_back({{"destination", "/etc/resolv.conf"},
                                       {"type", "bind"},
                                       {"source", closed + "/resolv.conf"},
                                       {"options", {"bind", "rprivate"}}});
  bundle_->take_cgroup();
  bundle_->set_command({"cat", "/etc/resolv.conf"});
  const auto second = bundle_->oci({"run", "second"});
  EXPECT_EQ(second.out, "nameserver\n") << second;
}

// podman update of a container without cgroups, with nothing to change.
TEST_F(OciForEngines, UpdateOfNothingNeedsNoCgroup) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->oci({"--cgroup-manager", "disabled", "run", "--detach", "c"}).ok());
  const std::string nothing =
      bundle_->dir().write("r.json", R"({"cpu":{},"memory":{},"blockIO":{}})");
  const auto result = bundle_->oci({"update", "--resources", nothing, "c"});
  EXPECT_TRUE(result.ok()) << result;
  const auto limited = bundle_->oci({"update", "--pids-limit", "5", "c"});
  EXPECT_NE(limited.err.find("no cgroup of its own"), std::string::npos) << limited;
  EXPECT_EQ(limited.exit_code, 1);
}

// buildah asks for ambient capabilities and none that are inheritable, and hands standard error to its user.
TEST_F(OciForEngines, AmbientCapabilitiesWithoutInheritableOnes) {
  Json& sets = bundle_->config["process"]["capabilities"];
  sets = {{"bounding", {"CAP_KILL"}},
          {"permitted", {"CAP_KILL"}},
          {"effective", {"CAP_KILL"}},
          {"ambient", {"CAP_KILL"}}};
  bundle_->set_command({"grep", "CapAmb", "/proc/self/status"});
  const auto quiet = bundle_->oci({"run", "c"});
  EXPECT_EQ(quiet.out, "CapAmb:\t0000000000000000\n") << quiet;
  EXPECT_EQ(quiet.err, "");
  for (const char* set : {"bounding", "permitted"}) sets[set].push_back("CAP_CHOWN");
  sets["inheritable"] = {"CAP_CHOWN"};
  bundle_->save();
  const auto warned = bundle_->oci({"run", "c"});
  EXPECT_TRUE(warned.ok()) << warned;
  EXPECT_NE(warned.err.find("can't raise ambient capability CAP_KILL: "), std::string::npos)
      << warned;
}

}  // namespace
}  // namespace isle::test
