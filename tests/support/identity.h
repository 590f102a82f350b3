// Who a test's command runs as: ourselves, or an ordinary user that exists for the test only.
#pragma once

#include <sys/types.h>

#include <string>

namespace isle::test {

/// A user to run a command as.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  /// Empty: /etc is left alone. Otherwise a directory whose passwd, group, subuid and subgid the
  /// command sees in /etc, by bind mounts in a mount namespace of its own.
  std::string etc = {};
  /// Drop to uid and gid (only root can); false: we are that user already.
  bool drop = false;
};

/// The range that unprivileged_with_subids() owns, when the test runs as root.
inline constexpr uid_t kThrowAwayUid = 54321;
inline constexpr uid_t kFirstSubid = 300000;
inline constexpr uid_t kSubidCount = 65536;

/// An ordinary user: uid and gid 54321, which no passwd entry names, no groups, no capabilities;
/// or the caller, if it isn't root. Needs "unprivileged".
Identity unprivileged();

/// The same with ids kFirstSubid.. in /etc/subuid and /etc/subgid, and a passwd entry "isle-test".
/// The host's files are not touched. Not root: the caller, with what /etc/subuid gives it.
/// Needs "subids".
Identity unprivileged_with_subids();

/// Becomes `identity` for good: mount namespace, files in /etc, groups, ids. 0 or -errno, with
/// `*step` naming the call. Only system calls, so it may run between fork and exec.
int become(const Identity& identity, const char** step) noexcept;

}  // namespace isle::test
