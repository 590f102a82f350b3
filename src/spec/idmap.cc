#include "isle/idmap.h"

#include <algorithm>

namespace isle {
namespace {

std::optional<uint32_t> translate(std::span<const IdMapping> map, uint32_t id,
                                  uint32_t IdMapping::*from, uint32_t IdMapping::*to) {
  for (const IdMapping& line : map)
    if (id >= line.*from && id - line.*from < line.size) return line.*to + (id - line.*from);
  return std::nullopt;
}

}  // namespace

std::string to_text(std::span<const IdMapping> map) {
  std::string text;
  for (const IdMapping& line : map) {
    if (!text.empty()) text += '\n';
    text += std::to_string(line.container_id) + ' ' + std::to_string(line.host_id) + ' ' +
            std::to_string(line.size);
  }
  return text;
}

std::optional<uint32_t> to_host(std::span<const IdMapping> map, uint32_t inside) {
  return translate(map, inside, &IdMapping::container_id, &IdMapping::host_id);
}

std::optional<uint32_t> to_container(std::span<const IdMapping> map, uint32_t host) {
  return translate(map, host, &IdMapping::host_id, &IdMapping::container_id);
}

IdMap map_around(uint32_t own, std::span<const SubIdRange> ranges) {
  IdMap map;
  uint64_t inside = 0;
  bool own_done = false;
  const auto add_own = [&] {
    map.push_back({own, own, 1});
    own_done = true;
  };
  for (const SubIdRange& range : ranges) {
    uint32_t start = range.start;
    uint32_t left = range.count;
    while (left > 0) {
      if (!own_done && inside == own) {
        add_own();
        ++inside;
      }
      const uint64_t room = own_done ? left : std::min<uint64_t>(left, own - inside);
      const auto size = static_cast<uint32_t>(room);
      map.push_back({static_cast<uint32_t>(inside), start, size});
      inside += size;
      start += size;
      left -= size;
    }
  }
  if (!own_done) add_own();
  return map;
}

}  // namespace isle
