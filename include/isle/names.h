// Words people and configuration files use for the kernel's numbers: signals, capabilities,
// limits, mount options. One table each, in src/; nothing else belongs here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/spec.h"

namespace isle {

/// The number of "TERM", "SIGTERM", "15", "RTMIN+3"; any letter case. 1..64.
[[nodiscard]] std::optional<int> parse_signal(std::string_view text);
/// "SIGTERM" of 15.
[[nodiscard]] std::string signal_name(int number);

/// The number of "CAP_SYS_ADMIN", "sys_admin" or "21"; 0..63.
[[nodiscard]] std::optional<int> parse_capability(std::string_view text);
/// "CAP_SYS_ADMIN" of 21.
[[nodiscard]] std::string capability_name(int number);
/// A mask of all capabilities isle has a name for.
[[nodiscard]] uint64_t all_capabilities();
/// `mask` as each of the five sets.
[[nodiscard]] inline Capabilities in_all_sets(uint64_t mask) {
  return {
      .bounding = mask, .effective = mask, .permitted = mask, .inheritable = mask, .ambient = mask};
}

/// The number of "RLIMIT_NOFILE" or "nofile"; any letter case.
[[nodiscard]] std::optional<int> parse_rlimit(std::string_view text);
/// "RLIMIT_NOFILE" of 7.
[[nodiscard]] std::string rlimit_name(int number);

/// What one word among mount(8)'s options means: "ro", "rnosuid" (runtime-spec: the mounts below
/// too), "rslave", "rbind".
struct MountOption {
  MountAttributes attributes = {};
  std::optional<Propagation> propagation = {};
  bool propagation_recursive = false;
  /// "bind": false, "rbind": true.
  std::optional<bool> bind = {};
};

/// Nothing for a word that is not a mount option but one of the file system's own ("size=1M").
[[nodiscard]] std::optional<MountOption> parse_mount_option(std::string_view word);

/// "private", "slave", "shared", "unbindable", "unchanged".
[[nodiscard]] std::optional<Propagation> parse_propagation(std::string_view word);

/// Names for completions and for "did you mean".
[[nodiscard]] std::vector<std::string> capability_names();
[[nodiscard]] std::vector<std::string> rlimit_names();

}  // namespace isle
