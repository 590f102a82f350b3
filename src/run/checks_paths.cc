#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>

#include "isle/fd.h"
#include "run/checks.h"
#include "run/read_in_root.h"
#include "sys/abi_process.h"
#include "sys/file_calls.h"
#include "sys/proc_files.h"
#include "sys/settings_calls.h"

namespace isle::checks {
namespace {

constexpr uint32_t kSearch = 1;  // x of a directory, as in rwx
constexpr int kMostLinks = 40;   // MAXSYMLINKS of the kernel

std::string target_of(const std::string& link) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = readlink(link.c_str(), buffer.data(), buffer.size());
  return size <= 0 ? std::string{} : std::string(buffer.data(), static_cast<size_t>(size));
}

void put_in_front(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty())
    if (const std::string_view part = sys::next_part(path, '/'); !part.empty() && part != ".")
      parts.emplace_back(part);
  rest.insert(rest.begin(), parts.begin(), parts.end());
}

std::string whose(const struct stat& status) {
  return fmt::format("mode {:04o}, owner {}:{}", status.st_mode & 07777, status.st_uid,
                     status.st_gid);
}

struct Walk {
  Finding finding;
  std::string end;  // where it leads, links resolved, as a host path
};

// One step further from the resolved directory `here`; false at the end of the way.
class Walking {
 public:
  Walking(const std::string& path, const Walker& walker, const std::string& root)
      : path_(path), walker_(walker), root_(root == "/" ? "" : root), here_(root_) {
    if (!path.starts_with('/') && root.empty()) here_ = ".";
    put_in_front(rest_, path);
  }

  Walk go() {
    Finding finding;
    while (finding.ok() && !rest_.empty()) finding = step();
    return {std::move(finding), here_.empty() ? "/" : here_};
  }

 private:
  Finding step() {
    const std::string directory = here_.empty() ? "/" : here_;
    struct stat status{};
    if (stat(directory.c_str(), &status) == 0) {
      if (!S_ISDIR(status.st_mode)) return no(directory + " is not a directory");
      if (!walker_.may(kSearch, status))
        return no(fmt::format("user {} may not go through {} ({})", walker_.uid, directory,
                              whose(status)),
                  fmt::format("chmod o+x {}, or use a path that everybody may go", directory));
    }
    const std::string name = std::move(rest_.front());
    rest_.pop_front();
    if (name == ".." && here_ == root_) return yes();
    const std::string next = here_ + "/" + name;
    if (lstat(next.c_str(), &status) != 0) {
      if (errno != ENOENT) {  // not for us to tell
        rest_.clear();
        return yes();
      }
      if (next == "/proc/self" || (here_ == "/proc" && access("/proc/self", F_OK) != 0))
        return no("no proc file system is mounted on /proc", "mount -t proc proc /proc");
      return no(fmt::format("{} does not exist", next));
    }
    if (!S_ISLNK(status.st_mode)) {
      here_ = next;
      return yes();
    }
    if (++links_ > kMostLinks) return no(fmt::format("{} is a loop of symbolic links", path_));
    const std::string target = target_of(next);
    put_in_front(rest_, target);
    if (target.starts_with('/')) here_ = root_;
    return yes();
  }

  const std::string& path_;
  const Walker& walker_;
  std::string root_;
  std::string here_;
  std::deque<std::string> rest_;
  int links_ = 0;
};

Walk walk(const std::string& path, const Walker& walker, const std::string& root) {
  return Walking(path, walker, root).go();
}

// The beginning of a program.
struct Head {
  std::array<char, 512> bytes{};
  size_t size = 0;
  [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }
};

std::string interpreter_of_script(std::string_view head) {
  head.remove_prefix(2);
  std::string_view line = sys::next_part(head, '\n');
  return std::string(sys::next_word(line));
}

