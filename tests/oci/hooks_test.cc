// hooks: when each kind runs and where, what it is told, and what its failure does.
#include <sys/stat.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

using oci::Json;

class OciHooks : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    bundle_->config["annotations"] = {{"some", "thing"}};
    log_ = bundle_->dir() / "log";
  }
  /// A hook of the host that runs `script`, with $LOG for where to write.
  Json hook(const std::string& script) const {
    return {{"path", "/bin/sh"},
            {"args", {"sh", "-c", script}},
            {"env", {"PATH=/usr/bin:/bin", "LOG=" + log_}}};
  }
  std::string logged() const { return std::filesystem::exists(log_) ? read_file(log_) : ""; }
  std::optional<Bundle> bundle_;
  std::string log_;
};

TEST_F(OciHooks, OrderAndState) {
  const auto says = [&](const char* kind) {
    return Json::array({hook(std::string("echo ") + kind +
                             " $(tr -d '\\n ' | grep -o '\"status\":\"[a-z]*\"') >>$LOG")});
  };
  bundle_->config["hooks"] = {{"prestart", says("prestart")},
                              {"createRuntime", says("createRuntime")},
                              {"createContainer", says("createContainer")},
                              {"poststart", says("poststart")},
                              {"poststop", says("poststop")}};
  bundle_->config["hooks"]["startContainer"] = Json::array(
      {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "(echo startContainer; cat; echo) >>/order"}}}});
  bundle_->config["root"]["readonly"] = false;
  bundle_->set_command({"sh", "-c", "echo command >>/order"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  EXPECT_EQ(logged(),
            "prestart \"status\":\"created\"\ncreateRuntime \"status\":\"creating\"\n"
            "createContainer \"status\":\"creating\"\n");
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  ASSERT_TRUE(bundle_->oci({"delete", "c"}).ok());
  EXPECT_NE(logged().find("poststart \"status\":\"running\"\npoststop \"status\":\"stopped\"\n"),
            std::string::npos)
      << logged();
  // In the container, by its own pid, before its command.
  const std::string output = read_file(bundle_->rootfs("/order"));
  EXPECT_EQ(output.find("startContainer\n{\"pid\":1,"), 0U) << output;
  EXPECT_NE(output.find("\"status\":\"created\""), std::string::npos) << output;
  EXPECT_NE(output.find("\ncommand\n"), std::string::npos) << output;
}

TEST_F(OciHooks, WhatItIsTold) {
  bundle_->config["hooks"]["createRuntime"] = Json::array({hook("cat >$LOG")});
  bundle_->config["hooks"]["poststart"] = Json::array({hook("cat >$LOG.2")});
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const Json state = Json::parse(bundle_->oci({"state", "c"}).out);
  for (const std::string& file : {log_, log_ + ".2"}) {
    const Json told = Json::parse(read_file(file));
    EXPECT_EQ(told["id"], "c");
    EXPECT_EQ(told["pid"], state["pid"]);
    EXPECT_EQ(told["ociVersion"], state["ociVersion"]);
    EXPECT_EQ(told["bundle"], bundle_->dir() / "bundle");
    EXPECT_EQ(told["annotations"], Json({{"some", "thing"}}));
  }
}

// What they make on the host is no more open to others than what the caller makes.
TEST_F(OciHooks, UmaskIsTheCallers) {
  for (const char* kind : {"prestart", "createRuntime", "createContainer", "poststart", "poststop"})
    bundle_->config["hooks"][kind] = Json::array({hook("umask >>$LOG")});
  bundle_->set_command({"true"});
  const mode_t before = ::umask(027);
  const auto result = bundle_->oci({"run", "c"});
  ::umask(before);
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_EQ(logged(), "0027\n0027\n0027\n0027\n0027\n");
}

// 2025-23266: what the container's environment holds is not for programs of the host.
TEST_F(OciHooks, EnvironmentIsExactOrTheCallers) {
  bundle_->config["process"]["env"].push_back("LD_PRELOAD=/evil.so");
  const auto runs = [](const std::string& script) {
    return Json{{"path", "/bin/sh"}, {"args", {"sh", "-c", script}}};
  };
  const auto with = [&](Json env) {
    Json hook = runs("tr '\\0' '\\n' </proc/$$/environ >>" + log_);
    hook["env"] = std::move(env);
    return Json::array({std::move(hook)});
  };
  Json& hooks = bundle_->config["hooks"];
  for (const char* kind : {"createRuntime", "createContainer"})
    hooks[kind] = Json::array({runs("echo $FROM_CALLER $LD_PRELOAD >>" + log_)});
  hooks["startContainer"] = Json::array({runs("echo $FROM_CALLER $LD_PRELOAD >>/inside")});
  hooks["poststart"] = with({"ONE=1", "TWO=2"});
  hooks["poststop"] = with(Json::array());
  bundle_->config["root"]["readonly"] = false;
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"}, {.set_env = {{"FROM_CALLER", "mine"}}});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(logged(), "mine\nmine\nONE=1\nTWO=2\n");
  // startContainer is the container's own program.
  EXPECT_EQ(read_file(bundle_->rootfs("/inside")), "/evil.so\n");
}

TEST_F(OciHooks, InTheRightNamespaces) {
  const auto where = [&](const char* name) {
    return hook("cat >/dev/null; readlink /proc/self/ns/mnt /proc/self/ns/uts >>$LOG." +
                std::string(name) + "; hostname >>$LOG." + name);
  };
  bundle_->config["hooks"]["createRuntime"] = Json::array({where("runtime")});
  bundle_->config["hooks"]["createContainer"] = Json::array({where("container")});
  bundle_->config["hostname"] = "inside";
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const std::string pid =
      std::to_string(Json::parse(bundle_->oci({"state", "c"}).out)["pid"].get<int>());
  const auto links = [](const std::string& directory) {
    return std::filesystem::read_symlink(directory + "/ns/mnt").string() + "\n" +
           std::filesystem::read_symlink(directory + "/ns/uts").string() + "\n";
  };
  EXPECT_EQ(read_file(log_ + ".runtime").find(links("/proc/self")), 0U)
      << read_file(log_ + ".runtime");
  EXPECT_EQ(read_file(log_ + ".container"), links("/proc/" + pid) + "inside\n");
}

TEST_F(OciHooks, MountsAreThereAndTheRootIsNot) {
  bundle_->config["mounts"].push_back(
      {{"destination", "/tmp"}, {"type", "tmpfs"}, {"source", "marked"}});
  bundle_->config["hooks"]["createRuntime"] = Json::array(
      {hook("pid=$(grep -o '\"pid\":[0-9]*' | cut -d: -f2); grep -c marked /proc/$pid/mountinfo "
            ">$LOG; ls -d /usr/bin/env >>$LOG")});
  bundle_->set_command({"true"});
  ASSERT_TRUE(bundle_->oci({"run", "c"}).ok());
  EXPECT_EQ(logged(), "1\n/usr/bin/env\n");
}

TEST_F(OciHooks, FailureOfAnyBeforeTheCommand) {
  for (const char* kind : {"prestart", "createRuntime", "createContainer"}) {
    bundle_->config["hooks"] = {{kind, Json::array({hook("exit 7"), hook("echo second >>$LOG")})},
                                {"poststop", Json::array({hook("echo poststop >>$LOG")})}};
    bundle_->set_command({"touch", "/tmp/ran"});
    const auto created = bundle_->create("c");
    EXPECT_FALSE(created.ok()) << kind;
    EXPECT_NE(bundle_->output().find("exit status 7"), std::string::npos)
        << kind << bundle_->output();
    EXPECT_NE(bundle_->output().find(std::string("/hooks/") + kind + "/0"), std::string::npos)
        << bundle_->output();
    EXPECT_EQ(logged(), "poststop\n") << kind;
    EXPECT_EQ(bundle_->status("c"), "") << kind;
    std::filesystem::remove(log_);
  }
}

TEST_F(OciHooks, FailureOfStartContainer) {
  bundle_->config["hooks"]["startContainer"] =
      Json::array({{{"path", "/bin/sh"}, {"args", {"sh", "-c", "exit 3"}}}});
  bundle_->set_command({"touch", "/tmp/ran"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const auto started = bundle_->oci({"start", "c"});
  EXPECT_FALSE(started.ok());
  EXPECT_NE(started.err.find("exit status 3"), std::string::npos) << started;
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
}

// runtime-spec 1.3: the container is stopped.
TEST_F(OciHooks, FailureOfPoststart) {
  bundle_->config["hooks"]["poststart"] = Json::array({hook("exit 1")});
  bundle_->config["hooks"]["poststop"] = Json::array({hook("exit 2"), hook("echo last >>$LOG")});
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const auto started = bundle_->oci({"start", "c"});
  EXPECT_FALSE(started.ok());
  EXPECT_NE(started.err.find("poststart"), std::string::npos) << started;
  EXPECT_EQ(bundle_->status("c"), "stopped");
  // Those of poststop only warn, and all of them run.
  const auto deleted = bundle_->oci({"delete", "c"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(logged(), "last\n");
}

TEST_F(OciHooks, Timeout) {
  for (const char* kind : {"createRuntime", "createContainer"}) {
    Json slow = hook("exec sleep 1000");
    slow["timeout"] = 1;
    bundle_->config["hooks"] = {{kind, Json::array({slow})}};
    bundle_->set_command({"true"});
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_NE(result.err.find("longer than 1 s"), std::string::npos) << kind << result;
  }
}

// A hook may ask for the state of the very container that waits for it.
TEST_F(OciHooks, AsksForTheState) {
  bundle_->config["hooks"]["createRuntime"] =
      Json::array({hook("cat >/dev/null; " + isle_binary("isle-oci") + " --root " +
                        (bundle_->dir() / "state") + " state c | grep '\"status\"' >>$LOG")});
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(logged().find("\"creating\""), std::string::npos) << logged();
}

TEST_F(OciHooks, PathIsTheHosts) {
  bundle_->config["hooks"]["createRuntime"] = Json::array({{{"path", "/nosuch/hook"}}});
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.err.find("/nosuch/hook"), std::string::npos) << result;
  EXPECT_NE(result.exit_code, 0);
}

}  // namespace
}  // namespace isle::test
