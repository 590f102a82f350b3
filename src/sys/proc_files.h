// The kernel's text files: one read whole, and the formats of /proc that several layers need.
// Ordinary code that allocates, not for the executor; like flag_names it stands in this folder
// because every layer above may need it. No policy: what the text says, nothing more.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "isle/idmap.h"

namespace isle::sys {

/// The whole of a file as it reads now, or the errno (positive) of open(2) or read(2). Four system
/// calls for what fits in 4 KiB, one more for each further piece.
std::expected<std::string, int> read_text(const char* path);
inline std::expected<std::string, int> read_text(const std::string& path) {
  return read_text(path.c_str());
}

/// The same of a file that is open for reading, from where it stands.
std::expected<std::string, int> read_text(int fd);

/// The next part of `rest` up to `separator`, taken from it with the separator; for lines, '\n'.
std::string_view next_part(std::string_view& rest, char separator);
/// The next word of `rest`, spaces and tabs around it taken too; empty at the end.
std::string_view next_word(std::string_view& rest);
/// The words of a line ("cpu memory pids\n").
std::vector<std::string> words(std::string_view text);

/// One line of /proc/PID/mountinfo, proc_pid_mountinfo(5). Octal escapes are undone.
struct MountEntry {
  uint64_t id = 0;
  uint64_t parent = 0;
  std::string root;     ///< The directory of the file system that is this mount's root.
  std::string point;    ///< Relative to the reader's root directory.
  std::string options;  ///< Of the mount: "rw,nosuid,relatime".
  std::string type;
  std::string source;
  std::string super_options;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t peer_group = 0;  ///< Of "shared:N", 0 for none.
  uint64_t master = 0;      ///< Of "master:N".
  bool unbindable = false;
};
/// Lines that make no sense are left out.
std::vector<MountEntry> parse_mountinfo(std::string_view text);
/// Whether `name` is one of the comma separated `options`.
bool has_option(std::string_view options, std::string_view name);

/// One line of /proc/PID/cgroup, cgroups(7).
struct CgroupEntry {
  std::vector<std::string> controllers;  ///< v1 only; a named hierarchy is "name=systemd".
  bool v2 = false;
  std::string path;  ///< Relative to the reader's cgroup namespace.
};
std::vector<CgroupEntry> parse_cgroup(std::string_view text);

/// /proc/PID/uid_map or gid_map, user_namespaces(7).
IdMap parse_id_map(std::string_view text);

/// The value of "Name:" in a text like /proc/PID/status, without spaces around it; empty where
/// there is no such line.
std::string_view status_field(std::string_view text, std::string_view name);

}  // namespace isle::sys
