// The command line of `isle unshare` as a Spec.
#pragma once

#include <span>

#include "cli/caller.h"
#include "cli/shared_options.h"
#include "isle/error.h"
#include "isle/spec.h"

namespace isle::cli {

struct UnshareCommand {
  Spec spec;
  Explain explain = Explain::no;
  bool help = false;  ///< Then nothing else counts.
};

/// The words of `argv` from `first` on. Errors: words that make no sense, or not for this caller.
Result<UnshareCommand> read_unshare(std::span<char* const> argv, int first, const Caller& caller);

}  // namespace isle::cli
