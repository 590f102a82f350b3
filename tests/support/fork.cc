#include "fork.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "command.h"
#include "isle/fd.h"
#include "leak_check.h"

// Coverage is written by exit(3), which the child must not call.
extern "C" {
__attribute__((weak)) void __gcov_dump(void);
__attribute__((weak)) int __llvm_profile_write_file(void);
}

namespace isle::test {
namespace {

constexpr int kReported = 0;  // the child says so by its exit code, having written its report
constexpr milliseconds kTimeout{120'000};

const testing::TestInfo* current_test() {
  return testing::UnitTest::GetInstance()->current_test_info();
}

int part_count() {
  const testing::TestInfo* test = current_test();
  return test != nullptr ? test->result()->total_part_count() : 0;
}

// The failures and skips the running test collected from part `first` on.
std::string failures_from(int first) {
  std::string text;
  for (int i = first; i < part_count(); ++i) {
    const testing::TestPartResult& part = current_test()->result()->GetTestPartResult(i);
    if (part.passed()) continue;
    text += std::string(part.file_name() != nullptr ? part.file_name() : "?") + ":" +
            std::to_string(part.line_number()) + ": " + part.message() + "\n";
  }
  return text;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

[[noreturn]] void run_in_child(const std::function<std::string()>& function, int report) {
  const int first = part_count();
  std::string value;
  std::string error;
  try {
    value = function();
  } catch (const std::exception& e) {
    error = std::string("exception: ") + e.what() + "\n";
  } catch (...) {
    error = "an exception that is no std::exception\n";
  }
  error = failures_from(first) + error;
  write_all(report, (error.empty() ? "v" + value : "e" + error));
  std::fflush(nullptr);
  if (__gcov_dump != nullptr) __gcov_dump();
  if (__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
  _exit(kReported);
}

// Appends what is there to be read; false at the end of file.
bool read_some(int fd, std::string& report) {
  char buffer[4096];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0) report.append(buffer, static_cast<std::size_t>(n));
  return n > 0;
}

// Reads the report until the child has ended (its own children may hold the pipe open for longer);
// false where the time ran out first.
bool read_report(pid_t child, int fd, std::string& report) {
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  const auto deadline = std::chrono::steady_clock::now() + scaled(kTimeout);
  pollfd entries[2] = {{.fd = pidfd.get(), .events = POLLIN, .revents = 0},
                       {.fd = fd, .events = POLLIN, .revents = 0}};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    if (poll(entries, 2, static_cast<int>(left.count())) <= 0) continue;
    if (entries[1].revents != 0) {
      if (!read_some(fd, report)) entries[1].fd = -1;
    } else if (entries[0].revents != 0) {
      return true;
    }
  }
}

}  // namespace

bool ForkResult::ok() const { return exit_code == 0 && error.empty() && !timed_out; }

std::string ForkResult::describe() const {
  if (timed_out) return "the forked child did not end in time";
  if (signal != 0) return std::string("the forked child was killed: ") + strsignal(signal);
  if (!error.empty()) return error;
  return "the forked child exited with " + std::to_string(exit_code) + ", value \"" + value + "\"";
}

ForkResult call_in_fork(const std::function<std::string()>& function) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  Fd read_end(pipe_ends[0]);
  Fd write_end(pipe_ends[1]);
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    read_end.reset();
    run_in_child(function, write_end.get());
  }
  write_end.reset();
  ForkResult result;
  std::string report;
  if (!read_report(pid, read_end.get(), report)) {
    result.timed_out = true;
    kill_tree(pid);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (!report.empty()) (report[0] == 'e' ? result.error : result.value) = report.substr(1);
  return result;
}

testing::AssertionResult in_fork(const std::function<void()>& function) {
  const ForkResult result = call_in_fork([&]() -> std::string {
    function();
    return "returned";
  });
  if (result.ok() && result.value == "returned") return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.describe();
}

void expect_in_fork(const std::function<void()>& function, std::source_location where) {
  const testing::AssertionResult result = in_fork(function);
  if (!result) {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "in a forked child:\n"
                                                                      << result.message();
  }
}

}  // namespace isle::test
