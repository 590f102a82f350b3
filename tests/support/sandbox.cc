#include "sandbox.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "isle/fd.h"
#include "leak_check.h"

namespace isle::test {
namespace {

constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

FsOperation new_file_system(std::string destination, std::string type, std::string mode) {
  FileSystem file_system;
  file_system.type = type;
  file_system.source = std::move(type);
  file_system.attributes.set = kQuiet;
  if (!mode.empty()) file_system.options.emplace_back("mode", std::move(mode));
  return {.destination = std::move(destination), .what = std::move(file_system)};
}

}  // namespace

Spec bare_namespaces(const std::vector<NamespaceType>& types, std::vector<std::string> args) {
  Spec spec;
  for (const NamespaceType type : types) spec.namespaces.push_back({.type = type});
  spec.process.args = {std::move(args), spec.add_origin("argv[2]")};
  spec.process.env = {{"PATH=/usr/bin:/bin"}, 0};
  return spec;
}

Spec default_sandbox(std::vector<std::string> args) {
  Spec spec = bare_namespaces(
      {NamespaceType::cgroup, NamespaceType::ipc, NamespaceType::mount, NamespaceType::network,
       NamespaceType::pid, NamespaceType::user, NamespaceType::uts},
      std::move(args));
  spec.root = Root{.path = "/", .attributes = kQuiet | MOUNT_ATTR_RDONLY, .overlay = {}};
  spec.mounts.push_back(new_file_system("/proc", "proc", ""));
  spec.mounts.push_back({.destination = "/proc", .what = CoverProc{}});
  spec.mounts.push_back({.destination = "/dev", .what = Dev{}});
  spec.mounts.push_back(new_file_system("/tmp", "tmpfs", "1777"));
  spec.mounts.push_back(new_file_system("/run", "tmpfs", "755"));
  spec.loopback_up.value = true;
  ProcessWish& process = spec.process;
  process.capabilities = Asked<Capabilities>{};
  process.no_new_privileges.value = true;
  process.new_session.value = true;
  process.die_with_parent.value = true;
  return spec;
}

void warm_up() {
  static bool done = false;
  if (std::exchange(done, true)) return;
  const Result<ExitStatus> status =
      isle::run(bare_namespaces({NamespaceType::user, NamespaceType::uts}, {"/bin/true"}));
  if (!status) throw std::runtime_error(status.error().message());
  accept_present_state();
}

Ran run_script(Spec spec, const std::string& script, const LaunchOptions& options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const std::string number = std::to_string(write_end.get());
  // The shell keeps 1 and 2 only.
  spec.process.args.value = {"/bin/sh", "-c", "exec >/proc/self/fd/" + number + " 2>&1\n" + script};
  spec.process.pass_fds.value.push_back(write_end.get());
  Result<Process> process = spawn(spec, options);
  write_end.reset();
  if (!process) return {std::unexpected(process.error())};
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(read_end.get(), buffer, sizeof buffer);
    if (got > 0) out.append(buffer, static_cast<size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  return {process->wait(), out};
}

}  // namespace isle::test
