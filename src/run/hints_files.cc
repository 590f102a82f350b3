// Which part of a path stood in the way: of the host, of the sandbox's root, of cgroups; why a
// command would not run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>

#include "exec/executor.h"
#include "run/hints.h"
#include "sys/proc_files.h"

namespace isle::hints {
namespace {

using plan::Op;

// The argument that is the step's path.
std::string path_of(const FailedStep& failed) {
  switch (failed.op()) {
    case Op::open_tree:
    case Op::open_in:
    case Op::make_dir_in:
    case Op::make_file_in:
    case Op::symlink_in:
    case Op::mknod_in:
      return failed.text(1);
    case Op::copy_in:
      return failed.text(2);
    default:
      return failed.text(0);
  }
}

std::optional<HostPath> place_of(const FailedStep& failed) {
  const std::string path = path_of(failed);
  if (path.empty()) return std::nullopt;
  return failed.is_inside() ? failed.on_host(path) : HostPath{.path = path};
}

std::string parent_of(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = path.rfind('/', end);
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool makes(Op op) {
  switch (op) {
    case Op::make_dir_in:
    case Op::make_file_in:
    case Op::symlink_in:
    case Op::mknod_in:
    case Op::copy_in:
    case Op::mkdir:
    case Op::create_file:
      return true;
    default:
      return false;
  }
}

bool looks_like_cgroup(const std::string& path) {
  return checks::file_system_of(parent_of(path)).starts_with("cgroup");
}

}  // namespace

std::string path_in_the_way(const FailedStep& failed) {
  const int error = failed.error();
  if (error != ENOENT && error != EACCES && error != ENOTDIR && error != ELOOP && error != EPERM)
    return {};
  const auto place = place_of(failed);
  if (!place) return {};
  const checks::Walker walker = walker_of(failed);
  const bool made = makes(failed.op());
  // What is to be made need not be there; the way to it must, except in a root, where it is made.
  std::string way = made ? parent_of(place->path) : place->path;
  auto finding = checks::path_is_reachable(way, walker, place->root);
  while (made && failed.is_inside() && way != "/" && finding.detail.ends_with("does not exist")) {
    way = parent_of(way);
    finding = checks::path_is_reachable(way, walker, place->root);
  }
  if (finding.ok() && made) finding = checks::directory_is_writable(way, walker, place->root);
  return finding.hint();
}

std::string missing_on_read_only(const FailedStep& failed) {
  const std::string path = path_of(failed);
  const auto place = failed.on_host(path);
  if (!place) return {};
  const auto finding = checks::path_is_reachable(place->path, walker_of(failed), place->root);
  if (finding.ok()) return {};
  const std::string parent = parent_of(path);
  return fmt::format(
      "{}, and the sandbox's root is read-only there; --overlay makes it writable{}",
      finding.detail,
      parent == "/" ? "" : fmt::format(", --tmpfs {} puts an empty one there", parent));
}

std::string link_in_the_way(const FailedStep& failed) {
  const std::string path = path_of(failed);
  const auto place = failed.on_host(path);
  // A proc of the sandbox's own has the links that the host's has.
  return place ? checks::links_stay_inside(place->root, place->path).hint()
               : checks::links_stay_inside("", path).hint();
}

std::string other_kind(const FailedStep& failed) {
  if (failed.op() == Op::move_mount) {
    const MountStory story = failed.mount();
    return story.bind ? fmt::format(
                            "a directory can be bound only on a directory, a file only on a "
                            "file; look at \"{}\" and \"{}\"",
                            story.source, story.destination)
                      : std::string{};
  }
  const auto place = failed.on_host(path_of(failed));
  if (!place) return {};
  if (auto way = checks::path_is_reachable(place->path, walker_of(failed), place->root); !way.ok())
    return way.hint();
  return failed.op() == Op::make_dir_in
             ? fmt::format("{} exists and is no directory", place->root + place->path)
             : fmt::format("{} exists and is a directory", place->root + place->path);
}

std::string cgroup_refused(const FailedStep& failed) {
  std::vector<std::string> controllers;
  std::string path = failed.op() == Op::clone3 ? std::string{} : failed.text(0);
  if (failed.op() == Op::clone3) {
    const plan::Step* opened = failed.writer(failed.step().arg[1]);
    if (opened == nullptr || opened->op != Op::open) return {};
    path = failed.text(*opened, 0);
  }
  if (!looks_like_cgroup(path)) return {};
  const size_t slash = path.rfind('/');
  const std::string file = path.substr(slash + 1);
  if (file == "cgroup.subtree_control") {
    controllers = sys::words(failed.text(1));
    for (std::string& name : controllers)
      if (name.starts_with('+')) name.erase(0, 1);
  } else if (failed.op() == Op::write_file && !file.starts_with("cgroup.")) {
    controllers.push_back(file.substr(0, file.find('.')));
    if (failed.error() == EINVAL || failed.error() == ERANGE)
      return fmt::format("{} does not take \"{}\"", file, failed.text(1));
  }
  if (auto finding = checks::cgroup_delegated(controllers); !finding.ok()) return finding.hint();
  if (file == "cgroup.procs" && failed.error() == EACCES)
    return "only who may write cgroup.procs there, and in the cgroup above both, moves a process; "
           "run isle as root, or have systemd or root delegate that cgroup";
  return {};
}

std::string command_missing(const FailedStep& failed) {
  const std::vector<std::string> candidates = failed.list(0);
  const uint32_t exists = failed.detail() & exec::kDetailCandidateMask;
  if (exists > 0 && exists <= candidates.size()) return command_not_executable(failed);
  if (candidates.size() == 1) {
    const auto place = failed.on_host(candidates.front());
    if (!place) return {};
    const auto finding = checks::path_is_reachable(place->path, walker_of(failed), place->root);
    if (!finding.ok()) return finding.hint();
    return {};
  }
  std::vector<std::string> directories;
  for (const std::string& candidate : candidates) {
    directories.push_back(parent_of(candidate));
    const auto place = failed.on_host(candidate);
    const bool elsewhere = !place || !place->root.empty();
    if (elsewhere && checks::path_is_reachable(candidate).ok())
      return fmt::format("the host has {}, the sandbox's root has not", candidate);
  }
  return fmt::format("it is in none of the directories of PATH: {}", fmt::join(directories, ":"));
}

std::string command_not_executable(const FailedStep& failed) {
  if (failed.error() == E2BIG)
    return "arguments and environment together are too large; --clear-env drops the environment";
  const std::vector<std::string> candidates = failed.list(0);
  const uint32_t exists = failed.detail() & exec::kDetailCandidateMask;
  if (candidates.empty() || exists > candidates.size()) return {};
  const std::string& command = candidates[exists == 0 ? 0 : exists - 1];
  if (failed.is_mount_point(command)) return command + " is a directory";
  const auto place = failed.on_host(command);
  if (!place) return {};
  return checks::file_is_executable(place->path, walker_of(failed), place->root).hint();
}

}  // namespace isle::hints
