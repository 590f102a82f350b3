#include "oci_cli/images.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "isle/host.h"
#include "isle/namespace.h"
#include "oci_cli/container.h"
#include "oci_cli/kernel_text.h"

namespace isle::oci_cli {
namespace {

struct Switch {
  std::string_view flag;
  int option;
};
constexpr Switch kSwitches[] = {
    {"leave-running", criu_option::leave_running},
    {"tcp-established", criu_option::tcp_established},
    {"tcp-skip-in-flight", criu_option::tcp_skip_in_flight},
    {"tcp-close", criu_option::tcp_close},
    {"ext-unix-sk", criu_option::ext_unix_sk},
    {"shell-job", criu_option::shell_job},
    {"file-locks", criu_option::file_locks},
    {"link-remap", criu_option::link_remap},
    {"auto-dedup", criu_option::auto_dedup},
    {"lazy-pages", criu_option::lazy_pages},
};

struct Word {
  std::string_view word;
  uint64_t value;
};
constexpr Word kCgroupModes[] = {{"ignore", 0}, {"none", 1}, {"props", 2},
                                 {"soft", 3},   {"full", 4}, {"strict", 5}};
constexpr Word kNetworkLocks[] = {{"iptables", 1}, {"nftables", 2}, {"skip", 3}};
constexpr Word kEmptyNamespaces[] = {{"network", CLONE_NEWNET}};

template <size_t N>
Result<uint64_t> value_of(const CommandLine& line, std::string_view flag, const Word (&words)[N],
                          const std::string& fallback) {
  const std::string text = line.get(flag, fallback);
  std::string known;
  for (const Word& each : words) {
    if (each.word == text) return each.value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", each.word);
  }
  return fail(0, fmt::format("--{} {}: expected {}", flag, text, known));
}

Result<uint64_t> number(std::string_view flag, std::string_view text, uint64_t most) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most)
    return fail(0, fmt::format("--{} {}: expected a number up to {}", flag, text, most));
  return value;
}

Result<std::string> directory(const std::string& path, bool make) {
  if (make && ::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST)
    return fail(errno, fmt::format("make the directory \"{}\"", path));
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr)
    return fail(errno, fmt::format("the directory \"{}\"", path));
  return std::string(resolved);
}

bool in_path(std::string_view program) {
  const char* list = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
  return std::ranges::any_of(split(list == nullptr ? "" : list, ":"), [&](std::string_view each) {
    return ::access(fmt::format("{}/{}", each, program).c_str(), X_OK) == 0;
  });
}

/// ADDRESS:PORT, as ADDRESS may have colons of its own.
Status set_page_server(const CommandLine& line, CriuMessage& options) {
  const std::string text = line.get("page-server");
  if (text.empty()) return {};
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return fail(0, fmt::format("--page-server {}: expected ADDRESS:PORT", text));
  const auto port = number("page-server", std::string_view(text).substr(colon + 1), 65535);
  if (!port) return std::unexpected(port.error());
  constexpr int kAddress = 1;
  constexpr int kPort = 2;
  CriuMessage server;
  server.text(kAddress, text.substr(0, colon)).number(kPort, *port);
  options.message(criu_option::page_server, server);
  return {};
}

/// What only one of the two knows is passed over by the other.
Status set_values(const CommandLine& line, CriuMessage& options) {
  const auto mode = value_of(line, "manage-cgroups-mode", kCgroupModes, "soft");
  if (!mode) return std::unexpected(mode.error());
  options.number(criu_option::manage_cgroups_mode, *mode);
  // criu's own choice is iptables, which need not be there.
  const bool has_iptables = in_path("iptables-restore");
  const auto lock =
      value_of(line, "network-lock", kNetworkLocks, has_iptables ? "iptables" : "nftables");
  if (!lock) return std::unexpected(lock.error());
  options.number(criu_option::network_lock, *lock);
  if (line.has("empty-ns")) {
    const auto kinds = value_of(line, "empty-ns", kEmptyNamespaces, "");
    if (!kinds) return std::unexpected(kinds.error());
    options.number(criu_option::empty_ns, *kinds);
  }
  if (line.has("status-fd")) {
    const auto fd = number("status-fd", line.get("status-fd"), 1U << 20);
    if (!fd) return std::unexpected(fd.error());
    if (::fcntl(static_cast<int>(*fd), F_GETFD) < 0)
      return fail(errno, fmt::format("--status-fd {}", *fd));
    options.number(criu_option::status_fd, *fd);
  }
  for (const auto& [flag, option] : {Switch{"lsm-profile", criu_option::lsm_profile},
                                     {"lsm-mount-context", criu_option::lsm_mount_context}})
    if (const std::string value = line.get(flag); !value.empty()) options.text(option, value);
  return set_page_server(line, options);
}

