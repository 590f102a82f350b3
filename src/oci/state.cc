#include "oci/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace isle::oci {
namespace {

constexpr int kVersion = 1;  ///< Of state.json's form; a later one only adds fields.

std::unexpected<Error> no_container(const std::string& id) {
  return fail(0, fmt::format("container \"{}\": container does not exist", id));
}

/// With those above it.
Status make_directories(const std::string& path) {
  const auto make = [&] { return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST; };
  if (make()) return {};
  const size_t slash = path.rfind('/');
  if (errno == ENOENT && slash != std::string::npos && slash != 0) {
    if (Status status = make_directories(path.substr(0, slash)); !status) return status;
    if (make()) return {};
  }
  return fail(errno, fmt::format("make the directory \"{}\"", path));
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  char buffer[16384];
  ssize_t got = 0;
  while ((got = ::read(fd, buffer, sizeof buffer)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, fmt::format("read \"{}\"", path));
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

/// Locks the directory; nothing where it was removed meanwhile.
Result<Fd> lock(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail(errno, fmt::format("open \"{}\"", path));
  while (::flock(fd.get(), LOCK_EX) < 0)
    if (errno != EINTR) return fail(errno, fmt::format("lock \"{}\"", path));
  struct stat ours{};
  struct stat there{};
  if (::fstat(fd.get(), &ours) < 0 || ::stat(path.c_str(), &there) < 0 ||
      ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
    return fail(ENOENT, fmt::format("open \"{}\"", path));
  return fd;
}

/// What state.json holds beside its version, by name: visit(name, member) for each.
template <class S, class Visit>
void each_field(S& state, const Visit& visit) {
  visit("id", state.id);
  visit("ociVersion", state.version);
  visit("bundle", state.bundle);
  visit("created", state.created);
  visit("pid", state.host_pid);
  visit("startTime", state.start_time);
  visit("ready", state.ready);
  visit("started", state.started);
  visit("terminal", state.terminal);
  visit("hooks", state.hooks);
  visit("cgroups", state.cgroups);
  visit("cgroupPath", state.cgroup_path);
  visit("systemdUnit", state.unit);
  visit("namespaces", state.namespaces);
  visit("ownPids", state.own_pids);
  visit("rdt", state.rdt);
  visit("rdtMade", state.rdt_made);
  visit("keepsKeyring", state.keeps_keyring);
  visit("startSocket", state.start_socket);
  visit("rootfs", state.rootfs);
  visit("owner", state.owner);
  visit("annotations", state.annotations);
}

}  // namespace

Result<std::string> read_whole(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, fmt::format("open \"{}\"", path));
  return read_all(fd.get(), path);
}

std::string to_text(const State& state) {
  Json json = {{"version", kVersion}};
  each_field(state, [&](const char* name, const auto& value) { json[name] = value; });
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<State> parse_state(std::string_view text) {
  const auto json = parse_json(text, kStateFile);
  if (!json) return std::unexpected(json.error());
  try {
    State state{.id = json->at("id"), .version = "1.0.0"};
    each_field(state, [&](const char* name, auto& value) {
      if (const auto found = json->find(name); found != json->end()) found->get_to(value);
    });
    if (!json->contains("ownPids"))  // of before there was this field
      state.own_pids = std::ranges::find(state.namespaces, "pid") != state.namespaces.end();
    return state;
  } catch (const Json::exception& error) {
    return fail(0, fmt::format("{}: {}", kStateFile, error.what()));
  }
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::creating:
      return "creating";
    case Phase::created:
      return "created";
    case Phase::running:
      return "running";
    case Phase::paused:
      return "paused";
    case Phase::stopped:
      break;
  }
  return "stopped";
}

Json public_state(const State& state, Phase phase) {
  return {{"ociVersion", state.version},
          {"id", state.id},
          {"pid", phase == Phase::stopped ? 0 : state.host_pid},
          {"status", to_string(phase)},
          {"bundle", state.bundle},
          {"rootfs", state.rootfs},
          {"created", state.created},
          {"owner", state.owner},
          {"annotations", state.annotations}};
}

std::string public_text(const State& state, Phase phase, bool indented) {
  constexpr const char* kKeys[] = {"ociVersion", "id",      "pid",         "status", "bundle",
                                   "rootfs",     "created", "annotations", "owner"};
  const Json json = public_state(state, phase);
  std::string text;
  for (const char* key : kKeys) {
    std::string value =
        json[key].dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
    for (size_t at = 0; indented && (at = value.find('\n', at)) != std::string::npos; at += 3)
      value.insert(at + 1, 2, ' ');
    text += fmt::format("{}{}\"{}\":{}{}", text.empty() ? "{" : ",", indented ? "\n  " : "", key,
                        indented ? " " : "", value);
  }
  return text + (indented ? "\n}" : "}");
}

Status check_id(std::string_view id) {
  constexpr size_t kLongest = 1024;
  const auto bad = std::ranges::find_if_not(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '.' || c == '-';
  });
  if (bad == id.end() && !id.empty() && id.size() <= kLongest && id != "." && id != "..") return {};
  return fail(
      0, fmt::format("invalid container id \"{}\": {}expected 1 to {} of [A-Za-z0-9_+.-]", id,
                     bad == id.end() ? "" : fmt::format("invalid character `{}` in the ID: ", *bad),
                     kLongest));
}

Result<Directory> Directory::create(const std::string& root, const std::string& id) {
  if (Status status = check_id(id); !status) return std::unexpected(status.error());
  if (Status status = make_directories(root); !status) return std::unexpected(status.error());
  const std::string path = root + "/" + id;
  if (::mkdir(path.c_str(), 0700) < 0) {
    if (errno == EEXIST)
      return fail(0, fmt::format("container with given ID already exists: \"{}\"", id));
    return fail(errno, fmt::format("make the directory \"{}\"", path));
  }
  auto fd = lock(path);
  if (!fd) {
    ::rmdir(path.c_str());
    return std::unexpected(fd.error());
  }
  return Directory(std::move(*fd), path);
}

Result<Directory> Directory::open(const std::string& root, const std::string& id) {
  if (Status status = check_id(id); !status) return std::unexpected(status.error());
  const std::string path = root + "/" + id;
  auto fd = lock(path);
  if (!fd) {
    if (fd.error().code == ENOENT) return no_container(id);
    return std::unexpected(fd.error());
  }
  return Directory(std::move(*fd), path);
}

Result<Directory> Directory::look(const std::string& root, const std::string& id) {
  if (Status status = check_id(id); !status) return std::unexpected(status.error());
  const std::string path = root + "/" + id;
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return no_container(id);
  if (!fd) return fail(errno, fmt::format("open \"{}\"", path));
  return Directory(std::move(fd), path);
}

bool Directory::busy() const {
  if (::flock(fd_.get(), LOCK_SH | LOCK_NB) < 0) return errno == EWOULDBLOCK;
  ::flock(fd_.get(), LOCK_UN);
  return false;
}

bool Directory::exists(const std::string& root, const std::string& id) {
  return check_id(id) && ::access((root + "/" + id).c_str(), F_OK) == 0;
}

std::vector<std::string> Directory::list(const std::string& root) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(root.c_str());
  if (directory == nullptr) return names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(directory))
    if (check_id(entry->d_name) && entry->d_type == DT_DIR) names.emplace_back(entry->d_name);
  ::closedir(directory);
  std::ranges::sort(names);
  return names;
}

