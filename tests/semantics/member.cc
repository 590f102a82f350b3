#include "member.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <sstream>
#include <stdexcept>

#include "support/support.h"
#include "sys/flag_names.h"

namespace isle::test {
namespace {

std::string value_of(const ForkResult& result) {
  if (!result.ok()) throw std::runtime_error(result.describe());
  return result.value;
}

/// A pipe whose ends go to a child and back.
struct Pipe {
  Fd read_end;
  Fd write_end;
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end = Fd(fds[0]);
    write_end = Fd(fds[1]);
  }
};

/// Until the other side writes or is gone; the text it wrote.
std::string read_all(int fd) {
  std::string text;
  char buffer[512];
  ssize_t n = 0;
  while ((n = ::read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(n));
  return text;
}

[[noreturn]] void live_as_member(const std::function<void()>& first, Fd may_start, Fd report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (::read(may_start.get(), &byte, 1) != 1) ::_exit(1);
  std::string problem;
  try {
    if (first) first();
  } catch (const std::exception& e) {
    problem = e.what();
  }
  if (::write(report.get(), problem.data(), problem.size()) < 0) ::_exit(1);
  report.reset();
  for (;;) ::pause();
}

/// Every id that there is here, to itself.
void map_all_ids(pid_t pid) {
  for (const char* file : {"uid_map", "gid_map"}) {
    std::istringstream ours(read_file(std::string("/proc/self/") + file));
    std::string map;
    for (std::string first, outside, count; ours >> first >> outside >> count;) {
      map.append(first).append(" ").append(first).append(" ").append(count).append("\n");
    }
    write_file("/proc/" + std::to_string(pid) + "/" + file, map);
  }
}

}  // namespace

long must(long result, std::source_location where) {
  if (result >= 0) return result;
  throw std::runtime_error(std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                           ": " + outcome(result));
}

std::string outcome(long result) {
  return result >= 0 ? "done" : std::string(sys::errno_name(static_cast<int>(-result)));
}

Member::Member(NamespaceSet types, const std::function<void()>& first) : types_(types) {
  Pipe start;
  Pipe report;
  int pidfd = -1;
  sys::clone_args args{};
  args.flags = types.clone_flags() | static_cast<uint64_t>(sys::CloneFlags::pidfd);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  pid_ = sys::clone3(&args);
  if (pid_ == 0) {
    start.write_end.reset();
    report.read_end.reset();
    live_as_member(first, std::move(start.read_end), std::move(report.write_end));
  }
  must(pid_);
  pidfd_ = Fd(pidfd);
  report.write_end.reset();
  std::string problem;
  try {
    if (types.contains(NamespaceType::user)) map_all_ids(pid_);
    if (::write(start.write_end.get(), "g", 1) != 1) throw std::runtime_error("write");
    problem = read_all(report.read_end.get());
  } catch (const std::exception& e) {
    problem = e.what();
  }
  if (problem.empty()) return;
  end();
  throw std::runtime_error("in the new member: " + problem);
}

std::string Member::ask(const std::function<std::string()>& function) const {
  return ask_outside([&]() -> std::string {
    must(enter(pidfd(), types_));
    // Of the pid namespace only a child is a member.
    return types_.contains(NamespaceType::pid) ? ask_outside(function) : function();
  });
}

void Member::end() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  pidfd_.reset();  // a pidfd keeps the pid namespace of its process
}

std::string ask_outside(const std::function<std::string()>& function) {
  return value_of(call_in_fork(function));
}

void become_root_of_a_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  must(unshare({NamespaceType::user}));
  map_root(uid, gid);
}

void become_nobody() {
  const char* step = "";
  const int error = become(unprivileged(), &step);
  if (error != 0) throw std::runtime_error(std::string(step) + ": " + outcome(error));
}

std::string link_of(const std::string& process, std::string_view name) {
  char text[64] = {};
  const std::string path = "/proc/" + process + "/ns/" + std::string(name);
  const ssize_t length = ::readlink(path.c_str(), text, sizeof text - 1);
  if (length < 0) throw std::runtime_error(path + ": " + outcome(libc(length)));
  return text;
}

std::string own_links() {
  std::string links;
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    links += link_of("thread-self", info.proc_name) + "\n";
  }
  return links;
}

std::string output_of(const std::vector<std::string>& argv) {
  const CommandResult result = run_command(argv);
  if (!result.ok()) throw std::runtime_error(result.command + ": " + result.err);
  return result.out;
}

}  // namespace isle::test
