// Maps of user namespaces, read, explained and written; and user namespaces that are nothing but
// their maps.
#include "isle/user_namespace.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "isle/in.h"
#include "ns/hints.h"
#include "sys/proc_files.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

constexpr int kCapSetgid = 6;
constexpr int kCapSetuid = 7;

/// The three files as they read.
Result<std::vector<std::string>> read_map_files(const std::string& directory) {
  std::vector<std::string> texts;
  for (const char* file : {"/uid_map", "/gid_map"}) {
    auto text = sys::read_text(directory + file);
    if (!text) return fail(text.error(), "read " + directory + file);
    texts.push_back(std::move(*text));
  }
  texts.push_back(sys::read_text(directory + "/setgroups").value_or(""));
  return texts;
}

Result<IdMaps> parse_map_files(const Result<std::vector<std::string>>& texts) {
  if (!texts) return std::unexpected(texts.error());
  return IdMaps{.uids = sys::parse_id_map(texts->at(0)),
                .gids = sys::parse_id_map(texts->at(1)),
                .setgroups = !texts->at(2).starts_with("deny")};
}

/// "uid 0", "uids 1 to 9".
std::string range(std::string_view word, uint32_t first, uint32_t size) {
  const std::string text(word);
  if (size == 1) return text + ' ' + std::to_string(first);
  return text + "s " + std::to_string(first) + " to " + std::to_string(uint64_t{first} + size - 1);
}

void explain_map(const IdMap& map, std::string_view word, std::vector<std::string>& sentences) {
  constexpr uint32_t kAll = 0xffffffff;
  const std::string name(word);
  const std::string overflow = "the overflow " + name + " (65534)";
  if (map.empty()) {
    sentences.push_back("no " + name + " is mapped: every one shows as " + overflow + " inside");
    return;
  }
  for (const IdMapping& line : map) {
    if (line.container_id == line.host_id && line.size == kAll) {
      sentences.push_back("every " + name + " inside is the same outside");
      return;
    }
    const std::string inside = range(word, line.container_id, line.size) + " inside";
    if (line.container_id == line.host_id)
      sentences.push_back(inside + (line.size == 1 ? " is" : " are") + " the same outside");
    else
      sentences.push_back(inside + (line.size == 1 ? " is " : " are ") +
                          range(word, line.host_id, line.size) + " outside");
  }
  sentences.push_back("every other " + name + " outside shows as " + overflow + " inside");
}

bool has_capability(int capability) {
  sys::cap_user_header header;
  sys::cap_user_data data[2];
  return sys::capget(&header, data) == 0 && (data[0].effective >> capability & 1U) != 0;
}

/// What map_write() in kernel/user_namespace.c has against a map, by its numbers.
std::string map_hint(std::string_view text, int code) {
  constexpr size_t kMostLines = 340;
  constexpr size_t kPageBytes = 4096;
  const auto lines = static_cast<size_t>(std::ranges::count(text, '\n')) + 1;
  if (code == EINVAL && lines > kMostLines) return "a map has at most 340 lines";
  if (code == EINVAL && text.size() >= kPageBytes) return "a map has less than 4096 bytes";
  if (code == EINVAL) return "two ranges overlap, or one goes past the last id";
  return {};
}

Status write_file(const std::string& path, std::string_view text) {
  const bool one_line = text.find('\n') == std::string_view::npos;
  const std::string what = "write " +
                           (one_line ? '"' + std::string(text) + '"' : std::string("the map")) +
                           " to " + path;
  const int fd =
      sys::openat(sys::kAtFdcwd, path.c_str(), sys::OpenFlags::wronly | sys::OpenFlags::cloexec);
  if (fd < 0) return fail(-fd, what);
  const Fd closer(fd);
  const long written = sys::write(fd, text.data(), text.size());
  if (written >= 0) return {};
  const int code = static_cast<int>(-written);
  return fail(code, what, map_hint(text, code));
}

/// What a program says on its standard error, and how it ends.
struct Said {
  std::string text;
  int status = -1;
};

Result<Said> run_program(const std::vector<std::string>& words) {
  const std::string what = "run " + words.front();
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) return fail(errno, what);
  const Fd read_end(fds[0]);
  Fd write_end(fds[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return fail(error, what,
                error == ENOENT ? "it is in the package uidmap (shadow-utils)" : std::string());
  write_end.reset();
  Said said;
  std::array<char, 512> piece{};
  for (ssize_t got = 0; (got = ::read(read_end.get(), piece.data(), piece.size())) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) said.text.append(piece.data(), static_cast<size_t>(got));
  }
  while (said.text.ends_with('\n')) said.text.pop_back();
  while (::waitpid(pid, &said.status, 0) < 0 && errno == EINTR) {
  }
  return said;
}

struct MapKind {
  const char* file;
  const char* program;
  int capability;
  uint32_t own_id;
};

/// Whether the kernel takes the map from the caller itself: user_namespaces(7), "Defining user and
/// group ID mappings".
bool may_write(const IdMap& map, const MapKind& kind) {
  if (has_capability(kind.capability)) return true;
  return map.size() == 1 && map[0].size == 1 && map[0].host_id == kind.own_id;
}

