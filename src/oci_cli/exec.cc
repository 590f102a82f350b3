// exec: another process in a container that runs.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "cli/session.h"
#include "cli/signals.h"
#include "isle/host.h"
#include "isle/names.h"
#include "isle/namespace.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "oci_cli/container.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

constexpr int kExecFailed = 255;

/// "1000", "1000:100": digits only, 32 bits.
Result<uint32_t> parse_id(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || id == UINT32_MAX)
    return fail(0, fmt::format("id \"{}\": expected a number from 0 to 4294967294", text));
  return id;
}

Status set_user(const std::string& text, Spec& spec) {
  const Origin from = spec.add_origin("--user");
  const size_t colon = text.find(':');
  const auto uid = parse_id(std::string_view(text).substr(0, colon));
  if (!uid) return std::unexpected(uid.error());
  spec.process.user.uid = {.value = *uid, .from = from};
  if (colon == std::string::npos) return {};
  const auto gid = parse_id(std::string_view(text).substr(colon + 1));
  if (!gid) return std::unexpected(gid.error());
  spec.process.user.gid = {.value = *gid, .from = from};
  return {};
}

Status set_options(const Call& call, Spec& spec) {
  const CommandLine& line = call.line;
  if (line.has("user"))
    if (Status status = set_user(line.get("user"), spec); !status) return status;
  if (line.has("cwd"))
    spec.process.cwd = {.value = line.get("cwd"), .from = spec.add_origin("--cwd")};
  for (const std::string& entry : line.all("env")) {
    if (entry.find('=') == std::string::npos)
      return fail(0, fmt::format("--env {}: expected NAME=value", entry));
    spec.process.env->value.push_back(entry);
  }
  for (const std::string& text : line.all("additional-gids")) {
    const auto gid = parse_id(text);
    if (!gid) return std::unexpected(gid.error());
    if (!spec.process.user.additional_gids)
      spec.process.user.additional_gids = {.value = {},
                                           .from = spec.add_origin("--additional-gids")};
    spec.process.user.additional_gids->value.push_back(*gid);
  }
  for (const std::string& name : line.all("cap")) {
    const auto number = parse_capability(name);
    if (!number) {  // a container for newer kernels
      call.report.warn(fmt::format("--cap {}: no capability is called so; left out", name));
      continue;
    }
    // What is inheritable stays as it was.
    Capabilities& sets = spec.process.capabilities->value;
    const uint64_t bit = uint64_t{1} << *number;
    for (uint64_t* set : {&sets.bounding, &sets.effective, &sets.permitted}) *set |= bit;
    sets.ambient |= sets.inheritable & bit;
  }
  if (line.has("no-new-privs")) spec.process.no_new_privileges.value = true;
  const auto label = [&](const char* flag, Wish<std::string>& into) {
    if (line.has(flag))
      into = {.value = line.get(flag), .from = spec.add_origin(std::string("--") + flag)};
  };
  label("apparmor", spec.process.apparmor_profile);
  label("process-label", spec.process.selinux_label);
  return {};
}

/// The process as --process tells it, or the container's own with other arguments.
Result<oci::ExecProcess> read_process(const Call& call, const Opened& opened) {
  const CommandLine& line = call.line;
  if (line.has("process")) {
    const auto text = oci::read_whole(line.get("process"));
    if (!text) return std::unexpected(text.error());
    auto result = oci::read_process(*text);
    if (result) oci::obey_annotations(opened.state.annotations, result->spec.process);
    return result;
  }
  if (line.operands.size() < 2)
    return fail(0, "exec: expected a container id and a command, or --process");
  const auto config = opened.directory.read(oci::kConfigFile);
  if (!config) return std::unexpected(config.error());
  auto json = oci::parse_json(*config, "config.json");
  if (!json) return std::unexpected(json.error());
  oci::Json process = (*json)["process"];
  process["args"] = std::vector<std::string>(line.operands.begin() + 1, line.operands.end());
  process["terminal"] = line.has("tty");
  auto result = oci::read_process(process.dump());
  if (!result) return result;
  oci::obey_annotations(opened.state.annotations, result->spec.process);
  if (Status status = set_options(call, result->spec); !status)
    return std::unexpected(status.error());
  return result;
}

