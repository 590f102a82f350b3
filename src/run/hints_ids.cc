// Why ids could not be mapped or taken on.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "run/hints.h"
#include "run/probe.h"
#include "sys/proc_files.h"

namespace isle::hints {
namespace {

using plan::Op;

constexpr int kCapSetgid = 6;
constexpr int kCapSetuid = 7;
constexpr int kCapSetfcap = 31;

std::string one_line(const IdMap& map) {
  std::vector<std::string> lines;
  for (const IdMapping& line : map)
    lines.push_back(fmt::format("{}:{}:{}", line.container_id, line.host_id, line.size));
  return fmt::format("{}", fmt::join(lines, ", "));
}

IdMap own_map(const char* file) {
  return sys::parse_id_map(sys::read_text(fmt::format("/proc/self/{}", file)).value_or(""));
}

// The host side of `map` beyond what our own user namespace has; nothing for no such id.
std::optional<uint32_t> unmapped_host_id(const IdMap& map, const IdMap& own) {
  for (const IdMapping& line : map) {
    uint64_t next = line.host_id;
    const uint64_t end = uint64_t{line.host_id} + line.size;
    while (next < end) {
      const auto* in =
          std::find_if(own.data(), own.data() + own.size(), [&](const IdMapping& have) {
            return next >= have.container_id && next < uint64_t{have.container_id} + have.size;
          });
      if (in == own.data() + own.size()) return static_cast<uint32_t>(next);
      next = uint64_t{in->container_id} + in->size;
    }
  }
  return std::nullopt;
}

std::string map_needs_privilege(const IdMap& map, bool users) {
  const uint32_t own = users ? geteuid() : getegid();
  const bool alone = map.size() == 1 && map[0].size == 1 && map[0].host_id == own;
  if (alone || caller_has(users ? kCapSetuid : kCapSetgid)) return {};
  return fmt::format(
      "without CAP_SET{}ID a process maps its own id {} only, alone; ranges of /etc/sub{}id go "
      "through new{}idmap (--map-auto)",
      users ? 'U' : 'G', own, users ? 'u' : 'g', users ? 'u' : 'g');
}

}  // namespace

std::string map_forbidden(const FailedStep& failed) {
  const std::string path = failed.text(0);
  const bool users = path.ends_with("uid_map");
  if (!users && !path.ends_with("gid_map")) return {};
  const IdMap map = users ? failed.uid_map() : failed.gid_map();
  if (failed.error() == EINVAL) {
    constexpr size_t kMostLines = 340;
    if (map.size() > kMostLines)
      return fmt::format("the kernel takes at most {} lines, and these are {}", kMostLines,
                         map.size());
    for (const IdMapping& a : map)
      for (const IdMapping& b : map)
        if (&a < &b && a.container_id < uint64_t{b.container_id} + b.size &&
            b.container_id < uint64_t{a.container_id} + a.size)
          return fmt::format("two lines map the same ids: {}:{}:{} and {}:{}:{}", a.container_id,
                             a.host_id, a.size, b.container_id, b.host_id, b.size);
    return {};
  }
  if (failed.error() != EPERM && failed.error() != EACCES) return {};
  if (std::string hint = map_needs_privilege(map, users); !hint.empty()) return hint;
  if (const auto id = unmapped_host_id(map, own_map(users ? "uid_map" : "gid_map")))
    return fmt::format("id {} does not exist in this user namespace (its own map: {})", *id,
                       one_line(own_map(users ? "uid_map" : "gid_map")));
  // verify_root_map() in kernel/user_namespace.c, Linux 5.12.
  if (users && to_container(map, 0) && geteuid() == 0 && !caller_has(kCapSetfcap))
    return "mapping user 0 needs CAP_SETFCAP, which this process lacks";
  return checks::apparmor_userns_restriction().hint();
}

std::string map_program_refused(const FailedStep& failed) {
  const std::string path = failed.text(0);
  const std::string program = path.substr(path.rfind('/') + 1);
  if (auto finding = checks::may_gain_privileges(); !finding.ok()) return finding.hint();
  if (auto finding = checks::mapping_program(program); !finding.ok()) return finding.hint();
  if (auto finding = checks::has_subids(geteuid()); !finding.ok()) return finding.hint();
  const bool users = program == "newuidmap";
  const std::string file = users ? "/etc/subuid" : "/etc/subgid";
  const auto ranges = probe::parse_subids(sys::read_text(file).value_or(""), geteuid(),
                                          probe::login_name(geteuid()));
  const uint32_t own = users ? geteuid() : getegid();
  for (const IdMapping& line : users ? failed.uid_map() : failed.gid_map()) {
    if (line.size == 1 && line.host_id == own) continue;
    const bool granted = std::ranges::any_of(ranges, [&](const SubIdRange& range) {
      return line.host_id >= range.start &&
             uint64_t{line.host_id} + line.size <= uint64_t{range.start} + range.count;
    });
    if (!granted)
      return fmt::format("{} does not grant {} ids from {}", file, line.size, line.host_id);
  }
  return {};
}

std::string id_not_mapped(const FailedStep& failed) {
  const auto check = [&](bool user, uint32_t id) -> std::string {
    const bool new_user = failed.new_namespaces().contains(NamespaceType::user);
    const char* file = user ? "uid_map" : "gid_map";
    const IdMap map = !new_user ? own_map(file) : user ? failed.uid_map() : failed.gid_map();
    if (id == ~0U || map.empty() || to_host(map, id)) return {};
    std::string finding =
        fmt::format("{} id {} is not mapped in the {} (the map: {})", user ? "user" : "group", id,
                    new_user ? "sandbox" : "user namespace", one_line(map));
    if (!new_user) return finding;
    return fmt::format("{}; {} {}:OUTSIDE:1, or --map-auto for the ranges of /etc/sub{}id", finding,
                       user ? "--map-uid" : "--map-gid", id, user ? 'u' : 'g');
  };
  const plan::Step& step = failed.step();
  switch (failed.op()) {
    case Op::setresuid:
      return check(true, static_cast<uint32_t>(step.arg[0]));
    case Op::setresgid:
      return check(false, static_cast<uint32_t>(step.arg[0]));
    case Op::setgroups:
      for (const uint32_t group : failed.numbers(0))
        if (std::string hint = check(false, group); !hint.empty()) return hint;
      return {};
    case Op::chown: {
      const std::string hint = check(true, static_cast<uint32_t>(step.arg[1]));
      return hint.empty() ? check(false, static_cast<uint32_t>(step.arg[2])) : hint;
    }
    default:
      return {};
  }
}

std::string setgroups_forbidden(const FailedStep& failed) {
  const plan::Step* denied = failed.earlier([&](const plan::Step& step) {
    return (step.op == Op::write_child || step.op == Op::write_file) &&
           failed.text(step, 0).ends_with("setgroups") && failed.text(step, 1) == "deny";
  });
  if (denied != nullptr)
    return "where an ordinary user maps only his own group, the kernel forbids setgroups; with "
           "ranges of /etc/subgid (--map-auto) it is allowed";
  const plan::Step* join = failed.earlier([](const plan::Step& step) {
    return step.op == Op::setns &&
           NamespaceSet::of_clone_flags(step.arg[1]).contains(NamespaceType::user);
  });
  if (const pid_t pid = join == nullptr ? 0 : failed.joined_process(*join); pid > 0)
    if (sys::read_text(fmt::format("/proc/{}/setgroups", pid)).value_or("") == "deny\n")
      return fmt::format("/proc/{}/setgroups says deny: no process of its user namespace may", pid);
  if (!failed.new_namespaces().contains(NamespaceType::user) && !caller_has(kCapSetgid))
    return "setting groups needs CAP_SETGID; run isle as root, or --new user";
  return {};
}

}  // namespace isle::hints
