// spec, features, --version: about isle-oci itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "cli/output.h"
#include "isle/names.h"
#include "isle/version.h"
#include "oci_cli/container.h"
#include "oci_cli/verbs.h"
#include "seccomp/compile.h"

namespace isle::oci_cli {

int spec(const Call& call) {
  const std::string path = call.line.get("bundle", ".") + "/config.json";
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return call.report.fail({.code = errno, .what = fmt::format("make \"{}\"", path)});
  // Where a v1 hierarchy is, a shell in a cgroup namespace could not tell its own cgroup from others.
  const bool is_v2 = machine_cgroups().layout == CgroupLayout::v2;
  const std::string text =
      oci::default_config(call.line.has("rootless"), is_v2, ::getuid(), ::getgid());
  if (cli::write_all(file.get(), text)) return 0;
  return call.report.fail({.code = errno, .what = fmt::format("write \"{}\"", path)});
}

namespace {

constexpr const char* kSpecVersion = "1.3.0";

template <class T>
std::vector<std::string> names_of(const T& words) {
  std::vector<std::string> names;
  for (const auto& word : words) names.emplace_back(word.name);
  return names;
}

/// Those this kernel takes: with a flag it knows it looks for the program, which is not there.
std::vector<std::string> supported_flags() {
  std::vector<std::string> names;
  for (const auto& flag : seccomp::kFlags) {
    const uint32_t with =
        flag.value == seccomp::kWaitKillable ? seccomp::kNewListener | flag.value : flag.value;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, with, nullptr) < 0 && errno == EFAULT)
      names.emplace_back(flag.name);
  }
  return names;
}

}  // namespace

/// Only what works: an engine asks for nothing that is not here.
int features(const Call& call) {
  const oci::Json json = {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", kSpecVersion},
      {"hooks",
       {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}},
      {"mountOptions", {"bind",           "rbind",         "ro",           "rw",
                        "suid",           "nosuid",        "dev",          "nodev",
                        "exec",           "noexec",        "atime",        "noatime",
                        "diratime",       "nodiratime",    "relatime",     "norelatime",
                        "strictatime",    "nostrictatime", "symfollow",    "nosymfollow",
                        "sync",           "async",         "dirsync",      "lazytime",
                        "nolazytime",     "mand",          "nomand",       "iversion",
                        "noiversion",     "silent",        "loud",         "defaults",
                        "remount",        "private",       "rprivate",     "shared",
                        "rshared",        "slave",         "rslave",       "unbindable",
                        "runbindable",    "rro",           "rrw",          "rsuid",
                        "rnosuid",        "rdev",          "rnodev",       "rexec",
                        "rnoexec",        "ratime",        "rnoatime",     "rdiratime",
                        "rnodiratime",    "rrelatime",     "rnorelatime",  "rstrictatime",
                        "rnostrictatime", "rsymfollow",    "rnosymfollow", "idmap",
                        "ridmap",         "tmpcopyup",     "src-nofollow", "dest-nofollow",
                        "copy-symlink"}},
      {"linux",
       {{"namespaces", {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}},
        {"capabilities", capability_names()},
        {"cgroup",
         {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
        {"seccomp",
         {{"enabled", true},
          {"actions", names_of(seccomp::kActions)},
          {"operators", names_of(seccomp::kOperators)},
          {"archs", names_of(seccomp::kArchitectures)},
          {"knownFlags", names_of(seccomp::kFlags)},
          {"supportedFlags", supported_flags()}}},
        {"memoryPolicy",
         {{"modes",
           {"MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL",
            "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"}},
          {"flags", {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"}}}},
        {"netDevices", {{"enabled", true}}},
        {"apparmor", {{"enabled", true}}},
        {"selinux", {{"enabled", true}}},
        {"intelRdt", {{"enabled", true}, {"schemata", true}, {"monitoring", true}}},
        {"mountExtensions", {{"idmap", {{"enabled", true}}}}}}},
      {"annotations",
       {{"org.isle.version", std::string(kVersion)},
        {"io.github.seccomp.libseccomp.version", seccomp::library_version()}}},
      {"potentiallyUnsafeConfigAnnotations",
       {"org.criu.config", "org.systemd.property.", "run.oci."}}};
  return call.report.print(json.dump(2) + "\n");
}

std::string version_text() {
  return fmt::format("isle-oci version {}\ncommit: {}\nspec: {}\n", kVersion, kCommit,
                     kSpecVersion);
}

}  // namespace isle::oci_cli
