// A container's life by isle-oci's verbs, on a bundle of busybox.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

class Oci : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  std::optional<Bundle> bundle_;
};

TEST_F(Oci, RunGivesOutputAndExitCode) {
  bundle_->set_command({"sh", "-c", "echo out; echo err >&2; exit 7"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.exit_code, 7) << result;
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(bundle_->status("c"), "");
}

TEST_F(Oci, RunOfWhatIsNotThere) {
  bundle_->set_command({"nosuch"});
  const auto searched = bundle_->oci({"run", "c"});
  EXPECT_EQ(searched.exit_code, 1);
  EXPECT_NE(searched.err.find("executable file not found in $PATH"), std::string::npos) << searched;
  bundle_->set_command({"/bin/nosuch"});
  const auto by_path = bundle_->oci({"run", "c"});
  EXPECT_EQ(by_path.exit_code, 1);
  EXPECT_NE(by_path.err.find("no such file or directory"), std::string::npos) << by_path;
}

TEST_F(Oci, CreateStartKillDelete) {
  bundle_->set_command({"sh", "-c", "echo started; exec sleep 1000"});
  const std::string pid_file = bundle_->dir() / "pid";
  const auto created = bundle_->create("c", {"--pid-file", pid_file});
  ASSERT_TRUE(created.ok()) << created << bundle_->output();
  EXPECT_EQ(bundle_->status("c"), "created");
  EXPECT_EQ(bundle_->output(), "");
  EXPECT_GT(std::stoi(read_file(pid_file)), 1);

  EXPECT_NE(bundle_->create("c").exit_code, 0);
  EXPECT_NE(bundle_->output().find("already exists"), std::string::npos);
  EXPECT_EQ(bundle_->status("c"), "created");

  const auto started = bundle_->oci({"start", "c"});
  EXPECT_TRUE(started.ok()) << started;
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_FALSE(bundle_->oci({"start", "c"}).ok());
  const auto refused = bundle_->oci({"delete", "c"});
  EXPECT_NE(refused.err.find("not stopped"), std::string::npos) << refused;

  EXPECT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  const auto late = bundle_->oci({"kill", "c", "9"});
  EXPECT_NE(late.err.find("container not running"), std::string::npos) << late;
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  const auto gone = bundle_->oci({"delete", "c"});
  EXPECT_NE(gone.err.find("container does not exist"), std::string::npos) << gone;
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
}

// `run --detach` of what ends at once: it has no start time any more, and nobody may have reaped it.
TEST_F(Oci, EndedBeforeItsStartTimeWasRead) {
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(dead), &ended, WEXITED | WNOWAIT), 0);
  const std::string directory = bundle_->container_dir("z");
  std::filesystem::create_directories(directory);
  const oci::Json state = {{"id", "z"}, {"pid", dead}, {"startTime", 0}, {"started", true}};
  write_file(directory + "/state.json", state.dump());
  EXPECT_EQ(bundle_->status("z"), "stopped");
  EXPECT_TRUE(bundle_->oci({"delete", "z"}).ok());
  EXPECT_EQ(::waitpid(dead, nullptr, 0), dead);
}

TEST_F(Oci, DeleteOfOneThatWaits) {
  bundle_->set_command({"true"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "");
}

TEST_F(Oci, Exec) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto inside = bundle_->oci({"exec", "c", "sh", "-c", "readlink /proc/1/exe; exit 5"});
  EXPECT_EQ(inside.exit_code, 5) << inside;
  EXPECT_EQ(inside.out, "/bin/busybox\n");
  const auto user = bundle_->oci({"exec", "-user", "12:34", "c", "id"});
  EXPECT_EQ(user.out, "uid=12 gid=34\n") << user;
  EXPECT_EQ(bundle_->oci({"exec", "c", "nosuch"}).exit_code, 255);
  for (const char* bad : {"4294967296", "", "0x1", "1:", "-1", "root", "1 "}) {
    const auto result = bundle_->oci({"exec", std::string("--user=") + bad, "c", "id"});
    EXPECT_EQ(result.exit_code, 255) << bad << result;
  }
  const std::string process = bundle_->dir().write(
      "p.json", R"({"args":["sh","-c","echo $A"],"cwd":"/","env":["A=b","PATH=/bin"]})");
  const auto by_file = bundle_->oci({"exec", "--process", process, "c"});
  EXPECT_EQ(by_file.out, "b\n") << by_file;
}

