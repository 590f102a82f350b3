// linux.seccomp: what each action, operator and flag does to a process, and who listens is told.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "isle/fd.h"
#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

class OciSeccomp : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    bundle_->config["root"]["readonly"] = false;
  }
  void profile(const char* action, Json rules) {
    bundle_->config["linux"]["seccomp"] = {{"defaultAction", action},
                                           {"syscalls", std::move(rules)}};
  }
  /// The output of a shell that makes a directory, under a rule for mkdir.
  CommandResult mkdir_under(Json rule) {
    rule["names"] = {"mkdir", "mkdirat"};
    profile("SCMP_ACT_ALLOW", Json::array({rule}));
    bundle_->set_command({"sh", "-c", "mkdir /tmp/made; echo went on"});
    return bundle_->oci({"run", "c"});
  }
  std::optional<Bundle> bundle_;
};

TEST_F(OciSeccomp, Actions) {
  const auto denied = mkdir_under({{"action", "SCMP_ACT_ERRNO"}});
  EXPECT_NE(denied.err.find("Operation not permitted"), std::string::npos) << denied;
  const auto other = mkdir_under({{"action", "SCMP_ACT_ERRNO"}, {"errnoRet", ENOSPC}});
  EXPECT_NE(other.err.find("No space left"), std::string::npos) << other;
  const auto untraced = mkdir_under({{"action", "SCMP_ACT_TRACE"}});
  EXPECT_NE(untraced.err.find("Function not implemented"), std::string::npos) << untraced;
  for (const char* deadly :
       {"SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"}) {
    const auto killed = mkdir_under({{"action", deadly}});
    EXPECT_NE(killed.err.find("Bad system call"), std::string::npos) << deadly << killed;
    EXPECT_EQ(killed.out, "went on\n");
  }
  const auto logged = mkdir_under({{"action", "SCMP_ACT_LOG"}});
  EXPECT_EQ(logged.err, "") << logged;
  EXPECT_TRUE(fs::exists(bundle_->rootfs("/tmp/made")));
}

// A profile names what its command needs. That a runtime of another make or year needs more between
// the filter and the execve is none of its business.
TEST_F(OciSeccomp, ProfileThatKnowsNoneOfOurCalls) {
  profile("SCMP_ACT_ALLOW",
          Json::array({{{"names",
                         {"openat2", "fchdir", "chdir", "umask", "close_range", "faccessat2",
                          "clone3", "setgroups", "setresuid", "setresgid", "setuid", "setgid"}},
                        {"action", "SCMP_ACT_ERRNO"}}}));
  bundle_->config["process"]["noNewPrivileges"] = false;
  bundle_->config["process"]["cwd"] = "/tmp";
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}, {"additionalGids", {2000}}};
  for (const char* set : {"bounding", "permitted", "inheritable", "effective", "ambient"})
    bundle_->config["process"]["capabilities"][set] = {"CAP_KILL"};
  bundle_->config["hooks"] = {
      {"startContainer", {{{"path", "/bin/sh"}, {"args", {"sh", "-c", "echo hook >/tmp/hook"}}}}}};
  ASSERT_EQ(::chmod(bundle_->rootfs("/tmp").c_str(), 0777), 0);
  bundle_->set_command({"sh", "-c",
                        "cat /tmp/hook; pwd; id -u; id -G; grep -E '^(Cap|Seccomp:)' "
                        "/proc/self/status | tr -s '\\n\\t' ' '"});
  const std::string expected =
      "hook\n/tmp\n1000\n1000 2000\nCapInh: 0000000000000020 CapPrm: 0000000000000020 CapEff: "
      "0000000000000020 CapBnd: 0000000000000020 CapAmb: 0000000000000020 Seccomp: 2 ";
  const auto ran = bundle_->oci({"run", "c"});
  EXPECT_EQ(ran.out, expected) << ran;
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_EQ(bundle_->output(), expected);
}

// Without the filter's privilege left over: what remains is what was asked for.
TEST_F(OciSeccomp, FilterLeavesNoPrivilegeBehind) {
  profile("SCMP_ACT_ALLOW", Json::array());
  bundle_->config["process"]["noNewPrivileges"] = false;
  bundle_->config["process"]["capabilities"] = Json::object();
  bundle_->set_command({"grep", "-E", "^Cap(Prm|Eff|Amb)", "/proc/self/status"});
  const std::string none =
      "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n";
  for (const int uid : {0, 1000}) {
    bundle_->config["process"]["user"] = {{"uid", uid}, {"gid", uid}};
    bundle_->save();
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_EQ(result.out, none) << result;
  }
}

