#include "probes.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "command.h"
#include "fork.h"
#include "identity.h"
#include "isle/mount.h"
#include "neighbour.h"
#include "paths.h"
#include "temp_dir.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace isle::test {
namespace {

std::string failed(const std::string& what) { return what + ": " + std::strerror(errno); }

// What `function` returns in a child, or why there was no answer.
ProbeResult in_child(const std::function<std::string()>& function) {
  const ForkResult result = call_in_fork(function);
  return result.ok() ? result.value : result.describe();
}

std::string become_or_say(const Identity& identity) {
  const char* step = "";
  errno = -become(identity, &step);
  return errno != 0 ? failed(step) : "";
}

bool put(const char* path, const std::string& text) {
  const Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// In a child: an ordinary user's user and mount namespace, mapped to root in it.
std::string enter_userns() {
  const Identity user = unprivileged();
  if (std::string why = become_or_say(user); !why.empty()) return why;
  if (::unshare(CLONE_NEWUSER) != 0) return failed("unshare(CLONE_NEWUSER)");
  if (!put("/proc/self/setgroups", "deny")) return failed("/proc/self/setgroups");
  if (!put("/proc/self/uid_map", "0 " + std::to_string(user.uid) + " 1"))
    return failed("/proc/self/uid_map");
  if (!put("/proc/self/gid_map", "0 " + std::to_string(user.gid) + " 1"))
    return failed("/proc/self/gid_map");
  if (::unshare(CLONE_NEWNS) != 0) return failed("unshare(CLONE_NEWNS) in the user namespace");
  return {};
}

// In a child, in a mount namespace of its own: overlayfs over a tmpfs on `dir`.
std::string mount_overlay(const std::string& dir) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failed("make / private");
  if (mount("tmpfs", dir.c_str(), "tmpfs", 0, nullptr) != 0) return failed("mount tmpfs");
  for (const char* name : {"/lower", "/upper", "/work", "/merged"})
    mkdir((dir + name).c_str(), 0755);
  const std::string data =
      "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work";
  if (mount("overlay", (dir + "/merged").c_str(), "overlay", 0, data.c_str()) != 0)
    return failed("mount overlay");
  return {};
}

ProbeResult new_namespace(int flag, const std::string& name) {
  return in_child([&]() -> std::string {
    if (geteuid() != 0) {
      if (std::string why = enter_userns(); !why.empty()) return why;
    }
    return ::unshare(flag) == 0 ? "" : failed("unshare(" + name + ")");
  });
}

// /proc/self/cgroup's path for a v1 controller, or with "" for v2.
std::string own_cgroup(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == "," + controller + "," ||
        (!controller.empty() && controllers.find("," + controller + ",") != controllers.npos)) {
      return line.substr(second + 1);
    }
  }
  return {};
}

// Where a hierarchy is mounted; with "cgroup2" the v2 one, with "cgroup" the first v1 controller's.
struct Hierarchy {
  std::string mount_point = {};
  std::string controller = {};
};

Hierarchy find_hierarchy(const std::string& type) {
  std::ifstream file("/proc/self/mounts");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string source;
    Hierarchy found;
    std::string fstype;
    std::string options;
    words >> source >> found.mount_point >> fstype >> options;
    if (fstype != type) continue;
    if (type == "cgroup2") return found;
    for (const char* controller : {"memory", "pids", "cpu", "freezer", "devices"}) {
      if (("," + options + ",").find(std::string(",") + controller + ",") != std::string::npos) {
        found.controller = controller;
        return found;
      }
    }
  }
  return {};
}

ProbeResult can_make_cgroup(const std::string& dir) {
  const std::string path = dir + "/" + unique_name("probe");
  if (mkdir(path.c_str(), 0755) != 0) return failed("mkdir below " + dir);
  rmdir(path.c_str());
  return {};
}

ProbeResult usable_hierarchy(const std::string& type) {
  const Hierarchy hierarchy = find_hierarchy(type);
  if (hierarchy.mount_point.empty()) {
    return type == "cgroup2" ? "no cgroup v2 hierarchy is mounted"
                             : "no cgroup v1 controller is mounted";
  }
  return can_make_cgroup(hierarchy.mount_point + own_cgroup(hierarchy.controller));
}

}  // namespace

