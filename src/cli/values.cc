#include "cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>

namespace isle::cli {
namespace {

constexpr uint64_t kLargestId = 4294967294;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

std::unexpected<Error> complain(std::string_view text, std::string_view complaint) {
  return fail(0, fmt::format("{} {}", quoted(text), complaint));
}

// The whole of `text` as digits of `base`.
template <class Number>
bool read_whole(std::string_view text, Number* number, int base = 10) {
  const char* begin = std::to_address(text.begin());
  const char* end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(begin, end, *number, base);
  return !text.empty() && error == std::errc{} && stop == end;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "12.5" times `unit`, exactly; false where it is no such number, too fine for `unit`, or too big.
bool read_decimal(std::string_view text, uint64_t unit, uint64_t* result) {
  const size_t dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string_view fraction =
      dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  uint64_t value = 0;
  if (!all_digits(whole) || !read_whole(whole, &value)) return false;
  if (__builtin_mul_overflow(value, unit, &value)) return false;
  if (dot == std::string_view::npos) {
    *result = value;
    return true;
  }
  if (!all_digits(fraction) || fraction.size() > 9) return false;
  uint64_t numerator = 0;
  uint64_t denominator = 1;
  read_whole(fraction, &numerator);
  for (size_t i = 0; i < fraction.size(); ++i) denominator *= 10;
  __extension__ using Wide = unsigned __int128;
  const Wide part = Wide{numerator} * unit / denominator;
  return !__builtin_add_overflow(value, static_cast<uint64_t>(part), result);
}

struct Unit {
  std::string_view suffix;
  uint64_t factor;
};

// The unit whose suffix ends `*text`, taken off it; the longest wins, so list longer ones first.
template <size_t N>
uint64_t take_unit(std::string_view* text, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (text->ends_with(unit.suffix)) {
      text->remove_suffix(unit.suffix.size());
      return unit.factor;
    }
  }
  return 0;
}

}  // namespace

Result<uint64_t> parse_number(std::string_view text, uint64_t smallest, uint64_t largest) {
  uint64_t number = 0;
  if (!all_digits(text)) return complain(text, "is not a number");
  if (!read_whole(text, &number) || number < smallest || number > largest) {
    return complain(text, fmt::format("is out of range: {} to {}", smallest, largest));
  }
  return number;
}

Result<int64_t> parse_signed(std::string_view text, int64_t smallest, int64_t largest) {
  int64_t number = 0;
  std::string_view digits = text;
  if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
  if (!all_digits(digits)) return complain(text, "is not a number");
  const std::string_view without_plus = text.starts_with('+') ? digits : text;
  if (!read_whole(without_plus, &number) || number < smallest || number > largest) {
    return complain(text, fmt::format("is out of range: {} to {}", smallest, largest));
  }
  return number;
}

Result<uint32_t> parse_octal(std::string_view text, uint32_t largest) {
  uint32_t number = 0;
  const bool digits =
      std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; }) && !text.empty();
  if (!digits || !read_whole(text, &number, 8) || number > largest) {
    return complain(text, fmt::format("is not an octal number from 0 to {:o}", largest));
  }
  return number;
}

Result<uint32_t> parse_id(std::string_view text) {
  uint64_t number = 0;
  if (!all_digits(text)) return complain(text, "is not a numeric id");
  if (!read_whole(text, &number) || number > kLargestId) {
    return complain(text, "is not an id: ids go from 0 to 4294967294");
  }
  return static_cast<uint32_t>(number);
}

Result<int> parse_fd(std::string_view text) {
  const std::string_view digits = text.starts_with("fd:") ? text.substr(3) : text;
  uint64_t number = 0;
  const bool good = all_digits(digits) && read_whole(digits, &number) &&
                    number <= static_cast<uint64_t>(std::numeric_limits<int>::max());
  if (!good) return complain(text, "is not a descriptor's number");
  return static_cast<int>(number);
}

Result<uint64_t> parse_size(std::string_view text) {
  static constexpr std::array kUnits = std::to_array<Unit>({
      {"KiB", 1ULL << 10},
      {"MiB", 1ULL << 20},
      {"GiB", 1ULL << 30},
      {"TiB", 1ULL << 40},
      {"K", 1ULL << 10},
      {"M", 1ULL << 20},
      {"G", 1ULL << 30},
      {"T", 1ULL << 40},
      {"k", 1ULL << 10},
      {"m", 1ULL << 20},
      {"g", 1ULL << 30},
      {"t", 1ULL << 40},
      {"", 1},
  });
  std::string_view digits = text;
  const uint64_t factor = take_unit(&digits, kUnits);
  uint64_t bytes = 0;
  const bool whole_bytes = factor > 1 || digits.find('.') == std::string_view::npos;
  const auto largest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!whole_bytes || !read_decimal(digits, factor, &bytes) || bytes == 0 || bytes > largest) {
    return complain(text, "is not a size: bytes, or with K, M, G or T, as in 64M");
  }
  return bytes;
}

