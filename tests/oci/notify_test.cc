// sd_notify(3) of a container: who hears it, what of it, and who waits for it.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

/// A service manager's end of it.
class Manager {
 public:
  explicit Manager(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
      throw std::runtime_error("bind " + path);
  }

  /// The next message; "" where none comes. What comes with it is `descriptor`.
  std::string next(Fd* descriptor = nullptr) {
    pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, static_cast<int>(scaled(milliseconds{10'000}).count())) != 1) return {};
    char text[4096];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec data{text, sizeof text};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    int number = -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr)
      std::memcpy(&number, CMSG_DATA(header), sizeof number);
    Fd came(number);
    if (descriptor != nullptr) *descriptor = std::move(came);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }
  [[nodiscard]] bool has_more() const {
    pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&polled, 1, 0) == 1;
  }

 private:
  Fd socket_;
};

class OciNotify : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    path_ = bundle_->dir() / "manager";
    manager_.emplace(path_);
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): one thread
  }
  /// A script in which `say 'A=1\nB=2'` sends such a message. logger(1) writes to /dev/log what has nothing to do
  /// with it in its first line.
  void shell(const std::string& script) {
    bundle_->set_command({"sh", "-c",
                          "ln -s \"$NOTIFY_SOCKET\" /dev/log; "
                          "say() { logger \"$(printf \"x\\n$1\")\"; }; " +
                              script});
  }
  std::optional<Bundle> bundle_;
  std::string path_;
  std::optional<Manager> manager_;
};

TEST_F(OciNotify, RunHandsOnWhatAServiceSaysOfItself) {
  bundle_->map_ids(0, 1000);  // processes of other ids than who makes the container
  shell(R"(say 'MAINPID=1\nREADY=1\nSTATUS=up\rMAINPID=1'; say 'FDSTORE=1'; say 'STOPPING=1')");
  const auto result = bundle_->oci({"run", "c"});
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_EQ(manager_->next(), "READY=1\nSTATUS=up");
  EXPECT_EQ(manager_->next(), "STOPPING=1");
  EXPECT_FALSE(manager_->has_more());
  EXPECT_FALSE(std::filesystem::exists(bundle_->container_dir("c")));
}

TEST_F(OciNotify, TheContainerHasASocketOfItsOwnToWriteToOnly) {
  shell("echo $NOTIFY_SOCKET; stat -c %F $NOTIFY_SOCKET; touch ${NOTIFY_SOCKET}2");
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, path_ + "/notify\nsocket\n") << result;
  EXPECT_NE(result.err.find("Read-only"), std::string::npos) << result;
}

TEST_F(OciNotify, ARootThatHasTheManagersSocket) {
  const std::filesystem::path there = bundle_->rootfs(path_);
  std::filesystem::create_directories(there.parent_path());
  write_file(there, "");
  shell("echo $NOTIFY_SOCKET; stat -c %F $NOTIFY_SOCKET");
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "/run/notify/notify\nsocket\n") << result;
}

TEST_F(OciNotify, AVolumeThatHasTheManagersSocket) {
  const std::string directory = bundle_->dir().path();
  bundle_->config["mounts"].push_back({{"destination", directory + "/"},
                                       {"type", "bind"},
                                       {"source", directory},
                                       {"options", {"rbind"}}});
  shell("echo $NOTIFY_SOCKET; stat -c %F $NOTIFY_SOCKET");
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "/run/notify/notify\nsocket\n") << result;
}

TEST_F(OciNotify, OneThatItsConfigNamesIsItsOwnAffair) {
  bundle_->config["process"]["env"].push_back("NOTIFY_SOCKET=/other");
  shell("echo $NOTIFY_SOCKET; grep -c manager /proc/self/mountinfo");
  EXPECT_EQ(bundle_->oci({"run", "c"}).out, "/other\n0\n");
}

TEST_F(OciNotify, StartStaysUntilItIsReadyAndNamesItsProcess) {
  shell("until test -e /go; do sleep 0.01; done; say 'READY=1'; exec sleep 1000");
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  Command start({Bundle::runtime(), "--root", bundle_->dir() / "state", "start", "c"});
  EXPECT_TRUE(bundle_->becomes("c", "running"));  // and may be asked for meanwhile
  write_file(bundle_->rootfs("/go"), "");
  EXPECT_EQ(manager_->next(), "READY=1");
  const auto state = oci::Json::parse(bundle_->oci({"state", "c"}).out);
  EXPECT_EQ(manager_->next(), "MAINPID=" + std::to_string(state["pid"].get<int>()));
  {
    Fd barrier;
    EXPECT_EQ(manager_->next(&barrier), "BARRIER=1");
    EXPECT_TRUE(barrier);
  }
  EXPECT_TRUE(start.wait().ok());
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_FALSE(std::filesystem::exists(bundle_->container_dir("c")));
}

TEST_F(OciNotify, DetachedOneThatEndsBeforeItIsReadyIsWaitedForNoLonger) {
  shell("say 'STATUS=cannot'");
  const auto result = bundle_->oci({"run", "--detach", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(manager_->next(), "STATUS=cannot");
  EXPECT_FALSE(manager_->has_more());
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
}

// By default a unit's messages are its main process's only.
TEST_F(OciNotify, SystemdWaitsForAUnitOfTypeNotify) {
  ISLE_REQUIRE("systemd", "program:systemd-run");
  ::unsetenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): one thread
  shell(
      "until test -e /go; do sleep 0.1; done; say 'READY=1\\nSTATUS=up'; "
      "trap 'exit 0' TERM; while :; do sleep 0.1; done");
  bundle_->take_cgroup();
  bundle_->save();
  for (const std::string how : {"foreground", "detached"}) {
    const std::string unit = "isle-oci-test-" + std::to_string(::getpid()) + "-" + how;
    const auto shown = [&](const std::string& property) {
      return run_command({"systemctl", "show", "--value", "-p", property, unit}).out;
    };
    std::vector<std::string> argv = {"systemd-run",
                                     "--collect",
                                     "--unit=" + unit,
                                     "--property=Type=notify",
                                     "--property=WorkingDirectory=" + (bundle_->dir() / "bundle"),
                                     Bundle::runtime(),
                                     "--root",
                                     bundle_->dir() / "state",
                                     "run"};
    if (how == "detached") argv.emplace_back("--detach");
    argv.emplace_back("c");
    std::filesystem::remove(bundle_->rootfs("/go"));
    Command started(std::move(argv));
    EXPECT_TRUE(bundle_->becomes("c", "running"));
    EXPECT_EQ(shown("ActiveState"), "activating\n");
    write_file(bundle_->rootfs("/go"), "");
    const auto result = started.wait();
    EXPECT_TRUE(result.ok()) << result;
    EXPECT_EQ(shown("ActiveState"), "active\n");
    EXPECT_EQ(shown("StatusText"), "up\n");
    const auto state = oci::Json::parse(bundle_->oci({"state", "c"}).out);
    EXPECT_EQ(shown("MainPID") == std::to_string(state["pid"].get<int>()) + "\n",
              how == "detached");
    EXPECT_TRUE(run_command({"systemctl", "stop", unit}).ok());
    EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  }
}

}  // namespace
}  // namespace isle::test
