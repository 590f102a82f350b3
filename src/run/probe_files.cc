#include <dirent.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <climits>
#include <map>
#include <set>
#include <type_traits>

#include "cgroup/paths.h"
#include "run/checks.h"
#include "run/probe.h"
#include "sys/file_calls.h"

namespace isle::probe {
namespace {

FileKind kind_of(uint16_t mode) {
  switch (mode & sys::kModeTypeMask) {
    case sys::kModeDirectory:
      return FileKind::directory;
    case sys::kModeRegular:
      return FileKind::file;
    case sys::kModeCharacter:
      return FileKind::character_device;
    case sys::kModeBlock:
      return FileKind::block_device;
    case sys::kModeFifo:
      return FileKind::fifo;
    case sys::kModeSocket:
      return FileKind::socket;
    case sys::kModeSymlink:
      return FileKind::symlink;
    default:
      return FileKind::unknown;
  }
}

FileFact fact_of(const sys::statx_t& status) {
  const bool device = status.stx_rdev_major != 0 || status.stx_rdev_minor != 0;
  return {.kind = kind_of(status.stx_mode),
          .device = device ? makedev(status.stx_rdev_major, status.stx_rdev_minor) : 0};
}

class FileFacts {
 public:
  FileFacts(const Spec& spec, Host& host)
      : host_(host),
        makes_devices_(spec.find(NamespaceType::user) == nullptr && host.may_make_devices()) {}

  void add(const std::string& path) {
    if (!path.empty() && !host_.files.contains(path)) host_.files.emplace(path, look_at(path));
  }
  void add(const Overlay& overlay) {
    for (const std::string& lower : overlay.lower) add(lower);
    add(overlay.upper);
    add(overlay.work);
  }
  void add(const FsOperation& operation) {
    std::visit(
        [&](const auto& what) {
          using T = std::decay_t<decltype(what)>;
          if constexpr (std::is_same_v<T, Bind> || std::is_same_v<T, MakeFile>) {
            if constexpr (std::is_same_v<T, Bind>)
              if (what.no_follow || what.copy_link) add_link(what.source);
            if (what.source_fd < 0)
              add(what.source);
            else
              host_.files.emplace(fmt::format("fd:{}", what.source_fd), look_at(what.source_fd));
          } else if constexpr (std::is_same_v<T, Overlay>) {
            add(what);
          } else if constexpr (std::is_same_v<T, MakeDevice>) {
            if (!makes_devices_) add(operation.destination);  // bound from there
          }
        },
        operation.what);
  }

 private:
  void add_link(const std::string& path) {
    sys::statx_t status;
    if (sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::symlink_nofollow,
                   sys::StatxMask::type, &status) == 0)
      host_.files.emplace("link:" + path, fact_of(status));
  }

  Host& host_;
  bool makes_devices_;
};

using Mounts = std::map<uint64_t, std::vector<const sys::MountEntry*>>;

bool is_below(const std::string& path, const std::string& ancestor) {
  if (ancestor == "/") return path != "/";
  return path.size() > ancestor.size() && path.starts_with(ancestor) &&
         path[ancestor.size()] == '/';
}

// Appends what is reachable of the mounts that stand on `parent`. A mount on a directory above
// another one's, of the same parent, hides it; of several on one directory the last one, which
// stands on the one before, is what is seen.
void append_visible(const Mounts& by_parent, uint64_t parent, std::set<uint64_t>& seen,
                    std::vector<std::string>& points) {
  const auto found = by_parent.find(parent);
  if (found == by_parent.end() || !seen.insert(parent).second) return;
  std::vector<const sys::MountEntry*> here = found->second;
  std::ranges::sort(here, {}, &sys::MountEntry::point);
  for (const sys::MountEntry* mount : here) {
    const bool hidden = std::ranges::any_of(
        here, [&](const sys::MountEntry* other) { return is_below(mount->point, other->point); });
    if (hidden) continue;
    if (mount->point != "/" && (points.empty() || points.back() != mount->point))
      points.push_back(mount->point);
    append_visible(by_parent, mount->id, seen, points);
  }
}

}  // namespace

FileFact look_at(const std::string& path) {
  sys::statx_t status;
  const int result =
      sys::statx(sys::kAtFdcwd, path.c_str(), sys::AtFlags::none, sys::StatxMask::type, &status);
  if (result == 0) return fact_of(status);
  std::string why = checks::path_is_reachable(path).detail;
  if (const pid_t pid = checks::process_of_path(path); pid > 0 && result == -EACCES)
    why = checks::process_lets_look(pid).hint();  // by its name there is nothing in the way
  return {.kind = result == -EACCES ? FileKind::no_access : FileKind::missing,
          .error = -result,
          .why = std::move(why)};
}

