#include "command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include "leak_check.h"
#include "paths.h"

namespace isle::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void throw_errno(const std::string& what, int code = errno) {
  throw std::runtime_error(what + ": " + std::strerror(code));
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000));
}

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

void set_nonblocking(const Fd& fd) {
  if (fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) throw_errno("fcntl");
}

std::string shell_words(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& word : argv) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
                                            "QRSTUVWXYZ0123456789-_=+.,/:@%") == word.npos;
    text += (text.empty() ? "" : " ") + (plain ? word : "'" + word + "'");
  }
  return text;
}

// The environment of the command: what was asked for, on top of ours or of the one given.
std::vector<std::string> make_environment(const CommandOptions& options) {
  std::vector<std::string> result;
  if (options.environment) {
    result = *options.environment;
  } else {
    for (char** entry = environ; *entry != nullptr; ++entry) result.emplace_back(*entry);
  }
  const auto unset = [&](const std::string& name) {
    std::erase_if(result, [&](const std::string& entry) { return entry.starts_with(name + "="); });
  };
  if (options.identity && options.identity->drop && !options.environment) {
    for (const char* name : {"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR"}) unset(name);
    result.emplace_back("HOME=/tmp");
  }
  for (const std::string& name : options.unset_env) unset(name);
  for (const auto& [name, value] : options.set_env) {
    unset(name);
    result.push_back(name + "=" + value);
  }
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Everything the child needs, made before the fork: behind it only system calls are made.
struct Start {
  std::string program;
  std::vector<std::string> argv_text;
  std::vector<std::string> environment_text;
  std::vector<char*> argv = pointers(argv_text);
  std::vector<char*> environment = pointers(environment_text);
  const CommandOptions* options;
  int standard[3];  // what becomes 0, 1, 2
  int report;       // errno and the name of the step that failed
  std::vector<int> passed = std::vector<int>(options->descriptors.size());
};

struct Failure {
  int code;
  char step[64];
};

[[noreturn]] void report_and_exit(const Start& start, const char* step, int code) {
  Failure failure{.code = code, .step = {}};
  std::strncpy(failure.step, step, sizeof failure.step - 1);
  (void)!write(start.report, &failure, sizeof failure);
  _exit(127);
}

// Puts each descriptor where the command shall find it, by way of high numbers so that none is
// lost.
void arrange_descriptors(Start& start) {
  constexpr int kHigh = 600;
  const auto lift = [&](int fd) {
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, kHigh);
    if (high < 0) report_and_exit(start, "dup of a descriptor to pass", errno);
    return high;
  };
  for (int& fd : start.standard) fd = lift(fd);
  for (std::size_t i = 0; i < start.passed.size(); ++i) {
    start.passed[i] = lift(start.options->descriptors[i].first);
  }
  start.report = lift(start.report);
  (void)syscall(SYS_close_range, 3U, ~0U, 1U << 2U /* CLOSE_RANGE_CLOEXEC */);
  for (int i = 0; i < 3; ++i) dup2(start.standard[i], i);
  for (std::size_t i = 0; i < start.passed.size(); ++i) {
    if (dup2(start.passed[i], start.options->descriptors[i].second) < 0) {
      report_and_exit(start, "dup2 of a descriptor to pass", errno);
    }
  }
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
}

[[noreturn]] void become_command(Start& start) {
  reset_signals();
  setsid();
  arrange_descriptors(start);
  if (start.options->pty && ioctl(0, TIOCSCTTY, 0) != 0) report_and_exit(start, "TIOCSCTTY", errno);
  const char* step = "";
  if (start.options->identity) {
    const int error = become(*start.options->identity, &step);
    if (error != 0) report_and_exit(start, step, -error);
  }
  if (!start.options->working_dir.empty() && chdir(start.options->working_dir.c_str()) != 0) {
    report_and_exit(start, "chdir", errno);
  }
  execve(start.program.c_str(), start.argv.data(), start.environment.data());
  report_and_exit(start, "execve", errno);
}

