// What one actor has at hand while it goes through the plan. Only for the files of this folder.
#pragma once

#include <cstdint>

#include "exec/executor.h"
#include "exec/message.h"

namespace isle::exec {

struct Context {
  const Launch* launch = nullptr;
  plan::Actor actor = plan::Actor::runtime;
  int channel = -1;  ///< This side's end of the socket pair; -1 before the clone.
  int child = 0;     ///< (runtime) the first process; (init, after spawn) the command.
  int child_pidfd = -1;
  int guard = 0;
  int guard_pidfd = -1;
  bool started =
      false;  ///< (runtime) init is executing or was created; (undo) the runtime said so.
  int registers[plan::kRegisters];
  std::uint32_t umask = kNoUmask;  ///< What the first umask step found.
  bool is_in_directory = false;    ///< A first try of chdir has succeeded.
  bool has_starter = false;  ///< (init) the channel leads to who started it, not to the runtime.
  Message failure;           ///< Filled where a step fails; kept when another's failure came first.
  /// What the last write_file step wrote to: the next one's may be the same, as lists of devices
  /// are written a rule at a time, and to open a cgroup's file costs more than to write it.
  const char* written_path = nullptr;
  int written_below = -1;
  int written = -1;
  int attached = -1;  ///< The mount of which the next move_mount attaches a copy.
  bool failed = false;
  bool child_failed = false;  ///< (runtime) `failure` is what init said.

  static constexpr std::uint32_t kNoUmask = ~0U;
  void remember_umask(std::uint32_t before) noexcept {
    if (umask == kNoUmask) umask = before;
  }
  const plan::Header* plan() const noexcept { return launch->plan; }
  /// The arena's pointers, times and namespaces.
  const char** scratch() const noexcept {
    return reinterpret_cast<const char**>(reinterpret_cast<char*>(launch->plan) +
                                          plan::scratch_offset(launch->plan));
  }
  std::uint64_t* done_ns() const noexcept {
    return reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(launch->plan) +
                                            plan::times_offset(launch->plan));
  }
  std::uint64_t* namespace_inodes() const noexcept {
    return reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(launch->plan) +
                                            plan::namespaces_offset(launch->plan));
  }
  const char* text(std::uint64_t argument) const noexcept {
    return plan::text(launch->plan, argument);
  }
  int in(std::uint64_t argument) const noexcept {
    return argument < plan::kRegisters ? registers[argument] : -100;  // AT_FDCWD
  }
  /// Puts `fd` into a register (what that held is closed) and gives 0, or hands an error on.
  long out(std::uint64_t argument, long fd) noexcept;
};

/// Carries one step out: 0 or -errno. Operations that change who runs are in executor.cc.
long do_operation(Context& context, const plan::Step& step) noexcept;

/// Closes what write_file steps keep open from one to the next.
void end_writing(Context& context) noexcept;

/// Copies what the kernel says about an fscontext's last failure into context.failure.log.
void read_fs_log(Context& context, int fs_fd) noexcept;

/// Writes /proc/`pid`/`name` into `buffer` (at least 64 bytes for the names in use).
void proc_path(char* buffer, int pid, const char* name) noexcept;

/// Runs the program of a `hook` step to its end.
long run_hook(Context& context, const plan::Step& step) noexcept;

/// A new file in `parent` with all that `source` gives; what is there already is not touched.
long copy_in(int source, int parent, const char* name, std::uint32_t mode) noexcept;

/// A link in `parent` like the one of the host at `source`.
long copy_link(const char* source, int parent, const char* name) noexcept;

/// All that stands in directory `path` below `root`, with owners and modes, into `to`.
long copy_tree(int root, const char* path, int to) noexcept;

/// Pointers to the strings of a list, null-terminated, from scratch + `first`; the next free one.
std::uint64_t point_to(Context& context, std::uint64_t list, std::uint64_t first) noexcept;

}  // namespace isle::exec
