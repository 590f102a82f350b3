#include "run/read_in_root.h"

#include <array>
#include <cerrno>

#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle {
namespace {

using sys::OpenFlags;

constexpr auto kDirectory = OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec;

std::unexpected<Error> cannot_read(long result, const std::string& root, const std::string& path) {
  return fail(static_cast<int>(-result),
              "read \"" + root + (root.ends_with('/') ? "" : "/") + path + '"');
}

}  // namespace

std::optional<mode_t> directory_mode_in_root(const std::string& root, const std::string& path) {
  const Fd root_fd(sys::openat(sys::kAtFdcwd, root.c_str(), kDirectory));
  if (!root_fd) return std::nullopt;
  const Fd fd(path::open_in(root_fd.get(), path.c_str(),
                            OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec));
  sys::statx_t status;
  if (!fd || sys::statx(fd.get(), "", sys::AtFlags::empty_path, sys::StatxMask::mode, &status) < 0)
    return std::nullopt;
  return status.stx_mode & ~static_cast<mode_t>(sys::kModeTypeMask);
}

Result<Fd> open_in_root(const std::string& root, const std::string& path) {
  const int opened = sys::openat(sys::kAtFdcwd, root.c_str(), kDirectory);
  if (opened < 0) return cannot_read(opened, root, "");
  const Fd root_fd(opened);
  const int found =
      path::open_in(root_fd.get(), path.c_str(), OpenFlags::path | OpenFlags::cloexec);
  if (found < 0) return cannot_read(found, root, path);
  const Fd place(found);
  sys::statx_t status;
  const int looked =
      sys::statx(place.get(), "", sys::AtFlags::empty_path, sys::StatxMask::type, &status);
  if (looked < 0) return cannot_read(looked, root, path);
  if ((status.stx_mode & sys::kModeTypeMask) != sys::kModeRegular)
    return cannot_read(-EINVAL, root, path);
  const std::string again = "/proc/self/fd/" + std::to_string(place.get());
  // Somebody's lease on it must not hang us.
  const int file = sys::openat(sys::kAtFdcwd, again.c_str(),
                               OpenFlags::rdonly | OpenFlags::cloexec | OpenFlags::nonblock);
  if (file < 0) return cannot_read(file, root, path);
  return Fd(file);
}

Result<std::string> read_in_root(const std::string& root, const std::string& path,
                                 size_t most_bytes) {
  const auto fd = open_in_root(root, path);
  if (!fd) return std::unexpected(fd.error());
  std::string text;
  std::array<char, 16384> buffer{};
  while (text.size() <= most_bytes) {
    const long count = sys::read(fd->get(), buffer.data(), buffer.size());
    if (count == -EINTR) continue;
    if (count < 0) return cannot_read(count, root, path);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return cannot_read(-EFBIG, root, path);
}

}  // namespace isle
