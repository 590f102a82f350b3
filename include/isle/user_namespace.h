// User namespaces: which ids they map to which, and new ones with maps. idmap.h has the maps
// themselves; a process in a new user namespace is run.h's.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/idmap.h"
#include "isle/namespace.h"

namespace isle {

/// What user_namespaces(7) calls the maps of a user namespace, and its setgroups rule.
struct IdMaps {
  IdMap uids;
  IdMap gids;
  /// Whether setgroups(2) is allowed inside: /proc/PID/setgroups.
  bool setgroups = true;
  bool operator==(const IdMaps&) const = default;
};

/// The maps of a process's user namespace. `host_id` is what the caller's user namespace counts; of
/// a process in that one itself, what its parent counts. Errors: ENOENT no such process. Linux 3.8;
/// setgroups 3.19.
[[nodiscard]] Result<IdMaps> id_maps(pid_t pid);
/// The maps of a user namespace, whether a process is in it or not. `host_id` is what its parent
/// counts. Errors: EINVAL no user namespace; those of in(), and of the caller's own ENOENT no
/// /proc.
[[nodiscard]] Result<IdMaps> id_maps(const Namespace& user_namespace);

/// Sentences for a person, a range each, uids first:
///     uid 0 inside is uid 100000 outside
///     uids 1 to 65535 inside are uids 100001 to 165535 outside
///     every other uid outside shows as the overflow uid (65534) inside
[[nodiscard]] std::vector<std::string> explain(const IdMaps& maps);

/// Gives the user namespace of `pid`, which has none yet, its maps; each of at most 340 lines and
/// less than 4096 bytes of text.
///  - With CAP_SETUID and CAP_SETGID in the caller's user namespace: any that are mapped there.
///  - Without: one line with the caller's own effective id, and then `setgroups` must be false;
///    all others go through newuidmap and newgidmap, which allow what /etc/subuid and /etc/subgid
///    grant.
/// Errors: EPERM not granted, with what newuidmap said, or the namespace has a map; ENOENT no
/// newuidmap; EINVAL overlapping or too many lines. Linux 3.8.
[[nodiscard]] Status write_id_maps(pid_t pid, const IdMaps& maps);

/// Whose a user namespace is: who has every capability in it from outside, as its maker.
struct UserNamespaceOwner {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// A new user namespace with these maps, below the caller's, in which nobody is: for
/// MountTree::idmap(), or to join. It lives as long as the handle. Made by the caller or, where
/// `owner` is given, by a process that became that user, which takes CAP_SETUID and CAP_SETGID.
/// Errors: EPERM the machine forbids it, or the caller may not become `owner`; ENOSPC a limit; those
/// of write_id_maps().
[[nodiscard]] Result<Namespace> create_user_namespace(
    const IdMaps& maps, const std::optional<UserNamespaceOwner>& owner = {});

}  // namespace isle
