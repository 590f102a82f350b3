// Races: somebody who shares the image exchanges a name for a link, again and again, while a container
// is made of it. (What means harm without moving: attacks_test.cc, attacks_inside_test.cc.)
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

/// Two names of one file system that change places until this goes away.
class Exchange {
 public:
  Exchange(std::string one, std::string other)
      : thread_([this, one = std::move(one), other = std::move(other)] {
          while (!stop_)
            ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
        }) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class OciRace : public testing::Test {
 protected:
  static constexpr int kRounds = 60;
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox");
    bundle_.emplace();
    // What is not mounted over is the image's: /dev.
    bundle_->config["mounts"] =
        Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}});
    bundle_->config["root"]["readonly"] = false;
    canary_ = bundle_->dir().write("canary", "untouched");
  }
  std::optional<Bundle> bundle_;
  std::string canary_;
};

// CVE-2025-31133, CVE-2025-62161: what masks a path is the image's /dev/null, which is a link to what is to
// be written to.
TEST_F(OciRace, NullIsExchangedWhilePathsAreMasked) {
  write_file(bundle_->rootfs("/secret"), "secret");
  write_file(bundle_->rootfs("/loot"), "loot");
  ASSERT_EQ(::mknod(bundle_->rootfs("/dev/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  fs::create_symlink("/loot", bundle_->rootfs("/dev/link"));
  bundle_->config["linux"]["maskedPaths"] = {"/secret"};
  bundle_->set_command({"sh", "-c", "cat /secret; stat -c %t:%T /secret"});
  const Exchange exchange(bundle_->rootfs("/dev/null"), bundle_->rootfs("/dev/link"));
  int made = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto result = bundle_->oci({"run", "c"});
    if (!result.ok()) continue;  // it may see that something is wrong
    ++made;
    EXPECT_EQ(result.out, "1:3\n") << result;
  }
  EXPECT_GT(made, 0);
}

// CVE-2025-52565: /dev/console is the terminal, and not where a /dev/pts of the image leads.
TEST_F(OciRace, PtsIsExchangedWhileTheConsoleIsBound) {
  bundle_->config["mounts"].push_back(
      {{"destination", "/dev/pts"}, {"type", "devpts"}, {"source", "devpts"}});
  (void)bundle_->dir().make_dir("bundle/rootfs/dev/pts");
  (void)bundle_->dir().make_dir("bundle/rootfs/trap");
  for (const char* name : {"0", "1", "ptmx", "console"})
    fs::create_symlink(canary_, bundle_->rootfs("/trap/") + name);
  fs::create_directory_symlink("/trap", bundle_->rootfs("/dev/link"));
  bundle_->config["process"]["terminal"] = true;
  bundle_->set_command({"sh", "-c", "echo written >/dev/console; stat -c kind:%t /dev/console"});
  const Exchange exchange(bundle_->rootfs("/dev/pts"), bundle_->rootfs("/dev/link"));
  int made = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto result = bundle_->oci({"run", "c"}, {.pty = true});
    if (!result.ok()) continue;
    ++made;
    EXPECT_NE(result.out.find("kind:88"), std::string::npos) << result;
  }
  EXPECT_GT(made, 0);
  EXPECT_EQ(read_file(canary_), "untouched");
}

// CVE-2025-52565 and CVE-2026-88265: what /dev/console is mounted on.
TEST_F(OciRace, ConsoleIsExchangedWhileItIsMadeAndBound) {
  bundle_->config["mounts"].push_back(
      {{"destination", "/dev/pts"}, {"type", "devpts"}, {"source", "devpts"}});
  write_file(bundle_->rootfs("/dev/console"), "");
  fs::create_symlink(canary_, bundle_->rootfs("/dev/link"));
  bundle_->config["process"]["terminal"] = true;
  bundle_->set_command({"sh", "-c", "echo written >/dev/console"});
  struct stat before{};
  ASSERT_EQ(::stat(canary_.c_str(), &before), 0);
  const Exchange exchange(bundle_->rootfs("/dev/console"), bundle_->rootfs("/dev/link"));
  for (int i = 0; i < kRounds; ++i) (void)bundle_->oci({"run", "c"}, {.pty = true});
  struct stat after{};
  ASSERT_EQ(::stat(canary_.c_str(), &after), 0);
  EXPECT_EQ(read_file(canary_), "untouched");
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_EQ(after.st_mode, before.st_mode);
}

// CVE-2025-52881, CVE-2025-62596: a value for /proc goes to the kernel, and not into a tree that looks like
// /proc, whose files are links to what must not be written.
TEST_F(OciRace, ProcIsExchangedWhileItIsWrittenTo) {
  for (const char* name : {"sys/kernel", "self/attr/apparmor", "thread-self/attr", "1/attr"})
    (void)bundle_->dir().make_dir(std::string("bundle/rootfs/trap/") + name);
  for (const char* name : {"sys/kernel/shmmni", "self/attr/exec", "self/attr/apparmor/exec",
                           "thread-self/attr/exec", "1/attr/exec"})
    fs::create_symlink(canary_, bundle_->rootfs("/trap/") + name);
  fs::create_directory_symlink("/trap", bundle_->rootfs("/link"));
  bundle_->config["linux"]["sysctl"] = {{"kernel.shmmni", "99"}};
  bundle_->config["linux"]["maskedPaths"] = Json::array();
  bundle_->config["linux"]["readonlyPaths"] = Json::array();
  bundle_->set_command({"cat", "/proc/sys/kernel/shmmni"});
  const std::string host = read_file("/proc/sys/kernel/shmmni");
  const Exchange exchange(bundle_->rootfs("/proc"), bundle_->rootfs("/link"));
  int made = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto result = bundle_->oci({"run", "c"});
    if (result.ok() && result.out == "99\n") ++made;
  }
  EXPECT_GT(made, 0);
  EXPECT_EQ(read_file(canary_), "untouched");
  EXPECT_EQ(read_file("/proc/sys/kernel/shmmni"), host);
}

