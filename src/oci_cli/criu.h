// criu(8) as a program that is asked: one request over a socket of its own (`criu swrk`), notices
// while it works, one answer. Source: criu's images/rpc.proto.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/spec.h"

namespace isle::oci_cli {

/// A message of protocol buffers in the making.
class CriuMessage {
 public:
  CriuMessage& number(int field, uint64_t value);
  CriuMessage& text(int field, std::string_view value);
  CriuMessage& message(int field, const CriuMessage& value) { return text(field, value.bytes_); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value);
  std::string bytes_;
};

/// Fields of criu_opts.
namespace criu_option {
enum : int {
  images_dir_fd = 1,
  pid = 2,
  leave_running = 3,
  ext_unix_sk = 4,
  tcp_established = 5,
  evasive_devices = 6,
  shell_job = 7,
  file_locks = 8,
  log_level = 9,
  log_file = 10,
  page_server = 11,
  notify_scripts = 12,
  root = 13,
  parent_img = 14,
  track_mem = 15,
  auto_dedup = 16,
  work_dir_fd = 17,
  link_remap = 18,
  cgroup_root = 25,
  restore_sibling = 26,
  inherit_fd = 27,
  manage_cgroups_mode = 34,
  external = 37,
  empty_ns = 38,
  join_ns = 39,
  freeze_cgroup = 44,
  tcp_skip_in_flight = 46,
  lazy_pages = 48,
  status_fd = 49,
  orphan_pts_master = 50,
  config_file = 51,
  tcp_close = 52,
  lsm_profile = 53,
  cgroup_yard = 60,
  lsm_mount_context = 63,
  network_lock = 64,
};
}  // namespace criu_option

/// Its criu_req_type.
enum class CriuDeed : uint64_t { dump = 1, restore = 2, pre_dump = 4 };

/// What criu tells while it works and waits for: "setup-namespaces", "orphan-pts-master" ...
struct CriuNotice {
  std::string name;
  pid_t host_pid = 0;  ///< Of the first process restored, with those that have one.
  Fd descriptor;
};

struct CriuRequest {
  CriuDeed deed = CriuDeed::dump;
  CriuMessage options;
  std::string program;  ///< Looked up in PATH.
  // Absolute paths.
  std::string images;
  std::string work_directory;
  std::string log;  ///< In there: where criu writes what it does.
  /// What criu runs in: namespaces, mounts, cgroup; its process is filled in.
  Spec spec;
  /// Adds what is known once criu runs.
  std::function<void(pid_t criu_pid, CriuMessage& options)> complete = {};
  /// An error makes criu give up.
  std::function<Status(CriuNotice&)> on_notice = {};
  std::vector<int> pass_fds = {};
};

/// Asks criu, and waits. The pid of the first process restored; 0 for a dump. Errors: there is no
/// criu; what criu says, with the last errors of its log; that of on_notice.
Result<pid_t> ask_criu(CriuRequest request);

}  // namespace isle::oci_cli
