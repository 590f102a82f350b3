#include "linux_utils/id_ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linux_utils/face.h"

namespace isle::linux_utils {
namespace {

struct Run {
  uint64_t start = 0;
  uint64_t count = 0;
};

// `count` ids from `start` without `hole`.
std::vector<Run> without(uint64_t start, uint64_t count, uint64_t hole) {
  if (hole < start || hole >= start + count) return {{start, count}};
  std::vector<Run> runs;
  if (hole > start) runs.push_back({start, hole - start});
  if (hole + 1 < start + count) runs.push_back({hole + 1, start + count - hole - 1});
  return runs;
}

}  // namespace

Result<IdMapping> parse_id_range(std::string_view text) {
  const bool old_form = text.find(',') != std::string_view::npos;
  const char separator = old_form ? ',' : ':';
  std::array<uint32_t, 3> numbers{};
  std::string_view rest = text;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const size_t end = rest.find(separator);
    const bool last = i + 1 == numbers.size();
    const auto number = parse_id(rest.substr(0, end), "id");
    if (!number || last != (end == std::string_view::npos))
      return fail(0, fmt::format("invalid mapping '{}': INNER:OUTER:COUNT is wanted", text));
    numbers[i] = *number;
    if (!last) rest.remove_prefix(end + 1);
  }
  if (old_form) std::swap(numbers[0], numbers[1]);
  return IdMapping{.container_id = numbers[0], .host_id = numbers[1], .size = numbers[2]};
}

IdMap with_single(const IdMap& ranges, uint32_t inner, uint32_t outer) {
  IdMap map;
  for (const IdMapping& range : ranges) {
    std::vector<Run> inside = without(range.container_id, range.size, inner);
    std::vector<Run> outside = without(range.host_id, range.size, outer);
    size_t in = 0;
    size_t out = 0;
    while (in < inside.size() && out < outside.size()) {
      const uint64_t count = std::min(inside[in].count, outside[out].count);
      map.push_back({.container_id = static_cast<uint32_t>(inside[in].start),
                     .host_id = static_cast<uint32_t>(outside[out].start),
                     .size = static_cast<uint32_t>(count)});
      for (Run* run : {&inside[in], &outside[out]}) {
        run->start += count;
        run->count -= count;
      }
      if (inside[in].count == 0) ++in;
      if (outside[out].count == 0) ++out;
    }
  }
  map.push_back({.container_id = inner, .host_id = outer, .size = 1});
  return map;
}

}  // namespace isle::linux_utils