// The same in a container that runs: its own /proc is covered, and labels are for who is to enter it.
TEST_F(OciRace, ProcIsCoveredWhileSomebodyEnters) {
  for (const char* set : {"bounding", "effective", "permitted"})
    bundle_->config["process"]["capabilities"][set].push_back("CAP_SYS_ADMIN");
  for (const char* name : {"self", "thread-self"})
    (void)bundle_->dir().make_dir(std::string("bundle/rootfs/trap/") + name + "/attr/apparmor");
  for (const char* name : {"self/attr/exec", "self/attr/apparmor/exec", "thread-self/attr/exec",
                           "thread-self/attr/apparmor/exec"})
    write_file(bundle_->rootfs("/trap/") + name, "untouched");
  bundle_->set_command(
      {"sh", "-c", "while :; do busybox mount --bind /trap /proc; busybox umount /proc; done"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  for (int i = 0; i < kRounds; ++i) {
    (void)bundle_->oci({"exec", "--apparmor", "label", "c", "true"});
    (void)bundle_->oci({"exec", "--process-label", "label", "c", "true"});
  }
  for (const auto& entry : fs::recursive_directory_iterator(bundle_->rootfs("/trap"))) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(read_file(entry.path()), "untouched") << entry.path();
  }
}

// Why a command would not run, isle-oci looks up in the container, where a link leads by then to a file of
// the host's: what that says is nothing to tell.
TEST_F(OciRace, CommandIsExchangedWhileAHintIsLookedFor) {
  write_file(canary_, "#!/secret\n");
  fs::permissions(canary_, fs::perms(0755));
  write_file(bundle_->rootfs("/bin/text"), "text\n");
  fs::permissions(bundle_->rootfs("/bin/text"), fs::perms(0755));
  fs::create_symlink(canary_, bundle_->rootfs("/bin/link"));
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const Exchange exchange(bundle_->rootfs("/bin/text"), bundle_->rootfs("/bin/link"));
  for (int i = 0; i < 2 * kRounds; ++i) {
    const auto result = bundle_->oci({"exec", "c", "/bin/text"});
    EXPECT_NE(result.exit_code, 0);
    EXPECT_EQ(result.err.find("secret"), std::string::npos) << result;
  }
}

// CVE-2024-45310: directories on the way to a mount point are made, one of them a link out at times.
TEST_F(OciRace, ParentIsExchangedWhileMountPointsAreMade) {
  const std::string outside = bundle_->dir().make_dir("outside");
  fs::create_directory(bundle_->rootfs("/way"));
  fs::create_directory_symlink(outside, bundle_->rootfs("/out"));
  bundle_->config["mounts"].push_back({{"destination", "/way/a/b/c"},
                                       {"type", "bind"},
                                       {"source", bundle_->dir().path()},
                                       {"options", {"bind", "ro"}}});
  bundle_->set_command({"true"});
  const Fd way(::open(bundle_->rootfs("/way").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(way);
  const Exchange exchange(bundle_->rootfs("/way"), bundle_->rootfs("/out"));
  for (int i = 0; i < kRounds; ++i) {
    (void)bundle_->oci({"run", "c"});
    for (const char* name : {"a/b/c", "a/b", "a"}) ::unlinkat(way.get(), name, AT_REMOVEDIR);
  }
  EXPECT_TRUE(fs::is_empty(outside));
}

}  // namespace
}  // namespace isle::test
