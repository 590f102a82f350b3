// What the command's process is: its settings, terminal, privileges, descriptors, and its execve.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {
namespace {

constexpr uint64_t kCapSysAdminBit = uint64_t{1} << 21;

constexpr uint64_t kStandardDescriptors = 3;

uint64_t number(sys::Prctl option) { return static_cast<uint64_t>(option); }

/// "NAME=value" -> value.
std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment)
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name))
      return std::string_view(entry).substr(name.size() + 1);
  return {};
}

/// Where execvp(3) would look.
std::vector<std::string> candidates(const std::string& command, std::string_view path) {
  if (command.find('/') != std::string::npos) return {command};
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::vector<std::string> found;
  while (true) {
    const size_t colon = path.find(':');
    const std::string_view directory = path.substr(0, colon);
    std::string candidate(directory.empty() ? "." : directory);
    if (candidate.back() != '/') candidate += '/';
    candidate += command;
    found.push_back(std::move(candidate));
    if (colon == std::string_view::npos) return found;
    path.remove_prefix(colon + 1);
  }
}

}  // namespace

uint64_t Compiler::target_capabilities() const {
  if (!spec_.process.capabilities) return 0;
  const Capabilities& c = spec_.process.capabilities->value;
  return c.permitted | c.effective | c.inheritable | c.ambient;
}

void Compiler::dies_with_parent(Actor actor) {
  const Asked<bool>& wish = spec_.process.die_with_parent;
  if (!wish.value) return;
  b_.add(actor, Op::prctl, wish.from,
         {number(sys::Prctl::set_pdeathsig), static_cast<uint64_t>(spec_.process.death_signal)});
  if (actor == Actor::init) b_.add(actor, Op::alive, wish.from);  // it may have died before
}

void Compiler::default_signals() {
  const Asked<bool>& wish = spec_.process.default_signals;
  if (wish.value) init(Op::default_signals, wish.from);
}

/// As the runtime's own, which who is cloned has, too: no /proc has to stay open for that.
void Compiler::inherit_oom_score() {
  const Wish<int>& wish = spec_.process.oom_score_adj;
  write_file(Actor::runtime, wish->from, "/proc/self/oom_score_adj", std::to_string(wish->value));
}

/// Settings that may need privilege over the host's user namespace, which a process in a new one
/// lacks: so the runtime makes them, for the child, before that one runs anything.
Status Compiler::host_side_settings() {
  const ProcessWish& wish = spec_.process;
  const size_t before = b_.step_count();
  if (wish.oom_score_adj && !joins_pid())
    write_child(wish.oom_score_adj->from, "oom_score_adj",
                std::to_string(wish.oom_score_adj->value));
  if (wish.nice)
    runtime(Op::setpriority, wish.nice->from,
            {static_cast<uint64_t>(static_cast<int64_t>(wish.nice->value))});
  if (wish.scheduler) {
    const Scheduler& s = wish.scheduler->value;
    sys::sched_attr attr;
    attr.sched_policy = s.policy;
    attr.sched_flags = s.flags;
    attr.sched_nice = s.nice;
    attr.sched_priority = s.priority;
    attr.sched_runtime = s.runtime_ns;
    attr.sched_deadline = s.deadline_ns;
    attr.sched_period = s.period_ns;
    runtime(Op::sched_setattr, wish.scheduler->from, {b_.blob(&attr, sizeof attr)});
  }
  if (wish.io_priority)
    runtime(Op::ioprio_set, wish.io_priority->from,
            {static_cast<uint64_t>(wish.io_priority->value)});
  for (const Rlimit& limit : wish.rlimits)
    runtime(Op::prlimit, limit.from,
            {static_cast<uint64_t>(limit.resource), limit.soft, limit.hard});
  if (b_.step_count() != before) runtime_has_late_steps_ = true;
  return {};
}

void Compiler::choose_cpus(const Wish<std::vector<int>>& wish) {
  if (!wish) return;
  std::vector<uint64_t> mask;
  for (const int cpu : wish->value) {
    const auto bit = static_cast<size_t>(cpu);
    if (bit / 64 >= mask.size()) mask.resize(bit / 64 + 1);
    mask[bit / 64] |= uint64_t{1} << bit % 64;
  }
  init(Op::sched_setaffinity, wish->from, {b_.blob(mask.data(), mask.size() * sizeof(uint64_t))});
}

