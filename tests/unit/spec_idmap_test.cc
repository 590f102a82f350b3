// Id maps: translation, text, and the map around one's own id.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "isle/idmap.h"

namespace isle {
namespace {

using Ranges = std::vector<SubIdRange>;

TEST(IdMap, Text) {
  EXPECT_EQ(to_text(IdMap{}), "");
  EXPECT_EQ(to_text(IdMap{{0, 100000, 1000}, {1000, 1000, 1}}), "0 100000 1000\n1000 1000 1");
}

TEST(IdMap, TranslatesBothWays) {
  const IdMap map = {{0, 100000, 1000}, {1000, 1000, 1}, {0xfffffff0, 5, 10}};
  EXPECT_EQ(to_host(map, 0), 100000U);
  EXPECT_EQ(to_host(map, 999), 100999U);
  EXPECT_EQ(to_host(map, 1000), 1000U);
  EXPECT_EQ(to_host(map, 1001), std::nullopt);
  EXPECT_EQ(to_host(map, 0xfffffff9), 14U);
  EXPECT_EQ(to_host(map, 0xfffffffa), std::nullopt);
  EXPECT_EQ(to_container(map, 100999), 999U);
  EXPECT_EQ(to_container(map, 101000), std::nullopt);
  EXPECT_EQ(to_container(map, 14), 0xfffffff9);
  EXPECT_EQ(to_container(IdMap{}, 0), std::nullopt);
}

TEST(IdMap, AroundOnesOwn) {
  EXPECT_EQ(map_around(1000, 1000, Ranges{{100000, 65536}}),
            (IdMap{{0, 100000, 1000}, {1000, 1000, 1}, {1001, 101000, 64536}}));
  EXPECT_EQ(map_around(0, 0, Ranges{{100000, 10}}), (IdMap{{0, 0, 1}, {1, 100000, 10}}));
  EXPECT_EQ(map_around(1000, 1000, Ranges{}), (IdMap{{1000, 1000, 1}}));
  EXPECT_EQ(map_around(1000, 1000, Ranges{{5000, 10}}), (IdMap{{0, 5000, 10}, {1000, 1000, 1}}));
  EXPECT_EQ(map_around(15, 15, Ranges{{5000, 10}, {7000, 10}}),
            (IdMap{{0, 5000, 10}, {10, 7000, 5}, {15, 15, 1}, {16, 7005, 5}}));
}

TEST(IdMap, AroundOnesOwnWhereTheRangesHoldIt) {
  EXPECT_EQ(map_around(5, 5, Ranges{{0, 10}}), (IdMap{{0, 0, 5}, {5, 5, 1}, {6, 6, 4}}));
  EXPECT_EQ(map_around(9, 9, Ranges{{100, 4}, {102, 4}}),
            (IdMap{{0, 100, 4}, {4, 104, 2}, {9, 9, 1}}));
  EXPECT_EQ(map_around(1, 1, Ranges{{0, 0xffffffff}, {0, 0xffffffff}}),
            (IdMap{{0, 0, 1}, {1, 1, 1}, {2, 2, 0xfffffffd}}));
}

bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

// Whatever /etc/subuid says, what comes out is a map the kernel takes.
TEST(IdMap, AroundOnesOwnIsAlwaysAMap) {
  std::mt19937 random(20240229);
  const auto pick = [&](uint32_t most) {
    return std::uniform_int_distribution<uint32_t>(0, most)(random);
  };
  for (int round = 0; round < 3000; ++round) {
    const uint32_t scale = pick(1) == 0 ? 40 : 0xffffffff;
    const uint32_t own = pick(std::min(scale, 0xfffffffeU));
    Ranges ranges(pick(5));
    for (SubIdRange& range : ranges) range = {pick(scale), pick(scale)};
    const IdMap map = map_around(own, own, ranges);

    ASSERT_EQ(to_host(map, own), own);
    ASSERT_EQ(to_container(map, own), own);
    uint64_t next = 0;
    for (size_t i = 0; i < map.size(); ++i) {
      const IdMapping& line = map[i];
      ASSERT_GT(line.size, 0U);
      ASSERT_LE(uint64_t{line.host_id} + line.size, 0xffffffffU);
      ASSERT_LE(uint64_t{line.container_id} + line.size, 0xffffffffU);
      // Without holes inside, but for the one before one's own where the ranges end early.
      if (line.host_id != own || line.size != 1) {
        ASSERT_EQ(line.container_id, next);
      }
      ASSERT_GE(line.container_id, next);
      next = uint64_t{line.container_id} + line.size;
      for (size_t j = 0; j < i; ++j)
        ASSERT_FALSE(overlap(line.host_id, line.size, map[j].host_id, map[j].size));
    }
    // Every id that was granted is there, as far as there are numbers for it.
    for (const SubIdRange& range : ranges)
      if (range.count > 0 && uint64_t{range.start} + range.count < 0xffffffff && scale == 40) {
        ASSERT_TRUE(to_container(map, range.start));
        ASSERT_TRUE(to_container(map, range.start + range.count - 1));
      }
  }
}

TEST(IdMap, AroundOnesOwnHasNoMoreLinesThanTheKernelTakes) {
  Ranges ranges;
  for (uint32_t i = 0; i < 1000; ++i) ranges.push_back({10000 + 2 * i, 1});
  EXPECT_LE(map_around(5000, 5000, ranges).size(), 340U);
  EXPECT_LE(map_around(3, 3, ranges).size(), 340U);
}

}  // namespace
}  // namespace isle
