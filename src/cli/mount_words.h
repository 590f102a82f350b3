// The comma separated words after a mount: attributes, propagation, id maps, and the file system's
// own. Used by --bind and its kin, --tmpfs and --mount.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/spec.h"

namespace isle::cli {

/// What the words read so far amount to.
struct MountWords {
  /// What is set unless a word says otherwise.
  MountAttributes attributes;
  /// Words for bind mounts ("norec", "idmap=...") make sense.
  bool may_bind = false;

  std::optional<Propagation> propagation = {};
  bool propagation_recursive = false;
  bool recursive = true;
  bool optional = false;
  bool idmapped_as_sandbox = false;
  IdMap uid_mappings = {};
  IdMap gid_mappings = {};
  /// "size=1M", "mode=755", flags with an empty value: for the file system.
  std::vector<std::pair<std::string, std::string>> options = {};

  /// "ro,noexec,size=1M"; nothing in an empty text.
  Status read(std::string_view text);
  Status read_word(std::string_view word);

  [[nodiscard]] bool has(std::string_view option) const;
  /// Attributes hold for the mounts below too where the bind is recursive.
  void apply(Bind& bind) const;
  void apply(FileSystem& file_system) const;

 private:
  bool read_bind_word(std::string_view key, std::string_view value, Status* status);
};

/// Complaints about options tmpfs(5) would not take: size and mode are checked, and size put in
/// bytes; unknown ones are left to the kernel.
Status check_tmpfs(FileSystem& file_system);

struct ParsedMount {
  FsOperation operation;
  bool idmapped_as_sandbox = false;
};

/// "type=T,src=S,dst=D,WORDS": bind and rbind, overlay, and every other type the kernel knows.
Result<ParsedMount> parse_mount(std::string_view text);

}  // namespace isle::cli
