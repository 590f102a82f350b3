// A container that exists: its first process, its cgroups, what it is doing.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/host.h"
#include "oci/state.h"

namespace isle::oci_cli {

/// What is started has no signal blocked, whatever the engine blocks and we do.
inline constexpr uint64_t kNoSignals = 0;

/// Root of a user namespace is an ordinary user outside; an engine of such a one runs us so.
bool is_ordinary_user();

/// Notes that `pid` is the container's first process. Errors: /proc cannot be read.
Status take_process(oci::State& state, pid_t pid);

/// The process of `state` by a descriptor that is no other's; none where it has ended. Errors: it
/// cannot be found out, as without a free descriptor; then nothing may be said of it, least of all
/// that it has ended.
Result<Fd> open_process(const oci::State& state);

/// What it is doing, found out now; `process` is open_process()'s.
oci::Phase phase(const oci::State& state, const Fd& process);

/// Where this machine's cgroup hierarchies are, without what is in them.
CgroupFacts machine_cgroups();

/// All its processes: of its cgroups; without any, those in its first process's pid namespace.
std::vector<pid_t> processes(const oci::State& state);

/// `signal` to all of them.
void signal_all(const oci::State& state, int signal);

/// Its cgroup where there is a freezer; "" where it has none of its own.
std::string freezer(const oci::State& state);
Status freeze(const oci::State& state, bool frozen);

/// SIGKILL to all of it, and waits until its first process, open_process()'s, has ended.
Status end(const oci::State& state, const Fd& process);
/// Of the cgroups that it is to have, those that `host` has already: that nobody is in them, and that
/// they are not frozen, since who enters such a one never comes back.
Status expect_unused_cgroups(const oci::State& state, const Host& host);
/// Removes its cgroups, as far as nobody else is in them.
Status remove_cgroups(const oci::State& state);

/// Who waits at the socket of this inode for its start: for a container whose maker was killed before it could
/// write the pid down. 0: nobody.
pid_t waiting_at(uint64_t socket);

}  // namespace isle::oci_cli
