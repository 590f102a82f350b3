// state, kill, delete, list, pause, resume: about a container that exists.
#include <fmt/format.h>
#include <regex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "isle/names.h"
#include "oci_cli/container.h"
#include "oci_cli/hooks.h"
#include "oci_cli/rdt.h"
#include "oci_cli/unit.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

using oci::Json;
using oci::Phase;

/// Its maker is at it, or was killed meanwhile.
Phase phase_of(const Opened& opened, Access access = Access::change) {
  const oci::State& state = opened.state;
  if (!state.ready && access == Access::read && opened.directory.busy()) return Phase::creating;
  return state.host_pid == 0 && !state.started ? Phase::stopped : phase(state, opened.process);
}

Status need_words(const Call& call, size_t least, size_t most) {
  const size_t count = call.line.operands.size();
  if (count >= least && count <= most) return {};
  return fail(
      0, fmt::format("{}: expected {} words, found {}", call.line.verb,
                     least == most ? std::to_string(least) : fmt::format("{} to {}", least, most),
                     count));
}

/// The container that is named; with --regex all whose names the extended regular expression fits.
Result<std::vector<std::string>> chosen(const Call& call) {
  if (!call.line.has("regex")) return std::vector{call.id()};
  regex_t pattern;
  if (::regcomp(&pattern, call.id().c_str(), REG_EXTENDED | REG_NOSUB) != 0)
    return fail(0,
                fmt::format("--regex \"{}\": expected an extended regular expression", call.id()));
  std::vector<std::string> ids = oci::Directory::list(call.root);
  std::erase_if(ids, [&](const std::string& id) {
    return ::regexec(&pattern, id.c_str(), 0, nullptr, 0) != 0;
  });
  ::regfree(&pattern);
  return ids;
}

/// `deed` on each that is chosen; the status of the last that fails.
int each(const Call& call, const std::function<Status(const std::string& id)>& deed) {
  const auto ids = chosen(call);
  if (!ids) return call.report.fail(ids.error());
  int status = 0;
  for (const std::string& id : *ids)
    if (Status done = deed(id); !done) status = call.report.fail(done.error());
  return status;
}

Status kill_one(const Call& call, const std::string& id, std::string_view word, int number) {
  const auto opened = open_container(call, id);
  if (!opened) return std::unexpected(opened.error());
  // Without a pid namespace of its own the others do not end with the first one.
  const bool ends_all =
      number == SIGKILL && !opened->state.own_pids && !processes(opened->state).empty();
  if (call.line.has("all") || ends_all) {
    signal_all(opened->state, number);
    return {};
  }
  if (!opened->process)
    return fail(0, fmt::format("cannot kill container \"{}\": container not running", id));
  if (::syscall(SYS_pidfd_send_signal, opened->process.get(), number, nullptr, 0) < 0)
    return fail(errno, fmt::format("send signal {}", word));
  return {};
}

Status remove_one(const Call& call, const std::string& id) {
  const bool force = call.line.has("force");
  const auto opened = open_container(call, id);
  if (!opened) {
    if (force && oci::check_id(id) && !oci::Directory::exists(call.root, id)) return {};
    return std::unexpected(opened.error());
  }
  const Phase now = phase_of(*opened);
  if (!force && now != Phase::stopped && now != Phase::created)
    return fail(0, fmt::format("cannot delete container \"{}\" that is not stopped: it is {}", id,
                               oci::to_string(now)));
  return destroy(call, *opened);
}

}  // namespace

Status destroy(const Call& call, const Opened& opened) {
  const oci::State& state = opened.state;
  if (Status status = end(state, opened.process); !status) return status;
  if (Status status = remove_cgroups(state); !status) return status;
  if (Status status = stop_unit(state); !status) return status;
  remove_rdt(state.rdt_made);
  oci::Hooks hooks;
  if (state.hooks) {
    const auto config = opened.directory.read(oci::kConfigFile);
    auto read =
        config ? oci::read_hooks(*config, own_environment()) : std::unexpected(config.error());
    if (read)
      hooks = std::move(*read);
    else
      call.report.warn(read.error().message());
  }
  if (Status status = opened.directory.remove(); !status) return status;
  run_all_hooks(hooks.poststop, "poststop", state, Phase::stopped, call.report);
  return {};
}

int state(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id(), Access::read);
  if (!opened) return call.report.fail(opened.error());
  return call.report.print(public_text(opened->state, phase_of(*opened, Access::read), true) +
                           "\n");
}

int kill(const Call& call) {
  if (Status status = need_words(call, 1, 2); !status) return call.report.fail(status.error());
  const std::string word = call.line.operands.size() > 1 ? call.line.operands[1] : "TERM";
  const auto number = parse_signal(word);
  if (!number) return call.report.fail({.what = fmt::format("unknown signal \"{}\"", word)});
  return each(call, [&](const std::string& id) { return kill_one(call, id, word, *number); });
}

int remove(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  return each(call, [&](const std::string& id) { return remove_one(call, id); });
}

int list(const Call& call) {
  std::string all;
  std::string table = fmt::format("{:<23} {:<9} {:<11} {:<31} {:<31} {}\n", "ID", "PID", "STATUS",
                                  "BUNDLE", "CREATED", "OWNER");
  std::string ids;
  for (const std::string& id : oci::Directory::list(call.root)) {
    const auto opened = open_container(call, id, Access::read);
    if (!opened && oci::Directory::exists(call.root, id))
      call.report.warn(opened.error().message());
    if (!opened) continue;
    const oci::State& state = opened->state;
    const Phase phase = phase_of(*opened, Access::read);
    table += fmt::format("{:<23} {:<9} {:<11} {:<31} {:<31} {}\n", id,
                         phase == Phase::stopped ? 0 : state.host_pid, oci::to_string(phase),
                         state.bundle, state.created, state.owner);
    ids += id + "\n";
    all += (all.empty() ? "" : ",") + public_text(state, phase, false);
  }
  if (call.line.has("quiet")) return call.report.print(ids);
  const std::string format = call.line.get("format", "table");
  if (format == "json") return call.report.print("[" + all + "]\n");
  if (format == "table") return call.report.print(table);
  return call.report.fail({.what = fmt::format("--format {}: expected table or json", format)});
}

int pause(const Call& call) {
  if (Status status = need_words(call, 1, 1); !status) return call.report.fail(status.error());
  const auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  const Phase now = phase(opened->state, opened->process);
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
  if (phase(opened->state, opened->process) != Phase::paused)
    return call.report.fail({.what = fmt::format("container not paused: \"{}\"", call.id())});
  const Status thawed = freeze(opened->state, false);
  return thawed ? 0 : call.report.fail(thawed.error());
}

}  // namespace isle::oci_cli
