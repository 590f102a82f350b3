// create, start and run: from a bundle to a container.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "cli/passwd.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "isle/host.h"
#include "isle/namespace.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "oci_cli/container.h"
#include "oci_cli/hooks.h"
#include "oci_cli/net_devices.h"
#include "oci_cli/notify.h"
#include "oci_cli/prepare.h"
#include "oci_cli/sockets.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

uint64_t inode_of(int fd) {
  struct stat status{};
  return fd >= 0 && ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

std::string bytes_of(const Plan& plan) {
  return {reinterpret_cast<const char*>(plan.bytes().data()), plan.bytes().size()};
}

Plan plan_of(const std::string& bytes) {
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  return Plan(std::vector<std::byte>(begin, begin + bytes.size()));
}

/// Hooks that run inside become the plan's; for the others it stops and asks.
void take_hooks(const oci::Container& container, const oci::State& state, Spec& spec) {
  const oci::Hooks& hooks = container.hooks;
  if (!container.net_devices.empty())
    spec.calls_back = {.value = true, .from = container.net_devices.front().from};
  spec.create_hooks = told(hooks.create_container, state, oci::Phase::creating);
  spec.start_hooks = told(hooks.start_container, state, oci::Phase::created);
  for (Hook& hook : spec.start_hooks)  // the container's own program: in its environment
    if (hook.env.empty()) hook.env = spec.process.env->value;
  for (const auto* list : {&hooks.prestart, &hooks.create_runtime})
    if (!list->empty()) spec.calls_back = {.value = true, .from = list->front().from};
}

/// What create and run have in common, up to a process that waits or runs.
struct Made {
  oci::Directory directory;
  oci::State state;
  Plan plan;
  Process process;
  Notifications notifications;
};

class Maker {
 public:
  Maker(const Call& call, Prepared& prepared) : call_(call), prepared_(prepared) {}

  Result<Made> make(bool waits) {
    Spec& spec = prepared_.container.spec;
    if (Status status = pass_descriptors(call_, spec); !status)
      return std::unexpected(status.error());
    pass_listening_sockets(call_, spec);
    complete_environment(spec, spec.root ? spec.root->path : "/");
    widen_affinity(spec);
    const std::string console = call_.line.get("console-socket");
    spec.process.plain_newlines = console.empty() && ::isatty(STDOUT_FILENO) == 0;
    if (waits && prepared_.container.terminal && console.empty())
      return fail(0, "the process wants a terminal: that needs --console-socket");
    if (!console.empty() && !prepared_.container.terminal)
      return fail(0, "--console-socket: the process asks for no terminal");
    auto directory = oci::Directory::create(call_.root, call_.id());
    if (!directory) return std::unexpected(directory.error());
    return launch_in(std::move(*directory), waits);
  }

 private:
  Result<Made> launch_in(oci::Directory directory, bool waits) {
    Spec& spec = prepared_.container.spec;
    const auto fail_with = [&](Error error) {
      if (prepared_.unit) prepared_.unit->abandon();
      remove_rdt(prepared_.rdt.made);
      (void)directory.remove();
      return std::unexpected(std::move(error));
    };
    Fd socket;
    if (waits) {
      auto bound = bind_socket(directory.short_path(oci::kSocketFile), SOCK_SEQPACKET);
      if (!bound) return fail_with(bound.error());
      socket = std::move(*bound);
      if (::listen(socket.get(), 1) < 0) return fail_with({.code = errno, .what = "listen"});
      spec.process.start_socket = {.value = socket.get()};
    }
    if (Status status = offer_notify_socket(directory, spec); !status)
      return fail_with(status.error());
    Notifications notifications;
    if (!waits) {
      auto listening = Notifications::listen(directory);
      if (!listening) return fail_with(listening.error());
      notifications = std::move(*listening);
    }
    if (Status status = load_filter(prepared_.container.seccomp, call_.root, spec); !status)
      return fail_with(status.error());
    if (prepared_.unit) {
      if (Status status = prepared_.unit->start(); !status) return fail_with(status.error());
      spec.calls_back = {.value = true, .from = spec.resources.path->from};
    }
    probe(prepared_);
    keep_groups_where_denied(prepared_.host, call_.report, spec);
    oci::State state = new_state(prepared_, call_.id());
    if (!prepared_.unit)
      if (Status status = expect_unused_cgroups(state, prepared_.host); !status)
        return fail_with(status.error());
    take_hooks(prepared_.container, state, spec);
    auto plan = compile(spec, prepared_.host);
    if (!plan) {
      Error error = plan.error();
      if (error.asked_by.starts_with("config.json /linux/resources/unified"))
        error.what = "invalid configuration: " + error.what;
      return fail_with(std::move(error));
    }
    give_standard_descriptors(spec, {});
    if (call_.line.has("debug")) call_.report.debug(to_text(*plan));
    state.start_socket = inode_of(socket.get());
    if (Status status = directory.write(oci::kConfigFile, prepared_.config); !status)
      return fail_with(status.error());
    if (waits)  // for start
      if (Status status = directory.write(oci::kPlanFile, bytes_of(*plan)); !status)
        return fail_with(status.error());
    if (Status status = directory.save(state); !status) return fail_with(status.error());
    if (prepared_.container.rdt)
      if (Status status = make_rdt(prepared_.rdt, *prepared_.container.rdt, prepared_.resctrl);
          !status)
        return fail_with(status.error());
    LaunchOptions options;
    options.signal_mask = kNoSignals;
    options.on_call = [&](CallPoint point, pid_t host_pid, BorrowedFd listener) -> Status {
      if (Status status = take_process(state, host_pid); !status) return status;
      if (Status status = directory.save(state); !status) return status;
      return on_call(state, point, listener);
    };
    auto process = launch(*plan, options);
    if (!process) {
      run_all_hooks(prepared_.container.hooks.poststop, "poststop", state, oci::Phase::stopped,
                    call_.report);
      return fail_with(in_engine_words(process.error(), *plan, spec.process.args.value));
    }
    state.started = !waits;
    Status finished = finish(directory, state, *process);
    if (finished && !waits)
      finished =
          run_hooks(prepared_.container.hooks.poststart, "poststart", state, oci::Phase::running);
    if (!finished) {
      (void)process->signal(SIGKILL);
      (void)process->wait();
      (void)remove_cgroups(state);
      run_all_hooks(prepared_.container.hooks.poststop, "poststop", state, oci::Phase::stopped,
                    call_.report);
      return fail_with(finished.error());
    }
    return Made{std::move(directory), std::move(state), std::move(*plan), std::move(*process),
                std::move(notifications)};
  }

  Status on_call(const oci::State& state, CallPoint point, BorrowedFd listener) {
    if (point == CallPoint::listening)
      return hand_listener_over(*prepared_.container.seccomp, listener, state.host_pid,
                                public_state(state, oci::Phase::creating));
    if (prepared_.unit)
      if (Status status = prepared_.unit->release(); !status) return status;
    if (Status status = move_net_devices(prepared_.container.net_devices, state.host_pid); !status)
      return status;
    // To a prestart hook the container was created, and is about to start: so it was defined.
    const oci::Hooks& hooks = prepared_.container.hooks;
    if (Status status = run_hooks(hooks.prestart, "prestart", state, oci::Phase::created); !status)
      return status;
    return run_hooks(hooks.create_runtime, "createRuntime", state, oci::Phase::creating);
  }

  Status finish(const oci::Directory& directory, oci::State& state, const Process& process) {
    if (Status status = take_process(state, process.host_pid()); !status) return status;
    state.ready = true;
    if (Status status = directory.save(state); !status) return status;
    if (Status status = send_to(call_.line, "console-socket", process.console()); !status)
      return status;
    if (Status status = send_to(call_.line, "pidfd-socket", process.pidfd()); !status)
      return status;
    constexpr const char* kReceiver = "run.oci.pidfd_receiver";
    if (Status status =
            send_descriptor(state.annotations.value(kReceiver, ""), process.pidfd(), kReceiver);
        !status)
      return status;
    return write_pid_file(call_.line.get("pid-file"), state.host_pid);
  }

  const Call& call_;
  Prepared& prepared_;
};

/// The container's end, seen by whoever ran it: nothing of it stays.
int stay_with(const Call& call, Made made, cli::SignalEvents& signals) {
  const std::string id = made.state.id;
  {
    const oci::Directory unlocked = std::move(made.directory);  // others may exec, kill, ask
  }
  const auto ended = cli::run_session(made.process, signals,
                                      {.beside = made.notifications.descriptor(),
                                       .on_beside = [&] { made.notifications.hand_on(); }});
  auto opened = open_container(call, id);
  if (opened && !call.line.has("keep")) (void)destroy(call, *opened);
  if (!ended) return call.report.fail(ended.error());
  // Memory and descriptors are all that is left, and the kernel takes those back at once; piece by piece it is 2 % of
  // the containers a second.
  std::_Exit(ended->status.shell_status());
}

/// For start; run has the hooks at hand.
Status run_poststart(const Opened& opened) {
  if (!opened.state.hooks) return {};
  const auto config = opened.directory.read(oci::kConfigFile);
  const auto hooks =
      config ? oci::read_hooks(*config, own_environment()) : std::unexpected(config.error());
  if (!hooks) return std::unexpected(hooks.error());
  return run_hooks(hooks->poststart, "poststart", opened.state, oci::Phase::running);
}

/// The name of the user whose container it is; the number where there is none.
std::string owner_of(const oci::Directory& directory) {
  struct stat status{};
  if (::stat(directory.path(".").c_str(), &status) < 0) return {};
  const auto text = cli::read_user_file("/", "etc/passwd");
  const auto entry = text ? cli::find_uid(*text, status.st_uid) : std::nullopt;
  return entry ? std::string(entry->name) : std::to_string(status.st_uid);
}

}  // namespace

