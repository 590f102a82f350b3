// What `isle enter` can be pointed at, and how it is found: a process, a namespace, a container of a
// runtime that keeps its state on disk. Reads only; below a prefix, so that tests can make trees up.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/namespace_type.h"

namespace isle::cli {

struct EnterTarget {
  pid_t pid = 0;  ///< A process; 0: one namespace, below.
  Fd pidfd;       ///< Of that process, where a descriptor was given.
  std::optional<NamespaceType> type;
  std::string path;  ///< The namespace's ...
  Fd fd;             ///< ... or this one.
};

/// Whose files tell of containers: those of the machine, and of a user.
struct Places {
  std::string prefix = {};  ///< Before every path, for made-up trees.
  uid_t uid = 0;
  std::string home = {};         ///< Empty: none.
  std::string runtime_dir = {};  ///< XDG_RUNTIME_DIR; empty: /run/user/UID.
};

/// A container some runtime knows.
struct Container {
  std::string id;
  pid_t pid = 0;
  std::string runtime;    ///< "crun", "containerd", ...
  std::string name = {};  ///< What podman or docker call it; may be empty.
};

/// Running or not: those of runc, crun, containerd, docker, podman and isle-oci whose state says a
/// pid, also of the user's own ones.
std::vector<Container> known_containers(const Places& places);

/// "1234", "fd:5", "ns:ID", "net:[4026532191]", "4026532191", a path, a name in /run/netns, a
/// container's id or the beginning of one, or its name. Errors: nothing is called so, or several are.
Result<EnterTarget> find_target(std::string_view text, const Places& places);

}  // namespace isle::cli
