// `isle-oci`: finds the verb and hands over.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "oci_cli/container.h"
#include "oci_cli/flags.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

constexpr Verb kVerbs[] = {
    {"create", create, "ID", "make a container of --bundle, which waits for start"},
    {"start", start, "ID", "let it run its command"},
    {"run", run, "ID", "create, start, wait, delete"},
    {"exec", exec, "ID COMMAND...", "another process in it (or --process FILE)"},
    {"state", state, "ID", "what it is, as JSON"},
    {"kill", kill, "ID [SIGNAL]", "send a signal [TERM]"},
    {"delete", remove, "ID", "remove what has ended"},
    {"list", list, "", "all of them"},
    {"ps", ps, "ID [PS-OPTION...]", "its processes, as the host's ps shows them"},
    {"pause", pause, "ID", "stop all of it, by its cgroup"},
    {"resume", resume, "ID", "let it go on"},
    {"update", update, "ID", "other limits for one that runs"},
    {"events", events, "ID", "what it uses, a line of JSON each interval"},
    {"checkpoint", checkpoint, "ID", "save it to files, by criu"},
    {"restore", restore, "ID", "make it again from files, by criu"},
    {"spec", spec, "", "write a config.json to begin with"},
    {"features", features, "", "what is supported, as JSON"}};

std::string default_root() {
  const char* runtime =
      std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe): one thread
  if (runtime == nullptr || !is_ordinary_user()) return "/run/isle-oci";
  return std::string(runtime) + "/isle-oci";
}

// What isle-oci opened first would otherwise be the container's standard input.
void keep_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR | O_NOCTTY);
  // A container that waits for its start holds none of the caller's that nobody asked it to.
  (void)::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

int dispatch(std::span<char* const> argv) {
  keep_standard_descriptors();
  ::signal(SIGCHLD, SIG_DFL);  // else the kernel keeps nobody for us to wait for
  if (argv.size() == 3 && std::string_view(argv[1]) == "--print-completion")
    return Report().print(completion(argv[2]));
  auto line = parse_command_line(argv);
  if (!line) return Report().fail(line.error());
  Call call{.line = std::move(*line), .report = {}, .root = {}, .descriptors = {}};
  call.descriptors = callers_descriptors(call.line);
  if (Status status = Report::check(call.line); !status) return call.report.fail(status.error());
  call.report = Report(call.line);
  call.root = call.line.get("root", default_root());
  if (call.line.has("version")) return call.report.print(version_text());
  if (call.line.has("help") && call.line.verb.empty()) return call.report.print(usage(""));
  if (call.line.has("explain")) return explain_bundle(call);
  for (const Verb& verb : kVerbs)
    if (verb.name == call.line.verb)
      return call.line.has("help") ? call.report.print(usage(verb.name)) : verb.main(call);
  const std::string& verb = call.line.verb;
  return call.report.fail({.what = verb.empty() ? "no command was given"
                                   : call.line.has("help")
                                       ? fmt::format("No help topic for '{}'", verb)
                                       : fmt::format("unknown command \"{}\"", verb),
                           .hint = "isle-oci --help lists the commands"});
}

}  // namespace

std::span<const Verb> all_verbs() { return kVerbs; }

}  // namespace isle::oci_cli

int main(int argc, char** argv) {
  // The heap grows once and is not given back before the end.
  constexpr int kHeapBytes = 256 * 1024;
  ::mallopt(M_TOP_PAD, kHeapBytes);              // NOLINT(concurrency-mt-unsafe): one thread
  ::mallopt(M_TRIM_THRESHOLD, 64 * kHeapBytes);  // NOLINT(concurrency-mt-unsafe): one thread
  return isle::oci_cli::dispatch({argv, static_cast<size_t>(argc)});
}
