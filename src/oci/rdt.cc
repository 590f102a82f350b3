// "linux.intelRdt" of config.json: a class of service, by what it has of caches and of the way to
// memory (kernel: Documentation/filesystems/resctrl.rst).
#include <algorithm>

#include "oci/config.h"

namespace isle::oci {
namespace {

/// One name below the mount point, none of those that resctrl has there itself; or "/".
bool is_class(std::string_view name) {
  constexpr std::string_view kOwn[] = {".", "..", "info", "mon_data", "mon_groups"};
  return name == "/" || (!name.empty() && name.find('/') == std::string_view::npos &&
                         std::ranges::find(kOwn, name) == std::end(kOwn));
}

void add_lines(std::string_view text, bool without_bandwidth, std::vector<std::string>& lines) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty() && !(without_bandwidth && line.starts_with("MB:"))) lines.emplace_back(line);
  }
}

}  // namespace

std::optional<Rdt> read_rdt(const Node& linux_node, const std::string& id, Spec& spec) {
  const auto node = linux_node.get("intelRdt");
  if (!node) return std::nullopt;
  Rdt rdt{.name = id, .from = spec.add_origin(node->where())};
  if (const auto name = node->get("closID"); name && name->filled()) {
    rdt.name = name->text();
    rdt.named = true;
    if (!is_class(rdt.name)) name->expected("the name of a class of service, or \"/\"");
  }
  const std::string bandwidth = node->text_or("memBwSchema");
  add_lines(node->text_or("l3CacheSchema"), !bandwidth.empty(), rdt.schemata);
  add_lines(bandwidth, false, rdt.schemata);
  for (const Node& line : node->elements("schemata")) {
    rdt.schemata.push_back(line.text());
    if (rdt.schemata.back().find('\n') != std::string::npos) line.expected("one line");
  }
  for (const char* key : {"enableMonitoring", "enableCMT", "enableMBM"})
    rdt.monitored = node->boolean_or(key, false) || rdt.monitored;
  return rdt;
}

}  // namespace isle::oci
