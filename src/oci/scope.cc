#include "oci/scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include "oci/config.h"

namespace isle::oci {
namespace {

using systemd::Property;
using systemd::Value;

constexpr std::string_view kPropertyPrefix = "org.systemd.property.";
constexpr std::string_view kSubgroup = "run.oci.systemd.subgroup";
constexpr std::string_view kForceV1 = "run.oci.systemd.force_cgroup_v1";
constexpr uint64_t kUsPerSecond = 1'000'000;
constexpr uint64_t kInfinity = UINT64_MAX;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

/// A property that is a time has its microseconds under another name than unit files have.
Result<Property> in_microseconds(std::string name, const Value& value) {
  name.replace(name.size() - 3, 3, "USec");
  if (value.type == "d") {
    const auto seconds = std::bit_cast<double>(value.number);
    if (seconds >= 0 && seconds < 1e12)
      return Property{name, systemd::uint64(static_cast<uint64_t>(seconds * double{kUsPerSecond}))};
  } else if (std::string_view("ynqiuxt").find(value.type) != std::string_view::npos &&
             value.number <= kInfinity / kUsPerSecond) {
    return Property{name, systemd::uint64(value.number * kUsPerSecond)};
  }
  return fail(0, "expected a number of seconds");
}

std::optional<Property> read_property(const std::string& name, const Node& node) {
  constexpr size_t kShortest = 3;
  if (name.size() < kShortest ||
      !std::ranges::all_of(name, [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); })) {
    node.refuse(fmt::format("\"{}\" is no name of a unit's property", name));
    return std::nullopt;
  }
  const auto value = systemd::parse_value(node.text());
  if (!value) {
    node.refuse(value.error().what, "GVariant's text form: 'word', true, uint64 5, ['a', 'b']");
    return std::nullopt;
  }
  constexpr size_t kSecond = 4;  // "xSec"
  const bool is_time =
      name.size() >= kSecond && name.ends_with("Sec") && is_lower(name[name.size() - kSecond]);
  if (!is_time) return Property{name, *value};
  auto converted = in_microseconds(name, *value);
  if (converted) return std::move(*converted);
  node.refuse(converted.error().what);
  return std::nullopt;
}

void read_annotations(const Node& config, Scope& scope) {
  const auto annotations = config.get("annotations");
  if (!annotations) return;
  for (const auto& [key, value] : annotations->members()) {
    if (key == kSubgroup) {
      scope.subgroup = value.text();
      if (scope.subgroup == "." || scope.subgroup == ".." ||
          scope.subgroup.find('/') != std::string::npos)
        value.expected("the name of one cgroup");
    }
    if (key == kForceV1) value.warn("isle-oci mounts no hierarchy of systemd's own on v1");
    if (!key.starts_with(kPropertyPrefix)) continue;
    auto property = read_property(key.substr(kPropertyPrefix.size()), value);
    if (property) scope.properties.push_back(std::move(*property));
  }
}

std::optional<uint64_t> number_of(std::string_view text) {
  if (text == "max" || text == "-1") return kInfinity;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "0-2,5" as bits, the first CPU the lowest of the first byte.
std::optional<std::vector<uint8_t>> bits_of(std::string_view list) {
  constexpr uint64_t kMost = 8192;
  constexpr uint64_t kBits = 8;
  std::vector<uint8_t> bits;
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    list.remove_prefix(std::min(part.size() + 1, list.size()));
    const size_t dash = part.find('-');
    const auto first = number_of(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number_of(part.substr(dash + 1));
    if (!first || !last || *last < *first || *last >= kMost) return std::nullopt;
    if (bits.size() <= *last / kBits) bits.resize(*last / kBits + 1);
    for (uint64_t i = *first; i <= *last; ++i)
      bits[i / kBits] = static_cast<uint8_t>(bits[i / kBits] | 1U << i % kBits);
  }
  return bits;
}

/// systemd counts whole percents of a CPU; rounded up, so that what is in the cgroup has its quota.
uint64_t quota_per_second(uint64_t quota_us, uint64_t period_us) {
  constexpr uint64_t kPercent = kUsPerSecond / 100;
  if (quota_us == kInfinity || period_us == 0 || quota_us > kInfinity / kUsPerSecond)
    return kInfinity;
  const uint64_t per_second = quota_us * kUsPerSecond / period_us;
  return (per_second + kPercent - 1) / kPercent * kPercent;
}

struct Row {
  const char* file = nullptr;
  const char* property = nullptr;
  enum class Form { number, bits, bandwidth } form = Form::number;
};
/// Files of v2, and those of v1 that systemd knows.
constexpr Row kRows[] = {{"memory.max", "MemoryMax"},
                         {"memory.high", "MemoryHigh"},
                         {"memory.low", "MemoryLow"},
                         {"memory.min", "MemoryMin"},
                         {"memory.swap.max", "MemorySwapMax"},
                         {"memory.zswap.max", "MemoryZSwapMax"},
                         {"memory.limit_in_bytes", "MemoryLimit"},
                         {"cpu.weight", "CPUWeight"},
                         {"cpu.shares", "CPUShares"},
                         {"cpu.max", "", Row::Form::bandwidth},
                         {"cpu.cfs_quota_us", "", Row::Form::bandwidth},
                         {"cpu.cfs_period_us", "", Row::Form::bandwidth},
                         {"cpuset.cpus", "AllowedCPUs", Row::Form::bits},
                         {"cpuset.mems", "AllowedMemoryNodes", Row::Form::bits},
                         {"io.weight", "IOWeight"},
                         {"blkio.bfq.weight", "BlockIOWeight"},
                         {"pids.max", "TasksMax"}};

/// systemd knows CPUs and memory nodes on v2 only, where the files are called the same.
bool has_cpuset_on_v1(const CgroupFacts& facts) {
  return std::ranges::any_of(facts.v1_hierarchies, [](const CgroupHierarchy& hierarchy) {
    return std::ranges::find(hierarchy.controllers, "cpuset") != hierarchy.controllers.end();
  });
}

class Properties {
 public:
  explicit Properties(const CgroupFacts& facts) : cpuset_on_v1_(has_cpuset_on_v1(facts)) {}

  void add(const CgroupWrite& write) {
    const auto* row = std::ranges::find(kRows, std::string_view(write.file), &Row::file);
    if (row == std::end(kRows)) return;
    if (row->form == Row::Form::bandwidth) return bandwidth(write);
    if (row->form == Row::Form::bits) {
      const auto bits = cpuset_on_v1_ ? std::nullopt : bits_of(write.value);
      if (bits) list_.push_back({row->property, systemd::bytes(*bits)});
    } else if (const auto number = number_of(write.value)) {
      list_.push_back({row->property, systemd::uint64(*number)});
    }
  }

  std::vector<Property> all() {
    if (quota_ || period_)
      list_.push_back({"CPUQuotaPerSecUSec",
                       systemd::uint64(quota_per_second(quota_.value_or(kInfinity),
                                                        period_.value_or(kDefaultPeriodUs)))});
    if (period_) list_.push_back({"CPUQuotaPeriodUSec", systemd::uint64(*period_)});
    return std::move(list_);
  }

 private:
  static constexpr uint64_t kDefaultPeriodUs = 100'000;  // the kernel's

  void bandwidth(const CgroupWrite& write) {
    const std::string_view value = write.value;
    const size_t space = value.find(' ');
    const auto first = number_of(value.substr(0, space));
    if (write.file == "cpu.cfs_period_us")
      period_ = first;
    else
      quota_ = first;
    if (space != std::string_view::npos) period_ = number_of(value.substr(space + 1));
  }

  bool cpuset_on_v1_;
  std::vector<Property> list_;
  std::optional<uint64_t> quota_;
  std::optional<uint64_t> period_;
};

bool is_all(const DeviceRule& rule) { return rule.type == 'a' && rule.major < 0 && rule.minor < 0; }

std::string device_of(const DeviceRule& rule, char type) {
  const char* kind = type == 'b' ? "block" : "char";
  if (rule.major < 0) return fmt::format("{}-*", kind);
  if (rule.minor < 0) return fmt::format("{}-{}", kind, rule.major);
  return fmt::format("/dev/{}/{}:{}", kind, rule.major, rule.minor);
}

}  // namespace

Scope read_scope(const Node& config, const std::string& id, Spec& spec) {
  const auto linux_node = config.get("linux");
  const auto path = linux_node ? linux_node->get("cgroupsPath") : std::nullopt;
  Scope scope{.unit = "isle-oci-" + id + ".scope",
              .from = spec.add_origin(path         ? path->where()
                                      : linux_node ? linux_node->where()
                                                   : config.where())};
  read_annotations(config, scope);
  if (!path || !path->filled()) return scope;
  const std::string text = path->text();
  const size_t first = text.find(':');
  const size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second == std::string::npos || text.find(':', second + 1) != std::string::npos ||
      second + 1 == text.size() || text.find('/') != std::string::npos) {
    path->expected("\"SLICE:PREFIX:NAME\", as the systemd cgroup driver has it");
    return scope;
  }
  scope.slice = text.substr(0, first);
  const std::string prefix = text.substr(first + 1, second - first - 1);
  scope.unit =
      fmt::format("{}{}{}.scope", prefix, prefix.empty() ? "" : "-", text.substr(second + 1));
  return scope;
}

std::vector<Property> limit_properties(std::span<const CgroupWrite> writes,
                                       const CgroupFacts& facts) {
  Properties properties(facts);
  for (const CgroupWrite& write : writes) properties.add(write);
  return properties.all();
}

std::vector<Property> device_properties(std::span<const DeviceRule> rules) {
  if (rules.empty()) return {};
  bool all = false;
  std::vector<Value> allowed;
  for (const DeviceRule& rule : rules) {
    if (is_all(rule)) {
      all = rule.allow;
      allowed.clear();
    } else if (rule.allow && !all) {
      for (const char type : {'b', 'c'})
        if (rule.type == type || rule.type == 'a')
          allowed.push_back(
              systemd::tuple({systemd::string(device_of(rule, type)),
                              systemd::string(rule.access.empty() ? "rwm" : rule.access)}));
    }
  }
  return {{"DevicePolicy", systemd::string(all ? "auto" : "strict")},
          {"DeviceAllow", systemd::array("(ss)", std::move(allowed))}};
}

}  // namespace isle::oci
