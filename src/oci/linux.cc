// "linux" of config.json but for mounts and resources: namespaces, ids, sysctl, personality.
#include <fmt/format.h>

#include <algorithm>

#include "isle/namespace.h"
#include "oci/config.h"

namespace isle::oci {
namespace {

void read_namespaces(const Node& linux_node, Spec& spec) {
  for (const Node& node : linux_node.elements("namespaces")) {
    const auto type_node = node.require("type");
    if (!type_node) continue;
    const std::string name = type_node->text();
    const auto type = parse_namespace_type(name);
    if (!type || to_string(*type) != name) {
      type_node->expected(
          "\"cgroup\", \"ipc\", \"mount\", \"network\", \"pid\", \"time\", \"user\" or \"uts\"");
      continue;
    }
    if (spec.find(*type) != nullptr) {
      type_node->refuse(fmt::format("the {} namespace is named twice", name));
      continue;
    }
    NamespaceWish wish{.type = *type, .from = spec.add_origin(node.where())};
    if (const auto path = node.get("path")) {
      wish.path = path->text();
      if (!wish.path.empty() && !wish.path.starts_with('/')) path->expected("an absolute path");
    }
    spec.namespaces.push_back(std::move(wish));
  }
}

void read_map(const Node& linux_node, const char* key, Spec& spec, Wish<IdMap>& into) {
  const auto node = linux_node.get(key);
  if (!node || !node->filled()) return;
  IdMap map;
  for (const Node& line : node->elements()) {
    const auto inside = line.require("containerID");
    const auto outside = line.require("hostID");
    const auto size = line.require("size");
    if (!inside || !outside || !size) continue;
    if (size->id() == 0) continue;
    map.push_back({inside->id(), outside->id(), size->id()});
  }
  // Of a user namespace that is joined the maps are what they are.
  if (!spec.creates(NamespaceType::user)) {
    if (spec.find(NamespaceType::user) == nullptr)
      node->warn("ids are mapped in a new user namespace only, and none is asked for");
    return;
  }
  into = {.value = std::move(map), .from = spec.add_origin(node->where())};
}

void read_time_offsets(const Node& linux_node, Spec& spec) {
  const auto node = linux_node.get("timeOffsets");
  if (!node || !node->filled()) return;
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  constexpr int64_t kMostSeconds = std::numeric_limits<int64_t>::max() / kNsPerSecond - 1;
  for (const auto& [clock, offset] : node->members()) {
    if (clock != "monotonic" && clock != "boottime") {
      offset.refuse("offsets are for \"monotonic\" and \"boottime\"");
      continue;
    }
    const auto seconds = offset.get("secs");
    const auto rest = offset.get("nanosecs");
    const int64_t whole = seconds ? seconds->integer(-kMostSeconds, kMostSeconds) : 0;
    const int64_t part = rest ? rest->integer(0, kNsPerSecond - 1) : 0;
    spec.time_offsets.push_back(
        {.clock = clock == "monotonic" ? TimeOffset::Clock::monotonic : TimeOffset::Clock::boottime,
         .offset_ns = whole * kNsPerSecond + part,
         .from = spec.add_origin(offset.where())});
  }
}

/// The namespace a sysctl belongs to; nothing: to the whole machine.
std::optional<NamespaceType> owner_of(std::string_view key) {
  constexpr std::string_view kIpc[] = {
      "kernel.auto_msgmni", "kernel.msgmax",      "kernel.msgmnb",
      "kernel.msgmni",      "kernel.sem",         "kernel.shmall",
      "kernel.shmmax",      "kernel.shmmni",      "kernel.shm_rmid_forced",
      "kernel.msg_next_id", "kernel.sem_next_id", "kernel.shm_next_id"};
  if (std::ranges::find(kIpc, key) != std::end(kIpc) || key.starts_with("fs.mqueue."))
    return NamespaceType::ipc;
  if (key.starts_with("net.")) return NamespaceType::network;
  if (key == "kernel.domainname") return NamespaceType::uts;
  if (key.starts_with("user.")) return NamespaceType::user;
  return std::nullopt;
}

/// Of two separators side by side one may be a dot of the path: "net.//.kernel" is net/../kernel.
bool climbs(std::string_view name) {
  const auto separates = [](char c) { return c == '.' || c == '/'; };
  return name.starts_with('/') || std::ranges::adjacent_find(name, [&](char a, char b) {
                                    return separates(a) && separates(b);
                                  }) != name.end();
}

void read_sysctl(const Node& linux_node, Spec& spec) {
  const auto node = linux_node.get("sysctl");
  if (!node || !node->filled()) return;
  for (const auto& [name, value] : node->members()) {
    // Where a slash comes first, dots are of a name: "net/ipv4/conf/eth0.100/forwarding".
    const size_t first = name.find_first_of("./");
    std::string key = name;
    if (first != std::string::npos && name[first] == '/') std::ranges::replace(key, '/', '.');
    if (key == "kernel.hostname") {
      value.refuse("\"kernel.hostname\" is what /hostname says");
      continue;
    }
    const auto owner = climbs(name) ? std::nullopt : owner_of(key);
    if (!owner) {
      value.refuse(
          fmt::format("\"{}\" is the whole machine's: only what belongs to a namespace "
                      "of the container can be set",
                      key));
      continue;
    }
    if (spec.find(*owner) == nullptr) {
      value.refuse(fmt::format("\"{}\" belongs to the {} namespace, which is shared with the host",
                               key, to_string(*owner)));
      continue;
    }
    spec.sysctl.emplace_back(
        name, Asked<std::string>{.value = value.text(), .from = spec.add_origin(value.where())});
  }
}

/// IFNAMSIZ, without the NUL.
constexpr size_t kLongestDeviceName = 15;

bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestDeviceName && name != "." && name != ".." &&
         std::ranges::none_of(name,
                              [](unsigned char c) { return c <= ' ' || c == '/' || c == ':'; });
}

}  // namespace

