// state, kill, delete, list, ps, pause, resume: about a container that exists.
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "isle/names.h"
#include "oci_cli/container.h"
#include "oci_cli/hooks.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

using oci::Json;
using oci::Phase;

/// Its maker is at it, or was killed meanwhile.
Phase phase_of(const Opened& opened, Access access = Access::change) {
  const oci::State& state = opened.state;
  if (!state.ready && access == Access::read && opened.directory.busy()) return Phase::creating;
  return state.host_pid == 0 && !state.started ? Phase::stopped : phase(state);
}

Status need_words(const Call& call, size_t least, size_t most) {
  const size_t count = call.line.operands.size();
  if (count >= least && count <= most) return {};
  return fail(
      0, fmt::format("{}: expected {} words, found {}", call.line.verb,
                     least == most ? std::to_string(least) : fmt::format("{} to {}", least, most),
                     count));
}

int signal_all(const Call& call, const oci::State& state, int number) {
  for (const pid_t pid : processes(state)) ::kill(pid, number);
  (void)call;
  return 0;
}

}  // namespace

Status destroy(const Call& call, const oci::Directory& directory, const oci::State& state) {
  if (Status status = end(state); !status) return status;
  if (Status status = remove_cgroups(state); !status) return status;
  oci::Hooks hooks;
  if (state.hooks) {
    const auto config = directory.read(oci::kConfigFile);
    auto read = config ? oci::read_hooks(*config) : std::unexpected(config.error());
    if (read)
      hooks = std::move(*read);
    else
      call.report.warn(read.error().message());
  }
  if (Status status = directory.remove(); !status) return status;
  run_all_hooks(hooks.poststop, "poststop", public_state(state, Phase::stopped), call.report);
  return {};
}

int state(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id(), Access::read);
  if (!opened) return call.report.fail(opened.error());
  const Json json = public_state(opened->state, phase_of(*opened, Access::read));
  return call.report.print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

int kill(const Call& call) {
  if (Status status = need_words(call, 1, 2); !status) return call.report.fail(status.error());
  const std::string word = call.line.operands.size() > 1 ? call.line.operands[1] : "TERM";
  const auto number = parse_signal(word);
  if (!number) return call.report.fail({.what = fmt::format("unknown signal \"{}\"", word)});
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  if (call.line.has("all")) return signal_all(call, opened->state, *number);
  const Fd pidfd = open_process(opened->state);
  if (!pidfd)
    return call.report.fail({.what = fmt::format("cannot kill container \"{}\": container not "
                                                 "running",
                                                 call.id())});
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), *number, nullptr, 0) < 0)
    return call.report.fail({.code = errno, .what = fmt::format("send signal {}", word)});
  return 0;
}

int remove(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const bool force = call.line.has("force");
  const auto opened = open_container(call, call.id());
  if (!opened)
    return force && oci::check_id(call.id()) && !oci::Directory::exists(call.root, call.id())
               ? 0
               : call.report.fail(opened.error());
  const Phase now = phase_of(*opened);
  if (!force && now != Phase::stopped && now != Phase::created)
    return call.report.fail({.what = fmt::format("cannot delete container \"{}\" that is not "
                                                 "stopped: it is {}",
                                                 call.id(), oci::to_string(now))});
  if (Status status = destroy(call, opened->directory, opened->state); !status)
    return call.report.fail(status.error());
  return 0;
}

int list(const Call& call) {
  Json all = Json::array();
  std::string table = fmt::format("{:<23} {:<9} {:<11} {:<31} {:<31} {}\n", "ID", "PID", "STATUS",
                                  "BUNDLE", "CREATED", "OWNER");
  std::string ids;
  for (const std::string& id : oci::Directory::list(call.root)) {
    const auto opened = open_container(call, id, Access::read);
    if (!opened) continue;  // removed meanwhile
    const Json json = public_state(opened->state, phase_of(*opened, Access::read));
    table += fmt::format("{:<23} {:<9} {:<11} {:<31} {:<31} {}\n", id, json["pid"].get<int>(),
                         json["status"].get<std::string>(), opened->state.bundle,
                         opened->state.created, opened->state.owner);
    ids += id + "\n";
    all.push_back(json);
  }
  if (call.line.has("quiet")) return call.report.print(ids);
  const std::string format = call.line.get("format", "table");
  if (format == "json")
    return call.report.print(all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  if (format == "table") return call.report.print(table);
  return call.report.fail({.what = fmt::format("--format {}: expected table or json", format)});
}

int ps(const Call& call) {
  if (Status status = need_words(call, 1, SIZE_MAX); !status)
    return call.report.fail(status.error());
  const auto opened = open_container(call, call.id(), Access::read);
  if (!opened) return call.report.fail(opened.error());
  const std::vector<pid_t> pids = processes(opened->state);
  const std::string format = call.line.get("format", "table");
  if (format == "json") return call.report.print(Json(pids).dump() + "\n");
  if (format != "table")
    return call.report.fail({.what = fmt::format("--format {}: expected table or json", format)});
  std::string text = fmt::format("{:<10}{}\n", "PID", "COMMAND");
  for (const pid_t pid : pids) {
    std::string name = oci::read_whole(fmt::format("/proc/{}/comm", pid)).value_or("\n");
    text += fmt::format("{:<10}{}", pid, name);
  }
  return call.report.print(text);
}

int pause(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  const Phase now = phase(opened->state);
  if (now != Phase::running && now != Phase::created)
    return call.report.fail({.what = fmt::format("container not running: cannot pause \"{}\", "
                                                 "which is {}",
                                                 call.id(), oci::to_string(now))});
  const Status frozen = freeze(opened->state, true);
  return frozen ? 0 : call.report.fail(frozen.error());
}

int resume(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  if (phase(opened->state) != Phase::paused)
    return call.report.fail({.what = fmt::format("container not paused: \"{}\"", call.id())});
  const Status thawed = freeze(opened->state, false);
  return thawed ? 0 : call.report.fail(thawed.error());
}

}  // namespace isle::oci_cli
