#include "oci_cli/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <ctime>

#include "cgroup/paths.h"
#include "cli/output.h"
#include "oci_cli/kernel_text.h"

namespace isle::oci_cli {
namespace {

using oci::Phase;
using oci::read_whole;

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }
int send_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

std::string link_of(const std::string& path) {
  char target[512];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  return size < 0 ? std::string{} : std::string(target, static_cast<size_t>(size));
}

pid_t number_of(std::string_view text) {
  pid_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return pids;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(directory))
    if (const pid_t pid = number_of(entry->d_name); pid > 0) pids.push_back(pid);
  ::closedir(directory);
  return pids;
}

std::vector<std::string> children_of(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(stream))
    if (const std::string_view name = entry->d_name;
        entry->d_type == DT_DIR && name != "." && name != "..")
      names.push_back(fmt::format("{}/{}", directory, name));
  ::closedir(stream);
  return names;
}

/// 0 for who is in a pid namespace that is not ours nor below it.
std::vector<pid_t> members_of(const std::string& cgroup) {
  std::vector<pid_t> pids;
  const std::string text = read_whole(cgroup + "/cgroup.procs").value_or("");
  for (const std::string_view word : split(text)) pids.push_back(number_in<pid_t>(word));
  return pids;
}

/// Those we can name: kill(2) of 0 would go to all of our own process group.
std::vector<pid_t> processes_in(const std::string& cgroup) {
  std::vector<pid_t> pids = members_of(cgroup);
  std::erase(pids, 0);
  return pids;
}

/// A directory by a name that one below it can be named from: a container that divides its cgroup may do so deeper
/// than any path is long.
struct Way {
  explicit Way(const std::string& directory) : path(directory) {
    constexpr size_t kLong = PATH_MAX / 2;
    if (directory.size() < kLong) return;
    held = Fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    path = fmt::format("/proc/self/fd/{}", held.get());
  }
  Fd held;
  std::string path;
};

void add_processes_below(const std::string& cgroup, std::vector<pid_t>& pids) {
  const Way way(cgroup);
  const auto here = processes_in(way.path);
  pids.insert(pids.end(), here.begin(), here.end());
  for (const std::string& child : children_of(way.path)) add_processes_below(child, pids);
}

/// Those that nobody is in, the innermost first.
void remove_below(const std::string& cgroup) {
  const Way way(cgroup);
  for (const std::string& child : children_of(way.path)) {
    remove_below(child);
    ::rmdir(child.c_str());
  }
}

/// To all that `list` gives, by a descriptor: who is in the list again once there is one goes by no
/// number that was used again meanwhile.
template <class List>
void signal_listed(const List& list, int signal) {
  constexpr size_t kAtOnce = 256;
  const std::vector<pid_t> pids = list();
  for (size_t begin = 0; begin < pids.size(); begin += kAtOnce) {
    std::vector<std::pair<pid_t, Fd>> held;
    for (size_t i = begin; i < std::min(begin + kAtOnce, pids.size()); ++i)
      held.emplace_back(pids[i], open_pidfd(pids[i]));
    const std::vector<pid_t> still = list();
    for (const auto& [pid, pidfd] : held)
      if (pidfd && std::ranges::find(still, pid) != still.end()) send_signal(pidfd.get(), signal);
  }
}

const std::string* cgroup_with(const oci::State& state, const char* file) {
  for (const std::string& directory : state.cgroups)
    if (::access((directory + "/" + file).c_str(), F_OK) == 0) return &directory;
  return nullptr;
}

bool is_frozen(const oci::State& state) {
  if (const auto* v1 = cgroup_with(state, "freezer.state"))
    return !read_whole(*v1 + "/freezer.state").value_or("").starts_with("THAWED");
  if (const auto* v2 = cgroup_with(state, "cgroup.events"))
    return read_whole(*v2 + "/cgroup.events").value_or("").find("frozen 1") != std::string::npos;
  return false;
}

/// Until its execve the first process is isle-exec, of a memory file.
bool still_waits(pid_t pid) {
  const std::string program = link_of(fmt::format("/proc/{}/exe", pid));
  return program.empty() || program.find("isle-exec") != std::string::npos;
}

