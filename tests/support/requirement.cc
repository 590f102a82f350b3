#include "requirement.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "paths.h"
#include "probes.h"

namespace isle::test {
namespace {

using Probe = std::function<ProbeResult()>;

std::map<std::string, Probe, std::less<>>& probes() {
  static std::map<std::string, Probe, std::less<>> table = [] {
    std::map<std::string, Probe, std::less<>> all = {
        {"root", probe_root},
        {"unprivileged", probe_unprivileged},
        {"userns", probe_userns},
        {"subids", probe_subids},
        {"cgroup_v1", probe_cgroup_v1},
        {"cgroup_v2", probe_cgroup_v2},
        {"cgroups", probe_cgroups},
        {"hybrid", probe_hybrid},
        {"delegated", probe_delegated},
        {"systemd", probe_systemd},
        {"systemd_user", probe_systemd_user},
        {"initial_pidns", probe_initial_pidns},
        {"overlay", probe_overlay},
        {"userns_overlay", probe_userns_overlay},
        {"idmap", probe_idmap},
        {"timens", probe_timens},
        {"netns", probe_netns},
        {"tun", [] { return probe_device("/dev/net/tun"); }},
        {"fuse", [] { return probe_device("/dev/fuse"); }},
        {"util_linux", [] { return probe_programs({"unshare", "nsenter", "lsns", "findmnt"}); }},
        {"criu", probe_criu},
        {"nic",
         [] {
           return ProbeResult(std::getenv("ISLE_TEST_NIC") != nullptr
                                  ? ""
                                  : "ISLE_TEST_NIC names no network device that tests may take");
         }},
    };
    for (const char* program :
         {"bwrap",       "crun",      "runc",       "youki",  "nsjail", "podman",
          "buildah",     "newuidmap", "busybox",    "ip",     "nft",    "pasta",
          "slirp4netns", "tmux",      "python3",    "strace", "gdb",    "systemd-run",
          "hyperfine",   "man",       "pkg-config", "cmake"}) {
      all.emplace(program, [program] { return probe_programs({program}); });
    }
    return all;
  }();
  return table;
}

// "6.3" -> this kernel is that or newer.
ProbeResult probe_kernel(const std::string& wanted) {
  struct utsname name{};
  unsigned have[2] = {0, 0};
  unsigned want[2] = {0, 0};
  if (uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &have[0], &have[1]) != 2 ||
      std::sscanf(wanted.c_str(), "%u.%u", &want[0], &want[1]) != 2) {
    return "cannot compare kernel versions";
  }
  if (have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1])) return {};
  return std::string("this kernel is ") + name.release;
}

ProbeResult ask(std::string_view name) {
  if (name.starts_with("program:")) return probe_programs({std::string(name.substr(8))});
  if (name.starts_with("kernel:")) return probe_kernel(std::string(name.substr(7)));
  const auto probe = probes().find(name);
  return probe->second();
}

bool is_known(std::string_view name) {
  return name.starts_with("program:") || name.starts_with("kernel:") || probes().contains(name);
}

bool lists(std::string_view comma_separated, std::string_view name) {
  while (!comma_separated.empty()) {
    const std::size_t comma = comma_separated.find(',');
    const std::string_view item = comma_separated.substr(0, comma);
    if (item == name || item == "all") return true;
    comma_separated.remove_prefix(comma == item.npos ? comma_separated.size() : comma + 1);
  }
  return false;
}

std::string_view must_run_names() {
  const char* value = std::getenv("ISLE_TESTS_MUST_RUN");
  return value != nullptr ? value : "";
}

}  // namespace

std::vector<std::string> requirement_names() {
  std::vector<std::string> names;
  for (const auto& [name, probe] : probes()) names.push_back(name);
  return names;
}

void add_requirement(std::string name, std::function<ProbeResult()> probe) {
  probes().insert_or_assign(std::move(name), std::move(probe));
}

ProbeResult missing(std::string_view name) {
  static std::map<std::string, ProbeResult, std::less<>> answers;
  if (!is_known(name))
    return "no requirement is called that; tests/support/requirement.h lists them";
  auto answer = answers.find(name);
  if (answer == answers.end()) answer = answers.emplace(std::string(name), ask(name)).first;
  return answer->second;
}

Verdict judge(std::initializer_list<std::string_view> names, std::string_view must_run) {
  Verdict verdict;
  for (const std::string_view name : names) {
    const ProbeResult why = missing(name);
    if (why.empty()) continue;
    const std::string reason = "needs " + std::string(name) + ": " + why;
    if (!is_known(name)) return {Verdict::Kind::kFail, reason};
    if (lists(must_run, name))
      return {Verdict::Kind::kFail, reason + " (and ISLE_TESTS_MUST_RUN lists it)"};
    if (verdict.kind == Verdict::Kind::kRun) verdict = {Verdict::Kind::kSkip, reason};
  }
  return verdict;
}

Verdict judge(std::initializer_list<std::string_view> names) {
  return judge(names, must_run_names());
}

std::string unknown_must_run_names() {
  std::string unknown;
  std::string_view left = must_run_names();
  while (!left.empty()) {
    const std::size_t comma = left.find(',');
    const std::string_view name = left.substr(0, comma);
    if (!name.empty() && name != "all" && !is_known(name))
      unknown += (unknown.empty() ? "" : ",") + std::string(name);
    left.remove_prefix(comma == left.npos ? left.size() : comma + 1);
  }
  return unknown;
}

}  // namespace isle::test
