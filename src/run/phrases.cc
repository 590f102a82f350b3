#include "run/phrases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "exec/executor.h"
#include "isle/names.h"
#include "sys/abi.h"
#include "sys/flag_names.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

using plan::Op;

std::string names_of(NamespaceSet set) {
  std::vector<std::string_view> names;
  for (const NamespaceType type : set) names.push_back(to_string(type));
  return fmt::format("{}", fmt::join(names, ", "));
}

// "network" of "net".
std::string_view type_called(const std::string& proc_name) {
  const auto type = parse_namespace_type(proc_name);
  return type ? to_string(*type) : std::string_view(proc_name);
}

// A map's lines or the whole of a one-line file, in one line.
std::string one_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  std::ranges::replace(text, '\n', ',');
  return text;
}

std::string namespaces_made(const FailedStep& failed) {
  const NamespaceSet set = NamespaceSet::of_clone_flags(failed.step().arg[0]);
  if (set.empty()) return "start the sandbox's first process";
  return fmt::format("create {} namespace{}", names_of(set), set.size() == 1 ? "" : "s");
}

std::string namespace_joined(const FailedStep& failed) {
  const plan::Step* opened = failed.writer(failed.step().arg[0]);
  const NamespaceSet types = NamespaceSet::of_clone_flags(failed.step().arg[1]);
  const std::string names = names_of(types);
  const bool several = types.size() > 1;
  if (opened != nullptr && opened->op == Op::open)
    return fmt::format("join the {} namespace \"{}\"", names, failed.text(*opened, 0));
  if (const pid_t pid = failed.joined_process(failed.step()); pid > 0)
    return fmt::format("join the {} namespace{} of process {}", names, several ? "s" : "", pid);
  if (opened != nullptr && opened->op == Op::use_fd)
    return fmt::format("join the {} namespace{} of descriptor {}", names, several ? "s" : "",
                       opened->arg[0]);
  return fmt::format("join the {} namespace", names);
}

std::string about_mount(const FailedStep& failed) {
  const MountStory story = failed.mount();
  const std::string where =
      story.destination.empty() ? std::string{} : fmt::format(" on \"{}\"", story.destination);
  if (story.is_root && story.bind) return fmt::format("use \"{}\" as root", story.source);
  if (story.bind) {
    if (failed.op() == Op::mount_setattr)
      return fmt::format("set attributes {} of the bind of \"{}\"{}",
                         sys::to_text(static_cast<sys::MountAttr>(failed.step().arg[3])),
                         story.source, where);
    return fmt::format("bind \"{}\"{}", story.source, where);
  }
  if (story.type.empty()) return failed.plan().step_text(failed.index());
  std::string mount = fmt::format(R"(mount "{}"{} type "{}")",
                                  story.source.empty() ? "none" : story.source, where, story.type);
  if (failed.op() == Op::fsconfig_string)
    return fmt::format("{}: option \"{}={}\"", mount, failed.text(1), failed.text(2));
  if (failed.op() == Op::fsconfig_flag)
    return fmt::format("{}: option \"{}\"", mount, failed.text(1));
  return mount;
}

// Files whose purpose says more than their path: of /proc/PID, of a cgroup.
std::string about_write(const std::string& path, const std::string& value) {
  const std::string shown = one_line(value);
  if (path.ends_with("uid_map")) return fmt::format("map user ids ({})", shown);
  if (path.ends_with("gid_map")) return fmt::format("map group ids ({})", shown);
  if (path.ends_with("/setgroups") || path == "setgroups") return "forbid setgroups in the sandbox";
  if (path.ends_with("timens_offsets")) return fmt::format("set the time offset ({})", shown);
  if (path.ends_with("oom_score_adj")) return fmt::format("set the OOM score adjustment {}", shown);
  if (path.starts_with("/proc/sys/")) {
    std::string key = path.substr(std::string_view("/proc/sys/").size());
    std::ranges::replace(key, '/', '.');
    return fmt::format("set sysctl {}={}", key, shown);
  }
  return fmt::format(R"(write "{}" to "{}")", shown, path);
}

/// What a program wrote before it failed.
std::string last_words(const FailedStep& failed) {
  const std::string said = one_line(std::string(failed.log()));
  return said.empty() ? said : "; it said: " + said;
}

std::string map_by_program(const FailedStep& failed) {
  return fmt::format("map ids with \"{}\" ({}){}", failed.text(0), fmt::join(failed.list(1), " "),
                     last_words(failed));
}

/// "31 (bad system call)"
std::string described(int signal) {
  const char* known = ::sigdescr_np(signal);
  std::string what = known == nullptr ? "unknown" : known;
  what.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(what.front())));
  return fmt::format("{} ({})", signal, what);
}

std::string hook(const FailedStep& failed) {
  const uint32_t status = failed.detail() >> exec::kDetailStatusShift;
  std::string how;
  if (failed.error() == ETIMEDOUT)
    how = fmt::format(": it took longer than {} s", failed.step().arg[6]);
  else if ((status & 0x7f) != 0)
    how = fmt::format(": it was killed by signal {}", described(static_cast<int>(status & 0x7f)));
  else if (status != 0)
    how = fmt::format(": it ended with exit status {}", status >> 8);
  return fmt::format("run the hook \"{}\"{}{}", failed.text(0), how, last_words(failed));
}

