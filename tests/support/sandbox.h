// What `isle run` does when nothing is asked for, as a Spec: for tests of the C++ API.
#pragma once

#include <string>
#include <vector>

#include "isle/run.h"
#include "isle/spec.h"

namespace isle::test {

/// The default sandbox: all namespaces but time are new, the host's root is read-only, private
/// /tmp and /run, no capabilities, no new privileges, a session of its own, ends with its parent.
/// PATH is all of its environment.
Spec default_sandbox(std::vector<std::string> args);

/// New namespaces of these types on the caller's own mount tree, as unshare(1) makes them.
Spec bare_namespaces(const std::vector<NamespaceType>& types, std::vector<std::string> args);

/// What stays for the life of a process that launches, the memory file of isle-exec, is made now,
/// before the leak check looks. For SetUp().
void warm_up();

/// How a command ended and what it wrote.
struct Ran {
  Result<ExitStatus> status;
  std::string out = {};
};

/// Runs `script` with /bin/sh in `spec` (whose command it replaces; it needs a /proc), and collects
/// what it writes to its standard output and error.
Ran run_script(Spec spec, const std::string& script, const LaunchOptions& options = {});

}  // namespace isle::test
