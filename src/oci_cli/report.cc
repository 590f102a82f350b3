#include "oci_cli/report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "cli/output.h"
#include "isle/fd.h"
#include "oci/json_node.h"
#include "oci_cli/kernel_text.h"

namespace isle::oci_cli {

Report::Report(const CommandLine& line)
    : path_(line.get("log")),
      json_(line.get("log-format", "text") == "json"),
      debug_(line.has("debug")) {
  if (path_.starts_with("file:")) path_.erase(0, sizeof "file:" - 1);
}

Status Report::check(const CommandLine& line) {
  const std::string format = line.get("log-format", "text");
  if (format != "text" && format != "json")
    return isle::fail(0, fmt::format("--log-format {}: expected text or json", format));
  const std::string path = line.get("log");
  const size_t colon = path.find(':');
  if (colon < path.find('/') && path.substr(0, colon) != "file")
    return isle::fail(0, fmt::format("--log {}: expected a path, or file:PATH", path));
  return {};
}

void Report::debug(std::string_view lines) const {
  if (!debug_) return;
  for (const std::string_view line : split(lines, "\n")) log("debug", std::string(line));
}

int Report::print(std::string_view text) const {
  if (cli::write_all(STDOUT_FILENO, text)) return 0;
  return fail({.code = errno, .what = "write to standard output"});
}

int Report::fail(const Error& error, int status) const {
  cli::print_error(fmt::format("isle-oci: {}\n", error.message()));
  std::string text = error.summary();
  if (!error.hint.empty()) text += " (" + error.hint + ")";
  log("error", text);
  return status;
}

void Report::log(std::string_view level, const std::string& what) const {
  const bool to_file = !path_.empty() && path_ != "/dev/null";
  if (!to_file && level == "error") return;  // it is on standard error in full
  if (!to_file && level != "debug")
    return cli::print_error(fmt::format("isle-oci: {}: {}\n", level, what));
  const oci::Json entry = {{"level", level}, {"msg", what}, {"time", timestamp()}};
  const auto quoted = [](const oci::Json& json) {
    return json.dump(-1, ' ', false, oci::Json::error_handler_t::replace);
  };
  const std::string line = json_ ? quoted(entry) + "\n"
                                 : fmt::format("time={} level={} msg={}\n", quoted(entry["time"]),
                                               level, quoted(entry["msg"]));
  if (!to_file) return cli::print_error(line);
  const Fd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file) cli::write_all(file.get(), line);
}

std::string timestamp() {
  // Not gmtime_r(3), which reads the time zone's file first.
  const auto now = std::chrono::system_clock::now();
  const auto today = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(today);
  const std::chrono::hh_mm_ss clock(now - today);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace isle::oci_cli
