// `isle-oci`: finds the verb and hands over.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>

#include "oci_cli/container.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

struct Verb {
  std::string_view name;
  int (*main)(const Call& call);
};
constexpr Verb kVerbs[] = {{"create", create},
                           {"start", start},
                           {"run", run},
                           {"exec", exec},
                           {"state", state},
                           {"kill", kill},
                           {"delete", remove},
                           {"list", list},
                           {"ps", ps},
                           {"pause", pause},
                           {"resume", resume},
                           {"update", update},
                           {"events", events},
                           {"checkpoint", checkpoint},
                           {"restore", restore},
                           {"spec", spec},
                           {"features", features}};

std::string default_root() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || !is_ordinary_user()) return "/run/isle-oci";
  return std::string(runtime) + "/isle-oci";
}

// What isle-oci opened first would otherwise be the container's standard input.
void keep_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR | O_NOCTTY);
}

int dispatch(std::span<char* const> argv) {
  keep_standard_descriptors();
  auto line = parse_command_line(argv);
  if (!line) return Report().fail(line.error());
  Call call{.line = std::move(*line), .report = {}, .root = {}};
  if (Status status = Report::check(call.line); !status) return call.report.fail(status.error());
  call.report = Report(call.line);
  call.root = call.line.get("root", default_root());
  if (call.line.has("version")) return call.report.print(version_text());
  if (call.line.has("help") && call.line.verb.empty()) return call.report.print(usage());
  if (call.line.has("explain")) return explain_bundle(call);
  for (const Verb& verb : kVerbs)
    if (verb.name == call.line.verb)
      return call.line.has("help") ? call.report.print(usage()) : verb.main(call);
  return call.report.fail({.what = call.line.verb.empty()
                                       ? "no command was given"
                                       : fmt::format("unknown command \"{}\"", call.line.verb),
                           .hint = "isle-oci --help lists the commands"});
}

}  // namespace
}  // namespace isle::oci_cli

int main(int argc, char** argv) {
  // The heap grows once and is not given back before the end.
  constexpr int kHeapBytes = 256 * 1024;
  ::mallopt(M_TOP_PAD, kHeapBytes);
  ::mallopt(M_TRIM_THRESHOLD, 64 * kHeapBytes);
  return isle::oci_cli::dispatch({argv, static_cast<size_t>(argc)});
}
