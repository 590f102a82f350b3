// Subordinate ids: /etc/subuid, /etc/passwd, newuidmap, as made-up files.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "run/probe.h"
#include "support/support.h"

namespace isle::probe {
namespace {

using Ranges = std::vector<SubIdRange>;

TEST(SubIds, LinesGoByNameOrByNumber) {
  constexpr std::string_view kText =
      "# comment\nalice:100000:65536\n1000:300000:10\nbob:165536:65536\nalice:400000:0\n"
      "alice:x:1\n:500000:1\nalice:500000:5";
  EXPECT_EQ(parse_subids(kText, 1000, "alice"),
            (Ranges{{100000, 65536}, {300000, 10}, {500000, 5}}));
  EXPECT_EQ(parse_subids(kText, 1000, ""), (Ranges{{300000, 10}}));
  EXPECT_EQ(parse_subids(kText, 1001, "carol"), Ranges{});
}

TEST(SubIds, OnlyWhatOurOwnUserNamespaceHas) {
  const Ranges granted{{100000, 65536}, {500, 10}};
  EXPECT_EQ(mapped_part(granted, {}), granted);
  EXPECT_EQ(mapped_part(granted, {{0, 1000, 1}, {1, 200000, 65535}}), (Ranges{{500, 10}}));
  EXPECT_EQ(mapped_part(granted, {{0, 0, 110000}}), (Ranges{{100000, 10000}, {500, 10}}));
  EXPECT_EQ(mapped_part(granted, {{0, 0, 4294967295}}), granted);
}

TEST(SubIds, LoginNameIsReadFromPasswd) {
  const test::TempDir root;
  root.write("etc/passwd",
             "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n");
  EXPECT_EQ(login_name(1000, root.path()), "alice");
  EXPECT_EQ(login_name(100, root.path()), "");
  EXPECT_EQ(login_name(1000, root / "none"), "");
}

// A tree with newuidmap and newgidmap of the given mode, where alice (1000) has ranges.
test::TempDir tree_with_programs(mode_t mode) {
  test::TempDir root;
  root.write("etc/passwd", "alice:x:1000:1000::/home/alice:/bin/sh\n");
  root.write("etc/subuid", "alice:100000:65536\n");
  root.write("etc/subgid", "alice:200000:65536\n");
  for (const char* name : {"opt/bin/newuidmap", "opt/bin/newgidmap"}) {
    const std::string path = root.write(name, "", 0755);
    if (chmod(path.c_str(), mode) != 0) throw std::runtime_error("chmod");
  }
  return root;
}

Host alice() {
  Host host;
  host.uid = 1000;
  host.gid = 1000;
  host.environment = {"HOME=/home/alice", "PATH=relative:/none:/opt/bin"};
  return host;
}

TEST(SubIds, RangesAndTheProgramsThatMapThem) {
  const test::TempDir root = tree_with_programs(04755);
  Host host = alice();
  look_up_subids({}, host, root.path());
  EXPECT_EQ(host.subuid, (Ranges{{100000, 65536}}));
  EXPECT_EQ(host.subgid, (Ranges{{200000, 65536}}));
  EXPECT_EQ(host.newuidmap, "/opt/bin/newuidmap");
  EXPECT_EQ(host.newgidmap, "/opt/bin/newgidmap");
}

TEST(SubIds, AProgramWithoutRightsOfItsOwnDoesNotCount) {
  const test::TempDir root = tree_with_programs(0755);
  Host host = alice();
  look_up_subids({}, host, root.path());
  EXPECT_EQ(host.newuidmap, "");
}

TEST(SubIds, NoneWithNoNewPrivileges) {
  const test::TempDir root = tree_with_programs(04755);
  EXPECT_TRUE(test::in_fork([&] {
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    Host host = alice();
    look_up_subids({}, host, root.path());
    EXPECT_EQ(host.newuidmap, "");
    EXPECT_NE(host.no_mapping_programs.find("no_new_privs"), std::string::npos);
  }));
}

TEST(SubIds, AreLookedUpOnlyForSpecsThatMayUseThem) {
  Spec spec;
  EXPECT_FALSE(may_use_subids(spec, 1000)) << "no user namespace";
  spec.namespaces.push_back({.type = NamespaceType::user});
  EXPECT_TRUE(may_use_subids(spec, 1000));
  EXPECT_FALSE(may_use_subids(spec, 0));
  spec.uid_mappings = Asked<IdMap>{{{0, 1000, 1}}};
  spec.use_subordinate_ids = false;
  EXPECT_TRUE(may_use_subids(spec, 1000)) << "a map of one's own goes through newuidmap, too";
  EXPECT_FALSE(may_use_subids(spec, 0));
  spec.map_auto.value = true;
  EXPECT_TRUE(may_use_subids(spec, 0));
}

}  // namespace
}  // namespace isle::probe