TEST_F(OciSeccomp, EveryOperator) {
  // chmod's second argument against 0500: which of 0400, 0500, 0600 are refused.
  struct Row {
    const char* op;
    Json more;
    const char* refused;
  };
  const Row rows[] = {{"SCMP_CMP_EQ", {}, "500 "},
                      {"SCMP_CMP_NE", {}, "400 600 "},
                      {"SCMP_CMP_LT", {}, "400 "},
                      {"SCMP_CMP_LE", {}, "400 500 "},
                      {"SCMP_CMP_GT", {}, "600 "},
                      {"SCMP_CMP_GE", {}, "500 600 "},
                      {"SCMP_CMP_MASKED_EQ", 0400, "400 500 "}};
  for (const Row& row : rows) {
    Json argument = {{"index", 1}, {"value", 0500}, {"op", row.op}};
    if (!row.more.is_null())
      argument = {{"index", 1}, {"value", 0600}, {"valueTwo", row.more}, {"op", row.op}};
    profile("SCMP_ACT_ALLOW",
            Json::array(
                {{{"names", {"chmod"}},
                  {"action", "SCMP_ACT_ERRNO"},
                  {"args", Json::array({argument})}},
                 {{"names", {"fchmodat"}}, {"action", "SCMP_ACT_ERRNO"}, {"args", Json::array({[&] {
                                                                            Json same = argument;
                                                                            same["index"] = 2;
                                                                            return same;
                                                                          }()})}}}));
    bundle_->set_command({"sh", "-c",
                          "touch /tmp/f; for m in 400 500 600; do chmod $m /tmp/f 2>/dev/null || "
                          "echo -n \"$m \"; done"});
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_EQ(result.out, row.refused) << row.op << result;
  }
}

TEST_F(OciSeccomp, LoadedWithoutAndWithNewPrivileges) {
  profile("SCMP_ACT_ALLOW", Json::array({{{"names", {"reboot"}}, {"action", "SCMP_ACT_ERRNO"}}}));
  for (const bool none : {false, true}) {
    bundle_->config["process"]["noNewPrivileges"] = none;
    bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}};
    bundle_->set_command({"grep", "-E", "^(NoNewPrivs|Seccomp|CapEff):", "/proc/self/status"});
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_NE(result.out.find(none ? "NoNewPrivs:\t1\nSeccomp:\t2" : "NoNewPrivs:\t0\nSeccomp:\t2"),
              std::string::npos)
        << result;
  }
}

TEST_F(OciSeccomp, ExecHasIt) {
  profile("SCMP_ACT_ALLOW", Json::array({{{"names", {"mkdir"}}, {"action", "SCMP_ACT_ERRNO"}}}));
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto result = bundle_->oci({"exec", "c", "mkdir", "/tmp/x"});
  EXPECT_NE(result.err.find("Operation not permitted"), std::string::npos) << result;
}

TEST_F(OciSeccomp, ProgramIsKept) {
  profile("SCMP_ACT_ALLOW", Json::array({{{"names", {"mkdir"}}, {"action", "SCMP_ACT_ERRNO"}}}));
  bundle_->set_command({"mkdir", "/tmp/x"});
  const std::string directory = bundle_->container_dir("seccomp:programs");
  EXPECT_NE(bundle_->oci({"run", "c"}).exit_code, 0);
  std::vector<fs::path> kept(fs::directory_iterator(directory), {});
  ASSERT_EQ(kept.size(), 1U);
  // A file that others may write is not believed: here an empty program for the same profile.
  std::string text = read_file(kept[0]);
  const size_t program = text.find('\0') + 1;
  ASSERT_GT(program, 1U);
  const sock_filter allow{.code = 6, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW};
  write_file(kept[0], text.substr(0, program) +
                          std::string(reinterpret_cast<const char*>(&allow), sizeof allow));
  EXPECT_EQ(bundle_->oci({"run", "c"}).exit_code, 0);  // ours: it is taken as it is
  fs::remove(bundle_->rootfs("/tmp/x"));
  ASSERT_EQ(::chmod(kept[0].c_str(), 0666), 0);
  EXPECT_NE(bundle_->oci({"run", "c"}).exit_code, 0);
  EXPECT_EQ(bundle_->oci({"list", "--quiet"}).out, "");
}

