// restore: a container out of files, by criu.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cli/signals.h"
#include "isle/host.h"
#include "isle/mount.h"
#include "isle/namespace.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "oci_cli/container.h"
#include "oci_cli/hooks.h"
#include "oci_cli/images.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/prepare.h"

namespace isle::oci_cli {
namespace {

constexpr int kKey = 1;  // of inherit_fd, cgroup_root and join_namespace
constexpr int kValue = 2;

/// By the names that checkpoint gave them: all that may have been mounted of the host.
Status add_mounts(const Spec& spec, CriuMessage& options) {
  const auto add = [&](const std::string& name, const std::string& source) {
    options.text(criu_option::external, fmt::format("mnt[{}]:{}", name, source));
  };
  const auto hosts = mounts();
  if (!hosts) return std::unexpected(hosts.error());
  add("/dev/null", "/dev/null");  // what masks
  for (const FsOperation& operation : spec.mounts) {
    if (std::holds_alternative<MakeDevice>(operation.what) && operation.destination != "/dev/null")
      add(operation.destination, operation.destination);
    const Bind* bind = std::get_if<Bind>(&operation.what);
    if (bind == nullptr) continue;
    add(operation.destination, bind->source);
    for (const Mount& mount : *hosts)
      if (bind->recursive && mount.mount_point.starts_with(bind->source + "/"))
        add(operation.destination + mount.mount_point.substr(bind->source.size()),
            mount.mount_point);
  }
  return {};
}

/// Those that config.json names by a path: criu has a way for two types, and another for the rest.
Status add_namespaces(const Spec& spec, std::vector<Fd>& kept, CriuMessage& options) {
  for (const NamespaceWish& wish : spec.namespaces) {
    if (wish.path.empty()) continue;
    const std::string name = external_namespace(wish.type);
    CriuMessage entry;
    if (!name.empty()) {
      Fd fd(::open(wish.path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd) return fail(errno, fmt::format("open the namespace \"{}\"", wish.path));
      entry.text(kKey, name).number(kValue, static_cast<uint64_t>(fd.get()));
      options.message(criu_option::inherit_fd, entry);
      kept.push_back(std::move(fd));
    } else {
      entry.text(kKey, type_info(wish.type).proc_name).text(kValue, wish.path);
      options.message(criu_option::join_ns, entry);
    }
  }
  return {};
}

/// What was the caller's at 0, 1 and 2 is now what this one's caller has there.
Status add_descriptors(const std::string& images, CriuMessage& options) {
  const auto text = oci::read_whole(images + "/" + kDescriptorsFile);
  const oci::Json names = text ? oci::Json::parse(*text, nullptr, false) : oci::Json();
  if (!names.is_array()) return {};
  int fd = 0;
  for (const oci::Json& each : names) {
    const std::string name = each.is_string() ? each.get<std::string>() : std::string{};
    const bool is_file = name.starts_with("file[");
    // criu goes to where in the file it was.
    if (is_file && ::lseek(fd, 0, SEEK_CUR) < 0)
      return fail(errno, fmt::format("restore descriptor {}, which was a file or /dev/null", fd),
                  "it has to be one here, too");
    CriuMessage entry;
    entry.text(kKey, name).number(kValue, static_cast<uint64_t>(fd++));
    if (is_file || name.starts_with("pipe:[")) options.message(criu_option::inherit_fd, entry);
  }
  return {};
}

/// criu runs in the container's cgroups, as far as there are any of its own.
void add_cgroups(pid_t criu_pid, CriuMessage& options) {
  const std::string text = oci::read_whole(fmt::format("/proc/{}/cgroup", criu_pid)).value_or("");
  for (const std::string_view line : split(text, "\n")) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    CriuMessage entry;
    entry.text(kKey, line.substr(first + 1, second - first - 1))
        .text(kValue, line.substr(second + 1));
    options.message(criu_option::cgroup_root, entry);
  }
}

class Restorer {
 public:
  Restorer(const Call& call, Prepared& prepared, oci::Directory& directory, CriuRequest& request)
      : call_(call), prepared_(prepared), directory_(directory), request_(request) {}

  Result<oci::State> restore() {
    if (prepared_.unit)
      if (Status status = prepared_.unit->start(); !status) return give_up(status.error());
    probe(prepared_);
    state_ = new_state(prepared_, call_.id());
    if (!prepared_.unit)  // before there is anything to give up: what is in them is another's
      if (Status status = expect_unused_cgroups(state_, prepared_.host); !status)
        return std::unexpected(status.error());
    if (Status status = directory_.write(oci::kConfigFile, prepared_.config); !status)
      return give_up(status.error());
    if (Status status = directory_.save(state_); !status) return give_up(status.error());
    if (prepared_.container.rdt)
      if (Status status = make_rdt(prepared_.rdt, *prepared_.container.rdt, prepared_.resctrl);
          !status)
        return give_up(status.error());
    if (Status status = make_mount_points(); !status) return give_up(status.error());
    std::vector<Fd> kept;
    if (Status status = fill(kept); !status) return give_up(status.error());
    const auto pid = ask_criu(request_);
    if (!pid) return give_up(pid.error());
    if (Status status = finish(*pid); !status) return give_up(status.error());
    return state_;
  }

 private:
  std::unexpected<Error> give_up(Error error) {
    if (const auto process = open_process(state_)) (void)end(state_, *process);
    (void)remove_cgroups(state_);
    if (prepared_.unit) prepared_.unit->abandon();
    remove_rdt(prepared_.rdt.made);
    return std::unexpected(std::move(error));
  }