/// The pseudoterminal comes from the sandbox's own devpts where it has one, so that its name means
/// something inside; its slave by TIOCGPTPEER, so that no path inside is trusted.
void Compiler::terminal(Actor actor) {
  const Origin from = spec_.process.terminal.from;
  const Register pts = mounted_at("/dev/pts");
  const Register master = b_.take();
  const Register slave = b_.take();
  console_ = b_.take();
  const ConsoleSize size =
      spec_.process.console_size ? spec_.process.console_size->value : ConsoleSize{};
  b_.add(actor, Op::open_console, from,
         {pts, text(pts == kNone ? "/dev/ptmx" : "ptmx"), size.rows, size.columns, master, slave,
          spec_.process.plain_newlines ? 1U : 0U});
  b_.add(actor, Op::send_fd, from, {master});
  const Wish<uint32_t>& uid = spec_.process.user.uid;
  const NamespaceWish* userns = spec_.find(NamespaceType::user);
  if (uid && (uid->value != set_up_uid() || (userns != nullptr && userns->joins()))) {
    b_.add(actor, Op::chown, uid->from, {slave, uid->value, kSameOwner});
  }
  for (uint64_t fd = 0; fd < kStandardDescriptors; ++fd) b_.add(actor, Op::dup2, from, {slave, fd});
  if (spec_.process.console_path && root_ != kNone) {
    const Origin console = spec_.process.console_path->from;
    const Register tree = b_.take();
    b_.add(actor, Op::open_tree, console,
           {slave, 0,
            sys::bits(sys::OpenTree::clone | sys::OpenTree::cloexec | sys::OpenTree::empty_path),
            tree});
    attach(tree, root_, spec_.process.console_path->value, false, console);
    b_.release(tree);
  }
  if (carries_root() && pts != kNone)
    master_ = master;
  else
    b_.release(master);
  b_.release(slave);
}

/// The terminal was opened by a mount that a root which is carried leaves behind; its name is to be
/// one inside.
void Compiler::reopen_terminal(Register root) {
  if (master_ == kNone) return;
  const Origin from = spec_.process.terminal.from;
  const Register pts = b_.take();
  const Register slave = b_.take();
  init(Op::open_in, from,
       {root, text("/dev/pts"), kOpenDirectory,
        sys::bits(sys::Resolve::in_root | sys::Resolve::no_magiclinks), pts});
  init(Op::expect_fs, from, {pts, static_cast<uint64_t>(sys::kDevptsSuperMagic)});
  init(Op::open_slave, from, {master_, pts, slave});
  for (uint64_t fd = 0; fd < kStandardDescriptors; ++fd) init(Op::dup2, from, {slave, fd});
  for (const Register done : {master_, pts, slave}) b_.release(done);
}