// A new terminal: {our side, the command's side}.
std::pair<Fd, Fd> make_terminal() {
  Fd ours(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!ours || grantpt(ours.get()) != 0 || unlockpt(ours.get()) != 0) throw_errno("posix_openpt");
  Fd theirs(ioctl(ours.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) throw_errno("TIOCGPTPEER");
  const struct winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  ioctl(ours.get(), TIOCSWINSZ, &size);
  return {std::move(ours), std::move(theirs)};
}

// write(2) that gives EPIPE and no SIGPIPE.
ssize_t write_quietly(int fd, std::string_view text) {
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t n = ::write(fd, text.data(), text.size());
  const int code = errno;
  if (n < 0 && code == EPIPE) {
    const struct timespec now{};
    sigtimedwait(&pipe_signal, nullptr, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = code;
  return n;
}

}  // namespace

milliseconds scaled(milliseconds time) {
  const char* value = std::getenv("ISLE_TEST_TIME_SCALE");
  const double factor = value != nullptr ? std::strtod(value, nullptr) : 1;
  return milliseconds(
      static_cast<long long>(static_cast<double>(time.count()) * (factor > 0 ? factor : 1)));
}

std::ostream& operator<<(std::ostream& stream, const CommandResult& result) {
  stream << "command: " << result.command << "\n";
  if (result.timed_out) {
    stream << "  ran past its time and was killed\n";
  } else if (result.signal != 0) {
    stream << "  killed by signal " << result.signal << " (" << strsignal(result.signal) << ")\n";
  } else {
    stream << "  exit code " << result.exit_code << "\n";
  }
  return stream << "  standard output: \"" << result.out << "\"\n  standard error: \"" << result.err
                << "\"";
}

Command::Command(std::vector<std::string> argv, CommandOptions options)
    : options_(std::move(options)) {
  if (argv.empty()) throw std::runtime_error("an empty command");
  result_.command = shell_words(argv);
  start(argv);
}

void Command::start(const std::vector<std::string>& argv) {
  Pipe in;
  Pipe out;
  Pipe err;
  std::pair<Fd, Fd> terminal;
  Pipe report = make_pipe();
  if (options_.pty) {
    terminal = make_terminal();
    if (options_.identity && options_.identity->drop) {
      (void)!fchown(terminal.second.get(), options_.identity->uid, options_.identity->gid);
    }
  } else {
    in = make_pipe();
    out = make_pipe();
    err = make_pipe();
  }
  const int theirs = terminal.second.get();
  Start start{.program = argv[0].find('/') == std::string::npos ? find_program(argv[0]) : argv[0],
              .argv_text = argv,
              .environment_text = make_environment(options_),
              .options = &options_,
              .standard = {options_.pty ? theirs : in.read_end.get(),
                           options_.pty ? theirs : out.write_end.get(),
                           options_.pty ? theirs : err.write_end.get()},
              .report = report.write_end.get()};
  if (start.program.empty()) throw std::runtime_error("no program \"" + argv[0] + "\" on PATH");
  pid_ = fork();
  if (pid_ < 0) throw_errno("fork");
  if (pid_ == 0) become_command(start);
  report.write_end.reset();
  Failure failure{};
  if (read(report.read_end.get(), &failure, sizeof failure) == sizeof failure) {
    waitpid(pid_, nullptr, 0);
    exited_ = true;
    throw_errno("cannot start " + result_.command + ": " + failure.step, failure.code);
  }
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (options_.pty) {
    input_.reset(fcntl(terminal.first.get(), F_DUPFD_CLOEXEC, 3));
    out_.fd = std::move(terminal.first);
  } else {
    input_ = std::move(in.write_end);
    out_.fd = std::move(out.read_end);
    err_.fd = std::move(err.read_end);
    set_nonblocking(err_.fd);
  }
  set_nonblocking(out_.fd);
  set_nonblocking(input_);
  pending_ = options_.input;
  feed_input();
}

Command::~Command() {
  if (!exited_) reap(true);
}

void Command::feed_input() {
  while (input_ && !pending_.empty()) {
    const ssize_t n = write_quietly(input_.get(), pending_);
    if (n > 0) {
      pending_.erase(0, static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      input_.reset();  // nobody reads it any more
    }
  }
  if (!options_.keep_input_open && !options_.pty) input_.reset();
}

bool Command::write(std::string_view text) {
  pending_ += text;
  const bool keep = std::exchange(options_.keep_input_open, true);
  const auto deadline = Clock::now() + scaled(milliseconds(30'000));
  feed_input();
  while (input_ && !pending_.empty() && milliseconds_until(deadline) > 0) {
    pump(20);
    feed_input();
  }
  options_.keep_input_open = keep;
  return input_ && pending_.empty();
}

void Command::close_input() {
  options_.keep_input_open = false;
  if (options_.pty) throw std::runtime_error("close_input on a terminal: write \"\\x04\"");
  feed_input();
}

// Takes what output there is, waiting `timeout_ms` for some, or for the command to end. False:
// there will be no more, both streams are at their end.
bool Command::pump(int timeout_ms) {
  if (!out_.fd && !err_.fd) return false;
  pollfd entries[4] = {
      {.fd = out_.fd.get(), .events = POLLIN, .revents = 0},
      {.fd = err_.fd.get(), .events = POLLIN, .revents = 0},
      {.fd = pidfd_.get(), .events = POLLIN, .revents = 0},
      {.fd = pending_.empty() ? -1 : input_.get(), .events = POLLOUT, .revents = 0}};
  if (poll(entries, 4, timeout_ms) <= 0) return true;
  if (entries[3].revents != 0) feed_input();
  bool got_any = false;
  Stream* streams[2] = {&out_, &err_};
  for (int i = 0; i < 2; ++i) {
    if (!streams[i]->fd || entries[i].revents == 0) continue;
    char buffer[16384];
    const ssize_t n = read(streams[i]->fd.get(), buffer, sizeof buffer);
    if (n > 0) {
      streams[i]->text.append(buffer, static_cast<std::size_t>(n));
      got_any = true;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {  // EIO: the terminal is closed
      streams[i]->fd.reset();
      got_any = true;
    }
  }
  return got_any || entries[2].revents == 0;
}

bool Command::expect_in(Stream& stream, std::string_view text, milliseconds timeout) {
  const auto deadline = Clock::now() + scaled(timeout);
  for (bool more = true;;) {
    if (const std::size_t at = stream.text.find(text, stream.seen); at != std::string::npos) {
      stream.seen = at + text.size();
      return true;
    }
    if (!more || milliseconds_until(deadline) == 0) return false;
    more = pump(milliseconds_until(deadline));
  }
}

bool Command::expect(std::string_view text, milliseconds timeout) {
  return expect_in(out_, text, timeout);
}
bool Command::expect_error(std::string_view text, milliseconds timeout) {
  return expect_in(options_.pty ? out_ : err_, text, timeout);
}

void Command::send_signal(int signal) const {
  if (!exited_) kill(pid_, signal);
}

void Command::resize(unsigned rows, unsigned columns) const {
  if (!options_.pty) throw std::runtime_error("resize without a pty");
  const struct winsize size{.ws_row = static_cast<unsigned short>(rows),
                            .ws_col = static_cast<unsigned short>(columns),
                            .ws_xpixel = 0,
                            .ws_ypixel = 0};
  if (ioctl(input_.get(), TIOCSWINSZ, &size) != 0) throw_errno("TIOCSWINSZ");
}

void Command::reap(bool kill_first) {
  if (kill_first) kill_tree(pid_);  // leaves pid_ itself for us to wait for
  int status = 0;
  while (wait4(pid_, &status, 0, &result_.usage) < 0 && errno == EINTR) {
  }
  exited_ = true;
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
}

CommandResult Command::wait() {
  if (exited_) return result_;
  options_.keep_input_open = false;
  feed_input();
  const auto deadline = Clock::now() + scaled(options_.timeout);
  const auto ended = [&](int timeout_ms) {
    pollfd entry{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    return poll(&entry, 1, timeout_ms) > 0;
  };
  // Until it ends, not until its output does: what it left running may hold that open.
  while (milliseconds_until(deadline) > 0 && pump(milliseconds_until(deadline))) {
  }
  result_.timed_out = !ended(milliseconds_until(deadline));
  reap(result_.timed_out);
  pump(0);
  result_.out = out_.text;
  result_.err = err_.text;
  return result_;
}

CommandResult run_command(std::vector<std::string> argv, CommandOptions options) {
  return Command(std::move(argv), std::move(options)).wait();
}

}  // namespace isle::test
