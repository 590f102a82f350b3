// Values on the command line: what is taken, and that everything else is refused.
#include "cli/values.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace isle::cli {
namespace {

TEST(CliValues, Ids) {
  EXPECT_EQ(parse_id("0"), 0U);
  EXPECT_EQ(parse_id("4294967294"), 4294967294U);
  for (const char* wrong : {"", "-1", "+1", " 1", "1 ", "0x10", "4294967295", "4294967296",
                            "18446744073709551616", "root", "1.0"}) {
    EXPECT_FALSE(parse_id(wrong)) << wrong;
  }
  EXPECT_EQ(parse_id("4294967295").error().what,
            "\"4294967295\" is not an id: ids go from 0 to 4294967294");
}

TEST(CliValues, Numbers) {
  EXPECT_EQ(parse_number("7", 1, 10), 7U);
  EXPECT_EQ(parse_number("18446744073709551615", 0, UINT64_MAX), UINT64_MAX);
  EXPECT_FALSE(parse_number("0", 1, 10));
  EXPECT_FALSE(parse_number("11", 1, 10));
  EXPECT_FALSE(parse_number("18446744073709551616", 0, UINT64_MAX));
  EXPECT_EQ(parse_signed("-20", -20, 19), -20);
  EXPECT_EQ(parse_signed("+19", -20, 19), 19);
  EXPECT_FALSE(parse_signed("--1", -20, 19));
  EXPECT_FALSE(parse_signed("+-1", -20, 19));
  EXPECT_FALSE(parse_signed("-", -20, 19));
  EXPECT_FALSE(parse_signed("-21", -20, 19));
  EXPECT_EQ(parse_octal("1777", 07777), 01777U);
  EXPECT_FALSE(parse_octal("8", 07777));
  EXPECT_FALSE(parse_octal("10000", 07777));
  EXPECT_FALSE(parse_octal("", 07777));
}

TEST(CliValues, Sizes) {
  EXPECT_EQ(parse_size("512"), 512U);
  EXPECT_EQ(parse_size("64K"), 65536U);
  EXPECT_EQ(parse_size("64k"), 65536U);
  EXPECT_EQ(parse_size("1.5M"), 1572864U);
  EXPECT_EQ(parse_size("2GiB"), 2147483648U);
  EXPECT_EQ(parse_size("1T"), 1099511627776U);
  EXPECT_EQ(parse_size("9223372036854775807"), 9223372036854775807U);
  for (const char* wrong : {"", "K", "0", "-1", "1.5", "1.", ".5M", "1MM", "1 M", "1e3", "16384P",
                            "9223372036854775808", "8388608T", "99999999999999999999T"}) {
    EXPECT_FALSE(parse_size(wrong)) << wrong;
  }
}

TEST(CliValues, Durations) {
  EXPECT_EQ(parse_duration_ns("90"), 90'000'000'000);
  EXPECT_EQ(parse_duration_ns("1.5s"), 1'500'000'000);
  EXPECT_EQ(parse_duration_ns("100ms"), 100'000'000);
  EXPECT_EQ(parse_duration_ns("2m"), 120'000'000'000);
  EXPECT_EQ(parse_duration_ns("0.5h"), 1'800'000'000'000);
  EXPECT_EQ(parse_duration_ns("1ns"), 1);
  for (const char* wrong : {"", "0", "-1", "s", "1.s", "1x", "1.5ns5", "300000d", "1 s"}) {
    EXPECT_FALSE(parse_duration_ns(wrong)) << wrong;
  }
  EXPECT_EQ(parse_seconds_ns("-3600"), -3'600'000'000'000);
  EXPECT_EQ(parse_seconds_ns("-0.25"), -250'000'000);
  EXPECT_EQ(parse_seconds_ns("0"), 0);
  EXPECT_FALSE(parse_seconds_ns("1s"));
  EXPECT_FALSE(parse_seconds_ns("9223372037"));
}

TEST(CliValues, FractionsAreExact) {
  EXPECT_EQ(parse_millionths("0.1", 1'000'000'000), 100'000U);
  EXPECT_EQ(parse_millionths("2", 1'000'000'000), 2'000'000U);
  EXPECT_FALSE(parse_millionths("0", 1'000'000'000));
  EXPECT_FALSE(parse_millionths("1001", 1'000'000'000));
  EXPECT_EQ(parse_seconds_ns("0.123456789"), 123'456'789);
  EXPECT_FALSE(parse_seconds_ns("0.1234567891"));
}

TEST(CliValues, CpuLists) {
  EXPECT_EQ(parse_cpu_list("3"), (std::vector{3}));
  EXPECT_EQ(parse_cpu_list("5,0-2,1"), (std::vector{0, 1, 2, 5}));
  for (const char* wrong : {"", ",", "1-", "-1", "2-1", "0,", "a", "8192", "0-99999999"}) {
    EXPECT_FALSE(parse_cpu_list(wrong)) << wrong;
  }
}

TEST(CliValues, IdMappings) {
  EXPECT_EQ(parse_id_mapping("0:1000"), (IdMapping{.container_id = 0, .host_id = 1000, .size = 1}));
  EXPECT_EQ(parse_id_mapping("1:100000:65536"),
            (IdMapping{.container_id = 1, .host_id = 100000, .size = 65536}));
  EXPECT_EQ(parse_id_mapping("0:0:4294967295")->size, 4294967295U);
  for (const char* wrong : {"", "0", "0:", ":0", "0:1:0", "0:1:2:3", "0:1:-1", "1:0:4294967295",
                            "4294967294:0:2", "0:4294967294:2"}) {
    EXPECT_FALSE(parse_id_mapping(wrong)) << wrong;
  }
}

TEST(CliValues, Descriptors) {
  EXPECT_EQ(parse_fd("5"), 5);
  EXPECT_EQ(parse_fd("fd:5"), 5);
  for (const char* wrong : {"", "fd:", "fd:fd:5", "-1", "2147483648", "./5"}) {
    EXPECT_FALSE(parse_fd(wrong)) << wrong;
  }
}

TEST(CliValues, SplitKeepsEscapedSeparators) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(split("a:b", ':'), (Parts{"a", "b"}));
  EXPECT_EQ(split("", ':'), (Parts{""}));
  EXPECT_EQ(split("a:", ':'), (Parts{"a", ""}));
  EXPECT_EQ(split(R"(a\:b:c)", ':'), (Parts{"a:b", "c"}));
  EXPECT_EQ(split(R"(a\\:b)", ':'), (Parts{R"(a\)", "b"}));
  EXPECT_EQ(split(R"(by\x2duuid)", ':'), (Parts{R"(by\x2duuid)"}));
  EXPECT_EQ(split("a\\", ':'), (Parts{"a\\"}));
}

TEST(CliValues, QuotedShowsControlCharacters) { EXPECT_EQ(quoted("a\x1b[2J"), "\"a\\x1b[2J\""); }

}  // namespace
}  // namespace isle::cli
