#include "linux_utils/target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "linux_utils/face.h"

namespace isle::linux_utils {
namespace {

Result<std::string> read_of(pid_t pid, std::string_view file) {
  const std::string path = fmt::format("/proc/{}/{}", pid, file);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, fmt::format("cannot open {}", path));
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) return fail(errno, fmt::format("read {}", path));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

}  // namespace

Result<Target> Target::parse(std::string_view text) {
  Target target;
  const size_t colon = text.find(':');
  const std::string_view pid = text.substr(0, colon);
  const auto number = parse_number<pid_t>(pid, 1);
  if (!number) return fail(0, fmt::format("failed to parse pid '{}'", pid));
  target.pid = *number;
  if (colon == std::string_view::npos) return target;
  const std::string_view inode = text.substr(colon + 1);
  target.pidfd_inode = parse_number<uint64_t>(inode);
  if (!target.pidfd_inode) return fail(0, fmt::format("failed to parse pidfd inode '{}'", inode));
  if (Status status = target.open(); !status) return std::unexpected(std::move(status.error()));
  return target;
}

Status Target::open() {
  if (pidfd) return {};
  pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return fail(errno, fmt::format("open pid {}", pid));
  if (!pidfd_inode) return {};
  struct stat status{};
  if (::fstat(pidfd.get(), &status) != 0 || status.st_ino != *pidfd_inode)
    return fail(ESRCH, fmt::format("pid {} is another process by now: its pidfd has inode {}", pid,
                                   status.st_ino));
  return {};
}

Result<std::vector<std::string>> Target::environment() const {
  auto text = read_of(pid, "environ");
  if (!text) return std::unexpected(std::move(text.error()));
  std::vector<std::string> entries;
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = rest.find('\0');
    if (end != 0) entries.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return entries;
}

Result<std::vector<std::string>> Target::cgroups() const {
  auto text = read_of(pid, "cgroup");
  if (!text) return std::unexpected(std::move(text.error()));
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with("0::")) continue;
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      const std::string_view path = line.substr(3);
      const std::string directory = fmt::format("{}{}", mount, path == "/" ? "" : path);
      struct stat status{};
      if (::stat((directory + "/cgroup.procs").c_str(), &status) == 0)
        return std::vector{directory};
    }
  }
  return fail(ENOENT, fmt::format("pid {} is in no cgroup of the unified hierarchy", pid));
}

Result<std::string> Target::selinux_label() const {
  auto text = read_of(pid, "attr/current");
  if (text)
    while (text->ends_with('\0') || text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace isle::linux_utils
