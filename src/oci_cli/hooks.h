// Hooks: those that isle-oci runs itself, where it is, and what all of them are told.
#pragma once

#include <string_view>

#include "oci/config.h"
#include "oci/state.h"
#include "oci_cli/report.h"

namespace isle::oci_cli {

/// Runs them one after another, each to its end, with the state, as it is in `phase`, on standard
/// input. Errors: the first that fails, takes too long, or cannot be run; the others are not run.
Status run_hooks(const std::vector<Hook>& hooks, std::string_view kind, const oci::State& state,
                 oci::Phase phase);

/// All of them, whatever becomes of one; what fails is a warning.
void run_all_hooks(const std::vector<Hook>& hooks, std::string_view kind, const oci::State& state,
                   oci::Phase phase, const Report& report);

/// Ours, which a hook has that names none.
std::vector<std::string> own_environment();

/// For hooks that run inside: the same input, with the pid as it is there.
std::vector<Hook> told(std::vector<Hook> hooks, const oci::State& state, oci::Phase phase);

}  // namespace isle::oci_cli