TEST_F(Oci, ExecIntoACgroupBelow) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto state = oci::Json::parse(read_file(bundle_->container_dir("c") + "/state.json"));
  const bool v2 = missing("cgroup_v2").empty();
  const std::string below = (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids") +
                            state["cgroupPath"].get<std::string>() + "/sub";
  ASSERT_TRUE(std::filesystem::create_directory(below));
  const auto one = bundle_->oci({"exec", "--cgroup", v2 ? "/sub" : "pids:/sub", "c", "grep",
                                 v2 ? "0::" : "pids", "/proc/self/cgroup"});
  EXPECT_NE(one.out.find("/sub\n"), std::string::npos) << one;
  for (const auto& [cgroup, words] :
       {std::pair{"--cgroup=pids:../..", "bad sub cgroup path"},
        {"--cgroup=..", "bad sub cgroup path"},
        {"--cgroup=none:/", "unknown controller \"none\""},
        {"--cgroup=other", "other/cgroup.procs: no such file or directory"}}) {
    const auto refused = bundle_->oci({"exec", cgroup, "c", "true"});
    EXPECT_EQ(refused.exit_code, 255) << refused;
    EXPECT_NE(refused.err.find(words), std::string::npos) << refused;
  }
}

TEST_F(Oci, PauseAndResume) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  EXPECT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "paused");
  EXPECT_EQ(bundle_->oci({"exec", "c", "true"}).exit_code, 255);
  EXPECT_TRUE(bundle_->oci({"resume", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_TRUE(bundle_->oci({"delete", "-f", "c"}).ok());
}

// With the host's pids nobody ends with the first process; by a descriptor each, or all at once on v2.
TEST_F(Oci, AllEndWithoutAPidNamespace) {
  oci::Json namespaces = oci::Json::array();
  for (const oci::Json& entry : bundle_->config["linux"]["namespaces"])
    if (entry["type"] != "pid") namespaces.push_back(entry);
  bundle_->config["linux"]["namespaces"] = namespaces;
  bundle_->set_command({"sh", "-c",
                        "trap : TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; "
                        "while :; do wait; done"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto pids = [&] {
    return oci::Json::parse(bundle_->oci({"ps", "--format", "json", "c"}).out);
  };
  // Until it is sleep(1), a child of the shell handles TERM as the shell does.
  const auto sleeping = [&] {
    return std::ranges::count_if(pids(), [](const oci::Json& pid) {
      return read_file("/proc/" + pid.dump() + "/comm") == "sleep\n";
    });
  };
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
  while (sleeping() < 9 && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(pids().size(), 10U);
  EXPECT_TRUE(bundle_->oci({"kill", "--all", "c", "TERM"}).ok());
  while (pids().size() > 1 && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(pids().size(), 1U);
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "");
}

TEST_F(Oci, MakerKilledBeforeItKnewThePid) {
  bundle_->set_command({"true"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  // As kill -9 between the launch and the second write of state.json leaves it.
  const std::string path = bundle_->container_dir("c") + "/state.json";
  auto state = oci::Json::parse(read_file(path));
  const pid_t pid = state["pid"].get<pid_t>();
  state["pid"] = 0;
  write_file(path, state.dump());
  EXPECT_EQ(bundle_->status("c"), "created");
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  (void)reap_orphans();
  EXPECT_EQ(::kill(pid, 0), -1);
}

// A container's processes read as 0 in cgroup.procs of who is in another pid namespace, and kill(2) of
// 0 goes to all of one's own process group.
TEST_F(Oci, DeleteFromAnotherPidNamespaceIsRefused) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const auto refused =
      run_command({"setsid", "--wait", "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
                   "\"$0\" --root \"$1\" delete --force c; echo status $?", Bundle::runtime(),
                   bundle_->dir() / "state"});
  EXPECT_EQ(refused.out, "status 1\n");
  EXPECT_NE(refused.err.find("cannot be seen from this pid namespace"), std::string::npos)
      << refused;
  EXPECT_EQ(bundle_->status("c"), "created");
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
}

/// Its zombie may still wait for whoever made it.
bool has_ended(int pid) {
  if (::kill(pid, 0) < 0) return true;
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat[stat.rfind(')') + 2] == 'Z';
}

/// isle-oci as somebody whose RLIMIT_NOFILE is `most`, its output in a file: what it starts may keep that open.
CommandResult with_descriptors(const Bundle& bundle, int most,
                               const std::vector<std::string>& verb) {
  std::vector<std::string> words = {"sh",
                                    "-c",
                                    "exec >$1 2>&1; shift; ulimit -n $0; exec \"$@\"",
                                    std::to_string(most),
                                    bundle.dir() / "output",
                                    Bundle::runtime(),
                                    "--root",
                                    bundle.dir() / "state"};
  words.insert(words.end(), verb.begin(), verb.end());
  return run_command(words, {.working_dir = bundle.dir() / "bundle"});
}

TEST_F(Oci, WhatFailsForWantOfDescriptorsLeavesNothing) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers want descriptors themselves, and end what they cannot look at";
#endif
  bundle_->set_command({"true"});
  bundle_->config["process"].erase("rlimits");
  bundle_->save();
  for (const char* verb : {"run", "create"}) {
    constexpr int kEnough = 40;
    int most = 3;
    while (most < kEnough && !with_descriptors(*bundle_, most, {verb, "c"}).ok()) {
      EXPECT_FALSE(std::filesystem::exists(bundle_->container_dir("c"))) << verb << " " << most;
      EXPECT_NE(bundle_->output().find("Too many open files"), std::string::npos)
          << verb << " " << most << ": " << bundle_->output();
      ++most;
    }
    EXPECT_LT(most, kEnough) << verb;
  }
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
}

// With too few descriptors some call or other fails; none of them may be taken for the process's end.
TEST_F(Oci, WhatCannotBeLookedAtHasNotEnded) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const int pid = oci::Json::parse(bundle_->oci({"state", "c"}).out)["pid"];
  int told = 0;
  constexpr int kEnough = 12;
  for (int most = 3; most <= kEnough; ++most) {
    const auto state = with_descriptors(*bundle_, most, {"state", "c"});
    if (!state.ok()) continue;
    ++told;
    EXPECT_EQ(oci::Json::parse(bundle_->output())["status"], "running") << most;
  }
  EXPECT_GT(told, 0);
  for (int most = 3; most <= kEnough; ++most) {
    const auto deleted = with_descriptors(*bundle_, most, {"delete", "--force", "c"});
    const bool gone = has_ended(pid);
    EXPECT_EQ(deleted.ok(), gone) << most << " " << deleted;
    if (gone) break;
    EXPECT_EQ(bundle_->status("c"), "running") << most;
  }
  EXPECT_TRUE(has_ended(pid));
}

TEST_F(Oci, MakerKilledBeforeItWroteAnything) {
  std::filesystem::create_directories(bundle_->container_dir("c"));
  EXPECT_EQ(bundle_->status("c"), "stopped");
  EXPECT_FALSE(bundle_->create("c").ok());
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_EQ(bundle_->status("c"), "");
}

TEST_F(Oci, NamesAreLongerThanASocketsAddress) {
  const std::string id(200, 'x');
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create(id).ok()) << bundle_->output();
  EXPECT_TRUE(bundle_->oci({"start", id}).ok());
  EXPECT_EQ(bundle_->status(id), "running");
}

TEST_F(Oci, BadIds) {
  for (const char* id : {"../x", "a/b", ".", "..", "", "a b", "a\nb"}) {
    const auto result = bundle_->oci({"state", id});
    EXPECT_EQ(result.exit_code, 1) << id;
    EXPECT_NE(result.err.find("invalid container id"), std::string::npos) << result;
  }
  const auto slash = bundle_->oci({"state", "a/b"});
  EXPECT_NE(slash.err.find("invalid character `/` in the ID"), std::string::npos) << slash;
}

TEST_F(Oci, ListAndPs) {
  EXPECT_EQ(bundle_->oci({"list", "--format=json"}).out, "[]\n");
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  EXPECT_EQ(bundle_->oci({"list", "-q"}).out, "c\n");
  const auto pids = oci::Json::parse(bundle_->oci({"ps", "--format", "json", "c"}).out);
  EXPECT_EQ(pids.size(), 1U) << pids;
}

TEST_F(Oci, ErrorsGoToTheLog) {
  const std::string log = bundle_->dir() / "log.json";
  EXPECT_FALSE(bundle_->oci({"--log", log, "--log-format=json", "start", "nobody"}).ok());
  const auto line = oci::Json::parse(read_file(log));
  EXPECT_EQ(line["level"], "error");
  EXPECT_NE(line["msg"].get<std::string>().find("container does not exist"), std::string::npos);
  EXPECT_TRUE(line.contains("time"));
}

TEST_F(Oci, MemoryLimitIsWritten) {
  bundle_->config["linux"]["resources"]["memory"]["limit"] = 67108864;
  bundle_->set_command({"cat", Bundle::cgroup_file("memory/memory.limit_in_bytes", "memory.max")});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "67108864\n") << result;
}

TEST_F(Oci, PreservedDescriptorsAreOpenAndOthersNot) {
  bundle_->set_command({"sh", "-c", "cat <&3; ls /proc/self/fd"});
  const std::string text = bundle_->dir().write("text", "kept\n");
  const auto result = run_command(
      {"/bin/sh", "-c", "exec 3<" + text + " 4<" + text + "; exec \"$@\"", "sh", Bundle::runtime(),
       "--root", bundle_->dir() / "state", "run", "--preserve-fds", "1", "c"},
      {.working_dir = bundle_->dir() / "bundle"});
  EXPECT_EQ(result.out, "kept\n0\n1\n2\n3\n4\n") << result;  // 4: the directory that ls reads
}

// An engine that keeps single ones gives the number up to the last.
TEST_F(Oci, OfPreservedDescriptorsSomeAreNotOpen) {
  const std::string text = bundle_->dir().write("text", "kept\n");
  const auto oci = [&](std::vector<std::string> words) {
    std::vector<std::string> argv = {"/bin/sh",
                                     "-c",
                                     "exec 5<" + text + "; exec \"$@\"",
                                     "sh",
                                     "env",
                                     "LISTEN_FDS=9",
                                     Bundle::runtime(),
                                     "--root",
                                     bundle_->dir() / "state"};
    argv.insert(argv.end(), words.begin(), words.end());
    return run_command(std::move(argv), {.working_dir = bundle_->dir() / "bundle"});
  };
  // 3: the directory that ls reads. What isle-oci opens is nobody's wish.
  const std::vector<std::string> command = {"sh", "-c", "cat <&5; ls /proc/self/fd"};
  constexpr const char* kSays = "kept\n0\n1\n2\n3\n5\n";
  bundle_->set_command(command);
  const auto run = oci({"run", "--preserve-fds", "9", "c"});
  EXPECT_EQ(run.out, kSays) << run;
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  std::vector<std::string> words = {"exec", "--preserve-fds", "9", "c"};
  words.insert(words.end(), command.begin(), command.end());
  const auto exec = oci(words);
  EXPECT_EQ(exec.out, kSays) << exec;
}

// The file made for the bind is the last that was opened, and while it could be written to the root
// could not be made read-only.
TEST_F(Oci, FileIsBoundWhereAReadOnlyRootHasNone) {
  const std::string text = bundle_->dir().write("text", "bound\n");
  bundle_->config["root"]["readonly"] = true;
  bundle_->config["linux"].erase("maskedPaths");
  bundle_->config["linux"].erase("readonlyPaths");
  bundle_->config["mounts"].push_back(
      {{"destination", "/new"}, {"type", "bind"}, {"source", text}, {"options", {"bind", "ro"}}});
  bundle_->set_command({"sh", "-c", "cat /new; touch /other || echo refused"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "bound\nrefused\n") << result;
}

TEST_F(Oci, DeviceWithALastSlash) {
  bundle_->config["linux"]["devices"] = {
      {{"path", "/dev/mine/"}, {"type", "c"}, {"major", 1}, {"minor", 3}, {"uid", 7}}};
  bundle_->set_command({"stat", "-c", "%t:%T %u", "/dev/mine"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "1:3 7\n") << result;
}

TEST_F(Oci, TerminalIsOfItsOwnDevpts) {
  bundle_->config["process"]["terminal"] = true;
  bundle_->config["process"]["consoleSize"] = {{"height", 33}, {"width", 99}};
  bundle_->set_command({"sh", "-c", "readlink /proc/self/fd/0; stat -c %t:%T /dev/console"});
  const auto result = bundle_->oci({"run", "c"}, {.pty = true});
  EXPECT_EQ(result.out, "/dev/pts/0\r\n88:0\r\n") << result;
}

TEST_F(Oci, ExplainRunsNothing) {
  bundle_->save();
  const auto result = bundle_->oci({"--explain", "."});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.out.find("pivot_root"), std::string::npos);
  EXPECT_NE(result.out.find("config.json /mounts/0"), std::string::npos);
}

}  // namespace
}  // namespace isle::test
