// checkpoint: a container into files, by criu.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "cli/output.h"
#include "isle/mount.h"
#include "isle/namespace.h"
#include "oci/config.h"
#include "oci_cli/container.h"
#include "oci_cli/images.h"
#include "oci_cli/prepare.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

using oci::Phase;

/// The mount whose root is at `path` of the container.
struct MountRoot {
  uint32_t mount_id = 0;  ///< 0: nothing is mounted right there.
  bool is_device = false;
};

MountRoot mount_at(const Fd& root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const Fd file(
      static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  struct statx status{};
  if (!file || ::statx(file.get(), "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_TYPE, &status) < 0 ||
      (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
    return {};
  return {static_cast<uint32_t>(status.stx_mnt_id), S_ISCHR(status.stx_mode)};
}

/// A device of the host's. Its /dev is a tmpfs where the host is a container itself; one of the
/// container's own is mounted there as a whole, without which criu gives up.
bool is_hosts_device(const Fd& root, const Mount& mount, const std::vector<Mount>& mounts) {
  if (mount.root == "/") return false;
  if (mount.fs_type == "devtmpfs") return true;
  const bool of_its_own = std::ranges::any_of(mounts, [&](const Mount& each) {
    return each.root == "/" && each.device_major == mount.device_major &&
           each.device_minor == mount.device_minor;
  });
  if (of_its_own) return false;
  const MountRoot found = mount_at(root, mount.mount_point);
  return found.mount_id == mount.mountinfo_id && found.is_device;
}

/// What is mounted of the host criu leaves out: by the destination as config.json has it; what is
/// mounted below such a one by its own place; a device of the host's by its path there.
void add_mounts(const Fd& root, const std::vector<Mount>& mounts, const Spec& spec,
                CriuMessage& options) {
  struct Bound {
    std::string point;
    std::string name;
  };
  std::vector<Bound> bound;
  for (const FsOperation& operation : spec.mounts) {
    if (!std::holds_alternative<Bind>(operation.what)) continue;
    const uint32_t id = mount_at(root, operation.destination).mount_id;
    for (const Mount& mount : mounts)
      if (id != 0 && mount.mountinfo_id == id)
        bound.push_back({mount.mount_point, operation.destination});
  }
  for (const Mount& mount : mounts) {
    std::string name;
    if (is_hosts_device(root, mount, mounts)) name = "/dev" + mount.root;
    for (const Bound& each : bound) {
      if (mount.mount_point == each.point) name = each.name;
      if (mount.mount_point.starts_with(each.point + "/") && name.empty())
        name = each.name + mount.mount_point.substr(each.point.size());
    }
    if (!name.empty())
      options.text(criu_option::external, fmt::format("mnt[{}]:{}", mount.mount_point, name));
  }
}

/// Namespaces that config.json names by a path stay with whoever has them.
void add_namespaces(pid_t pid, const Spec& spec, CriuMessage& options) {
  for (const NamespaceWish& wish : spec.namespaces) {
    const std::string name = external_namespace(wish.type);
    if (wish.path.empty() || name.empty()) continue;
    const std::string_view kind = type_info(wish.type).proc_name;
    struct stat status{};
    if (::stat(fmt::format("/proc/{}/ns/{}", pid, kind).c_str(), &status) == 0)
      options.text(criu_option::external, fmt::format("{}[{}]:{}", kind, status.st_ino, name));
  }
}

uint32_t mount_of_descriptor(pid_t pid, int fd) {
  constexpr std::string_view kKey = "mnt_id:";
  const std::string text = oci::read_whole(fmt::format("/proc/{}/fdinfo/{}", pid, fd)).value_or("");
  const size_t key = text.find(kKey);
  if (key == std::string::npos) return 0;
  return static_cast<uint32_t>(std::strtoul(text.c_str() + key + kKey.size(), nullptr, 10));
}

/// Its 0, 1 and 2: pipes, and files that are on no mount of the container, come from whoever
/// restores it.
oci::Json add_descriptors(pid_t pid, const std::vector<Mount>& mounts, CriuMessage& options) {
  oci::Json names = oci::Json::array();
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const std::string path = fmt::format("/proc/{}/fd/{}", pid, fd);
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    std::string name(target, size < 0 ? 0 : static_cast<size_t>(size));
    const uint32_t mount = mount_of_descriptor(pid, fd);
    const bool inside =
        std::ranges::any_of(mounts, [&](const Mount& each) { return each.mountinfo_id == mount; });
    struct stat status{};
    if (name.starts_with('/') && !inside && ::stat(path.c_str(), &status) == 0 &&
        !name.starts_with("/dev/pts/")) {
      name = fmt::format("file[{:x}:{:x}]", mount, status.st_ino);
      options.text(criu_option::external, name);
    }
    names.push_back(name);
  }
  return names;
}

Status add_parent(const CommandLine& line, const std::string& images, CriuMessage& options) {
  const std::string parent = line.get("parent-path");
  if (parent.empty() && !line.has("pre-dump")) return {};
  options.number(criu_option::track_mem, 1);
  if (parent.empty()) return {};
  if (parent.starts_with('/'))
    return fail(0,
                fmt::format("--parent-path {}: expected a path relative to --image-path", parent));
  if (::access(fmt::format("{}/{}", images, parent).c_str(), F_OK) < 0)
    return fail(errno, fmt::format("--parent-path {}", parent));
  options.text(criu_option::parent_img, parent);
  return {};
}

/// As it was made.
Result<Spec> spec_of(const Opened& opened) {
  const oci::State& state = opened.state;
  const auto config = opened.directory.read(oci::kConfigFile);
  if (!config) return std::unexpected(config.error());
  auto container =
      oci::read_config(*config, {.bundle = state.bundle, .id = state.id, .use_cgroups = false});
  if (!container) return std::unexpected(container.error());
  if (Status status = expect_own_mounts(container->spec, "checkpoint"); !status)
    return std::unexpected(status.error());
  return std::move(container->spec);
}

/// Fills the request, and writes what restore will want to know.
Status describe(const Opened& opened, const Spec& spec, CriuRequest& request) {
  const oci::State& state = opened.state;
  CriuMessage& options = request.options;
  options.number(criu_option::pid, static_cast<uint64_t>(state.host_pid));
  if (const std::string cgroup = freezer(state); !cgroup.empty())
    options.text(criu_option::freeze_cgroup, cgroup);
  add_namespaces(state.host_pid, spec, options);
  const Fd root(::open(fmt::format("/proc/{}/root", state.host_pid).c_str(),
                       O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto mounts = mounts_of(state.host_pid);
  if (!root) return fail(errno, "open the container's root");
  if (!mounts) return std::unexpected(mounts.error());
  add_mounts(root, *mounts, spec, options);
  const oci::Json names = add_descriptors(state.host_pid, *mounts, options);
  const std::string path = request.images + "/" + kDescriptorsFile;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file || !cli::write_all(file.get(), names.dump()))
    return fail(errno, fmt::format("write \"{}\"", path));
  return {};
}

}  // namespace

int checkpoint(const Call& call) {
  if (Status status = need_id(call); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  const Phase now = phase(opened->state, opened->process);
  if (now != Phase::running && now != Phase::paused)
    return call.report.fail(
        {.what = fmt::format("cannot checkpoint container \"{}\": container not "
                             "running: it is {}",
                             call.id(), oci::to_string(now))});
  const auto spec = spec_of(*opened);
  if (!spec) return call.report.fail(spec.error());
  const bool pre_dump = call.line.has("pre-dump");
  auto request = criu_request(call, pre_dump ? CriuDeed::pre_dump : CriuDeed::dump,
                              opened->state.annotations, opened->directory);
  if (!request) return call.report.fail(request.error());
  if (Status status = add_parent(call.line, request->images, request->options); !status)
    return call.report.fail(status.error());
  if (Status status = describe(*opened, *spec, *request); !status)
    return call.report.fail(status.error());
  const auto done = ask_criu(std::move(*request));
  if (!done) return call.report.fail(done.error());
  if (pre_dump || call.line.has("leave-running")) return 0;
  const Status destroyed = destroy(call, *opened);
  return destroyed ? 0 : call.report.fail(destroyed.error());
}

}  // namespace isle::oci_cli
