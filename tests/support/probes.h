// The probes behind requirement.h's names: each tries the thing for real, in a child.
#pragma once

#include <string>
#include <vector>

#include "requirement.h"

namespace isle::test {

ProbeResult probe_root();
ProbeResult probe_unprivileged();
ProbeResult probe_userns();
ProbeResult probe_subids();
ProbeResult probe_cgroup_v1();
ProbeResult probe_cgroup_v2();
ProbeResult probe_cgroups();
ProbeResult probe_hybrid();
ProbeResult probe_delegated();
ProbeResult probe_systemd();
ProbeResult probe_systemd_user();
ProbeResult probe_initial_pidns();
ProbeResult probe_overlay();
ProbeResult probe_userns_overlay();
ProbeResult probe_idmap();
ProbeResult probe_timens();
ProbeResult probe_netns();
ProbeResult probe_criu();
/// It opens for reading and writing.
ProbeResult probe_device(const std::string& path);
/// All are on PATH.
ProbeResult probe_programs(const std::vector<std::string>& names);

}  // namespace isle::test
