// Attacks by what runs inside, or while a container is made: each tries what once worked against a
// runtime. (Images that mean harm: attacks_test.cc.)
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <filesystem>
#include <thread>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

class OciAttackInside : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  void run_idle() {
    bundle_->set_command({"sleep", "1000"});
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  }
  std::optional<Bundle> bundle_;
};

// CVE-2019-5736: the runtime's own file by /proc/PID/exe of what it starts.
TEST_F(OciAttackInside, OverwritesTheRuntime) {
  const std::string binary = isle_binary("isle-oci");
  const std::string before = read_file(binary);
  bundle_->config["root"]["readonly"] = false;
  // A command that is the runtime again, as far as /proc/self/exe of its start leads there ...
  write_file(bundle_->rootfs("/bin/evil"), "#!/proc/self/exe\n");
  fs::permissions(bundle_->rootfs("/bin/evil"), fs::perms(0755));
  // ... and one that looks at every process of the container while others are started in it.
  bundle_->set_command({"sh", "-c",
                        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || { "
                        "l=$(readlink $p/exe); case $l in *isle*) echo saw $l; "
                        "echo overwritten >$p/exe;; esac; }; done 2>/dev/null; done"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  for (int i = 0; i < 20; ++i) {
    (void)bundle_->oci({"exec", "c", "/bin/evil"});
    EXPECT_TRUE(bundle_->oci({"exec", "c", "true"}).ok());
  }
  EXPECT_TRUE(read_file(binary) == before) << "the runtime was overwritten";
  // What is seen on its way in is isle-exec's sealed memory file, never the runtime.
  EXPECT_EQ(bundle_->output().find("isle-oci"), std::string::npos) << bundle_->output();
}

// The same where no memory file can be executed, and isle-exec is a file of the host's.
TEST_F(OciAttackInside, OverwritesTheInstalledHelper) {
  if (!fs::exists("/proc/sys/vm/memfd_noexec")) GTEST_SKIP() << "needs Linux 6.3";
  bundle_->set_command({"sleep", "1000"});
  const auto result = run_command(
      {"unshare", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-ec",
       "mount -t tmpfs none /usr/local; mkdir -p /usr/local/libexec/isle; "
       "cp \"$1\" /usr/local/libexec/isle; echo 2 >/proc/sys/vm/memfd_noexec; "
       "\"$2\" --root \"$3\" create --pid-file \"$3.pid\" c </dev/null >/dev/null; "
       "exe=/proc/$(cat \"$3.pid\")/exe; readlink $exe; [ ! -w $exe ] || echo writable; "
       "\"$2\" --root \"$3\" delete --force c",
       "sh", isle_binary("isle-exec"), isle_binary("isle-oci"), bundle_->dir() / "inside"},
      {.working_dir = bundle_->dir() / "bundle"});
  EXPECT_EQ(result.out, "/isle-exec\n") << result;
}

// CVE-2016-9962: what is on its way into the container by its descriptors, root and memory.
TEST_F(OciAttackInside, LooksAtWhoEnters) {
  bundle_->set_command(
      {"sh", "-c",
       "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; "
       "case $(readlink $p/exe 2>/dev/null) in /bin/busybox) ;; *) "
       "ls -l $p/fd/ 2>/dev/null | grep -v -e 'pipe:' -e total; "
       "for f in $p/root $p/cwd $p/fd/*; do [ -e $f/../../../../../../usr/bin/env ] && "
       "echo host root by $f; done; "
       "head -c1 $p/mem 2>/dev/null;; esac; done; done"});
  bundle_->config["process"]["capabilities"]["bounding"].push_back("CAP_SYS_PTRACE");
  bundle_->config["process"]["capabilities"]["effective"].push_back("CAP_SYS_PTRACE");
  bundle_->config["process"]["capabilities"]["permitted"].push_back("CAP_SYS_PTRACE");
  bundle_->save();
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(bundle_->oci({"exec", "c", "true"}).ok());
  EXPECT_EQ(bundle_->output().find("host root"), std::string::npos) << bundle_->output();
}

// CVE-2021-30465, 2019-19921: a destination that is exchanged for a link while it is mounted on.
TEST_F(OciAttackInside, DestinationIsExchanged) {
  const std::string outside = bundle_->dir().make_dir("outside");
  write_file(outside + "/mine", "mine");
  fs::create_directory(bundle_->rootfs("/spot"));
  fs::create_directory_symlink(outside, bundle_->rootfs("/trap"));
  for (const char* name : {"/spot/a", "/spot"})
    bundle_->config["mounts"].push_back(
        {{"destination", name}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  bundle_->set_command({"true"});
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    while (!stop)
      ::renameat2(AT_FDCWD, bundle_->rootfs("/spot").c_str(), AT_FDCWD,
                  bundle_->rootfs("/trap").c_str(), RENAME_EXCHANGE);
  });
  for (int i = 0; i < 60; ++i) (void)bundle_->oci({"run", "c"});
  stop = true;
  swapper.join();
  EXPECT_EQ(std::distance(fs::directory_iterator(outside), fs::directory_iterator()), 1);
  EXPECT_EQ(read_file(outside + "/mine"), "mine");
}

// CVE-2025-52881, 2025-62596: what is written below /proc goes to /proc, whatever is mounted there.
TEST_F(OciAttackInside, SysctlGoesToNoFileOfTheImage) {
  const std::string canary = bundle_->dir() / "canary";
  write_file(canary, "untouched");
  bundle_->config["mounts"].push_back({{"destination", "/proc/sys/kernel/shmmni"},
                                       {"type", "bind"},
                                       {"source", canary},
                                       {"options", {"bind"}}});
  bundle_->config["linux"]["sysctl"] = {{"kernel.shmmni", "99"}};
  bundle_->set_command({"true"});
  (void)bundle_->oci({"run", "c"});
  EXPECT_EQ(read_file(canary), "untouched");
}

// CVE-2025-52565: the console is bound on what is in the image, and not where that leads.
TEST_F(OciAttackInside, ConsoleIsALink) {
  const std::string victim = bundle_->dir() / "victim";
  write_file(victim, "mine");
  fs::create_symlink(victim, bundle_->rootfs("/dev/console"));
  bundle_->config["mounts"] =
      Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                   {{"destination", "/dev/pts"}, {"type", "devpts"}, {"source", "devpts"}}});
  bundle_->config["root"]["readonly"] = false;
  bundle_->config["process"]["terminal"] = true;
  bundle_->set_command({"sh", "-c", "echo written >/dev/console"});
  (void)bundle_->oci({"run", "c"}, {.pty = true});
  EXPECT_EQ(read_file(victim), "mine");
}

// A container that runs says what its /dev/ptmx is: by no descriptor of who enters that of the host.
TEST_F(OciAttackInside, PtmxIsALinkOverADescriptor) {
  run_idle();
  const std::string own = bundle_->oci({"exec", "c", "stat", "-c", "%d", "/dev/pts"}).out;
  const std::vector<std::string> command = {"exec",           "-t", "c", "stat", "-Lc", "%d",
                                            "/proc/self/fd/0"};
  EXPECT_EQ(bundle_->oci(command, {.pty = true}).out.substr(0, own.size() - 1),
            own.substr(0, own.size() - 1));
  for (int fd = 3; fd < 20; ++fd) {
    std::string link = "/proc/self/fd/" + std::to_string(fd);
    for (int up = 0; up < 16; ++up) link += "/..";
    ASSERT_TRUE(
        bundle_->oci({"exec", "c", "busybox", "ln", "-sfn", link + "/dev/ptmx", "/dev/ptmx"}).ok());
    const auto result = bundle_->oci(command, {.pty = true});
    EXPECT_NE(result.exit_code, 0) << fd << result;
  }
}

// CVE-2026-30892: what is no number is no user, least of all root.
TEST_F(OciAttackInside, UserThatIsNoNumber) {
  run_idle();
  for (const char* user : {"", "0x1", "4294967296", "-1", "1:", "1:x", "root", " 1", "1 "}) {
    const auto result = bundle_->oci({"exec", "--user", user, "c", "id", "-u"});
    EXPECT_NE(result.exit_code, 0) << "'" << user << "'" << result;
    EXPECT_EQ(result.out, "") << user;
  }
  EXPECT_EQ(bundle_->oci({"exec", "--user", "1", "c", "id", "-u"}).out, "1\n");
  EXPECT_EQ(bundle_->oci({"exec", "--user", "1:2", "c", "sh", "-c", "id -u; id -g"}).out, "1\n2\n");
}

// crun 1.28: a name is one name below the root.
TEST_F(OciAttackInside, NamesThatClimb) {
  bundle_->set_command({"true"});
  for (const char* id : {"../x", "..", ".", "a/b", "", "a b", "a:b", "a\nb", "\xc3\xa4"}) {
    for (const char* verb : {"create", "start", "state", "delete"}) {
      const auto result = bundle_->oci({verb, id});
      EXPECT_NE(result.exit_code, 0) << verb << " '" << id << "'";
    }
    const auto forced = bundle_->oci({"delete", "--force", id});
    EXPECT_NE(forced.exit_code, 0) << id;
  }
  EXPECT_FALSE(fs::exists(bundle_->dir() / "x"));
}

// CVE-2021-43784: lengths are no numbers of 16 bits.
TEST_F(OciAttackInside, LongerThanAnyMessage) {
  Json map = Json::array();
  for (int i = 0; i < 200; ++i)
    map.push_back({{"containerID", i}, {"hostID", 100000 + i}, {"size", 1}});
  Json config = bundle_->config;
  bundle_->config["linux"]["namespaces"].push_back({{"type", "user"}});
  bundle_->config["linux"]["uidMappings"] = map;
  bundle_->config["linux"]["gidMappings"] = map;
  bundle_->config["linux"].erase("resources");
  bundle_->set_command({"sh", "-c", "grep -c . /proc/self/uid_map"});
  const auto many = bundle_->oci({"run", "c"});
  EXPECT_EQ(many.out, "200\n") << many;
  bundle_->config = config;
  bundle_->config["linux"]["namespaces"].push_back(
      {{"type", "time"}, {"path", "/" + std::string(70'000, 'x')}});
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("/linux/namespaces"), std::string::npos) << result.err.substr(0, 300);
}

// CVE-2023-25809: a user namespace without a cgroup namespace writes to no cgroup of the host.
TEST_F(OciAttackInside, CgroupOfTheHost) {
  Json namespaces = Json::array();
  for (const Json& entry : bundle_->config["linux"]["namespaces"])
    if (entry["type"] != "cgroup") namespaces.push_back(entry);
  namespaces.push_back({{"type", "user"}});
  bundle_->config["linux"]["namespaces"] = namespaces;
  const Json map = Json::array({{{"containerID", 0}, {"hostID", 100000}, {"size", 65536}}});
  bundle_->config["linux"]["uidMappings"] = map;
  bundle_->config["linux"]["gidMappings"] = map;
  bundle_->config["linux"].erase("resources");
  for (Json& mount : bundle_->config["mounts"])
    if (mount["type"] == "cgroup") mount["options"] = {"nosuid", "noexec", "nodev"};
  bundle_->set_command({"sh", "-c",
                        "for d in $(find /sys/fs/cgroup/*/ -type d | head -40); do "
                        "mkdir $d/by-attack 2>/dev/null && echo made $d; done; true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "");
}

// The pid file's directory may be somebody else's, who knows by what name it is written first.
TEST_F(OciAttackInside, PidFileIsALink) {
  const std::string victim = bundle_->dir().write("victim", "mine");
  const std::string pid_file = bundle_->dir() / "pid";
  fs::create_symlink(victim, bundle_->dir() / ".pid");
  fs::create_symlink(victim, pid_file);
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "--pid-file", pid_file, "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(read_file(victim), "mine");
  EXPECT_FALSE(fs::is_symlink(pid_file));
}

// Who may divide its cgroup calls the parts what it likes, and goes deeper than a path is long: what is in them
// ends, and they go.
TEST_F(OciAttackInside, CgroupsThatAreHidden) {
  std::erase_if(bundle_->config["linux"]["namespaces"].get_ref<Json::array_t&>(),
                [](const Json& entry) { return entry["type"] == "pid"; });
  run_idle();
  const Json state = Json::parse(read_file(bundle_->container_dir("c") + "/state.json"));
  const std::string top = state["cgroups"].front();
  const std::string hidden = top + "/.hidden/..and";
  fs::create_directories(hidden);
  Fd deep(::open(hidden.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string name(200, 'x');
  for (size_t size = 0; size < 2 * PATH_MAX; size += name.size()) {
    ASSERT_EQ(::mkdirat(deep.get(), name.c_str(), 0755), 0);
    deep = Fd(::openat(deep.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  const std::string pid_file = bundle_->dir() / "pid";
  ASSERT_TRUE(bundle_->oci({"exec", "-d", "--pid-file", pid_file, "c", "sleep", "1000"}).ok());
  const std::string pid = read_file(pid_file);
  write_file("/proc/self/fd/" + std::to_string(deep.get()) + "/cgroup.procs", pid);
  const auto all = Json::parse(bundle_->oci({"ps", "-f", "json", "c"}).out);
  EXPECT_EQ(all.size(), 2U) << all;
  const auto deleted = bundle_->oci({"delete", "--force", "c"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_FALSE(fs::exists(top));
  EXPECT_FALSE(fs::exists("/proc/" + pid + "/exe"));
}

// CVE-2026-41579 once more: a relative link.
TEST_F(OciAttackInside, DevIsARelativeLink) {
  const std::string victim = bundle_->dir().make_dir("bundle/victim");
  write_file(victim + "/ptmx", "mine");
  fs::remove(bundle_->rootfs("/dev"));
  fs::create_symlink("../victim", bundle_->rootfs("/dev"));
  bundle_->config["mounts"] =
      Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}});
  bundle_->config["root"]["readonly"] = false;
  bundle_->set_command({"true"});
  (void)bundle_->oci({"run", "c"});
  EXPECT_EQ(read_file(victim + "/ptmx"), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(victim), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace isle::test
