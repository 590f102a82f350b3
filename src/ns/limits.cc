// /proc/sys/user: how many namespaces may be made.
#include <cerrno>
#include <charconv>

#include "isle/namespace.h"
#include "sys/proc_files.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

std::string limit_path(NamespaceType type) {
  return "/proc/sys/user/" + std::string(type_info(type).limit_name);
}

}  // namespace

Result<uint32_t> namespace_limit(NamespaceType type) {
  const std::string path = limit_path(type);
  const auto text = sys::read_text(path);
  if (!text) return fail(text.error(), "read " + path);
  uint32_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{}) return fail(EINVAL, path + " holds no number");
  return limit;
}

Status set_namespace_limit(NamespaceType type, uint32_t limit) {
  const std::string path = limit_path(type);
  const std::string text = std::to_string(limit);
  const std::string what = "write " + text + " to " + path;
  const int fd =
      sys::openat(sys::kAtFdcwd, path.c_str(), sys::OpenFlags::wronly | sys::OpenFlags::cloexec);
  if (fd < 0) return fail(-fd, what);
  const Fd closer(fd);
  const long written = sys::write(fd, text.data(), text.size());
  if (written < 0) return fail(static_cast<int>(-written), what);
  return {};
}

}  // namespace isle
