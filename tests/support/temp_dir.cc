#include "temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "isle/fd.h"

namespace isle::test {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

// Opens a directory below `parent`, refusing mount points (bind mounts too) and symlinks.
int open_dir_below(int parent, const char* name) {
  struct open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  const auto open = [&] {
    return static_cast<int>(syscall(SYS_openat2, parent, name, &how, sizeof how));
  };
  int fd = open();
  if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0) fd = open();
  return fd;
}

// Removes `name` in `parent` with all in it; the first thing in the way goes into `problem`.
void remove_below(int parent, const char* name, const std::string& shown, std::string& problem) {
  const auto note = [&] {
    if (problem.empty() && errno != ENOENT) problem = shown + ": " + std::strerror(errno);
  };
  struct stat status{};
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return note();
  if (!S_ISDIR(status.st_mode)) {
    if (unlinkat(parent, name, 0) != 0) note();
    return;
  }
  const int fd = open_dir_below(parent, name);
  if (fd < 0) {
    note();
  } else if ((status.st_mode & 0300) != 0300 && fchmod(fd, 0700) != 0) {
    note();
  }
  if (DIR* dir = fd >= 0 ? fdopendir(fd) : nullptr; dir != nullptr) {
    while (const dirent* entry = readdir(dir)) {
      const std::string_view child = entry->d_name;
      if (child != "." && child != "..") {
        remove_below(fd, entry->d_name, shown + "/" + entry->d_name, problem);
      }
    }
    closedir(dir);
  }
  if (unlinkat(parent, name, AT_REMOVEDIR) != 0) note();
}

const pid_t kTestProgram = getpid();

}  // namespace

pid_t test_program() { return kTestProgram; }

std::string remove_tree(const std::string& path) {
  const std::filesystem::path whole(path);
  const Fd parent(open(whole.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return whole.parent_path().string() + ": " + std::strerror(errno);
  std::string problem;
  remove_below(parent.get(), whole.filename().c_str(), path, problem);
  return problem;
}

TempDir::TempDir(std::string_view parent) : owner_pid_(getpid()) {
  path_ = std::string(parent) + "/isle-test-" + std::to_string(test_program()) + "-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) throw_errno("mkdtemp " + path_);
  if (chmod(path_.c_str(), 0755) != 0) throw_errno("chmod " + path_);
}

TempDir::TempDir(TempDir&& other) noexcept
    : path_(std::exchange(other.path_, {})), owner_pid_(other.owner_pid_) {}

TempDir::~TempDir() {
  if (path_.empty() || getpid() != owner_pid_) return;
  const std::string problem = remove_tree(path_);
  if (!problem.empty()) std::fprintf(stderr, "TempDir not removed: %s\n", problem.c_str());
}

std::string TempDir::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TempDir::write(std::string_view name, std::string_view text, mode_t mode) const {
  const std::string path = *this / name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_file(path, text, mode);
  return path;
}

std::string TempDir::make_dir(std::string_view name, mode_t mode) const {
  std::string path = *this / name;
  std::filesystem::create_directories(path);
  if (chmod(path.c_str(), mode) != 0) throw_errno("chmod " + path);
  return path;
}

void TempDir::give_to(const Identity& owner) const {
  if (!owner.drop) return;
  const auto give = [&](const std::string& path) {
    if (lchown(path.c_str(), owner.uid, owner.gid) != 0) throw_errno("chown " + path);
  };
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) give(entry.path());
  give(path_);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_errno("open " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, std::string_view text, mode_t mode) {
  const bool exists =
      access(path.c_str(), F_OK) == 0;  // in /proc it does, and has no mode to change
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) throw_errno("create " + path);
  while (!text.empty()) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0) throw_errno("write " + path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (!exists && fchmod(fd.get(), mode) != 0) throw_errno("chmod " + path);
}

std::string unique_name(std::string_view hint) {
  static std::atomic<int> count{0};  // each child's own
  const std::string child = getpid() == test_program() ? "" : std::to_string(getpid()) + "-";
  return "isle-test-" + std::to_string(test_program()) + "-" + std::string(hint) + "-" + child +
         std::to_string(++count);
}

}  // namespace isle::test
