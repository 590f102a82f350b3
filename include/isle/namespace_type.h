// The eight types of namespaces(7). Only the enumeration; namespace.h has the table and the handle.
#pragma once

#include <cstdint>

namespace isle {

/// runtime-spec spelling. The order is that of the table in namespaces(7).
enum class NamespaceType : uint8_t { cgroup, ipc, mount, network, pid, time, user, uts };

inline constexpr int kNamespaceTypes = 8;

}  // namespace isle
