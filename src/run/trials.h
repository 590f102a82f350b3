// What works here, found out by doing it in a forked child that leaves nothing behind. For doctor
// only: a trial costs a process, hints go by checks.h. Each gives 0 or the errno (positive) of the
// call that was refused.
#pragma once

namespace isle::trials {

/// A user namespace with the caller's own ids mapped, and a mount namespace in it.
[[nodiscard]] int user_namespace();
/// The same and a time namespace.
[[nodiscard]] int time_namespace();
/// A fresh proc of a new pid namespace in a new user namespace.
[[nodiscard]] int fresh_proc();
/// An overlay on tmpfs in a new user namespace.
[[nodiscard]] int overlay();
/// An idmapped tmpfs in a new user namespace.
[[nodiscard]] int idmapped_tmpfs();
/// An idmapped bind of "/", by the caller as it is.
[[nodiscard]] int idmapped_root();
/// The new mount calls: fsopen, fsmount, open_tree, mount_setattr, move_mount.
[[nodiscard]] int mount_calls();
/// nf_tables answers in a new network namespace.
[[nodiscard]] int nftables();
/// /dev/net/tun opens.
[[nodiscard]] int tun();

}  // namespace isle::trials