ProbeResult probe_root() {
  if (geteuid() != 0) return "effective uid is " + std::to_string(geteuid());
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return failed("capget");
  return (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0 ? "" : "root without CAP_SYS_ADMIN";
}

ProbeResult probe_unprivileged() {
  return in_child([] { return become_or_say(unprivileged()); });
}

ProbeResult probe_userns() { return in_child(enter_userns); }

ProbeResult probe_subids() {
  if (find_program("newuidmap").empty() || find_program("newgidmap").empty())
    return "no newuidmap (Debian: uidmap)";
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    if (access(file, R_OK) != 0) return failed(file);
  }
  const Identity user = unprivileged_with_subids();
  std::string first = std::to_string(kFirstSubid);
  std::string count = std::to_string(kSubidCount);
  if (!user.drop) {
    const CommandResult mine =
        run_command({"sh", "-c", "grep -E \"^($(id -un)|$(id -u)):\" /etc/subuid"});
    if (!mine.ok()) return "/etc/subuid has no range for this user";
    const std::size_t colon = mine.out.find(':');
    first = mine.out.substr(colon + 1, mine.out.find(':', colon + 1) - colon - 1);
    count = "1";
  }
  const std::string script =
      "unshare --user sleep 1000 & p=$!; n=0; "
      "until [ \"$(readlink /proc/$p/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do sleep "
      "0.01; done; "
      "newuidmap $p 0 $(id -u) 1 1 " +
      first + " " + count + "; s=$?; kill $p; wait $p 2>/dev/null; exit $s";
  const CommandResult result =
      run_command({"sh", "-c", script}, {.identity = user, .timeout = milliseconds(10'000)});
  if (result.ok()) return {};
  return result.timed_out ? "no user namespace for newuidmap to map" : "newuidmap: " + result.err;
}

ProbeResult probe_cgroup_v1() { return usable_hierarchy("cgroup"); }

ProbeResult probe_cgroup_v2() {
  if (!find_hierarchy("cgroup").mount_point.empty())
    return "cgroup v1 controllers are mounted here";
  return usable_hierarchy("cgroup2");
}

ProbeResult probe_cgroups() {
  const ProbeResult v1 = probe_cgroup_v1();
  return v1.empty() ? v1 : probe_cgroup_v2();
}

ProbeResult probe_hybrid() {
  const ProbeResult v1 = usable_hierarchy("cgroup");
  return v1.empty() ? usable_hierarchy("cgroup2") : v1;
}

ProbeResult probe_delegated() {
  if (const ProbeResult why = probe_cgroup_v2(); !why.empty()) return why;
  const std::string own = find_hierarchy("cgroup2").mount_point + own_cgroup("");
  if (access((own + "/cgroup.subtree_control").c_str(), W_OK) != 0)
    return "our cgroup " + own + " is not ours to divide";
  const std::string controllers = " " + read_file(own + "/cgroup.controllers");
  for (const char* needed : {"memory", "pids"}) {
    if (controllers.find(needed) == controllers.npos)
      return std::string("our cgroup has no ") + needed + " controller";
  }
  return {};
}

ProbeResult probe_systemd() {
  return std::filesystem::is_directory("/run/systemd/system") ? "" : "systemd is not pid 1";
}

ProbeResult probe_systemd_user() {
  if (find_program("systemctl").empty()) return "no systemctl";
  if (std::getenv("XDG_RUNTIME_DIR") == nullptr) return "XDG_RUNTIME_DIR is not set";
  const CommandResult result = run_command({"systemctl", "--user", "show-environment"});
  return result.ok() ? "" : "systemctl --user: " + result.err;
}

ProbeResult probe_initial_pidns() {
  constexpr ino_t kInitial = 0xEFFFFFFC;  // PROC_PID_INIT_INO of <linux/proc_ns.h>
  struct stat found{};
  if (stat("/proc/self/ns/pid", &found) != 0) return failed("/proc/self/ns/pid");
  return found.st_ino == kInitial ? "" : "not in the initial pid namespace";
}

ProbeResult probe_overlay() {
  if (geteuid() != 0) return probe_userns_overlay();
  const TempDir dir;
  return in_child([&]() -> std::string {
    return ::unshare(CLONE_NEWNS) == 0 ? mount_overlay(dir.path()) : failed("unshare(CLONE_NEWNS)");
  });
}

ProbeResult probe_userns_overlay() {
  const TempDir dir;
  return in_child([&] {
    std::string why = enter_userns();
    return why.empty() ? mount_overlay(dir.path()) : why;
  });
}

// An idmapped mount of a directory in /tmp.
ProbeResult probe_idmap() {
  const TempDir dir;
  const Neighbour user({NamespaceType::user});
  if (!user.ready()) return "no user namespace to take the ids from";
  for (const char* map : {"/uid_map", "/gid_map"})
    write_file("/proc/" + std::to_string(user.pid()) + map, "0 1000 1");
  const Result<MountTree> tree = MountTree::clone(dir.path());
  if (!tree) return tree.error().message();
  const Status mapped = tree->idmap(user.ns(NamespaceType::user));
  return mapped ? "" : "in /tmp: " + mapped.error().message();
}

ProbeResult probe_timens() { return new_namespace(CLONE_NEWTIME, "CLONE_NEWTIME"); }
ProbeResult probe_netns() { return new_namespace(CLONE_NEWNET, "CLONE_NEWNET"); }

ProbeResult probe_device(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  return fd ? "" : failed(path);
}

ProbeResult probe_programs(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (find_program(name).empty()) return "no " + name + " on PATH";
  }
  return {};
}

ProbeResult probe_criu() {
  if (ProbeResult why = probe_programs({"criu"}); !why.empty()) return why;
  const CommandResult result = run_command({"criu", "check"});
  return result.ok() ? "" : "criu check: " + result.err.substr(0, result.err.find('\n'));
}

}  // namespace isle::test
