// events: what a container uses, once or again and again, and that it ran out of memory.
#include <fmt/format.h>
#include <poll.h>

#include <charconv>
#include <chrono>

#include "oci_cli/container.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

using oci::Json;

/// The files of a container's cgroups, wherever they are.
class Files {
 public:
  explicit Files(const oci::State& state) : state_(state) {}

  [[nodiscard]] std::string text(const char* name) const {
    for (const std::string& cgroup : state_.cgroups)
      if (auto text = oci::read_whole(cgroup + "/" + name)) return std::move(*text);
    return {};
  }
  /// 0 for a file that is not there, the largest for "max".
  [[nodiscard]] uint64_t number(const char* name) const { return number_in(text(name)); }
  /// Lines "key value".
  [[nodiscard]] Json table(const char* name) const {
    Json result = Json::object();
    const std::string whole = text(name);
    const auto words = split(whole);
    for (size_t i = 0; i + 1 < words.size(); i += 2)
      result[std::string(words[i])] = number_in(words[i + 1]);
    return result;
  }

 private:
  const oci::State& state_;
};

constexpr uint64_t kNsPerUs = 1000;
constexpr uint64_t kNsPerTick = 10'000'000;

Json cpu_stats(const Files& files) {
  const Json stat = files.table("cpu.stat");
  const auto of = [&](const char* key) { return stat.value(key, uint64_t{0}); };
  Json usage;
  if (stat.contains("usage_usec")) {
    usage = {{"total", of("usage_usec") * kNsPerUs},
             {"kernel", of("system_usec") * kNsPerUs},
             {"user", of("user_usec") * kNsPerUs}};
  } else {
    const Json ticks = files.table("cpuacct.stat");
    usage = {{"total", files.number("cpuacct.usage")},
             {"kernel", ticks.value("system", uint64_t{0}) * kNsPerTick},
             {"user", ticks.value("user", uint64_t{0}) * kNsPerTick}};
    const std::string each = files.text("cpuacct.usage_percpu");
    for (const std::string_view ns : split(each)) usage["percpu"].push_back(number_in(ns));
  }
  const uint64_t throttled_ns =
      stat.contains("throttled_usec") ? of("throttled_usec") * kNsPerUs : of("throttled_time");
  return {{"usage", usage},
          {"throttling",
           {{"periods", of("nr_periods")},
            {"throttledPeriods", of("nr_throttled")},
            {"throttledTime", throttled_ns}}}};
}

Json memory_entry(const Files& files, const char* prefix) {
  const auto file = [&](const char* name) {
    return files.number(fmt::format("{}.{}", prefix, name).c_str());
  };
  return {{"limit", file("limit_in_bytes")},
          {"usage", file("usage_in_bytes")},
          {"max", file("max_usage_in_bytes")},
          {"failcnt", file("failcnt")}};
}

Json memory_stats(const Files& files) {
  const Json raw = files.table("memory.stat");
  if (files.text("memory.current").empty())
    return {{"cache", raw.value("total_cache", uint64_t{0})},
            {"usage", memory_entry(files, "memory")},
            {"swap", memory_entry(files, "memory.memsw")},
            {"kernel", memory_entry(files, "memory.kmem")},
            {"kernelTCP", memory_entry(files, "memory.kmem.tcp")},
            {"raw", raw}};
  const Json events = files.table("memory.events");
  return {{"cache", raw.value("file", uint64_t{0})},
          {"usage",
           {{"limit", files.number("memory.max")},
            {"usage", files.number("memory.current")},
            {"max", files.number("memory.peak")},
            {"failcnt", events.value("max", uint64_t{0})}}},
          {"swap",
           {{"limit", files.number("memory.swap.max")},
            {"usage", files.number("memory.swap.current")},
            {"failcnt", uint64_t{0}}}},
          {"raw", raw}};
}

