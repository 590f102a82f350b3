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
  ControllerValue& add(const Node& node, const char* controller, std::string v1_file,
                       std::string v2_file, std::string value, std::string v2_value = {}) {
    if (v2_value.empty()) v2_value = value;
    return spec_.resources.controller_values.emplace_back(
        ControllerValue{.controller = controller,
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

/// -1 in a field that has no negative values, as engines write what nobody asked for.
bool is_unset(const Node& node) {
  constexpr uint64_t kMinusOne = UINT64_MAX;
  return node.json() == -1 || node.json() == kMinusOne;
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
  constexpr int64_t kMostSwappiness = 200;  // 100 up to 5.7
  if (const auto swappiness = memory->get("swappiness"); swappiness && !is_unset(*swappiness))
    values.add(*swappiness, "memory", "memory.swappiness", "",
               std::to_string(swappiness->integer(0, kMostSwappiness)));
  if (const auto disable = memory->get("disableOOMKiller"); disable && disable->boolean())
    values.add(*disable, "memory", "memory.oom_control", "", "1");
  // What is charged to the kernel has no limit of its own since 5.16, and counts as memory.
  if (const auto kernel = memory->get("kernel"); kernel && kernel->integer(-1, kMost) != 0)
    kernel->warn("no kernel has this limit any more");
  if (const auto tcp = memory->get("kernelTCP"); tcp && tcp->integer(-1, kMost) != 0)
    values.add(*tcp, "memory", "memory.kmem.tcp.limit_in_bytes", "",
               std::to_string(tcp->integer(-1, kMost)));
  // v2 has nothing but hierarchies, and v1 since 5.11 neither: the file says so to who writes 1.
  if (const auto use = memory->get("useHierarchy"); use && use->boolean())
    values.add(*use, "memory", "memory.use_hierarchy", "", "1").optional = true;
  if (const auto check = memory->get("checkBeforeUpdate")) (void)check->boolean();
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
  for (const auto& [key, file] : {std::pair{"realtimePeriod", "cpu.rt_period_us"},
                                  std::pair{"realtimeRuntime", "cpu.rt_runtime_us"}})
    if (const auto node = cpu->get(key); node && node->integer(kLeast, kMost) != 0)
      number(key, file, "");
  for (const char* key : {"cpus", "mems"})
    if (const auto list = cpu->get(key); list && list->filled())
      values.add(*list, "cpuset", fmt::format("cpuset.{}", key), fmt::format("cpuset.{}", key),
                 list->text());
}

/// blkio.weight (10 to 1000) as io.weight of v2 (1 to 10000), so that both ends meet.
int64_t io_weight_of(int64_t weight) { return 1 + (weight - 10) * 9999 / 990; }

/// BFQ's own file, which v1 has no other of since 5.0, and on v2 that of the cost model. Where the
/// kernel has neither there is nothing that heeds a weight.
void add_weight(const Node& node, const std::string& device, int64_t weight, Values& values) {
  const std::string prefix = device.empty() ? "" : device + " ";
  const std::string bfq = device.empty() ? "blkio.bfq.weight" : "blkio.bfq.weight_device";
  values.add(node, "blkio", bfq, "io.bfq.weight", prefix + std::to_string(weight)).optional = true;
  values.add(node, "blkio", "", "io.weight", "", prefix + std::to_string(io_weight_of(weight)))
      .optional = true;
}

void read_block_io(const Node& resources, Values& values) {
  const auto io = resources.get("blockIO");
  if (!io || !io->filled()) return;
  constexpr int64_t kLeastWeight = 10;
  constexpr int64_t kMostWeight = 1000;
  const auto weight_of = [&](const Node& node) {
    return node.integer(0, kMostWeight) == 0 ? 0 : node.integer(kLeastWeight, kMostWeight);
  };
  if (const auto weight = io->get("weight"); weight && weight_of(*weight) != 0)
    add_weight(*weight, "", weight_of(*weight), values);
  for (const Node& line : io->elements("weightDevice")) {
    const auto major = line.require("major");
    const auto minor = line.require("minor");
    const auto weight = line.get("weight");
    if (major && minor && weight && weight_of(*weight) != 0)
      add_weight(line, fmt::format("{}:{}", major->id(), minor->id()), weight_of(*weight), values);
  }
  if (const auto leaf = io->get("leafWeight"); leaf && weight_of(*leaf) != 0)
    leaf->warn("no kernel since 5.0 has this weight");
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

void read_rdma(const Node& resources, Values& values) {
  const auto rdma = resources.get("rdma");
  if (!rdma) return;
  for (const auto& [device, limits] : rdma->members()) {
    std::string text = device;
    for (const auto& [key, name] :
         {std::pair{"hcaHandles", "hca_handle"}, std::pair{"hcaObjects", "hca_object"}})
      if (const auto limit = limits.get(key)) text += fmt::format(" {}={}", name, limit->id());
    values.add(limits, "rdma", "rdma.max", "rdma.max", text);
  }
}

void read_network(const Node& resources, Values& values) {
  const auto network = resources.get("network");
  if (!network) return;
  if (const auto id = network->get("classID"); id && id->id() != 0)
    values.add(*id, "net_cls", "net_cls.classid", "", std::to_string(id->id()));
  for (const Node& row : network->elements("priorities")) {
    const auto name = row.require("name");
    const auto priority = row.require("priority");
    if (name && priority)
      values.add(row, "net_prio", "net_prio.ifpriomap", "",
                 fmt::format("{} {}", name->text(), priority->id()));
  }
}

void read_others(const Node& resources, Values& values) {
  if (const auto pids = resources.get("pids")) {
    auto& limit = values.spec().resources.pids_limit;
    ask(*pids, "limit", values.spec(), limit);
    // 0 and 1 say the same of a cgroup in which init is, but 0 would keep init itself out.
    if (limit && limit->value == 0) limit->value = 1;
  }
  for (const Node& limit : resources.elements("hugepageLimits")) {
    const auto size = limit.require("pageSize");
    const auto bytes = limit.require("limit");
    if (!size || !bytes) continue;
    const std::string value = std::to_string(bytes->natural());
    values.add(limit, "hugetlb", fmt::format("hugetlb.{}.limit_in_bytes", size->text()),
               fmt::format("hugetlb.{}.max", size->text()), value);
    // Pages that were set aside count too, where the kernel counts them (5.7).
    values
        .add(limit, "hugetlb", fmt::format("hugetlb.{}.rsvd.limit_in_bytes", size->text()),
             fmt::format("hugetlb.{}.rsvd.max", size->text()), value)
        .optional = true;
  }
  read_network(resources, values);
  read_rdma(resources, values);
  if (const auto unified = resources.get("unified"))
    for (const auto& [file, value] : unified->members()) {
      if (file.find('/') != std::string::npos || file.find('.') == std::string::npos)
        value.refuse(fmt::format(R"("{}": expected the name of a file of cgroup v2)", file));
      values.spec().resources.unified.push_back(
          {.file = file, .value = value.text(), .from = values.spec().add_origin(value.where())});
    }
}

DeviceRule device_rule(const Node& rule, Spec& spec) {
  DeviceRule result{.from = spec.add_origin(rule.where())};
  if (const auto allow = rule.require("allow")) result.allow = allow->boolean();
  const std::string type = rule.text_or("type", "a");
  if (type == "b" || type == "c" || type == "a" || type.empty())
    result.type = type.empty() ? 'a' : type.front();
  else if (const auto node = rule.get("type"))
    node->expected(R"("a", "b" or "c")");
  constexpr int64_t kMostNumber = std::numeric_limits<uint32_t>::max();
  if (const auto major = rule.get("major")) result.major = major->integer(-1, kMostNumber);
  if (const auto minor = rule.get("minor")) result.minor = minor->integer(-1, kMostNumber);
  result.access = rule.text_or("access", "rwm");
  if (const size_t unknown = result.access.find_first_not_of("rwm");
      unknown != std::string::npos && result.access.find_first_of("rwm") != std::string::npos) {
    rule.warn(fmt::format(R"(access "{}": what is none of "rwm" is left out)", result.access));
    std::erase_if(result.access, [](char c) { return c != 'r' && c != 'w' && c != 'm'; });
  } else if (unknown != std::string::npos) {
    rule.refuse(fmt::format(R"(access "{}": expected some of "rwm")", result.access));
  }
  return result;
}

/// Nothing but what is allowed: the list, and the devices every container has.
void read_device_rules(const Node& linux_node, Spec& spec) {
  const auto resources = linux_node.get("resources");
  const Origin from = spec.add_origin((resources ? *resources : linux_node).where());
  std::vector<DeviceRule>& rules = spec.resources.devices;
  rules.push_back({.allow = false, .from = from});
  if (resources)
    for (const Node& rule : resources->elements("devices"))
      rules.push_back(device_rule(rule, spec));
  for (const char type : {'c', 'b'})
    rules.push_back({.allow = true, .type = type, .access = "m", .from = from});
  struct Number {
    int64_t major;
    int64_t minor;
  };
  // null, zero, full, random, urandom, tty, ptmx, and the terminals of devpts.
  for (const auto& [major, minor] : {Number{1, 3}, Number{1, 5}, Number{1, 7}, Number{1, 8},
                                     Number{1, 9}, Number{5, 0}, Number{5, 2}, Number{136, -1}})
    rules.push_back({.allow = true, .type = 'c', .major = major, .minor = minor, .from = from});
}

/// Clean and absolute: "/a/b". A path that climbs, or goes nowhere, is refused.
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
  if (clean.empty()) node.refuse("the root of a hierarchy is the whole machine's");
  return clean;
}

}  // namespace

void read_limits(const Node& resources, Spec& spec) {
  Values values(spec);
  read_memory(resources, values);
  read_cpu(resources, values);
  read_block_io(resources, values);
  read_others(resources, values);
}

Result<Update> read_update(std::string_view text) {
  const Result<Json> json = parse_json(text, "resources");
  if (!json) return std::unexpected(json.error());
  Complaints complaints{.document = "resources"};
  const Node resources(*json, "", complaints);
  Update update;
  if (!json->is_object()) resources.expected("an object");
  read_limits(resources, update.spec);
  if (const auto memory = resources.get("memory"))
    update.check_before_update = memory->boolean_or("checkBeforeUpdate", false);
  if (!complaints.errors.empty()) return complain(std::move(complaints.errors));
  update.warnings = std::move(complaints.warnings);
  return update;
}

void read_resources(const Node& config, const Circumstances& with, Container& container) {
  const auto linux_node = config.get("linux");
  if (!with.use_cgroups || !linux_node) return;
  const auto path = linux_node->get("cgroupsPath");
  Resources& wish = container.spec.resources;
  wish.keep_cgroup = true;
  if (with.systemd_cgroup) {  // where its cgroup is, systemd has to be asked
    container.scope = read_scope(config, with.id, container.spec);
  } else {
    container.cgroup_path =
        path && path->filled() ? clean_path(*path, path->text()) : "/" + with.id;
    wish.path = {.value = container.cgroup_path,
                 .from = container.spec.add_origin(path ? path->where() : linux_node->where())};
  }
  if (const auto resources = linux_node->get("resources")) read_limits(*resources, container.spec);
  read_device_rules(*linux_node, container.spec);
}

}  // namespace isle::oci
