// What the tests of `isle run`'s translation share: a made-up caller, and a Spec's parts as text.
#pragma once

#include <string>
#include <vector>

#include "cli/caller.h"
#include "cli/run_request.h"

namespace isle::cli::test {

/// An ordinary user, 1000, in /home/ann, without a terminal, with SHELL and two more variables.
Caller ann();
/// Root with all capabilities.
Caller root();

struct Translated {
  RunRequest request;
  std::string error;  ///< Empty, or the whole message.
  [[nodiscard]] const Spec& spec() const { return request.spec; }
};

/// The options (and command) after `isle run`.
Translated translate(std::vector<std::string> words, const Caller& caller = ann());
/// Its error; "no error" where there is none.
std::string error_of(std::vector<std::string> words, const Caller& caller = ann());

/// "cgroup ipc mount network pid user uts"; one to join as "network=/run/netns/blue" or
/// "network=fd:5".
std::string namespaces(const Spec& spec);
/// A line an operation, in order: "tmpfs /tmp nosuid,nodev mode=1777".
std::string operations(const Spec& spec);
/// The same without the default ones.
std::string user_operations(std::vector<std::string> words);
/// "nosuid,nodev" of MOUNT_ATTR_* bits.
std::string attributes(uint64_t bits);

}  // namespace isle::cli::test