// PT_INTERP of a 64-bit ELF file; empty for a static one.
std::string interpreter_of_elf(int fd, const Head& head) {
  Elf64_Ehdr header;
  if (head.size < sizeof header || head.bytes[EI_CLASS] != ELFCLASS64) return {};
  std::memcpy(&header, head.bytes.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, at) != ssize_t{sizeof segment}) return {};
    if (segment.p_type != PT_INTERP) continue;
    std::array<char, PATH_MAX> name{};
    const size_t size = std::min<size_t>(segment.p_filesz, name.size() - 1);
    if (pread(fd, name.data(), size, static_cast<off_t>(segment.p_offset)) < 0) return {};
    return name.data();
  }
  return {};
}

#if defined(__aarch64__)
constexpr unsigned kOwnMachine = EM_AARCH64;
#else
constexpr unsigned kOwnMachine = EM_X86_64;
#endif

std::string_view machine_name(unsigned machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "32-bit x86";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC";
    case EM_S390:
      return "s390";
    default:
      return "another architecture";
  }
}

Finding interpreter_works(const std::string& file, const std::string& interpreter,
                          std::string_view what, const Walker& walker, const std::string& root) {
  if (interpreter.empty()) return yes();
  const Walk found = walk(interpreter, walker, root);
  if (!found.finding.ok())
    return no(fmt::format("{} names the {} {}: {}", file, what, interpreter, found.finding.detail));
  struct stat status{};
  if (stat(found.end.c_str(), &status) == 0 &&
      (!walker.may(kSearch, status) || !S_ISREG(status.st_mode)))
    return no(fmt::format("{} names the {} {}, which is not executable ({})", file, what,
                          interpreter, whose(status)));
  return yes();
}

Finding contents_are_executable(const std::string& path, const std::string& file,
                                const Walker& walker, const std::string& root) {
  // A way that was walked may lead elsewhere by now: in a root it is not for us to follow.
  const Fd fd = root.empty() ? Fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))
                             : open_in_root(root, path).value_or(Fd());
  if (!fd) return yes();
  Head head;
  head.size = static_cast<size_t>(
      std::max<ssize_t>(0, pread(fd.get(), head.bytes.data(), head.bytes.size(), 0)));
  const std::string_view text = head.text();
  if (text.empty()) return no(path + " is empty");
  if (text.starts_with("#!")) {
    const std::string interpreter = interpreter_of_script(text);
    if (interpreter.ends_with('\r'))
      return no(fmt::format("the first line of {} ends in a carriage return", path),
                "convert the script to Unix line ends");
    return interpreter_works(path, interpreter, "interpreter", walker, root);
  }
  if (text.starts_with(ELFMAG)) {
    Elf64_Ehdr header{};
    std::memcpy(&header, text.data(), std::min(sizeof header, text.size()));
    if (header.e_machine != kOwnMachine && header.e_machine != EM_386 && header.e_machine != EM_ARM)
      return no(fmt::format("{} is a program for {}", path, machine_name(header.e_machine)));
    return interpreter_works(path, interpreter_of_elf(fd.get(), head), "loader", walker, root);
  }
  return no(path + " is neither a program nor a script with a #! line",
            "name its interpreter: sh " + path);
}

}  // namespace

Walker Walker::caller() {
  Walker walker{.uid = geteuid(), .gid = getegid()};
  walker.groups.resize(static_cast<size_t>(std::max(0, getgroups(0, nullptr))));
  if (!walker.groups.empty())
    walker.groups.resize(static_cast<size_t>(
        std::max(0, getgroups(static_cast<int>(walker.groups.size()), walker.groups.data()))));
  sys::cap_user_header header;
  std::array<sys::cap_user_data, 2> data;
  constexpr uint32_t kDacOverrides = 1U << 1 | 1U << 2;  // CAP_DAC_OVERRIDE, _READ_SEARCH
  const bool capable =
      sys::capget(&header, data.data()) == 0 && (data[0].effective & kDacOverrides) != 0;
  if (!capable) return walker;
  // Over what has owners in our own user namespace; what has not shows as the overflow ids there.
  walker.override_uids = sys::parse_id_map(sys::read_text("/proc/self/uid_map").value_or(""));
  walker.override_gids = sys::parse_id_map(sys::read_text("/proc/self/gid_map").value_or(""));
  for (IdMap* map : {&walker.override_uids, &walker.override_gids})
    for (IdMapping& line : *map) line.host_id = line.container_id;  // stat(2) tells our own ids
  const auto whole = [](const IdMap& map) { return map.size() == 1 && map[0].size == 0xffffffff; };
  walker.override_all = whole(walker.override_uids) && whole(walker.override_gids);
  return walker;
}

