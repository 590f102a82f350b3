// Launching from a program with many threads and a large heap: it never hangs. A launch that forked
// the program itself would, sooner or later, on a lock that another thread held.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "isle/host.h"
#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

class LaunchThread : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE(::geteuid() == 0 ? "root" : "userns");
    warm_up();
  }
};

constexpr int kHeapUsers = 64;

// Takes the heap's locks as often as it can. All of them together rest as long as they work: where
// CPUs are few or have other work, too, each works longer, and launches would wait for their turn.
void use_heap(const std::atomic<bool>& stop) {
  using std::chrono::steady_clock;
  std::vector<void*> held;
  while (!stop) {
    const auto begin = steady_clock::now();
    for (size_t i = 0; i < 200 && !stop; ++i) {
      held.push_back(std::malloc(16 + i * 40));
      if (held.size() > 50) {
        std::free(held[i % 50]);
        held[i % 50] = held.back();
        held.pop_back();
      }
    }
    const auto worked = std::chrono::ceil<milliseconds>((steady_clock::now() - begin) * kHeapUsers);
    std::this_thread::sleep_for(std::clamp(worked, milliseconds(2), milliseconds(200)));
  }
  for (void* memory : held) std::free(memory);
}

void launch_among_threads(int launches) {
  constexpr size_t kGigabyte = size_t{1} << 30;
  void* memory = ::mmap(nullptr, kGigabyte, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < kHeapUsers; ++i) threads.emplace_back([&stop] { use_heap(stop); });
  const Spec spec = default_sandbox({"/bin/true"});
  for (int i = 0; i < launches; ++i) {
    const Result<ExitStatus> status = isle::run(spec);
    EXPECT_TRUE(status && status->code == 0 && status->signal == 0)
        << (status ? "another status" : status.error().message());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  ::munmap(memory, kGigabyte);
}

// A thousand, in several processes: each has its time, and who exceeds it hangs.
TEST_F(LaunchThread, ThousandLaunchesAmong64BusyThreadsAndAGigabyte) {
  for (int process = 0; process < 10; ++process) expect_in_fork([] { launch_among_threads(100); });
}

// Each gets its own process's status: nobody reaps another's.
TEST_F(LaunchThread, ThirtyTwoThreadsAtOnce) {
  const Spec spec = default_sandbox({"/bin/true"});
  const Result<Plan> plan = compile(spec, probe_host(spec));
  ASSERT_TRUE(plan);
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  constexpr int kThreads = 32;
  constexpr int kEach = 8;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        // Every other one fails on purpose, at a step of its own.
        const bool fails = n % 2 == 1;
        LaunchOptions options;
        if (fails) options.fault = Fault{.step = 7 + i % 8, .error = ENOTBLK};
        Result<Process> process = launch(*plan, options);
        if (fails) {
          good += !process && process.error().step == 7 + i % 8 && process.error().code == ENOTBLK;
          continue;
        }
        if (!process) continue;
        const Result<ExitStatus> status = process->wait();
        good += status && status->code == 0 && status->signal == 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kEach);
}

}  // namespace
}  // namespace isle::test
