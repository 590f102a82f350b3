// isle.h: commands in namespaces.
#include "isle/run.h"

#include <cstdlib>
#include <cstring>

#include "c/face.h"

struct isle_process {
  isle::Process process;
};

namespace {

using isle::Result;
using isle::c::done;
using isle::c::guarded;

int set_end(const isle::ExitStatus& status, isle_exit* end) {
  if (end != nullptr) *end = {.code = status.code, .signal = status.signal};
  return 0;
}

/// The plan, once nothing is wrong with what was asked for.
Result<isle::Plan> plan_of(const isle_spec* spec) {
  if (!spec->complaints.empty()) return std::unexpected(spec->complaints.front());
  return isle::compile(spec->spec, isle::probe_host(spec->spec));
}

Result<isle::Process> spawned(const isle_spec* spec, const isle::LaunchOptions& options = {}) {
  const Result<isle::Plan> plan = plan_of(spec);
  if (!plan) return std::unexpected(plan.error());
  return isle::launch(*plan, options);
}

}  // namespace

extern "C" {

char* isle_spec_explain(const isle_spec* spec, int as_json, isle_error** error) {
  return guarded<char*>(
      error, nullptr, [=] { return plan_of(spec); },
      [=](const isle::Plan& plan) {
        return ::strdup((as_json != 0 ? isle::to_json(plan) : isle::to_text(plan)).c_str());
      });
}
void isle_text_free(char* text) { std::free(text); }

isle_process* isle_spawn(const isle_spec* spec, isle_error** error) {
  return guarded<isle_process*>(
      error, nullptr, [=] { return spawned(spec); },
      [](isle::Process& process) { return new isle_process{std::move(process)}; });
}
isle_process* isle_spawn_with(const isle_spec* spec, const int stdio[3], isle_error** error) {
  isle::LaunchOptions options;
  options.stdio = {stdio[0], stdio[1], stdio[2]};
  return guarded<isle_process*>(
      error, nullptr, [&] { return spawned(spec, options); },
      [](isle::Process& process) { return new isle_process{std::move(process)}; });
}
pid_t isle_process_pid(const isle_process* process) { return process->process.host_pid(); }
int isle_process_pidfd(const isle_process* process) { return process->process.pidfd().get(); }
int isle_process_console(const isle_process* process) { return process->process.console().get(); }
int isle_process_signal(isle_process* process, int signal, isle_error** error) {
  return done(error, [=] { return process->process.signal(signal); });
}
int isle_process_wait(isle_process* process, isle_exit* end, isle_error** error) {
  return guarded(
      error, -1, [=] { return process->process.wait(); },
      [=](const isle::ExitStatus& status) { return set_end(status, end); });
}
void isle_process_free(isle_process* process) { delete process; }
int isle_run(const isle_spec* spec, isle_exit* end, isle_error** error) {
  return guarded(
      error, -1,
      [=]() -> Result<isle::ExitStatus> {
        Result<isle::Process> process = spawned(spec);
        if (!process) return std::unexpected(std::move(process.error()));
        return process->wait();
      },
      [=](const isle::ExitStatus& status) { return set_end(status, end); });
}

}  // extern "C"
