#include "oci_cli/flags.h"

#include <algorithm>

#include "oci_cli/kernel_text.h"

namespace isle::oci_cli {
namespace {

constexpr std::string_view kMake = "create run";
constexpr std::string_view kProcess = "create run exec";
constexpr std::string_view kCriu = "checkpoint restore";

constexpr Flag kFlags[] = {
    {"root", 0, "DIR", "", "where the containers' states are"},
    {"log", 0, "FILE", "", "errors and warnings go there too"},
    {"log-format", 0, "text|json", "", "how they are written there [text]"},
    {"debug", 0, "", "", "the steps of the plan too"},
    {"cgroup-manager", 0, "cgroupfs|systemd|disabled", "", "who makes cgroups [cgroupfs]"},
    {"systemd-cgroup", 0, "", "", "the same as --cgroup-manager systemd"},
    {"criu", 0, "PROGRAM", "", ""},
    {"explain", 0, "BUNDLE", "", "print what create would do, step by step"},
    {"version", 'v', "", "", "print the version"},
    {"help", 'h', "", "", "print this, or a command's options"},
    {"explain", 0, "", kMake, "print what would be done, and do nothing"},
    {"bundle", 'b', "DIR", "create run restore spec", "the bundle [.]"},
    {"config", 'f', "FILE", kMake, "in place of the bundle's config.json"},
    {"console-socket", 0, "SOCKET", "create run exec restore",
     "where the terminal's master is sent to"},
    {"pidfd-socket", 0, "SOCKET", kProcess, "where a descriptor of the process is sent to"},
    {"pid-file", 0, "FILE", "create run exec restore", "gets the process's pid"},
    {"preserve-fds", 0, "N", kProcess, "descriptors 3 to N+2 stay open"},
    {"no-pivot", 0, "", "create run restore", "chroot in place of pivot_root"},
    {"no-new-keyring", 0, "", kMake, "keep the caller's session keyring"},
    {"no-subreaper", 0, "", "run restore", ""},
    {"detach", 'd', "", "run exec restore", "return when it runs"},
    {"keep", 0, "", "run", "do not remove it when it has ended"},
    {"all", 'a', "", "kill", "to all its processes"},
    {"force", 'f', "", "delete", "end it first; content where there is none"},
    {"regex", 'r', "", "delete kill", "ID is an extended regular expression"},
    {"format", 'f', "table|json", "list ps", "how to print [table]"},
    {"quiet", 'q', "", "list", "print ids only"},
    {"process", 'p', "FILE", "exec", "the process as the runtime-spec has it"},
    {"tty", 't', "", "exec", "on a terminal of its own"},
    {"env", 'e', "NAME=VALUE", "exec", "one more variable"},
    {"user", 'u', "UID[:GID]", "exec", "as whom"},
    {"cwd", 0, "DIR", "exec", "in which directory of the container"},
    {"cap", 'c', "NAME", "exec", "one more capability"},
    {"additional-gids", 'g', "GID", "exec", "one more group"},
    {"no-new-privs", 0, "", "exec", "no privilege by execve"},
    {"ignore-paused", 0, "", "exec", "also in a paused container"},
    {"apparmor", 0, "PROFILE", "exec", "under this AppArmor profile"},
    {"process-label", 0, "LABEL", "exec", "under this SELinux label"},
    {"cgroup", 0, "[CONTROLLER:]PATH", "exec", "in a cgroup below the container's"},
    {"image-path", 0, "DIR", kCriu, "where the image is"},
    {"work-path", 0, "DIR", kCriu, "where criu writes its log"},
    {"parent-path", 0, "DIR", "checkpoint", "an image of before, which this one completes"},
    {"leave-running", 0, "", "checkpoint", "it goes on afterwards"},
    {"pre-dump", 0, "", "checkpoint", "its memory only; it goes on"},
    {"tcp-established", 0, "", kCriu, "with open TCP connections"},
    {"tcp-close", 0, "", "restore", "TCP connections are closed"},
    {"tcp-skip-in-flight", 0, "", "checkpoint", "without connections that are being made"},
    {"ext-unix-sk", 0, "", kCriu, "with Unix sockets whose other end is outside"},
    {"shell-job", 0, "", kCriu, "with a terminal that is outside"},
    {"file-locks", 0, "", kCriu, "with file locks"},
    {"link-remap", 0, "", kCriu, "with files that have no name any more"},
    {"lazy-pages", 0, "", kCriu, "memory follows when it is touched"},
    {"auto-dedup", 0, "", kCriu, "each page once in the images"},
    {"page-server", 0, "HOST:PORT", "checkpoint", "where memory is sent to"},
    {"status-fd", 0, "FD", "checkpoint", "told when lazy pages can be asked for"},
    {"manage-cgroups-mode", 0, "soft|full|strict|ignore", kCriu,
     "what is done about cgroups [soft]"},
    {"empty-ns", 0, "network", kCriu, "its network namespace is made empty"},
    {"network-lock", 0, "iptables|nftables|skip", kCriu, "how the network is held meanwhile"},
    {"lsm-profile", 0, "TYPE:NAME", "restore", "another security profile"},
    {"lsm-mount-context", 0, "CONTEXT", "restore", "another context for mounts"},
    {"resources", 'r', "FILE", "update", "linux.resources as JSON; -: standard input"},
    {"memory", 0, "BYTES", "update", "memory.limit"},
    {"memory-swap", 0, "BYTES", "update", "memory.swap: memory and swap; -1: no limit"},
    {"memory-reservation", 0, "BYTES", "update", "memory.reservation"},
    {"cpu-quota", 0, "US", "update", "cpu.quota"},
    {"cpu-period", 0, "US", "update", "cpu.period"},
    {"cpu-burst", 0, "US", "update", "cpu.burst"},
    {"cpu-share", 0, "N", "update", "cpu.shares"},
    {"cpu-idle", 0, "0|1", "update", "cpu.idle"},
    {"cpu-rt-period", 0, "US", "update", "cpu.realtimePeriod"},
    {"cpu-rt-runtime", 0, "US", "update", "cpu.realtimeRuntime"},
    {"cpuset-cpus", 0, "LIST", "update", "cpu.cpus"},
    {"cpuset-mems", 0, "LIST", "update", "cpu.mems"},
    {"pids-limit", 0, "N", "update", "pids.limit"},
    {"blkio-weight", 0, "N", "update", "blockIO.weight"},
    {"kernel-memory", 0, "BYTES", "update", ""},
    {"kernel-memory-tcp", 0, "BYTES", "update", "memory.kernelTCP"},
    {"stats", 0, "", "events", "once"},
    {"interval", 0, "TIME", "events", "how often [5s]"},
    {"rootless", 0, "", "spec", "for an ordinary user"},
};

}  // namespace

bool Flag::is_of(std::string_view verb) const {
  const auto words = split(verbs);
  return words.empty() || std::ranges::find(words, verb) != words.end();
}

std::span<const Flag> all_flags() { return kFlags; }

}  // namespace isle::oci_cli
