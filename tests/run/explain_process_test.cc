// Ids, limits and settings that are refused.
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "run/explain_support.h"

namespace isle {
namespace {

using test::complaint;
using test::complaint_in;
using test::must;
using test::unprivileged;

class ExplainProcess : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }
};

TEST_F(ExplainProcess, AGroupThatIsNotMapped) {
  ISLE_REQUIRE("root");
  EXPECT_SAYS(
      complaint({"--map-uid", "0:0:1", "--map-gid", "0:0:1", "--groups", "7", "--", "true"}),
      "isle: set the supplementary groups 7: Invalid argument (EINVAL)",
      "hint: group id 7 is not mapped in the sandbox (the map: 0:0:1)", "--map-gid 7:OUTSIDE:1");
}

TEST_F(ExplainProcess, GroupsOfAnOrdinaryUser) {
  const std::string own = std::to_string(unprivileged().gid);
  EXPECT_SAYS(
      complaint({"--map-gid", own + ":" + own, "--groups", "7", "--", "true"}, unprivileged()),
      "set the supplementary groups 7: Operation not permitted (EPERM)",
      "the kernel forbids setgroups");
}

TEST_F(ExplainProcess, IdsThatOurOwnUserNamespaceLacks) {
  ISLE_REQUIRE("root");
  EXPECT_SAYS(complaint_in(test::own_user_namespace, {"--map-uid", "0:0:10", "--", "true"}),
              "isle: map user ids (0 0 10): Operation not permitted (EPERM)",
              "hint: id 1 does not exist in this user namespace (its own map: 0:0:1)");
}

TEST_F(ExplainProcess, SubordinateIds) {
  ISLE_REQUIRE("root", "newuidmap");
  EXPECT_SAYS(complaint({"--map-auto", "--", "true"}, unprivileged()),
              "/etc/subuid and /etc/subgid grant none to uid", "usermod --add-subuids");
  ISLE_REQUIRE("subids");
  EXPECT_SAYS(complaint({"--map-uid", "0:777:10", "--", "true"}, test::unprivileged_with_subids()),
              "map ids with \"/usr/bin/newuidmap\" (0 777 10); it said: newuidmap: uid range",
              "hint: /etc/subuid does not grant 10 ids from 777");
}

TEST_F(ExplainProcess, NoNewPrivilegesForMappingPrograms) {
  ISLE_REQUIRE("root", "subids");
  const std::string text =
      complaint_in([] { must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs"); },
                   {"--map-auto", "--", "true"}, test::unprivileged_with_subids());
  EXPECT_SAYS(text, "no_new_privs is set on this process");
}

TEST_F(ExplainProcess, ALimitAboveTheHardOne) {
  ISLE_REQUIRE("root");
  const std::string text = complaint_in(
      [] {
        const rlimit low{1000, 1000};
        must(setrlimit(RLIMIT_NOFILE, &low), "setrlimit");
      },
      {"--rlimit", "nofile=50:2000", "--", "true"}, unprivileged());
  EXPECT_SAYS(text, "set the limit RLIMIT_NOFILE to 50:2000: Operation not permitted (EPERM)",
              "hint: the hard limit here is 1000, and raising it needs CAP_SYS_RESOURCE");
}

TEST_F(ExplainProcess, NiceAndOomScore) {
  EXPECT_SAYS(complaint({"--nice", "-5", "--", "true"}, unprivileged()), "set the nice value -5",
              "without CAP_SYS_NICE");
  ISLE_REQUIRE("root");
  const std::string text = complaint_in([] { test::write_file("/proc/self/oom_score_adj", "500"); },
                                        {"--oom-score-adj", "-500", "--", "true"}, unprivileged());
  EXPECT_SAYS(text, "set the OOM score adjustment -500: Permission denied (EACCES)",
              "lowering it needs CAP_SYS_RESOURCE");
}

TEST_F(ExplainProcess, CpusThatAreNotThere) {
  EXPECT_SAYS(complaint({"--cpus-allowed", "1000", "--", "true"}, unprivileged()),
              "choose the CPUs to run on: Invalid argument (EINVAL)",
              "hint: this process may run on CPUs ");
}

TEST_F(ExplainProcess, AWorkingDirectoryThatIsNotThere) {
  EXPECT_SAYS(complaint({"--workdir", "/no/such", "--", "true"}, unprivileged()),
              "change directory to \"/no/such\": No such file or directory (ENOENT)",
              "hint: /no does not exist");
}

TEST_F(ExplainProcess, LimitsWithoutADelegatedCgroup) {
  ISLE_REQUIRE("root");
  const std::string text = complaint({"--memory", "100M", "--", "true"}, unprivileged());
  EXPECT_SAYS(text, "cgroup", "hint: ", "exit status 125");
}

}  // namespace
}  // namespace isle
