// checkpoint and restore, by criu; and what is told, and left as it was, where that fails.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

/// A container that counts, into a file of its root and to its standard output.
class OciCounter : public testing::Test {
 protected:
  void make_bundle() {
    bundle_.emplace();
    bundle_->config["root"]["readonly"] = false;
    bundle_->set_command({"sh", "-c",
                          "i=0; while :; do i=$((i+1)); echo $i >/tmp/new; "
                          "busybox mv /tmp/new /tmp/count; echo $i; sleep 0.05; done"});
  }
  [[nodiscard]] int count() const {
    return static_cast<int>(
        std::strtol(read_file(bundle_->rootfs("/tmp/count")).c_str(), nullptr, 10));
  }
  [[nodiscard]] bool counts_past(int number) const {
    const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
    while (!fs::exists(bundle_->rootfs("/tmp/count")) || count() <= number) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(milliseconds{5});
    }
    return true;
  }
  void start(const std::vector<std::string>& more = {}) {
    bundle_->save();
    ASSERT_TRUE(bundle_->create("c", more).ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
    ASSERT_TRUE(counts_past(2));
  }
  [[nodiscard]] std::string images() const { return bundle_->dir() / "images"; }
  [[nodiscard]] CommandResult checkpoint(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"checkpoint", "--image-path", images()};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("c");
    return bundle_->oci(words);
  }
  /// With the files that Bundle::create gave: criu wants them as long as they were.
  [[nodiscard]] CommandResult restore(const std::vector<std::string>& more = {},
                                      const std::string& id = "c") const {
    std::vector<std::string> argv = {"/bin/sh",
                                     "-c",
                                     "out=$1; shift; exec \"$@\" </dev/null >>\"$out\" 2>&1",
                                     "sh",
                                     bundle_->dir() / "output",
                                     Bundle::runtime(),
                                     "--root",
                                     bundle_->dir() / "state",
                                     "restore",
                                     "--image-path",
                                     images(),
                                     "--detach"};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.push_back(id);
    CommandResult result = run_command(std::move(argv), {.working_dir = bundle_->dir() / "bundle"});
    result.err = bundle_->output();
    return result;
  }
  std::optional<Bundle> bundle_;
};

// ---- where criu is not there, or gives up ---------------------------------------------------------

class OciCheckpointFailure : public OciCounter {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox");
    make_bundle();
  }
};

TEST_F(OciCheckpointFailure, FlagsAreKnown) {
  EXPECT_TRUE(bundle_->oci({"checkpoint", "--help"}).ok());
  const auto flag = bundle_->oci({"restore", "--lsm-mount-context"});
  EXPECT_NE(flag.err.find("flag needs an argument"), std::string::npos) << flag;
  for (const char* id : {"checkpoint", "restore"}) {
    const auto nobody = bundle_->oci({id, "--image-path", bundle_->dir() / "none", "../x"});
    EXPECT_NE(nobody.err.find("invalid container id"), std::string::npos) << nobody;
  }
  EXPECT_FALSE(fs::exists(bundle_->dir() / "none"));
}

