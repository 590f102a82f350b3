// kill -9 of each actor between any two steps: one actor is stopped at a step (a fault that hangs),
// another one or itself is killed, and the one that was stopped goes on (SIGCONT). Who is there to
// hear it gets the right message; the command is never left running, and nothing else is left.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "cases.h"
#include "plan/view.h"

namespace isle::test {
namespace {

using Clock = std::chrono::steady_clock;
using plan::Actor;
using plan::Op;

enum class Victim { runtime, init, command, launcher, guard };
constexpr std::array kVictimNames = {"runtime", "init", "command", "launcher", "guard"};

constexpr int kMostPids = 5;
using Pids = std::array<pid_t, kMostPids>;  // by Victim; 0 where there is none

/// Polls until `done`; false where that takes so long that it must be a hang.
bool eventually(const std::function<bool()>& done) {
  const auto deadline = Clock::now() + scaled(milliseconds(20'000));
  while (!done()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return true;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// In the order in which they were made.
std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::istringstream text(text_of("/proc/" + number + "/task/" + number + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; text >> child;) children.push_back(child);
  return children;
}

uint64_t blocked_signals(pid_t pid) {
  const std::string status = text_of("/proc/" + std::to_string(pid) + "/status");
  const size_t at = status.find("SigBlk:");
  return at == status.npos ? 0 : std::strtoull(status.c_str() + at + 7, nullptr, 16);
}

// Waits at its fault: with all signals blocked but SIGCONT, which it waits for (and the two that
// cannot be).
bool is_stopped(pid_t pid) {
  constexpr auto bit = [](int signal) { return uint64_t{1} << (signal - 1); };
  return pid != 0 && blocked_signals(pid) == ~(bit(SIGCONT) | bit(SIGKILL) | bit(SIGSTOP));
}

bool has_ended(pid_t pid) {
  const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(") ");
  return name_end == stat.npos || stat[name_end + 2] == 'Z' || stat[name_end + 2] == 'X';
}

/// One launch by a process of its own, stopped at a step.
class Stopped {
 public:
  Stopped(const Plan& plan, Carrier carrier, size_t step)
      : plan_(plan), carrier_(carrier), step_(plan::View(plan).steps()[step]), index_(step) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    report_.reset(ends[0]);
    Fd write_end(ends[1]);
    launcher_ = ::fork();
    if (launcher_ == 0) be_launcher(write_end.get());
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() {
    if (launcher_ <= 0) return;
    ::kill(launcher_, SIGKILL);
    ::waitpid(launcher_, nullptr, 0);
  }

  /// Whether its actor got to the step.
  bool wait_until_stopped() {
    return eventually([&] {
      look();
      if (!is_stopped(pids_[static_cast<size_t>(stopped_victim())])) return false;
      look();  // it may have got on between the first look and its stop
      return true;
    });
  }
  [[nodiscard]] pid_t pid_of(Victim victim) const { return pids_[static_cast<size_t>(victim)]; }
  /// Kills, lets the stopped one go on, and reads what the launcher has to say.
  std::string kill_and_go_on(Victim victim) {
    const pid_t pid = pid_of(victim);
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(eventually([&] { return has_ended(pid); }))
        << "SIGKILL did not end it; it is in\n"
        << text_of("/proc/" + std::to_string(pid) + "/stack");
    // isle-exec ends with its caller. One that is about to might still hear that init is ready, and
    // then the launcher could as well have been killed a moment after the launch.
    const pid_t runtime = pid_of(Victim::runtime);
    if (victim == Victim::launcher) {
      EXPECT_TRUE(eventually([&] { return has_ended(runtime); })) << "the runtime outlives it";
    }
    ::kill(pid_of(stopped_victim()), SIGCONT);
    return read_report();
  }
  /// What is there instead.
  std::string describe() {
    std::string text;
    for (size_t i = 0; i < pids_.size(); ++i)
      if (pids_[i] != 0)
        text += std::string(kVictimNames[i]) + " " + std::to_string(pids_[i]) + " blocks " +
                std::to_string(blocked_signals(pids_[i])) + "; ";
    if (!has_ended(launcher_)) return text + "the launcher still runs";
    return text + "the launcher said: " + read_report();
  }
  /// The launcher's own end.
  int wait_for_launcher() {
    int status = 0;
    ::waitpid(std::exchange(launcher_, 0), &status, 0);
    return status;
  }

 private:
  [[noreturn]] void be_launcher(int report) {
    report_.reset();
    std::string text;
    Result<Process> process = launch(
        plan_, {.carrier = carrier_, .fault = Fault{.step = static_cast<int>(index_), .error = 0}});
    if (!process) {
      text = "step " + std::to_string(process.error().step) + " code " +
             std::to_string(process.error().code) + ": " + process.error().message();
    } else {
      (void)process->signal(SIGKILL);
      const Result<ExitStatus> status = process->wait();
      text = status ? "ran, signal " + std::to_string(status->signal) : status.error().message();
    }
    (void)!::write(report, text.data(), text.size());
    ::_exit(0);
  }

  [[nodiscard]] Victim stopped_victim() const {
    switch (step_.actor) {
      case Actor::init:
        return Victim::init;
      case Actor::command:
        return Victim::command;
      default:
        return Victim::runtime;
    }
  }

  void look() {
    std::vector<pid_t> children = children_of(launcher_);
    size_t next = 0;
    const auto take = [&] { return next < children.size() ? children[next++] : 0; };
    pids_[static_cast<size_t>(Victim::launcher)] = launcher_;
    pids_[static_cast<size_t>(Victim::runtime)] = carrier_ == Carrier::helper ? take() : launcher_;
    if (plan::View(plan_).steps()[0].op == Op::guard)
      pids_[static_cast<size_t>(Victim::guard)] = take();
    const pid_t init = take();
    pids_[static_cast<size_t>(Victim::init)] = init;
    const std::vector<pid_t> below = init != 0 ? children_of(init) : std::vector<pid_t>{};
    pids_[static_cast<size_t>(Victim::command)] = below.empty() ? 0 : below.front();
  }

  std::string read_report() {
    std::string text;
    char buffer[4096];
    const auto deadline = Clock::now() + scaled(milliseconds(20'000));
    while (Clock::now() < deadline) {
      pollfd entry{.fd = report_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&entry, 1, 1000) <= 0) continue;
      const ssize_t got = ::read(report_.get(), buffer, sizeof buffer);
      if (got <= 0) return text;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text + " (and then nothing: it hangs)";
  }

  const Plan& plan_;
  Carrier carrier_;
  plan::Step step_;
  size_t index_;
  Fd report_;
  pid_t launcher_ = -1;
  Pids pids_{};
};

// What the launcher must say; nothing where it is the one that dies.
std::string expected(const Plan& plan, Victim victim) {
  switch (victim) {
    case Victim::runtime:
      return "step -1 code 0: isle-exec was killed by signal 9";
    case Victim::init:
    case Victim::command:
      return "step " + std::to_string(plan::View(plan).header()->clone_step) + " code 0: ";
    case Victim::guard:
      return "ran, signal 9";
    case Victim::launcher:
      return "";
  }
  return "?";
}

bool keeps(const Plan& plan) {
  return std::ranges::any_of(plan::View(plan).steps(),
                             [](const plan::Step& step) { return step.op == Op::persist; });
}

/// Its cgroups are known to somebody who removes them when the launcher was killed.
bool is_recorded(const Plan& plan) {
  const plan::View view(plan);
  const auto has = [&](Op op) {
    return std::ranges::any_of(view.steps(), [&](const plan::Step& step) { return step.op == op; });
  };
  return has(Op::remove_cgroup) && !has(Op::guard);
}

void kill_at(const Plan& plan, Carrier carrier, size_t step, Victim victim) {
  SCOPED_TRACE(std::string("kill ") + kVictimNames[static_cast<size_t>(victim)] + ", " +
               to_string(carrier) + ", at step " + std::to_string(step) + " " +
               std::string(plan.step_actor(step)) + " " + plan.step_text(step).substr(0, 100));
  Stopped stopped(plan, carrier, step);
  ASSERT_TRUE(stopped.wait_until_stopped()) << stopped.describe();
  ASSERT_NE(stopped.pid_of(victim), 0);
  const std::string said = stopped.kill_and_go_on(victim);
  // The command runs beside an init that is about to reap, and init need not wait for the runtime
  // to take the terminal: it may have got to its end already.
  const bool may_have_run = (plan.step_op(step) == "reap" || plan.step_op(step) == "receive_fd") &&
                            said.starts_with("ran, ");
  EXPECT_TRUE(may_have_run || said.starts_with(expected(plan, victim))) << said;
  if (victim == Victim::launcher) {
    EXPECT_EQ(said, "");
  } else if ((victim == Victim::init || victim == Victim::command) && !may_have_run) {
    EXPECT_NE(said.find("killed while it was being set up"), said.npos) << said;
  }
  const int status = stopped.wait_for_launcher();
  EXPECT_EQ(WIFSIGNALED(status), victim == Victim::launcher);
  // What lost its parent comes to us: it must end by itself. The command must not be among it.
  const std::vector<pid_t> left = reap_orphans(milliseconds(20'000));
  EXPECT_EQ(left, std::vector<pid_t>{})
      << text_of("/proc/" + std::to_string(left.empty() ? 0 : left.front()) + "/cmdline");
  for (const pid_t pid : left) ::kill(pid, SIGKILL);
  const bool ran_and_keeps = victim == Victim::guard && keeps(plan);
  if (ran_and_keeps || (victim == Victim::launcher && is_recorded(plan))) clear_traces(plan);
  EXPECT_EQ(traces_of(plan), std::vector<std::string>{});
}

// Who lives while `step` is about to be done, and can be told from the others.
std::vector<Victim> victims(const Plan& plan, Carrier carrier, size_t step) {
  const plan::View view(plan);
  const plan::Step& stopped = view.steps()[step];
  std::vector<Victim> found = {Victim::launcher};
  if (carrier == Carrier::helper) found.push_back(Victim::runtime);
  if (step > view.header()->clone_step) found.push_back(Victim::init);
  if (view.steps()[0].op == Op::guard && step > 0) found.push_back(Victim::guard);
  if (stopped.actor == Actor::command || stopped.op == Op::reap) found.push_back(Victim::command);
  return found;
}

class KillActor : public testing::TestWithParam<FaultCase> {};

TEST_P(KillActor, IsNoticedAndNothingIsLeft) {
  const FaultCase& fault_case = GetParam();
  for (const std::string& need : fault_case.needs) ISLE_REQUIRE(need);
  in_case(fault_case, [](const Plan& plan) {
    const std::vector<bool> done = steps_done(plan);
    for (const Carrier carrier : carriers_for(plan))
      for (size_t step = 0; step < plan.step_count(); ++step) {
        if (!done[step] || plan.step_actor(step) == "undo") continue;
        for (const Victim victim : victims(plan, carrier, step)) {
          kill_at(plan, carrier, step, victim);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
  });
}

INSTANTIATE_TEST_SUITE_P(Faults, KillActor, testing::ValuesIn(fault_cases()),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace isle::test
