// What `isle-oci spec` writes: a shell in an image, as confined as engines make it.
#include "oci/config.h"

namespace isle::oci {
namespace {

Json mounts(bool rootless) {
  Json pts = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
  if (!rootless) pts.push_back("gid=5");
  const Json sys = rootless ? Json{{"destination", "/sys"},
                                   {"type", "none"},
                                   {"source", "/sys"},
                                   {"options", {"rbind", "nosuid", "noexec", "nodev", "ro"}}}
                            : Json{{"destination", "/sys"},
                                   {"type", "sysfs"},
                                   {"source", "sysfs"},
                                   {"options", {"nosuid", "noexec", "nodev", "ro"}}};
  Json list = Json::array({
      {{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
      {{"destination", "/dev"},
       {"type", "tmpfs"},
       {"source", "tmpfs"},
       {"options", {"nosuid", "strictatime", "mode=755", "size=65536k"}}},
      {{"destination", "/dev/pts"}, {"type", "devpts"}, {"source", "devpts"}, {"options", pts}},
      {{"destination", "/dev/shm"},
       {"type", "tmpfs"},
       {"source", "shm"},
       {"options", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}}},
      {{"destination", "/dev/mqueue"},
       {"type", "mqueue"},
       {"source", "mqueue"},
       {"options", {"nosuid", "noexec", "nodev"}}},
      sys,
  });
  if (!rootless)
    list.push_back({{"destination", "/sys/fs/cgroup"},
                    {"type", "cgroup"},
                    {"source", "cgroup"},
                    {"options", {"nosuid", "noexec", "nodev", "relatime", "ro"}}});
  return list;
}

Json process() {
  const Json capabilities = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  return {
      {"terminal", true},
      {"user", {{"uid", 0}, {"gid", 0}}},
      {"args", {"sh"}},
      {"env", {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"}},
      {"cwd", "/"},
      {"capabilities",
       {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
      {"rlimits", Json::array({{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}})},
      {"noNewPrivileges", true}};
}

}  // namespace

std::string default_config(bool rootless, bool cgroup_namespace, uint32_t uid, uint32_t gid) {
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount"}) namespaces.push_back({{"type", type}});
  if (cgroup_namespace) namespaces.push_back({{"type", "cgroup"}});
  if (rootless)
    namespaces.push_back({{"type", "user"}});
  else
    namespaces.push_back({{"type", "network"}});
  Json linux_part = {{"namespaces", namespaces},
                     {"maskedPaths",
                      {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                       "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                       "/proc/sched_debug", "/sys/firmware", "/proc/scsi"}},
                     {"readonlyPaths",
                      {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}};
  if (rootless) {
    const auto map = [](uint32_t host) {
      return Json::array({{{"containerID", 0}, {"hostID", host}, {"size", 1}}});
    };
    linux_part["uidMappings"] = map(uid);
    linux_part["gidMappings"] = map(gid);
  } else {
    linux_part["resources"] = {{"devices", Json::array({{{"allow", false}, {"access", "rwm"}}})}};
  }
  const Json config = {{"ociVersion", "1.3.0"},
                       {"process", process()},
                       {"root", {{"path", "rootfs"}, {"readonly", true}}},
                       {"hostname", "isle"},
                       {"mounts", mounts(rootless)},
                       {"linux", linux_part}};
  return config.dump(2) + "\n";
}

}  // namespace isle::oci