TEST_F(OciCheckpointFailure, NoCriu) {
  start();
  const auto refused = checkpoint({"--criu", "no-such-criu"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("criu is not installed: no \"no-such-criu\" in PATH"),
            std::string::npos)
      << refused;
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_TRUE(counts_past(count()));

  bundle_->take_cgroup();
  const auto restored = restore({"--criu", "no-such-criu"}, "d");
  EXPECT_NE(restored.err.find("criu is not installed"), std::string::npos) << restored;
  EXPECT_EQ(bundle_->status("d"), "");
  const auto same = restore();
  EXPECT_NE(same.err.find("already exists"), std::string::npos) << same;
  EXPECT_EQ(bundle_->status("c"), "running");
}

TEST_F(OciCheckpointFailure, CriuEndsWithoutAnAnswer) {
  start();
  const auto failed = checkpoint({"--criu", "/bin/false"});
  EXPECT_NE(failed.err.find("criu failed to dump: it ended without an answer"), std::string::npos)
      << failed;
  EXPECT_EQ(bundle_->status("c"), "running");
  const auto same = restore({"--criu", "/bin/false"}, "d");
  EXPECT_NE(same.err.find("container's cgroup is not empty"), std::string::npos) << same;
  EXPECT_EQ(bundle_->status("c"), "running");
  bundle_->take_cgroup();
  const auto restored = restore({"--criu", "/bin/false"}, "d");
  EXPECT_NE(restored.err.find("criu failed to restore"), std::string::npos) << restored;
  EXPECT_EQ(bundle_->status("d"), "");
  EXPECT_TRUE(counts_past(count()));
}

TEST_F(OciCheckpointFailure, ValuesThatAreNone) {
  start();
  for (const auto& [flag, value, expected] :
       {std::tuple{"--manage-cgroups-mode", "softly", "expected ignore, none, props, soft"},
        {"--network-lock", "", "expected iptables"},
        {"--empty-ns", "pid", "expected network"},
        {"--status-fd", "x", "expected a number"},
        {"--status-fd", "99", "--status-fd 99: Bad file descriptor"},
        {"--page-server", "localhost", "expected ADDRESS:PORT"},
        {"--page-server", "localhost:70000", "expected a number up to 65535"},
        {"--parent-path", "/abs", "relative"},
        {"--parent-path", "../none", "No such file or directory"}}) {
    const auto refused = checkpoint({flag, value});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find(expected), std::string::npos) << refused;
  }
  EXPECT_EQ(bundle_->status("c"), "running");
}

TEST_F(OciCheckpointFailure, NotRunning) {
  bundle_->save();
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const auto refused = checkpoint();
  EXPECT_NE(refused.err.find("container not running: it is created"), std::string::npos) << refused;
  EXPECT_FALSE(fs::exists(images()));
}

// A socket whose other end is outside; on a kernel that criu does not know it gives up before.
TEST_F(OciCheckpointFailure, CriuSaysWhyAndTheContainerGoesOn) {
  ISLE_REQUIRE("program:criu");
  bundle_->save();
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const Fd here(ends[0]);
  const Fd there(ends[1]);
  Command run(
      {Bundle::runtime(), "--root", bundle_->dir() / "state", "run", "--preserve-fds", "1", "c"},
      {.working_dir = bundle_->dir() / "bundle", .descriptors = {{there.get(), 3}}});
  ASSERT_TRUE(counts_past(2));
  const std::string log = bundle_->dir() / "log";
  std::vector<std::string> words = {
      "--log",  log,           "--log-format",          "json", "checkpoint", "--image-path",
      images(), "--work-path", bundle_->dir() / "work", "c"};
  const auto failed = bundle_->oci(words);
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_NE(failed.err.find("criu failed to dump: "), std::string::npos) << failed;
  EXPECT_NE(failed.err.find(bundle_->dir() / "work/dump.log"), std::string::npos) << failed;
  const std::string told = Json::parse(read_file(log))["msg"];
  EXPECT_NE(told.find(bundle_->dir() / "work/dump.log"), std::string::npos) << told;
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_TRUE(counts_past(count()));
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
}

// ---- where it works -------------------------------------------------------------------------------

class OciCheckpoint : public OciCounter {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "criu");
    make_bundle();
  }
};

