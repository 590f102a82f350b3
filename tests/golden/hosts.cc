#include "golden/hosts.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "run/probe.h"

namespace isle::golden {
namespace {

constexpr uint64_t kAllCapabilities = (uint64_t{1} << 41) - 1;
constexpr uint64_t kNull = 0x103;  // makedev(1, 3)

void add_files(Host& host) {
  const auto add = [&](FileKind kind, std::initializer_list<const char*> paths) {
    for (const char* path : paths) host.files[path] = {.kind = kind};
  };
  add(FileKind::directory,
      {"/", ".", "/proc", "/dev/shm", "/dev/mqueue", "/src", "/src:colon", "/src,comma", "/tree",
       "/tree/", "tree", "/lower1", "/lower2", "/keep/dir", "/changes", "fd:6", "./src"});
  add(FileKind::file, {"/etc/hosts", "/keep/file", "/ns/net", "/ns/pid", "/ns/user", "/ns/mnt",
                       "/ns/uts", "fd:5", "/etc/resolv.conf"});
  host.files["/dev/null"] = {.kind = FileKind::character_device, .device = kNull};
  host.files["/dev/kvm"] = {.kind = FileKind::character_device, .device = 0xae8};
  for (const char* path : {"/missing", "/keep/new", "/keep/time", "/changes/upper", "/changes/work",
                           "/run/resolvconf", "/run/NetworkManager", "/run/systemd/resolve"})
    host.files[path] = {
        .kind = FileKind::missing, .error = ENOENT, .why = fmt::format("{} does not exist", path)};
  host.files["/closed/x"] = {.kind = FileKind::no_access,
                             .error = EACCES,
                             .why = "user 1000 may not go through /closed (mode 0700)"};
}

Host common(int major, int minor) {
  Host host;
  host.kernel = {major, minor};
  probe::set_features(host);
  host.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  host.cwd = "/srv";
  host.mount_points = {"/proc", "/sys",           "/dev",      "/etc/resolv.conf",
                       "/home", "/home/ann/disk", "/tree/data"};
  host.root_entries = {{.name = "bin", .link = "usr/bin"},
                       {.name = "dev", .is_directory = true, .mode = 0755},
                       {.name = "etc", .is_directory = true, .mode = 0755},
                       {.name = "home", .is_directory = true, .mode = 0755},
                       {.name = "srv:x", .is_directory = true, .mode = 0750},
                       {.name = "usr", .is_directory = true, .mode = 0755},
                       {.name = "vmlinuz", .mode = 0600}};
  add_files(host);
  return host;
}

Host root(int major, int minor) {
  Host host = common(major, minor);
  host.capabilities = kAllCapabilities;
  host.groups = {0};
  return host;
}

Host ordinary(int major, int minor) {
  Host host = common(major, minor);
  host.uid = 1000;
  host.gid = 1000;
  host.groups = {1000, 27};
  return host;
}

MadeUpHost root_514() {
  Host host = root(5, 14);
  host.cgroup = {.layout = CgroupLayout::v2,
                 .v2_mount = "/sys/fs/cgroup",
                 .v2_own = "/sys/fs/cgroup/user.slice/session-1.scope",
                 .v2_parent = "/sys/fs/cgroup",
                 .v2_available = {"cpuset", "cpu", "io", "memory", "pids"},
                 .v2_enabled = {"cpu", "memory"},
                 .v2_parent_is_root = true};
  return {"5.14-root", "Linux 5.14, root, cgroup v2", std::move(host)};
}

MadeUpHost plain_61() {
  Host host = ordinary(6, 1);
  host.no_mapping_programs = "newuidmap and newgidmap are not installed";
  host.no_mapping_programs_advice = "install the package uidmap";
  host.cgroup = {.layout = CgroupLayout::v2,
                 .v2_mount = "/sys/fs/cgroup",
                 .v2_own = "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope"};
  return {"6.1-plain", "Linux 6.1, an ordinary user with nothing set up, cgroup v2",
          std::move(host)};
}

MadeUpHost subids_61() {
  Host host = ordinary(6, 1);
  host.subuid = {{100000, 65536}};
  host.subgid = {{100000, 65536}};
  host.newuidmap = "/usr/bin/newuidmap";
  host.newgidmap = "/usr/bin/newgidmap";
  const std::string scope =
      "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope";
  host.cgroup = {.layout = CgroupLayout::v2,
                 .v2_mount = "/sys/fs/cgroup",
                 .v2_own = scope,
                 .v2_parent = scope,
                 .v2_available = {"cpu", "memory", "pids"}};
  return {"6.1-subids",
          "Linux 6.1, an ordinary user with subordinate ids, in a delegated scope of cgroup v2",
          std::move(host)};
}

MadeUpHost root_618() {
  Host host = root(6, 18);
  host.cgroup = {.layout = CgroupLayout::hybrid,
                 .v1 = {{"memory", "/sys/fs/cgroup/memory/user"},
                        {"cpu", "/sys/fs/cgroup/cpu,cpuacct/user"},
                        {"cpuacct", "/sys/fs/cgroup/cpu,cpuacct/user"},
                        {"pids", "/sys/fs/cgroup/pids/user"}},
                 .v1_writable = {"/sys/fs/cgroup/memory/user", "/sys/fs/cgroup/cpu,cpuacct/user",
                                 "/sys/fs/cgroup/pids/user"},
                 .v2_mount = "/sys/fs/cgroup/unified",
                 .v2_own = "/sys/fs/cgroup/unified/user",
                 .v2_parent = "/sys/fs/cgroup/unified/user"};
  return {"6.18-root-v1", "Linux 6.18, root, cgroup v1 with an empty v2 beside it",
          std::move(host)};
}

}  // namespace

const std::vector<MadeUpHost>& hosts() {
  static const std::vector<MadeUpHost> kHosts = {root_514(), plain_61(), subids_61(), root_618()};
  return kHosts;
}

const MadeUpHost& host_named(const std::string& name) {
  for (const MadeUpHost& host : hosts())
    if (host.name == name) return host;
  std::fprintf(stderr, "no made-up host is called %s\n", name.c_str());
  std::abort();
}

cli::Caller caller_of(const Host& host) {
  cli::Caller caller;
  caller.pid = 4321;
  caller.uid = host.uid;
  caller.gid = host.gid;
  caller.capabilities = host.capabilities;
  caller.environment = host.environment;
  caller.cwd = host.cwd;
  caller.find_user = [](const std::string& tree, std::string_view name) -> Result<cli::UserEntry> {
    if (name != "bob") return fail(0, fmt::format("no user {} in {}", name, tree));
    return cli::UserEntry{.uid = 1001, .gid = 100, .additional_gids = {27, 44}};
  };
  caller.find_shell = [](uid_t) { return std::string("/bin/bash"); };
  return caller;
}

}  // namespace isle::golden
