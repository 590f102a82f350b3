// From a profile to the program that the kernel runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "isle/error.h"
#include "seccomp/profile.h"

namespace isle::seccomp {

/// struct sock_filter, 8 bytes each.
using Program = std::vector<uint64_t>;

/// The program for `profile` on this machine's architecture and those it names. Names of system
/// calls that libseccomp does not know are passed over, as every runtime of the field does, unless
/// Profile::unknown_fails. What is newer than all the profile names fails with ENOSYS where the
/// default would be another errno or death: programs then fall back to what is older (runc has it so).
/// Errors: what libseccomp says, by rule.
[[nodiscard]] Result<Program> compile(const Profile& profile);

/// "2.5.4".
[[nodiscard]] std::string library_version();

/// The same, kept in `directory` (made where it is missing, 0700) under a name that its profile,
/// libseccomp's version and the architecture give; a file there is taken only where it is ours, no
/// other can write it and it was made for this very profile. Where nothing can be kept, compiled.
[[nodiscard]] Result<Program> compile_cached(const Profile& profile, const std::string& directory);

}  // namespace isle::seccomp
