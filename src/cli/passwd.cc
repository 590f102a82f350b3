#include "cli/passwd.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "cli/values.h"
#include "run/read_in_root.h"

namespace isle::cli {
namespace {

// A user data base of an untrusted root is not allowed to eat the caller's memory.
constexpr size_t kLargestFile = 16U << 20;

std::string_view take(std::string_view* rest, char separator) {
  const size_t at = rest->find(separator);
  const std::string_view part = rest->substr(0, at);
  rest->remove_prefix(at == std::string_view::npos ? rest->size() : at + 1);
  return part;
}

template <size_t N>
std::optional<std::array<std::string_view, N>> fields_of(std::string_view line) {
  std::array<std::string_view, N> fields;
  for (size_t i = 0; i < N; ++i) {
    const bool last = i + 1 == N;
    const size_t colon = line.find(':');
    if ((colon == std::string_view::npos) != last) return std::nullopt;
    fields[i] = line.substr(0, colon);
    if (!last) line.remove_prefix(colon + 1);
  }
  return fields;
}

}  // namespace

std::optional<PasswdEntry> parse_passwd_line(std::string_view line) {
  const auto fields = fields_of<7>(line);
  if (!fields || (*fields)[0].empty()) return std::nullopt;
  const auto uid = parse_id((*fields)[2]);
  const auto gid = parse_id((*fields)[3]);
  if (!uid || !gid) return std::nullopt;
  return PasswdEntry{
      .name = (*fields)[0], .uid = *uid, .gid = *gid, .home = (*fields)[5], .shell = (*fields)[6]};
}

std::vector<uint32_t> groups_of(std::string_view group_text, std::string_view name) {
  std::vector<uint32_t> gids;
  while (!group_text.empty()) {
    const auto fields = fields_of<4>(take(&group_text, '\n'));
    if (!fields) continue;
    const auto gid = parse_id((*fields)[2]);
    std::string_view members = (*fields)[3];
    while (gid && !members.empty()) {
      if (take(&members, ',') == name) {
        gids.push_back(*gid);
        break;
      }
    }
  }
  return gids;
}

Result<UserEntry> find_user(std::string_view passwd_text, std::string_view group_text,
                            std::string_view name) {
  while (!passwd_text.empty()) {
    const auto entry = parse_passwd_line(take(&passwd_text, '\n'));
    if (!entry || entry->name != name) continue;
    return UserEntry{
        .uid = entry->uid, .gid = entry->gid, .additional_gids = groups_of(group_text, name)};
  }
  return fail(0, fmt::format("no user {} in the root's /etc/passwd", quoted(name)),
              "a number is taken as it is");
}

Result<UserEntry> user_from_root(const std::string& root, std::string_view name) {
  const auto passwd = read_user_file(root, "etc/passwd");
  if (!passwd) return std::unexpected(passwd.error());
  const auto group = read_user_file(root, "etc/group");
  if (!group && group.error().code != ENOENT) return std::unexpected(group.error());
  return find_user(*passwd, group ? std::string_view(*group) : std::string_view{}, name);
}

std::optional<PasswdEntry> find_uid(std::string_view passwd_text, uid_t uid) {
  while (!passwd_text.empty()) {
    const auto entry = parse_passwd_line(take(&passwd_text, '\n'));
    if (entry && entry->uid == uid) return entry;
  }
  return std::nullopt;
}

Result<std::string> read_user_file(const std::string& root, const std::string& path) {
  return read_in_root(root, path, kLargestFile);
}

std::string login_shell(uid_t uid) {
  const auto text = read_user_file("/", "etc/passwd");
  const auto entry = text ? find_uid(*text, uid) : std::nullopt;
  return entry ? std::string(entry->shell) : std::string{};
}

}  // namespace isle::cli
