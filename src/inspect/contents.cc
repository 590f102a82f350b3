// What somebody who goes into a namespace finds there.
//
// src/inspect in general: looking at namespaces from outside, for people and programs that want to
// know; it changes nothing.
#include "isle/contents.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>

#include "isle/in.h"
#include "ns/search.h"
#include "sys/file_calls.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

std::unexpected<Error> wrong_type(const Namespace& given, NamespaceType wanted) {
  return fail(EINVAL, "look into " + given.link_text(),
              "it is no " + std::string(to_string(wanted)) + " namespace");
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "monotonic  86400  0\nboottime  1  500\n": seconds and nanoseconds.
Result<ClockOffsets> read_offsets(const std::string& path) {
  const auto text = sys::read_text(path);
  if (!text) return fail(text.error(), "read " + path);
  ClockOffsets offsets;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = sys::next_part(rest, '\n');
    const std::string_view clock = sys::next_word(line);
    const auto seconds = number(sys::next_word(line));
    const auto nanoseconds = number(sys::next_word(line));
    if (!seconds || !nanoseconds) continue;
    constexpr int64_t kNsPerSecond = 1'000'000'000;
    const int64_t offset_ns = *seconds * kNsPerSecond + *nanoseconds;
    if (clock == "monotonic" || clock == "1") offsets.monotonic_ns = offset_ns;
    if (clock == "boottime" || clock == "7") offsets.boottime_ns = offset_ns;
  }
  return offsets;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

using CgroupPath = std::pair<std::string, std::string>;  // hierarchy, path
using CgroupPaths = std::vector<CgroupPath>;

/// What is known of a hierarchy's root. In v1 the kernel shows a process that is ending at "/",
/// wherever it was (proc_cgroup_show), so "/" counts only where nothing else speaks against it.
struct Candidate {
  std::string root;
  bool others_are_outside = false;
};

/// Where the reader's cgroup namespace sees a process.
CgroupPaths cgroups_of(pid_t pid) {
  CgroupPaths paths;
  const auto text = sys::read_text("/proc/" + std::to_string(pid) + "/cgroup");
  if (!text) return paths;
  for (const sys::CgroupEntry& entry : sys::parse_cgroup(*text))
    paths.emplace_back(joined(entry.controllers), entry.path);
  return paths;
}

/// "/a" of "/a/b", which is "/b" inside; nothing where it is outside ("/../c").
std::optional<std::string> without_tail(const std::string& outside, const std::string& inside) {
  if (inside == "/") return outside;
  if (inside.starts_with("/..")) return std::nullopt;
  if (outside == inside) return "/";
  if (!outside.ends_with(inside)) return std::nullopt;  // it was moved between two looks
  return outside.substr(0, outside.size() - inside.size());
}

}  // namespace

Result<UtsNames> uts_names(const Namespace& uts_namespace) {
  if (uts_namespace.type() != NamespaceType::uts)
    return wrong_type(uts_namespace, NamespaceType::uts);
  return in_thread(uts_namespace, [] {
    utsname names{};
    ::uname(&names);
    return UtsNames{.hostname = names.nodename, .domainname = names.domainname};
  });
}

Result<ClockOffsets> clock_offsets(pid_t pid) {
  return read_offsets("/proc/" + std::to_string(pid) + "/timens_offsets");
}

Result<ClockOffsets> clock_offsets(const Namespace& time_namespace) {
  if (time_namespace.type() != NamespaceType::time)
    return wrong_type(time_namespace, NamespaceType::time);
  return in(time_namespace, [] { return read_offsets("/proc/self/timens_offsets"); });
}

Result<std::vector<CgroupRoot>> cgroup_roots(const Namespace& cgroup_namespace) {
  if (cgroup_namespace.type() != NamespaceType::cgroup)
    return wrong_type(cgroup_namespace, NamespaceType::cgroup);
  const std::vector<pid_t> pids = ns::pids_of_proc();
  using Seen = std::vector<std::pair<pid_t, CgroupPaths>>;
  const Result<Seen> inside = in_thread(cgroup_namespace, [&] {
    Seen seen;
    for (const pid_t pid : pids) seen.emplace_back(pid, cgroups_of(pid));
    return seen;
  });
  if (!inside) return std::unexpected(inside.error());
  std::map<std::string, Candidate> candidates;
  for (const auto& [pid, paths_inside] : *inside) {
    const CgroupPaths paths_outside = cgroups_of(pid);
    for (const auto& [hierarchy, path] : paths_inside) {
      Candidate& candidate = candidates[hierarchy];
      candidate.others_are_outside |= path.starts_with("/..");
      const auto same = std::ranges::find(paths_outside, hierarchy, &CgroupPath::first);
      if (same == paths_outside.end()) continue;
      if (auto root = without_tail(same->second, path); root && candidate.root.size() < 2)
        candidate.root = std::move(*root);
    }
  }
  std::vector<CgroupRoot> result;
  for (const auto& [hierarchy, candidate] : candidates)
    if (candidate.root.size() > 1 || (candidate.root == "/" && !candidate.others_are_outside))
      result.push_back({hierarchy, candidate.root});
  return result;
}

}  // namespace isle