/// Field 22 of /proc/PID/stat; 0 where there is no such process, or only its zombie.
Result<uint64_t> start_time(pid_t pid) {
  const auto text = read_whole(fmt::format("/proc/{}/stat", pid));
  if (!text && (text.error().code == ENOENT || text.error().code == ESRCH)) return 0;
  if (!text) return std::unexpected(text.error());
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return 0;
  const auto fields = split(std::string_view(*text).substr(name_end + 1));
  constexpr size_t kStateField = 3;
  constexpr size_t kStartField = 22 - kStateField;
  if (fields.size() <= kStartField || fields[0] == "Z" || fields[0] == "X") return 0;
  // The first process of a pid namespace is not gone before all of it are reaped; one that exec put
  // there may have a parent outside who never does. Without namespaces it does nothing any more.
  constexpr size_t kFlagsField = 9 - kStateField;
  constexpr uint64_t kExiting = 0x4;  // PF_EXITING of linux/sched.h
  char target[32];
  if ((number_in(fields[kFlagsField]) & kExiting) != 0 &&
      ::readlink(fmt::format("/proc/{}/ns/mnt", pid).c_str(), target, sizeof target) < 0 &&
      errno == ENOENT)
    return 0;
  return number_in(fields[kStartField]);
}

void pause_ms(long ms) {
  constexpr long kNsPerMs = 1'000'000;
  const timespec time{.tv_sec = 0, .tv_nsec = ms * kNsPerMs};
  ::nanosleep(&time, nullptr);
}

