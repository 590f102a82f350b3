// What the options of `isle run` collect, before it is completed to a Spec. A handler an option;
// those of a concern share a file: run_namespaces.cc, run_mounts.cc, run_identity.cc,
// run_process.cc. They only translate; nothing here looks at the machine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/caller.h"
#include "cli/options.h"
#include "cli/shared_options.h"
#include "isle/error.h"
#include "isle/spec.h"

namespace isle::cli {

/// What was decided for a type of namespace.
struct TypeChoice {
  enum class Kind : uint8_t { by_default, fresh, shared, joined } kind = Kind::by_default;
  bool by_all = false;  ///< By "--share all": gives way to an option that names the type.
  std::string path;     ///< To join.
  int fd = -1;          ///< To join.
  Origin from = 0;
};

struct EnvironmentChange {
  enum class Kind : uint8_t { set, pass, unset } kind{};
  std::string text;  ///< "NAME=value" to set, else "NAME".
};

enum class TerminalUse : uint8_t { when_interactive, always, never };

struct RunRequest {
  /// Wishes that need nothing else to be known; mounts holds the user's own operations only, until
  /// complete() puts the default ones before them.
  Spec spec;

  std::array<TypeChoice, kNamespaceTypes> types;

  // The root.
  Wish<std::string> root_path;
  bool no_root = false;
  bool read_only = false;
  std::optional<Asked<std::string>> overlay;  ///< Empty: in memory.
  Wish<Propagation> propagation;
  /// Operations of spec.mounts whose ids are to be those of the sandbox ("idmap" without a map).
  std::vector<size_t> idmapped_as_sandbox;

  // Identity.
  Wish<std::string> user_name;
  uint64_t capabilities_added = 0;
  uint64_t capabilities_dropped = 0;
  Origin capabilities_from = 0;
  bool capabilities_asked = false;
  Asked<bool> keep_privileges;

  // The process.
  std::vector<EnvironmentChange> environment;
  bool clear_environment = false;
  Origin environment_from = 0;
  bool environment_asked = false;
  TerminalUse terminal = TerminalUse::when_interactive;
  Origin terminal_from = 0;

  // How isle itself behaves.
  Explain explain = Explain::no;
  bool verbose = false;
  bool help = false;
  std::string pid_file;
  int status_fd = -1;
  int64_t timeout_ns = 0;  ///< 0: none.
  int64_t grace_ns = 5'000'000'000;

  [[nodiscard]] TypeChoice& choice(NamespaceType type) { return types[static_cast<size_t>(type)]; }
  [[nodiscard]] const TypeChoice& choice(NamespaceType type) const {
    return types[static_cast<size_t>(type)];
  }
  /// The sandbox gets a root of its own, on which operations happen.
  [[nodiscard]] bool has_root() const;
  [[nodiscard]] std::string root() const { return root_path ? root_path->value : "/"; }

  Origin origin(const Argument& argument) { return spec.add_origin(argument.where()); }
  template <class T>
  Asked<T> asked(T value, const Argument& argument) {
    return {.value = std::move(value), .from = origin(argument)};
  }
};

/// The rows of `isle run`'s options.
std::span<const Option> run_options();

/// Fills request.spec with the defaults and all that depends on several options. `command` may be
/// empty: a shell; `command_index` is its index in argv. Errors: wishes that contradict each
/// other, or that this caller cannot have.
Status complete(RunRequest& request, const Caller& caller, std::span<char* const> command,
                int command_index);

// Handlers ------------------------------------------------------------------------------------

using RunHandler = Status(RunRequest& request, const Argument& argument);

// run_namespaces.cc
RunHandler share_namespaces, join_namespaces, new_namespaces, keep_namespace, time_offset, hostname,
    domainname;
// run_mounts.cc
RunHandler root_directory, no_new_root, overlay_root, read_only_root, bind, read_only_bind,
    device_bind, tmpfs, directory, symlink_to, file, mount_file_system, mask, propagation;
// run_identity.cc
RunHandler uid, gid, map_uid, map_gid, map_auto, user, groups, add_capabilities, drop_capabilities,
    keep_privileges;
// run_process.cc
RunHandler rlimit, nice, cpus_allowed, oom_score_adj, umask, workdir, environment_variable,
    unset_variable, clear_environment, init, terminal, pass_fd, memory_limit, cpu_limit, pids_limit;

}  // namespace isle::cli