TEST_F(OciCheckpoint, GoesOnWhereItWas) {
  start();
  const auto dumped = checkpoint();
  ASSERT_TRUE(dumped.ok()) << dumped;
  EXPECT_EQ(bundle_->status("c"), "");
  const int before = count();
  const std::string pid_file = bundle_->dir() / "pid";
  const auto restored = restore({"--pid-file", pid_file});
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_TRUE(counts_past(before));
  EXPECT_EQ(bundle_->status("c"), "running");

  const auto state = Json::parse(bundle_->oci({"state", "c"}).out);
  EXPECT_EQ(state["pid"], std::stoi(read_file(pid_file)));
  const auto own = Json::parse(read_file(bundle_->container_dir("c") + "/state.json"));
  const std::string cgroup = own["cgroupPath"];
  EXPECT_NE(read_file("/proc/" + read_file(pid_file) + "/cgroup").find(cgroup), std::string::npos);
  const auto inside = bundle_->oci({"exec", "c", "sh", "-c", "cat /proc/1/comm; cat /proc/kcore"});
  EXPECT_EQ(inside.out, "sh\n") << inside;
  EXPECT_TRUE(bundle_->oci({"pause", "c"}).ok());
  EXPECT_TRUE(bundle_->oci({"resume", "c"}).ok());
  EXPECT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  for (const Json& directory : own["cgroups"])
    EXPECT_FALSE(fs::exists(directory.get<std::string>())) << directory;
}

// Where the host is a container itself, its /dev/null, which covers masked paths, is on a tmpfs.
TEST_F(OciCheckpoint, DevicesOfTheHostOnATmpfs) {
  const auto result = run_command(
      {"unshare", "--mount", "--propagation", "private", "sh", "-ec",
       "mount -t tmpfs -o dev isle /mnt; mknod -m 666 /mnt/null c 1 3\n"
       "mount --bind /mnt/null /dev/null\n"
       "isle() { \"$runtime\" --root \"$dir/state\" \"$@\" </dev/null >>\"$dir/output\" 2>&1; }\n"
       "runtime=$0 dir=$1; isle create c; isle start c\n"
       "isle checkpoint --image-path \"$dir/images\" c\n"
       "isle restore --image-path \"$dir/images\" --detach c\n"
       "\"$runtime\" --root \"$dir/state\" exec c cat /proc/timer_list /proc/1/comm",
       Bundle::runtime(), bundle_->dir().path()},
      {.working_dir = bundle_->dir() / "bundle"});
  EXPECT_TRUE(result.ok()) << result << bundle_->output();
  EXPECT_EQ(result.out, "sh\n");
}

TEST_F(OciCheckpoint, LeftRunningAndRestoredBesideItself) {
  bundle_->set_command({"sh", "-c", "while :; do echo $((i+=1)) >/tmp/count; sleep 0.05; done"});
  start();
  const auto dumped = checkpoint({"--leave-running"});
  ASSERT_TRUE(dumped.ok()) << dumped;
  EXPECT_EQ(bundle_->status("c"), "running");
  EXPECT_TRUE(counts_past(count()));
  bundle_->take_cgroup();
  const auto restored = restore({}, "d");
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(bundle_->status("d"), "running");
  const auto pid = [&](const char* id) {
    return std::to_string(Json::parse(bundle_->oci({"state", id}).out)["pid"].get<int>());
  };
  EXPECT_NE(read_file("/proc/" + pid("c") + "/cgroup"), read_file("/proc/" + pid("d") + "/cgroup"));
}

