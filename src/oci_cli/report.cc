#include "oci_cli/report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "cli/output.h"
#include "isle/fd.h"
#include "oci/json_node.h"

namespace isle::oci_cli {

Report::Report(const CommandLine& line)
    : path_(line.get("log")), json_(line.get("log-format", "text") == "json") {}

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
  if (path_.empty() || path_ == "/dev/null") {
    if (level != "error") cli::print_error(fmt::format("isle-oci: {}: {}\n", level, what));
    return;
  }
  const Fd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file) return;
  const oci::Json entry = {{"level", level}, {"msg", what}, {"time", timestamp()}};
  const auto quoted = [&](const char* key) {
    return entry[key].dump(-1, ' ', false, oci::Json::error_handler_t::replace);
  };
  cli::write_all(
      file.get(),
      json_ ? entry.dump(-1, ' ', false, oci::Json::error_handler_t::replace) + "\n"
            : fmt::format("time={} level={} msg={}\n", quoted("time"), level, quoted("msg")));
}

std::string timestamp() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.tv_nsec);
}

}  // namespace isle::oci_cli
