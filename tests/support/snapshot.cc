// What the process and the machine hold at one moment.
#include <dirent.h>
#include <net/if.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "leak_check.h"
#include "process_table.h"
#include "temp_dir.h"

namespace isle::test {
namespace {

using Set = std::map<std::string, std::string>;
namespace fs = std::filesystem;

constexpr std::string_view kOurPrefix = "isle-test-";

// A thing named by TempDir or unique_name in another test program: one that runs beside this one, or did.
bool belongs_to_another_test(std::string_view name) {
  if (!name.starts_with(kOurPrefix)) return false;
  name.remove_prefix(kOurPrefix.size());
  pid_t pid = 0;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), pid).ptr;
  return end != name.data() && pid != test_program();
}

Set descriptors() {
  Set set;
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return set;
  const int own = dirfd(dir);
  while (const dirent* entry = readdir(dir)) {
    const std::string number = entry->d_name;
    if (number == "." || number == ".." || number == std::to_string(own)) continue;
    std::error_code ignored;
    set[number] = fs::read_symlink("/proc/self/fd/" + number, ignored).string();
  }
  closedir(dir);
  return set;
}

Set mounts() {
  Set set;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    if (!belongs_to_another_test(line.substr(std::min(line.find(kOurPrefix), line.size()))))
      set[line] = "";
  }
  return set;
}

// Every cgroup, in every hierarchy, whose own name begins with "isle", with the processes in it.
Set cgroups() {
  Set set;
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(
      "/sys/fs/cgroup", fs::directory_options::skip_permission_denied, error);
  for (; !error && walk != fs::end(walk); walk.increment(error)) {
    std::error_code vanished;
    if (walk->is_symlink(vanished) || !walk->is_directory(vanished)) continue;
    const std::string name = walk->path().filename();
    if (name.starts_with("isle") && !belongs_to_another_test(name)) set[walk->path()] = "";
  }
  return set;
}

Set links() {
  Set set;
  struct if_nameindex* all = if_nameindex();
  for (auto* link = all; link != nullptr && link->if_index != 0; ++link) {
    if (!belongs_to_another_test(link->if_name))
      set[link->if_name] = "index " + std::to_string(link->if_index);
  }
  if_freenameindex(all);
  return set;
}

// The entries of a directory whose names begin with `prefix`; with `deep` all that is below.
Set files(const std::string& path, std::string_view prefix, bool deep) {
  Set set;
  std::error_code error;
  for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with(prefix) || belongs_to_another_test(name)) continue;
    set[entry->path()] = "";
    std::error_code vanished;
    if (deep && entry->is_directory(vanished) && !entry->is_symlink(vanished)) {
      set.merge(files(entry->path(), "", true));
    }
  }
  return set;
}

Set state_files() {
  Set set = files("/run/isle", "", true);
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr) {
    set.merge(files(std::string(runtime) + "/isle", "", true));
  }
  return set;
}

Set processes() {
  Set set;
  const auto table = process_table();
  for (const pid_t pid : descendants_in(table, getpid())) {
    const ProcessEntry& entry = table.at(pid);
    set[std::to_string(pid)] =
        entry.name + (entry.state == 'Z' ? " (ended, but nobody waited for it)" : "");
  }
  return set;
}

// A signal set of /proc/PID/status without 32 and 33, which libc keeps for itself: the first thread
// of a program makes it change what it does with them.
std::string program_signals(const std::string& text) {
  constexpr std::uint64_t kOfLibc = std::uint64_t{3} << 31;
  return std::to_string(std::stoull(text, nullptr, 16) & ~kOfLibc);
}

// What of the test process itself a test might change and not put back.
Set own_state() {
  Set set;
  for (const auto& entry : fs::directory_iterator("/proc/self/ns")) {
    std::error_code unreadable;  // pid_for_children before the first child
    set["namespace " + entry.path().filename().string()] =
        fs::read_symlink(entry.path(), unreadable);
  }
  std::error_code gone;
  set["working directory"] = fs::current_path(gone);
  std::ifstream status("/proc/self/status");
  const std::set<std::string> kept = {
      "Umask:", "Uid:", "Gid:", "SigBlk:", "SigIgn:", "CapEff:", "NoNewPrivs:", "Seccomp:"};
  for (std::string line; std::getline(status, line);) {
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !kept.contains(line.substr(0, colon + 1))) continue;
    const std::string name = line.substr(0, colon);
    set[name] =
        name.starts_with("Sig") ? program_signals(line.substr(colon + 1)) : line.substr(colon + 1);
  }
  std::ifstream cgroup("/proc/self/cgroup");
  std::ostringstream all;
  all << cgroup.rdbuf();
  set["cgroup"] = all.str();
  return set;
}

}  // namespace

Snapshot Snapshot::take() {
  Snapshot snapshot;
  snapshot.sets_ = {{"descriptor", descriptors()},
                    {"mount", mounts()},
                    {"cgroup", cgroups()},
                    {"link", links()},
                    {"named network namespace", files("/run/netns", "", false)},
                    {"state", state_files()},
                    {"file", files("/tmp", "isle", false)},
                    {"shared memory", files("/dev/shm", "isle", false)},
                    {"process", processes()},
                    {"test process", own_state()}};
  return snapshot;
}

std::vector<std::string> Snapshot::differences(const Snapshot& later) const {
  std::vector<std::string> lines;
  const auto line = [&](char sign, const std::string& set, const auto& thing) {
    lines.push_back(std::string(1, sign) + " " + set + ": " + thing.first +
                    (thing.second.empty() ? "" : " (" + thing.second + ")"));
  };
  const std::set<std::string> others_may_end = {"cgroup", "state", "file", "shared memory"};
  for (const auto& [name, before] : sets_) {
    const Set& after = later.sets_.at(name);
    for (const auto& thing : before) {
      if (others_may_end.contains(name)) break;
      const auto found = after.find(thing.first);
      if (found == after.end() || found->second != thing.second) line('-', name, thing);
    }
    for (const auto& thing : after) {
      const auto found = before.find(thing.first);
      if (found == before.end() || found->second != thing.second) line('+', name, thing);
    }
  }
  return lines;
}

}  // namespace isle::test
