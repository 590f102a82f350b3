// /etc/passwd and /etc/group, read by hand: the command is linked statically, where NSS does not
// work, and files of a foreign root are to be read as text, never through its libraries.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/caller.h"
#include "isle/error.h"

namespace isle::cli {

struct PasswdEntry {
  std::string_view name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string_view home;
  std::string_view shell;
};

/// A line of passwd(5): seven fields, strict numbers; nothing for a line that is not one.
std::optional<PasswdEntry> parse_passwd_line(std::string_view line);

/// The gids of the groups of group(5) that list `name` as a member; lines that make no sense are
/// passed over.
std::vector<uint32_t> groups_of(std::string_view group_text, std::string_view name);

/// User `name` from texts of passwd and group. Errors: no such user.
Result<UserEntry> find_user(std::string_view passwd_text, std::string_view group_text,
                            std::string_view name);

/// The same from the files below `root`; no link leads out of it. A missing group file is an empty
/// one. Errors: what opening or reading etc/passwd gives, or no such user.
Result<UserEntry> user_from_root(const std::string& root, std::string_view name);

/// The first entry of `uid` in a text of passwd; it points into that. Nothing: there is none.
std::optional<PasswdEntry> find_uid(std::string_view passwd_text, uid_t uid);

/// The text of `path` below `root`, no link leading out of it, and no longer than a user data base may be. Errors:
/// what opening or reading it gives.
Result<std::string> read_user_file(const std::string& root, const std::string& path);

/// The login shell of `uid` in this machine's /etc/passwd; empty where there is none.
std::string login_shell(uid_t uid);

}  // namespace isle::cli
