// Annotations that ask for something, and options of mounts, as crun's users write them.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

using oci::Json;

class OciAnnotations : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    bundle_->config["root"]["readonly"] = false;
  }
  void annotate(const std::string& key, const std::string& value) {
    bundle_->config["annotations"] = {{key, value}};
  }
  CommandResult run_shell(const std::string& script) {
    bundle_->set_command({"sh", "-c", script});
    return bundle_->oci({"run", "c"});
  }
  /// What `words` of isle-oci say, called by somebody who is in two more groups.
  [[nodiscard]] CommandResult in_groups(const std::vector<std::string>& words) const {
    std::vector<std::string> argv = {"setpriv", "--groups=3001,3002", Bundle::runtime(), "--root",
                                     bundle_->dir() / "state"};
    argv.insert(argv.end(), words.begin(), words.end());
    return run_command(argv, {.working_dir = bundle_->dir() / "bundle"});
  }
  std::optional<Bundle> bundle_;
};

// Groups that nobody maps are shown as nobody's, and still open what they may.
TEST_F(OciAnnotations, GroupsThatAreNotMappedAreKept) {
  ISLE_REQUIRE("program:setpriv");
  const std::string shared = bundle_->dir().make_dir("shared");
  write_file(shared + "/text", "theirs\n");
  ASSERT_EQ(::chown(shared.c_str(), 0, 3001), 0);
  ASSERT_EQ(::chmod(shared.c_str(), 0750), 0);
  bundle_->config["mounts"].push_back(
      {{"destination", "/mnt"}, {"type", "bind"}, {"source", shared}, {"options", {"bind"}}});
  bundle_->config["linux"]["namespaces"].push_back({{"type", "user"}});
  for (const char* key : {"uidMappings", "gidMappings"})
    bundle_->config["linux"][key] = {{{"containerID", 0}, {"hostID", 100000}, {"size", 10}}};
  for (Json& mount : bundle_->config["mounts"])
    if (mount["type"] == "devpts")
      std::erase(mount["options"].get_ref<Json::array_t&>(), Json("gid=5"));
  ASSERT_EQ(::chown(bundle_->rootfs("").c_str(), 100000, 100000), 0);
  for (const auto& entry : std::filesystem::directory_iterator(bundle_->rootfs("")))
    ASSERT_EQ(::chown(entry.path().c_str(), 100000, 100000), 0);
  for (const std::string& path : {std::string(bundle_->dir().path()), bundle_->dir() / "bundle"})
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  bundle_->set_command({"cat", "/mnt/text"});
  EXPECT_NE(in_groups({"run", "c"}).err.find("Permission denied"), std::string::npos);
  annotate("run.oci.keep_original_groups", "1");
  bundle_->save();
  const auto kept = in_groups({"run", "c"});
  EXPECT_EQ(kept.out, "theirs\n") << kept;
}

TEST_F(OciAnnotations, HooksWriteToFiles) {
  const std::string out = bundle_->dir() / "hooks.out";
  const std::string err = bundle_->dir() / "hooks.err";
  bundle_->config["annotations"] = {{"run.oci.hooks.stdout", out}, {"run.oci.hooks.stderr", err}};
  for (const char* kind : {"prestart", "createRuntime", "poststart", "poststop"})
    bundle_->config["hooks"][kind] = {
        {{"path", "/bin/sh"}, {"args", {"sh", "-c", "echo $0; echo no $0 >&2", kind}}}};
  bundle_->set_command({"sh", "-c", "echo command; echo its error >&2"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  ASSERT_TRUE(bundle_->oci({"delete", "c"}).ok());
  EXPECT_EQ(read_file(out), "prestart\ncreateRuntime\npoststart\npoststop\n");
  EXPECT_EQ(read_file(err), "no prestart\nno createRuntime\nno poststart\nno poststop\n");
  EXPECT_EQ(bundle_->output(), "command\nits error\n");

  bundle_->config["annotations"] = {{"run.oci.hooks.stdout", "/no/such/directory/file"}};
  bundle_->save();
  const auto refused = bundle_->oci({"run", "c"});
  EXPECT_NE(refused.err.find("run.oci.hooks.stdout"), std::string::npos) << refused;
  EXPECT_EQ(bundle_->status("c"), "");
}

#ifdef SYS_mkdir
constexpr uint32_t kMkdir = SYS_mkdir;
#else
constexpr uint32_t kMkdir = SYS_mkdirat;
#endif

std::string base64(const std::string& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t j = i; j < i + 3; ++j)
      three = three << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0U);
    for (size_t j = 0; j < 4; ++j)
      text += i + j > bytes.size() ? '=' : kDigits[three >> (18 - 6 * j) & 63];
  }
  return text;
}

