// `isle run`: from the command line to the end of the sandbox.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
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

// The steps that were done, with the time since `start_ns` for those that have one.
void print_steps(const Plan& plan, const std::vector<StepTime>& times, size_t count,
                 uint64_t start_ns) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t done_ns = i < times.size() ? times[i].done_ns : 0;
    const std::string time =
        done_ns > start_ns ? fmt::format("{:>7} us", (done_ns - start_ns) / kNsPerUs) : "";
    text += fmt::format("isle: {:>10}  {:<8}{}\n", time, plan.step_actor(i), plan.step_text(i));
  }
  print_error(text);
}

int stay_with(Process process, SignalEvents& signals, const RunRequest& request,
              const StatusEvents& events) {
  PidFile pid_file(request.pid_file);
  if (Status status = pid_file.write(process.host_pid()); !status) {
    return failed(status.error(), kIsleFailed, events);
  }
  if (events.wanted()) events.write(started_event(process.host_pid()));
  const auto end = run_session(process, signals,
                               {.timeout_ns = request.timeout_ns, .grace_ns = request.grace_ns});
  if (!end) return failed(end.error(), kIsleFailed, events);
  if (events.wanted()) events.write(exited_event(end->status, end->timed_out));
  return end->timed_out ? kTimedOut : end->status.shell_status();
}

int launch_and_stay(const Plan& plan, const RunRequest& request, const StatusEvents& events) {
  const uint64_t start_ns = now_ns();
  SignalEvents signals;
  auto process = launch(plan, {.carrier = carrier(request.spec),
                               .record_times = request.verbose,
                               .signal_mask = signals.mask_before(),
                               .fault = {}});
  if (!process) {
    const Error& error = process.error();
    if (request.verbose && error.step >= 0) {
      print_steps(plan, {}, static_cast<size_t>(error.step), start_ns);
    }
    return failed(error, failure_status(plan, error), events);
  }
  signals.launched();
  if (request.verbose) print_steps(plan, process->step_times(), plan.step_count(), start_ns);
  return stay_with(std::move(*process), signals, request, events);
}

}  // namespace

int run_main(const Invocation& invocation) {
  RunRequest request;
  const auto next = parse_options(run_options(), invocation.argv, invocation.first, &request);
  if (request.help) return print(help(*find_command("run")));
  const StatusEvents events(request.status_fd);
  if (!next) return failed(next.error(), kIsleFailed, events);
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