Result<Opened> open_container(const Call& call, const std::string& id, Access access) {
  auto directory = access == Access::read ? oci::Directory::look(call.root, id)
                                          : oci::Directory::open(call.root, id);
  if (!directory) return std::unexpected(directory.error());
  auto state = directory->state();
  if (!state) return std::unexpected(state.error());
  if (!*state) *state = oci::State{.id = id, .version = "1.0.0", .ready = false};
  if (access == Access::read) (*state)->owner = owner_of(*directory);
  if ((*state)->host_pid == 0 &&
      (access == Access::change || !directory->busy())) {  // its maker was killed before it knew
    const pid_t waiting = waiting_at((*state)->start_socket);
    if (waiting > 0)
      if (Status status = take_process(**state, waiting); !status)
        return std::unexpected(status.error());
  }
  auto process = open_process(**state);
  if (!process) return std::unexpected(process.error());
  return Opened{std::move(*directory), std::move(**state), std::move(*process)};
}

int create(const Call& call) {
  if (Status status = need_id(call); !status) return call.report.fail(status.error());
  auto prepared = prepare(call, call.line.get("bundle", "."), call.id());
  if (!prepared) return call.report.fail(prepared.error());
  auto made = Maker(call, *prepared).make(true);
  if (!made) return call.report.fail(made.error());
  std::move(made->process).release();
  return 0;
}

