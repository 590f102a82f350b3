// A container whose mount namespace is the host's, or one that exists: it is there with a root of its own,
// which nobody else sees, and which it does not get out of.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "isle/namespace.h"
#include "oci/bundle.h"
#include "support/fork.h"
#include "support/neighbour.h"
#include "support/own_namespaces.h"
#include "sys/mount_calls.h"
#include "sys/settings_calls.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;
using oci::Json;

constexpr uint64_t kSysChroot = uint64_t{1} << 18;
constexpr uint64_t kSysAdmin = uint64_t{1} << 21;
constexpr uint64_t kFiles = 0x1f;  // CAP_CHOWN to CAP_FSETID

std::string mount_namespace_of(const std::string& process) {
  return fs::read_symlink("/proc/" + process + "/ns/mnt");
}

std::string mounts_of_process(const std::string& process) {
  return read_file("/proc/" + process + "/mountinfo");
}

class OciMountNamespace : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    write_file(bundle_->rootfs("/mark"), "of the container\n");
    bundle_->set_command({"sleep", "1000"});
  }
  /// Its own no more; that at `path`, or the runtime's.
  void join(const std::string& path) {
    Json namespaces = Json::array();
    for (const Json& entry : bundle_->config["linux"]["namespaces"])
      if (entry["type"] != "mount") namespaces.push_back(entry);
    if (!path.empty()) namespaces.push_back({{"type", "mount"}, {"path", path}});
    bundle_->config["linux"]["namespaces"] = namespaces;
    bundle_->save();
  }
  /// Created and started; its first process's pid.
  std::string start(const std::string& id = "c") {
    const auto created = bundle_->create(id);
    EXPECT_TRUE(created.ok()) << created << bundle_->output();
    const auto started = bundle_->oci({"start", id});
    EXPECT_TRUE(started.ok()) << started;
    return pid_of(id);
  }
  std::string pid_of(const std::string& id) const {
    return std::to_string(Json::parse(bundle_->oci({"state", id}).out)["pid"].get<pid_t>());
  }
  std::string exec(const std::string& script, const std::string& id = "c") const {
    const auto result = bundle_->oci({"exec", id, "sh", "-c", script});
    return result.out + result.err;
  }
  void give(const std::string& capability) {
    for (const char* set : {"bounding", "effective", "permitted"})
      bundle_->config["process"]["capabilities"][set].push_back(capability);
  }
  /// As a process of the container, with these capabilities alone.
  static void inside(const std::string& pid, uint64_t capabilities,
                     const std::function<void()>& body) {
    expect_in_fork([&] {
      const Fd mounts(::open(("/proc/" + pid + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC));
      const Fd root(::open(("/proc/" + pid + "/root").c_str(), O_PATH | O_CLOEXEC));
      ASSERT_EQ(::setns(mounts.get(), CLONE_NEWNS), 0);
      ASSERT_EQ(::fchdir(root.get()), 0);
      ASSERT_EQ(::chroot("."), 0);
      sys::cap_user_header header;
      sys::cap_user_data sets[2];
      for (size_t i = 0; i < 2; ++i)
        sets[i].effective = sets[i].permitted = static_cast<uint32_t>(capabilities >> 32 * i);
      ASSERT_EQ(sys::capset(&header, sets), 0);
      body();
    });
  }
  std::optional<Bundle> bundle_;
};

// ---- what is asked for ------------------------------------------------------------------------------