FileFact look_at(int fd) {
  sys::statx_t status;
  const int result = sys::statx(fd, "", sys::AtFlags::empty_path, sys::StatxMask::type, &status);
  if (result == 0) return fact_of(status);
  return {.kind = FileKind::missing, .error = -result};
}

void look_up_files(const Spec& spec, Host& host) {
  FileFacts facts(spec, host);
  if (spec.root) {
    facts.add(spec.root->path);
    if (spec.root->overlay) {
      facts.add(*spec.root->overlay);
      host.root_entries = list_directory(spec.root->path);
    }
  }
  for (const FsOperation& operation : spec.mounts) facts.add(operation);
  for (const NamespaceWish& wish : spec.namespaces) facts.add(wish.path);
  for (const KeepWish& keep : spec.keep) facts.add(keep.path);
  for (const Asked<std::string>& cgroup : spec.resources.join) facts.add(cgroup.value + "/tasks");
  for (const int fd : spec.process.pass_fds.value)
    host.files.try_emplace(fmt::format("fd:{}", fd), look_at(fd));
}

namespace {
std::optional<std::string> first_line(const cgroup::Paths& paths, const std::string& path) {
  const auto [directory, rest] = paths.find(path);
  const Fd file(sys::openat(directory, rest, sys::OpenFlags::rdonly | sys::OpenFlags::cloexec));
  if (!file) return std::nullopt;
  const std::string text = sys::read_text(file.get()).value_or("");
  return text.substr(0, text.find('\n'));
}
}  // namespace

bool mounts_cgroups(const Spec& spec) {
  return std::ranges::any_of(spec.mounts, [](const FsOperation& op) {
    const auto* fs = std::get_if<FileSystem>(&op.what);
    return fs != nullptr && fs->type == "cgroup";
  });
}

void look_up_cgroup(const std::string& path, Host& host) {
  const cgroup::Paths paths(cgroup::common_directory(host.cgroup));
  // That it is missing is as it should be, and no reason is asked for.
  const auto look = [&](const std::string& mount) {
    sys::statx_t status;
    const std::string directory = mount + path;
    if (mount.empty()) return;
    const auto [at, rest] = paths.find(directory);
    const int result = sys::statx(at, rest, sys::AtFlags::none, sys::StatxMask::type, &status);
    host.files.try_emplace(directory, result == 0
                                          ? fact_of(status)
                                          : FileFact{.kind = FileKind::missing, .error = -result});
  };
  for (const CgroupHierarchy& hierarchy : host.cgroup.v1_hierarchies) {
    look(hierarchy.mount);
    if (std::ranges::find(hierarchy.controllers, "cpuset") == hierarchy.controllers.end()) continue;
    for (std::string directory = path;; directory.resize(directory.rfind('/'))) {
      const std::string there = hierarchy.mount + directory;
      const auto cpus = first_line(paths, there + "/cpuset.cpus");
      if (!cpus && !directory.empty()) continue;
      host.cgroup.v1_cpus = cpus.value_or("");
      host.cgroup.v1_mems = first_line(paths, there + "/cpuset.mems").value_or("");
      if (directory.empty() || !host.cgroup.v1_cpus.empty()) break;
      host.cgroup.v1_without_cpus.push_back(there);
    }
  }
  look(host.cgroup.v2_mount);
}

std::vector<DirectoryEntry> list_directory(const std::string& path) {
  std::vector<DirectoryEntry> entries;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return entries;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    sys::statx_t status;
    if (name == "." || name == ".." ||
        sys::statx(::dirfd(directory), entry->d_name, sys::AtFlags::symlink_nofollow,
                   sys::StatxMask::type | sys::StatxMask::mode, &status) != 0)
      continue;
    const uint32_t type = status.stx_mode & sys::kModeTypeMask;
    DirectoryEntry fact{.name = name,
                        .is_directory = type == sys::kModeDirectory,
                        .mode = status.stx_mode & 07777U};
    if (type == sys::kModeSymlink) {
      char target[PATH_MAX];
      const int size = sys::readlinkat(::dirfd(directory), entry->d_name, target, sizeof target);
      if (size <= 0) continue;
      fact.link.assign(target, static_cast<size_t>(size));
    }
    entries.push_back(std::move(fact));
  }
  ::closedir(directory);
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

std::vector<std::string> visible_mount_points(const std::vector<sys::MountEntry>& mounts) {
  std::set<uint64_t> ids;
  for (const sys::MountEntry& mount : mounts) ids.insert(mount.id);
  // What stands on a mount that is not listed stands on the caller's root, which need not be a
  // mount point itself. 0 is no mount's id.
  Mounts by_parent;
  for (const sys::MountEntry& mount : mounts)
    by_parent[ids.contains(mount.parent) && mount.parent != mount.id ? mount.parent : 0].push_back(
        &mount);
  std::vector<std::string> points;
  std::set<uint64_t> seen;
  append_visible(by_parent, 0, seen, points);
  return points;
}

}  // namespace isle::probe
