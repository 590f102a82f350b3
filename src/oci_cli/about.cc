// spec, features, --version, --help: about isle-oci itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "cli/output.h"
#include "isle/names.h"
#include "isle/version.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {

int spec(const Call& call) {
  const std::string path = call.line.get("bundle", ".") + "/config.json";
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return call.report.fail({.code = errno, .what = fmt::format("make \"{}\"", path)});
  const std::string text = oci::default_config(call.line.has("rootless"), ::getuid(), ::getgid());
  if (cli::write_all(file.get(), text)) return 0;
  return call.report.fail({.code = errno, .what = fmt::format("write \"{}\"", path)});
}

/// Only what works: an engine asks for nothing that is not here.
int features(const Call& call) {
  const oci::Json json = {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", "1.2.0"},
      {"hooks", oci::Json::array()},
      {"mountOptions",
       {"bind",       "rbind",       "ro",       "rw",          "suid",      "nosuid",
        "dev",        "nodev",       "exec",     "noexec",      "atime",     "noatime",
        "diratime",   "nodiratime",  "relatime", "strictatime", "symfollow", "nosymfollow",
        "private",    "rprivate",    "shared",   "rshared",     "slave",     "rslave",
        "unbindable", "runbindable", "rro",      "rrw",         "rsuid",     "rnosuid",
        "rdev",       "rnodev",      "rexec",    "rnoexec",     "ratime",    "rnoatime",
        "idmap",      "ridmap"}},
      {"linux",
       {{"namespaces", {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}},
        {"capabilities", capability_names()},
        {"cgroup",
         {{"v1", true},
          {"v2", false},
          {"systemd", false},
          {"systemdUser", false},
          {"rdma", false}}},
        {"seccomp", {{"enabled", false}}},
        {"apparmor", {{"enabled", true}}},
        {"selinux", {{"enabled", true}}},
        {"intelRdt", {{"enabled", false}}},
        {"mountExtensions", {{"idmap", {{"enabled", true}}}}}}},
      {"annotations", {{"org.isle.version", std::string(kVersion)}}}};
  return call.report.print(json.dump(2) + "\n");
}

std::string version_text() {
  return fmt::format("isle-oci version {}\ncommit: {}\nspec: 1.2.0\n", kVersion, kCommit);
}

std::string usage() {
  return "Usage: isle-oci [GLOBAL OPTIONS] COMMAND [OPTIONS] ID\n"
         "\n"
         "An OCI runtime: see isle-oci(1).\n"
         "\n"
         "Commands:\n"
         "  create ID             make a container of --bundle, which waits for start\n"
         "  start ID              let it run its command\n"
         "  run ID                create, start, wait, delete\n"
         "  exec ID COMMAND...    another process in it (or --process FILE)\n"
         "  state ID              what it is, as JSON\n"
         "  kill ID [SIGNAL]      send a signal [TERM]; --all: to all its processes\n"
         "  pause ID, resume ID   stop and go on, by its cgroup\n"
         "  ps ID                 its processes\n"
         "  delete ID             remove what has ended; --force: end it first\n"
         "  list                  all of them\n"
         "  spec                  write a config.json to begin with; --rootless\n"
         "  features              what is supported, as JSON\n"
         "\n"
         "  --explain BUNDLE      what create would do, step by step\n"
         "\n"
         "Global options: --root DIR --log FILE --log-format text|json\n"
         "  --cgroup-manager cgroupfs|disabled --systemd-cgroup --rootless --debug --version\n";
}

}  // namespace isle::oci_cli
