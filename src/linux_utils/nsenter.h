// nsenter(1) of util-linux: its command line as a Spec.
#pragma once

#include "linux_utils/face.h"

namespace isle::linux_utils {

/// Opens what the command line names: a target's pidfd, directories. Errors: a command line that
/// nsenter(1) refuses, too, and what could not be opened.
Result<Command> parse_nsenter(std::span<char* const> argv, const Surroundings& here);

/// Its long options, as getopt_long(3) takes them, without the last empty one.
std::span<const option> nsenter_options();

/// The text of --help.
std::string nsenter_help();

}  // namespace isle::linux_utils
