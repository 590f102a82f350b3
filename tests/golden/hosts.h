// Machines and callers made up for tests: what compile() and the translation of a command line may
// know, so that a plan depends on nothing of the machine the test runs on. Fuzzers use them too.
#pragma once

#include <string>
#include <vector>

#include "cli/caller.h"
#include "isle/host.h"

namespace isle::golden {

struct MadeUpHost {
  std::string name;  ///< Part of the golden file's name: "6.1-plain".
  std::string what;  ///< In words.
  Host host;
};

/// 5.14 as root with cgroup v2; 6.1 as an ordinary user with nothing set up; 6.1 as one with
/// subordinate ids and a delegated cgroup; 6.18 as root with cgroup v1 and v2 (hybrid).
const std::vector<MadeUpHost>& hosts();

/// The one of that name; aborts where there is none.
const MadeUpHost& host_named(const std::string& name);

/// `isle run`'s caller on that machine.
cli::Caller caller_of(const Host& host);

}  // namespace isle::golden
