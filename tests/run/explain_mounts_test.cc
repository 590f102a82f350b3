// Mounts that are refused: sources, destinations, types, flags, a masked /proc.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/explain_support.h"

namespace isle {
namespace {

using test::complaint;
using test::complaint_in;
using test::TempDir;
using test::unprivileged;

class ExplainMounts : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }
};

TEST_F(ExplainMounts, SourceMissing) {
  const TempDir dir;
  EXPECT_SAYS(
      complaint({"--bind", dir / "a/b:/mnt", "--", "true"}, unprivileged()),
      "isle: bind \"" + (dir / "a/b") + "\" on \"/mnt\": No such file or directory (ENOENT)\n",
      "  asked by: argv[2] --bind\n", "  hint: " + (dir / "a") + " does not exist\n",
      "exit status 125");
}

TEST_F(ExplainMounts, SourceBehindAClosedDirectory) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  dir.write("closed/file", "");
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0700), 0);
  EXPECT_SAYS(complaint({"--bind", dir / "closed/file:/mnt", "--", "true"}, unprivileged()),
              "Permission denied (EACCES)",
              "may not go through " + (dir / "closed") + " (mode 0700");
}

TEST_F(ExplainMounts, DestinationMissingOnAReadOnlyRoot) {
  EXPECT_SAYS(complaint({"--bind", "/usr:/isle-no-such", "--", "true"}, unprivileged()),
              "make the directory \"/isle-no-such\": Read-only file system (EROFS)",
              "/isle-no-such does not exist, and the sandbox's root is read-only there",
              "--overlay makes it writable");
}

TEST_F(ExplainMounts, DestinationThroughALinkOfProc) {
  EXPECT_SAYS(complaint({"--bind", "/usr:/proc/self/root/usr", "--", "true"}, unprivileged()),
              "Too many levels of symbolic links (ELOOP)",
              "hint: /proc/self/root is a link of /proc that leads out of any root");
}

TEST_F(ExplainMounts, DestinationInACircleOfLinks) {
  TempDir dir;
  ASSERT_EQ(symlink("loop", (dir / "loop").c_str()), 0);
  dir.give_to(unprivileged());
  EXPECT_SAYS(
      complaint({"--root", dir.path(), "--bind", "/usr:/loop/usr", "--", "true"}, unprivileged()),
      "ELOOP", "hint: /loop is a loop of symbolic links");
}

TEST_F(ExplainMounts, DestinationOfTheOtherKind) {
  EXPECT_SAYS(complaint({"--bind", "/usr:/etc/passwd", "--", "true"}, unprivileged()),
              "make the directory \"/etc/passwd\": Not a directory (ENOTDIR)",
              "hint: /etc/passwd exists and is no directory");
  EXPECT_SAYS(complaint({"--bind", "/etc/passwd:/usr", "--", "true"}, unprivileged()),
              "make the file \"/usr\": Is a directory (EISDIR)",
              "hint: /usr exists and is a directory");
}

TEST_F(ExplainMounts, WhereAnOverlayCannotKeepItsChanges) {
  const TempDir dir;
  const std::string file = dir.write("file", "");
  EXPECT_SAYS(
      complaint({"--root", "/", "--overlay=" + (dir / "missing/x"), "--", "true"}, unprivileged()),
      "make the directory \"" + (dir / "missing/x/upper") + "\" on the host", "(ENOENT)",
      "asked by: argv[4] --overlay", "hint: " + (dir / "missing") + " does not exist");
  EXPECT_SAYS(complaint({"--overlay=" + file, "--", "true"}, unprivileged()), "(ENOTDIR)",
              "asked by: argv[2] --overlay", "hint: " + file + " is no directory");
}

TEST_F(ExplainMounts, AnOverlaysChangesBehindAClosedDirectory) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  (void)dir.make_dir("closed/x");
  ASSERT_EQ(chmod((dir / "closed").c_str(), 0700), 0);
  EXPECT_SAYS(complaint({"--overlay=" + (dir / "closed/x"), "--", "true"}, unprivileged()),
              "put an overlay's changes in \"" + (dir / "closed/x/upper") + "\": Permission denied",
              "may not go through " + (dir / "closed"));
}

TEST_F(ExplainMounts, UnknownFileSystem) {
  EXPECT_SAYS(
      complaint({"--mount", "type=nosuchfs,src=none,dst=/tmp", "--", "true"}, unprivileged()),
      "isle: mount \"none\" on \"/tmp\" type \"nosuchfs\": No such device (ENODEV)\n",
      "hint: this kernel knows no file system \"nosuchfs\"; see /proc/filesystems\n");
}

TEST_F(ExplainMounts, NotForUserNamespaces) {
  EXPECT_SAYS(
      complaint({"--mount", "type=ext4,src=/dev/vda,dst=/mnt", "--", "true"}, unprivileged()),
      "type \"ext4\": Operation not permitted (EPERM)",
      "hint: the kernel lets no user namespace mount ext4");
  EXPECT_SAYS(complaint({"--share", "network", "--mount", "type=sysfs,dst=/sys", "--", "true"},
                        unprivileged()),
              "type \"sysfs\": Operation not permitted (EPERM)",
              "hint: sysfs belongs to a network namespace, and the sandbox has none of its own");
}

TEST_F(ExplainMounts, TheKernelsOwnWords) {
  EXPECT_SAYS(
      complaint({"--mount", "type=tmpfs,dst=/mnt,nosuchoption=1", "--", "true"}, unprivileged()),
      "type \"tmpfs\": option \"nosuchoption=1\": Invalid argument (EINVAL)",
      "hint: the kernel says: tmpfs: Unknown parameter 'nosuchoption'");
}

TEST_F(ExplainMounts, NotRecursiveWithMountsBelow) {
  EXPECT_SAYS(complaint({"--bind", "/dev:/mnt:norec", "--", "true"}, unprivileged()),
              "bind \"/dev\" on \"/mnt\": Invalid argument (EINVAL)",
              "hint: other mounts stand on \"/dev\" (/dev/", "bind it recursively");
}

TEST_F(ExplainMounts, FlagsThatTheHostSet) {
  ISLE_REQUIRE("root");
  const TempDir dir;
  const auto bind_as = [&](const std::string& option) {
    return complaint_in(
        [&] {
          test::own_mounts();
          test::must(mount("none", dir.path().c_str(), "tmpfs", MS_NOEXEC | MS_NOATIME, nullptr),
                     "tmpfs");
        },
        {"--bind", dir.path() + ":/mnt:" + option, "--", "true"}, unprivileged());
  };
  EXPECT_SAYS(bind_as("exec"), "Operation not permitted (EPERM)",
              "is on a mount with \"noexec\" on the host, which a user namespace cannot take away");
  EXPECT_SAYS(
      bind_as("strictatime"), "Operation not permitted (EPERM)",
      "is on a mount with \"noatime\" on the host, which a user namespace cannot take away");
}

TEST_F(ExplainMounts, AMaskedProc) {
  ISLE_REQUIRE("root");
  const std::string text = complaint_in(
      [] {
        test::own_mounts();
        test::must(mount("none", "/proc/tty", "tmpfs", MS_RDONLY, nullptr), "tmpfs");
      },
      {"--", "true"}, unprivileged());
  EXPECT_SAYS(text, "on \"/proc\" type \"proc\": Operation not permitted (EPERM)",
              "hint: parts of /proc are covered (/proc/tty)", "unmask=ALL");
}

}  // namespace
}  // namespace isle
