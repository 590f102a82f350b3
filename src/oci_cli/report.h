// What isle-oci tells: results on standard output; errors on standard error and, a line each, in the
// log that the engine reads.
#pragma once

#include <string>
#include <string_view>

#include "isle/error.h"
#include "oci_cli/command_line.h"

namespace isle::oci_cli {

inline constexpr int kFailed = 1;

class Report {
 public:
  Report() = default;
  explicit Report(const CommandLine& line);
  /// Errors: --log or --log-format make no sense.
  static Status check(const CommandLine& line);

  /// Writes `text` to standard output; the exit status.
  int print(std::string_view text) const;
  void warn(const std::string& what) const { log("warning", what); }
  /// With --debug only.
  void debug(std::string_view lines) const;
  /// To the log and to standard error; gives `status` back.
  int fail(const Error& error, int status = kFailed) const;

 private:
  void log(std::string_view level, const std::string& what) const;

  std::string path_;
  bool json_ = false;
  bool debug_ = false;
};

/// Now, as RFC 3339 has it, in UTC with nanoseconds.
std::string timestamp();

}  // namespace isle::oci_cli
