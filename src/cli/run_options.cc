// The table of `isle run`'s options: what --help, isle-run(1) and the completions are made from.
#include <fmt/format.h>

#include <array>

#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/names.h"

namespace isle::cli {
namespace {

Status pid_file(RunRequest& request, const Argument& argument) {
  if (argument.value.empty()) return fail(0, "needs a path");
  request.pid_file = argument.value;
  return {};
}

Status status_fd(RunRequest& request, const Argument& argument) {
  const auto fd = parse_fd(argument.value);
  if (!fd) return std::unexpected(fd.error());
  request.status_fd = *fd;
  request.spec.note_namespaces = {.value = true, .from = request.origin(argument)};
  return {};
}

// "DURATION[:GRACE]"
Status timeout(RunRequest& request, const Argument& argument) {
  const size_t colon = argument.value.find(':');
  const auto time_ns = parse_duration_ns(argument.value.substr(0, colon));
  if (!time_ns) return std::unexpected(time_ns.error());
  request.timeout_ns = *time_ns;
  if (colon == std::string_view::npos) return {};
  const auto grace_ns = parse_duration_ns(argument.value.substr(colon + 1));
  if (!grace_ns) return std::unexpected(grace_ns.error());
  request.grace_ns = *grace_ns;
  return {};
}

Status verbose(RunRequest& request, const Argument&) {
  request.verbose = true;
  return {};
}

constexpr std::string_view kRoot = "Root file system";
constexpr std::string_view kLimits = "Limits";

constexpr Takes kValue = Takes::value;
constexpr Takes kMaybe = Takes::optional_value;

constexpr auto kOptions = std::to_array<Option>({
    {.name = "root",
     .takes = kValue,
     .metavar = "DIR",
     .group = kRoot,
     .help = "the tree at DIR is the root, in place of the host's",
     .more = "It is writable as far as the ids inside may write; see --read-only. /proc, /dev, "
             "/tmp and /run are private all the same, and directories to mount them on are made "
             "in DIR where they are missing.",
     .completes = "@directory",
     .apply = by<&root_directory>},
    {.name = "overlay",
     .takes = kMaybe,
     .metavar = "DIR",
     .group = kRoot,
     .help = "changes to the root go to memory, or to DIR/upper",
     .more = "The root itself is never changed. Without =DIR the changes are gone at the end; "
             "with it they are kept in DIR/upper, and DIR/work is overlayfs's own, on the same "
             "file system.",
     .apply = by<&overlay_root>},
    {.name = "read-only",
     .group = kRoot,
     .help = "nothing in the root can be changed, what is mounted on it can",
     .more = "The host's root is read-only in any case, unless --overlay or --root / is given.",
     .apply = by<&read_only_root>},
    {.name = "no-root",
     .group = kRoot,
     .help = "no new root: the caller's mount tree as it is",
     .more = "The mount namespace is new but nothing is mounted in it unless options ask for it; "
             "/proc, /dev, /tmp and /run are the host's. With a new pid namespace you may want "
             "--mount type=proc,dst=/proc.",
     .apply = by<&no_new_root>},
    {.name = "bind",
     .takes = kValue,
     .metavar = "SRC[:DST[:OPTS]]",
     .group = kRoot,
     .help = "SRC of the host at DST, writable; DST is SRC if left out",
     .more = "SRC may also be fd:N, an open descriptor. Mounts below SRC come along. OPTS are "
             "separated by commas: ro, rw, noexec, dev, suid, noatime and other options of "
             "mount(8); norec leaves the mounts below SRC out; rslave, rshared and their kin set "
             "propagation; optional passes over a missing SRC; idmap=IN:OUT:COUNT shows files "
             "that belong to IN on disk as belonging to OUT (uidmap= and gidmap= for one kind of "
             "id), and idmap alone takes the maps of --map-uid and --map-gid. Set-user-id bits "
             "and device nodes have no effect unless suid and dev are among OPTS. A backslash "
             "makes a colon or comma part of a path.",
     .completes = "@file",
     .apply = by<&bind>},
    {.name = "ro-bind",
     .takes = kValue,
     .metavar = "SRC[:DST[:OPTS]]",
     .group = kRoot,
     .help = "the same, read-only, and all mounts below it",
     .completes = "@file",
     .apply = by<&read_only_bind>},
    {.name = "dev-bind",
     .takes = kValue,
     .metavar = "SRC[:DST[:OPTS]]",
     .group = kRoot,
     .help = "the same as --bind, with device nodes that work",
     .completes = "@file",
     .apply = by<&device_bind>},
    {.name = "tmpfs",
     .takes = kValue,
     .metavar = "DST[:OPTS]",
     .group = kRoot,
     .help = "an empty file system in memory at DST",
     .more = "OPTS: size=SIZE, mode=OCTAL (755 if left out), nr_inodes=N, ro, noexec and others "
             "of tmpfs(5).",
     .apply = by<&tmpfs>},
    {.name = "dir",
     .takes = kValue,
     .metavar = "DST[:mode=OCTAL]",
     .group = kRoot,
     .help = "a directory, with those above it, unless it exists",
     .apply = by<&directory>},
    {.name = "symlink",
     .takes = kValue,
     .metavar = "TARGET:DST",
     .group = kRoot,
     .help = "a symbolic link at DST to TARGET",
     .apply = by<&symlink_to>},
    {.name = "file",
     .takes = kValue,
     .metavar = "FD|PATH:DST[:mode=OCTAL]",
     .group = kRoot,
     .help = "a file at DST with what FD or PATH holds",
     .more = "It is read once, when the sandbox is made. A PATH of digits only is a descriptor; "
             "write ./5 for a file of that name.",
     .apply = by<&file>},
    {.name = "mount",
     .takes = kValue,
     .metavar = "type=T,dst=DST,...",
     .group = kRoot,
     .help = "any file system; or type=bind, rbind, overlay",
     .more = "src=SRC is what to mount. ro, noexec, suid, dev and other options of mount(8) and "
             "the file system's own options may follow, as in type=tmpfs,dst=/data,size=16M. "
             "type=overlay takes lowerdir=, upperdir= and workdir=; without upperdir= changes go "
             "to memory. nosuid and nodev hold unless suid and dev are given.",
     .apply = by<&mount_file_system>},
    {.name = "mask",
     .takes = kValue,
     .metavar = "DST",
     .group = kRoot,
     .help = "DST cannot be read: an empty directory, or /dev/null",
     .apply = by<&mask>},
    {.name = "propagation",
     .takes = kValue,
     .metavar = "HOW",
     .group = kRoot,
     .help = "propagation of the root: private [the default], slave, shared ...",
     .more = "With slave, mounts that the host makes later appear inside, too.",
     .completes = "private slave shared unbindable unchanged",
     .apply = by<&propagation>},
    {.name = "share",
     .takes = kValue,
     .metavar = "TYPE,...",
     .group = kNamespaces,
     .help = "no new namespace of these types: the caller's; or all",
     .more = "Types are cgroup, ipc, mount, network, pid, time, user and uts; mnt and net will "
             "do. By default each but time is new. Sharing network leaves the links alone, and "
             "the host's resolver is reachable; sharing pid shows the host's /proc; sharing ipc "
             "shows the host's /dev/shm and /dev/mqueue; sharing mount leaves the whole file "
             "system as it is, so no option of the root goes with it. Sharing user needs "
             "privilege for all that is still new.",
     .completes = "@namespaces",
     .apply = by<&share_namespaces>},
    {.name = "new",
     .takes = kValue,
     .metavar = "TYPE,...",
     .group = kNamespaces,
     .help = "new namespaces of these types, such as time",
     .completes = "@namespaces",
     .apply = by<&new_namespaces>},
    {.name = "join",
     .takes = kValue,
     .metavar = "TYPE[,...]=TARGET",
     .group = kNamespaces,
     .help = "the namespace of process PID, at PATH, or open as fd:N",
     .more = "A number is a pid, and then TYPE may be several types; anything else is the path "
             "of a namespace, as in /proc/1/ns/net or /run/netns/blue.",
     .completes = "@namespaces",
     .apply = by<&join_namespaces>},
    {.name = "keep",
     .takes = kValue,
     .metavar = "TYPE=PATH",
     .group = kNamespaces,
     .help = "keep the new namespace by a bind mount at PATH",
     .more = "It lives on after its last process, until PATH is unmounted. Needs privilege over "
             "the caller's mount namespace.",
     .completes = "@namespaces",
     .apply = by<&keep_namespace>},
    with(kTimeOffsetRow, by<&time_offset>),
    with(kHostnameRow, by<&hostname>),
    with(kDomainnameRow, by<&domainname>),
    {.name = "uid",
     .takes = kValue,
     .metavar = "UID",
     .group = kIdentity,
     .help = "user id inside",
     .more = "Without --map-uid, an ordinary user's own id appears as UID.",
     .apply = by<&uid>},
    {.name = "gid",
     .takes = kValue,
     .metavar = "GID",
     .group = kIdentity,
     .help = "group id inside",
     .apply = by<&gid>},
    {.name = "user",
     .takes = kValue,
     .metavar = "NAME",
     .group = kIdentity,
     .help = "user, group and groups of NAME in the root's /etc/passwd",
     .more = "UID and UID:GID are taken as they are, without a look at any file.",
     .apply = by<&user>},
    {.name = "groups",
     .takes = kValue,
     .metavar = "GID,...",
     .group = kIdentity,
     .help = "supplementary groups inside; \"\" for none",
     .apply = by<&groups>},
    {.name = "map-uid",
     .takes = kValue,
     .metavar = "IN:OUT[:COUNT]",
     .group = kIdentity,
     .help = "ids IN, IN+1, ... inside are OUT, OUT+1, ... outside",
     .more = "May be repeated. COUNT is 1 if left out. By default root maps every id to itself; "
             "other users get their own id and around it those /etc/subuid grants them.",
     .apply = by<&map_uid>},
    with(kMapGidRow, by<&map_gid>),
    {.name = "map-auto",
     .group = kIdentity,
     .help = "use the ranges of /etc/subuid and /etc/subgid, or fail",
     .apply = by<&map_auto>},
    {.name = "cap-add",
     .takes = kValue,
     .metavar = "CAP,...",
     .group = kIdentity,
     .help = "capabilities the command has; by default none, or ALL",
     .more = "They are permitted, effective, inheritable, ambient and in the bounding set, so "
             "that they last through execve(2). They count in the sandbox's user namespace only. "
             "With or without CAP_ before the name.",
     .completes = "@capabilities",
     .apply = by<&add_capabilities>},
    {.name = "cap-drop",
     .takes = kValue,
     .metavar = "CAP,...",
     .group = kIdentity,
     .help = "capabilities it does not have; the last word counts",
     .completes = "@capabilities",
     .apply = by<&drop_capabilities>},
    {.name = "keep-privileges",
     .group = kIdentity,
     .help = "capabilities stay, and programs may gain privileges",
     .more = "The command keeps what it has in its user namespace, set-user-id programs work, "
             "and --cap-drop takes away from all rather than from none.",
     .apply = by<&keep_privileges>},
    {.name = "memory",
     .takes = kValue,
     .metavar = "SIZE",
     .group = kLimits,
     .help = "memory limit, by cgroup",
     .more = "SIZE is in bytes, or with K, M, G or T. For --memory, --cpus and --pids the "
             "sandbox gets a cgroup, which an ordinary user can have only where systemd or root "
             "delegated one.",
     .apply = by<&memory_limit>},
    {.name = "cpus",
     .takes = kValue,
     .metavar = "NUMBER",
     .group = kLimits,
     .help = "how many cpus' worth of time it may use, such as 0.5",
     .apply = by<&cpu_limit>},
    {.name = "pids",
     .takes = kValue,
     .metavar = "NUMBER",
     .group = kLimits,
     .help = "how many processes and threads it may have",
     .apply = by<&pids_limit>},
    {.name = "rlimit",
     .takes = kValue,
     .metavar = "NAME=SOFT[:HARD]",
     .group = kLimits,
     .help = "resource limit, such as nofile=1024:4096",
     .more = "NAME as in getrlimit(2). Values may have K, M, G or T, or be unlimited.",
     .completes = "@rlimits",
     .apply = by<&rlimit>},
    {.name = "nice",
     .takes = kValue,
     .metavar = "NUMBER",
     .group = kLimits,
     .help = "scheduling priority, -20 to 19",
     .apply = by<&nice>},
    {.name = "cpus-allowed",
     .takes = kValue,
     .metavar = "LIST",
     .group = kLimits,
     .help = "cpus it may run on, such as 0-3,5",
     .apply = by<&cpus_allowed>},
    {.name = "oom-score-adj",
     .takes = kValue,
     .metavar = "NUMBER",
     .group = kLimits,
     .help = "how soon it is killed when memory runs out, -1000 to 1000",
     .apply = by<&oom_score_adj>},
    {.name = "timeout",
     .takes = kValue,
     .metavar = "TIME[:GRACE]",
     .group = kLimits,
     .help = "end it after TIME, such as 90, 1.5s, 100ms, 2m",
     .more = "It gets SIGTERM, and SIGKILL when GRACE [5s] more has gone by. The exit status is "
             "then 124.",
     .apply = by<&timeout>},
    {.name = "workdir",
     .letter = 'w',
     .takes = kValue,
     .metavar = "DIR",
     .group = kProcess,
     .help = "working directory inside",
     .more = "By default the caller's, where it exists inside, else /.",
     .apply = by<&workdir>},
    {.name = "env",
     .letter = 'e',
     .takes = kValue,
     .metavar = "NAME[=VALUE]",
     .group = kProcess,
     .help = "set a variable, or pass the caller's value",
     .more = "The environment is passed as it is; --env NAME makes sense with --clear-env.",
     .apply = by<&environment_variable>},
    {.name = "unset",
     .takes = kValue,
     .metavar = "NAME",
     .group = kProcess,
     .help = "leave a variable out",
     .apply = by<&unset_variable>},
    {.name = "clear-env",
     .group = kProcess,
     .help = "begin with an empty environment",
     .more = "It comes before every --env and --unset, wherever it stands.",
     .apply = by<&clear_environment>},
    {.name = "umask",
     .takes = kValue,
     .metavar = "OCTAL",
     .group = kProcess,
     .help = "file mode creation mask",
     .apply = by<&umask>},
    {.name = "init",
     .group = kProcess,
     .help = "a small pid 1 that reaps orphans and forwards signals",
     .apply = by<&init>},
    {.name = "tty",
     .takes = kValue,
     .metavar = "WHEN",
     .group = kProcess,
     .help = "a terminal of its own: auto [the default], always, never",
     .more = "auto: when standard input and output are terminals. The command's terminal is a "
             "new one, so that it cannot push input into the caller's.",
     .completes = "auto always never",
     .apply = by<&terminal>},
    {.name = "pass-fd",
     .takes = kValue,
     .metavar = "N,...",
     .group = kProcess,
     .help = "descriptors that stay open in the command",
     .apply = by<&pass_fd>},
    {.name = "pid-file",
     .takes = kValue,
     .metavar = "PATH",
     .group = kIsle,
     .help = "write the first process's host pid to PATH, remove it at the end",
     .completes = "@file",
     .apply = by<&pid_file>},
    {.name = "status-fd",
     .takes = kValue,
     .metavar = "N",
     .group = kIsle,
     .help = "write events to descriptor N, a JSON object a line",
     .more = "{\"event\":\"started\",\"pid\":N,\"namespaces\":{...}}, then "
             "{\"event\":\"exited\",\"code\":N} or "
             "{\"event\":\"exited\",\"signal\":N,\"name\":\"SIGTERM\"}; or "
             "{\"event\":\"failed\",\"error\":...}.",
     .apply = by<&status_fd>},
    with(kExplainRow, by<&take_explain<RunRequest>>),
    {.name = "verbose",
     .letter = 'v',
     .group = kIsle,
     .help = "print each step with its time to standard error",
     .apply = by<&verbose>},
    with(kHelpRow, by<&take_help<RunRequest>>),
});

}  // namespace

std::span<const Option> run_options() { return kOptions; }

}  // namespace isle::cli
