// A bundle of busybox, made on the spot, and isle-oci on it.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "oci/json_node.h"
#include "support/support.h"

namespace isle::test {

class Bundle {
 public:
  Bundle();
  /// Ends and removes what a test left.
  ~Bundle();
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  /// isle-oci, or the one that ISLE_TEST_OCI_RUNTIME names (tools/oci_columns).
  [[nodiscard]] static std::string runtime();
  /// What config.json will be; save() writes it.
  oci::Json config;
  void save() const;
  /// The next container has a cgroup of its own. Not the one that its id says: these tests may run twice at
  /// the same time, with the same ids.
  void take_cgroup();
  void set_command(const std::vector<std::string>& args);
  [[nodiscard]] std::string rootfs(std::string_view path) const {
    return dir_ / "bundle/rootfs" + std::string(path);
  }
  /// A user namespace with `size` ids from `inside` on, and a root that belongs to the first of them.
  void map_ids(uint32_t inside, uint32_t size);
  /// It may have no id in a user namespace.
  void leave_out_the_terminals_group();
  /// A file of the container's cgroup, as it sees it: on v1 in the directory of its controller.
  [[nodiscard]] static std::string cgroup_file(const std::string& v1, const std::string& v2);
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  [[nodiscard]] std::string container_dir(std::string_view id) const;

  /// isle-oci --root R WORDS...
  [[nodiscard]] CommandResult oci(std::vector<std::string> words,
                                  CommandOptions options = {}) const;
  /// create, with the container's output in the file "output" of dir().
  [[nodiscard]] CommandResult create(const std::string& id,
                                     const std::vector<std::string>& more = {}) const;
  [[nodiscard]] std::string output() const { return read_file(dir_ / "output"); }
  /// Waits until the container is `wanted`; false where that takes too long.
  [[nodiscard]] bool becomes(const std::string& id, const std::string& wanted) const;
  /// "running", or "" where there is no such container.
  [[nodiscard]] std::string status(const std::string& id) const;

 private:
  TempDir dir_;
};

}  // namespace isle::test
