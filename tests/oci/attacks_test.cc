// Images and configurations that mean harm: each tries what once worked against a runtime.
#include <sys/stat.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;

class OciAttack : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
  }
  std::optional<Bundle> bundle_;
};

// CVE-2019-19921 and its kin: masks would cover another place than /proc.
TEST_F(OciAttack, ProcIsALinkInTheImage) {
  fs::remove(bundle_->rootfs("/proc"));
  fs::create_symlink("/tmp/elsewhere", bundle_->rootfs("/proc"));
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.exit_code, 0) << result;
  EXPECT_NE(result.err.find("/mounts/0"), std::string::npos) << result;
}

// CVE-2025-54867: the same of /sys.
TEST_F(OciAttack, SysIsALinkInTheImage) {
  const std::string outside = bundle_->dir().make_dir("outside");
  fs::remove(bundle_->rootfs("/sys"));
  fs::create_symlink(outside, bundle_->rootfs("/sys"));
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.exit_code, 0) << result;
  EXPECT_NE(result.err.find("/mounts/"), std::string::npos) << result;
  EXPECT_TRUE(fs::is_empty(outside));
}

// CVE-2019-16884: what is no proc file system stands at /proc, and labels would be written to its files.
TEST_F(OciAttack, VolumeOverProc) {
  const std::string fake = bundle_->dir().make_dir("fake");
  for (const char* name : {"fake/self/attr/apparmor", "fake/self/fd"})
    (void)bundle_->dir().make_dir(name);
  for (const char* name : {"/self/attr/exec", "/self/attr/apparmor/exec"})
    write_file(fake + name, "untouched");
  const oci::Json mounts = bundle_->config["mounts"];
  for (const char* destination : {"/proc", "/proc/", "//proc/.", "/sys/../proc", "/proc/self"}) {
    for (const oci::Json& volume :
         {oci::Json{{"type", "bind"}, {"source", fake}, {"options", {"rbind"}}},
          oci::Json{{"type", "tmpfs"}, {"source", "tmpfs"}}}) {
      bundle_->config["mounts"] = mounts;
      bundle_->config["mounts"].push_back(volume);
      bundle_->config["mounts"].back()["destination"] = destination;
      bundle_->set_command({"true"});
      const auto result = bundle_->oci({"run", "c"});
      // Below /proc it is the container's own affair: no label goes that way.
      EXPECT_EQ(result.ok(), std::string_view(destination) == "/proc/self") << result;
    }
  }
  for (const char* name : {"/self/attr/exec", "/self/attr/apparmor/exec"})
    EXPECT_EQ(read_file(fake + name), "untouched");
}

// Without the security module a label is refused: a container without it would be less than asked for.
TEST_F(OciAttack, LabelThatNobodyEnforces) {
  if (fs::exists("/sys/fs/selinux/enforce") || fs::exists("/sys/module/apparmor"))
    GTEST_SKIP() << "needs a kernel without AppArmor and SELinux";
  for (const auto& [key, value, file] :
       {std::tuple{"apparmorProfile", "strict", "attr/apparmor/exec"},
        {"selinuxLabel", "system_u:system_r:container_t:s0", "attr/exec"}}) {
    const oci::Json config = bundle_->config;
    bundle_->config["process"][key] = value;
    bundle_->set_command({"true"});
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_NE(result.err.find(value), std::string::npos) << result;
    EXPECT_NE(result.err.find(file), std::string::npos) << result;
    EXPECT_NE(result.err.find(std::string("config.json /process/") + key), std::string::npos)
        << result;
    bundle_->config = config;
  }
}

// CVE-2026-41579: links and devices made where the image's /dev leads.
TEST_F(OciAttack, DevIsALinkOutOfTheImage) {
  const std::string victim = bundle_->dir().make_dir("victim");
  write_file(victim + "/ptmx", "mine");
  fs::remove(bundle_->rootfs("/dev"));
  fs::create_symlink(victim, bundle_->rootfs("/dev"));
  bundle_->config["mounts"] =
      oci::Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}});
  bundle_->config["root"]["readonly"] = false;
  bundle_->set_command({"true"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(read_file(victim + "/ptmx"), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(victim), fs::directory_iterator()), 1);
}

// CVE-2026-88264: no mount on /dev, and a link where a device is to be.
TEST_F(OciAttack, DeviceIsALinkToAFileOfTheHost) {
  const std::string victim = bundle_->dir() / "made-by-attack";
  fs::create_symlink(victim, bundle_->rootfs("/dev/null"));
  bundle_->config["mounts"] =
      oci::Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}});
  bundle_->config["root"]["readonly"] = false;
  bundle_->set_command({"true"});
  (void)bundle_->oci({"run", "c"});
  EXPECT_FALSE(fs::exists(victim));
}

