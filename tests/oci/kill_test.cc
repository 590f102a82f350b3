// kill -9 of create, start, exec, delete, checkpoint and restore between any two of their system
// calls: delete --force always leaves nothing. (What the engine's own actors do when they are killed: tests/faults.)
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

/// Runs isle-oci up to its `count`th stop at a system call and kills it there; false: it ended before.
bool killed_after(const Bundle& bundle, const std::vector<std::string>& words, int count) {
  std::vector<std::string> argv = {isle_binary("isle-oci"), "--root", bundle.dir() / "state"};
  argv.insert(argv.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  for (std::string& word : argv) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const std::string directory = bundle.dir() / "bundle";
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    ::close_range(3, ~0U, 0);
    if (::chdir(directory.c_str()) == 0 && ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0)
      ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  for (int stops = 0;; ++stops) {
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return false;
    if (stops == count) break;
    const int signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    ::ptrace(PTRACE_SYSCALL, pid, nullptr, reinterpret_cast<void*>(static_cast<long>(signal)));
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, &status, 0);
  return true;
}

/// delete --force, with whatever is orphaned meanwhile reaped, as init(1) would: until then a pid
/// namespace that it was in does not end.
int delete_by_force(const Bundle& bundle) {
  const std::string program = isle_binary("isle-oci");
  const std::string root = bundle.dir() / "state";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(program.c_str(), "isle-oci", "--root", root.c_str(), "delete", "--force", "c", nullptr);
    ::_exit(127);
  }
  int status = 0;
  for (pid_t ended = 0; (ended = ::waitpid(-1, &status, 0)) != pid;)
    if (ended < 0) return -1;
  return status;
}