bool Walker::may(uint32_t access, const struct stat& status) const {
  uint32_t allowed = status.st_mode & 7;
  if (status.st_uid == uid) {
    allowed = status.st_mode >> 6 & 7;
  } else if (status.st_gid == gid || std::ranges::find(groups, status.st_gid) != groups.end()) {
    allowed = status.st_mode >> 3 & 7;
  }
  if ((allowed & access) == access) return true;
  // Not even CAP_DAC_OVERRIDE executes a file that nobody may.
  if (!S_ISDIR(status.st_mode) && (access & kSearch) != 0 && (status.st_mode & 0111) == 0)
    return false;
  return override_all || (to_container(override_uids, status.st_uid).has_value() &&
                          to_container(override_gids, status.st_gid).has_value());
}

Finding path_is_reachable(const std::string& path, const Walker& walker, const std::string& root) {
  return walk(path, walker, root).finding;
}

Finding directory_is_writable(const std::string& path, const Walker& walker,
                              const std::string& root) {
  const Walk found = walk(path, walker, root);
  struct stat status{};
  constexpr uint32_t kWriteAndSearch = 3;
  if (!found.finding.ok() || stat(found.end.c_str(), &status) != 0) return yes();
  if (!S_ISDIR(status.st_mode)) return no(found.end + " is no directory");
  if (walker.may(kWriteAndSearch, status)) return yes();
  return no(fmt::format("user {} may not make anything in {} ({})", walker.uid, found.end,
                        whose(status)));
}

Finding file_is_executable(const std::string& path, const Walker& walker, const std::string& root) {
  const Walk found = walk(path, walker, root);
  if (!found.finding.ok()) return found.finding;
  struct stat status{};
  if (stat(found.end.c_str(), &status) != 0) return yes();
  if (S_ISDIR(status.st_mode)) return no(path + " is a directory");
  if (!S_ISREG(status.st_mode)) return no(path + " is not a regular file");
  if ((status.st_mode & 0111) == 0)
    return no(fmt::format("{} has no x bit ({})", path, whose(status)), "chmod +x " + path);
  if (!walker.may(kSearch, status))
    return no(fmt::format("user {} may not execute {} ({})", walker.uid, path, whose(status)));
  struct statvfs mount{};
  if (statvfs(found.end.c_str(), &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0)
    return no(path + " is on a mount with noexec");
  return contents_are_executable(path, found.end, walker, root);
}

// The same walk as path::open_in() makes, a component more each time; where that is refused, once
// more without that rule: then a link of /proc gives EXDEV, a loop ELOOP still.
Finding links_stay_inside(const std::string& root, const std::string& path) {
  constexpr auto kFlags = sys::OpenFlags::path | sys::OpenFlags::cloexec;
  const Fd top(sys::openat(sys::kAtFdcwd, root.empty() ? "/" : root.c_str(), kFlags));
  const auto result = [&](const std::string& part, sys::Resolve resolve) {
    sys::open_how how;
    how.flags = sys::bits(kFlags);
    how.resolve = sys::bits(resolve);
    const Fd opened(sys::openat2(top.get(), part.c_str(), &how));
    return opened.get();  // negative: -errno
  };
  std::string part;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view name = sys::next_part(rest, '/');
    if (name.empty()) continue;
    part.append("/").append(name);
    if (result(part, sys::Resolve::in_root | sys::Resolve::no_magiclinks) != -ELOOP) continue;
    if (result(part, sys::Resolve::in_root) == -ELOOP)
      return no(fmt::format("{} is a loop of symbolic links", part));
    return no(
        fmt::format("{} is a link of /proc that leads out of any root, and is not followed", part));
  }
  return yes();
}

}  // namespace isle::checks
