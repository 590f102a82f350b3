// Many runs: nothing grows.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "isle/host.h"
#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

class LaunchSoak : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE(::geteuid() == 0 ? "root" : "userns");
    warm_up();
  }
};

// Of its own: not the pages of programs and libraries.
long resident_kib() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  return -1;
}

void run_once(const Spec& spec) {
  const Result<ExitStatus> status = isle::run(spec);
  ASSERT_TRUE(status) << status.error().message();
  ASSERT_EQ(status->shell_status(), 0);
}

// In a process of its own, so that what gtest holds does not count.
TEST_F(LaunchSoak, TwoThousandInARowLeaveNothing) {
  expect_in_fork([] {
    const Spec spec = default_sandbox({"/bin/true"});
    for (int i = 0; i < 500; ++i) run_once(spec);  // the heap finds its size
    const Snapshot before = Snapshot::take();
    const long memory = resident_kib();
    for (int i = 0; i < 2000 && !testing::Test::HasFailure(); ++i) run_once(spec);
    // A page a run would be 8 MB. The address sanitizer keeps what is freed for a while.
#ifdef __SANITIZE_ADDRESS__
    (void)memory;
#else
    EXPECT_LT(resident_kib() - memory, 512) << "KiB more than at the start";
#endif
    EXPECT_EQ(leaks_since(before), std::vector<std::string>{});
  });
}

TEST_F(LaunchSoak, LimitedRunsLeaveNoCgroup) {
  ISLE_REQUIRE("root", "cgroup_v1");
  Spec spec = default_sandbox({"/bin/true"});
  spec.resources.cgroup_name = unique_name("soak");
  spec.resources.pids_limit = Asked<int64_t>{20, 0};
  const Snapshot before = Snapshot::take();
  for (int i = 0; i < 50 && !HasFailure(); ++i) run_once(spec);
  EXPECT_EQ(leaks_since(before), std::vector<std::string>{});
}

TEST_F(LaunchSoak, TwoHundredAtOnceLeaveNothing) {
  const Spec spec = default_sandbox({"/bin/sleep", "1000"});
  const Result<Plan> plan = compile(spec, probe_host(spec));
  ASSERT_TRUE(plan);
  const Snapshot before = Snapshot::take();
  {
    std::vector<Process> all;
    constexpr int kAtOnce = 200;
    for (int i = 0; i < kAtOnce; ++i) {
      Result<Process> process = launch(*plan);
      ASSERT_TRUE(process) << i << ": " << process.error().message();
      all.push_back(std::move(*process));
    }
    EXPECT_EQ(descendants().size(), size_t{kAtOnce});
    for (size_t i = 0; i < all.size(); i += 2) {  // the others are left to their destructors
      EXPECT_TRUE(all[i].signal(SIGTERM));
      const Result<ExitStatus> status = all[i].wait();
      ASSERT_TRUE(status);
      EXPECT_EQ(status->signal, SIGTERM);
    }
  }
  EXPECT_EQ(leaks_since(before), std::vector<std::string>{});
}

}  // namespace
}  // namespace isle::test
