// unshare(1) of util-linux: its command line as a Spec.
#pragma once

#include "linux_utils/face.h"

namespace isle::linux_utils {

/// Errors: a command line that unshare(1) refuses, too, and wishes this face has no Spec for.
Result<Command> parse_unshare(std::span<char* const> argv, const Surroundings& here);

/// Its long options, as getopt_long(3) takes them, without the last empty one.
std::span<const option> unshare_options();

/// The text of --help.
std::string unshare_help();

}  // namespace isle::linux_utils
