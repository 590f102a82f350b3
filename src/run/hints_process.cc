// Why a setting of the process was refused.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cerrno>
#include <charconv>
#include <ctime>

#include "isle/names.h"
#include "run/hints.h"
#include "sys/proc_files.h"

namespace isle::hints {
namespace {

constexpr int kCapSetpcap = 8;
constexpr int kCapSysNice = 23;
constexpr int kCapSysResource = 24;

std::string status_of_self(std::string_view name) {
  const auto status = sys::read_text("/proc/self/status");
  return status ? std::string(sys::status_field(*status, name)) : std::string{};
}

std::string names_of(uint64_t set) {
  std::string names;
  for (int i = 0; i < 64; ++i)
    if ((set >> i & 1) != 0) names += (names.empty() ? "" : ", ") + capability_name(i);
  return names;
}

}  // namespace

std::string limit_above_hard(const FailedStep& failed) {
  const auto resource = static_cast<int>(failed.step().arg[0]);
  if (resource == RLIMIT_NOFILE) {
    const auto text = sys::read_text("/proc/sys/fs/nr_open");
    uint64_t most = ~uint64_t{0};
    if (text) std::from_chars(text->data(), text->data() + text->size(), most);
    if (failed.step().arg[2] > most) return fmt::format("fs.nr_open allows at most {}", most);
  }
  rlimit now{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return {};
  if (failed.step().arg[2] <= now.rlim_max || caller_has(kCapSysResource)) return {};
  return fmt::format("the hard limit here is {}, and raising it needs CAP_SYS_RESOURCE",
                     now.rlim_max);
}

std::string oom_score_below(const FailedStep& failed) {
  if (!failed.text(0).ends_with("oom_score_adj") || caller_has(kCapSysResource)) return {};
  const auto now = sys::read_text("/proc/self/oom_score_adj");
  if (!now) return {};
  const long value = std::strtol(now->c_str(), nullptr, 10);
  if (std::strtol(failed.text(1).c_str(), nullptr, 10) >= value) return {};
  return fmt::format("it is {} here, and lowering it needs CAP_SYS_RESOURCE", value);
}

std::string nice_below(const FailedStep& failed) {
  if (failed.error() != EACCES && failed.error() != EPERM) return {};
  rlimit limit{};
  if (caller_has(kCapSysNice) || getrlimit(RLIMIT_NICE, &limit) != 0) return {};
  const long lowest = 20 - static_cast<long>(limit.rlim_cur);
  if (static_cast<int32_t>(failed.step().arg[0]) >= lowest) return {};
  return fmt::format("without CAP_SYS_NICE it cannot go below what it is; RLIMIT_NICE allows {}",
                     lowest > 19 ? "nothing more" : fmt::format("down to {}", lowest));
}

std::string cpus_not_ours(const FailedStep&) {
  const std::string allowed = status_of_self("Cpus_allowed_list");
  return allowed.empty() ? allowed : fmt::format("this process may run on CPUs {}", allowed);
}

std::string scheduler_not_ours(const FailedStep& failed) {
  if (!caller_has(kCapSysNice)) return "it needs CAP_SYS_NICE";
  constexpr uint32_t kDeadline = 6;  // SCHED_DEADLINE
  const std::vector<uint32_t> attributes =
      failed.numbers(0);  // of sched_attr the second is the policy
  return attributes.size() > 1 && attributes[1] == kDeadline
             ? "a deadline needs all CPUs of the machine, and this process may use some of them"
             : std::string{};
}

std::string capabilities_not_ours(const FailedStep& failed) {
  const plan::Step& step = failed.step();
  if (step.op == plan::Op::drop_bounding)
    return !failed.new_namespaces().contains(NamespaceType::user) && !caller_has(kCapSetpcap)
               ? "dropping from the bounding set needs CAP_SETPCAP"
               : std::string{};
  if (failed.new_namespaces().contains(NamespaceType::user)) return {};  // all are there
  uint64_t have = 0;
  const std::string permitted = status_of_self("CapPrm");
  std::from_chars(permitted.data(), permitted.data() + permitted.size(), have, 16);
  const uint64_t wanted = step.op == plan::Op::capset ? step.arg[0] | step.arg[1] : step.arg[0];
  const uint64_t lacking = wanted & ~have;
  return lacking == 0 ? std::string{}
                      : fmt::format("this process does not have {} itself", names_of(lacking));
}

std::string sysctl_unknown(const FailedStep& failed) {
  const std::string path = failed.text(0);
  if (!path.starts_with("/proc/sys/")) return {};
  if (failed.error() == ENOENT) return checks::path_is_reachable(path).hint();
  if (failed.error() != EACCES && failed.error() != EPERM && failed.error() != EROFS) return {};
  const auto owns = [&](std::string_view start, NamespaceType type) {
    return path.starts_with(start) && !failed.new_namespaces().contains(type)
               ? fmt::format("it belongs to the {0} namespace, which the sandbox shares; --new {0}",
                             to_string(type))
               : std::string{};
  };
  for (const auto& [start, type] : {std::pair{"/proc/sys/net/", NamespaceType::network},
                                    std::pair{"/proc/sys/kernel/shm", NamespaceType::ipc},
                                    std::pair{"/proc/sys/kernel/msg", NamespaceType::ipc},
                                    std::pair{"/proc/sys/kernel/sem", NamespaceType::ipc},
                                    std::pair{"/proc/sys/fs/mqueue/", NamespaceType::ipc},
                                    std::pair{"/proc/sys/kernel/hostname", NamespaceType::uts},
                                    std::pair{"/proc/sys/kernel/domainname", NamespaceType::uts}})
    if (std::string hint = owns(start, type); !hint.empty()) return hint;
  return {};
}

// timens_for_children's clocks are to be neither before 0 nor so late that they could overflow:
// proc_timens_set_offset() in kernel/time/namespace.c.
std::string time_offset_too_far(const FailedStep& failed) {
  if (!failed.text(0).ends_with("timens_offsets")) return {};
  const auto now = [](clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec;
  };
  return fmt::format(
      "a clock inside would be before 0, or 146 years on: now the monotonic clock is at {} s and "
      "boottime at {} s",
      now(CLOCK_MONOTONIC), now(CLOCK_BOOTTIME));
}

}  // namespace isle::hints
