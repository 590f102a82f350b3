#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "run/checks.h"
#include "run/probe.h"

namespace isle::probe {
namespace {

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool gives_privilege(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if ((status.st_mode & S_IXUSR) == 0 || access(path.c_str(), X_OK) != 0) return false;
  if ((status.st_mode & S_ISUID) != 0) return true;
  return getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

std::string_view search_path_of(const std::vector<std::string>& environment) {
  constexpr std::string_view kName = "PATH=";
  for (const std::string& variable : environment)
    if (variable.starts_with(kName)) return std::string_view(variable).substr(kName.size());
  return {};
}

}  // namespace

std::vector<SubIdRange> parse_subids(std::string_view text, uid_t uid, std::string_view name) {
  std::vector<SubIdRange> ranges;
  while (!text.empty()) {
    std::string_view line = sys::next_part(text, '\n');
    const std::string_view owner = sys::next_part(line, ':');
    const bool ours = (!name.empty() && owner == name) || number(owner) == uid;
    const auto start = number(sys::next_part(line, ':'));
    const auto count = number(line);
    if (ours && start && count && *count > 0) ranges.push_back({*start, *count});
  }
  return ranges;
}

std::vector<SubIdRange> mapped_part(const std::vector<SubIdRange>& ranges, const IdMap& own_map) {
  if (own_map.empty()) return ranges;
  std::vector<SubIdRange> result;
  for (const SubIdRange& range : ranges) {
    for (const IdMapping& line : own_map) {
      const uint64_t from = std::max(range.start, line.container_id);
      const uint64_t to =
          std::min(uint64_t{range.start} + range.count, uint64_t{line.container_id} + line.size);
      if (from < to)
        result.push_back({static_cast<uint32_t>(from), static_cast<uint32_t>(to - from)});
    }
  }
  return result;
}

std::string login_name(uid_t uid, const std::string& prefix) {
  const auto passwd = sys::read_text(prefix + "/etc/passwd");
  if (!passwd) return {};
  for (std::string_view rest = *passwd; !rest.empty();) {
    std::string_view line = sys::next_part(rest, '\n');
    const std::string_view name = sys::next_part(line, ':');
    sys::next_part(line, ':');
    if (number(sys::next_part(line, ':')) == uid) return std::string(name);
  }
  return {};
}

std::string find_privileged_program(std::string_view name, std::string_view search_path,
                                    const std::string& prefix) {
  while (!search_path.empty()) {
    const std::string_view directory = sys::next_part(search_path, ':');
    if (!directory.starts_with('/')) continue;
    const std::string path = std::string(directory).append("/").append(name);
    if (gives_privilege(prefix + path)) return path;
  }
  return {};
}

void look_up_subids(const Spec& spec, Host& host, const std::string& prefix) {
  const auto subuid = sys::read_text(prefix + "/etc/subuid");
  const auto subgid = sys::read_text(prefix + "/etc/subgid");
  if (subuid && subgid) {
    const std::string name = login_name(host.uid, prefix);
    host.subuid = mapped_part(parse_subids(*subuid, host.uid, name), host.own_uid_map);
    host.subgid = mapped_part(parse_subids(*subgid, host.uid, name), host.own_gid_map);
  }
  const bool asked_for = spec.map_auto.value || spec.uid_mappings || spec.gid_mappings;
  if (!asked_for && (host.subuid.empty() || host.subgid.empty())) return;
  checks::Finding usable = checks::may_gain_privileges();
  const std::string path = std::string("/usr/bin:").append(search_path_of(host.environment));
  for (const auto& [name, found] :
       {std::pair{"newuidmap", &host.newuidmap}, std::pair{"newgidmap", &host.newgidmap}}) {
    if (usable.ok()) *found = find_privileged_program(name, path, prefix);
    if (usable.ok() && found->empty()) usable = checks::mapping_program(name, prefix);
  }
  host.no_mapping_programs = usable.detail;
  host.no_mapping_programs_advice = usable.advice;
}

bool may_use_subids(const Spec& spec, uid_t uid) {
  if (!spec.creates(NamespaceType::user)) return false;
  if (spec.map_auto.value) return true;
  if (uid == 0) return false;  // who may map by himself
  return spec.uid_mappings || spec.gid_mappings || spec.use_subordinate_ids;
}

}  // namespace isle::probe