Result<int64_t> parse_duration_ns(std::string_view text) {
  static constexpr std::array kUnits = std::to_array<Unit>({
      {"ms", kNsPerSecond / 1000},
      {"us", kNsPerSecond / 1'000'000},
      {"ns", 1},
      {"s", kNsPerSecond},
      {"m", 60 * kNsPerSecond},
      {"h", 3600 * kNsPerSecond},
      {"d", 86400 * kNsPerSecond},
      {"", kNsPerSecond},
  });
  std::string_view digits = text;
  const uint64_t factor = take_unit(&digits, kUnits);
  uint64_t time_ns = 0;
  const auto largest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!read_decimal(digits, factor, &time_ns) || time_ns == 0 || time_ns > largest) {
    return complain(text, "is not a duration: seconds, or with ms, s, m, h or d, as in 1.5s");
  }
  return static_cast<int64_t>(time_ns);
}

Result<int64_t> parse_seconds_ns(std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  uint64_t time_ns = 0;
  const auto largest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!read_decimal(digits, kNsPerSecond, &time_ns) || time_ns > largest) {
    return complain(text, "is not a number of seconds, as in -3600 or 0.5");
  }
  const auto value = static_cast<int64_t>(time_ns);
  return negative ? -value : value;
}

Result<uint64_t> parse_millionths(std::string_view text, uint64_t largest) {
  uint64_t value = 0;
  if (!read_decimal(text, 1'000'000, &value) || value == 0 || value > largest) {
    return complain(text, "is not a number above 0, as in 0.5 or 2");
  }
  return value;
}

Result<std::vector<int>> parse_cpu_list(std::string_view text) {
  constexpr uint64_t kMostCpus = 8192;  // CONFIG_NR_CPUS of the largest builds
  std::vector<int> cpus;
  for (const std::string& part : split(text, ',')) {
    const size_t dash = part.find('-');
    const auto from = parse_number(std::string_view(part).substr(0, dash), 0, kMostCpus - 1);
    auto to = from;
    if (dash != std::string_view::npos)
      to = parse_number(std::string_view(part).substr(dash + 1), 0, kMostCpus - 1);
    if (!from || !to || *from > *to) {
      return complain(text, "is not a list of cpus, as in 0-3,5");
    }
    for (uint64_t cpu = *from; cpu <= *to; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  std::ranges::sort(cpus);
  cpus.erase(std::ranges::unique(cpus).begin(), cpus.end());
  return cpus;
}

Result<IdMapping> parse_id_mapping(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) {
    return complain(text, "is not a map: IN:OUT:COUNT, as in 0:100000:65536");
  }
  IdMapping mapping;
  const auto inside = parse_id(parts[0]);
  if (!inside) return std::unexpected(inside.error());
  const auto outside = parse_id(parts[1]);
  if (!outside) return std::unexpected(outside.error());
  mapping.container_id = *inside;
  mapping.host_id = *outside;
  if (parts.size() == 3) {
    const auto count = parse_number(parts[2], 1, kLargestId + 1);
    if (!count) return std::unexpected(count.error());
    mapping.size = static_cast<uint32_t>(*count);
  }
  const uint64_t last = uint64_t{std::max(*inside, *outside)} + mapping.size - 1;
  if (last > kLargestId) return complain(text, "goes beyond the largest id, 4294967294");
  return mapping;
}

bool take_part(std::string_view* rest, char separator, std::string* part) {
  part->clear();
  size_t at = 0;
  while (at < rest->size() && (*rest)[at] != separator) {
    const bool more = at + 1 < rest->size();
    if ((*rest)[at] == '\\' && more && ((*rest)[at + 1] == separator || (*rest)[at + 1] == '\\')) {
      ++at;
    }
    *part += (*rest)[at++];
  }
  const bool found = at < rest->size();
  rest->remove_prefix(found ? at + 1 : at);
  return found;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  bool more = true;
  while (more) more = take_part(&text, separator, &parts.emplace_back());
  return parts;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace isle::cli
