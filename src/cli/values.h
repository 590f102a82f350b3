// Values on a command line, read strictly: the whole word must make sense, nothing wraps, nothing
// is guessed. Each complaint quotes the word and says what would do. No option is known here.
#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "isle/error.h"
#include "isle/idmap.h"

namespace isle::cli {

/// The whole of `text` as a number in decimal digits, for words that may be something else, too.
template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const char* end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(std::to_address(text.begin()), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

/// Decimal digits only.
Result<uint64_t> parse_number(std::string_view text, uint64_t smallest, uint64_t largest);
/// The same with a sign.
Result<int64_t> parse_signed(std::string_view text, int64_t smallest, int64_t largest);
/// Octal digits, up to `largest`.
Result<uint32_t> parse_octal(std::string_view text, uint32_t largest);
/// A uid or gid: 0 to 4294967294 (the one above means "none" to the kernel).
Result<uint32_t> parse_id(std::string_view text);
/// A descriptor: "5" or "fd:5".
Result<int> parse_fd(std::string_view text);
/// "512", "64K", "1.5G": bytes, in powers of 1024 (K, M, G, T). At least 1.
Result<uint64_t> parse_size(std::string_view text);
/// "90", "1.5s", "100ms", "2m", "1h": nanoseconds, more than none.
Result<int64_t> parse_duration_ns(std::string_view text);
/// "-3600", "0.5": seconds with at most nine decimals, as nanoseconds.
Result<int64_t> parse_seconds_ns(std::string_view text);
/// "0.5", "2": a number of at most six decimals, as millionths.
Result<uint64_t> parse_millionths(std::string_view text, uint64_t largest);
/// "0-3,5": ascending, each once.
Result<std::vector<int>> parse_cpu_list(std::string_view text);
/// "IN:OUT[:COUNT]".
Result<IdMapping> parse_id_mapping(std::string_view text);

/// Takes the part up to `separator`, and that, off `*rest`; whether there was a separator. In the
/// part a backslash before the separator or another backslash is taken away.
bool take_part(std::string_view* rest, char separator, std::string* part);
/// All parts; one more than there are separators.
std::vector<std::string> split(std::string_view text, char separator);
/// `text` as in a message: in quotes, unprintable bytes as \xNN.
std::string quoted(std::string_view text);

}  // namespace isle::cli
