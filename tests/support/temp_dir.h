// Files for one test.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "identity.h"

namespace isle::test {

/// The pid of this test program, in its forked children, too. It is in the names of what tests make,
/// so that the leak check tells ours from what another program makes at the same time.
pid_t test_program();

/// A new directory `parent`/isle-test-PID-*, mode 0755, removed with all in it at the end of scope.
/// Removing never crosses a mount point, and never unmounts: a mount left below is the test's
/// leak, and the leak check will show it. Move-only.
class TempDir {
 public:
  /// In /dev/shm, a tmpfs, for what overlayfs (on which /tmp may be) cannot hold, an overlay's upper layer.
  explicit TempDir(std::string_view parent = "/tmp");
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&&) = delete;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// path() + "/" + name.
  [[nodiscard]] std::string operator/(std::string_view name) const;
  /// Writes a file, making directories as needed; the path of it.
  std::string write(std::string_view name, std::string_view text, mode_t mode = 0644) const;
  /// Makes a directory and those above it; the path of it.
  [[nodiscard]] std::string make_dir(std::string_view name, mode_t mode = 0755) const;
  /// Gives the directory itself and all in it to `owner` (nothing to do unless we are root).
  void give_to(const Identity& owner) const;

 private:
  std::string path_;
  pid_t owner_pid_;  // a forked child must not remove it
};

/// The whole of a file; throws if it can't be read.
std::string read_file(const std::string& path);
/// Writes a file anew, or a file of /proc or a cgroup; throws if it can't. `mode` is a new file's, whatever the umask.
void write_file(const std::string& path, std::string_view text, mode_t mode = 0644);
/// Removes a tree without crossing a mount point or following a symlink; what was in the way, or
/// "".
std::string remove_tree(const std::string& path);
/// "isle-test-PID-`hint`-N": new each time; for cgroups, links, named namespaces, shared memory.
std::string unique_name(std::string_view hint);

}  // namespace isle::test
