#include "run/read_in_root.h"

#include <array>
#include <cerrno>

#include "isle/fd.h"
#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle {
namespace {

using sys::OpenFlags;

std::unexpected<Error> cannot_read(long result, const std::string& root, const std::string& path) {
  return fail(static_cast<int>(-result),
              "read \"" + root + (root.ends_with('/') ? "" : "/") + path + '"');
}

Fd open_root(const std::string& root) {
  return Fd(sys::openat(sys::kAtFdcwd, root.c_str(),
                        OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec));
}

}  // namespace

std::optional<mode_t> directory_mode_in_root(const std::string& root, const std::string& path) {
  const Fd root_fd = open_root(root);
  if (!root_fd) return std::nullopt;
  const Fd fd(path::open_in(root_fd.get(), path.c_str(),
                            OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec));
  sys::statx_t status;
  if (!fd || sys::statx(fd.get(), "", sys::AtFlags::empty_path, sys::StatxMask::mode, &status) < 0)
    return std::nullopt;
  return status.stx_mode & ~static_cast<mode_t>(sys::kModeTypeMask);
}

Result<std::string> read_in_root(const std::string& root, const std::string& path,
                                 size_t most_bytes) {
  const int opened = sys::openat(sys::kAtFdcwd, root.c_str(),
                                 OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec);
  if (opened < 0) return cannot_read(opened, root, "");
  const Fd root_fd(opened);
  // A fifo must not hang us, nor a terminal become ours.
  const int file = path::open_in(
      root_fd.get(), path.c_str(),
      OpenFlags::rdonly | OpenFlags::cloexec | OpenFlags::nonblock | OpenFlags::noctty);
  if (file < 0) return cannot_read(file, root, path);
  const Fd fd(file);
  sys::statx_t status;
  const int looked =
      sys::statx(fd.get(), "", sys::AtFlags::empty_path, sys::StatxMask::type, &status);
  if (looked < 0) return cannot_read(looked, root, path);
  if ((status.stx_mode & sys::kModeTypeMask) != sys::kModeRegular)
    return cannot_read(-EINVAL, root, path);
  std::string text;
  std::array<char, 16384> buffer{};
  while (text.size() <= most_bytes) {
    const long count = sys::read(fd.get(), buffer.data(), buffer.size());
    if (count == -EINTR) continue;
    if (count < 0) return cannot_read(count, root, path);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return cannot_read(-EFBIG, root, path);
}

}  // namespace isle