std::string Directory::path(std::string_view file) const {
  return fmt::format("{}/{}", path_, file);
}

std::string Directory::short_path(std::string_view file) const {
  return fmt::format("/proc/self/fd/{}/{}", fd_.get(), file);
}

Result<std::string> Directory::read(const std::string& file) const {
  const Fd fd(::openat(fd_.get(), file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail(errno, fmt::format("open \"{}\"", path(file)));
  return read_all(fd.get(), path(file));
}

Status Directory::write(const std::string& file, std::string_view bytes) const {
  const std::string temporary = "." + file + ".new";
  const Fd fd(
      ::openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, fmt::format("make \"{}\"", path(temporary)));
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno, fmt::format("write \"{}\"", path(temporary)));
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  if (::renameat(fd_.get(), temporary.c_str(), fd_.get(), file.c_str()) < 0)
    return fail(errno, fmt::format("rename to \"{}\"", path(file)));
  return {};
}

Result<std::optional<State>> Directory::state() const {
  const auto text = read(kStateFile);
  if (!text && text.error().code == ENOENT) return std::optional<State>{};
  if (!text) return std::unexpected(text.error());
  auto state = parse_state(*text);
  if (!state) return std::unexpected(state.error());
  return std::optional<State>(std::move(*state));
}

Status Directory::save(const State& state) const { return write(kStateFile, to_text(state)); }

Status Directory::remove() const {
  // Not opendir(3), which takes one more descriptor: it may be the want of one that we undo.
  alignas(dirent64) char entries[4096];
  ssize_t size = 0;
  (void)::lseek(fd_.get(), 0, SEEK_SET);
  while ((size = ::getdents64(fd_.get(), entries, sizeof entries)) > 0)
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      const std::string_view name = entry->d_name;
      if (name == kNotifyDirectory) {
        ::unlinkat(fd_.get(), kNotifySocket, 0);
        ::unlinkat(fd_.get(), kNotifyDirectory, AT_REMOVEDIR);
      } else if (name != "." && name != "..") {
        ::unlinkat(fd_.get(), entry->d_name, 0);
      }
      at += entry->d_reclen;
    }
  if (::rmdir(path_.c_str()) < 0 && errno != ENOENT)
    return fail(errno, fmt::format("remove \"{}\"", path_));
  return {};
}

}  // namespace isle::oci
