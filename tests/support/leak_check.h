// What the test process and the machine hold, and what a test left behind.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "command.h"

namespace isle::test {

/// What is held at one moment; each set of things by its name, each thing as key and description.
/// Of what the whole machine shares, only what isle could have made is taken: cgroups, files in
/// /tmp and shared memory whose names begin with "isle", /run/isle, /run/netns, links, System V
/// objects.
class Snapshot {
 public:
  static Snapshot take();
  /// One line for each thing more or less in `later`: "+ mount: ...", "- descriptor: ...".
  /// A cgroup or file that is gone does not count: it may have been another test run's.
  [[nodiscard]] std::vector<std::string> differences(const Snapshot& later) const;

 private:
  std::map<std::string, std::map<std::string, std::string>> sets_;
};

/// The differences that remain after what is still ending had time to end (2 s, scaled).
/// Empty: nothing was left.
std::vector<std::string> leaks_since(const Snapshot& start);

/// In a test that makes something on purpose for the tests after it (a cache, an image): takes the
/// present state as the one the current test and suite started with.
void accept_present_state();

/// Processes below this one, those included that lost their parent (main() makes the test process a
/// subreaper), zombies too.
std::vector<pid_t> descendants(pid_t of = 0);

/// Waits until every process that came to us by its parent's death, or that was not waited for, has
/// ended, and reaps them; for tests that kill a parent on purpose. The pids that are still alive.
std::vector<pid_t> reap_orphans(milliseconds timeout = milliseconds{10'000});

/// Kills all descendants of `root`, what else lives in its session, and itself, and reaps all but
/// `root`, which is left for the caller to wait for. Only for processes a test started.
void kill_tree(pid_t root);

/// Installs the checks as gtest listeners, and the summary of skips; main() calls it.
void install_listeners();

}  // namespace isle::test
