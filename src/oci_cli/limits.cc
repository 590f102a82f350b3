// update: other limits for a container that runs.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "isle/cgroup.h"
#include "isle/host.h"
#include "oci_cli/container.h"
#include "oci_cli/unit.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

using oci::Json;

/// A flag for one limit, and where that stands in "linux.resources".
struct LimitFlag {
  enum class Kind { number, bytes, text };
  const char* name = nullptr;
  const char* pointer = nullptr;
  Kind kind = Kind::number;
};
constexpr LimitFlag kLimitFlags[] = {
    {"blkio-weight", "/blockIO/weight"},
    {"cpu-period", "/cpu/period"},
    {"cpu-quota", "/cpu/quota"},
    {"cpu-burst", "/cpu/burst"},
    {"cpu-share", "/cpu/shares"},
    {"cpu-rt-period", "/cpu/realtimePeriod"},
    {"cpu-rt-runtime", "/cpu/realtimeRuntime"},
    {"cpu-idle", "/cpu/idle"},
    {"cpuset-cpus", "/cpu/cpus", LimitFlag::Kind::text},
    {"cpuset-mems", "/cpu/mems", LimitFlag::Kind::text},
    {"kernel-memory", "/memory/kernel", LimitFlag::Kind::bytes},
    {"kernel-memory-tcp", "/memory/kernelTCP", LimitFlag::Kind::bytes},
    {"memory", "/memory/limit", LimitFlag::Kind::bytes},
    {"memory-reservation", "/memory/reservation", LimitFlag::Kind::bytes},
    {"memory-swap", "/memory/swap", LimitFlag::Kind::bytes},
    {"pids-limit", "/pids/limit"},
};

/// "-1", "65536"; for bytes also "64k", "64m", "1g", with or without a "b", in either case.
Result<int64_t> number_of(const LimitFlag& flag, std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  int shift = 0;
  if (flag.kind == LimitFlag::Kind::bytes && !unit.empty()) {
    constexpr std::string_view kUnits = "bkmgtp";
    const size_t power = kUnits.find(static_cast<char>(unit[0] | 0x20));
    const bool ends =
        unit.size() == 1 || (power > 0 && unit.size() == 2 && (unit[1] | 0x20) == 'b');
    if (power != std::string_view::npos && ends) {
      shift = static_cast<int>(power) * 10;
      unit = {};
    }
  }
  if (error != std::errc{} || !unit.empty() || number > INT64_MAX >> shift)
    return fail(0, fmt::format("--{} {}: expected a number{}", flag.name, text,
                               flag.kind == LimitFlag::Kind::bytes ? " of bytes" : ""));
  return number * (int64_t{1} << shift);
}

/// The document of --resources, or what the flags say, as one.
Result<std::string> asked_for(const CommandLine& line) {
  if (line.has("resources")) {
    const std::string file = line.get("resources");
    return oci::read_whole(file == "-" ? "/dev/stdin" : file);
  }
  Json resources = Json::object();
  for (const LimitFlag& flag : kLimitFlags) {
    if (!line.has(flag.name)) continue;
    const std::string text = line.get(flag.name);
    Json& into = resources[Json::json_pointer(flag.pointer)];
    if (flag.kind == LimitFlag::Kind::text) {
      into = text;
      continue;
    }
    const auto number = number_of(flag, text);
    if (!number) return std::unexpected(number.error());
    into = *number;
  }
  return resources.dump();
}

std::string first_file(const oci::State& state, std::initializer_list<const char*> names) {
  for (const std::string& cgroup : state.cgroups)
    for (const char* name : names)
      if (auto text = oci::read_whole(cgroup + "/" + name)) return std::move(*text);
  return {};
}

