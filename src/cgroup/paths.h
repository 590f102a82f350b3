// Many cgroups by one descriptor: each walk from "/" to one may wait for sysfs's lock (docs/kernel-notes.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "isle/fd.h"
#include "isle/host.h"

namespace isle::cgroup {

/// The longest directory that is each of `paths` or above it: "/sys/fs/cgroup" of "/sys/fs/cgroup/pids" and
/// "/sys/fs/cgroup/cpu". Empty where that is "/", or there are none.
[[nodiscard]] std::string common_directory(const std::vector<std::string>& paths);

/// The one that all hierarchies are mounted in or below.
[[nodiscard]] std::string common_directory(const CgroupFacts& facts);

/// What is left of `path` below `directory`; empty where it is not below it.
[[nodiscard]] std::string_view rest_below(std::string_view directory, std::string_view path);

/// A directory held open, and what the *at system calls take for a path below it.
class Paths {
 public:
  /// Where it cannot be opened, or is empty, every path is walked as it is.
  explicit Paths(std::string directory);

  struct Place {
    int directory;     ///< Or AT_FDCWD.
    const char* path;  ///< Part of the path asked for.
  };
  [[nodiscard]] Place find(const std::string& path) const;

 private:
  std::string directory_;
  Fd fd_;
};

}  // namespace isle::cgroup
