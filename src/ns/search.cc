#include "ns/search.h"

#include <dirent.h>

#include <charconv>
#include <memory>
#include <set>
#include <system_error>

#include "sys/proc_files.h"

namespace isle::ns {
namespace {

/// Visits what was not visited before, and, where the type nests, what is above it.
class Visit {
 public:
  Visit(NamespaceType type, const std::function<bool(Namespace&)>& visit)
      : nests_(type_info(type).has_parent), visit_(visit) {}

  /// True when the search is over.
  bool operator()(Result<Namespace> found) {
    while (found && seen_.insert(found->inode()).second) {
      Result<Namespace> above = nests_ ? found->parent() : fail(0, {});
      if (visit_(*found)) return true;
      found = std::move(above);
    }
    return false;
  }

 private:
  bool nests_;
  const std::function<bool(Namespace&)>& visit_;
  std::set<uint64_t> seen_;
};

}  // namespace

std::vector<pid_t> pids_of_proc() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (proc == nullptr) return pids;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(proc.get())) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

void visit_namespaces(NamespaceType type, const std::function<bool(Namespace&)>& visit) {
  Visit each(type, visit);
  for (const pid_t pid : pids_of_proc())
    if (each(Namespace::of_process(pid, type))) return;
  const auto mountinfo = sys::read_text("/proc/thread-self/mountinfo");
  if (!mountinfo) return;
  const std::string prefix = std::string(type_info(type).proc_name) + ":[";
  for (const sys::MountEntry& mount : sys::parse_mountinfo(*mountinfo)) {
    if (mount.type != "nsfs" || !mount.root.starts_with(prefix)) continue;
    if (each(Namespace::of_path(mount.point, type))) return;
  }
}

}  // namespace isle::ns