/// The cgroups are made by isle-oci, or by systemd.
class OciKill : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    if (by_systemd()) ISLE_REQUIRE("systemd", "cgroup_v2");
    bundle_.emplace();
    bundle_->config["linux"]["cgroupsPath"] =
        by_systemd() ? "system.slice:isle:kill" : "/" + cgroup();
    bundle_->config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"}};
    bundle_->set_command({"sleep", "1000"});
  }
  [[nodiscard]] static bool by_systemd() { return GetParam() == std::string_view("systemd"); }
  [[nodiscard]] static std::vector<std::string> creation() {
    if (by_systemd()) return {"create", "--systemd-cgroup", "c"};
    return {"create", "c"};
  }
  void create() const {
    const std::vector<std::string> words = creation();
    ASSERT_TRUE(bundle_->create("c", {words.begin() + 1, words.end() - 1}).ok())
        << bundle_->output();
  }
  [[nodiscard]] static std::string cgroup() {
    if (by_systemd()) return "system.slice/isle-kill.scope";
    return "isle-kill-" + std::to_string(::getpid());
  }
  [[nodiscard]] static bool has_cgroup() {
    const fs::path mount = "/sys/fs/cgroup";
    return fs::exists(mount / cgroup()) ||
           std::ranges::any_of(fs::directory_iterator(mount), [](const auto& hierarchy) {
             return fs::exists(hierarchy.path() / cgroup());
           });
  }
  /// systemd ends a scope when it has heard that nothing is left in it.
  [[nodiscard]] static bool cgroup_goes() {
    const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{5'000});
    while (by_systemd() && has_cgroup() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(milliseconds{5});
    return !has_cgroup();
  }
  /// After each kill delete --force has to leave nothing; `ready` makes what the command works on.
  template <class Ready>
  void at_every_stop(const std::vector<std::string>& words, const Ready& ready, int stride = 5) {
#ifdef __SANITIZE_ADDRESS__  // its run-time makes most of the calls, and each stop takes long
    stride *= 6;
#endif
    constexpr int kMost = 20'000;
    int killed = 0;
    bool more = true;
    for (int count = 1; more && count < kMost; count += stride) {
      ready();
      more = killed_after(*bundle_, words, count);
      if (more) ++killed;
      const std::string phase = bundle_->status("c");
      ASSERT_TRUE(!fs::exists(bundle_->container_dir("c")) || !phase.empty())
          << words[0] << " killed at stop " << count;
      ASSERT_EQ(delete_by_force(*bundle_), 0) << words[0] << " killed at stop " << count;
      ASSERT_FALSE(fs::exists(bundle_->container_dir("c"))) << words[0] << " at " << count;
      ASSERT_TRUE(cgroup_goes()) << words[0] << " killed at stop " << count;
      (void)reap_orphans();
    }
    EXPECT_FALSE(more);
    EXPECT_GT(killed, 5) << words[0];
  }
  std::optional<Bundle> bundle_;
};

TEST_P(OciKill, Create) {
  at_every_stop(creation(), [] {});
}

TEST_P(OciKill, Start) {
  at_every_stop({"start", "c"}, [&] { create(); });
}

TEST_P(OciKill, Exec) {
  at_every_stop({"exec", "--detach", "c", "sleep", "1000"}, [&] {
    create();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  });
}

TEST_P(OciKill, Delete) {
  at_every_stop({"delete", "--force", "c"}, [&] {
    create();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  });
}

/// Where it makes no difference who makes the cgroup.
class OciKillByCgroupfs : public OciKill {};

/// What answers as criu does, without a container's memory: a dump ends what it dumps, a restore
/// starts something in the cgroups it was put into. `first` has the pid to end.
std::string made_up_criu(const Bundle& bundle, const std::string& first) {
  const std::string path =
      bundle.dir().write("criu", "#!/usr/bin/busybox sh\nfirst=" + first + R"sh(
exec 3<&$2 4>&$2
get() { dd bs=65536 count=1 <&3 2>/dev/null | od -An -tx1 | tr -d ' \n'; }
byte() { printf '\\%03o' "$1"; }
case "$(get)" in
0801*)
  kill -9 "$(cat "$first")"
  printf '\010\001\020\001' >&4 ;;
0802*)
  sleep 1000 3<&- 4>&- >/dev/null 2>&1 &
  pid=$(byte $(($! & 127 | 128)))$(byte $(($! >> 7 & 127 | 128)))$(byte $(($! >> 14)))
  printf "\010\006\052\026\012\020setup-namespaces\020$pid" >&4
  get >/dev/null
  printf "\010\002\020\001\042\004\010$pid" >&4 ;;
esac
)sh");
  fs::permissions(path, fs::perms(0755));
  return path;
}

// Nothing of a root that is for the host's mount namespace is ever mounted there.
TEST_P(OciKillByCgroupfs, InTheHostsMountNamespace) {
  Json namespaces = Json::array();
  for (const Json& entry : bundle_->config["linux"]["namespaces"])
    if (entry["type"] != "mount") namespaces.push_back(entry);
  bundle_->config["linux"]["namespaces"] = namespaces;
  bundle_->save();
  const std::string mounts = read_file("/proc/self/mountinfo");
  at_every_stop(creation(), [] {}, 11);
  at_every_stop(
      {"exec", "--detach", "c", "sleep", "1000"},
      [&] {
        create();
        ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
      },
      11);
  EXPECT_EQ(read_file("/proc/self/mountinfo"), mounts);
}

TEST_P(OciKillByCgroupfs, Checkpoint) {
  const std::string first = bundle_->dir() / "first";
  const std::string criu = made_up_criu(*bundle_, first);
  const std::vector<std::string> words = {
      "checkpoint", "--criu", criu, "--image-path", bundle_->dir() / "images", "c"};
  const auto ready = [&] {
    ASSERT_TRUE(bundle_->create("c", {"--pid-file", first}).ok());
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  };
  ready();
  const auto whole = bundle_->oci(words);
  ASSERT_TRUE(whole.ok()) << whole;
  ASSERT_EQ(bundle_->status("c"), "");
  at_every_stop(words, ready, 11);
}

