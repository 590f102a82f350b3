// The sentence for a step: what was tried, in a person's words, without why it failed.
#pragma once

#include <string>

#include "run/failed_step.h"

namespace isle {

/// `mount "none" on "/tmp" type "nosuchfs"`. For an operation without a phrase of its own, the
/// step as --explain prints it.
[[nodiscard]] std::string phrase(const FailedStep& failed);

}  // namespace isle
