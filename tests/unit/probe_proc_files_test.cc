// The formats of /proc that several layers read.
#include <gtest/gtest.h>

#include "support/support.h"
#include "sys/proc_files.h"

namespace isle::sys {
namespace {

using Strings = std::vector<std::string>;

TEST(ReadText, GivesTheWholeOrTheErrno) {
  const test::TempDir dir;
  const std::string large(10'000, 'x');
  EXPECT_EQ(read_text(dir.write("large", large)), large);
  EXPECT_EQ(read_text(dir.write("empty", "")), "");
  EXPECT_EQ(read_text(dir / "none").error(), ENOENT);
  EXPECT_EQ(read_text(dir.path()).error(), EISDIR);
}

TEST(Words, AreSplitAtBlanks) {
  EXPECT_EQ(words("cpu  memory\tpids\n"), (Strings{"cpu", "memory", "pids"}));
  EXPECT_EQ(words(" \n"), Strings{});
}

TEST(Mountinfo, OptionalFieldsAndEscapesAreUnderstood) {
  const auto mounts = parse_mountinfo(
      "22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n"
      "36 35 98:0 /a\\040b /mnt/x\\134y rw,noatime master:1 propagate_from:2 - ext3 /dev/root "
      "rw,errors=continue\n"
      "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
      "nonsense\n"
      "40 27 0:30 / /empty\\040source ro - tmpfs  ro\n");
  ASSERT_EQ(mounts.size(), 4U);
  EXPECT_EQ(mounts[0].id, 22U);
  EXPECT_EQ(mounts[0].parent, 27U);
  EXPECT_EQ(mounts[0].options, "rw,nosuid");
  EXPECT_EQ(mounts[0].type, "proc");
  EXPECT_EQ(mounts[1].root, "/a b");
  EXPECT_EQ(mounts[1].point, "/mnt/x\\y");
  EXPECT_EQ(mounts[1].source, "/dev/root");
  EXPECT_EQ(mounts[1].super_options, "rw,errors=continue");
  EXPECT_EQ(mounts[2].point, "/");
  EXPECT_EQ(mounts[3].source, "");
}

TEST(Mountinfo, AnOptionIsAWholeWord) {
  EXPECT_TRUE(has_option("rw,cpu,cpuacct", "cpu"));
  EXPECT_TRUE(has_option("rw,cpu,cpuacct", "cpuacct"));
  EXPECT_FALSE(has_option("rw,cpuset", "cpu"));
  EXPECT_FALSE(has_option("", "cpu"));
}

TEST(CgroupFile, BothVersions) {
  const auto entries =
      parse_cgroup("4:cpu,cpuacct:/a:b\n2:name=systemd:/init.scope\n0::/user.slice\n");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].controllers, (Strings{"cpu", "cpuacct"}));
  EXPECT_EQ(entries[0].path, "/a:b");
  EXPECT_FALSE(entries[0].v2);
  EXPECT_EQ(entries[1].controllers, Strings{"name=systemd"});
  EXPECT_TRUE(entries[2].v2);
  EXPECT_EQ(entries[2].path, "/user.slice");
}

TEST(IdMapFile, IsAlignedInColumns) {
  EXPECT_EQ(parse_id_map("         0       1000          1\n         1     100000      65536\n"),
            (IdMap{{0, 1000, 1}, {1, 100000, 65536}}));
  EXPECT_EQ(parse_id_map("         0          0 4294967295\n"), (IdMap{{0, 0, 4294967295}}));
  EXPECT_EQ(parse_id_map(""), IdMap{});
}

TEST(StatusField, IsFoundByItsWholeName) {
  constexpr std::string_view kStatus = "Name:\tx\nSeccomp_filters:\t1\nSeccomp:\t2\nUmask:\t0022\n";
  EXPECT_EQ(status_field(kStatus, "Seccomp"), "2");
  EXPECT_EQ(status_field(kStatus, "Umask"), "0022");
  EXPECT_EQ(status_field(kStatus, "NoNewPrivs"), "");
}

}  // namespace
}  // namespace isle::sys
