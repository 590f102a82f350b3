// Running part of a test in a child, for what would change the test's own process.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <source_location>
#include <string>

namespace isle::test {

/// How a function fared in its child.
struct ForkResult {
  std::string value;  // what it returned
  std::string
      error;  // what it threw, or the EXPECT_ and ASSERT_ failures in it, with file and line
  int exit_code = -1;  // if it called _exit itself
  int signal = 0;      // that killed the child
  bool timed_out = false;
  /// It returned, and nothing failed in it.
  [[nodiscard]] bool ok() const;
  [[nodiscard]] std::string describe() const;
};

/// Calls `function` in a forked child, and waits for it. EXPECT_ and ASSERT_ in it count in error.
ForkResult call_in_fork(const std::function<std::string()>& function);

/// True if `function` returned from its child and nothing failed in it.
testing::AssertionResult in_fork(const std::function<void()>& function);

/// The same, as an expectation whose message is what failed in the child:
///   expect_in_fork([&] { ASSERT_EQ(unshare(CLONE_NEWNS), 0) << strerror(errno); ... });
void expect_in_fork(const std::function<void()>& function,
                    std::source_location where = std::source_location::current());

}  // namespace isle::test
