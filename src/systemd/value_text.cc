// GVariant's text form, as far as a unit's properties need it: no maybe types, no dictionaries.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "systemd/value.h"

namespace isle::systemd {
namespace {

struct Word {
  std::string_view name;
  char type;
};
constexpr Word kTypeWords[] = {{"boolean", 'b'}, {"byte", 'y'},       {"int16", 'n'},
                               {"uint16", 'q'},  {"int32", 'i'},      {"uint32", 'u'},
                               {"int64", 'x'},   {"uint64", 't'},     {"double", 'd'},
                               {"string", 's'},  {"objectpath", 'o'}, {"signature", 'g'}};

/// The greatest and the least number of a type; a double is no such.
struct Range {
  char type;
  int64_t least;
  uint64_t most;
};
constexpr Range kRanges[] = {{'y', 0, UINT8_MAX},  {'n', INT16_MIN, INT16_MAX},
                             {'q', 0, UINT16_MAX}, {'i', INT32_MIN, INT32_MAX},
                             {'u', 0, UINT32_MAX}, {'x', INT64_MIN, INT64_MAX},
                             {'t', 0, UINT64_MAX}};

constexpr int kDeepest = 16;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> whole() {
    auto result = value({}, 0);
    if (!result) return result;
    skip_space();
    if (at_ != text_.size()) return wrong("its end");
    return result;
  }

 private:
  std::unexpected<Error> wrong(std::string_view expected) const {
    return fail(0, at_ >= text_.size()
                       ? fmt::format("\"{}\" ends where {} is expected", text_, expected)
                       : fmt::format("\"{}\" has \"{}\" where {} is expected", text_,
                                     text_.substr(at_, 1), expected));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
      ++at_;
  }
  [[nodiscard]] char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    skip_space();
    if (next() != c) return false;
    ++at_;
    return true;
  }

  /// Letters, digits and signs: a number, "true", "uint64".
  std::string_view word() {
    const size_t begin = at_;
    while (at_ < text_.size() &&
           ((next() >= 'a' && next() <= 'z') || (next() >= 'A' && next() <= 'Z') ||
            (next() >= '0' && next() <= '9') || next() == '-' || next() == '+' || next() == '.'))
      ++at_;
    return text_.substr(begin, at_ - begin);
  }

  /// `type`: what it has to be; empty: what it looks like.
  Result<Value> value(std::string type, int depth) {
    if (depth > kDeepest) return fail(0, "more levels of arrays than any property has");
    skip_space();
    if (next() == '@') {
      ++at_;
      const size_t begin = at_;
      while (at_ < text_.size() && next() != ' ') ++at_;
      type = text_.substr(begin, at_ - begin);
      skip_space();
    }
    if (next() == '[') return list(type, depth);
    if (next() == '(') return members(depth);
    if (next() == '\'' || next() == '"') return quoted(type.empty() ? "s" : type);
    if (text_.substr(at_).starts_with("b'") || text_.substr(at_).starts_with("b\"")) return raw();
    const std::string_view found = word();
    for (const Word& row : kTypeWords)
      if (row.name == found) return value(std::string(1, row.type), depth + 1);
    if ((found == "true" || found == "false") && (type.empty() || type == "b"))
      return boolean(found == "true");
    at_ -= found.size();
    return number(found, type);
  }

  Result<Value> list(const std::string& type, int depth) {
    ++at_;
    Value result{.type = type};
    std::string element = type.starts_with('a') ? type.substr(1) : "";
    for (bool first = true; !take(']'); first = false) {
      if (!first && !take(',')) return wrong("\",\" or \"]\"");
      auto item = value(element.size() == 1 ? element : "", depth + 1);
      if (!item) return item;
      if (element.empty()) element = item->type;
      if (item->type != element) return wrong(fmt::format("a value of type {}", element));
      result.items.push_back(std::move(*item));
    }
    if (element.empty()) return wrong("an element, or the type before it (\"@as []\")");
    result.type = "a" + element;
    return result;
  }

  Result<Value> members(int depth) {
    ++at_;
    std::vector<Value> items;
    while (!take(')')) {
      if (!items.empty() && !take(',')) return wrong("\",\" or \")\"");
      if (take(')')) break;  // one member: "(1,)"
      auto item = value({}, depth + 1);
      if (!item) return item;
      items.push_back(std::move(*item));
    }
    if (items.empty()) return wrong("a member");
    return tuple(std::move(items));
  }

  Result<std::string> between_quotes() {
    const char quote = text_[at_++];
    std::string result;
    for (; at_ < text_.size() && next() != quote; ++at_) {
      if (next() != '\\') {
        result += next();
        continue;
      }
      ++at_;
      const char c = next();
      result += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    if (next() != quote || at_ >= text_.size()) return wrong("the closing quote");
    ++at_;
    if (result.find('\0') != std::string::npos) return fail(0, "a string with a NUL in it");
    return result;
  }

  Result<Value> quoted(const std::string& type) {
    if (type != "s" && type != "o" && type != "g") return wrong("a number");
    auto text = between_quotes();
    if (!text) return std::unexpected(text.error());
    return Value{.type = type, .text = std::move(*text)};
  }

  /// b'...': bytes, with the NUL that ends them.
  Result<Value> raw() {
    ++at_;
    const auto text = between_quotes();
    if (!text) return std::unexpected(text.error());
    std::vector<uint8_t> values(text->begin(), text->end());
    values.push_back(0);
    return bytes(values);
  }

  Result<Value> number(std::string_view word, std::string type) {
    const bool point = word.find('.') != std::string_view::npos;
    if (type.empty()) type = point ? "d" : "i";
    std::string_view digits = word;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    if (type == "d") {
      double real = 0;
      const auto [stop, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), real);
      if (digits.empty() || error != std::errc{} || stop != digits.data() + digits.size())
        return wrong("a number");
      at_ += word.size();
      return Value{.type = type, .number = std::bit_cast<uint64_t>(real)};
    }
    const auto* range = std::ranges::find(kRanges, type.front(), &Range::type);
    if (range == std::end(kRanges) || type.size() != 1) return wrong("a value");
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    const bool hex = digits.starts_with("0x");
    if (hex) digits.remove_prefix(2);
    uint64_t size = 0;
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), size, hex ? 16 : 10);
    const uint64_t most = negative ? 0 - static_cast<uint64_t>(range->least) : range->most;
    if (digits.empty() || error != std::errc{} || stop != digits.data() + digits.size() ||
        size > most)
      return wrong(fmt::format("a number of type {}", type));
    at_ += word.size();
    return Value{.type = type, .number = negative ? 0 - size : size};
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Result<Value> parse_value(std::string_view text) { return Parser(text).whole(); }

}  // namespace isle::systemd
