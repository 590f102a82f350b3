// Programs on disk. A file holds the text of what it was made for, so that its name, a short hash,
// decides nothing: two profiles with one hash only take turns.
#include <fcntl.h>
#include <fmt/format.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "isle/fd.h"
#include "seccomp/compile.h"

namespace isle::seccomp {
namespace {

constexpr size_t kMostBytes = size_t{4} << 20;

/// All that the program depends on.
std::string key_of(const Profile& profile) {
  std::string key =
      fmt::format("isle 2 libseccomp {} native {:x}\ndefault {:x} {}{}\n", library_version(),
                  seccomp_arch_native(), static_cast<uint32_t>(profile.default_action),
                  profile.default_error, profile.unknown_fails ? " all known" : "");
  for (const uint32_t architecture : profile.architectures)
    key += fmt::format("architecture {:x}\n", architecture);
  for (const Rule& rule : profile.rules) {
    key += fmt::format("rule {:x} {}", static_cast<uint32_t>(rule.action), rule.error);
    for (const Argument& argument : rule.arguments)
      key += fmt::format(" arg {} {} {} {}", argument.index, static_cast<int>(argument.op),
                         argument.value, argument.value_two);
    for (const std::string& name : rule.names) key += fmt::format(" {}:{}", name.size(), name);
    key += '\n';
  }
  return key;
}

/// FNV-1a.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// Ours, and nobody else's to write.
bool is_trusted(int fd, mode_t kind) {
  struct stat status{};
  constexpr mode_t kOthersWrite = 0022;
  return ::fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == kind &&
         status.st_uid == ::geteuid() && (status.st_mode & kOthersWrite) == 0;
}

Fd open_directory(const std::string& path) {
  constexpr mode_t kMode = 0700;
  if (::mkdir(path.c_str(), kMode) < 0 && errno != EEXIST) return Fd();
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory && !is_trusted(directory.get(), S_IFDIR)) directory.reset();
  return directory;
}

std::string read_file(int directory, const std::string& name) {
  const Fd file(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || !is_trusted(file.get(), S_IFREG)) return {};
  std::string text;
  char buffer[16384];
  for (ssize_t got = 0; (got = ::read(file.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMostBytes) return {};
  }
  return text;
}

/// Whole or not there, whatever happens meanwhile. That it cannot be kept is no failure.
void keep(int directory, const std::string& name, const std::string& text) {
  constexpr mode_t kMode = 0600;
  const std::string temporary = fmt::format(".{}.{}", name, ::getpid());
  const Fd file(::openat(directory, temporary.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!file) return;
  const bool whole =
      ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!whole || ::renameat(directory, temporary.c_str(), directory, name.c_str()) < 0)
    ::unlinkat(directory, temporary.c_str(), 0);
}

}  // namespace

Result<Program> compile_cached(const Profile& profile, const std::string& directory) {
  const std::string key = key_of(profile);
  const std::string name = fmt::format("{:016x}", hash_of(key));
  const Fd folder = open_directory(directory);
  if (folder) {
    const std::string kept = read_file(folder.get(), name);
    if (kept.size() > key.size() + 1 && kept.starts_with(key) && kept[key.size()] == '\0' &&
        (kept.size() - key.size() - 1) % sizeof(uint64_t) == 0) {
      Program program((kept.size() - key.size() - 1) / sizeof(uint64_t));
      std::memcpy(program.data(), kept.data() + key.size() + 1, program.size() * sizeof(uint64_t));
      return program;
    }
  }
  auto program = compile(profile);
  if (program && folder) {
    std::string text = key;
    text += '\0';
    text.append(reinterpret_cast<const char*>(program->data()), program->size() * sizeof(uint64_t));
    keep(folder.get(), name, text);
  }
  return program;
}

}  // namespace isle::seccomp
