// A bundle, read and ready for whatever makes a container of it.
#pragma once

#include <optional>
#include <string>

#include "isle/host.h"
#include "oci/config.h"
#include "oci_cli/rdt.h"
#include "oci_cli/unit.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {

/// A bundle translated for this machine.
struct Prepared {
  std::string config;  ///< The document's text.
  oci::Container container;
  Host host;
  std::string bundle;
  std::optional<Unit> unit;  ///< Where systemd makes the cgroup.
  RdtGroups rdt;             ///< With container.rdt, below `resctrl`.
  std::string resctrl;
};

Result<Prepared> prepare(const Call& call, const std::string& bundle_option, const std::string& id);

/// Its `host`: what is there, and what will be by the time of the launch.
void probe(Prepared& prepared);

/// The state of one that is being made.
oci::State new_state(const Prepared& prepared, const std::string& id);

/// One operand, which is a container's id.
Status need_id(const Call& call);

}  // namespace isle::oci_cli