Status Compiler::finish_process(Actor actor) {
  const ProcessWish& wish = spec_.process;
  if (wish.terminal.value || wish.new_session.value)
    b_.add(actor, Op::setsid, wish.terminal.value ? wish.terminal.from : wish.new_session.from);
  if (wish.terminal.value) {
    const Register input = b_.take();
    b_.add(actor, Op::use_fd, wish.terminal.from, {0, input});
    b_.add(actor, Op::controlling_terminal, wish.terminal.from, {input});
    b_.release(input);
  }
  if (wish.session_keyring)  // a kernel may have none
    b_.add(actor, Op::join_keyring, wish.session_keyring->from, {text(wish.session_keyring->value)})
        .pass_over = ENOSYS;
  if (wish.memory_policy) {
    const MemoryPolicy& policy = wish.memory_policy->value;
    b_.add(actor, Op::set_mempolicy, wish.memory_policy->from,
           {policy.mode, b_.blob(policy.nodes.data(), policy.nodes.size() * sizeof(uint64_t))});
  }
  if (wish.personality)
    b_.add(actor, Op::personality, wish.personality->from, {wish.personality->value});
  labels(actor);
  // A filter may refuse from here on what can be done before.
  descriptors(actor);
  working_directory(actor, ChangeDirectory::first_try);
  b_.add(actor, Op::keep_only, 0);  // finish() says what is
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it is loaded while that is there: as late
  // as that allows, since a profile knows the calls of the command and not ours (chdir to a path by
  // openat2, close_range). With it as near to the execve as can be; but while there is somebody to
  // take its listener.
  const bool needs_privilege = wish.seccomp && !wish.no_new_privileges.value;
  const bool before_drop = needs_privilege && keeps_capabilities();
  const bool listens = wish.seccomp && wish.seccomp->value.has_listener();
  const bool at_last = wish.seccomp && !needs_privilege && !listens;
  if (needs_privilege && !before_drop) load_filter(actor);
  if (wish.capabilities)
    b_.add(actor, Op::drop_bounding, wish.capabilities->from, {wish.capabilities->value.bounding});
  set_identity(actor);
  if (!before_drop) capabilities(actor);
  if (wish.umask)
    b_.add(actor, Op::umask, wish.umask->from, {wish.umask->value});
  else if (spec_.root || !spec_.mounts.empty())
    b_.add(actor, Op::restore_umask, Origin{0});
  working_directory(actor, ChangeDirectory::another);
  if (before_drop) {
    const Capabilities& c = wish.capabilities->value;
    b_.add(actor, Op::capset, wish.seccomp->from,
           {c.effective | kCapSysAdminBit, c.permitted | kCapSysAdminBit, c.inheritable});
  }
  if (start_ != kNone)  // what can be found out before is told to whoever creates
    b_.add(actor, Op::expect_command, wish.args.from,
           {b_.list(command_paths()), b_.list(wish.args.value)});
  if (before_drop || (listens && !needs_privilege)) load_filter(actor);
  if (before_drop) capabilities(actor);
  if (start_ != kNone) b_.add(actor, Op::await_start, wish.start_socket->from, {start_});
  if (at_last) load_filter(actor);  // for its hooks, too, which are the container's own
  run_hooks(actor, spec_.start_hooks);
  execute(actor);
  return {};
}

void Compiler::load_filter(Actor actor) {
  const ProcessWish& wish = spec_.process;
  if (!wish.seccomp) return;
  const Seccomp& filter = wish.seccomp->value;
  const Origin from = wish.seccomp->from;
  const Register listener = filter.has_listener() ? b_.take() : kNone;
  b_.add(actor, Op::seccomp, from,
         {b_.blob(filter.instructions.data(), filter.instructions.size() * sizeof(uint64_t)),
          filter.flags, listener});
  if (listener == kNone) return;
  b_.add(actor, Op::send_fd, from, {listener});
  b_.release(listener);
  const Register received = b_.take();
  runtime(Op::receive_fd, from, {received});
  if (spec_.calls_back.value) return call_with_listener(received, from);
  b_.header.listener_register = static_cast<uint8_t>(received);
}

/// Where the command may be, in the order they are tried.
std::vector<std::string> Compiler::command_paths() const {
  const ProcessWish& wish = spec_.process;
  const std::vector<std::string>& environment = wish.env ? wish.env->value : host_.environment;
  return candidates(wish.program ? wish.program->value : wish.args.value.front(),
                    value_of(environment, "PATH"));
}

void Compiler::labels(Actor actor) {
  const ProcessWish& wish = spec_.process;
  const auto label = [&](const Wish<std::string>& text_wish, const char* file,
                         const std::string& value) {
    if (text_wish) b_.add(actor, Op::write_in, text_wish->from, {proc_, text(file), text(value)});
  };
  if (wish.apparmor_profile)
    label(wish.apparmor_profile, "self/attr/apparmor/exec", "exec " + wish.apparmor_profile->value);
  if (wish.selinux_label) label(wish.selinux_label, "self/attr/exec", wish.selinux_label->value);
}

/// Past the change of ids, for a filter: what is left in the end is set after it.
bool Compiler::keeps_capabilities() const {
  const ProcessWish& wish = spec_.process;
  return wish.seccomp && !wish.no_new_privileges.value && wish.capabilities && !wish.user.as_is;
}