Status write_map(pid_t pid, const IdMap& map, const MapKind& kind) {
  if (map.empty()) return {};
  if (may_write(map, kind))
    return write_file("/proc/" + std::to_string(pid) + kind.file, to_text(map));
  std::vector<std::string> words = {kind.program, std::to_string(pid)};
  for (const IdMapping& line : map)
    for (const uint32_t number : {line.container_id, line.host_id, line.size})
      words.push_back(std::to_string(number));
  const Result<Said> said = run_program(words);
  if (!said) return std::unexpected(said.error());
  if (WIFEXITED(said->status) && WEXITSTATUS(said->status) == 0) return {};
  return fail(EPERM, std::string(kind.program) + " of " + to_text(map), said->text);
}

}  // namespace

Result<IdMaps> id_maps(pid_t pid) {
  return parse_map_files(read_map_files("/proc/" + std::to_string(pid)));
}

Result<IdMaps> id_maps(const Namespace& user_namespace) {
  if (user_namespace.type() != NamespaceType::user)
    return fail(EINVAL, "read the maps of " + user_namespace.link_text(),
                "it is no user namespace");
  const Result<Namespace> own = Namespace::of_self(NamespaceType::user);
  if (own && *own == user_namespace) return parse_map_files(read_map_files("/proc/self"));
  return parse_map_files(in(user_namespace, [] { return read_map_files("/proc/self"); }));
}

std::vector<std::string> explain(const IdMaps& maps) {
  std::vector<std::string> sentences;
  explain_map(maps.uids, "uid", sentences);
  explain_map(maps.gids, "gid", sentences);
  if (!maps.setgroups) sentences.emplace_back("setgroups(2) is denied inside");
  return sentences;
}

Status write_id_maps(pid_t pid, const IdMaps& maps) {
  const MapKind uids{"/uid_map", "newuidmap", kCapSetuid, sys::geteuid()};
  const MapKind gids{"/gid_map", "newgidmap", kCapSetgid, sys::getegid()};
  if (!maps.setgroups) {
    const Status denied = write_file("/proc/" + std::to_string(pid) + "/setgroups", "deny");
    if (!denied) return denied;
  } else if (!maps.gids.empty() && may_write(maps.gids, gids) && !has_capability(kCapSetgid)) {
    return fail(EPERM, "write \"" + to_text(maps.gids) + "\" to gid_map",
                "without CAP_SETGID only where setgroups is denied before: IdMaps::setgroups");
  }
  if (Status written = write_map(pid, maps.uids, uids); !written) return written;
  return write_map(pid, maps.gids, gids);
}

namespace {

/// The child's part: 0 or -errno goes out, and it stays until the other side closes.
[[noreturn]] void live_in_user_namespace(int socket, const UserNamespaceOwner* owner) noexcept {
  int result = 0;
  if (owner != nullptr) {
    result = sys::setresgid(owner->gid, owner->gid, owner->gid);
    if (result == 0) result = sys::setresuid(owner->uid, owner->uid, owner->uid);
    if (result == 0) result = sys::unshare(sys::CloneFlags::newuser);
  }
  sys::write(socket, &result, sizeof result);
  char byte = 0;
  sys::read(socket, &byte, 1);
  sys::exit_group(0);
}

}  // namespace

Result<Namespace> create_user_namespace(const IdMaps& maps,
                                        const std::optional<UserNamespaceOwner>& owner) {
  constexpr std::string_view kWhat = "make a user namespace";
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    return fail(errno, std::string(kWhat));
  Fd ours(fds[0]);
  Fd theirs(fds[1]);
  int pidfd = -1;
  sys::clone_args args;
  args.flags = sys::bits(sys::CloneFlags::pidfd);
  if (!owner) args.flags |= sys::bits(sys::CloneFlags::newuser);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  // It makes system calls only: the caller may have threads.
  const int pid = sys::clone3(&args);
  if (pid < 0) return fail(-pid, std::string(kWhat), ns::unshare_hint({NamespaceType::user}, -pid));
  if (pid == 0) {
    sys::close(ours.get());
    live_in_user_namespace(theirs.get(), owner ? &*owner : nullptr);
  }
  const Fd closer(pidfd);
  theirs.reset();
  int result = -ECHILD;
  sys::read(ours.get(), &result, sizeof result);
  Status ready =
      result < 0 && owner
          ? Status(fail(-result, std::string(kWhat) + " of uid " + std::to_string(owner->uid),
                        result == -EPERM ? "it takes CAP_SETUID and CAP_SETGID" : ""))
          : write_id_maps(pid, maps);
  Result<Namespace> made = ready ? Namespace::of_pidfd(closer.borrow(), NamespaceType::user)
                                 : Result<Namespace>(std::unexpected(ready.error()));
  ours.reset();
  sys::siginfo info;
  while (sys::waitid(sys::WaitId::pidfd, pidfd, &info,
                     sys::WaitFlags::exited | sys::WaitFlags::all) == -EINTR) {
  }
  return made;
}

}  // namespace isle
