// From the options of `isle enter` to a Spec.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/caller.h"
#include "cli/enter_target.h"
#include "cli/options.h"
#include "cli/shared_options.h"
#include "isle/namespace.h"
#include "isle/spec.h"

namespace isle::cli {

struct EnterRequest {
  Spec spec;
  std::string target;
  Origin target_from = 0;
  NamespaceSet types;  ///< None: all.
  Origin types_from = 0;
  Wish<bool> root, cwd, env, cgroup, label;
  Wish<std::string> tools;  ///< Where the target's root is shown among the host's tools.
  bool follow = false;
  bool keep_ids = false;
  Origin user_from = 0;
  bool enters_target_user = false;
  Explain explain = Explain::no;
  bool help = false;
  std::vector<Fd> held;  ///< What `spec` names by number.

  Origin origin(const Argument& argument) { return spec.add_origin(argument.where()); }
};

/// Finds the target and fills request.spec. `command` may be empty: a shell.
Status complete_enter(EnterRequest& request, const Caller& caller, std::span<char* const> command,
                      int command_index);

}  // namespace isle::cli