int start(const Call& call) {
  if (Status status = need_id(call); !status) return call.report.fail(status.error());
  auto opened = open_container(call, call.id());
  if (!opened) return call.report.fail(opened.error());
  oci::State& state = opened->state;
  const oci::Phase now = phase(state, opened->process);
  if (now != oci::Phase::created)
    return call.report.fail({.what = fmt::format("cannot start container \"{}\": it is {}, not "
                                                 "created",
                                                 state.id, oci::to_string(now))});
  const auto bytes = opened->directory.read(oci::kPlanFile);
  if (!bytes) return call.report.fail(bytes.error());
  const Plan plan = plan_of(*bytes);
  if (Status status = verify(plan); !status) return call.report.fail(status.error());
  auto notifications = Notifications::listen(opened->directory);
  if (!notifications) return call.report.fail(notifications.error());
  const Status started = start_waiting(opened->directory.short_path(oci::kSocketFile), plan);
  if (!started) {
    const auto config = opened->directory.read(oci::kConfigFile);
    const oci::Json json = oci::Json::parse(config ? *config : "{}", nullptr, false);
    const auto args =
        json.value(oci::Json::json_pointer("/process/args"), std::vector<std::string>{});
    return call.report.fail(in_engine_words(started.error(), plan, args));
  }
  state.started = true;
  if (Status status = opened->directory.save(state); !status)
    return call.report.fail(status.error());
  if (Status status = run_poststart(*opened); !status) {
    (void)end(state, opened->process);  // what is left of it is for delete
    return call.report.fail(status.error());
  }
  {
    const oci::Directory unlocked = std::move(opened->directory);  // others may exec, kill, ask
  }
  notifications->stay_until_ready(opened->process.borrow(), state.host_pid);
  return 0;
}

int run(const Call& call) {
  if (Status status = need_id(call); !status) return call.report.fail(status.error());
  auto prepared = prepare(call, call.line.get("bundle", "."), call.id());
  if (!prepared) return call.report.fail(prepared.error());
  if (call.line.has("detach")) {
    auto made = Maker(call, *prepared).make(false);
    if (!made) return call.report.fail(made.error());
    {
      const oci::Directory unlocked = std::move(made->directory);  // others may exec, kill, ask
    }
    made->notifications.stay_until_ready(made->process.pidfd(), made->state.host_pid);
    std::move(made->process).release();
    return 0;
  }
  cli::SignalEvents signals;
  auto made = Maker(call, *prepared).make(false);
  if (!made) return call.report.fail(made.error());
  signals.launched();
  return stay_with(call, std::move(*made), signals);
}

int explain_bundle(const Call& call) {
  const bool by_verb = !call.line.verb.empty();
  const std::string id = by_verb && !call.id().empty() ? call.id() : "explained";
  if (Status status = oci::check_id(id); !status) return call.report.fail(status.error());
  auto prepared =
      prepare(call, by_verb ? call.line.get("bundle", ".") : call.line.get("explain"), id);
  if (!prepared) return call.report.fail(prepared.error());
  Spec& wish = prepared->container.spec;
  if (Status status = load_filter(prepared->container.seccomp, call.root, wish); !status)
    return call.report.fail(status.error());
  if (prepared->unit) wish.calls_back = {.value = true, .from = wish.resources.path->from};
  probe(*prepared);
  if (prepared->unit)  // systemd will have made it
    prepared->host.files[prepared->host.cgroup.v2_mount + wish.resources.path->value] = {
        .kind = FileKind::directory};
  take_hooks(prepared->container, new_state(*prepared, id), wish);
  const auto plan = compile(wish, prepared->host);
  if (!plan) return call.report.fail(plan.error());
  return call.report.print((prepared->unit ? prepared->unit->to_text() : "") + to_text(*plan));
}

}  // namespace isle::oci_cli