// CVE-2025-31133: what masks is the host's /dev/null, not what the image calls so.
TEST_F(OciAttack, MaskIsNotTheImagesNull) {
  write_file(bundle_->rootfs("/secret"), "secret");
  write_file(bundle_->rootfs("/decoy"), "decoy");
  fs::create_symlink("/decoy", bundle_->rootfs("/dev/null"));
  bundle_->config["linux"]["maskedPaths"].push_back("/secret");
  bundle_->set_command({"cat", "/secret"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "");
}

// What covers a file is the host's /dev/null, and stays as it is there.
TEST_F(OciAttack, MaskIsChanged) {
  write_file(bundle_->rootfs("/secret"), "secret");
  bundle_->config["linux"]["maskedPaths"].push_back("/secret");
  bundle_->set_command({"sh", "-c", "chmod 666 /secret; echo written >/secret && cat /secret"});
  struct stat before{};
  struct stat after{};
  ASSERT_EQ(::stat("/dev/null", &before), 0);
  const auto result = bundle_->oci({"run", "c"});
  ASSERT_EQ(::stat("/dev/null", &after), 0);
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("Read-only"), std::string::npos) << result;
  EXPECT_EQ(after.st_mode, before.st_mode);
}

// CVE-2024-21626: a working directory over a descriptor that is still open.
TEST_F(OciAttack, WorkingDirectoryOverADescriptor) {
  bundle_->set_command({"pwd"});
  for (int fd = 0; fd < 40; ++fd) {
    bundle_->config["process"]["cwd"] = "/proc/self/fd/" + std::to_string(fd);
    bundle_->save();
    const auto result = bundle_->oci({"run", "c"});
    EXPECT_NE(result.exit_code, 0) << fd << result;
  }
  bundle_->config["process"]["cwd"] = "/";
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  for (int fd = 0; fd < 40; ++fd) {
    const auto result =
        bundle_->oci({"exec", "--cwd", "/proc/self/fd/" + std::to_string(fd), "c", "pwd"});
    EXPECT_NE(result.exit_code, 0) << fd << result;
  }
}

// The same of the command, which may be a link of the image's: the host's program would run, and be written
// to by way of /proc/self/exe.
TEST_F(OciAttack, CommandOverADescriptor) {
  const std::string program = bundle_->dir() / "busybox";
  fs::copy_file("/usr/bin/busybox", program);
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("running").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "running"}).ok());
  const std::string link = bundle_->rootfs("/bin/busybox-evil");
  bundle_->take_cgroup();
  bundle_->set_command({"/bin/busybox-evil", "echo", "reached"});
  for (int fd = 3; fd < 24; ++fd) {
    std::string path = "/proc/self/fd/" + std::to_string(fd);
    for (int up = 0; up < 16; ++up) path += "/..";
    fs::remove(link);
    fs::create_symlink(path + program, link);
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"exec", "running", "/bin/busybox-evil", "echo", "reached"}, {"run", "c"}}) {
      const auto result = bundle_->oci(words);
      EXPECT_NE(result.exit_code, 0) << fd << result;
      EXPECT_EQ(result.out, "") << fd;
    }
  }
}

// CVE-2024-45310: a destination through a link makes nothing on the host.
TEST_F(OciAttack, DestinationThroughALink) {
  const std::string outside = bundle_->dir() / "outside";
  fs::create_symlink(outside, bundle_->rootfs("/lnk"));
  bundle_->config["mounts"].push_back({{"destination", "/lnk/a/b"},
                                       {"source", bundle_->dir().path()},
                                       {"options", {"bind", "ro"}}});
  bundle_->set_command({"true"});
  (void)bundle_->oci({"run", "c"});
  EXPECT_FALSE(fs::exists(outside));
}

// CVE-2019-18837: an absolute link in the image is a path of the image.
TEST_F(OciAttack, AbsoluteLinkIsOfTheImage) {
  const std::string outside = bundle_->dir().make_dir("outside");
  fs::create_directories(bundle_->rootfs(outside));
  fs::create_symlink(outside, bundle_->rootfs("/lnk"));
  bundle_->config["mounts"].push_back(
      {{"destination", "/lnk"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  bundle_->set_command({"sh", "-c", "echo made >/lnk/file; cat " + outside + "/file"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "made\n") << result;
  EXPECT_TRUE(fs::is_empty(outside));
}

// GHSA-g54h-m393-cpwq: the list says what is allowed; the rest is not.
TEST_F(OciAttack, DeviceThatIsNotListed) {
  bundle_->config["process"]["capabilities"]["bounding"].push_back("CAP_MKNOD");
  bundle_->config["process"]["capabilities"]["effective"].push_back("CAP_MKNOD");
  bundle_->config["process"]["capabilities"]["permitted"].push_back("CAP_MKNOD");
  bundle_->config["mounts"].push_back(
      {{"destination", "/tmp"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  bundle_->set_command({"sh", "-c", "mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_NE(result.err.find("Operation not permitted"), std::string::npos) << result;
  EXPECT_EQ(result.out, "");
}

// CVE-2016-3697: a number is an id, whatever the image's passwd says.
TEST_F(OciAttack, NumericName) {
  write_file(bundle_->rootfs("/etc/passwd"), "1000:x:0:0::/:/bin/sh\n");
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}};
  bundle_->set_command({"grep", "^Uid:", "/proc/self/status"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_EQ(result.out, "Uid:\t1000\t1000\t1000\t1000\n") << result;
}

// CVE-2022-29162: no capability is inheritable that was not asked for.
TEST_F(OciAttack, NoInheritableCapabilities) {
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  const auto result = bundle_->oci(
      {"exec", "--cap", "CAP_CHOWN", "c", "grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"});
  EXPECT_EQ(result.out, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n") << result;
}

}  // namespace
}  // namespace isle::test
