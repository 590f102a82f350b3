// For children of a test, which change only themselves: namespaces of their own to work in. What fails
// throws.
#pragma once

#include <sys/types.h>

namespace isle::test {

/// The calling process and its children on one cpu: Linux 6.18 orders mount namespaces by numbers
/// that grow only within a cpu, and binds no "older" one (docs/kernel-notes.md).
void stay_on_one_cpu();

/// A mount namespace, newer than the one left, from which nothing spreads.
void own_mounts();

/// In a user namespace that has no maps yet: `uid` and `gid` of the one around it are root here, and
/// nobody else is anybody.
void map_root(uid_t uid = 0, gid_t gid = 0);

}  // namespace isle::test
