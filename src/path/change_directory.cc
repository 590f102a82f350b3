#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"

namespace isle::path {

using sys::OpenFlags;

int change_directory(const char* path, sys::Resolve resolve) noexcept {
  if (resolve == sys::Resolve::none) return sys::chdir(path);
  const int fd = open_in(sys::kAtFdcwd, path,
                         OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec, resolve);
  if (fd < 0) return fd;
  const int changed = sys::fchdir(fd);
  sys::close(fd);
  return changed;
}

}  // namespace isle::path