/// Who was put into somebody else's cgroup of the v1 freezer, and is frozen there, does not end; the
/// kernel thaws who comes into one that is not frozen.
void bring_back(const oci::State& state) {
  const std::string* own = cgroup_with(state, "freezer.state");
  if (own == nullptr) return;
  std::vector<pid_t> here;
  add_processes_below(*own, here);
  for (const pid_t pid : processes(state)) {
    if (std::ranges::find(here, pid) != here.end()) continue;
    const Fd file(::open((*own + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (file) (void)cli::write_all(file.get(), std::to_string(pid));
  }
}

}  // namespace

bool is_ordinary_user() {
  const std::string map = read_whole("/proc/self/uid_map").value_or("");
  return ::geteuid() != 0 || (!map.empty() && map.find(" 4294967295\n") == std::string::npos);
}

Status take_process(oci::State& state, pid_t pid) {
  const auto time = start_time(pid);
  if (!time) return std::unexpected(time.error());
  state.host_pid = pid;
  state.start_time = *time;
  return {};
}

Result<Fd> open_process(const oci::State& state) {
  if (state.host_pid <= 0) return Fd();
  Fd pidfd(open_pidfd(state.host_pid));
  if (!pidfd && errno == ESRCH) return Fd();
  if (!pidfd)
    return fail(errno,
                fmt::format("open process {} of container \"{}\"", state.host_pid, state.id));
  // The start time is read after the descriptor is there: it is of the same process.
  const auto time = start_time(state.host_pid);
  if (!time) return std::unexpected(time.error());
  if (*time == 0 || *time != state.start_time) pidfd.reset();
  return pidfd;
}

Phase phase(const oci::State& state, const Fd& process) {
  if (!process) return Phase::stopped;
  if (!state.started && still_waits(state.host_pid)) return Phase::created;
  return is_frozen(state) ? Phase::paused : Phase::running;
}

CgroupFacts machine_cgroups() {
  Spec asks;
  asks.resources.path = {.value = "/"};
  return probe_host(asks).cgroup;
}

std::vector<pid_t> processes(const oci::State& state) {
  std::vector<pid_t> pids;
  if (!state.cgroups.empty()) {
    add_processes_below(state.cgroups.front(), pids);
  } else if (open_process(state).value_or(Fd())) {
    const std::string space = link_of(fmt::format("/proc/{}/ns/pid", state.host_pid));
    for (const pid_t pid : all_processes())
      if (pid == state.host_pid ||
          (state.own_pids && link_of(fmt::format("/proc/{}/ns/pid", pid)) == space))
        pids.push_back(pid);
  }
  std::ranges::sort(pids);
  return pids;
}

void signal_all(const oci::State& state, int signal) {
  if (signal == SIGKILL && !state.cgroups.empty()) {  // on v2 at once, since Linux 5.14
    const Fd file(::open((state.cgroups.front() + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    if (file && cli::write_all(file.get(), "1")) return;
  }
  signal_listed([&] { return processes(state); }, signal);
}

std::string freezer(const oci::State& state) {
  for (const char* file : {"freezer.state", "cgroup.freeze"})
    if (const std::string* directory = cgroup_with(state, file)) return *directory;
  return {};
}

Status freeze(const oci::State& state, bool frozen) {
  const auto write = [](const std::string& path, const char* text) -> Status {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file && cli::write_all(file.get(), text)) return {};
    return fail(errno, fmt::format("write to \"{}\"", path));
  };
  const auto* v1 = cgroup_with(state, "freezer.state");
  const auto* v2 = cgroup_with(state, "cgroup.freeze");
  if (v1 == nullptr && v2 == nullptr)
    return fail(0, fmt::format("freeze container \"{}\": it has no cgroup of its own", state.id));
  const std::string file = v1 != nullptr ? *v1 + "/freezer.state" : *v2 + "/cgroup.freeze";
  const char* text = v1 != nullptr ? (frozen ? "FROZEN" : "THAWED") : (frozen ? "1" : "0");
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    if (Status status = write(file, text); !status) return status;
    if (v1 != nullptr ? read_whole(file).value_or("").starts_with(text)
                      : is_frozen(state) == frozen)
      return {};
    pause_ms(1);  // each in its own time; on v1 a new process slips through
  }
  return fail(EBUSY, fmt::format("freeze container \"{}\"", state.id));
}

Status end(const oci::State& state, const Fd& process) {
  if (!process && state.own_pids) return {};  // the others ended with it
  if (process) send_signal(process.get(), SIGKILL);
  if (is_frozen(state)) (void)freeze(state, false);
  bring_back(state);
  if (!state.own_pids && !state.cgroups.empty()) signal_all(state, SIGKILL);
  if (!process) return {};
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  constexpr int kTries = 1000;
  constexpr int kTryMs = 10;
  for (int i = 0; i < kTries; ++i) {
    if (::poll(&ended, 1, kTryMs) == 1) return {};
    if (const auto time = start_time(state.host_pid); time && *time != state.start_time) return {};
  }
  return fail(EBUSY,
              fmt::format("end container \"{}\": pid {} does not end", state.id, state.host_pid));
}

Status expect_unused_cgroups(const oci::State& state, const Host& host) {
  oci::State there;
  for (const std::string& cgroup : state.cgroups)
    if (host.file(cgroup).kind != FileKind::missing) there.cgroups.push_back(cgroup);
  for (const std::string& cgroup : there.cgroups)
    if (const size_t count = members_of(cgroup).size(); count != 0)
      return fail(EBUSY, fmt::format("container's cgroup is not empty: {} processes in \"{}\"",
                                     count, cgroup));
  if (is_frozen(there))
    return fail(EBUSY,
                fmt::format("container's cgroup unexpectedly frozen: \"{}\"", freezer(there)));
  return {};
}

Status remove_cgroups(const oci::State& state) {
  constexpr int kTries = 200;
  constexpr const char* kUnseen =
      "it has processes that cannot be seen from this pid namespace; delete the container from the "
      "one it was created in";
  const cgroup::Paths paths(cgroup::common_directory(state.cgroups));
  for (const std::string& cgroup : state.cgroups) {
    const auto [directory, rest] = paths.find(cgroup);
    if (::unlinkat(directory, rest, AT_REMOVEDIR) == 0 || errno == ENOENT) continue;
    if (const auto members = members_of(cgroup); std::ranges::find(members, 0) != members.end())
      return fail(EBUSY, fmt::format("remove cgroup \"{}\"", cgroup), kUnseen);
    int error = EBUSY;
    bool shared = false;
    for (int i = 0; i < kTries && error == EBUSY && !shared; ++i) {
      if (i > 1) pause_ms(i < 10 ? 1 : 10);
      error = ::rmdir(cgroup.c_str()) == 0 || errno == ENOENT ? 0 : errno;
      if (error != EBUSY) break;
      remove_below(cgroup);
      signal_listed([&] { return processes_in(cgroup); }, SIGKILL);
      // Somebody else's cgroup in ours (an engine's monitor): it removes both.
      shared = std::ranges::any_of(children_of(cgroup),
                                   [](const auto& c) { return !processes_in(c).empty(); });
    }
    if (error == 0 || shared) continue;
    // v2 lists them as 0, v1 not at all.
    const bool unseen = error == EBUSY && members_of(cgroup).empty() && children_of(cgroup).empty();
    return fail(error, fmt::format("remove cgroup \"{}\"", cgroup), unseen ? kUnseen : "");
  }
  return {};
}

pid_t waiting_at(uint64_t socket) {
  if (socket == 0) return 0;
  const std::string wanted = fmt::format("socket:[{}]", socket);
  for (const pid_t pid : all_processes()) {
    const std::string directory = fmt::format("/proc/{}/fd", pid);
    DIR* stream = pid == ::getpid() ? nullptr : ::opendir(directory.c_str());
    if (stream == nullptr) continue;
    bool found = false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
    while (const dirent* entry = ::readdir(stream))
      found = found || link_of(directory + "/" + entry->d_name) == wanted;
    ::closedir(stream);
    if (found) return pid;
  }
  return 0;
}

}  // namespace isle::oci_cli