TEST_F(OciMountNamespace, TheHostsOwn) {
  join("");
  const std::string before = mounts_of_process("self");
  const std::string pid = start();
  EXPECT_EQ(mount_namespace_of(pid), mount_namespace_of("self"));
  EXPECT_EQ(mounts_of_process("self"), before);
  EXPECT_EQ(exec("cat /mark; readlink /proc/self/ns/mnt"),
            "of the container\n" + mount_namespace_of("self") + "\n");
  // All that is mounted is there, with what is masked and read-only in it.
  EXPECT_EQ(exec("ls /sys/firmware; cat /proc/1/comm; ls /dev/pts"), "sleep\nptmx\n");
  EXPECT_NE(exec("touch /new").find("Read-only file system"), std::string::npos);
  EXPECT_NE(exec("echo 1 >/proc/sys/vm/swappiness").find("Read-only file system"),
            std::string::npos);
  EXPECT_EQ(exec("cat /proc/self/mountinfo"), "");
  // What is wrong with a command is looked up in its root, not in the host's.
  write_file(bundle_->rootfs("/bin/script"), "#!/nowhere\n");
  fs::permissions(bundle_->rootfs("/bin/script"), fs::perms(0755));
  const auto failed = bundle_->oci({"exec", "c", "/bin/script"});
  EXPECT_NE(failed.err.find("/bin/script names the interpreter /nowhere"), std::string::npos)
      << failed;
  EXPECT_EQ(mounts_of_process("self"), before);
  ASSERT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  EXPECT_EQ(mounts_of_process("self"), before);
}

TEST_F(OciMountNamespace, OneByItsPath) {
  const Neighbour neighbour({NamespaceType::mount});
  const std::string theirs = std::to_string(neighbour.pid());
  join("/proc/" + theirs + "/ns/mnt");
  const std::string before = mounts_of_process(theirs);
  const std::string own = mounts_of_process("self");
  const std::string pid = start();
  EXPECT_EQ(mount_namespace_of(pid), mount_namespace_of(theirs));
  EXPECT_EQ(exec("cat /mark; readlink /proc/self/ns/mnt"),
            "of the container\n" + mount_namespace_of(theirs) + "\n");
  EXPECT_EQ(mounts_of_process(theirs), before);
  EXPECT_EQ(mounts_of_process("self"), own);
  EXPECT_EQ(bundle_->oci({"exec", "--cwd", "/etc", "c", "pwd"}).out, "/etc\n");
}

