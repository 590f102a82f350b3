// "linux.cgroupsPath" and "linux.resources": a value for a file of a controller each, by its name on
// v1 and on v2.
#include <fmt/format.h>

#include "oci/config.h"

namespace isle::oci {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

class Values {
 public:
  explicit Values(Spec& spec) : spec_(spec) {}
  void add(const Node& node, const char* controller, std::string v1_file, std::string v2_file,
           std::string value, std::string v2_value = {}) {
    if (v2_value.empty()) v2_value = value;
    spec_.resources.controller_values.push_back({.controller = controller,
                                                 .v1_file = std::move(v1_file),
                                                 .v2_file = std::move(v2_file),
                                                 .v1_value = std::move(value),
                                                 .v2_value = std::move(v2_value),
                                                 .from = spec_.add_origin(node.where())});
  }
  Spec& spec() { return spec_; }

 private:
  Spec& spec_;
};

std::string or_max(int64_t value) { return value < 0 ? "max" : std::to_string(value); }

template <class T>
void ask(const Node& parent, const char* key, Spec& spec, Wish<T>& into) {
  const auto node = parent.get(key);
  if (!node) return;
  if constexpr (std::is_signed_v<T>)
    into = {.value = node->integer(kLeast, kMost), .from = spec.add_origin(node->where())};
  else
    into = {.value = node->natural(), .from = spec.add_origin(node->where())};
}

void read_memory(const Node& resources, Values& values) {
  const auto memory = resources.get("memory");
  if (!memory) return;
  Resources& wish = values.spec().resources;
  ask(*memory, "limit", values.spec(), wish.memory_limit_bytes);
  ask(*memory, "swap", values.spec(), wish.memory_swap_bytes);
  // 0 is what engines send for "not set".
  if (wish.memory_limit_bytes && wish.memory_limit_bytes->value == 0) wish.memory_limit_bytes = {};
  if (wish.memory_swap_bytes && wish.memory_swap_bytes->value == 0) wish.memory_swap_bytes = {};
  if (const auto low = memory->get("reservation"); low && low->integer(-1, kMost) != 0)
    values.add(*low, "memory", "memory.soft_limit_in_bytes", "memory.low",
               std::to_string(low->integer(-1, kMost)), or_max(low->integer(-1, kMost)));
  constexpr int64_t kMostSwappiness = 100;
  if (const auto swappiness = memory->get("swappiness"))
    values.add(*swappiness, "memory", "memory.swappiness", "",
               std::to_string(swappiness->integer(0, kMostSwappiness)));
  if (const auto disable = memory->get("disableOOMKiller"); disable && disable->boolean())
    values.add(*disable, "memory", "memory.oom_control", "", "1");
}

void read_cpu(const Node& resources, Values& values) {
  const auto cpu = resources.get("cpu");
  if (!cpu) return;
  Resources& wish = values.spec().resources;
  ask(*cpu, "shares", values.spec(), wish.cpu_shares);
  ask(*cpu, "quota", values.spec(), wish.cpu_quota_us);
  ask(*cpu, "period", values.spec(), wish.cpu_period_us);
  if (wish.cpu_shares && wish.cpu_shares->value == 0) wish.cpu_shares = {};
  if (wish.cpu_quota_us && wish.cpu_quota_us->value == 0) wish.cpu_quota_us = {};
  if (wish.cpu_period_us && wish.cpu_period_us->value == 0) wish.cpu_period_us = {};
  const auto number = [&](const char* key, const char* v1_file, const char* v2_file) {
    if (const auto node = cpu->get(key))
      values.add(*node, "cpu", v1_file, v2_file, std::to_string(node->integer(kLeast, kMost)));
  };
  number("burst", "cpu.cfs_burst_us", "cpu.max.burst");
  number("idle", "cpu.idle", "cpu.idle");
  number("realtimePeriod", "cpu.rt_period_us", "");
  number("realtimeRuntime", "cpu.rt_runtime_us", "");
  for (const char* key : {"cpus", "mems"})
    if (const auto list = cpu->get(key); list && list->filled())
      values.add(*list, "cpuset", fmt::format("cpuset.{}", key), fmt::format("cpuset.{}", key),
                 list->text());
}

void read_block_io(const Node& resources, Values& values) {
  const auto io = resources.get("blockIO");
  if (!io || !io->filled()) return;
  constexpr int64_t kMostWeight = 1000;
  if (const auto weight = io->get("weight"); weight && weight->integer(0, kMostWeight) != 0)
    values.add(*weight, "blkio", "blkio.weight", "",
               std::to_string(weight->integer(0, kMostWeight)));
  for (const char* key : {"leafWeight", "weightDevice"})
    if (const auto node = io->get(key); node && node->filled())
      node->refuse("isle-oci cannot do this yet");
  struct Row {
    const char* key;
    const char* v1_file;
    const char* v2_key;
  };
  constexpr Row kRows[] = {
      {"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
      {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
      {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
      {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"}};
  for (const Row& row : kRows)
    for (const Node& line : io->elements(row.key)) {
      const auto major = line.require("major");
      const auto minor = line.require("minor");
      const auto rate = line.require("rate");
      if (!major || !minor || !rate) continue;
      const std::string device = fmt::format("{}:{}", major->id(), minor->id());
      values.add(line, "blkio", row.v1_file, "io.max",
                 fmt::format("{} {}", device, rate->natural()),
                 fmt::format("{} {}={}", device, row.v2_key, rate->natural()));
    }
}

void read_others(const Node& resources, Values& values) {
  if (const auto pids = resources.get("pids")) {
    ask(*pids, "limit", values.spec(), values.spec().resources.pids_limit);
    auto& limit = values.spec().resources.pids_limit;
    if (limit && limit->value == 0) limit->value = -1;
  }
  for (const Node& limit : resources.elements("hugepageLimits")) {
    const auto size = limit.require("pageSize");
    const auto bytes = limit.require("limit");
    if (!size || !bytes) continue;
    values.add(limit, "hugetlb", fmt::format("hugetlb.{}.limit_in_bytes", size->text()),
               fmt::format("hugetlb.{}.max", size->text()), std::to_string(bytes->natural()));
  }
  if (const auto network = resources.get("network")) {
    if (const auto id = network->get("classID"))
      values.add(*id, "net_cls", "net_cls.classid", "", std::to_string(id->id()));
    for (const Node& row : network->elements("priorities")) {
      const auto name = row.require("name");
      const auto priority = row.require("priority");
      if (name && priority)
        values.add(row, "net_prio", "net_prio.ifpriomap", "",
                   fmt::format("{} {}", name->text(), priority->id()));
    }
  }
  if (const auto rdma = resources.get("rdma"); rdma && rdma->filled())
    rdma->refuse("isle-oci cannot do \"rdma\" yet");
  if (const auto unified = resources.get("unified"))
    for (const auto& [file, value] : unified->members())
      values.spec().resources.unified.push_back(
          {.file = file, .value = value.text(), .from = values.spec().add_origin(value.where())});
}

/// "c 1:3 rwm"
std::string device_rule(const Node& rule) {
  const std::string type = rule.text_or("type", "a");
  if (type != "a" && type != "b" && type != "c") {
    if (const auto node = rule.get("type"))
      node->filled() ? node->expected("\"a\", \"b\" or \"c\"") : void();
  }
  const auto number = [&](const char* key) -> std::string {
    const auto node = rule.get(key);
    if (!node) return "*";
    const int64_t value = node->integer(-1, std::numeric_limits<uint32_t>::max());
    return value < 0 ? "*" : std::to_string(value);
  };
  const std::string access = rule.text_or("access", "rwm");
  if (access.find_first_not_of("rwm") != std::string::npos)
    rule.refuse(fmt::format("access \"{}\": expected some of \"rwm\"", access));
  return fmt::format("{} {}:{} {}", type.empty() ? "a" : type, number("major"), number("minor"),
                     access.empty() ? "rwm" : access);
}

/// Nothing but what is allowed: the list, and the devices every container has.
void read_device_rules(const Node& linux_node, Values& values) {
  constexpr const char* kAlways[] = {"c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
                                     "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
                                     "c 5:2 rwm", "c 136:* rwm"};
  const auto resources = linux_node.get("resources");
  const Node& asking = resources ? *resources : linux_node;
  values.add(asking, "devices", "devices.deny", "", "a");
  if (resources) {
    for (const Node& rule : resources->elements("devices")) {
      const auto allow = rule.require("allow");
      const std::string text = device_rule(rule);
      if (allow)
        values.add(rule, "devices", allow->boolean() ? "devices.allow" : "devices.deny", "", text);
    }
  }
  for (const char* rule : kAlways) values.add(asking, "devices", "devices.allow", "", rule);
}

/// Clean and absolute: "/a/b". A path that climbs is refused.
std::string clean_path(const Node& node, std::string_view path) {
  std::string clean;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") node.refuse("\"..\" in the path of a cgroup");
    clean += '/';
    clean += part;
  }
  return clean;
}

}  // namespace

void read_resources(const Node& config, const Circumstances& with, Container& container) {
  const auto linux_node = config.get("linux");
  if (!with.use_cgroups || !linux_node) return;
  const auto path = linux_node->get("cgroupsPath");
  if (with.systemd_cgroup) {
    (path ? *path : *linux_node)
        .refuse("isle-oci has no systemd cgroup driver yet",
                "podman --cgroup-manager cgroupfs; containerd: SystemdCgroup = false");
    return;
  }
  container.cgroup_path =
      path && path->filled() ? clean_path(*path, path->text()) : "/isle-oci-" + with.id;
  Resources& wish = container.spec.resources;
  wish.path = {.value = container.cgroup_path,
               .from = container.spec.add_origin(path ? path->where() : linux_node->where())};
  wish.keep_cgroup = true;
  Values values(container.spec);
  if (const auto resources = linux_node->get("resources")) {
    read_memory(*resources, values);
    read_cpu(*resources, values);
    read_block_io(*resources, values);
    read_others(*resources, values);
  }
  // In a user namespace no device can be made, and none but the host's own be opened.
  if (!container.spec.creates(NamespaceType::user)) read_device_rules(*linux_node, values);
}

}  // namespace isle::oci