std::string command(const FailedStep& failed) {
  const std::vector<std::string> argv = failed.list(1);
  const std::vector<std::string> candidates = failed.list(0);
  if (candidates.size() == 1) return fmt::format("execute \"{}\"", candidates.front());
  return fmt::format("execute \"{}\"", argv.empty() ? "" : argv.front());
}

// Empty: the step is about no path.
std::string about_path(const FailedStep& failed) {
  switch (failed.op()) {
    case Op::open:
      return fmt::format("open \"{}\"", failed.text(0));
    case Op::open_in:
      return fmt::format("open \"{}\" in the sandbox's root", failed.text(1));
    case Op::make_dir_in:
      return fmt::format("make the directory \"{}\"", failed.text(1));
    case Op::make_file_in:
      return fmt::format("make the file \"{}\"", failed.text(1));
    case Op::symlink_in:
      return fmt::format(R"(make the symbolic link "{}" to "{}")", failed.text(1), failed.text(2));
    case Op::mknod_in:
      return fmt::format("make the device \"{}\"", failed.text(1));
    case Op::copy_in:
      return fmt::format("make the file \"{}\"", failed.text(2));
    case Op::copy_tree:
      return fmt::format("copy what stands in \"{}\"", failed.text(1));
    case Op::copy_link:
      return fmt::format(R"(make "{}" a link like "{}")", failed.text(2), failed.text(0));
    case Op::write_in:
      return about_write(failed.text(1), failed.text(2));
    case Op::write_child:
    case Op::write_file:
      return about_write(failed.text(0), failed.text(1));
    case Op::mkdir:
      return fmt::format("make the directory \"{}\" on the host", failed.text(0));
    case Op::create_file:
      return fmt::format("make the file \"{}\" on the host", failed.text(0));
    case Op::unlink:
      return fmt::format("remove \"{}\"", failed.text(0));
    case Op::device_filter:
      return "attach the device filter to the cgroup";
    case Op::remove_cgroup:
      return fmt::format("remove the cgroup \"{}\"", failed.text(0));
    case Op::persist:
      return fmt::format("keep the {} namespace at \"{}\"", type_called(failed.text(0)),
                         failed.text(1));
    case Op::umount:
      return fmt::format("unmount \"{}\"", failed.text(0));
    case Op::chroot:
      return fmt::format("change root to \"{}\"", failed.text(0));
    case Op::chdir:
      return fmt::format("change directory to \"{}\"", failed.text(0));
    default:
      return {};
  }
}

std::string about_process(const FailedStep& failed) {
  const plan::Step& step = failed.step();
  switch (failed.op()) {
    case Op::setgroups:
      return failed.numbers(0).empty() ? "drop the supplementary groups"
                                       : fmt::format("set the supplementary groups {}",
                                                     fmt::join(failed.numbers(0), ","));
    case Op::setresgid:
      return fmt::format("become group {}", step.arg[0]);
    case Op::setresuid:
      return fmt::format("become user {}", step.arg[0]);
    case Op::chown:
      return fmt::format("change the owner to {}:{}", step.arg[0], step.arg[1]);
    case Op::sethostname:
      return fmt::format("set the host name \"{}\"", failed.text(0));
    case Op::setdomainname:
      return fmt::format("set the domain name \"{}\"", failed.text(0));
    case Op::link_up:
      return fmt::format("set the network device \"{}\" up", failed.text(0));
    case Op::prlimit:
      return fmt::format("set the limit {} to {}:{}", rlimit_name(static_cast<int>(step.arg[0])),
                         step.arg[1], step.arg[2]);
    case Op::setpriority:
      return fmt::format("set the nice value {}", static_cast<int32_t>(step.arg[0]));
    case Op::sched_setaffinity:
      return "choose the CPUs to run on";
    case Op::set_mempolicy:
      return "set the memory policy";
    case Op::join_keyring:
      return "join a session keyring of its own";
    case Op::seccomp:
      return "install the seccomp filter";
    case Op::pivot_root:
      return "make the new root the root (pivot_root)";
    case Op::open_console:
    case Op::open_slave:
      return "open a terminal for the sandbox";
    case Op::controlling_terminal:
      return "make the terminal the controlling one";
    case Op::drop_bounding:
      return "drop capabilities from the bounding set";
    case Op::raise_ambient:
      return "raise ambient capabilities";
    case Op::capset:
      return "set the capabilities";
    default:
      return failed.plan().step_text(failed.index());
  }
}

}  // namespace

std::string phrase(const FailedStep& failed) {
  switch (failed.op()) {
    case Op::clone3:
    case Op::unshare:
      return namespaces_made(failed);
    case Op::setns:
      return namespace_joined(failed);
    case Op::open_tree:
    case Op::fsopen:
    case Op::fsconfig_string:
    case Op::fsconfig_flag:
    case Op::fsconfig_fd:
    case Op::fsconfig_create:
    case Op::fsmount:
    case Op::mount_setattr:
    case Op::move_mount:
      return about_mount(failed);
    case Op::map_program:
      return map_by_program(failed);
    case Op::hook:
      return hook(failed);
    case Op::expect_command:
    case Op::execve:
      return command(failed);
    default:
      break;
  }
  const std::string text = about_path(failed);
  return text.empty() ? about_process(failed) : text;
}

}  // namespace isle
