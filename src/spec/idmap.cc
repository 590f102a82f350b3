#include "isle/idmap.h"

#include <algorithm>

namespace isle {
namespace {

std::optional<uint32_t> translate(std::span<const IdMapping> map, uint32_t id,
                                  uint32_t IdMapping::* from, uint32_t IdMapping::* to) {
  for (const IdMapping& line : map)
    if (id >= line.*from && id - line.*from < line.size) return line.*to + (id - line.*from);
  return std::nullopt;
}

/// `ranges` without `own`, without what an earlier one has, and within the ids there are.
std::vector<SubIdRange> disjoint(uint32_t own, std::span<const SubIdRange> ranges) {
  constexpr uint64_t kEnd = 0xffffffff;  // (uid_t)-1 is no id
  std::vector<std::pair<uint64_t, uint64_t>> taken = {{own, uint64_t{own} + 1}};
  std::vector<SubIdRange> result;
  for (const SubIdRange& range : ranges) {
    uint64_t start = range.start;
    const uint64_t end = std::min(start + range.count, kEnd);
    while (start < end) {
      // The nearest taken interval that ends after `start`: over it, or up to it.
      uint64_t stop = end;
      uint64_t next = end;
      for (const auto& [from, to] : taken)
        if (to > start && from < stop) {
          stop = std::max(from, start);
          next = std::min(to, end);
        }
      if (stop > start)
        result.push_back({static_cast<uint32_t>(start), static_cast<uint32_t>(stop - start)});
      start = std::max(next, stop);
    }
    if (range.count > 0) taken.emplace_back(range.start, end);
  }
  return result;
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

IdMap map_around(uint32_t inside, uint32_t own, std::span<const SubIdRange> ranges) {
  constexpr size_t kMostLines = 340;
  constexpr uint64_t kEnd = 0xffffffff;
  IdMap map;
  uint64_t next = 0;
  bool own_done = false;
  const auto add_own = [&] {
    map.push_back({inside, own, 1});
    own_done = true;
  };
  for (const SubIdRange& range : disjoint(own, ranges)) {
    uint32_t start = range.start;
    uint64_t left = range.count;
    while (left > 0 && next < kEnd && map.size() + 1 < kMostLines) {
      if (!own_done && next == inside) {
        add_own();
        ++next;
        continue;
      }
      const uint64_t size = std::min(left, (own_done ? kEnd : inside) - next);
      map.push_back({static_cast<uint32_t>(next), start, static_cast<uint32_t>(size)});
      next += size;
      start += static_cast<uint32_t>(size);
      left -= size;
    }
  }
  if (!own_done) add_own();
  return map;
}

}  // namespace isle
