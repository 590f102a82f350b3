// The command lines whose plans are kept: each option of `isle run` at least once.
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
  std::string_view name;           ///< Of the golden file, without the host.
  std::vector<std::string> words;  ///< What follows `isle run`.
  /// Names of the hosts, separated by spaces.
  std::string_view on;
};

std::span<const Case> cases();

/// "6.1-plain 6.1-subids" -> its words.
std::vector<std::string> host_names(const Case& test_case);

/// What `isle run` makes of the words, for a caller on that host.
Result<Spec> translate(std::vector<std::string> words, const Host& host);

}  // namespace isle::golden
