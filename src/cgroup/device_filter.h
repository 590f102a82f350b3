// Device rules as a program for BPF_CGROUP_DEVICE: what takes the place of v1's list on v2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "isle/spec.h"

namespace isle::cgroup {

/// struct bpf_insn, 8 bytes each. The last rule that speaks of an access decides about it; what no
/// rule allows is denied. bpf-cgroup(7); Linux 4.15, its 32-bit jumps 5.1.
[[nodiscard]] std::vector<uint64_t> device_filter(std::span<const DeviceRule> rules);

}  // namespace isle::cgroup
