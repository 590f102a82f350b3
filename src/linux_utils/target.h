// The process nsenter(1) takes things from, and what /proc tells of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/spec.h"

namespace isle::linux_utils {

struct Target {
  pid_t pid = 0;
  std::optional<uint64_t> pidfd_inode;  ///< What its pidfd has to be (Linux 6.9).
  Fd pidfd;                             ///< After open().
  Origin from = 0;

  /// "PID" or "PID:INODE".
  static Result<Target> parse(std::string_view text);
  /// Once; later calls do nothing. Errors: ESRCH no such process, or another than INODE says.
  Status open();

  [[nodiscard]] Result<std::vector<std::string>> environment() const;
  /// Directories of its cgroups: of the unified hierarchy, or where there is none, all.
  [[nodiscard]] Result<std::vector<std::string>> cgroups() const;
  [[nodiscard]] Result<std::string> selinux_label() const;
};

}  // namespace isle::linux_utils
