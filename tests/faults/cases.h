// The sandboxes whose making is disturbed here: what `isle run` and its options come to, through
// the C++ API. Tests of what happens when a step fails (fail_step_test.cc) or an actor is killed
// (kill_actor_test.cc) go through this table.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "isle/plan.h"
#include "isle/run.h"
#include "support/support.h"

namespace isle::test {

using Carrier = LaunchOptions::Carrier;

/// What a case needs beside the spec, alive for as long as it is used.
class Setting {
 public:
  virtual ~Setting() = default;
  /// The spec, for the process and the user that call this.
  [[nodiscard]] virtual Spec spec() const = 0;
};

struct FaultCase {
  enum class User { self, ordinary, ordinary_with_subids };
  std::string name;
  std::vector<std::string> needs;
  User user = User::self;
  /// It binds something in the caller's mount namespace, so the caller gets one of its own.
  bool own_mounts = false;
  std::function<std::unique_ptr<Setting>()> make;
};
std::ostream& operator<<(std::ostream& stream, const FaultCase& fault_case);

const std::vector<FaultCase>& fault_cases();

/// Runs `body` in a forked, single-threaded child that is the case's user, gets its orphans, and
/// has the mount namespace it needs; checks at its end that it left nothing.
void in_case(const FaultCase& fault_case, const std::function<void(const Plan& plan)>& body);

/// For each step whether it is done on this machine: one that an earlier step's passed-over errno
/// skips is not. By a launch that works.
std::vector<bool> steps_done(const Plan& plan);

/// What `plan` makes on the host and undoes: cgroups, files of kept namespaces. Those that exist.
std::vector<std::string> traces_of(const Plan& plan);
/// After a launch that succeeded: what was to be kept, removed.
void clear_traces(const Plan& plan);

/// The carriers a plan can go by: a plan that joins before the clone, or keeps an init, is the
/// helper's whoever asks.
std::vector<Carrier> carriers_for(const Plan& plan);
std::string to_string(Carrier carrier);

}  // namespace isle::test
