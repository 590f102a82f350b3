// A file of a root that is not trusted, as text; by src/path, like all that happens inside a root.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

#include "isle/error.h"
#include "isle/fd.h"

namespace isle {

/// The regular file `path` below the directory `root`, to be read; no link and no ".." leads out of it. Nothing else
/// is so much as opened, which does something to a device. Needs /proc. Errors: open(2)'s and openat2(2)'s; EINVAL
/// it is no regular file.
[[nodiscard]] Result<Fd> open_in_root(const std::string& root, const std::string& path);

/// All of it. Errors: open_in_root()'s; EFBIG it is larger than `most_bytes`.
[[nodiscard]] Result<std::string> read_in_root(const std::string& root, const std::string& path,
                                               size_t most_bytes);

/// The permission bits of the directory `path` there; nothing where there is none.
[[nodiscard]] std::optional<mode_t> directory_mode_in_root(const std::string& root,
                                                           const std::string& path);

}  // namespace isle
