// The command lines whose plans are kept: each option of `isle run` and `isle unshare` at least once,
// and what the fronts of unshare(1) and nsenter(1) make in place. `isle enter` finds its target on the
// machine it runs on, and isle-oci reads its bundle there: their Specs are written out.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/host.h"
#include "isle/spec.h"

namespace isle::golden {

struct Case {
  std::string_view name = {};           ///< Of the golden file, without the host.
  std::vector<std::string> words = {};  ///< What follows the command.
  /// Names of the hosts, separated by spaces.
  std::string_view on = {};
  /// "isle run", "isle unshare", "isle enter", "isle-oci", "isle-unshare", "isle-nsenter".
  std::string_view command = "isle run";
};

std::span<const Case> cases();

/// "6.1-plain 6.1-subids" -> its words.
std::vector<std::string> host_names(const Case& test_case);

/// What the case's command makes of its words, for a caller on that host.
Result<Spec> translate(const Case& test_case, const Host& host);

}  // namespace isle::golden