bool has_processes_file(const std::string& cgroup) {
  return ::access((cgroup + "/cgroup.procs").c_str(), F_OK) == 0;
}

/// On v2 no process may be where controllers are handed on: then it is where the first process is.
std::string default_cgroup(const oci::State& state, const std::string& own) {
  const auto handed_on = oci::read_whole(own + "/cgroup.subtree_control");
  if (!handed_on || split(*handed_on).empty()) return own;
  const auto text = oci::read_whole(fmt::format("/proc/{}/cgroup", state.host_pid));
  for (const std::string_view line : split(text ? *text : std::string_view{}, "\n")) {
    const size_t at = line.find(state.cgroup_path + "/");
    if (line.starts_with("0::") && at != std::string_view::npos)
      return own + std::string(line.substr(at + state.cgroup_path.size()));
  }
  return own;
}

/// --cgroup PATH, or CONTROLLERS:PATH for hierarchies of v1: cgroups below the container's own.
Status join_cgroups(const Call& call, const oci::State& state, Spec& spec) {
  const Origin from = spec.add_origin("container " + state.id);
  const auto wanted = call.line.all("cgroup");
  std::vector<std::string> chosen(state.cgroups.size());
  for (const std::string& text : wanted) {
    const size_t colon = text.find(':');
    const std::string path = text.substr(colon == std::string::npos ? 0 : colon + 1);
    if (("/" + path + "/").find("/../") != std::string::npos)
      return fail(0, fmt::format("--cgroup {}: bad sub cgroup path: {} is not a sub cgroup path",
                                 text, path));
    for (const std::string_view name : colon == std::string::npos
                                           ? std::vector<std::string_view>{""}
                                           : split(std::string_view(text).substr(0, colon), ",")) {
      bool known = name.empty();
      for (size_t i = 0; i < state.cgroups.size(); ++i) {
        const std::string_view mount =
            std::string_view(state.cgroups[i])
                .substr(0, state.cgroups[i].size() - state.cgroup_path.size());
        const auto served = split(mount.substr(mount.rfind('/') + 1), ",");
        if (!name.empty() && std::ranges::find(served, name) == served.end()) continue;
        known = true;
        chosen[i] = (path.starts_with('/') ? "" : "/") + path;
      }
      if (!known) return fail(0, fmt::format("--cgroup {}: unknown controller \"{}\"", text, name));
    }
  }
  for (const std::string& group : state.rdt)
    spec.resources.join.push_back({.value = group, .from = from});
  for (size_t i = 0; i < state.cgroups.size(); ++i) {
    const std::string& own = state.cgroups[i];
    const std::string cgroup = chosen[i].empty() ? default_cgroup(state, own) : own + chosen[i];
    if (has_processes_file(cgroup))
      spec.resources.join.push_back({.value = cgroup, .from = from});
    else if (!chosen[i].empty() && has_processes_file(own))
      return fail(0,
                  fmt::format("error adding pid of the process to cgroups: open {}/cgroup.procs: "
                              "no such file or directory",
                              cgroup));
  }
  return {};
}

IdMap uid_map_of(pid_t pid) {
  const auto text = oci::read_whole(fmt::format("/proc/{}/uid_map", pid));
  IdMap map;
  for (const std::string_view line : split(text ? *text : std::string_view{}, "\n"))
    if (const auto words = split(line); words.size() == 3)
      map.push_back({number_in<uint32_t>(words[0]), number_in<uint32_t>(words[1]),
                     number_in<uint32_t>(words[2])});
  return map;
}

/// All namespaces that the container has of its own by one setns, and its root: its mount namespace
/// may be the host's, or another's.
void join_namespaces(const oci::State& state, BorrowedFd pidfd, BorrowedFd root, Spec& spec) {
  const Origin from = spec.add_origin("container " + state.id);
  for (const std::string& name : state.namespaces) {
    const auto type = parse_namespace_type(name);
    if (!type) continue;
    spec.namespaces.push_back({.type = *type, .fd = pidfd.get(), .from = from});
  }
  spec.root_fd = {.value = root.get(), .from = from};
}

