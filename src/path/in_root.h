// The one way to a path inside a root file system that is not trusted: the kernel resolves it when
// it is used, by openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS from a descriptor of that
// root, so that neither "..", nor an absolute link, nor a rename meanwhile leads out; what follows
// goes by descriptor. Freestanding: the executor calls this between clone3 and execve. No heap, no
// libc. Results are descriptors or 0, else -errno.
#pragma once

#include <cstdint>

#include "sys/abi_file.h"

namespace isle::path {

/// Opens `path` below `root`. -ELOOP or -EXDEV: a link of /proc/PID/fd's kind in the way.
int open_in(int root, const char* path, sys::OpenFlags flags,
            sys::Resolve resolve = sys::Resolve::in_root | sys::Resolve::no_magiclinks) noexcept;

/// chdir(2) by openat2(2): with no_magiclinks, -ELOOP for a path over a descriptor that is open here.
int change_directory(const char* path, sys::Resolve resolve) noexcept;

enum class Leaf { directory, file };

/// A descriptor of `path` below `root` to mount on or to look from, made with its parents (0755) where it is missing;
/// a link that leads nowhere is made to lead somewhere, inside the root. `mode` is that of a leaf
/// it makes. -ENOTDIR or -EISDIR: it exists and is of the other kind.
int make_in(int root, const char* path, Leaf leaf, std::uint32_t mode) noexcept;

/// The directory that holds `path`'s last component, made where it is missing, as an O_PATH
/// descriptor, or `root` itself where that is it; `*name` is set to that component. -EINVAL: there
/// is none ("/", "a/..").
int parent_in(int root, const char* path, const char** name) noexcept;

}  // namespace isle::path
