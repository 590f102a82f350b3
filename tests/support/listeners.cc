// The leak check and the count of skips, as gtest listeners.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "leak_check.h"
#include "paths.h"

namespace isle::test {
namespace {

using Clock = std::chrono::steady_clock;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

class LeakCheck : public testing::EmptyTestEventListener {
 public:
  explicit LeakCheck(bool each_test) : each_test_(each_test) { current_ = this; }

  void OnTestSuiteStart(const testing::TestSuite& /*suite*/) override {
    suite_start_ = Snapshot::take();
  }
  void OnTestStart(const testing::TestInfo& /*test*/) override {
    if (each_test_ && !std::exchange(test_start_holds_, true)) test_start_ = Snapshot::take();
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!each_test_) return;
    const std::vector<std::string> lines = leaks_since(test_start_);
    if (lines.empty()) return;
    ADD_FAILURE() << test.test_suite_name() << "." << test.name() << " left behind:\n"
                  << joined(lines);
    suite_reported_ = true;
    test_start_holds_ = false;
  }
  void OnTestSuiteEnd(const testing::TestSuite& suite) override {
    test_start_holds_ = false;
    const bool reported = std::exchange(suite_reported_, false);
    if (reported) return;  // by the test that did it
    const std::vector<std::string> lines = leaks_since(suite_start_);
    if (!lines.empty())
      ADD_FAILURE() << "suite " << suite.name() << " left behind:\n" << joined(lines);
  }

  static LeakCheck* current_;
  Snapshot suite_start_;
  Snapshot test_start_;

 private:
  bool each_test_;
  bool suite_reported_ = false;
  bool test_start_holds_ = false;  // nothing has changed since it was taken
};

LeakCheck* LeakCheck::current_ = nullptr;

class SkipSummary : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (part.skipped()) reason_ = part.message();
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Skipped()) count(std::string(test.test_suite_name()) + "." + test.name());
  }
  void OnTestProgramEnd(const testing::UnitTest& /*program*/) override {
    if (reasons_.empty()) return;
    int all = 0;
    for (const auto& [reason, number] : reasons_) all += number;
    std::printf("[ SKIPPED  ] %d, by reason:\n", all);
    for (const auto& [reason, number] : reasons_)
      std::printf("[ SKIPPED  ] %6d  %s\n", number, reason.c_str());
    std::fflush(stdout);
  }

 private:
  void count(const std::string& test) {
    std::string reason = reason_.empty() ? "no reason given" : reason_;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    for (char& c : reason) c = c == '\n' || c == '\t' ? ' ' : c;
    ++reasons_[reason];
    const char* path = std::getenv("ISLE_TESTS_SKIP_REPORT");
    if (path == nullptr) return;
    const Fd file(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").filename();
    const std::string line = program + "\t" + test + "\t" + reason + "\n";
    if (!file || write(file.get(), line.data(), line.size()) < 0) std::perror(path);
  }

  std::string reason_;
  std::map<std::string, int> reasons_;
};

}  // namespace

std::vector<std::string> leaks_since(const Snapshot& start) {
  const auto deadline = Clock::now() + scaled(milliseconds(2'000));
  for (milliseconds pause{2};; pause = std::min(pause * 2, milliseconds(100))) {
    std::vector<std::string> lines = start.differences(Snapshot::take());
    if (lines.empty() || Clock::now() > deadline) return lines;
    std::this_thread::sleep_for(pause);
  }
}

void accept_present_state() {
  if (LeakCheck::current_ == nullptr) return;
  LeakCheck::current_->suite_start_ = LeakCheck::current_->test_start_ = Snapshot::take();
}

void install_listeners() {
  // Orphans come to us and not to pid 1, so that none is missed.
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  (void)process_scratch_dir();
  const char* value = std::getenv("ISLE_LEAK_CHECK");
  const std::string mode = value != nullptr ? value : "test";
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (mode != "off") listeners.Append(new LeakCheck(mode != "suite"));
  listeners.Append(new SkipSummary);
}

}  // namespace isle::test
