// What the kernel tells in files of text (cgroup.procs, memory.stat, /proc/PID/stat), taken apart.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace isle::oci_cli {

/// The parts of `text` between any of `separators`, without empty ones; they point into `text`.
inline std::vector<std::string_view> split(std::string_view text,
                                           std::string_view separators = " \t\n") {
  std::vector<std::string_view> parts;
  for (size_t begin = 0;
       (begin = text.find_first_not_of(separators, begin)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

/// The number that `text` begins with; 0 where it begins with none, the largest for "max".
template <class T = uint64_t>
T number_in(std::string_view text) {
  if (text.starts_with("max")) return std::numeric_limits<T>::max();
  T number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace isle::oci_cli
