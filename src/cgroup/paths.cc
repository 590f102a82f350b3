#include "cgroup/paths.h"

#include <algorithm>
#include <utility>

#include "sys/file_calls.h"

namespace isle::cgroup {

std::string common_directory(const std::vector<std::string>& paths) {
  if (paths.empty()) return {};
  std::string common = paths.front();
  for (const std::string& path : paths) {
    const auto end = std::ranges::mismatch(common, path);
    const bool is_whole =
        (end.in1 == common.end() || *end.in1 == '/') && (end.in2 == path.end() || *end.in2 == '/');
    common.erase(end.in1, common.end());
    if (is_whole) continue;
    const size_t slash = common.rfind('/');
    common.resize(slash == std::string::npos ? 0 : slash);
  }
  return common;
}

std::string common_directory(const CgroupFacts& facts) {
  std::vector<std::string> mounts;
  mounts.reserve(facts.v1_hierarchies.size() + 1);
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies) mounts.push_back(hierarchy.mount);
  if (!facts.v2_mount.empty()) mounts.push_back(facts.v2_mount);
  return common_directory(mounts);
}

std::string_view rest_below(std::string_view directory, std::string_view path) {
  if (directory.empty() || !path.starts_with(directory)) return {};
  path.remove_prefix(directory.size());
  if (!path.starts_with('/')) return {};
  path.remove_prefix(1);
  return path;
}

Paths::Paths(std::string directory) : directory_(std::move(directory)) {
  constexpr auto kOpen = sys::OpenFlags::path | sys::OpenFlags::directory | sys::OpenFlags::cloexec;
  if (!directory_.empty()) fd_.reset(sys::openat(sys::kAtFdcwd, directory_.c_str(), kOpen));
}

Paths::Place Paths::find(const std::string& path) const {
  const std::string_view rest = rest_below(directory_, path);
  if (!fd_ || rest.empty()) return {sys::kAtFdcwd, path.c_str()};
  return {fd_.get(), path.c_str() + (path.size() - rest.size())};
}

}  // namespace isle::cgroup