// What it joins is another container's: that one's mounts stay as they are, and each has its own root.
TEST_F(OciMountNamespace, AnotherContainers) {
  const std::string first = start("first");
  const std::string before = mounts_of_process(first);
  bundle_->take_cgroup();
  bundle_->config["root"]["path"] = "other";
  fs::copy(bundle_->rootfs(""), bundle_->dir() / "bundle/other",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  write_file(bundle_->dir() / "bundle/other/mark", "another\n");
  join("/proc/" + first + "/ns/mnt");
  const std::string second = start("second");
  EXPECT_EQ(mount_namespace_of(second), mount_namespace_of(first));
  EXPECT_EQ(exec("cat /mark", "first"), "of the container\n");
  EXPECT_EQ(exec("cat /mark", "second"), "another\n");
  EXPECT_EQ(mounts_of_process(first), before);
  ASSERT_TRUE(bundle_->oci({"delete", "--force", "first"}).ok());
  EXPECT_EQ(exec("cat /mark /proc/1/comm", "second"), "another\nsleep\n");
}

TEST_F(OciMountNamespace, WithoutAnyNamespace) {
  bundle_->config["linux"]["namespaces"] = Json::array();
  std::erase_if(
      bundle_->config["mounts"].get_ref<Json::array_t&>(),  // whose options are the host's, then
      [](const Json& mount) { return mount["type"] == "cgroup"; });
  bundle_->config.erase("hostname");
  bundle_->config["linux"]["maskedPaths"] = {"/mark"};
  bundle_->save();
  const std::string pid = start();
  for (const char* type : {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"})
    EXPECT_EQ(fs::read_symlink("/proc/" + pid + "/ns/" + type),
              fs::read_symlink("/proc/self/ns/" + std::string(type)));
  EXPECT_EQ(exec("cat /mark; pwd; readlink /proc/self/root"), "/\n/\n");
  const auto terminal = bundle_->oci(
      {"exec", "--tty", "c", "sh", "-c", "ls $(readlink /proc/self/fd/0)"}, {.pty = true});
  EXPECT_EQ(terminal.out, "/dev/pts/0\r\n") << terminal;
}

TEST_F(OciMountNamespace, WithNoPivotAndATerminal) {
  join("");
  bundle_->config["process"]["terminal"] = true;
  bundle_->set_command({"sh", "-c", "cat /mark; tty=$(readlink /proc/self/fd/0); ls $tty"});
  const auto result = bundle_->oci({"run", "--no-pivot", "c"}, {.pty = true});
  EXPECT_EQ(result.out, "of the container\r\n/dev/pts/0\r\n") << result;
}

TEST_F(OciMountNamespace, HooksSeeWhatTheySeeElsewhere) {
  join("");
  const std::string log = bundle_->dir() / "log";
  const auto hook = [&](const std::string& script) {
    return Json::array({{{"path", "/bin/sh"}, {"args", {"sh", "-c", script}}}});
  };
  const std::string seen = "readlink /proc/self/ns/mnt >>" + log + "; ls " +
                           bundle_->rootfs("/proc/") + " | grep -c cpuinfo >>" + log + "; true";
  bundle_->config["hooks"] = {{"createRuntime", hook(seen)},
                              {"createContainer", hook(seen)},
                              {"startContainer", hook("cat /mark >>/log")}};
  bundle_->config["root"]["readonly"] = false;
  bundle_->save();
  (void)start();
  const std::string text = read_file(log);
  const std::string own = mount_namespace_of("self");
  // The runtime's, where nothing is mounted; then the one that the root is built in.
  EXPECT_EQ(text.find(own + "\n0\nmnt:"), 0U) << text;
  EXPECT_EQ(text.find(own, own.size()), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("]\n1\n")) << text;
  EXPECT_EQ(read_file(bundle_->rootfs("/log")), "of the container\n");
}

// ---- what cannot be had ----------------------------------------------------------------------------

TEST_F(OciMountNamespace, WhatIsNoMountNamespace) {
  const auto refusal = [&](const std::string& path) {
    join(path);
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_FALSE(result.ok());
    EXPECT_NE(result.err.find("config.json /linux/namespaces/"), std::string::npos) << result;
    EXPECT_EQ(bundle_->status("c"), "");
    return result.err;
  };
  EXPECT_NE(refusal("/proc/self/ns/uts").find("is a namespace of type uts"), std::string::npos);
  const std::string file = bundle_->dir().write("file", "");
  EXPECT_NE(refusal(file).find("is not a namespace"), std::string::npos);
  EXPECT_NE(refusal(file + "/none").find("join the mount namespace"), std::string::npos);
}

TEST_F(OciMountNamespace, NotWithANewUserNamespace) {
  const Json map = Json::array({{{"containerID", 0}, {"hostID", 100000}, {"size", 65536}}});
  const Neighbour neighbour({NamespaceType::mount});
  for (const std::string& path :
       {std::string(), "/proc/" + std::to_string(neighbour.pid()) + "/ns/mnt"}) {
    join(path);
    auto& namespaces = bundle_->config["linux"]["namespaces"];
    namespaces.push_back({{"type", "user"}});
    bundle_->config["linux"]["uidMappings"] = bundle_->config["linux"]["gidMappings"] = map;
    bundle_->save();
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_FALSE(result.ok());
    EXPECT_NE(result.err.find("has no rights over that one"), std::string::npos) << result;
    const size_t named = namespaces.size() - (path.empty() ? 1 : 2);
    EXPECT_NE(result.err.find("/linux/namespaces/" + std::to_string(named)), std::string::npos)
        << result;
    EXPECT_EQ(bundle_->status("c"), "");
    namespaces.erase(namespaces.size() - 1);
  }
}

// Both of them another container's: then there are rights.
TEST_F(OciMountNamespace, OfAUserNamespaceThatIsJoinedToo) {
  const Neighbour neighbour({NamespaceType::user, NamespaceType::mount}, [] { return true; });
  const std::string theirs = std::to_string(neighbour.pid());
  write_file("/proc/" + theirs + "/uid_map", "0 0 65536");
  write_file("/proc/" + theirs + "/gid_map", "0 0 65536");
  join("/proc/" + theirs + "/ns/mnt");
  bundle_->config["linux"]["namespaces"].push_back(
      {{"type", "user"}, {"path", "/proc/" + theirs + "/ns/user"}});
  bundle_->save();
  const std::string pid = start();
  EXPECT_EQ(mount_namespace_of(pid), mount_namespace_of(theirs));
  EXPECT_EQ(exec("cat /mark; readlink /proc/self/ns/mnt"),
            "of the container\n" + mount_namespace_of(theirs) + "\n");
}

TEST_F(OciMountNamespace, OfAUserNamespaceThatIsNotJoined) {
  const Neighbour user({NamespaceType::user});
  const Neighbour mounts({NamespaceType::mount});
  const std::string theirs = std::to_string(user.pid());
  write_file("/proc/" + theirs + "/uid_map", "0 0 65536");
  write_file("/proc/" + theirs + "/gid_map", "0 0 65536");
  join("/proc/" + std::to_string(mounts.pid()) + "/ns/mnt");
  bundle_->config["linux"]["namespaces"].push_back(
      {{"type", "user"}, {"path", "/proc/" + theirs + "/ns/user"}});
  bundle_->save();
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.err.find("Operation not permitted"), std::string::npos) << result;
  EXPECT_NE(result.err.find("has no rights over"), std::string::npos) << result;
}

TEST_F(OciMountNamespace, NoCheckpoint) {
  join("");
  (void)start();
  const std::string images = bundle_->dir().make_dir("images");
  const auto result = bundle_->oci({"checkpoint", "--image-path", images, "c"});
  EXPECT_NE(result.err.find("no mount namespace of its own"), std::string::npos) << result;
  EXPECT_EQ(bundle_->status("c"), "running");
  const auto restored = bundle_->oci(
      {"restore", "--image-path", images, "--bundle", bundle_->dir() / "bundle", "other"});
  EXPECT_NE(restored.err.find("no mount namespace of its own"), std::string::npos) << restored;
}

// ---- what goes in and out --------------------------------------------------------------------------

// In a mount namespace of the test's own, all of which is shared.
TEST_F(OciMountNamespace, NothingPropagates) {
  expect_in_fork([&] {
    own_mounts();
    const std::string source = bundle_->dir().make_dir("source");
    ASSERT_EQ(::mount("one", source.c_str(), "tmpfs", 0, nullptr), 0);
    fs::create_directories(source + "/later");
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), 0);
    join("");
    bundle_->config["linux"]["rootfsPropagation"] = "shared";
    bundle_->config["mounts"].push_back({{"destination", "/tmp"},
                                         {"type", "bind"},
                                         {"source", source},
                                         {"options", {"rbind", "rshared"}}});
    bundle_->config["mounts"].push_back({{"destination", "/dev/shm/kept"},
                                         {"type", "tmpfs"},
                                         {"source", "kept"},
                                         {"options", {"unbindable"}}});
    bundle_->save();
    const std::string before = mounts_of_process("self");
    const auto created = bundle_->create("c");
    ASSERT_TRUE(created.ok()) << created << bundle_->output();
    const std::string said = bundle_->output();
    EXPECT_NE(said.find("/linux/rootfsPropagation: nothing propagates"), std::string::npos) << said;
    EXPECT_NE(said.find("nothing propagates", said.find("/mounts/")), std::string::npos) << said;
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
    EXPECT_EQ(mounts_of_process("self"), before);
    ASSERT_EQ(::mount("two", (source + "/later").c_str(), "tmpfs", 0, nullptr), 0);
    write_file(source + "/later/file", "");
    EXPECT_EQ(exec("ls /tmp /tmp/later"), "/tmp:\nlater\n\n/tmp/later:\n");
    EXPECT_EQ(exec("touch /dev/shm/kept/x; ls /dev/shm/kept"), "x\n");
    ASSERT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  });
}

