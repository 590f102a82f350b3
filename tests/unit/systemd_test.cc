// What goes to systemd over D-Bus: values as text and as bytes, and where a slice's cgroup is.
#include <gtest/gtest.h>

#include "systemd/manager.h"
#include "systemd/message.h"
#include "systemd/value.h"

namespace isle::systemd {
namespace {

TEST(SystemdValue, TextIsReadAndWritten) {
  const struct {
    const char* text;
    const char* type;
    const char* again;  ///< Where it is written in another way.
  } rows[] = {{"true", "b", nullptr},
              {"'a word'", "s", nullptr},
              {R"("it's")", "s", R"('it\'s')"},
              {R"('back\\slash')", "s", nullptr},
              {"5", "i", nullptr},
              {"-5", "i", nullptr},
              {"uint64 18446744073709551615", "t", nullptr},
              {"int64 -9223372036854775808", "x", nullptr},
              {"uint32 0x10", "u", "uint32 16"},
              {"byte 7", "y", "byte 0x07"},
              {"1.5", "d", nullptr},
              {"['a', 'b']", "as", nullptr},
              {"[uint64 1, 2]", "at", "[uint64 1, uint64 2]"},
              {"@as []", "as", nullptr},
              {"[('/dev/null', 'rw')]", "a(ss)", nullptr},
              {"('a', uint32 5)", "(su)", nullptr},
              {"(1,)", "(i)", nullptr},
              {"b'ab'", "ay", "[byte 0x61, byte 0x62, byte 0x00]"},
              {"  true  ", "b", "true"},
              {"objectpath '/a'", "o", nullptr}};
  for (const auto& row : rows) {
    const auto value = parse_value(row.text);
    ASSERT_TRUE(value) << row.text << ": " << value.error().message();
    EXPECT_EQ(value->type, row.type) << row.text;
    const std::string text = to_text(*value);
    EXPECT_EQ(text, row.again != nullptr ? row.again : row.text);
    const auto read_again = parse_value(text);
    ASSERT_TRUE(read_again) << text;
    EXPECT_EQ(*read_again, *value) << text;
  }
}

TEST(SystemdValue, WhatIsNoText) {
  for (const char* text :
       {"", "tru", "'open", "5 6", "[1, 'a']", "[]", "()", "uint64 -1", "2147483648", "byte 256",
        "uint64 'a'", "uint64", "[1", "(1", "1.5.5", "@as", "\"\\", "uint64 uint64 x", "'a' 'b'"})
    EXPECT_FALSE(parse_value(text)) << text;
  EXPECT_FALSE(parse_value(std::string(1000, '[')));
  EXPECT_FALSE(parse_value(std::string(100, '(') + "1" + std::string(100, ')')));
}

Message example() {
  return {
      .serial = 7,
      .path = "/o",
      .interface = "i.f",
      .member = "M",
      .destination = "d.e",
      .arguments = {string("x"),
                    array("(sv)", {tuple({string("P"), {.type = "v", .items = {uint64(9)}}})})}};
}

/// Field by field, as the D-Bus Specification counts and pads.
TEST(SystemdMessage, BytesOfACall) {
  const std::string expected(
      "l\1\0\1"
      "\40\0\0\0"
      "\7\0\0\0"
      "\110\0\0\0"
      "\1\1o\0\2\0\0\0/o\0\0\0\0\0\0"
      "\2\1s\0\3\0\0\0i.f\0\0\0\0\0"
      "\3\1s\0\1\0\0\0M\0\0\0\0\0\0\0"
      "\6\1s\0\3\0\0\0d.e\0\0\0\0\0"
      "\10\1g\0\6sa(sv)\0",
      16 + 16 * 4 + 12);
  const std::string bytes = to_bytes(example());
  EXPECT_EQ(bytes.substr(0, 4), expected.substr(0, 4));
  EXPECT_EQ(bytes.substr(16, 76), expected.substr(16));
  const std::string body = bytes.substr((16 + 76 + 7) / 8 * 8);
  EXPECT_EQ(body, std::string("\1\0\0\0x\0\0\0"
                              "\30\0\0\0\0\0\0\0"
                              "\1\0\0\0P\0\1t"
                              "\0\0\0\0\0\0\0\0"
                              "\11\0\0\0\0\0\0\0",
                              40)
                      .substr(0, body.size()));
  EXPECT_EQ(*size_of_message(bytes), bytes.size());
}

TEST(SystemdMessage, IsReadAsItWasWritten) {
  Message message = example();
  message.arguments.push_back({.type = "i", .number = static_cast<uint64_t>(-5)});
  message.arguments.push_back(bytes({1, 2, 3}));
  message.arguments.push_back(array("as", {array("s", {string("deep")}), array("s", {})}));
  message.arguments.push_back({.type = "g", .text = "a(sv)"});
  const auto again = parse_message(to_bytes(message));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->serial, 7U);
  EXPECT_EQ(again->path, "/o");
  EXPECT_EQ(again->member, "M");
  EXPECT_EQ(again->arguments, message.arguments);
}

/// Cut off anywhere or with any one byte another: an error or another message, never a crash.
TEST(SystemdMessage, BrokenOnes) {
  const std::string bytes = to_bytes(example());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(parse_message(std::string_view(bytes).substr(0, size))) << size;
  int refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    for (const char c : {'\0', '\1', '\177', '\377', 'a', '('}) {
      std::string other = bytes;
      other[i] = c;
      refused += parse_message(other) ? 0 : 1;
    }
  EXPECT_GT(refused, 0);
}

TEST(SystemdSlice, HasItsParentsInItsName) {
  const struct {
    const char* slice;
    const char* path;
  } rows[] = {{"system.slice", "/system.slice"},
              {"a-b.slice", "/a.slice/a-b.slice"},
              {"kubepods-besteffort-pod1_2.slice",
               "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice"},
              {"-.slice", ""}};
  for (const auto& row : rows) {
    const auto path = path_of_slice(row.slice);
    ASSERT_TRUE(path) << row.slice;
    EXPECT_EQ(*path, row.path);
  }
  for (const char* wrong :
       {"", "a", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "a.scope"})
    EXPECT_FALSE(path_of_slice(wrong)) << wrong;
}

TEST(SystemdBus, AddressesThatCannotBe) {
  const struct {
    const char* address;
    int code;
  } rows[] = {{"unix:path=/nonexistent/bus", ENOENT},
              {"tcp:host=localhost,port=1", 0},
              {"", 0},
              {"unix:", 0},
              {"unix:path=/nonexistent%2fbus,guid=1;unix:path=/other", ENOENT}};
  for (const auto& row : rows) {
    const auto bus = Bus::connect(row.address);
    ASSERT_FALSE(bus) << row.address;
    EXPECT_EQ(bus.error().code, row.code) << bus.error().message();
  }
}

}  // namespace
}  // namespace isle::systemd
