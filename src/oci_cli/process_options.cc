#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <numeric>
#include <ranges>

#include "cli/output.h"
#include "cli/passwd.h"
#include "isle/run.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/sockets.h"
#include "oci_cli/verbs.h"
#include "seccomp/compile.h"

namespace isle::oci_cli {

namespace {

constexpr int kMostPassed = 1024;

/// `count` of them, from 3 on. Those that are open: podman's --preserve-fd names single ones and gives the
/// greatest number.
void pass(const Call& call, int count, Spec& spec) {
  std::vector<int>& passed = spec.process.pass_fds.value;
  for (const int fd : call.descriptors)
    if (fd <= STDERR_FILENO + count && std::ranges::find(passed, fd) == passed.end())
      passed.push_back(fd);
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::string home_of(const Spec& spec, const std::string& root) {
  std::string where = root;
  std::string path = "etc/passwd";
  for (const FsOperation& mount : spec.mounts)
    if (const auto* bind = std::get_if<Bind>(&mount.what);
        bind && mount.destination == "/etc/passwd") {
      where = "/";
      path = bind->source;
    }
  const auto text = cli::read_user_file(where, path);
  const auto entry = text ? cli::find_uid(*text, spec.process.user.uid->value) : std::nullopt;
  return entry && !entry->home.empty() ? std::string(entry->home) : "/";
}

}  // namespace

bool has_variable(const Spec& spec, std::string_view name) {
  return std::ranges::any_of(spec.process.env->value,
                             [&](const std::string& entry) { return name_of(entry) == name; });
}

Status pass_descriptors(const Call& call, Spec& spec) {
  const std::string text = call.line.get("preserve-fds", "0");
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 0 || count > kMostPassed)
    return fail(0, fmt::format("--preserve-fds {}: expected 0 to {}", text, kMostPassed));
  pass(call, count, spec);
  spec.process.pass_fds.from = spec.add_origin("--preserve-fds");
  return {};
}

// NOLINTBEGIN(concurrency-mt-unsafe): one thread
std::vector<int> callers_descriptors(const CommandLine& line) {
  std::vector<int> open;
  const char* listening = std::getenv("LISTEN_FDS");
  const int count = std::max(number_in<int>(line.get("preserve-fds")),
                             listening == nullptr ? 0 : number_in<int>(listening));
  for (int fd = STDERR_FILENO + 1; fd <= STDERR_FILENO + std::min(count, kMostPassed); ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) open.push_back(fd);
  return open;
}

void pass_listening_sockets(const Call& call, Spec& spec) {
  std::vector<std::string>& env = spec.process.env->value;
  const char* whose = std::getenv("LISTEN_PID");
  const char* text = std::getenv("LISTEN_FDS");
  if (text == nullptr || (whose != nullptr && number_in<pid_t>(whose) != ::getpid())) return;
  const int count = std::clamp(number_in<int>(text), 0, kMostPassed);
  pass(call, count, spec);
  if (count == 0 || has_variable(spec, "LISTEN_FDS")) return;
  env.push_back(fmt::format("LISTEN_FDS={}", count));
  env.emplace_back("LISTEN_PID=1");
  if (const char* names = std::getenv("LISTEN_FDNAMES"))
    env.push_back(std::string("LISTEN_FDNAMES=") + names);
}
// NOLINTEND(concurrency-mt-unsafe)

void give_standard_descriptors(const Spec& spec, const IdMap& uids) {
  if (spec.process.terminal.value || !spec.process.user.uid) return;
  const NamespaceWish* userns = spec.find(NamespaceType::user);
  const IdMap& map = spec.uid_mappings ? spec.uid_mappings->value : uids;
  const uint32_t inside = spec.process.user.uid->value;
  const auto owner = userns == nullptr ? std::optional(inside) : to_host(map, inside);
  for (int fd = STDIN_FILENO; owner && fd <= STDERR_FILENO; ++fd) {
    struct stat status{};
    const bool ours = ::fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || ::isatty(fd) == 1);
    if (ours && status.st_uid != *owner) (void)::fchown(fd, *owner, static_cast<gid_t>(-1));
  }
}

void keep_groups_where_denied(const Host& host, const Report& report, Spec& spec) {
  if (host.in_initial_user_namespace || spec.find(NamespaceType::user) != nullptr ||
      oci::read_whole("/proc/self/setgroups").value_or("") != "deny\n")
    return;
  User& user = spec.process.user;
  if (user.additional_gids && !user.additional_gids->value.empty())
    report.warn("additionalGids are left out: /proc/self/setgroups says deny");
  user.additional_gids.reset();
  user.keep_groups = true;
}

void widen_affinity(Spec& spec) {
  if (spec.process.cpus_allowed || spec.process.initial_cpus_allowed) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  if (::sched_getaffinity(0, sizeof own, &own) < 0 ||
      CPU_COUNT(&own) >= ::sysconf(_SC_NPROCESSORS_ONLN))
    return;
  std::vector<int> all(static_cast<size_t>(::sysconf(_SC_NPROCESSORS_CONF)));
  std::iota(all.begin(), all.end(), 0);
  spec.process.cpus_allowed = {.value = std::move(all)};
}