/// What it says goes before all that is asked here; an annotation before the machine's.
std::string config_file(const oci::Json& annotations) {
  if (annotations.contains("org.criu.config")) return annotations.value("org.criu.config", "");
  for (const char* path : {"/etc/criu/crun.conf", "/etc/criu/runc.conf"})
    if (::access(path, F_OK) == 0) return path;
  return {};
}

/// criu would mount the hierarchies anew to look at them, and so take nsdelegate and
/// memory_recursiveprot away from the machine's v2 (kernel: apply_cgroup_root_flags()). It is shown
/// those that are mounted, in a mount namespace of its own: in the container's state directory,
/// which it needs for nothing else.
void show_cgroups(const std::string& place, CriuRequest& request) {
  Spec& spec = request.spec;
  spec.namespaces.push_back({.type = NamespaceType::mount});
  // What is mounted of the host stays the host's slave, as create makes it.
  spec.mount_propagation = {.value = Propagation::slave};
  spec.mounts.push_back({.destination = place, .what = FileSystem{.type = "tmpfs"}});
  const auto show = [&](const std::string& mount, const std::string& name) {
    spec.mounts.push_back({.destination = place + "/" + name, .what = Bind{.source = mount}});
  };
  const CgroupFacts facts = machine_cgroups();
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies) {
    std::string name;
    for (const std::string& controller : hierarchy.controllers)
      name += (name.empty() ? "" : ",") + controller;
    constexpr std::string_view kNamed = "name=";
    show(hierarchy.mount, name.starts_with(kNamed) ? name.substr(kNamed.size()) : name);
  }
  if (!facts.v2_mount.empty()) show(facts.v2_mount, "unified");
  request.options.text(criu_option::cgroup_yard, place);
}

}  // namespace

Result<CriuRequest> criu_request(const Call& call, CriuDeed deed, const oci::Json& annotations,
                                 const oci::Directory& container) {
  const CommandLine& line = call.line;
  const bool restores = deed == CriuDeed::restore;
  const auto state_directory = directory(container.path(""), false);
  if (!state_directory) return std::unexpected(state_directory.error());
  const auto images = directory(line.get("image-path", "checkpoint"), !restores);
  if (!images) return std::unexpected(images.error());
  const auto work = directory(line.get("work-path", *images), true);
  if (!work) return std::unexpected(work.error());
  CriuRequest request{.deed = deed,
                      .program = line.get("criu", "criu"),
                      .images = *images,
                      .work_directory = *work,
                      .log = restores ? "restore.log" : "dump.log"};
  (void)::unlink((*work + "/" + request.log).c_str());  // that of another time is no answer
  CriuMessage& options = request.options;
  options.number(criu_option::notify_scripts, 1)
      .number(criu_option::orphan_pts_master, 1)
      .number(criu_option::evasive_devices, 1);
  for (const Switch& each : kSwitches)
    if (line.has(each.flag)) options.number(each.option, 1);
  if (Status status = set_values(line, options); !status) return std::unexpected(status.error());
  if (const std::string file = config_file(annotations); !file.empty())
    options.text(criu_option::config_file, file);
  show_cgroups(*state_directory, request);
  return request;
}

Status expect_own_mounts(const Spec& spec, std::string_view verb) {
  if (spec.creates(NamespaceType::mount)) return {};
  return fail(0, fmt::format("{}: the container has no mount namespace of its own", verb),
              "its root is mounted nowhere, and criu finds only what is");
}

std::string external_namespace(NamespaceType type) {
  if (type == NamespaceType::network) return "extRootNetNS";
  if (type == NamespaceType::pid) return "extRootPidNS";
  return {};
}

}  // namespace isle::oci_cli
