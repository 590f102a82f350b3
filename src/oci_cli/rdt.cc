#include "oci_cli/rdt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ranges>

#include "cli/output.h"
#include "isle/mount.h"
#include "oci/state.h"

namespace isle::oci_cli {
namespace {

/// "L3" and what it has of each cache, "0=ff".
struct Schema {
  std::string resource;
  std::vector<std::pair<std::string, uint64_t>> shares;
};

/// As asked for or as the kernel prints it: "    L3:0=0ff;1=fff". Bandwidth is decimal, a cache's
/// ways are hexadecimal.
Schema parse_schema(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const size_t colon = line.find(':');
  Schema schema{.resource = std::string(line.substr(0, colon)), .shares = {}};
  std::string_view rest = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  const int base = schema.resource.starts_with("MB") ? 10 : 16;
  while (!rest.empty()) {
    const std::string_view share = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), share.size() + 1));
    const size_t sign = std::min(share.find('='), share.size());
    const std::string value(share.substr(std::min(sign + 1, share.size())));
    schema.shares.emplace_back(share.substr(0, sign), std::strtoull(value.c_str(), nullptr, base));
  }
  return schema;
}

std::vector<Schema> parse_schemata(std::string_view text) {
  std::vector<Schema> schemata;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty()) schemata.push_back(parse_schema(line));
  }
  return schemata;
}

/// What is not named in `line` may be anything.
bool has(const std::vector<Schema>& schemata, const std::string& line) {
  const Schema wanted = parse_schema(line);
  return std::ranges::any_of(schemata, [&](const Schema& schema) {
    return schema.resource == wanted.resource &&
           std::ranges::all_of(wanted.shares, [&](const auto& share) {
             return std::ranges::find(schema.shares, share) != schema.shares.end();
           });
  });
}

Status write_schemata(const oci::Rdt& rdt, const std::string& mount, const std::string& group) {
  std::string text;
  for (const std::string& line : rdt.schemata) text += line + "\n";
  const std::string path = group + "/schemata";
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file && cli::write_all(file.get(), text)) return {};
  const int error = errno;
  std::string why = oci::read_whole(mount + "/info/last_cmd_status").value_or("");
  why.resize(why.find_last_not_of('\n') + 1);
  return fail(error, fmt::format("write \"{}\" to \"{}\"", fmt::join(rdt.schemata, "\\n"), path),
              std::move(why));
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// What is there under a name that was asked for is not the container's to change.
Status check(const oci::Rdt& rdt, const std::string& group) {
  if (!is_there(group)) {
    if (!rdt.schemata.empty()) return {};
    return fail(ENOENT, fmt::format("find the class of service \"{}\"", rdt.name),
                "without schemata it has to be there before");
  }
  if (rdt.schemata.empty()) return {};
  const auto text = oci::read_whole(group + "/schemata");
  if (!text) return std::unexpected(text.error());
  const auto schemata = parse_schemata(*text);
  for (const std::string& line : rdt.schemata)
    if (!has(schemata, line))
      return fail(0, fmt::format("the class of service \"{}\" is there, and is another than \"{}\"",
                                 rdt.name, line));
  return {};
}

}  // namespace

Result<std::string> resctrl_mount() {
  const auto all = mounts();
  if (!all) return std::unexpected(all.error());
  for (const Mount& mount : *all)
    if (mount.fs_type == "resctrl") return mount.mount_point;
  const bool known =
      oci::read_whole("/proc/filesystems").value_or("").find("\tresctrl\n") != std::string::npos;
  return fail(ENOENT, "find a resctrl file system: none is mounted",
              known ? "mount -t resctrl resctrl /sys/fs/resctrl"
                    : "this kernel, or this processor, has none");
}

Result<RdtGroups> plan_rdt(const oci::Rdt& rdt, const std::string& id, const std::string& mount) {
  const std::string group = rdt.name == "/" ? mount : mount + "/" + rdt.name;
  RdtGroups groups;
  if (rdt.named)
    if (Status status = check(rdt, group); !status) return std::unexpected(status.error());
  groups.joined.push_back(group);
  if (!is_there(group)) groups.made.push_back(group);
  if (!rdt.monitored) return groups;
  groups.joined.push_back(group + "/mon_groups/" + id);
  groups.made.push_back(groups.joined.back());
  return groups;
}

Status make_rdt(const RdtGroups& groups, const oci::Rdt& rdt, const std::string& mount) {
  for (const std::string& group : groups.made)
    if (::mkdir(group.c_str(), 0755) < 0 && errno != EEXIST)
      return fail(errno, fmt::format("make the group \"{}\"", group),
                  errno == ENOSPC ? "the processor has no more of them" : "");
  const std::string& group = groups.joined.front();
  const bool is_ours = std::ranges::find(groups.made, group) != groups.made.end();
  if (rdt.schemata.empty() || (rdt.named && !is_ours)) return {};
  return write_schemata(rdt, mount, group);
}

void remove_rdt(const std::vector<std::string>& made) {
  for (const std::string& group : std::views::reverse(made))
    if (oci::read_whole(group + "/tasks").value_or("").empty()) (void)::rmdir(group.c_str());
}

}  // namespace isle::oci_cli
