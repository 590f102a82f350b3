// The command's surroundings: limits, scheduling, environment, terminal, descriptors.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/names.h"

namespace isle::cli {
namespace {

// cgroups(7): the usual period of cpu.max, in which the quota may be used up.
constexpr uint64_t kCpuPeriodUs = 100'000;

Result<uint64_t> limit_value(std::string_view text) {
  if (text == "unlimited" || text == "infinity") return RLIM_INFINITY;
  if (text == "0") return uint64_t{0};
  return parse_size(text);
}

Result<int> resource_number(std::string_view name) {
  if (const auto number = parse_rlimit(name)) return *number;
  const std::vector<std::string> names = rlimit_names();
  std::vector<std::string> shown;
  for (const std::string& each : names) {
    std::string low = each.starts_with("RLIMIT_") ? each.substr(7) : each;
    std::ranges::transform(low, low.begin(), [](char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    shown.push_back(std::move(low));
  }
  const std::vector<std::string_view> candidates(shown.begin(), shown.end());
  std::string hint = did_you_mean(name, candidates);
  if (hint.empty()) hint = fmt::format("the limits are {}", fmt::join(shown, ", "));
  return fail(0, fmt::format("{} is not a resource limit", quoted(name)), std::move(hint));
}

Status change_environment(RunRequest& request, const Argument& argument, EnvironmentChange change) {
  if (!request.environment_asked) request.environment_from = request.origin(argument);
  request.environment_asked = true;
  request.environment.push_back(std::move(change));
  return {};
}

Status set_signed(RunRequest& request, const Argument& argument, int smallest, int largest,
                  Wish<int>& wish) {
  const auto number = parse_signed(argument.value, smallest, largest);
  if (!number) return std::unexpected(number.error());
  wish = request.asked(static_cast<int>(*number), argument);
  return {};
}

}  // namespace

// "NAME=SOFT[:HARD]"
Status rlimit(RunRequest& request, const Argument& argument) {
  const size_t equals = argument.value.find('=');
  if (equals == std::string_view::npos) {
    return fail(0, fmt::format("{} is not of the form NAME=SOFT[:HARD]", quoted(argument.value)));
  }
  const auto resource = resource_number(argument.value.substr(0, equals));
  if (!resource) return std::unexpected(resource.error());
  const std::string_view limits = argument.value.substr(equals + 1);
  const size_t colon = limits.find(':');
  const auto soft = limit_value(limits.substr(0, colon));
  if (!soft) return std::unexpected(soft.error());
  const auto hard = colon == std::string_view::npos ? soft : limit_value(limits.substr(colon + 1));
  if (!hard) return std::unexpected(hard.error());
  if (*soft > *hard) return fail(0, "the soft limit is above the hard one");
  request.spec.process.rlimits.push_back(
      {.resource = *resource, .soft = *soft, .hard = *hard, .from = request.origin(argument)});
  return {};
}

Status nice(RunRequest& request, const Argument& argument) {
  return set_signed(request, argument, -20, 19, request.spec.process.nice);
}

Status oom_score_adj(RunRequest& request, const Argument& argument) {
  return set_signed(request, argument, -1000, 1000, request.spec.process.oom_score_adj);
}

Status cpus_allowed(RunRequest& request, const Argument& argument) {
  auto cpus = parse_cpu_list(argument.value);
  if (!cpus) return std::unexpected(cpus.error());
  request.spec.process.cpus_allowed = request.asked(std::move(*cpus), argument);
  return {};
}

Status umask(RunRequest& request, const Argument& argument) {
  const auto mask = parse_octal(argument.value, 0777);
  if (!mask) return std::unexpected(mask.error());
  request.spec.process.umask = request.asked(mode_t{*mask}, argument);
  return {};
}

Status workdir(RunRequest& request, const Argument& argument) {
  if (!argument.value.starts_with('/')) {
    return fail(
        0, fmt::format("{} is not an absolute path inside the sandbox", quoted(argument.value)));
  }
  request.spec.process.cwd = request.asked(std::string(argument.value), argument);
  return {};
}

Status environment_variable(RunRequest& request, const Argument& argument) {
  const size_t equals = argument.value.find('=');
  if (argument.value.empty() || equals == 0) return fail(0, "the variable has no name");
  const bool sets = equals != std::string_view::npos;
  return change_environment(
      request, argument,
      {.kind = sets ? EnvironmentChange::Kind::set : EnvironmentChange::Kind::pass,
       .text = std::string(argument.value)});
}

Status unset_variable(RunRequest& request, const Argument& argument) {
  if (argument.value.empty() || argument.value.find('=') != std::string_view::npos) {
    return fail(0, fmt::format("{} is not a variable's name", quoted(argument.value)));
  }
  return change_environment(
      request, argument,
      {.kind = EnvironmentChange::Kind::unset, .text = std::string(argument.value)});
}

Status clear_environment(RunRequest& request, const Argument& argument) {
  if (!request.environment_asked) request.environment_from = request.origin(argument);
  request.environment_asked = true;
  request.clear_environment = true;
  return {};
}

Status init(RunRequest& request, const Argument& argument) {
  request.spec.process.init = request.asked(true, argument);
  return {};
}

Status terminal(RunRequest& request, const Argument& argument) {
  if (argument.value == "auto") {
    request.terminal = TerminalUse::when_interactive;
  } else if (argument.value == "always") {
    request.terminal = TerminalUse::always;
  } else if (argument.value == "never") {
    request.terminal = TerminalUse::never;
  } else {
    return fail(0, fmt::format("{} is none of auto, always, never", quoted(argument.value)));
  }
  request.terminal_from = request.origin(argument);
  return {};
}

Status pass_fd(RunRequest& request, const Argument& argument) {
  Asked<std::vector<int>>& fds = request.spec.process.pass_fds;
  if (fds.from == 0) fds.from = request.origin(argument);
  for (const std::string& word : split(argument.value, ',')) {
    const auto fd = parse_fd(word);
    if (!fd) return std::unexpected(fd.error());
    fds.value.push_back(*fd);
  }
  return {};
}

Status memory_limit(RunRequest& request, const Argument& argument) {
  const auto bytes = parse_size(argument.value);
  if (!bytes) return std::unexpected(bytes.error());
  request.spec.resources.memory_limit_bytes = request.asked(static_cast<int64_t>(*bytes), argument);
  return {};
}

Status cpu_limit(RunRequest& request, const Argument& argument) {
  constexpr uint64_t kMostCpus = 8192;
  const auto millionths = parse_millionths(argument.value, kMostCpus * 1'000'000);
  if (!millionths) return std::unexpected(millionths.error());
  const uint64_t quota_us = *millionths * kCpuPeriodUs / 1'000'000;
  // kernel/sched/core.c, min_cfs_quota_period: a millisecond.
  if (quota_us < 1000)
    return fail(0, "less than 0.01 of a cpu is more than the kernel can hold to");
  Resources& resources = request.spec.resources;
  resources.cpu_quota_us = request.asked(static_cast<int64_t>(quota_us), argument);
  resources.cpu_period_us = request.asked(kCpuPeriodUs, argument);
  return {};
}

Status pids_limit(RunRequest& request, const Argument& argument) {
  const auto count = parse_number(argument.value, 1, std::numeric_limits<int>::max());
  if (!count) return std::unexpected(count.error());
  request.spec.resources.pids_limit = request.asked(static_cast<int64_t>(*count), argument);
  return {};
}

}  // namespace isle::cli
