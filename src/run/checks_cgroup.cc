#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "cgroup/facts.h"
#include "run/checks.h"

namespace isle::checks {
namespace {

std::string list(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

std::vector<std::string> without(std::vector<std::string> wanted,
                                 const std::vector<std::string>& there) {
  std::erase_if(wanted, [&](const std::string& name) {
    return std::ranges::find(there, name) != there.end();
  });
  return wanted;
}

Finding v1_delegated(const CgroupFacts& facts, const std::vector<std::string>& controllers) {
  for (const std::string& controller : controllers) {
    const auto found = facts.v1.find(controller);
    if (found == facts.v1.end())
      return no(fmt::format("no cgroup hierarchy has the controller {}", controller));
    if (std::ranges::find(facts.v1_writable, found->second) == facts.v1_writable.end())
      return no(fmt::format("this user may make no cgroup in {}", found->second),
                "cgroup v1 has no delegation by itself: root can give that directory to the user, "
                "or run isle as root");
  }
  return yes("cgroup v1");
}

}  // namespace

std::string delegation_advice(const std::vector<std::string>& controllers) {
  if (geteuid() == 0)
    return fmt::format(
        "systemd-run --scope -p Delegate=yes isle run ... starts isle in a cgroup "
        "of its own");
  std::string advice =
      "systemd-run --user --scope -p Delegate=yes isle run ... starts isle in a cgroup of its own "
      "(without a login session: loginctl enable-linger first)";
  const std::vector<std::string> rare = without(controllers, {"memory", "pids"});
  if (!rare.empty())
    advice += fmt::format(
        "; {} are given to users by Delegate={} in a drop-in of user@.service (systemctl edit "
        "user@.service)",
        list(rare), fmt::join(controllers, " "));
  return advice;
}

Finding cgroup_delegated(const std::vector<std::string>& controllers, const std::string& prefix) {
  const CgroupFacts facts = cgroup::look_up(controllers, getpid(), prefix);
  if (facts.layout == CgroupLayout::none)
    return no("no cgroup file system is mounted", "mount -t cgroup2 none /sys/fs/cgroup");
  if (facts.layout == CgroupLayout::v1) return v1_delegated(facts, controllers);
  // Hybrid: a controller is on one side or the other.
  std::vector<std::string> on_v2;
  std::vector<std::string> on_v1;
  for (const std::string& controller : controllers)
    (facts.v1.contains(controller) ? on_v1 : on_v2).push_back(controller);
  if (Finding v1 = v1_delegated(facts, on_v1); !v1.ok()) return v1;
  if (on_v2.empty() && facts.layout == CgroupLayout::hybrid) return yes("cgroup v1 beside v2");
  if (facts.v2_own.empty())
    return no(fmt::format("our own cgroup is not below {}", facts.v2_mount),
              "mount cgroup2 in a cgroup namespace of one's own");
  if (facts.v2_parent.empty())
    return no(fmt::format("the cgroup {} is not delegated to this user", facts.v2_own),
              delegation_advice(controllers));
  const std::vector<std::string> missing = without(on_v2, facts.v2_available);
  if (!missing.empty())
    return no(fmt::format("the cgroup {} has no controller {} (it has: {})", facts.v2_parent,
                          list(missing), list(facts.v2_available)),
              delegation_advice(controllers));
  if (facts.v2_parent_has_others && !without(on_v2, facts.v2_enabled).empty())
    return no(fmt::format("the cgroup {} has other processes in it, so {} cannot be enabled for "
                          "cgroups below it",
                          facts.v2_parent, list(without(on_v2, facts.v2_enabled))),
              delegation_advice(controllers));
  return yes(fmt::format("cgroup v2, {}", facts.v2_parent));
}

}  // namespace isle::checks
