// Limits as writes to the files of cgroups: for compile(), and for who changes the limits of what
// runs already.
#pragma once

#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/host.h"
#include "isle/spec.h"

namespace isle {

/// One write to a file of a controller.
struct CgroupWrite {
  std::string controller;
  std::string file;
  std::string value;
  Origin from = 0;
  int pass_over = 0;      ///< An errno that is no failure here; 0 for none.
  std::string path = {};  ///< Of the file, where limit_writes() made it.
};

/// What Resources::path asks for, each value in the hierarchy that has its controller: v1 where
/// there is one, else v2. Devices on v1 only. In an order in which the kernel takes them for a new
/// cgroup. Errors: no hierarchy has the controller; the version it is on has no such value.
[[nodiscard]] Result<std::vector<CgroupWrite>> limit_writes(
    const Resources& wish, const CgroupFacts& facts, const std::vector<std::string>& origins);

}  // namespace isle