void complete_environment(Spec& spec, const std::string& root) {
  std::vector<std::string>& env = spec.process.env->value;
  std::vector<std::string> last;
  for (std::string& entry : std::views::reverse(env)) {
    const bool known = std::ranges::any_of(
        last, [&](const std::string& other) { return name_of(other) == name_of(entry); });
    if (known) continue;
    last.push_back(entry == "HOME=" ? entry + home_of(spec, root) : entry);
  }
  env.assign(std::make_move_iterator(last.rbegin()), std::make_move_iterator(last.rend()));
  if (!has_variable(spec, "HOME")) env.push_back("HOME=" + home_of(spec, root));
}

namespace {

/// One message on a connection of its own: `text`, and `fd` with it.
Status send_with_fd(const std::string& socket_path, std::string_view text, BorrowedFd fd,
                    std::string_view what) {
  const auto socket = connect_socket(socket_path, SOCK_STREAM);
  if (!socket)
    return fail(socket.error().code, fmt::format("connect to {} at \"{}\"", what, socket_path));
  const ssize_t sent = send_message(socket->borrow(), text, fd);
  if (sent == static_cast<ssize_t>(text.size())) return {};
  if (sent > 0 && cli::write_all(socket->get(), text.substr(static_cast<size_t>(sent)))) return {};
  return fail(errno, fmt::format("send to {}", what));
}

}  // namespace

Status send_descriptor(const std::string& path, BorrowedFd descriptor, std::string_view what) {
  if (path.empty() || !descriptor) return {};
  return send_with_fd(path, std::string_view("/dev/ptmx\0", sizeof "/dev/ptmx"), descriptor, what);
}

Status send_to(const CommandLine& line, std::string_view flag, BorrowedFd descriptor) {
  return send_descriptor(line.get(flag), descriptor, fmt::format("--{}", flag));
}

Status load_filter(const std::optional<oci::Filter>& filter, const std::string& root, Spec& spec) {
  if (!filter) return {};
  // No container is called so: the colon.
  auto program = filter->program.empty()
                     ? seccomp::compile_cached(filter->profile, root + "/seccomp:programs")
                     : Result<seccomp::Program>(filter->program);
  if (!program) {
    Error error = program.error();
    error.asked_by = spec.origins[filter->from];
    return std::unexpected(std::move(error));
  }
  spec.process.seccomp = {.value = {.instructions = std::move(*program), .flags = filter->flags},
                          .from = filter->from};
  if (!filter->listener_path.empty()) spec.calls_back = {.value = true, .from = filter->from};
  return {};
}

Status hand_listener_over(const oci::Filter& filter, BorrowedFd listener, pid_t host_pid,
                          const oci::Json& container) {
  const oci::Json told = {{"ociVersion", container["ociVersion"]},
                          {"fds", {"seccompFd"}},
                          {"pid", host_pid},
                          {"metadata", filter.listener_metadata},
                          {"state", container}};
  Status sent = send_with_fd(filter.listener_path,
                             told.dump(-1, ' ', false, oci::Json::error_handler_t::replace),
                             listener, "the seccomp agent's socket");
  if (!sent) sent.error().what.insert(0, "failed to connect with seccomp agent: ");
  return sent;
}

/// Renamed into place: who waits for the file finds all of it. A new one: what has that name already may be a
/// link that somebody else put there.
Status write_pid_file(const std::string& path, pid_t pid) {
  if (path.empty()) return {};
  const size_t slash = path.rfind('/');
  const std::string temporary = slash == std::string::npos
                                    ? "." + path
                                    : path.substr(0, slash + 1) + "." + path.substr(slash + 1);
  (void)::unlink(temporary.c_str());
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file || !cli::write_all(file.get(), std::to_string(pid)) ||
      ::rename(temporary.c_str(), path.c_str()) < 0)
    return fail(errno, fmt::format("write the pid file \"{}\"", path));
  return {};
}

Error in_engine_words(Error error, const Plan& plan, const std::vector<std::string>& args) {
  constexpr int kCannotRun = 126;
  constexpr int kNotFound = 127;
  if (args.empty() || error.step < 0) return error;
  const std::string_view op = plan.step_op(static_cast<size_t>(error.step));
  if (op == "hook") {  // "config.json /hooks/createContainer/1"
    const auto place = split(error.asked_by, " /");
    constexpr size_t kParts = 4;
    if (place.size() == kParts)
      error.what = fmt::format("error running {} hook #{}: {}", place[2], place[3], error.what);
    return error;
  }
  if (op == "make_file_in" && error.code == EISDIR) {  // as mount(2) would put it
    error.code = ENOTDIR;
    error.what = fmt::format("mount a file onto a directory: {}", error.what);
  }
  if (op == "expect_fs")
    error.what += ": a file system must be mounted on ordinary directory, not through a link";
  const int status = failure_status(plan, error);
  const std::string& command = args.front();
  if (status == kCannotRun && error.code == EACCES)
    error.what = fmt::format("exec: \"{}\": permission denied", command);
  if (status != kNotFound) return error;
  const bool searched = command.find('/') == std::string::npos;
  error.what = searched
                   ? fmt::format("exec: \"{}\": executable file not found in $PATH", command)
                   : fmt::format("exec: \"{0}\": exec {0}: no such file or directory", command);
  error.code = 0;  // told
  return error;
}

}  // namespace isle::oci_cli
