// The parts of probe_host(), each a function of its own so that a test can show it a made-up tree:
// `prefix` goes before every path they look at.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "isle/host.h"
#include "isle/spec.h"
#include "sys/proc_files.h"

namespace isle::probe {

// ---- ids, probe_ids.cc ------------------------------------------------------------------------

/// The ranges that /etc/subuid or /etc/subgid (`text`) grants to user `uid` called `name`; the
/// lines may use either. Overlaps and order are kept as they stand.
[[nodiscard]] std::vector<SubIdRange> parse_subids(std::string_view text, uid_t uid,
                                                   std::string_view name);

/// What of `ranges` the caller's own user namespace has, by its map; all where the map is empty.
[[nodiscard]] std::vector<SubIdRange> mapped_part(const std::vector<SubIdRange>& ranges,
                                                  const IdMap& own_map);

/// The login name of `uid` by /etc/passwd; empty where it has none there. Read as a file: name
/// services cannot be loaded into a static program.
[[nodiscard]] std::string login_name(uid_t uid, const std::string& prefix = {});

/// A program that runs with more rights than its caller: found on `search_path`, executable, and
/// setuid root or with file capabilities. Empty where there is none.
[[nodiscard]] std::string find_privileged_program(std::string_view name,
                                                  std::string_view search_path,
                                                  const std::string& prefix = {});

/// Fills in what Host says of subordinate ids; it has the caller's ids and own maps.
void look_up_subids(const Spec& spec, Host& host, const std::string& prefix = {});

/// Whether `spec` can lead to a map of subordinate ids.
[[nodiscard]] bool may_use_subids(const Spec& spec, uid_t uid);

// ---- files and mounts, probe_files.cc -----------------------------------------------------------

/// The files that `spec` names and compile() asks about.
void look_up_files(const Spec& spec, Host& host);
/// Whether it wants the cgroup hierarchies visible inside.
bool mounts_cgroups(const Spec& spec);
/// Whether the cgroup `path` exists, in each hierarchy; to host.files.
void look_up_cgroup(const std::string& path, Host& host);

/// What `path` is, links followed.
[[nodiscard]] FileFact look_at(const std::string& path);
/// What descriptor `fd` refers to.
[[nodiscard]] FileFact look_at(int fd);

/// What stands in `path`, by name; nothing where it cannot be read.
[[nodiscard]] std::vector<DirectoryEntry> list_directory(const std::string& path);

/// Where the mounts of mountinfo are reachable, outermost first and siblings by name; without "/",
/// and without those that a later mount covers.
[[nodiscard]] std::vector<std::string> visible_mount_points(
    const std::vector<sys::MountEntry>& mounts);

// ---- the kernel, probe.cc -----------------------------------------------------------------------

/// Major and minor of uname(2)'s release: "6.1.0-42-amd64".
[[nodiscard]] KernelVersion parse_kernel_version(std::string_view release);

/// What follows from the version alone.
void set_features(Host& host);

/// The controllers that the limits of `resources` need: "memory", "cpu", "pids".
[[nodiscard]] std::vector<std::string> controllers_for(const Resources& resources);

}  // namespace isle::probe