int launch_and_stay(const Call& call, Spec& spec, const std::optional<oci::Filter>& filter,
                    const oci::State& state, oci::Phase now) {
  const Host host = probe_host(spec);
  keep_groups_where_denied(host, call.report, spec);
  const auto plan = compile(spec, host);
  if (!plan) return call.report.fail(plan.error(), kExecFailed);
  if (call.line.has("debug")) call.report.debug(to_text(*plan));
  const bool detach = call.line.has("detach");
  std::optional<cli::SignalEvents> signals;
  if (!detach) signals.emplace();
  LaunchOptions options;
  options.signal_mask = kNoSignals;
  options.on_call = [&](CallPoint point, pid_t host_pid, BorrowedFd listener) -> Status {
    if (point != CallPoint::listening) return {};
    return hand_listener_over(*filter, listener, host_pid, public_state(state, now));
  };
  auto process = launch(*plan, options);
  if (!process) {
    return call.report.fail(in_engine_words(process.error(), *plan, spec.process.args.value),
                            kExecFailed);
  }
  if (signals) signals->launched();
  if (Status status = send_to(call.line, "console-socket", process->console()); !status)
    return call.report.fail(status.error(), kExecFailed);
  if (Status status = send_to(call.line, "pidfd-socket", process->pidfd()); !status)
    return call.report.fail(status.error(), kExecFailed);
  if (Status status = write_pid_file(call.line.get("pid-file"), process->host_pid()); !status)
    return call.report.fail(status.error(), kExecFailed);
  if (detach) {
    std::move(*process).release();
    return 0;
  }
  const auto ended = cli::run_session(*process, *signals, {});
  return ended ? ended->status.shell_status() : call.report.fail(ended.error(), kExecFailed);
}

}  // namespace

int exec(const Call& call) {
  auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error(), kExecFailed);
  const oci::Phase now = phase(opened->state, opened->process);
  const bool paused = now == oci::Phase::paused && !call.line.has("ignore-paused");
  if (now == oci::Phase::stopped || now == oci::Phase::creating)
    return call.report.fail(
        {.what = fmt::format("cannot exec in container \"{}\": container not running: it is {}",
                             call.id(), oci::to_string(now))},
        kExecFailed);
  if (paused)
    return call.report.fail(
        {.what = fmt::format("cannot exec in a paused container (\"{}\")", call.id()),
         .hint = "--ignore-paused"},
        kExecFailed);
  auto process = read_process(call, *opened);
  if (!process) return call.report.fail(process.error(), kExecFailed);
  Spec& spec = process->spec;
  for (const std::string& warning : process->warnings) call.report.warn(warning);
  if (Status status = pass_descriptors(call, spec); !status)
    return call.report.fail(status.error(), kExecFailed);
  if (process->terminal && call.line.has("detach") && !call.line.has("console-socket"))
    return call.report.fail({.what = "a detached terminal needs --console-socket"}, kExecFailed);
  const auto config = opened->directory.read(oci::kConfigFile);
  if (!config) return call.report.fail(config.error(), kExecFailed);
  const auto filter = oci::read_for_exec(*config, spec);
  if (!filter) return call.report.fail(filter.error(), kExecFailed);
  if (Status status = load_filter(*filter, call.root, spec); !status)
    return call.report.fail(status.error(), kExecFailed);
  {  // others may kill it while we look at files that are its own
    const oci::Directory unlocked = std::move(opened->directory);
  }
  const std::string root_path = fmt::format("/proc/{}/root", opened->state.host_pid);
  const Fd root(::open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root)
    return call.report.fail({.what = "container not running: no such process"}, kExecFailed);
  complete_environment(spec, root_path);
  widen_affinity(spec);
  spec.process.plain_newlines = !call.line.has("console-socket") && ::isatty(STDOUT_FILENO) == 0;
  join_namespaces(opened->state, opened->process.borrow(), root.borrow(), spec);
  give_standard_descriptors(spec, uid_map_of(opened->state.host_pid));
  if (!opened->state.keeps_keyring)
    spec.process.session_keyring = {.value = "_ses." + opened->state.id};
  if (Status status = join_cgroups(call, opened->state, spec); !status)
    return call.report.fail(status.error(), kExecFailed);
  return launch_and_stay(call, spec, *filter, opened->state, now);
}

}  // namespace isle::oci_cli
