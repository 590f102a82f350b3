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

/// A container some runtime knows.
struct Container {
  std::string id;
  pid_t pid = 0;
  std::string runtime;  ///< "crun", "containerd", ...
};

/// Running or not: those of runc, crun, containerd, docker, podman and isle-oci whose state says a
/// pid, also of `uid`'s own ones.
std::vector<Container> known_containers(const std::string& prefix, uid_t uid);

/// "1234", "fd:5", "ns:ID", "net:[4026532191]", "4026532191", a path, a name in /run/netns, a
/// container's id or the beginning of one. Errors: nothing is called so, or several are.
Result<EnterTarget> find_target(std::string_view text, const std::string& prefix, uid_t uid);

}  // namespace isle::cli