// ---- attacks ---------------------------------------------------------------------------------------

/// Whether this process gets above its root, by each way that does not need another namespace.
void climb() {
  const Fd top(::open("/", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(top);
  const auto at_top = [](int dir) { return ::faccessat(dir, "mark", F_OK, 0) == 0; };
  const Fd above(::openat(top.get(), "../../../..", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(above);
  EXPECT_TRUE(at_top(above.get()));
  // The classic: out of a new root by a working directory that stays outside of it.
  (void)::mkdir("/tmp/below", 0755);
  if (::chroot("/tmp/below") == 0) {
    ASSERT_EQ(::fchdir(top.get()), 0);
    for (int i = 0; i < 64; ++i) ASSERT_EQ(::chdir(".."), 0);
    EXPECT_TRUE(at_top(AT_FDCWD));
    ASSERT_EQ(::chroot("."), 0);
    EXPECT_TRUE(at_top(AT_FDCWD));
    EXPECT_NE(::access("/proc/1/root/etc/hostname", F_OK), 0);
  }
}

TEST_F(OciMountNamespace, NobodyClimbsOut) {
  join("");
  bundle_->config["root"]["readonly"] = false;
  bundle_->save();
  const std::string pid = start();
  for (const uint64_t capabilities : {uint64_t{0}, kFiles | kSysChroot})
    inside(pid, capabilities, [] {
      climb();
      const Fd mounts(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
      EXPECT_NE(::setns(mounts.get(), CLONE_NEWNS), 0);
      EXPECT_NE(::unshare(CLONE_NEWUSER), 0);
      EXPECT_NE(::unshare(CLONE_NEWNS), 0);
    });
}

// Not even with CAP_SYS_ADMIN, as long as it does not take that namespace's root.
TEST_F(OciMountNamespace, NothingIsUncovered) {
  join("");
  bundle_->config["root"]["readonly"] = false;
  fs::create_directory(bundle_->rootfs("/masked"));
  write_file(bundle_->rootfs("/masked/secret"), "secret");
  write_file(bundle_->rootfs("/fixed"), "as it was");
  bundle_->config["linux"]["maskedPaths"].push_back("/masked");
  bundle_->config["linux"]["readonlyPaths"].push_back("/fixed");
  bundle_->save();
  const std::string pid = start();
  inside(pid, kFiles | kSysChroot | kSysAdmin, [] {
    climb();
    for (const char* path : {"/masked", "/proc", "/proc/sys", "/", "/fixed"}) {
      EXPECT_NE(::umount2(path, MNT_DETACH), 0) << path;
      EXPECT_NE(::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND, nullptr), 0) << path;
      EXPECT_NE(::mount("none", path, "tmpfs", 0, nullptr), 0) << path;
      EXPECT_NE(::mount(path, "/tmp", nullptr, MS_MOVE, nullptr), 0) << path;
      EXPECT_NE(::mount(path, "/tmp", nullptr, MS_BIND, nullptr), 0) << path;
      EXPECT_LT(sys::open_tree(AT_FDCWD, path, sys::OpenTree::clone), 0) << path;
    }
    EXPECT_NE(::access("/masked/secret", F_OK), 0);
    // The mask goes along with what it is on, and stays as long as that does.
    const Fd fd(::open("/masked/..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(::rename("/masked", "/moved"), 0);
    EXPECT_NE(::access("/moved/secret", F_OK), 0);
    EXPECT_NE(::faccessat(fd.get(), "moved/secret", F_OK, 0), 0);
    EXPECT_EQ(::rmdir("/moved"), -1);
    EXPECT_LT(::open("/fixed", O_WRONLY | O_CLOEXEC), 0);
  });
  EXPECT_EQ(read_file(bundle_->rootfs("/fixed")), "as it was");
}

// CVE-2016-9962 once more: who enters is in the host's mount namespace, and neither at its root nor with
// anything of it open.
TEST_F(OciMountNamespace, WhoEntersLeadsToNoRootOfTheHost) {
  join("");
  const std::string marker = bundle_->dir().write("marker", "");
  bundle_->config["process"]["oomScoreAdj"] = 500;
  give("CAP_SYS_PTRACE");
  bundle_->set_command({"sh", "-c",
                        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; "
                        "for f in $p/root $p/cwd $p/fd/*; do "
                        "[ -e $f/../../../../../..$0 ] && echo host root by $f; done; done; done",
                        marker});
  (void)start();
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(bundle_->oci({"exec", "c", "cat", "/proc/self/oom_score_adj"}).out, "500\n");
  EXPECT_EQ(bundle_->output().substr(0, 200), "");
}

}  // namespace
}  // namespace isle::test
