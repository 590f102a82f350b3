// The systemd unit of a container, where systemd is who makes cgroups.
//
// systemd starts a scope around processes that there are already. Were that the container's first
// process it would have to be moved, be in the wrong cgroup until then, and its cgroup namespace
// would have to wait; so a process that does nothing (the holder) keeps the scope until the first
// one was cloned into its cgroup, as without systemd. Should isle-oci be killed before that, the
// holder ends with it, and systemd removes a scope that nobody is in.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "oci/config.h"
#include "oci/state.h"
#include "systemd/manager.h"

namespace isle::oci_cli {

/// A child that waits for its end; killed and reaped with this.
class Holder {
 public:
  static Result<Holder> start();
  Holder() = default;
  Holder(Holder&& other) noexcept;
  Holder& operator=(Holder&& other) noexcept;
  ~Holder() { end(); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void end();

 private:
  pid_t pid_ = 0;
};

class Unit {
 public:
  /// Asks systemd where its cgroups are and writes down in `container` where its own will be;
  /// starts nothing.
  static Result<Unit> plan(oci::Container& container);

  [[nodiscard]] const std::string& name() const { return scope_.unit; }
  /// For --explain: what systemd will be asked.
  [[nodiscard]] std::string to_text() const;
  Status start();
  /// The container's first process is in the cgroup.
  Status release();
  /// Nothing came of it: stops what start() started, if it did.
  void abandon();

 private:
  Unit(systemd::Manager manager, oci::Scope scope)
      : manager_(std::move(manager)), scope_(std::move(scope)) {}
  /// Moves the holder into the subgroup: a cgroup with one that has controllers has no processes.
  Status enter_subgroup() const;

  systemd::Manager manager_;
  oci::Scope scope_;
  std::vector<systemd::Property> properties_;
  std::vector<systemd::Property> later_;  ///< What leaves no room for the holder.
  std::vector<std::string> roots_;        ///< Mount points of the hierarchies with subgroups.
  std::string path_;                      ///< Of the container's cgroup below each.
  Holder holder_;
  bool started_ = false;
};

/// Where `state` has a unit: what systemd is to know of changed limits; its end.
Status set_limits(const oci::State& state, const std::vector<systemd::Property>& properties);
Status stop_unit(const oci::State& state);

}  // namespace isle::oci_cli
