// What --status-fd and --pid-file tell other programs.
#pragma once

#include <sys/types.h>

#include <string>

#include "isle/error.h"
#include "isle/run.h"

namespace isle::cli {

/// A line of JSON each, without the line's end.
std::string started_event(const Process& process);
std::string exited_event(const ExitStatus& status, bool timed_out);
std::string failed_event(const Error& error, int status);

/// Where events go; nowhere where `fd` is negative.
class StatusEvents {
 public:
  explicit StatusEvents(int fd);
  /// Errors of writing are ignored: whoever listened is gone.
  void write(const std::string& event) const;
  [[nodiscard]] bool wanted() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// A file that holds the sandbox's pid from write() on for as long as this lives. It comes into
/// being whole, by rename(2); it is left alone where somebody else has written it meanwhile.
class PidFile {
 public:
  explicit PidFile(std::string path) : path_(std::move(path)) {}
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile() { remove(); }

  /// Nothing to do where the path is empty. Errors: open(2)'s, write(2)'s, rename(2)'s.
  Status write(pid_t host_pid);
  void remove();

 private:
  std::string path_;
  std::string written_;
};

}  // namespace isle::cli
