// Maps between the ids of a user namespace and those of its parent. Nothing else belongs here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace isle {

/// One line of /proc/PID/uid_map: `size` ids from `container_id` inside are `host_id`... in the
/// parent user namespace. runtime-spec: linux.uidMappings[].
struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 1;
  bool operator==(const IdMapping&) const = default;
};

using IdMap = std::vector<IdMapping>;

/// A range of subordinate ids as /etc/subuid grants it.
struct SubIdRange {
  uint32_t start = 0;
  uint32_t count = 0;
  bool operator==(const SubIdRange&) const = default;
};

/// The text to write to uid_map or gid_map, a line a mapping. The kernel takes at most 340 lines
/// and one page (user_namespaces(7)).
[[nodiscard]] std::string to_text(std::span<const IdMapping> map);

/// What `inside` is in the parent namespace; nothing where it is not mapped.
[[nodiscard]] std::optional<uint32_t> to_host(std::span<const IdMapping> map, uint32_t inside);

/// What `host` is inside; nothing where it is not mapped.
[[nodiscard]] std::optional<uint32_t> to_container(std::span<const IdMapping> map, uint32_t host);

/// The caller's own id as `inside`, and the other ids from 0 up filled from subordinate ranges, with
/// a hole left for it: 1000 as 1000 -> {0:S:1000, 1000:1000:1, 1001:S+1000:rest}.
/// What ranges grant twice, or of the own id, counts once; at most 340 lines.
[[nodiscard]] IdMap map_around(uint32_t inside, uint32_t own, std::span<const SubIdRange> ranges);

}  // namespace isle