/// What v2 holds in one file is written as a whole: the half that nobody asked for stays.
void complete(const oci::State& state, Resources& wish) {
  const std::string bandwidth = first_file(state, {"cpu.max"});
  int64_t quota = -1;
  uint64_t period = 0;
  const char* end = bandwidth.data() + bandwidth.size();
  const size_t space = bandwidth.find(' ');
  if (space != std::string::npos) {
    (void)std::from_chars(bandwidth.data(), end, quota);
    (void)std::from_chars(bandwidth.data() + space + 1, end, period);
    if (wish.cpu_quota_us && !wish.cpu_period_us) wish.cpu_period_us = {.value = period};
    if (wish.cpu_period_us && !wish.cpu_quota_us) wish.cpu_quota_us = {.value = quota};
  }
  if (!wish.memory_swap_bytes || wish.memory_limit_bytes) return;
  const std::string memory = first_file(state, {"memory.max", "memory.limit_in_bytes"});
  int64_t limit = 0;
  if (std::from_chars(memory.data(), memory.data() + memory.size(), limit).ec == std::errc{})
    wish.memory_limit_bytes = {.value = limit};
}

Status check_usage(const oci::State& state, const Resources& wish) {
  if (!wish.memory_limit_bytes || wish.memory_limit_bytes->value <= 0) return {};
  const std::string text = first_file(state, {"memory.current", "memory.usage_in_bytes"});
  int64_t usage = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), usage);
  if (usage <= wish.memory_limit_bytes->value) return {};
  return fail(0, fmt::format("unable to set memory limit to {} (current usage: {})",
                             wish.memory_limit_bytes->value, usage));
}

int write_to(const CgroupWrite& write) {
  const Fd fd(::open(write.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  return ::write(fd.get(), write.value.data(), write.value.size()) < 0 ? errno : 0;
}

/// Two files can bound each other (memory with and without swap, quota and period): what is refused
/// at first is tried again after the others.
Status apply(std::vector<CgroupWrite> writes) {
  for (size_t tries = writes.size() + 1;;) {
    std::vector<CgroupWrite> refused;
    int error = 0;
    for (CgroupWrite& write : writes) {
      const int result = write_to(write);
      if (result == 0 || result == write.pass_over) continue;
      if (refused.empty()) error = result;
      refused.push_back(std::move(write));
    }
    if (refused.empty()) return {};
    if (--tries == 0 || refused.size() == writes.size())
      return fail(
          error, fmt::format(R"(write "{}" to "{}")", refused.front().value, refused.front().path));
    writes = std::move(refused);
  }
}

}  // namespace

int update(const Call& call) {
  if (call.line.operands.size() != 1)
    return call.report.fail({.what = "update: expected a container id"});
  const auto text = asked_for(call.line);
  if (!text) return call.report.fail(text.error());
  auto wanted = oci::read_update(*text);
  if (!wanted) return call.report.fail(wanted.error());
  for (const std::string& warning : wanted->warnings) call.report.warn(warning);
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  const oci::State& state = opened->state;
  if (!opened->process)
    return call.report.fail(
        {.what = fmt::format("cannot update container \"{}\": container not running", state.id)});
  Resources& wish = wanted->spec.resources;
  complete(state, wish);
  if (wanted->check_before_update)
    if (Status status = check_usage(state, wish); !status) return call.report.fail(status.error());
  wish.path = {.value = state.cgroup_path};
  const CgroupFacts facts = probe_host(wanted->spec).cgroup;
  auto writes = limit_writes(wish, facts, wanted->spec.origins);
  if (!writes) return call.report.fail(writes.error());
  if (state.cgroup_path.empty() && !writes->empty())
    return call.report.fail(
        {.what =
             fmt::format("cannot update container \"{}\": it has no cgroup of its own", state.id)});
  if (Status status = set_limits(state, oci::limit_properties(*writes, facts)); !status)
    return call.report.fail(status.error());
  const Status applied = apply(std::move(*writes));
  return applied ? 0 : call.report.fail(applied.error());
}

}  // namespace isle::oci_cli
