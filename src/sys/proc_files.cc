#include "sys/proc_files.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle::sys {
namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "\040" of the kernel's mangle_path() is a space.
std::string unescape(std::string_view text) {
  if (text.find('\\') == std::string_view::npos) return std::string(text);
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size() &&
                        std::all_of(text.begin() + static_cast<long>(i) + 1,
                                    text.begin() + static_cast<long>(i) + 4,
                                    [](char c) { return c >= '0' && c <= '7'; });
    if (escape) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::expected<std::string, int> read_text(const char* path) {
  const int fd = openat(kAtFdcwd, path, OpenFlags::rdonly | OpenFlags::cloexec);
  if (fd < 0) return std::unexpected(-fd);
  auto text = read_text(fd);
  close(fd);
  return text;
}

std::expected<std::string, int> read_text(int fd) {
  std::string text;
  constexpr size_t kPiece = 4096;
  long got = 0;
  // Up to the empty read: seq_file may give less than asked for in the middle, when a record does
  // not fit into what is left of its page.
  do {
    const size_t old = text.size();
    text.resize(old + kPiece);
    got = read(fd, text.data() + old, kPiece);
    text.resize(old + static_cast<size_t>(std::max(got, 0L)));
  } while (got > 0);
  if (got < 0) return std::unexpected(static_cast<int>(-got));
  return text;
}

std::string_view next_part(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

std::string_view next_word(std::string_view& rest) {
  constexpr std::string_view kBlank = " \t\n";
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlank), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(kBlank));
  rest.remove_prefix(word.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlank), rest.size()));
  return word;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  for (std::string_view word = next_word(text); !word.empty(); word = next_word(text))
    result.emplace_back(word);
  return result;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> result;
  result.reserve(static_cast<size_t>(std::ranges::count(text, '\n')));
  while (!text.empty()) {
    std::string_view line = next_part(text, '\n');
    MountEntry entry;
    const auto id = number<uint64_t>(next_part(line, ' '));
    const auto parent = number<uint64_t>(next_part(line, ' '));
    std::string_view device = next_part(line, ' ');
    entry.device_major = number<uint32_t>(next_part(device, ':')).value_or(0);
    entry.device_minor = number<uint32_t>(device).value_or(0);
    entry.root = unescape(next_part(line, ' '));
    entry.point = unescape(next_part(line, ' '));
    entry.options = next_part(line, ' ');
    for (std::string_view field; !line.empty() && (field = next_part(line, ' ')) != "-";) {
      const std::string_view name = next_part(field, ':');
      if (name == "shared") entry.peer_group = number<uint64_t>(field).value_or(0);
      if (name == "master") entry.master = number<uint64_t>(field).value_or(0);
      if (name == "unbindable") entry.unbindable = true;
    }
    entry.type = unescape(next_part(line, ' '));
    entry.source = unescape(next_part(line, ' '));
    entry.super_options = next_part(line, ' ');
    if (!id || !parent || entry.point.empty() || entry.type.empty()) continue;
    entry.id = *id;
    entry.parent = *parent;
    result.push_back(std::move(entry));
  }
  return result;
}

bool has_option(std::string_view options, std::string_view name) {
  while (!options.empty())
    if (next_part(options, ',') == name) return true;
  return false;
}

std::vector<CgroupEntry> parse_cgroup(std::string_view text) {
  std::vector<CgroupEntry> result;
  while (!text.empty()) {
    std::string_view line = next_part(text, '\n');
    const std::string_view hierarchy = next_part(line, ':');
    std::string_view controllers = next_part(line, ':');
    if (line.empty()) continue;
    CgroupEntry entry;
    entry.v2 = hierarchy == "0" && controllers.empty();
    while (!controllers.empty()) entry.controllers.emplace_back(next_part(controllers, ','));
    entry.path = line;
    result.push_back(std::move(entry));
  }
  return result;
}

IdMap parse_id_map(std::string_view text) {
  IdMap map;
  while (!text.empty()) {
    std::string_view line = next_part(text, '\n');
    const auto inside = number<uint32_t>(next_word(line));
    const auto outside = number<uint32_t>(next_word(line));
    const auto size = number<uint32_t>(next_word(line));
    if (inside && outside && size) map.push_back({*inside, *outside, *size});
  }
  return map;
}

std::string_view status_field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = next_part(text, '\n');
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    return line;
  }
  return {};
}

}  // namespace isle::sys