  /// All is mounted as create does it, and given up: directories and files to mount on are in the
  /// root then, and no link in it was followed out of it.
  Status make_mount_points() {
    Spec spec = prepared_.container.spec;
    spec.resources = {};
    spec.process.args = {.value = {"true"}};
    spec.process.terminal = {};
    spec.process.console_path = {};
    spec.process.seccomp = {};
    spec.calls_back = {.value = true};
    const auto plan = compile(spec, probe_host(spec));
    if (!plan) return std::unexpected(plan.error());
    bool mounted = false;
    LaunchOptions options;
    options.on_call = [&](CallPoint, pid_t, BorrowedFd) -> Status {
      mounted = true;
      return fail(ECANCELED, "enough");
    };
    const auto process = launch(*plan, options);
    if (mounted) return {};
    return std::unexpected(process.error());
  }

  Status fill(std::vector<Fd>& kept) {
    const Spec& wanted = prepared_.container.spec;
    CriuMessage& options = request_.options;
    request_.spec.resources = wanted.resources;
    request_.spec.process.die_with_parent = {.value = true};
    // criu wants a mount as the new root. Bound on itself where criu alone sees it, it needs no
    // clearing away.
    request_.spec.mounts.push_back(
        {.destination = state_.rootfs, .what = Bind{.source = state_.rootfs}});
    options.number(criu_option::restore_sibling, 1).text(criu_option::root, state_.rootfs);
    if (Status status = add_mounts(wanted, options); !status) return status;
    if (Status status = add_namespaces(wanted, kept, options); !status) return status;
    if (Status status = add_descriptors(request_.images, options); !status) return status;
    for (const Fd& fd : kept) request_.pass_fds.push_back(fd.get());
    request_.complete = add_cgroups;
    request_.on_notice = [&](CriuNotice& notice) { return on_notice(notice); };
    return {};
  }

  Status on_notice(CriuNotice& notice) {
    if (notice.name == "orphan-pts-master") {
      if (call_.line.has("console-socket"))
        return send_to(call_.line, "console-socket", notice.descriptor.borrow());
      return fail(0, "the container has a terminal: that needs --console-socket");
    }
    if (notice.name != "setup-namespaces") return {};
    if (prepared_.unit)
      if (Status status = prepared_.unit->release(); !status) return status;
    if (Status status = take_process(state_, notice.host_pid); !status) return status;
    if (Status status = directory_.save(state_); !status) return status;
    const oci::Hooks& hooks = prepared_.container.hooks;
    if (Status status = run_hooks(hooks.prestart, "prestart", state_, oci::Phase::created); !status)
      return status;
    return run_hooks(hooks.create_runtime, "createRuntime", state_, oci::Phase::creating);
  }

  Status finish(pid_t host_pid) {
    if (Status status = take_process(state_, host_pid); !status) return status;
    state_.ready = true;
    state_.started = true;
    if (Status status = directory_.save(state_); !status) return status;
    return write_pid_file(call_.line.get("pid-file"), host_pid);
  }

  const Call& call_;
  Prepared& prepared_;
  oci::Directory& directory_;
  CriuRequest& request_;
  oci::State state_;
};

/// The restored process is our child: its exit status, with signals handed on until then.
int stay_with(const Call& call, const oci::State& state, const cli::SignalEvents& signals) {
  const Fd pidfd = open_process(state).value_or(Fd());
  pollfd polled[] = {{.fd = pidfd.get(), .events = POLLIN, .revents = 0},
                     {.fd = signals.fd(), .events = POLLIN, .revents = 0}};
  while (pidfd && polled[0].revents == 0) {
    if (::poll(polled, std::size(polled), -1) < 0) continue;
    while (const auto signal = signals.next())
      (void)::syscall(SYS_pidfd_send_signal, pidfd.get(), *signal, nullptr, 0);
  }
  int status = 0;
  const pid_t waited = ::waitpid(state.host_pid, &status, 0);
  auto opened = open_container(call, state.id);
  if (opened && !call.line.has("keep")) (void)destroy(call, *opened);
  if (waited < 0) return call.report.fail({.code = errno, .what = "wait for the container"});
  constexpr int kSignalled = 128;
  return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

int restore(const Call& call) {
  if (Status status = need_id(call); !status) return call.report.fail(status.error());
  auto prepared = prepare(call, call.line.get("bundle", "."), call.id());
  if (!prepared) return call.report.fail(prepared.error());
  if (Status status = expect_own_mounts(prepared->container.spec, "restore"); !status)
    return call.report.fail(status.error());
  auto directory = oci::Directory::create(call.root, call.id());
  if (!directory) return call.report.fail(directory.error());
  const auto fail_with = [&](const Error& error) {
    (void)directory->remove();
    return call.report.fail(error);
  };
  auto request = criu_request(call, CriuDeed::restore, prepared->container.annotations, *directory);
  if (!request) return fail_with(request.error());
  std::optional<cli::SignalEvents> signals;
  if (!call.line.has("detach")) signals.emplace();
  auto state = Restorer(call, *prepared, *directory, *request).restore();
  if (!state) return fail_with(state.error());
  if (!signals) return 0;
  signals->launched();
  {
    const oci::Directory unlocked = std::move(*directory);  // others may exec, kill, ask
  }
  return stay_with(call, *state, *signals);
}

}  // namespace isle::oci_cli
