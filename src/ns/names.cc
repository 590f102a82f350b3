#include "isle/names.h"

#include <linux/mount.h>

#include <algorithm>
#include <array>

#include "sys/flag_names.h"

namespace isle {
namespace {

struct AttributeWord {
  std::string_view word;
  uint64_t set;
  uint64_t clear;
};

// mount_setattr(2): of the access time modes one is set, after the whole field was cleared.
constexpr uint64_t kAtime = MOUNT_ATTR__ATIME;

constexpr std::array kAttributeWords = std::to_array<AttributeWord>({
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"relatime", MOUNT_ATTR_RELATIME, kAtime},
    {"norelatime", MOUNT_ATTR_STRICTATIME, kAtime},
    {"noatime", MOUNT_ATTR_NOATIME, kAtime},
    {"atime", MOUNT_ATTR_RELATIME, kAtime},
    {"strictatime", MOUNT_ATTR_STRICTATIME, kAtime},
    {"nostrictatime", MOUNT_ATTR_RELATIME, kAtime},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
});

const AttributeWord* find_attribute(std::string_view word) {
  const auto* found = std::ranges::find(kAttributeWords, word, &AttributeWord::word);
  return found == kAttributeWords.end() ? nullptr : found;
}

std::vector<std::string> usual_names(sys::NumberTable table) {
  std::vector<std::string> names;
  names.reserve(table.size());
  for (const auto& row : table) names.emplace_back(row.name);
  return names;
}

}  // namespace

std::optional<int> parse_signal(std::string_view text) { return sys::parse_signal(text); }
std::string signal_name(int number) { return sys::signal_name(number); }

std::optional<int> parse_capability(std::string_view text) { return sys::parse_capability(text); }
std::string capability_name(int number) { return sys::capability_name(number); }
uint64_t all_capabilities() { return (uint64_t{1} << (sys::kLastCapability + 1)) - 1; }

std::optional<int> parse_rlimit(std::string_view text) { return sys::parse_rlimit(text); }
std::string rlimit_name(int number) { return sys::rlimit_name(number); }

std::optional<Propagation> parse_propagation(std::string_view word) {
  if (word == "private") return Propagation::private_;
  if (word == "slave") return Propagation::slave;
  if (word == "shared") return Propagation::shared;
  if (word == "unbindable") return Propagation::unbindable;
  if (word == "unchanged") return Propagation::unchanged;
  return std::nullopt;
}

std::optional<MountOption> parse_mount_option(std::string_view word) {
  MountOption option;
  if (word == "defaults") return option;
  if (word == "bind" || word == "rbind") {
    option.bind = word == "rbind";
    return option;
  }
  if (const auto* attribute = find_attribute(word)) {
    option.attributes.set = attribute->set;
    option.attributes.clear = attribute->clear;
    return option;
  }
  if (auto propagation = parse_propagation(word); propagation && word != "unchanged") {
    option.propagation = propagation;
    return option;
  }
  if (!word.starts_with('r')) return std::nullopt;
  const std::string_view below = word.substr(1);
  if (const auto* attribute = find_attribute(below)) {
    option.attributes.recursive_set = attribute->set;
    option.attributes.recursive_clear = attribute->clear;
    return option;
  }
  if (auto propagation = parse_propagation(below); propagation && below != "unchanged") {
    option.propagation = propagation;
    option.propagation_recursive = true;
    return option;
  }
  return std::nullopt;
}

std::vector<std::string> capability_names() { return usual_names(sys::kCapabilityNames); }
std::vector<std::string> rlimit_names() { return usual_names(sys::kRlimitNames); }

}  // namespace isle
