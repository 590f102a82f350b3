// Which checks may know why a step failed, by operation and errno: one table (hints.cc), whose
// functions stand in hints_*.cc by concern. A function that finds nothing gives an empty text, and
// the next row is asked.
#pragma once

#include <string>

#include "run/checks.h"
#include "run/failed_step.h"

namespace isle::hints {

/// The hint for a failure, or an empty text.
[[nodiscard]] std::string find(const FailedStep& failed);

using Look = std::string (*)(const FailedStep&);

// ---- what several concerns ask, hints.cc ---------------------------------------------------------

/// Who does the step: its ids and what it may override.
[[nodiscard]] checks::Walker walker_of(const FailedStep& failed);
/// Whether the calling process has CAP_`capability` in its effective set.
[[nodiscard]] bool caller_has(int capability);
/// The kernel's own words, where it had some.
[[nodiscard]] std::string kernel_log(const FailedStep& failed);
/// An AppArmor profile or a seccomp filter around isle.
[[nodiscard]] std::string confinement(const FailedStep& failed);

// ---- hints_namespaces.cc ---------------------------------------------------------------------------

std::string namespaces_forbidden(const FailedStep& failed);
std::string namespace_limits(const FailedStep& failed);
std::string namespace_types_missing(const FailedStep& failed);
std::string no_room_for_processes(const FailedStep& failed);
std::string dead_pid_namespace(const FailedStep& failed);
std::string clone3_filtered(const FailedStep& failed);
std::string killed_by_memory_limit(const FailedStep& failed);
std::string join_forbidden(const FailedStep& failed);
std::string join_wrong_type(const FailedStep& failed);
std::string keep_impossible(const FailedStep& failed);

// ---- hints_ids.cc ------------------------------------------------------------------------------------

std::string map_forbidden(const FailedStep& failed);
std::string map_program_refused(const FailedStep& failed);
std::string id_not_mapped(const FailedStep& failed);
std::string setgroups_forbidden(const FailedStep& failed);

// ---- hints_mounts.cc ---------------------------------------------------------------------------------

std::string unknown_file_system(const FailedStep& failed);
std::string not_in_user_namespaces(const FailedStep& failed);
std::string masked_file_system(const FailedStep& failed);
std::string locked_mounts(const FailedStep& failed);
std::string locked_flags(const FailedStep& failed);
std::string idmap_unsupported(const FailedStep& failed);
std::string root_cannot_pivot(const FailedStep& failed);

// ---- hints_files.cc ----------------------------------------------------------------------------------

std::string path_in_the_way(const FailedStep& failed);
std::string missing_on_read_only(const FailedStep& failed);
std::string link_in_the_way(const FailedStep& failed);
std::string other_kind(const FailedStep& failed);
std::string cgroup_refused(const FailedStep& failed);
std::string command_missing(const FailedStep& failed);
std::string command_not_executable(const FailedStep& failed);

// ---- hints_process.cc --------------------------------------------------------------------------------

std::string limit_above_hard(const FailedStep& failed);
std::string oom_score_below(const FailedStep& failed);
std::string nice_below(const FailedStep& failed);
std::string cpus_not_ours(const FailedStep& failed);
std::string scheduler_not_ours(const FailedStep& failed);
std::string capabilities_not_ours(const FailedStep& failed);
std::string sysctl_unknown(const FailedStep& failed);
std::string time_offset_too_far(const FailedStep& failed);

}  // namespace isle::hints
