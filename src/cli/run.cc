// `isle run`: from the command line to the end of the sandbox.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/output.h"
#include "cli/run_request.h"
#include "cli/session.h"
#include "cli/status_events.h"
#include "isle/host.h"
#include "isle/plan.h"
#include "isle/run.h"

namespace isle::cli {
namespace {

constexpr uint64_t kNsPerUs = 1000;

uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

int failed(const Error& error, int status, const StatusEvents& events) {
  complain(error);
  if (events.wanted()) events.write(failed_event(error, status));
  return status;
}

// Of isle's own process nothing is reachable from inside unless it enters what others own, or
// stays as pid 1: then a small program goes in its place.
LaunchOptions::Carrier carrier(const Spec& spec) {
  const bool helper =
      spec.process.init.value || std::ranges::any_of(spec.namespaces, &NamespaceWish::joins);
  return helper ? LaunchOptions::Carrier::helper : LaunchOptions::Carrier::direct;
}

// Tells each step once, when it has been done, with the time since this was made.
class StepPrinter {
 public:
  explicit StepPrinter(const Plan& plan) : plan_(plan), told_(plan.step_count()) {}

  void tell(const std::vector<StepTime>& times) {
    std::vector<std::pair<uint64_t, size_t>> done;
    for (size_t i = 0; i < told_.size(); ++i) {
      if (!told_[i] && times[i].done_ns != 0) done.emplace_back(times[i].done_ns, i);
    }
    std::ranges::sort(done);  // several processes do them
    std::string text;
    for (const auto& [done_ns, index] : done) text += line(done_ns, index);
    print_error(text);
  }

  // The one that no process outlives.
  void tell_execve() {
    for (size_t i = 0; i < told_.size(); ++i) {
      if (plan_.step_op(i) == "execve") print_error(line(now_ns(), i));
    }
  }

 private:
  std::string line(uint64_t done_ns, size_t index) {
    told_[index] = true;
    return fmt::format("isle: {:>7} us  {:<8}{}\n", (done_ns - start_ns_) / kNsPerUs,
                       plan_.step_actor(index), plan_.step_text(index));
  }

  const Plan& plan_;
  std::vector<bool> told_;
  uint64_t start_ns_ = now_ns();
};

int stay_with(Process process, SignalEvents& signals, const RunRequest& request,
              const StatusEvents& events) {
  PidFile pid_file(request.pid_file);
  if (Status status = pid_file.write(process.host_pid()); !status) {
    return failed(status.error(), kIsleFailed, events);
  }
  if (events.wanted()) events.write(started_event(process));
  const auto end = run_session(process, signals,
                               {.timeout_ns = request.timeout_ns, .grace_ns = request.grace_ns});
  if (!end) return failed(end.error(), kIsleFailed, events);
  if (events.wanted()) events.write(exited_event(end->status, end->timed_out));
  return end->timed_out ? kTimedOut : end->status.shell_status();
}

int launch_and_stay(const Plan& plan, const RunRequest& request, const StatusEvents& events) {
  SignalEvents signals;
  LaunchOptions options{.carrier = carrier(request.spec), .signal_mask = signals.mask_before()};
  StepPrinter printer(plan);
  if (request.verbose) {
    options.on_progress = [&](const std::vector<StepTime>& times) { printer.tell(times); };
  }
  auto process = launch(plan, options);
  if (!process) return failed(process.error(), failure_status(plan, process.error()), events);
  signals.launched();
  if (request.verbose) printer.tell_execve();
  return stay_with(std::move(*process), signals, request, events);
}

}  // namespace

int run_main(const Invocation& invocation) {
  RunRequest request;
  const auto next = parse_options(run_options(), invocation.argv, invocation.first, &request);
  if (request.help) return print(help(*find_command("run")));
  const StatusEvents events(request.status_fd);
  if (!next) return failed(next.error(), kIsleFailed, events);
  if (events.wanted() && ::fcntl(request.status_fd, F_GETFD) < 0) {
    return failed({.code = errno,
                   .what = fmt::format("write events to descriptor {}", request.status_fd),
                   .asked_by = request.spec.origins[request.spec.note_namespaces.from],
                   .hint = "it is not open"},
                  kIsleFailed, StatusEvents(-1));
  }
  const Status completed =
      complete(request, this_caller(), invocation.argv.subspan(static_cast<size_t>(*next)), *next);
  if (!completed) return failed(completed.error(), kIsleFailed, events);
  const std::vector<Error> complaints = validate(request.spec);
  for (const Error& complaint : complaints) complain(complaint);
  if (!complaints.empty()) {
    if (events.wanted()) events.write(failed_event(complaints.front(), kIsleFailed));
    return kIsleFailed;
  }
  const auto plan = compile(request.spec, probe_host(request.spec));
  if (!plan) return failed(plan.error(), kIsleFailed, events);
  if (request.explain == Explain::text) return print(to_text(*plan));
  if (request.explain == Explain::json) return print(to_json(*plan) + "\n");
  return launch_and_stay(*plan, request, events);
}

}  // namespace isle::cli
