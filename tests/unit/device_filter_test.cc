// The device filter of cgroup v2: every access by every rule, as an interpreter of the program and
// as the rules read one after another see it.
#include "cgroup/device_filter.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <random>

namespace isle::cgroup {
namespace {

constexpr uint32_t kMknod = 1;
constexpr uint32_t kRead = 2;
constexpr uint32_t kWrite = 4;

struct Access {
  char type;
  uint32_t major;
  uint32_t minor;
  uint32_t bits;
};

/// As much of the kernel's machine as the filter needs; -1 for what it must not do.
int run(const std::vector<uint64_t>& program, const Access& access) {
  const uint32_t context[] = {access.bits << 16 | (access.type == 'b' ? 1U : 2U), access.major,
                              access.minor};
  uint32_t registers[11] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const auto bytes = std::bit_cast<std::array<uint8_t, 8>>(program[at]);
    uint32_t& to = registers[bytes[1] & 0xf];
    const uint32_t from = registers[bytes[1] >> 4];
    int16_t offset = 0;
    int32_t immediate = 0;
    std::memcpy(&offset, &bytes[2], sizeof offset);
    std::memcpy(&immediate, &bytes[4], sizeof immediate);
    const auto number = static_cast<uint32_t>(immediate);
    switch (bytes[0]) {
      case 0x61:
        to = context[offset / 4];
        break;
      case 0xb4:
        to = number;
        break;
      case 0xbc:
        to = from;
        break;
      case 0x54:
        to &= number;
        break;
      case 0x74:
        to >>= number;
        break;
      case 0x16:
        if (to == number) at += static_cast<size_t>(offset);
        break;
      case 0x56:
        if (to != number) at += static_cast<size_t>(offset);
        break;
      case 0x95:
        return static_cast<int>(registers[0]);
      default:
        return -1;
    }
  }
  return -1;
}

bool matches(const DeviceRule& rule, const Access& access, char kind) {
  return (rule.type == 'a' || rule.type == access.type) &&
         (rule.major < 0 || rule.major == access.major) &&
         (rule.minor < 0 || rule.minor == access.minor) &&
         (rule.access.empty() || rule.access.find(kind) != std::string::npos);
}

bool allowed(const std::vector<DeviceRule>& rules, const Access& access) {
  for (const auto& [kind, bit] : {std::pair{'m', kMknod}, {'r', kRead}, {'w', kWrite}}) {
    if ((access.bits & bit) == 0) continue;
    bool result = false;
    for (const DeviceRule& rule : rules)
      if (matches(rule, access, kind)) result = rule.allow;
    if (!result) return false;
  }
  return true;
}

TEST(DeviceFilter, DecidesAsTheRulesDo) {
  std::mt19937 random(7);
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<DeviceRule> rules(random() % 8);
    for (DeviceRule& rule : rules)
      rule = {.allow = random() % 2 == 0,
              .type = one_of('a', 'b', 'c'),
              .major = one_of(-1, 1, 5),
              .minor = one_of(-1, 3, 7),
              .access = one_of("", "rwm", "r", "w", "m", "rw", "wm")};
    const std::vector<uint64_t> program = device_filter(rules);
    for (const char type : {'b', 'c'})
      for (const uint32_t major : {1U, 5U, 9U})
        for (const uint32_t minor : {3U, 7U, 9U})
          for (uint32_t bits = 1; bits < 8; ++bits) {
            const Access access{type, major, minor, bits};
            ASSERT_EQ(run(program, access), allowed(rules, access) ? 1 : 0)
                << "round " << round << ": " << type << ' ' << major << ':' << minor << ' ' << bits;
          }
  }
}

TEST(DeviceFilter, NothingIsAllowedByNoRules) {
  EXPECT_EQ(run(device_filter({}), {'c', 1, 3, kRead}), 0);
}

}  // namespace
}  // namespace isle::cgroup
