// A container's state on disk: ROOT/ID/ with state.json, the plan's bytes, the socket it waits at and the one it says at that it is ready.
// A file is written under another name and renamed, so whoever reads sees the old one or the new
// one, also after kill -9. One command at a time has a container: flock(2) on its directory.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "oci/json_node.h"

namespace isle::oci {

/// What state.json holds; fields that a later version adds are passed over.
struct State {
  std::string id;
  std::string version;  ///< ociVersion
  std::string bundle;
  std::string created;  ///< RFC 3339
  pid_t host_pid = 0;   ///< 0: not known (yet).
  uint64_t start_time =
      0;              ///< Of that process, /proc/PID/stat field 22: tells a number used again.
  bool ready = true;  ///< False while create is at it.
  bool started = false;
  bool terminal = false;
  bool hooks = false;  ///< There are poststart or poststop hooks in its config.json.
  /// Directories of the container's own cgroup, one a hierarchy.
  std::vector<std::string> cgroups;
  /// What they have in common, below each hierarchy's mount point.
  std::string cgroup_path;
  std::string unit;  ///< systemd's, that they belong to; empty: nobody's.
  /// Types of the namespaces that are not the host's, runtime-spec names.
  std::vector<std::string> namespaces;
  bool own_pids =
      false;  ///< A pid namespace was made for it: all of it ends with its first process.
  /// Groups of resctrl that its processes are put into, in this order, and those that are its own.
  std::vector<std::string> rdt;
  std::vector<std::string> rdt_made;
  bool keeps_keyring = false;  ///< Its maker's session keyring: --no-new-keyring.
  uint64_t start_socket = 0;   ///< Inode of the socket it waits at for its start.
  std::string rootfs;
  std::string owner;
  Json annotations = Json::object();
};

[[nodiscard]] std::string to_text(const State& state);
[[nodiscard]] Result<State> parse_state(std::string_view text);

enum class Phase { creating, created, running, paused, stopped };
[[nodiscard]] std::string_view to_string(Phase phase);

/// The runtime-spec's state object, as `state` prints it and hooks read it.
[[nodiscard]] Json public_state(const State& state, Phase phase);
/// The same as text, in the order that is usual; indented, or on one line.
[[nodiscard]] std::string public_text(const State& state, Phase phase, bool indented);

/// Errors: empty, longer than 1024, a character other than [A-Za-z0-9_+.-], "." and "..".
[[nodiscard]] Status check_id(std::string_view id);

/// A container's directory, locked for as long as this lives.
class Directory {
 public:
  /// A new one. Errors: a container of that name exists.
  static Result<Directory> create(const std::string& root, const std::string& id);
  static bool exists(const std::string& root, const std::string& id);
  /// One that exists. Errors: "container does not exist".
  static Result<Directory> open(const std::string& root, const std::string& id);
  /// One that exists, not locked: to read only. Errors: "container does not exist".
  static Result<Directory> look(const std::string& root, const std::string& id);
  /// (not locked) Whether another command has it.
  [[nodiscard]] bool busy() const;
  /// Names of all below `root`.
  static std::vector<std::string> list(const std::string& root);

  [[nodiscard]] std::string path(std::string_view file) const;
  /// The same, for this process and while this lives, in no more than sockaddr_un takes.
  [[nodiscard]] std::string short_path(std::string_view file) const;
  [[nodiscard]] Result<std::string> read(const std::string& file) const;
  [[nodiscard]] Status write(const std::string& file, std::string_view bytes) const;
  /// Nothing: the container was being made when its maker was killed.
  [[nodiscard]] Result<std::optional<State>> state() const;
  [[nodiscard]] Status save(const State& state) const;
  /// Removes it with all in it.
  [[nodiscard]] Status remove() const;

 private:
  Directory(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

/// The whole of a file.
[[nodiscard]] Result<std::string> read_whole(const std::string& path);

inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kPlanFile = "plan";
inline constexpr const char* kSocketFile = "start.sock";
inline constexpr const char* kNotifyDirectory = "notify";  ///< Bound into the container.
inline constexpr const char* kNotifySocket = "notify/notify";

}  // namespace isle::oci
