// The systemd unit that a container's cgroup belongs to: "linux.cgroupsPath" as SLICE:PREFIX:NAME,
// the annotations that ask for properties, and "linux.resources" as properties.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "isle/cgroup.h"
#include "isle/spec.h"
#include "oci/json_node.h"
#include "systemd/value.h"

namespace isle::oci {

struct Scope {
  std::string unit;      ///< "PREFIX-NAME.scope"
  std::string slice;     ///< "a-b.slice"; empty: system.slice, or a user's user.slice.
  std::string subgroup;  ///< Cgroup in the unit's that the container gets; empty: the unit's own.
  std::vector<systemd::Property> properties;  ///< Of annotations.
  Origin from = 0;
};

[[nodiscard]] Scope read_scope(const Node& config, const std::string& id, Spec& spec);

/// What systemd is told of limits, which are written to the cgroup's files all the same: else it
/// would put its own values there again, whenever it looks at the unit. What has no property stays
/// with the files alone.
[[nodiscard]] std::vector<systemd::Property> limit_properties(std::span<const CgroupWrite> writes,
                                                              const CgroupFacts& facts);
/// DevicePolicy and DeviceAllow: at least what `rules` allow. systemd knows no denial among what it
/// allows, nor a minor number of any major; the runtime's own filter does.
[[nodiscard]] std::vector<systemd::Property> device_properties(std::span<const DeviceRule> rules);

}  // namespace isle::oci