TEST_P(OciKillByCgroupfs, Restore) {
  const std::vector<std::string> words = {"restore",
                                          "--criu",
                                          made_up_criu(*bundle_, "/dev/null"),
                                          "--image-path",
                                          bundle_->dir().make_dir("images"),
                                          "--detach",
                                          "c"};
  const auto whole = bundle_->oci(words);
  ASSERT_TRUE(whole.ok()) << whole;
  ASSERT_EQ(bundle_->status("c"), "running");
  ASSERT_EQ(delete_by_force(*bundle_), 0);
  at_every_stop(words, [] {}, 11);
}

// The kernel keeps the first process of a pid namespace until all of it are reaped; who exec put there
// has its parent outside, which here looks after it when all is over.
TEST_P(OciKillByCgroupfs, DeadProcessThatNobodyReaps) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const Json state = Json::parse(read_file(bundle_->container_dir("c") + "/state.json"));
  const std::string pid_file = bundle_->dir() / "exec.pid";
  ASSERT_TRUE(bundle_->oci({"exec", "--detach", "--pid-file", pid_file, "c", "true"}).ok());
  const std::string stat = "/proc/" + read_file(pid_file) + "/stat";
  while (read_file(stat).find(") Z ") == std::string::npos) ::usleep(1000);
  const auto deleted = bundle_->oci({"delete", "--force", "c"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_NE(read_file(stat).find(") Z "), std::string::npos);
  EXPECT_EQ(bundle_->status("c"), "");
  for (const Json& cgroup : state["cgroups"]) EXPECT_FALSE(fs::exists(cgroup)) << cgroup;
  (void)reap_orphans();
}

// Somebody else's freezer of v1 holds it: kill -9 alone would not end it.
TEST_P(OciKillByCgroupfs, FrozenInAnotherCgroup) {
  const std::string frozen = "/sys/fs/cgroup/freezer/isle-test-" + std::to_string(::getpid());
  if (!fs::exists("/sys/fs/cgroup/freezer/cgroup.procs")) GTEST_SKIP() << "no freezer of cgroup v1";
  ASSERT_TRUE(fs::create_directory(frozen));
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const Json state = Json::parse(bundle_->oci({"state", "c"}).out);
  write_file(frozen + "/cgroup.procs", std::to_string(state["pid"].get<int>()));
  write_file(frozen + "/freezer.state", "FROZEN");
  const auto deleted = bundle_->oci({"delete", "--force", "c"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(bundle_->status("c"), "");
  write_file(frozen + "/freezer.state", "THAWED");
  (void)reap_orphans();
  EXPECT_TRUE(fs::remove(frozen));
}

// One after another, whatever the order: one of them makes it, the other is told.
TEST_P(OciKill, TwoAtOnce) {
  const std::string program = isle_binary("isle-oci") + " --root " + (bundle_->dir() / "state");
  const std::string flag = by_systemd() ? " --systemd-cgroup" : "";
  for (int i = 0; i < 10; ++i) {
    const auto result = run_command({"/bin/sh", "-c",
                                     "for i in 1 2 3; do (" + program + " create" + flag +
                                         " c </dev/null >/dev/null 2>&1; echo $?) & done; wait"},
                                    {.working_dir = bundle_->dir() / "bundle"});
    EXPECT_EQ(std::ranges::count(result.out, '0'), 1) << result;
    EXPECT_EQ(std::ranges::count(result.out, '1'), 2) << result;
    const auto deleted =
        run_command({"/bin/sh", "-c",
                     "for i in 1 2 3; do (" + program + " delete --force c; echo $?) & done; wait"},
                    {});
    EXPECT_EQ(deleted.out, "0\n0\n0\n") << deleted;
    EXPECT_EQ(bundle_->status("c"), "");
  }
}

INSTANTIATE_TEST_SUITE_P(, OciKill, testing::Values("cgroupfs", "systemd"),
                         [](const auto& each) { return std::string(each.param); });
INSTANTIATE_TEST_SUITE_P(, OciKillByCgroupfs, testing::Values("cgroupfs"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace isle::test
