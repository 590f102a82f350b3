// linux.intelRdt: a container's group in a resctrl file system.
#pragma once

#include <string>
#include <vector>

#include "isle/error.h"
#include "oci/config.h"

namespace isle::oci_cli {

/// Where resctrl is mounted. Errors: nowhere.
Result<std::string> resctrl_mount();

struct RdtGroups {
  std::vector<std::string> joined;  ///< Processes are put into one after the other.
  std::vector<std::string> made;    ///< Those of them that are the container's own.
};

/// The groups that `rdt` asks for below `mount`, none of them made yet. Errors: a class by name that
/// is not there, or is another than asked for.
Result<RdtGroups> plan_rdt(const oci::Rdt& rdt, const std::string& id, const std::string& mount);

/// Makes them. Errors: what the kernel says of the schemata, or of their number; some may be there.
Status make_rdt(const RdtGroups& groups, const oci::Rdt& rdt, const std::string& mount);

/// Removes them, unless somebody else is in one.
void remove_rdt(const std::vector<std::string>& made);

}  // namespace isle::oci_cli