/// A seccomp agent's end of `path`.
class Agent {
 public:
  explicit Agent(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (!socket_ ||
        ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(socket_.get(), 1) < 0)
      throw std::runtime_error("listen at " + path);
  }
  /// The listener of the next container, and what was said about it.
  std::pair<Fd, Json> next() {
    const Fd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::string text(65536, '\0');
    iovec data{text.data(), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{.msg_iov = &data,
                   .msg_iovlen = 1,
                   .msg_control = control,
                   .msg_controllen = sizeof control};
    const ssize_t got = ::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC);
    int number = -1;
    if (got <= 0 || CMSG_FIRSTHDR(&message) == nullptr) return {};
    std::memcpy(&number, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof number);
    return {Fd(number), Json::parse(text.substr(0, static_cast<size_t>(got)))};
  }

 private:
  Fd socket_;
};

TEST_F(OciSeccomp, ListenerGetsStateAndDescriptor) {
  const std::string path = bundle_->dir() / "agent.sock";
  Agent agent(path);
  profile("SCMP_ACT_ALLOW",
          Json::array({{{"names", {"mkdir", "mkdirat"}}, {"action", "SCMP_ACT_NOTIFY"}}}));
  bundle_->config["linux"]["seccomp"]["listenerPath"] = path;
  bundle_->config["linux"]["seccomp"]["listenerMetadata"] = "for the agent";
  bundle_->config["annotations"] = {{"who", "me"}};
  for (const bool no_new : {true, false}) {
    bundle_->config["process"]["noNewPrivileges"] = no_new;
    bundle_->set_command({"sh", "-c", "mkdir /tmp/x || echo refused"});
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    const auto [listener, told] = agent.next();
    ASSERT_TRUE(listener);
    EXPECT_EQ(told["fds"], Json::array({"seccompFd"}));
    EXPECT_EQ(told["metadata"], "for the agent");
    EXPECT_EQ(told["state"]["id"], "c");
    EXPECT_EQ(told["state"]["annotations"]["who"], "me");
    EXPECT_EQ(told["pid"], Json::parse(bundle_->oci({"state", "c"}).out)["pid"]);
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
    seccomp_notif request{};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &request), 0);
    seccomp_notif_resp answer{.id = request.id, .val = 0, .error = -EPERM, .flags = 0};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
    EXPECT_TRUE(bundle_->becomes("c", "stopped"));
    EXPECT_NE(bundle_->output().find("refused"), std::string::npos) << bundle_->output();
    EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  }
}

// Of isle-oci's own calls behind the filter one hands the listener over, sendmsg, and none writes.
TEST_F(OciSeccomp, WritesMayBeAskedAbout) {
  const std::string path = bundle_->dir() / "agent.sock";
  Agent agent(path);
  profile("SCMP_ACT_ALLOW",
          Json::array({{{"names", {"write", "writev"}}, {"action", "SCMP_ACT_NOTIFY"}}}));
  bundle_->config["linux"]["seccomp"]["listenerPath"] = path;
  for (const bool no_new : {true, false}) {
    bundle_->config["process"]["noNewPrivileges"] = no_new;
    bundle_->set_command({"sh", "-c", "echo said"});
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    const auto [listener, told] = agent.next();
    ASSERT_TRUE(listener);
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
    seccomp_notif request{};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &request), 0);
    seccomp_notif_resp answer{
        .id = request.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
    EXPECT_TRUE(bundle_->becomes("c", "stopped"));
    EXPECT_EQ(bundle_->output(), "said\n");
    EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  }
}

// The profile that podman gives its containers.
TEST_F(OciSeccomp, NobodyListens) {
  profile("SCMP_ACT_ALLOW", Json::array({{{"names", {"mkdir"}}, {"action", "SCMP_ACT_NOTIFY"}}}));
  bundle_->config["linux"]["seccomp"]["listenerPath"] = bundle_->dir() / "nobody.sock";
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("nobody.sock"), std::string::npos) << result;
  EXPECT_EQ(bundle_->status("c"), "");
}

}  // namespace
}  // namespace isle::test
