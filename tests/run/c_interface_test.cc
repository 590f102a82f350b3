// isle.h as a C program uses it.
#include "isle/isle.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
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

}  // namespace