void read_personality(const Node& linux_node, Spec& spec) {
  const auto node = linux_node.get("personality");
  if (!node || !node->filled()) return;
  const auto domain = node->require("domain");
  if (!domain) return;
  constexpr uint64_t kLinux32 = 0x0008;  // PER_LINUX32
  const std::string name = domain->text();
  if (name != "LINUX" && name != "LINUX32") domain->expected("\"LINUX\" or \"LINUX32\"");
  if (const auto flags = node->get("flags"); flags && flags->filled())
    flags->refuse("the runtime-spec has no flags of a personality yet");
  spec.process.personality = {.value = name == "LINUX32" ? kLinux32 : 0,
                              .from = spec.add_origin(node->where())};
}

std::vector<NetDevice> read_net_devices(const Node& linux_node, Spec& spec) {
  std::vector<NetDevice> devices;
  const auto node = linux_node.get("netDevices");
  if (!node || !node->filled()) return devices;
  if (spec.find(NamespaceType::network) == nullptr)
    node->refuse("devices are moved into the container's network namespace, and it has none");
  for (const auto& [name, value] : node->members()) {
    const auto given = value.get("name");
    NetDevice device{.name = name,
                     .new_name = given && given->filled() ? given->text() : name,
                     .asked_by = value.where(),
                     .from = spec.add_origin(value.where())};
    if (!is_device_name(name)) value.expected("the name of a network device as its key");
    if (given && given->filled() && !is_device_name(device.new_name))
      given->expected("the name of a network device");
    devices.push_back(std::move(device));
  }
  return devices;
}

void read_linux(const Node& config, Spec& spec) {
  const auto node = config.get("linux");
  if (!node) return;
  read_namespaces(*node, spec);
  if (spec.creates(NamespaceType::network))  // as every runtime has it
    spec.loopback_up = {.value = true, .from = spec.find(NamespaceType::network)->from};
  read_map(*node, "uidMappings", spec, spec.uid_mappings);
  read_map(*node, "gidMappings", spec, spec.gid_mappings);
  read_time_offsets(*node, spec);
  read_sysctl(*node, spec);
  read_personality(*node, spec);
  read_memory_policy(*node, spec);
}

}  // namespace isle::oci
