// linux.netDevices: devices of the host that become the container's.
#pragma once

#include <sys/types.h>

#include <vector>

#include "isle/error.h"
#include "oci/config.h"

namespace isle::oci_cli {

/// Moves each into the network namespace of `host_pid`, under its new name, with its permanent
/// addresses of global scope, and sets it up there (rtnetlink(7)). Errors: there is no such device,
/// its name is taken inside, EPERM; by place in config.json. Those moved already stay moved: they
/// come back, or go, with the namespace.
Status move_net_devices(const std::vector<oci::NetDevice>& devices, pid_t host_pid);

}  // namespace isle::oci_cli
