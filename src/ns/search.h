// Namespaces that nothing leads to directly, found by a look at what there is. Only what the
// handle's own questions need (children, ids); a full discovery is src/inspect's.
#pragma once

#include <functional>
#include <vector>

#include "isle/namespace.h"

namespace isle::ns {

/// Calls `visit` once with each namespace of `type` that a process of /proc is in, that is above
/// such a one, or that the caller's mount namespace keeps; until it returns true.
void visit_namespaces(NamespaceType type, const std::function<bool(Namespace&)>& visit);

/// The pids in /proc, in its order.
std::vector<pid_t> pids_of_proc();

}  // namespace isle::ns
