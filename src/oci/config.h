// config.json of the runtime-spec (1.3) as a Spec. Each wish keeps its JSON pointer. Fields that
// are not known are ignored, as the runtime-spec asks; fields that are known and cannot be had yet
// are refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/spec.h"
#include "oci/json_node.h"

namespace isle::oci {

/// What the command knows and the document does not.
struct Circumstances {
  std::string bundle;       ///< Absolute path of the bundle: where relative paths start.
  std::string id;           ///< Of the container.
  bool use_cgroups = true;  ///< False: --cgroup-manager disabled.
  bool systemd_cgroup = false;
  bool pivot = true;  ///< False: --no-pivot.
};

struct Container {
  Spec spec;
  std::string version;  ///< ociVersion
  Json annotations = Json::object();
  bool terminal = false;
  std::string cgroup_path;  ///< Below each hierarchy's mount point, "/a/b"; empty: none made.
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

/// "linux.resources" alone, as `update` takes it: fills spec.resources, all but the path.
struct Update {
  Spec spec;
  bool check_before_update = false;  ///< No limit of memory below what is in use.
  std::vector<std::string> warnings;
};
[[nodiscard]] Result<Update> read_update(std::string_view text);

/// What `isle-oci spec` writes: a shell in the image at "rootfs".
[[nodiscard]] std::string default_config(bool rootless, uint32_t uid, uint32_t gid);

// ---- the parts, a file each ---------------------------------------------------------------------

/// The first complaint, and the others with it.
std::unexpected<Error> complain(std::vector<Error> errors);
void read_process_node(const Node& process, Spec& spec);
void read_mounts(const Node& config, const Circumstances& with, Spec& spec);
void read_devices(const Node& config, Spec& spec);
void read_linux(const Node& config, Spec& spec);
void read_limits(const Node& resources, Spec& spec);
void read_resources(const Node& config, const Circumstances& with, Container& container);

}  // namespace isle::oci
