// config.json of the runtime-spec (1.3) as a Spec. Each wish keeps its JSON pointer. Fields that
// are not known are ignored, as the runtime-spec asks; fields that are known and cannot be had yet
// are refused.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/spec.h"
#include "oci/json_node.h"
#include "oci/scope.h"
#include "seccomp/profile.h"

namespace isle::oci {

/// What the command knows and the document does not.
struct Circumstances {
  std::string bundle;       ///< Absolute path of the bundle: where relative paths start.
  std::string id;           ///< Of the container.
  bool use_cgroups = true;  ///< False: --cgroup-manager disabled.
  bool systemd_cgroup = false;
  bool pivot = true;  ///< False: --no-pivot.
  bool (*selinux)() = [] {
    return false;
  };  ///< Whether the kernel has it; asked where a label needs it.
  bool keyring = true;  ///< False: --no-new-keyring.
  /// The caller's: that of a hook that names none and runs on the host.
  std::vector<std::string> environment = {};
};

/// linux.seccomp, not compiled yet.
struct Filter {
  seccomp::Profile profile;
  uint32_t flags = 0;         ///< SECCOMP_FILTER_FLAG_*
  std::string listener_path;  ///< Filled where there is a listener to hand over.
  std::string listener_metadata;
  std::vector<uint64_t> program;  ///< In place of a profile: struct sock_filter, 8 bytes each.
  Origin from = 0;
};

/// "hooks": programs of the host, but for start_container, which are the container's.
struct Hooks {
  std::vector<Hook> prestart, create_runtime;  ///< By who creates, all being mounted.
  std::vector<Hook> create_container;          ///< In the container's namespaces.
  std::vector<Hook> start_container;           ///< In the container, before its command.
  std::vector<Hook> poststart;                 ///< By who starts.
  std::vector<Hook> poststop;                  ///< By who deletes.
};

/// An entry of linux.netDevices.
struct NetDevice {
  std::string name;      ///< Of the host ...
  std::string new_name;  ///< ... and in the container.
  std::string asked_by;
  Origin from = 0;
};

/// linux.intelRdt.
struct Rdt {
  std::string name;    ///< Of the class of service, closID; "/": the one all processes start in.
  bool named = false;  ///< In config.json; else it is the container's id.
  std::vector<std::string> schemata;  ///< Lines to write.
  bool monitored = false;
  Origin from = 0;
};

struct Container {
  Spec spec;
  std::vector<NetDevice> net_devices;
  Hooks hooks;
  std::optional<Filter> seccomp;
  std::optional<Rdt> rdt;
  std::string version;  ///< ociVersion
  Json annotations = Json::object();
  bool terminal = false;
  std::string cgroup_path;     ///< Below each hierarchy's mount point, "/a/b"; empty: none made.
  std::optional<Scope> scope;  ///< In place of `cgroup_path`, until systemd was asked for that.
  std::vector<std::string> warnings;
};

/// Errors: the first complaint about the document; the others stand below it as its hint.
[[nodiscard]] Result<Container> read_config(std::string_view text, const Circumstances& with);

/// A process of the runtime-spec for a container that runs (exec --process): fills the process part
/// of `spec`. Errors: as above.
struct ExecProcess {
  Spec spec;
  bool terminal = false;
  std::vector<std::string> warnings;
};
[[nodiscard]] Result<ExecProcess> read_process(std::string_view text);

/// What a container's annotations ask for every process of it: run.oci.keep_original_groups.
void obey_annotations(const Json& annotations, ProcessWish& process);

/// What "linux" of config.json says of another process, whose wishes are in `spec`: fills its
/// personality, and gives its filter. Errors: as above.
[[nodiscard]] Result<std::optional<Filter>> read_for_exec(std::string_view config, Spec& spec);

/// "hooks" of config.json; `environment` as in Circumstances. Errors: as above.
[[nodiscard]] Result<Hooks> read_hooks(std::string_view config,
                                       std::span<const std::string> environment);

/// "linux.resources" alone, as `update` takes it: fills spec.resources, all but the path.
struct Update {
  Spec spec;
  bool check_before_update = false;  ///< No limit of memory below what is in use.
  std::vector<std::string> warnings;
};
[[nodiscard]] Result<Update> read_update(std::string_view text);

/// What `isle-oci spec` writes: a shell in the image at "rootfs".
[[nodiscard]] std::string default_config(bool rootless, bool cgroup_namespace, uint32_t uid,
                                         uint32_t gid);

// ---- the parts, a file each ---------------------------------------------------------------------

/// The first complaint, and the others with it.
std::unexpected<Error> complain(std::vector<Error> errors);
void read_process_node(const Node& process, Spec& spec);
/// Of what exec runs; a container's first process has none.
void read_exec_affinity(const Node& process, Spec& spec);
void read_memory_policy(const Node& linux_node, Spec& spec);
void read_mounts(const Node& config, const Circumstances& with, Spec& spec);
/// Where the mount namespace is not the container's own nothing propagates.
void warn_of_propagation(const Node& asks, Propagation wish, const Spec& spec);
void read_devices(const Node& config, Spec& spec);
/// `spec` gets their origins; none: nobody asks for them.
Hooks read_hooks(const Node& config, std::span<const std::string> environment, Spec* spec);
void read_linux(const Node& config, Spec& spec);
void read_personality(const Node& linux_node, Spec& spec);
std::vector<NetDevice> read_net_devices(const Node& linux_node, Spec& spec);
std::optional<Rdt> read_rdt(const Node& linux_node, const std::string& id, Spec& spec);
std::optional<Filter> read_seccomp(const Node& config, Spec& spec);
void read_limits(const Node& resources, Spec& spec);
std::optional<Node> annotation(const Node& config, std::string_view key);
void read_annotations(const Node& config, Container& container);
void read_resources(const Node& config, const Circumstances& with, Container& container);

}  // namespace isle::oci
