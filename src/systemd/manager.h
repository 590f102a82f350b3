// systemd's manager, of the machine or of a user: a scope started around processes, changed, and
// stopped; each call returns when systemd is done.
#pragma once

#include <span>
#include <string>

#include "isle/error.h"
#include "systemd/bus.h"
#include "systemd/value.h"

namespace isle::systemd {

class Manager {
 public:
  /// Errors: no bus, with what to do about it.
  static Result<Manager> connect(BusKind kind);

  /// Its own cgroup below the root of each hierarchy, which its units' begin with: "" for that of
  /// the machine, "/user.slice/user-1000.slice/user@1000.service" for a user's.
  Result<std::string> control_group();
  /// A new unit, its processes in its cgroup. What a failed one left under that name is cleared
  /// away. Errors: one of that name runs; a property it does not know; what its job ended with.
  Status start(const std::string& unit, std::span<const Property> properties);
  /// Until the unit ends: nothing of it is written to disk.
  Status set_properties(const std::string& unit, std::span<const Property> properties);
  /// Ends what is left in it. There being no such unit is fine.
  Status stop(const std::string& unit);

 private:
  Manager(Bus bus, BusKind kind) : bus_(std::move(bus)), kind_(kind) {}
  Result<std::vector<Value>> call(const char* member, std::vector<Value> arguments);
  /// Waits for the end of the job that `answer` names.
  Status finish(const std::vector<Value>& answer);
  Error explained(Error error, std::string what) const;

  Bus bus_;
  BusKind kind_;
  bool hears_jobs_ = false;
  Status hear_jobs();
};

/// Where the cgroup of a unit of `slice` is, below that of the manager: "a-b.slice" is in
/// "a.slice", and "-.slice" is the manager's own. Errors: no name of a slice.
Result<std::string> path_of_slice(std::string_view slice);

}  // namespace isle::systemd