TEST_F(OciAnnotations, FilterAsAProgram) {
  // mkdir fails with ENOSPC; the command is of this machine's own architecture.
  const sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMkdir, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  // In place of the profile, which would refuse it with another errno.
  bundle_->config["linux"]["seccomp"] = {
      {"defaultAction", "SCMP_ACT_ALLOW"},
      {"syscalls", {{{"names", {"mkdir", "mkdirat"}}, {"action", "SCMP_ACT_ERRNO"}}}}};
  annotate("run.oci.seccomp_bpf_data",
           base64({reinterpret_cast<const char*>(program), sizeof program}));
  const auto result = run_shell("mkdir /tmp/made");
  EXPECT_NE(result.err.find("No space left"), std::string::npos) << result;
  for (const char* wrong : {"", "AAAA", "?AAAAAAAAAA=", "AAAAAAAAAAAAAAA="}) {
    annotate("run.oci.seccomp_bpf_data", wrong);
    const auto refused = run_shell("true");
    EXPECT_NE(refused.err.find("run.oci.seccomp_bpf_data: found"), std::string::npos) << refused;
  }
}

TEST_F(OciAnnotations, SystemCallThatNobodyKnows) {
  bundle_->config["linux"]["seccomp"] = {
      {"defaultAction", "SCMP_ACT_ALLOW"},
      {"syscalls", {{{"names", {"no_such_call"}}, {"action", "SCMP_ACT_ERRNO"}}}}};
  EXPECT_EQ(run_shell("echo ran").out, "ran\n");
  annotate("run.oci.seccomp_fail_unknown_syscall", "1");
  const auto refused = run_shell("echo ran");
  EXPECT_EQ(refused.out, "");
  EXPECT_NE(refused.err.find("there is no system call \"no_such_call\""), std::string::npos)
      << refused;
}

TEST_F(OciAnnotations, WhatIsNotToBeHadIsSaid) {
  annotate("run.oci.handler", "wasm");
  EXPECT_NE(run_shell("echo ran").err.find("no handler \"wasm\""), std::string::npos);
  annotate("run.oci.seccomp.plugins", "/lib/plugin.so");
  EXPECT_NE(run_shell("echo ran").err.find("loads no plugins"), std::string::npos);
  annotate("run.oci.mount_context_type", "othercontext");
  EXPECT_NE(run_shell("echo ran").err.find("found \"othercontext\""), std::string::npos);
  annotate("run.oci.delegate-cgroup", "below");
  const auto warned = run_shell("echo ran");
  EXPECT_EQ(warned.out, "ran\n");
  EXPECT_NE(warned.err.find("run.oci.delegate-cgroup"), std::string::npos) << warned;
}

TEST_F(OciAnnotations, UnsafeOnesAreTold) {
  const Json features = Json::parse(bundle_->oci({"features"}).out);
  const Json& told = features["potentiallyUnsafeConfigAnnotations"];
  for (const char* key : {"run.oci.", "org.criu.config", "org.systemd.property."})
    EXPECT_NE(std::find(told.begin(), told.end(), key), told.end()) << key;
}

TEST_F(OciAnnotations, IdmapWithMapsInTheOption) {
  ISLE_REQUIRE("idmap");
  const std::string source = bundle_->dir().make_dir("source");
  for (const uint32_t id : {5U, 12U}) {
    const std::string file = source + "/" + std::to_string(id);
    write_file(file, "");
    ASSERT_EQ(::chown(file.c_str(), id, id), 0);
  }
  const auto shown = [&](const std::string& option) {
    bundle_->config["mounts"].push_back({{"destination", "/mnt"},
                                         {"type", "bind"},
                                         {"source", source},
                                         {"options", {"bind", option}}});
    auto result = run_shell("stat -c '%u:%g' /mnt/5 /mnt/12 | tr '\\n' ' '");
    bundle_->config["mounts"].erase(bundle_->config["mounts"].size() - 1);
    return result;
  };
  EXPECT_EQ(shown("idmap=uids=0-100-10#10-200-10;gids=0-300-20").out, "105:305 202:312 ");
  EXPECT_EQ(shown("ridmap=uids=0-100-20").out, "105:5 112:12 ");
  for (const char* wrong : {"idmap=uids=0-1", "idmap=uids=0-x-1", "idmap=ids=0-0-1",
                            "idmap=uids=@0-0-1", "idmap=uids=0-0-1-2"}) {
    const auto refused = shown(wrong);
    EXPECT_NE(refused.err.find("FILE-HOST-COUNT"), std::string::npos) << wrong << refused;
  }
}

}  // namespace
}  // namespace isle::test