/// "8:0 Read 12" of v1, "8:0 rbytes=12 wbytes=3" of v2.
Json io_rows(const std::string& text) {
  Json rows = Json::array();
  for (const std::string_view line : split(text, "\n")) {
    const auto words = split(line);
    const size_t colon = words.empty() ? std::string_view::npos : words[0].find(':');
    if (colon == std::string_view::npos) continue;  // "Total 12"
    const auto add = [&](std::string_view operation, std::string_view value) {
      rows.push_back({{"major", number_in(words[0])},
                      {"minor", number_in(words[0].substr(colon + 1))},
                      {"op", operation},
                      {"value", number_in(value)}});
    };
    for (size_t i = 1; i < words.size(); ++i) {
      const size_t sign = words[i].find('=');
      if (sign != std::string_view::npos)
        add(words[i].substr(0, sign), words[i].substr(sign + 1));
      else if (i + 1 < words.size())
        add(words[i], words[i + 1]), ++i;
    }
  }
  return rows;
}

Json io_stats(const Files& files) {
  const std::string v2 = files.text("io.stat");
  if (!v2.empty()) return {{"ioServiceBytesRecursive", io_rows(v2)}};
  return {
      {"ioServiceBytesRecursive", io_rows(files.text("blkio.throttle.io_service_bytes_recursive"))},
      {"ioServicedRecursive", io_rows(files.text("blkio.throttle.io_serviced_recursive"))}};
}

/// A line; type, id, data, in this order.
std::string event(std::string_view type, const oci::State& state, const Json& data = {}) {
  return fmt::format(R"({{"type":"{}","id":{}{}{}}})", type, Json(state.id).dump(),
                     data.is_null() ? "" : ",\"data\":", data.is_null() ? "" : data.dump()) +
         "\n";
}

std::string stats_of(const oci::State& state) {
  const Files files(state);
  const uint64_t limit = files.number("pids.max");
  const Json data = {
      {"cpu", cpu_stats(files)},
      {"memory", memory_stats(files)},
      {"pids",
       {{"current", files.number("pids.current")}, {"limit", limit == UINT64_MAX ? 0 : limit}}},
      {"blkio", io_stats(files)}};
  return event("stats", state, data);
}

uint64_t oom_kills(const oci::State& state) {
  const Files files(state);
  const Json v2 = files.table("memory.events");
  return v2.value("oom_kill", files.table("memory.oom_control").value("oom_kill", uint64_t{0}));
}

/// Go's durations: "5s", "100ms", "1m30s".
Result<std::chrono::milliseconds> duration_of(std::string_view text) {
  const auto wrong = [&] {
    return fail(0, fmt::format("--interval {}: expected a duration such as 5s", text));
  };
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr Unit kUnits[] = {{"ms", 1},   {"us", 0.001}, {"ns", 1e-6},
                             {"s", 1000}, {"m", 60'000}, {"h", 3.6e6}};
  double total = 0;
  for (std::string_view rest = text; !rest.empty();) {
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc{}) return wrong();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const Unit* unit =
        std::ranges::find_if(kUnits, [&](const Unit& u) { return rest.starts_with(u.name); });
    if (unit == std::end(kUnits)) return wrong();
    rest.remove_prefix(unit->name.size());
    total += number * unit->ms;
  }
  constexpr double kLongest = 86'400'000;
  if (total < 1 || total > kLongest) return wrong();
  return std::chrono::milliseconds(static_cast<int64_t>(total));
}

}  // namespace

int events(const Call& call) {
  if (call.line.operands.size() != 1)
    return call.report.fail({.what = "events: expected a container id"});
  const auto interval = duration_of(call.line.get("interval", "5s"));
  if (!interval) return call.report.fail(interval.error());
  oci::State state;
  Fd process;
  {
    auto opened = open_container(call, call.id());
    if (!opened) return call.report.fail(opened.error());
    state = std::move(opened->state);
    process = std::move(opened->process);
  }
  if (!process)
    return call.report.fail(
        {.what = fmt::format("container \"{}\": container not running", call.id())});
  if (call.line.has("stats")) return call.report.print(stats_of(state));
  for (uint64_t kills = oom_kills(state);;) {
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, static_cast<int>(interval->count())) != 0) return 0;
    if (const uint64_t now = oom_kills(state); now != kills) {
      kills = now;
      (void)call.report.print(event("oom", state));
    }
    (void)call.report.print(stats_of(state));
  }
}

}  // namespace isle::oci_cli
