// passwd and group of a root that nobody vouches for.
#include "cli/passwd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/pid_status.h"
#include "support/temp_dir.h"

namespace isle::cli {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "short:x:1:1\n"
    "bad:x:-1:0::/:/bin/sh\n"
    "big:x:4294967296:0::/:/bin/sh\n"
    "long:x:5:5::/:/bin/sh:more\n"
    ":x:6:6::/:/bin/sh\n"
    "www:x:33:34:www:/var/www:\n"
    "www:x:99:99:second:/:/bin/sh\n"
    "last:x:7:8::/:/bin/last";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "tape:x:26:www,other\n"
    "video:x:44:other,www\n"
    "broken:x:x:www\n"
    "wwwx:x:50:wwwx\n";

TEST(CliPasswd, UsersAreFound) {
  const auto www = find_user(kPasswd, kGroup, "www");
  ASSERT_TRUE(www);
  EXPECT_EQ(www->uid, 33U);
  EXPECT_EQ(www->gid, 34U);
  EXPECT_EQ(www->additional_gids, (std::vector<uint32_t>{26, 44}));
  EXPECT_EQ(find_user(kPasswd, "", "last")->uid, 7U);
}

TEST(CliPasswd, LinesThatMakeNoSenseArePassedOver) {
  for (const char* name : {"short", "bad", "big", "long", "", "ww", "nobody", "x"}) {
    EXPECT_FALSE(find_user(kPasswd, kGroup, name)) << name;
  }
}

TEST(CliPasswd, LinksDoNotLeadOutOfTheRoot) {
  const isle::test::TempDir dir;
  dir.write("secret", "eve:x:1:1::/:/bin/sh\n");
  dir.write("root/usr/passwd", "bob:x:5:6::/:/bin/sh\n");
  (void)dir.make_dir("root/etc");
  const std::string root = dir / "root";
  const std::string link = root + "/etc/passwd";
  EXPECT_EQ(user_from_root(root, "bob").error().code, ENOENT);
  ASSERT_EQ(::symlink("../../../../secret", link.c_str()), 0);
  EXPECT_FALSE(user_from_root(root, "eve"));
  ASSERT_EQ(::unlink(link.c_str()), 0);
  ASSERT_EQ(::symlink((dir / "secret").c_str(), link.c_str()), 0);
  EXPECT_FALSE(user_from_root(root, "eve"));
  ASSERT_EQ(::unlink(link.c_str()), 0);
  ASSERT_EQ(::symlink("/usr/passwd", link.c_str()), 0);
  EXPECT_EQ(user_from_root(root, "bob")->gid, 6U);
}

TEST(CliPasswd, OnlyRegularFilesAreRead) {
  const isle::test::TempDir dir;
  (void)dir.make_dir("etc/passwd");
  EXPECT_EQ(user_from_root(dir.path(), "bob").error().code, EINVAL);
  EXPECT_EQ(user_from_root(dir / "missing", "bob").error().code, ENOENT);
}

TEST(CliPidStatus, WhatBecomesOfSignals) {
  const SignalState state = parse_signal_state(
      "Name:\tx\nSigPnd:\tff\nShdPnd:\t0000000000000008\nSigBlk:\tffffffffffffffff\n"
      "SigIgn:\t0000000000000001\nSigCgt:\t0000000000004002\nCapInh:\t0\n");
  EXPECT_EQ(state.handled, 0x4003U);
  EXPECT_EQ(state.blocked, ~uint64_t{0});
  EXPECT_EQ(state.pending, 8U);
  EXPECT_FALSE(state.runs);
  EXPECT_EQ(parse_signal_state("").handled, 0U);
  EXPECT_TRUE(parse_signal_state("Name:\tx\nState:\tR (running)\n").runs);
  EXPECT_TRUE(parse_signal_state("Name:\tx\nState:\tD (disk sleep)\n").runs);
  EXPECT_FALSE(parse_signal_state("Name:\tState:\tR\nState:\tS (sleeping)\n").runs);
}

}  // namespace
}  // namespace isle::cli
