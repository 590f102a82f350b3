// ps: the processes of a container, as ps(1) of the host shows them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "isle/run.h"
#include "oci_cli/container.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

/// What `ps OPTIONS` of this machine writes. Errors: there is none; its exit status.
Result<std::string> run_ps(std::vector<std::string> options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return fail(errno, "make a pipe");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  Spec spec;
  spec.process.args.value = {"ps"};
  spec.process.args.value.insert(spec.process.args.value.end(),
                                 std::make_move_iterator(options.begin()),
                                 std::make_move_iterator(options.end()));
  spec.process.user.as_is = true;
  LaunchOptions launch;
  launch.stdio = {STDIN_FILENO, writing.get(), STDERR_FILENO};
  auto process = spawn(spec, launch);
  if (!process) return std::unexpected(process.error());
  writing.reset();
  std::string text;
  char buffer[16384];
  for (ssize_t got = 0; (got = ::read(reading.get(), buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, "read what ps writes");
    text.append(buffer, static_cast<size_t>(got));
  }
  const auto status = process->wait();
  if (!status) return std::unexpected(status.error());
  if (status->shell_status() != 0)
    return fail(0, fmt::format("ps: exit status {}", status->shell_status()));
  return text;
}

/// Its head and the lines of `pids`. Errors: there is no column PID.
Result<std::string> lines_of(std::string_view table, const std::vector<pid_t>& pids) {
  const auto lines = split(table, "\n");
  const auto head = lines.empty() ? std::vector<std::string_view>{} : split(lines[0]);
  const auto column = std::ranges::find(head, "PID");
  if (column == head.end()) return fail(0, "ps: its table has no column PID");
  const auto place = static_cast<size_t>(column - head.begin());
  std::string text;
  for (const std::string_view line : lines) {
    const auto words = split(line);
    const bool ours = place < words.size() &&
                      std::ranges::find(pids, number_in<pid_t>(words[place])) != pids.end();
    if (line.data() == lines[0].data() || ours) text += std::string(line) + "\n";
  }
  return text;
}

std::string names_of(const std::vector<pid_t>& pids) {
  std::string text = fmt::format("{:<10}{}\n", "PID", "COMMAND");
  for (const pid_t pid : pids)
    text += fmt::format("{:<10}{}", pid,
                        oci::read_whole(fmt::format("/proc/{}/comm", pid)).value_or("\n"));
  return text;
}

}  // namespace

int ps(const Call& call) {
  if (call.line.operands.empty())
    return call.report.fail({.what = "ps: expected a container id, found nothing"});
  const auto opened = open_container(call, call.id(), Access::read);
  if (!opened) return call.report.fail(opened.error());
  const std::vector<pid_t> pids = processes(opened->state);
  const std::string format = call.line.get("format", "table");
  if (format == "json") return call.report.print(oci::Json(pids).dump() + "\n");
  if (format != "table")
    return call.report.fail(
        {.what = fmt::format("--format {}: invalid format: expected table or json", format)});
  std::vector<std::string> options(call.line.operands.begin() + 1, call.line.operands.end());
  const bool asked = !options.empty();
  if (!asked) options = {"-ef"};
  const auto table = run_ps(std::move(options));
  if (!table && !asked) return call.report.print(names_of(pids));  // a machine without ps
  const auto text = table ? lines_of(*table, pids) : std::unexpected(table.error());
  return text ? call.report.print(*text) : call.report.fail(text.error());
}

}  // namespace isle::oci_cli