TEST_F(OciCheckpoint, IntoAScopeOfSystemd) {
  ISLE_REQUIRE("systemd");
  bundle_->config["linux"]["cgroupsPath"] = "system.slice:isle:checkpoint";
  bundle_->save();
  const auto command = [&](const char* verb, const char* flag) {
    return run_command(
        {"/bin/sh", "-c", "cd $0; out=$1; shift; exec \"$@\" </dev/null >>\"$out\" 2>&1",
         bundle_->dir() / "bundle", bundle_->dir() / "output", Bundle::runtime(), "--root",
         bundle_->dir() / "state", "--systemd-cgroup", verb, flag, "--image-path", images(), "c"});
  };
  ASSERT_TRUE(command("create", "--debug").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  ASSERT_TRUE(counts_past(2));
  ASSERT_TRUE(command("checkpoint", "--debug").ok()) << bundle_->output();
  const int before = count();
  ASSERT_TRUE(command("restore", "--detach").ok()) << bundle_->output();
  EXPECT_TRUE(counts_past(before));
  const auto pid = Json::parse(bundle_->oci({"state", "c"}).out)["pid"].get<int>();
  EXPECT_NE(read_file("/proc/" + std::to_string(pid) + "/cgroup")
                .find("/system.slice/isle-checkpoint.scope"),
            std::string::npos);
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_FALSE(fs::exists("/sys/fs/cgroup/system.slice/isle-checkpoint.scope"));
}

// The pipes of who restores, and its exit status.
TEST_F(OciCheckpoint, PipesAndExitStatus) {
  const auto command = [&](const std::vector<std::string>& words) {
    std::vector<std::string> argv = {Bundle::runtime(), "--root", bundle_->dir() / "state"};
    argv.insert(argv.end(), words.begin(), words.end());
    return argv;
  };
  const CommandOptions options{.working_dir = bundle_->dir() / "bundle", .keep_input_open = true};
  bundle_->save();
  Command run(command({"run", "c"}), options);
  ASSERT_TRUE(run.expect("3\n"));
  const auto dumped = checkpoint();
  ASSERT_TRUE(dumped.ok()) << dumped;
  EXPECT_EQ(run.wait().shell_status(), 128 + 9);
  const int before = count();
  Command again(command({"restore", "--image-path", images(), "c"}), options);
  EXPECT_TRUE(again.expect(std::to_string(before + 2) + "\n")) << again.error_output();
  EXPECT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  EXPECT_EQ(again.wait().shell_status(), 128 + 9);
  EXPECT_EQ(bundle_->status("c"), "");
}

TEST_F(OciCheckpoint, VolumesAreThoseOfTheNewBundle) {
  write_file(bundle_->dir() / "old", "old");
  write_file(bundle_->dir() / "new", "new");
  fs::create_symlink("etc", bundle_->rootfs("/link"));
  (void)bundle_->dir().make_dir("volume");
  const auto add = [&](const char* destination, const std::string& source) {
    bundle_->config["mounts"].push_back({{"destination", destination},
                                         {"type", "bind"},
                                         {"source", source},
                                         {"options", {"rbind", "rprivate"}}});
    return bundle_->config["mounts"].size() - 1;
  };
  const size_t file = add("/link/hosts", bundle_->dir() / "old");
  add("/volume", bundle_->dir() / "volume");
  start();
  ASSERT_TRUE(checkpoint().ok());
  bundle_->config["mounts"][file]["source"] = bundle_->dir() / "new";
  bundle_->save();
  const auto restored = restore();
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(bundle_->oci({"exec", "c", "cat", "/etc/hosts"}).out, "new");
  EXPECT_TRUE(bundle_->oci({"exec", "c", "touch", "/volume/made"}).ok());
  EXPECT_TRUE(fs::exists(bundle_->dir() / "volume/made"));
}

TEST_F(OciCheckpoint, InStages) {
  start();
  const std::string first = bundle_->dir() / "first";
  const auto before = bundle_->oci({"checkpoint", "--pre-dump", "--image-path", first, "c"});
  ASSERT_TRUE(before.ok()) << before;
  EXPECT_EQ(bundle_->status("c"), "running");
  const auto dumped =
      checkpoint({"--parent-path", "../first", "--work-path", bundle_->dir() / "w"});
  ASSERT_TRUE(dumped.ok()) << dumped;
  const int count_before = count();
  const auto restored = restore();
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_TRUE(counts_past(count_before));
}

// A failed restore leaves nothing, and can be tried again.
TEST_F(OciCheckpoint, ImagesThatAreDamaged) {
  start();
  ASSERT_TRUE(checkpoint().ok());
  fs::rename(images() + "/pstree.img", images() + "/away");
  const std::string output = bundle_->output();
  const auto failed = restore({"--work-path", bundle_->dir() / "work"});
  EXPECT_NE(failed.err.find("criu failed to restore: "), std::string::npos) << failed;
  EXPECT_NE(failed.err.find(bundle_->dir() / "work/restore.log"), std::string::npos) << failed;
  EXPECT_EQ(bundle_->status("c"), "");
  fs::rename(images() + "/away", images() + "/pstree.img");
  const auto by_pipe = bundle_->oci({"restore", "--image-path", images(), "--detach", "c"});
  EXPECT_NE(by_pipe.err.find("descriptor 0, which was a file"), std::string::npos) << by_pipe;
  write_file(bundle_->dir() / "output", output);
  const auto restored = restore();
  EXPECT_TRUE(restored.ok()) << restored;
}

/// Where a runtime sends a terminal's master.
class ConsoleSocket {
 public:
  explicit ConsoleSocket(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (!socket_ ||
        ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(socket_.get(), 1) < 0)
      ADD_FAILURE() << "listen at " << path;
  }
  [[nodiscard]] Fd master() const {
    const Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char text[64];
    iovec data{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) < 0) return Fd();
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header != nullptr) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return Fd(fd);
  }

 private:
  Fd socket_;
};

