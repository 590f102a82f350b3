// isle.h as a C program uses it.
#include "isle/isle.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <string>

#include "isle/run.h"
#include "isle/version.h"
#include "support/neighbour.h"
#include "support/sandbox.h"
#include "support/support.h"

using isle::NamespaceType;
using isle::test::in_fork;
using isle::test::Neighbour;

namespace {

/// The error's code; frees it.
int code_of(isle_error* error) {
  const int code = error == nullptr ? -1 : isle_error_code(error);
  isle_error_free(error);
  return code;
}

TEST(CInterface, TypesAndVersion) {
  EXPECT_EQ(isle_version(), isle::kVersion);
  for (const isle::NamespaceTypeInfo& info : isle::kNamespaceTypeTable) {
    const auto type = static_cast<isle_type>(info.type);
    EXPECT_EQ(isle_type_flag(type), info.clone_flag);
    EXPECT_EQ(isle_type_name(type), info.name);
  }
  EXPECT_EQ(isle_type_flag(ISLE_ANY), 0U);
  EXPECT_EQ(isle_type_name(ISLE_ANY), nullptr);
  EXPECT_EQ(isle_type_flag(ISLE_USER), static_cast<uint64_t>(CLONE_NEWUSER));
}

TEST(CInterface, HandlesAndErrors) {
  ISLE_REQUIRE("root");
  EXPECT_TRUE(in_fork([] {
    const Neighbour neighbour({NamespaceType::uts, NamespaceType::pid});
    ASSERT_TRUE(neighbour.ready());
    isle_error* error = nullptr;
    isle_namespace* theirs = isle_namespace_of_process(neighbour.pid(), ISLE_UTS, &error);
    isle_namespace* ours = isle_namespace_of_self(ISLE_UTS, &error);
    ASSERT_TRUE(theirs != nullptr && ours != nullptr);
    EXPECT_EQ(isle_namespace_equal(ours, theirs), 0);
    EXPECT_EQ(isle_namespace_type(theirs), ISLE_UTS);
    EXPECT_EQ(isle_namespace_inode(theirs), neighbour.ns(NamespaceType::uts).inode());
    isle_namespace* owner = isle_namespace_owner(theirs, &error);
    ASSERT_NE(owner, nullptr);
    EXPECT_EQ(isle_namespace_type(owner), ISLE_USER);

    int result = 0;
    const auto is_inside = [](void* argument) {
      isle_namespace* here = isle_namespace_of_self(ISLE_UTS, nullptr);
      const int equal = isle_namespace_equal(here, static_cast<isle_namespace*>(argument));
      isle_namespace_free(here);
      return equal;
    };
    ASSERT_EQ(isle_in(&theirs, 1, is_inside, theirs, &result, &error), 0);
    EXPECT_EQ(result, 1);
    EXPECT_EQ(is_inside(theirs), 0);
    isle_namespace* pid = isle_namespace_of_process(neighbour.pid(), ISLE_PID, &error);
    EXPECT_EQ(isle_namespace_pid_in(pid, neighbour.pid(), &error), 1);
    EXPECT_EQ(isle_namespace_pid_from(pid, 1, &error), neighbour.pid());
    EXPECT_EQ(error, nullptr);

    EXPECT_EQ(isle_namespace_parent(theirs, &error), nullptr);
    ASSERT_NE(error, nullptr);
    EXPECT_NE(std::string(isle_error_message(error)).find("(EINVAL)"), std::string::npos);
    EXPECT_EQ(code_of(error), EINVAL);
    error = nullptr;
    EXPECT_EQ(isle_namespace_of_process(0x3fffffff, ISLE_UTS, &error), nullptr);
    EXPECT_EQ(code_of(error), ENOENT);
    error = nullptr;
    EXPECT_EQ(isle_namespace_of_self(ISLE_ANY, &error), nullptr);
    EXPECT_EQ(code_of(error), EINVAL);
    EXPECT_EQ(isle_namespace_of_path("/dev/null", ISLE_ANY, nullptr), nullptr);
    isle_namespace* any = isle_namespace_of_path("/proc/self/ns/net", ISLE_ANY, nullptr);
    EXPECT_EQ(isle_namespace_type(any), ISLE_NETWORK);

    EXPECT_EQ(isle_namespace_enter(theirs, nullptr), 0);
    EXPECT_EQ(is_inside(theirs), 1);
    EXPECT_EQ(isle_enter(&ours, 1, nullptr), 0);
    EXPECT_EQ(is_inside(theirs), 0);
    for (isle_namespace* each : {theirs, ours, owner, pid, any}) isle_namespace_free(each);
    isle_namespace_free(nullptr);
    isle_error_free(nullptr);
  }));
}

class CRun : public testing::Test {
 protected:
  void SetUp() override { isle::test::warm_up(); }
};

TEST_F(CRun, ACommandAndHowItEnds) {
  ISLE_REQUIRE("root");
  isle_spec* spec = isle_spec_new();
  const char* args[] = {"sh", "-c", "test \"$(hostname)\" = box && test $$ = 1 && exit 9", nullptr};
  const char* env[] = {"PATH=/usr/bin:/bin", nullptr};
  EXPECT_EQ(isle_spec_create(spec, CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS), 0);
  EXPECT_EQ(isle_spec_set_hostname(spec, "box"), 0);
  EXPECT_EQ(isle_spec_set_args(spec, args), 0);
  EXPECT_EQ(isle_spec_set_env(spec, env), 0);
  isle_exit end{};
  isle_error* error = nullptr;
  ASSERT_EQ(isle_run(spec, &end, &error), 0) << isle_error_message(error);
  EXPECT_EQ(end.code, 9);
  EXPECT_EQ(end.signal, 0);

  const char* sleeps[] = {"sleep", "1000", nullptr};
  isle_spec_set_args(spec, sleeps);
  isle_process* process = isle_spawn(spec, &error);
  ASSERT_NE(process, nullptr) << isle_error_message(error);
  EXPECT_GT(isle_process_pid(process), 0);
  EXPECT_EQ(isle_process_signal(process, SIGTERM, &error), 0);
  EXPECT_EQ(isle_process_wait(process, &end, &error), 0);
  EXPECT_EQ(end.signal, SIGTERM);
  isle_process_free(process);
  isle_process_free(isle_spawn(spec, &error));  // killed, and nothing is left

  const char* missing[] = {"no-such-command-anywhere", nullptr};
  isle_spec_set_args(spec, missing);
  EXPECT_EQ(isle_run(spec, &end, &error), -1);
  ASSERT_NE(error, nullptr);
  EXPECT_STREQ(isle_error_asked_by(error), "isle.h");
  EXPECT_EQ(code_of(error), ENOENT);
  isle_spec_free(spec);
}

/// Each function that adds to a spec, at least once.
void want_everything(isle_spec* spec, const isle_namespace* net, int fd) {
  const char* const args[] = {"true", nullptr};
  const char* const env[] = {"A=1", nullptr};
  const char* const lower[] = {"/etc", "/usr", nullptr};
  const gid_t groups[] = {7};
  const int cpus[] = {0};
  const uint64_t allow[] = {0x7fff000000000006};  // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
  const int bad =
      isle_spec_create(spec,
                       CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWTIME | CLONE_NEWPID) |
      isle_spec_join(spec, net) | isle_spec_join_path(spec, ISLE_IPC, "/proc/self/ns/ipc") |
      isle_spec_keep(spec, ISLE_UTS, "/run/isle-c-test") | isle_spec_set_hostname(spec, "box") |
      isle_spec_set_domainname(spec, "domain") |
      isle_spec_set_sysctl(spec, "kernel.hostname", "other") |
      isle_spec_set_time_offset(spec, CLOCK_BOOTTIME, 5'000'000'000) |
      isle_spec_map_uids(spec, 0, 0, 10) | isle_spec_map_gids(spec, 0, 0, 10) |
      isle_spec_set_setgroups(spec, 1) | isle_spec_set_user(spec, 3, 4) |
      isle_spec_set_groups(spec, groups, 1) | isle_spec_set_root(spec, "/", 1) |
      isle_spec_set_root_attributes(spec, 2) | isle_spec_set_root_overlay(spec, nullptr, nullptr) |
      isle_spec_add_bind(spec, "/etc", "/opt", "ro,nosuid,rslave,norec") |
      isle_spec_add_bind(spec, "/no/such", "/opt", "optional") |
      isle_spec_add_bind_fd(spec, fd, "/srv", nullptr) |
      isle_spec_add_file_system(spec, "tmpfs", nullptr, "/tmp", "noexec,size=1M") |
      isle_spec_add_overlay(spec, lower, nullptr, nullptr, "/home") |
      isle_spec_add_dev(spec, "/dev") |
      isle_spec_add_file_system(spec, "proc", nullptr, "/proc", nullptr) |
      isle_spec_cover_proc(spec, "/proc") | isle_spec_add_directory(spec, "/tmp/d", 0700) |
      isle_spec_add_symlink(spec, "d", "/tmp/l") |
      isle_spec_add_file(spec, "/etc/hostname", "/tmp/f", 0600) |
      isle_spec_add_file_fd(spec, fd, "/tmp/g", 0640) |
      isle_spec_add_device(spec, "/dev/full", S_IFCHR | 0666, 1, 7) |
      isle_spec_remount(spec, "/tmp", "nosuid") | isle_spec_mask(spec, "/etc/shadow") |
      isle_spec_set_args(spec, args) | isle_spec_set_env(spec, env) | isle_spec_set_cwd(spec, "/") |
      isle_spec_set_umask(spec, 077) | isle_spec_set_capabilities(spec, 1, 1, 1, 0, 0) |
      isle_spec_set_no_new_privileges(spec, 1) | isle_spec_set_rlimit(spec, 7, 64, 64) |
      isle_spec_set_nice(spec, 5) | isle_spec_set_oom_score_adj(spec, 100) |
      isle_spec_set_cpus(spec, cpus, 1) | isle_spec_set_seccomp(spec, allow, 1, 0) |
      isle_spec_set_new_session(spec, 1) | isle_spec_set_init(spec, 1) |
      isle_spec_set_die_with_parent(spec, 1) | isle_spec_pass_fds(spec, &fd, 1);
  EXPECT_EQ(bad, 0);
}

TEST_F(CRun, EveryWishIsInThePlan) {
  ISLE_REQUIRE("root");
  isle_spec* spec = isle_spec_new();
  isle_namespace* net = isle_namespace_of_self(ISLE_NETWORK, nullptr);
  const isle::Fd file(::open("/etc/hostname", O_RDONLY | O_CLOEXEC));
  want_everything(spec, net, file.get());
  isle_error* error = nullptr;
  char* plan = isle_spec_explain(spec, 0, &error);
  ASSERT_NE(plan, nullptr) << isle_error_message(error);
  const std::string text = plan;
  isle_text_free(plan);
  for (const char* part : {"NEWUSER",
                           "setns",
                           "persist",
                           "sethostname \"box\"",
                           "setdomainname \"domain\"",
                           "kernel/hostname",
                           "boottime 5 0",
                           "0 0 10",
                           "setgroups [7]",
                           "setresuid 3",
                           "setresgid 4",
                           "overlay",
                           "\"/opt\"",
                           "\"/srv\"",
                           "\"size\" \"1M\"",
                           "/home",
                           "\"/tmp/d\"",
                           "\"/tmp/l\"",
                           "\"/tmp/f\"",
                           "\"/tmp/g\" 0640",
                           "/dev/full",
                           "/etc/shadow",
                           "umask 077",
                           "prlimit",
                           "setpriority",
                           "oom_score_adj",
                           "sched_setaffinity",
                           "seccomp",
                           "setsid",
                           "PR_SET_PDEATHSIG",
                           "NO_NEW_PRIVS",
                           "capset",
                           "[\"A=1\"]",
                           "from: isle.h"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
  char* json = isle_spec_explain(spec, 1, &error);
  ASSERT_NE(json, nullptr);
  EXPECT_EQ(std::string(json).find("\"version\": 1"), 4U);
  isle_text_free(json);
  isle_namespace_free(net);
  isle_spec_free(spec);
}

TEST_F(CRun, LimitsAreFilesOfACgroup) {
  ISLE_REQUIRE("root");
  isle_spec* spec = isle_spec_new();
  const char* args[] = {"true", nullptr};
  EXPECT_EQ(isle_spec_set_args(spec, args) | isle_spec_set_cgroup(spec, "isle-c-limits") |
                isle_spec_set_memory_limit(spec, 64 << 20) |
                isle_spec_set_cpu_quota(spec, 50'000, 100'000) | isle_spec_set_pids_limit(spec, 20),
            0);
  const bool v2 = isle::test::missing("cgroup_v2").empty();
  if (v2) {
    EXPECT_EQ(isle_spec_set_unified(spec, "memory.high", "1048576"), 0);
  }
  isle_error* error = nullptr;
  char* plan = isle_spec_explain(spec, 0, &error);
  ASSERT_NE(plan, nullptr) << isle_error_message(error);
  const std::string text = plan;
  isle_text_free(plan);
  for (const char* part : {"/isle-c-limits\"", "\"67108864\"", "50000", "/pids.max\" \"20\""})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
  EXPECT_EQ(v2, text.find("/memory.high\" \"1048576\"") != std::string::npos) << text;
  isle_spec_free(spec);
}

TEST_F(CRun, SubordinateIdsAreMapped) {
  ISLE_REQUIRE("subids", "root");
  EXPECT_TRUE(in_fork([] {
    const char* step = "";
    ASSERT_EQ(isle::test::become(isle::test::unprivileged_with_subids(), &step), 0) << step;
    isle_spec* spec = isle_spec_new();
    const char* args[] = {"true", nullptr};
    EXPECT_EQ(isle_spec_set_args(spec, args) | isle_spec_create(spec, CLONE_NEWUSER) |
                  isle_spec_map_auto(spec),
              0);
    isle_error* error = nullptr;
    char* plan = isle_spec_explain(spec, 0, &error);
    ASSERT_NE(plan, nullptr) << isle_error_message(error);
    EXPECT_NE(std::string(plan).find("newuidmap"), std::string::npos) << plan;
    isle_text_free(plan);
    isle_spec_free(spec);
  }));
}

TEST_F(CRun, MistakesAreToldBySpawn) {
  isle_spec* spec = isle_spec_new();
  const char* args[] = {"true", nullptr};
  isle_spec_set_args(spec, args);
  EXPECT_EQ(isle_spec_add_bind(spec, "/etc", "/opt", "ro,quick"), 0);
  isle_error* error = nullptr;
  EXPECT_EQ(isle_spawn(spec, &error), nullptr);
  ASSERT_NE(error, nullptr);
  EXPECT_STREQ(isle_error_what(error), "bind on \"/opt\": \"quick\" is no option of a bind");
  EXPECT_EQ(code_of(error), 0);
  isle_spec_free(spec);

  spec = isle_spec_new();
  isle_spec_set_args(spec, args);
  isle_spec_set_propagation(spec, "sideways");
  EXPECT_EQ(isle_spec_explain(spec, 0, &error), nullptr);
  EXPECT_STREQ(isle_error_what(error), "\"sideways\" is no propagation");
  isle_error_free(error);
  isle_spec_free(spec);
}

TEST_F(CRun, DescriptorsAndATerminal) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const isle::Fd read(pipe[0]);
  isle::Fd write(pipe[1]);
  isle_spec* spec = isle_spec_new();
  const char* args[] = {"echo", "hello", nullptr};
  isle_spec_set_args(spec, args);
  const int stdio[3] = {0, write.get(), 2};
  isle_exit end{};
  isle_process* process = isle_spawn_with(spec, stdio, nullptr);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(isle_process_console(process), -1);
  EXPECT_EQ(isle_process_wait(process, &end, nullptr), 0);
  isle_process_free(process);
  write.reset();
  char text[16] = {};
  EXPECT_EQ(::read(read.get(), text, sizeof text), 6);
  EXPECT_STREQ(text, "hello\n");

  const char* size[] = {"stty", "size", nullptr};
  isle_spec_set_args(spec, size);
  isle_spec_set_terminal(spec, 33, 77);
  process = isle_spawn(spec, nullptr);
  ASSERT_NE(process, nullptr);
  const int console = isle_process_console(process);
  EXPECT_GE(console, 0);
  std::string seen;
  for (ssize_t count = 0; (count = ::read(console, text, sizeof text)) > 0;)
    seen.append(text, static_cast<size_t>(count));
  EXPECT_EQ(seen, "33 77\r\n");
  EXPECT_EQ(isle_process_wait(process, &end, nullptr), 0);
  isle_process_free(process);
  isle_spec_free(spec);
}

}  // namespace
