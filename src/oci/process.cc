// "process" of config.json, and the document of exec --process: the same object.
#include <fmt/format.h>

#include <array>
#include <charconv>

#include "isle/names.h"
#include "oci/config.h"

namespace isle::oci {
namespace {

struct Word {
  std::string_view name;
  uint64_t value;
};

/// The value of one of `words`; a complaint names them all.
std::optional<uint64_t> one_of(const Node& node, std::span<const Word> words) {
  const std::string text = node.text();
  std::string names;
  for (const Word& word : words) {
    if (word.name == text) return word.value;
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", word.name);
  }
  node.expected("one of " + names);
  return std::nullopt;
}

// sched.h, ioprio.h and personality.h of the kernel's interface.
constexpr Word kPolicies[] = {{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},
                              {"SCHED_BATCH", 3}, {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}};
constexpr Word kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},    {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};
constexpr Word kIoClasses[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
constexpr int kIoClassShift = 13;

void read_user(const Node& process, Spec& spec) {
  User& user = spec.process.user;
  const auto node = process.get("user");
  const Origin from = spec.add_origin(node ? node->where() : process.where());
  const auto id = [&](const char* key) {
    const auto found = node ? node->get(key) : std::nullopt;
    return Asked<uint32_t>{.value = found ? found->id() : 0,
                           .from = found ? spec.add_origin(found->where()) : from};
  };
  user.uid = id("uid");
  user.gid = id("gid");
  if (!node) return;
  if (const auto umask = node->get("umask")) {
    constexpr int64_t kMostMask = 0777;
    spec.process.umask = {.value = static_cast<mode_t>(umask->integer(0, kMostMask)),
                          .from = spec.add_origin(umask->where())};
  }
  const auto groups = node->get("additionalGids");
  if (!groups || !groups->filled()) return;
  std::vector<uint32_t> gids;
  for (const Node& gid : groups->elements()) gids.push_back(gid.id());
  user.additional_gids = {.value = std::move(gids), .from = spec.add_origin(groups->where())};
}

uint64_t read_capability_set(const Node& sets, const char* key) {
  uint64_t mask = 0;
  for (const Node& name : sets.elements(key)) {
    const std::string text = name.text();
    const auto number = text.starts_with("CAP_") ? parse_capability(text) : std::nullopt;
    if (number)
      mask |= uint64_t{1} << *number;
    else
      name.warn(fmt::format("no capability is called \"{}\"; left out", text));
  }
  return mask;
}

/// Without the object a process has none at all.
void read_capabilities(const Node& process, Spec& spec) {
  Capabilities sets;
  const auto node = process.get("capabilities");
  if (node) {
    sets.bounding = read_capability_set(*node, "bounding");
    sets.effective = read_capability_set(*node, "effective");
    sets.permitted = read_capability_set(*node, "permitted");
    sets.inheritable = read_capability_set(*node, "inheritable");
    sets.ambient = read_capability_set(*node, "ambient");
    const uint64_t possible = sets.permitted & sets.inheritable;
    // Engines that clear the inheritable set leave this one as it was, and mean nothing by it.
    const uint64_t lost = sets.inheritable == 0 ? 0 : sets.ambient & ~possible;
    for (int number = 0; lost >> number != 0; ++number)
      if ((lost >> number & 1) != 0)
        node->warn(fmt::format(
            "can't raise ambient capability {}: it is not both permitted and inheritable",
            capability_name(number)));
    sets.ambient &= possible;
  }
  spec.process.capabilities = {.value = sets,
                               .from = spec.add_origin(node ? node->where() : process.where())};
}

void read_rlimits(const Node& process, Spec& spec) {
  for (const Node& node : process.elements("rlimits")) {
    const auto type = node.require("type");
    const auto soft = node.require("soft");
    const auto hard = node.require("hard");
    if (!type || !soft || !hard) continue;
    const std::string name = type->text();
    const auto number = name.starts_with("RLIMIT_") ? parse_rlimit(name) : std::nullopt;
    if (!number) {
      type->expected("the name of a limit (\"RLIMIT_NOFILE\")");
      continue;
    }
    for (const Rlimit& other : spec.process.rlimits)
      if (other.resource == *number) type->refuse(fmt::format("{} is named twice", name));
    spec.process.rlimits.push_back({.resource = *number,
                                    .soft = soft->natural(),
                                    .hard = hard->natural(),
                                    .from = spec.add_origin(node.where())});
  }
}

void read_scheduler(const Node& process, Spec& spec) {
  const auto node = process.get("scheduler");
  if (!node || !node->filled()) return;
  Scheduler wish;
  const auto policy = node->require("policy");
  if (!policy) return;
  wish.policy = static_cast<uint32_t>(one_of(*policy, kPolicies).value_or(0));
  constexpr int64_t kMostNice = 19;
  constexpr int64_t kMostPriority = 99;
  if (const auto nice = node->get("nice"))
    wish.nice = static_cast<int32_t>(nice->integer(-kMostNice - 1, kMostNice));
  if (const auto priority = node->get("priority"))
    wish.priority = static_cast<uint32_t>(priority->integer(0, kMostPriority));
  for (const Node& flag : node->elements("flags"))
    wish.flags |= one_of(flag, kSchedulerFlags).value_or(0);
  const auto time = [&](const char* key, uint64_t& into) {
    if (const auto found = node->get(key)) into = found->natural();
  };
  time("runtime", wish.runtime_ns);
  time("deadline", wish.deadline_ns);
  time("period", wish.period_ns);
  spec.process.scheduler = {.value = wish, .from = spec.add_origin(node->where())};
}

void read_io_priority(const Node& process, Spec& spec) {
  const auto node = process.get("ioPriority");
  if (!node || !node->filled()) return;
  const auto io_class = node->require("class");
  if (!io_class) return;
  constexpr int64_t kLowest = 7;
  const auto priority = node->get("priority");
  const auto level = priority ? priority->integer(0, kLowest) : 0;
  spec.process.io_priority = {
      .value = static_cast<int>(one_of(*io_class, kIoClasses).value_or(0) << kIoClassShift) |
               static_cast<int>(level),
      .from = spec.add_origin(node->where())};
}

/// "0-3,7" as numbers; a complaint where it is something else.
std::vector<int> read_cpus(const Node& node) {
  constexpr int kMostCpus = 8192;
  std::vector<int> numbers;
  const std::string text = node.text();
  const char* at = text.data();
  const char* end = at + text.size();
  const auto number = [&](int& into) {
    const auto [next, error] = std::from_chars(at, end, into);
    const bool good = error == std::errc{} && into >= 0 && into < kMostCpus;
    at = next;
    return good;
  };
  for (bool more = true; more;) {
    int first = 0;
    if (!number(first)) break;
    int last = first;
    if (at != end && *at == '-') {
      ++at;
      if (!number(last) || last < first) break;
    }
    for (int i = first; i <= last; ++i) numbers.push_back(i);
    more = at != end && *at == ',';
    if (more)
      ++at;
    else if (at == end)
      return numbers;
  }
  node.expected("a list of numbers (\"0-3,7\")");
  return {};
}

void read_text(const Node& process, const char* key, Spec& spec, Wish<std::string>& into) {
  const auto node = process.get(key);
  if (node && node->filled())
    into = {.value = node->text(), .from = spec.add_origin(node->where())};
}

void read_terminal(const Node& process, Spec& spec) {
  const auto terminal = process.get("terminal");
  if (terminal && terminal->boolean())
    spec.process.terminal = {.value = true, .from = spec.add_origin(terminal->where())};
  else
    spec.process.new_session = {.value = true};
  const auto size = process.get("consoleSize");
  if (!size || !spec.process.terminal.value) return;
  constexpr int64_t kMost = 65535;
  const auto side = [&](const char* key) {
    const auto found = size->get(key);
    return static_cast<uint16_t>(found ? found->integer(0, kMost) : 0);
  };
  spec.process.console_size = {.value = {.rows = side("height"), .columns = side("width")},
                               .from = spec.add_origin(size->where())};
}

}  // namespace

void read_process_node(const Node& process, Spec& spec) {
  ProcessWish& wish = spec.process;
  if (const auto args = process.require("args")) {
    wish.args = {.value = args->texts(), .from = spec.add_origin(args->where())};
    if (wish.args.value.empty()) args->expected("an array with the command in it");
    // In the words that engines know for what is not found.
    if (!wish.args.value.empty() && wish.args.value.front().empty())
      args->refuse("exec: \"\": executable file not found in $PATH");
  }
  const auto env = process.get("env");
  wish.env = {.value = env ? env->texts() : std::vector<std::string>{},
              .from = spec.add_origin(env ? env->where() : process.where())};
  if (const auto cwd = process.require("cwd")) {
    wish.cwd = {.value = cwd->text(), .from = spec.add_origin(cwd->where())};
    if (!wish.cwd->value.starts_with('/')) cwd->expected("an absolute path");
  }
  wish.default_signals = {.value = true};  // whatever the engine ignores
  read_user(process, spec);
  read_capabilities(process, spec);
  read_rlimits(process, spec);
  read_scheduler(process, spec);
  read_io_priority(process, spec);
  read_terminal(process, spec);
  const auto no_new = process.get("noNewPrivileges");
  if (no_new && no_new->boolean())
    wish.no_new_privileges = {.value = true, .from = spec.add_origin(no_new->where())};
  constexpr int64_t kMostScore = 1000;
  if (const auto score = process.get("oomScoreAdj"))
    wish.oom_score_adj = {.value = static_cast<int>(score->integer(-kMostScore, kMostScore)),
                          .from = spec.add_origin(score->where())};
  read_text(process, "apparmorProfile", spec, wish.apparmor_profile);
  read_text(process, "selinuxLabel", spec, wish.selinux_label);
}

void read_exec_affinity(const Node& process, Spec& spec) {
  const auto affinity = process.get("execCPUAffinity");
  if (!affinity) return;
  const auto cpus = [&](const char* key, Wish<std::vector<int>>& into) {
    const auto node = affinity->get(key);
    if (node && node->filled())
      into = {.value = read_cpus(*node), .from = spec.add_origin(node->where())};
  };
  cpus("initial", spec.process.initial_cpus_allowed);
  cpus("final", spec.process.cpus_allowed);
}

void read_memory_policy(const Node& linux_node, Spec& spec) {
  const auto node = linux_node.get("memoryPolicy");
  if (!node || !node->filled()) return;
  // mempolicy.h of the kernel's interface.
  constexpr Word kModes[] = {{"MPOL_DEFAULT", 0},
                             {"MPOL_PREFERRED", 1},
                             {"MPOL_BIND", 2},
                             {"MPOL_INTERLEAVE", 3},
                             {"MPOL_LOCAL", 4},
                             {"MPOL_PREFERRED_MANY", 5},
                             {"MPOL_WEIGHTED_INTERLEAVE", 6}};
  constexpr Word kModeFlags[] = {{"MPOL_F_NUMA_BALANCING", 1 << 13},
                                 {"MPOL_F_RELATIVE_NODES", 1 << 14},
                                 {"MPOL_F_STATIC_NODES", 1 << 15}};
  const auto mode = node->require("mode");
  if (!mode) return;
  MemoryPolicy policy{.mode = static_cast<uint32_t>(one_of(*mode, kModes).value_or(0))};
  for (const Node& flag : node->elements("flags"))
    policy.mode |= static_cast<uint32_t>(one_of(flag, kModeFlags).value_or(0));
  if (const auto nodes = node->get("nodes"); nodes && nodes->filled()) {
    constexpr int kBits = 64;
    for (const int number : read_cpus(*nodes)) {
      const auto word = static_cast<size_t>(number / kBits);
      if (word >= policy.nodes.size()) policy.nodes.resize(word + 1);
      policy.nodes[word] |= uint64_t{1} << number % kBits;
    }
  }
  spec.process.memory_policy = {.value = std::move(policy), .from = spec.add_origin(node->where())};
}

}  // namespace isle::oci
