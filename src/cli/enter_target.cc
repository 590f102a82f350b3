#include "cli/enter_target.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/values.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

// pid_max is at most 2^22; nsfs counts its inodes from 0xf0000000.
constexpr uint64_t kLargestPid = 4194304;

std::string read_small(const std::string& path) {
  constexpr size_t kMost = 1U << 20;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  std::array<char, 4096> buffer{};
  while (fd && text.size() < kMost) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), ::closedir);
  if (!open) return names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(open.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

nlohmann::json json_in(const std::string& path) {
  return nlohmann::json::parse(read_small(path), nullptr, false);
}

// A pid as a file's whole text, or as a member of the JSON object that the file is.
pid_t pid_in(const std::string& path, const char* member) {
  if (member == nullptr) {
    std::string text = read_small(path);
    while (text.ends_with('\n')) text.pop_back();
    return whole_number<pid_t>(text).value_or(0);
  }
  const auto json = json_in(path);
  if (!json.is_object() || !json.contains(member) || !json[member].is_number_integer()) return 0;
  return json[member].get<pid_t>();
}

struct StateDirectory {
  const char* runtime;
  std::string directory;  ///< Of directories, each named after a container.
  const char* file;
  const char* member;  ///< Null: the file is the pid.
};

void add_containers(const StateDirectory& state, std::vector<Container>& found) {
  for (std::string& id : names_in(state.directory)) {
    const pid_t pid =
        pid_in(fmt::format("{}/{}/{}", state.directory, id, state.file), state.member);
    const bool known = std::ranges::any_of(
        found, [&](const Container& other) { return other.id == id && other.pid == pid; });
    if (pid > 0 && !known) found.push_back({std::move(id), pid, state.runtime});
  }
}

// containers/storage keeps those of each storage driver in a directory of its own.
std::vector<std::string> storages_in(const std::string& directory) {
  std::vector<std::string> found;
  for (const std::string& name : names_in(directory))
    if (name.ends_with("-containers")) found.push_back(fmt::format("{}/{}", directory, name));
  return found;
}

void add_name(std::string_view id, const nlohmann::json& name, std::vector<Container>& found) {
  if (!name.is_string()) return;
  auto text = name.get<std::string>();
  if (text.starts_with('/')) text.erase(0, 1);  // as docker writes it
  for (Container& container : found)
    if (container.id == id) container.name = text;
}

// [{"id": ..., "names": [...]}, ...]
void add_podman_names(const std::string& file, std::vector<Container>& found) {
  const auto all = json_in(file);
  if (!all.is_array()) return;
  for (const auto& each : all) {
    if (!each.is_object() || !each.contains("id") || !each["id"].is_string()) continue;
    if (each.contains("names") && each["names"].is_array() && !each["names"].empty())
      add_name(each["id"].get<std::string>(), each["names"][0], found);
  }
}

void add_docker_names(const std::string& directory, std::vector<Container>& found) {
  for (const std::string& id : names_in(directory)) {
    const auto config = json_in(fmt::format("{}/{}/config.v2.json", directory, id));
    if (config.is_object() && config.contains("Name")) add_name(id, config["Name"], found);
  }
}

EnterTarget process(pid_t pid) {
  EnterTarget target;
  target.pid = pid;
  return target;
}

EnterTarget one_namespace(Namespace found) {
  EnterTarget target;
  target.type = found.type();
  target.fd = std::move(found).release();
  return target;
}

// A pidfd says in its fdinfo whose it is.
Result<EnterTarget> by_descriptor(std::string_view text) {
  const auto fd = parse_fd(text);
  if (!fd) return std::unexpected(fd.error());
  Fd copy(::fcntl(*fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail(errno, fmt::format("descriptor {}", *fd));
  const std::string info = read_small(fmt::format("/proc/self/fdinfo/{}", *fd));
  if (const size_t at = info.find("\nPid:\t"); at != std::string::npos) {
    const std::string_view rest = std::string_view(info).substr(at + 6);
    EnterTarget target = process(whole_number<pid_t>(rest.substr(0, rest.find('\n'))).value_or(0));
    if (target.pid <= 0) return fail(ESRCH, fmt::format("descriptor {}: its process", *fd));
    target.pidfd = std::move(copy);
    return target;
  }
  auto found = Namespace::from_fd(std::move(copy));
  if (!found && found.error().code == ENOTTY)
    return fail(ENOTTY, fmt::format("descriptor {} is neither a namespace nor a pidfd", *fd));
  if (!found) return std::unexpected(std::move(found.error()));
  return one_namespace(std::move(*found));
}

Result<EnterTarget> by_unique_id(std::string_view text) {
  const auto unique = whole_number<uint64_t>(text.substr(3));
  if (!unique) return fail(0, fmt::format("{}: no number after ns:", quoted(text)));
  auto found = Namespace::of_unique_id(*unique);
  if (!found) return std::unexpected(std::move(found.error()));
  return one_namespace(std::move(*found));
}

// Some process has to be in it: nothing else leads from an inode number to a namespace.
Result<EnterTarget> by_inode(uint64_t inode, const std::string& prefix) {
  const std::string wanted = fmt::format(":[{}]", inode);
  for (const std::string& pid : names_in(prefix + "/proc")) {
    if (!whole_number<pid_t>(pid)) continue;
    for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
      std::string path = fmt::format("{}/proc/{}/ns/{}", prefix, pid, info.proc_name);
      std::array<char, 64> link{};
      if (::readlink(path.c_str(), link.data(), link.size() - 1) <= 0) continue;
      if (!std::string_view(link.data()).ends_with(wanted)) continue;
      EnterTarget target;
      target.type = info.type;
      target.path = std::move(path);
      return target;
    }
  }
  return fail(ESRCH, fmt::format("no process is in a namespace with inode {}", inode));
}

Result<EnterTarget> by_path(const std::string& path) {
  auto found = Namespace::of_path(path);
  if (found) return one_namespace(std::move(*found));
  if (found.error().code == ENOTTY)
    found.error().hint =
        "a file of /proc/PID/ns is wanted, or one that a namespace is bound to (mount shows these)";
  return std::unexpected(std::move(found.error()));
}

Result<EnterTarget> by_container(std::string_view text, const Places& places) {
  const std::vector<Container> all = known_containers(places);
  std::vector<const Container*> matches;
  for (const Container& container : all) {
    if (container.id == text) return process(container.pid);
    if (container.name == text || container.id.starts_with(text)) matches.push_back(&container);
  }
  if (std::ranges::any_of(matches, [&](const Container* match) { return match->name == text; }))
    std::erase_if(matches, [&](const Container* match) { return match->name != text; });
  // Two runtimes may tell of one container: podman of what crun runs.
  const bool one = !matches.empty() && std::ranges::all_of(matches, [&](const Container* match) {
    return match->id == matches.front()->id;
  });
  if (one) return process(matches.front()->pid);
  if (matches.empty()) {
    std::vector<std::string_view> words;
    for (const Container& container : all)
      for (const std::string* word : {&container.id, &container.name})
        if (!word->empty()) words.push_back(*word);
    std::string hint = did_you_mean(text, words);
    if (hint.empty())
      hint =
          "a pid, fd:N, ns:ID, a path, a name in /run/netns or a container's id or name is wanted";
    return fail(0, fmt::format("nothing to enter is called {}", quoted(text)), std::move(hint));
  }
  std::string ids;
  for (const Container* match : matches) ids += fmt::format(" {}", match->id);
  return fail(0, fmt::format("several containers may be meant by {}:{}", quoted(text), ids));
}

}  // namespace

std::vector<Container> known_containers(const Places& places) {
  const std::string& prefix = places.prefix;
  std::vector<Container> found;
  std::vector<std::string> run = {prefix + "/run"};
  if (!places.runtime_dir.empty())
    run.insert(run.begin(), prefix + places.runtime_dir);
  else if (places.uid != 0)
    run.insert(run.begin(), fmt::format("{}/run/user/{}", prefix, places.uid));
  for (const std::string& base : run) {
    add_containers({"isle-oci", base + "/isle-oci", "state.json", "pid"}, found);
    add_containers({"crun", base + "/crun", "status", "pid"}, found);
    add_containers({"runc", base + "/runc", "state.json", "init_process_pid"}, found);
    for (const char* storage : {"/containers", "/containers/storage"})
      for (const std::string& directory : storages_in(base + storage))
        add_containers({"podman", directory, "userdata/pidfile", nullptr}, found);
    add_containers({"docker", base + "/docker/runtime-runc/moby", "state.json", "init_process_pid"},
                   found);
    const std::string tasks = base + "/containerd/io.containerd.runtime.v2.task/";
    for (const std::string& name : names_in(tasks))
      add_containers({"containerd", tasks + name, "init.pid", nullptr}, found);
  }
  if (found.empty()) return found;
  std::vector<std::string> share = {prefix + "/var/lib"};
  if (!places.home.empty()) share.push_back(prefix + places.home + "/.local/share");
  for (const std::string& base : share) {
    for (const std::string& directory : storages_in(base + "/containers/storage"))
      add_podman_names(directory + "/containers.json", found);
    add_docker_names(base + "/docker/containers", found);
  }
  return found;
}

Result<EnterTarget> find_target(std::string_view text, const Places& places) {
  const std::string& prefix = places.prefix;
  if (text.starts_with("fd:")) return by_descriptor(text);
  if (text.starts_with("ns:")) return by_unique_id(text);
  if (const size_t bracket = text.find(":[");
      bracket != std::string_view::npos && text.ends_with(']')) {
    const auto inode = whole_number<uint64_t>(text.substr(bracket + 2, text.size() - bracket - 3));
    if (inode) return by_inode(*inode, prefix);
  }
  if (const auto value = whole_number<uint64_t>(text)) {
    if (*value > kLargestPid) return by_inode(*value, prefix);
    struct stat status{};
    if (::stat(fmt::format("{}/proc/{}", prefix, *value).c_str(), &status) == 0)
      return process(static_cast<pid_t>(*value));
    auto container = by_container(text, places);
    if (container) return container;
    return fail(ESRCH, fmt::format("no process has pid {}", *value),
                ::access((prefix + "/proc/self").c_str(), F_OK) == 0
                    ? ""
                    : "no proc file system is mounted on /proc");
  }
  if (text.find('/') != std::string_view::npos) return by_path(std::string(text));
  const std::string named = fmt::format("{}/run/netns/{}", prefix, text);
  if (!text.empty() && text != "." && text != ".." && ::access(named.c_str(), F_OK) == 0) {
    EnterTarget target;
    target.type = NamespaceType::network;
    target.path = named;
    return target;
  }
  return by_container(text, places);
}

}  // namespace isle::cli