std::string read_until(const Fd& fd, const std::string& wanted) {
  std::string text;
  char buffer[256];
  while (text.find(wanted) == std::string::npos) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
    if (size <= 0) break;
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

TEST_F(OciCheckpoint, Terminal) {
  bundle_->config["process"]["terminal"] = true;
  bundle_->set_command(
      {"sh", "-c", "echo 3 >/tmp/count; while read line; do echo said $line; done"});
  const ConsoleSocket first(bundle_->dir() / "s1");
  start({"--console-socket", bundle_->dir() / "s1"});
  {
    const Fd master = first.master();
    ASSERT_TRUE(master);
    ASSERT_EQ(::write(master.get(), "one\n", 4), 4);
    EXPECT_NE(read_until(master, "said one").find("said one"), std::string::npos);
    const auto dumped = checkpoint();
    ASSERT_TRUE(dumped.ok()) << dumped;
  }
  const auto refused = restore();
  EXPECT_NE(refused.err.find("--console-socket"), std::string::npos) << refused;
  EXPECT_EQ(bundle_->status("c"), "");
  const ConsoleSocket second(bundle_->dir() / "s2");
  const auto restored = restore({"--console-socket", bundle_->dir() / "s2"});
  ASSERT_TRUE(restored.ok()) << restored;
  const Fd master = second.master();
  ASSERT_TRUE(master);
  ASSERT_EQ(::write(master.get(), "two\n", 4), 4);
  EXPECT_NE(read_until(master, "said two").find("said two"), std::string::npos);
}

// A network namespace that is an engine's stays the engine's, and may be another one.
TEST_F(OciCheckpoint, NetworkNamespaceByPath) {
  ISLE_REQUIRE("netns");
  Command holder({"unshare", "--net", "sleep", "1000"});
  Command other({"unshare", "--net", "sleep", "1000"});
  const auto net = [](const Command& command) {
    return "/proc/" + std::to_string(command.pid()) + "/ns/net";
  };
  const auto is_new = [&](const Command& command) {
    const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
    while (fs::read_symlink(net(command)) == fs::read_symlink("/proc/self/ns/net"))
      if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
  };
  ASSERT_TRUE(is_new(holder) && is_new(other));
  const auto set_path = [&](const std::string& path) {
    for (Json& entry : bundle_->config["linux"]["namespaces"])
      if (entry["type"] == "network") entry["path"] = path;
    bundle_->save();
  };
  set_path(net(holder));
  start();
  const auto dumped = checkpoint();
  ASSERT_TRUE(dumped.ok()) << dumped;
  set_path(net(other));
  const auto restored = restore();
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(bundle_->oci({"exec", "c", "readlink", "/proc/1/ns/net"}).out,
            fs::read_symlink(net(other)).string() + "\n");
}

}  // namespace
}  // namespace isle::test