/// And what goes with them: no_new_privs, and the death signal, which changed credentials clear
/// (kernel: commit_creds()).
void Compiler::capabilities(Actor actor) {
  const ProcessWish& wish = spec_.process;
  if (wish.capabilities) {
    const Capabilities& c = wish.capabilities->value;
    b_.add(actor, Op::capset, wish.capabilities->from, {c.effective, c.permitted, c.inheritable});
    if (c.ambient != 0) b_.add(actor, Op::raise_ambient, wish.capabilities->from, {c.ambient});
  }
  dies_with_parent(actor);
  if (wish.no_new_privileges.value)
    b_.add(actor, Op::prctl, wish.no_new_privileges.from,
           {number(sys::Prctl::set_no_new_privs), 1});
}

/// First with all privilege that there is, then as the user, whose alone the way may be.
void Compiler::working_directory(Actor actor, ChangeDirectory attempt) {
  const ProcessWish& wish = spec_.process;
  if (wish.user.as_is && !spec_.root) return;  // entered already
  if (wish.cwd) {
    // Descriptors of the host are still open here: "/proc/self/fd/7" must not be taken.
    Step& step = b_.add(actor, Op::chdir, wish.cwd->from,
                        {text(wish.cwd->value), sys::bits(sys::Resolve::no_magiclinks),
                         static_cast<uint64_t>(attempt)});
    if (attempt == ChangeDirectory::first_try) step.pass_over = EACCES;
  } else if (spec_.root && attempt == ChangeDirectory::another) {
    // Where the caller is, if that is there too and open to the command; else "/", where we are.
    b_.add(actor, Op::chdir, 0, {text(host_.cwd)}).pass_over = kAnyError;
  }
}

/// Nothing but 0, 1, 2 and what was asked for reaches the command, nor, as a path by way of
/// "/proc/self/fd/7/..", the search for it: what the execve closes would be open to that. Not in place,
/// where a caller who is left with an error is left with its descriptors.
void Compiler::descriptors(Actor actor) {
  if (spec_.process.pass_all_fds) {
    // But for those that were opened for isle: a helper inherited them as they are.
    std::vector<int> ours;
    ours.reserve(spec_.namespaces.size() + 2);
    for (const NamespaceWish& wish : spec_.namespaces) ours.push_back(wish.fd);
    for (const auto* wish : {&spec_.root_fd, &spec_.cwd_fd})
      if (*wish) ours.push_back((*wish)->value);
    std::sort(ours.begin(), ours.end());
    ours.erase(std::unique(ours.begin(), ours.end()), ours.end());
    for (const int fd : ours)
      if (fd > 2)
        b_.add(actor, Op::close_range, 0,
               {static_cast<uint64_t>(fd), static_cast<uint64_t>(fd),
                sys::bits(sys::CloseRange::cloexec)});
    return;
  }
  std::vector<int> kept = spec_.process.pass_fds.value;
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  const uint64_t how =
      sys::bits(spec_.process.in_place.value ? sys::CloseRange::cloexec : sys::CloseRange::none);
  uint64_t first = 3;
  for (const int fd : kept) {
    const auto keep = static_cast<uint64_t>(fd);
    if (keep < first) continue;
    // The caller's own may be closed by an execve.
    const Register copy = b_.take();
    b_.add(actor, Op::use_fd, spec_.process.pass_fds.from, {keep, copy});
    b_.add(actor, Op::dup2, spec_.process.pass_fds.from, {copy, keep});
    b_.release(copy);
    if (keep > first) b_.add(actor, Op::close_range, 0, {first, keep - 1, how});
    first = keep + 1;
  }
  b_.add(actor, Op::close_range, spec_.process.pass_fds.from, {first, 0xffffffff, how});
}

void Compiler::execute(Actor actor) {
  const ProcessWish& wish = spec_.process;
  const std::vector<std::string>& environment = wish.env ? wish.env->value : host_.environment;
  const std::vector<std::string>& args = wish.args.value;
  const std::vector<std::string> paths = command_paths();
  const uint64_t path_list = b_.list(paths);
  const uint64_t arg_list = b_.list(args);
  const uint64_t env_list = b_.list(environment);
  b_.add(actor, Op::execve, wish.args.from,
         {path_list, arg_list, env_list, b_.scratch(args.size() + environment.size() + 2)});
}

}  // namespace isle::plan
