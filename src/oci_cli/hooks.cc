#include "oci_cli/hooks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <limits>

#include "cli/output.h"
#include "isle/run.h"
#include "oci_cli/container.h"

namespace isle::oci_cli {
namespace {

std::string text_of(const oci::Json& json) {
  return json.dump(-1, ' ', false, oci::Json::error_handler_t::replace);
}

Result<Fd> memory_file(const char* name) {
  Fd file(::memfd_create(name, MFD_CLOEXEC));
  if (file && file.get() <= STDERR_FILENO)
    file = Fd(::fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!file) return fail(errno, "make a memory file for a hook");
  return file;
}

/// A memory file: a hook that does not read it stops nobody.
Result<Fd> input_of(const std::string& text) {
  auto file = memory_file("state");
  if (file && (!cli::write_all(file->get(), text) || ::lseek(file->get(), 0, SEEK_SET) < 0))
    return fail(errno, "write the state for a hook");
  return file;
}

/// The end of what a hook said: "" or "it said: ...".
std::string last_words(const Fd& output) {
  constexpr off_t kMost = 512;
  const off_t size = std::max<off_t>(::lseek(output.get(), 0, SEEK_END), 0);
  std::string text(static_cast<size_t>(std::min(size, kMost)), '\0');
  const ssize_t got =
      ::pread(output.get(), text.data(), text.size(), size - static_cast<off_t>(text.size()));
  text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? text : "it said: " + text;
}

/// As it would be run from a shell in the bundle, but for the environment, which is its own.
Spec spec_of(const Hook& hook, const std::string& bundle) {
  Spec spec;
  spec.process.program = {.value = hook.path};
  spec.process.args = {.value = hook.args.empty() ? std::vector{hook.path} : hook.args};
  spec.process.env = {.value = hook.env};
  spec.process.user.as_is = true;
  spec.process.default_signals = {.value = true};
  if (::access(bundle.c_str(), X_OK) == 0) spec.process.cwd = {.value = bundle};
  return spec;
}

/// 0 s: whenever. A signal, as the timer's of `run`, ends no wait.
bool ends_within(const Process& process, uint32_t limit_s) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + std::chrono::seconds(limit_s);
  pollfd ended{.fd = process.pidfd().get(), .events = POLLIN, .revents = 0};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    const auto left_ms = std::clamp<int64_t>(left.count(), 0, std::numeric_limits<int>::max());
    const int ready = ::poll(&ended, 1, limit_s == 0 ? -1 : static_cast<int>(left_ms));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// Where hooks write, opened to be added to; where nothing is named, -1.
struct Output {
  Fd out, err;
};

Result<Output> open_output(const oci::Json& annotations) {
  Output output;
  for (const auto& [key, into] :
       {std::pair{"run.oci.hooks.stdout", &output.out}, {"run.oci.hooks.stderr", &output.err}}) {
    const std::string path = annotations.value(key, "");
    if (path.empty()) continue;
    constexpr mode_t kMode = 0600;
    *into = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode));
    if (!*into) return fail(errno, fmt::format("open \"{}\" for {}", path, key));
  }
  return output;
}

Status run_hook(const Hook& hook, const oci::State& state, oci::Phase phase) {
  const auto input = input_of(text_of(public_state(state, phase)));
  if (!input) return std::unexpected(input.error());
  const auto output = open_output(state.annotations);
  if (!output) return std::unexpected(output.error());
  // Our own standard output and error are the container's, or the engine's.
  const auto words = memory_file("output");
  if (!words) return std::unexpected(words.error());
  LaunchOptions options{.signal_mask = kNoSignals};
  options.stdio = {input->get(), output->out ? output->out.get() : words->get(),
                   output->err ? output->err.get() : words->get()};
  auto process = spawn(spec_of(hook, state.bundle), options);
  if (!process) return std::unexpected(process.error());
  if (!ends_within(*process, hook.timeout_s)) {
    (void)process->signal(SIGKILL);
    (void)process->wait();
    return fail(ETIMEDOUT, fmt::format("it took longer than {} s", hook.timeout_s));
  }
  const auto status = process->wait();
  if (!status) return std::unexpected(status.error());
  if (status->signal != 0)
    return fail(0, fmt::format("killed by signal {}", status->signal), last_words(*words));
  if (status->code != 0)
    return fail(0, fmt::format("exit status {}", status->code), last_words(*words));
  return {};
}

}  // namespace

Status run_hooks(const std::vector<Hook>& hooks, std::string_view kind, const oci::State& state,
                 oci::Phase phase) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    Status status = run_hook(hooks[i], state, phase);
    if (status) continue;
    Error error = std::move(status.error());
    error.what =
        fmt::format("error running {} hook #{}: \"{}\": {}", kind, i, hooks[i].path, error.what);
    error.asked_by = fmt::format("config.json /hooks/{}/{}", kind, i);
    return std::unexpected(std::move(error));
  }
  return {};
}

void run_all_hooks(const std::vector<Hook>& hooks, std::string_view kind, const oci::State& state,
                   oci::Phase phase, const Report& report) {
  for (const Hook& hook : hooks)
    if (Status status = run_hooks({hook}, kind, state, phase); !status)
      report.warn(status.error().message());
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return variables;
}

std::vector<Hook> told(std::vector<Hook> hooks, const oci::State& state, oci::Phase phase) {
  if (hooks.empty()) return hooks;
  oci::Json rest = public_state(state, phase);
  rest.erase("pid");
  const std::string text = text_of(rest);  // never empty: it has an id
  for (Hook& hook : hooks) {
    hook.input_before = "{\"pid\":";
    hook.input_after = "," + text.substr(1);
  }
  return hooks;
}

}  // namespace isle::oci_cli
