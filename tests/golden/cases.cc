#include "golden/cases.h"

#include <algorithm>
#include <sstream>

#include "cli/options.h"
#include "cli/run_request.h"
#include "cli/unshare.h"
#include "golden/hosts.h"
#include "isle/namespace.h"
#include "linux_utils/nsenter.h"
#include "linux_utils/unshare.h"

namespace isle::golden {
namespace {

constexpr std::string_view kEverywhere = "5.14-root 6.1-plain 6.1-subids 6.18-root-v1";
constexpr std::string_view kOrdinary = "6.1-plain 6.1-subids";
constexpr std::string_view kRoot = "5.14-root 6.18-root-v1";
constexpr std::string_view kPlain = "6.1-plain";
constexpr std::string_view kSubids = "6.1-subids";
constexpr std::string_view kOldRoot = "5.14-root";
constexpr std::string_view kUnshare = "isle unshare";
constexpr std::string_view kEnter = "isle enter";
constexpr std::string_view kUnshareFront = "isle-unshare";
constexpr std::string_view kNsenterFront = "isle-nsenter";
constexpr std::string_view kOci = "isle-oci";

const std::vector<Case>& table() {
  static const std::vector<Case> kCases = {
      {"default", {"true"}, kEverywhere},
      {"shell", {}, kPlain},

      // Root file system
      {"root", {"--root", "/tree", "/bin/sh"}, "5.14-root 6.1-plain"},
      {"root_relative", {"--root=tree", "sh"}, kPlain},
      {"root_missing", {"--root=/missing", "sh"}, kPlain},
      {"root_file", {"--root=/etc/hosts", "sh"}, kPlain},
      {"root_read_only", {"--root=/tree", "--read-only", "sh"}, kOldRoot},
      {"overlay", {"--overlay", "true"}, kEverywhere},
      {"overlay_kept", {"--overlay=/changes", "true"}, "5.14-root 6.1-subids"},
      {"overlay_of_tree", {"--root=/tree/", "--overlay", "sh"}, kPlain},
      {"overlay_of_relative_tree", {"--root=tree", "--overlay", "--bind=.:/x", "sh"}, kPlain},
      {"read_only", {"--read-only", "true"}, kPlain},
      {"no_root", {"--no-root", "true"}, "5.14-root 6.1-plain"},
      {"no_root_mount", {"--no-root", "--mount=type=proc,dst=/proc", "true"}, kPlain},
      {"no_root_overlay",
       {"--no-root", "--mount=type=overlay,dst=/x,lowerdir=/lower1", "true"},
       kPlain},
      {"bind", {"--bind=/src:/dst", "true"}, "5.14-root 6.1-plain 6.1-subids"},
      {"bind_file", {"--bind=/etc/hosts:/etc/hosts", "true"}, kPlain},
      {"bind_relative", {"--bind=.", "--bind=./src:/x", "true"}, kPlain},
      {"bind_fd", {"--bind=fd:5:/file", "--bind=fd:6:/dir", "true"}, kPlain},
      {"bind_options", {"--bind=/src:/dst:norec,rro,noexec,suid,rslave,noatime", "true"}, kOldRoot},
      {"bind_missing", {"--bind=/missing:/dst", "true"}, kPlain},
      {"bind_closed", {"--bind=/closed/x:/dst", "true"}, kPlain},
      {"bind_optional", {"--bind=/missing:/dst:optional", "true"}, kPlain},
      {"bind_idmap", {"--bind=/src:/dst:idmap=0:1000:2", "true"}, "5.14-root 6.1-plain"},
      {"bind_idmap_gid", {"--bind=/src:/dst:gidmap=0:1000:2", "true"}, kOldRoot},
      {"bind_idmap_sandbox",
       {"--map-uid=0:1000:10", "--map-gid=0:2000:10", "--bind=/src:/dst:idmap", "true"},
       kOldRoot},
      {"ro_bind", {"--ro-bind=/src", "true"}, kPlain},
      {"dev_bind", {"--dev-bind=/dev/kvm", "true"}, kEverywhere},
      {"tmpfs", {"--tmpfs=/scratch:size=1M,mode=1777", "true"}, "5.14-root 6.1-plain"},
      {"dir", {"--dir=/tmp/a/b", "--dir=/tmp/c:mode=700", "true"}, kPlain},
      {"symlink", {"--symlink=usr/bin:/tmp/bin", "true"}, kPlain},
      {"file", {"--file=/etc/hosts:/tmp/hosts:mode=600", "true"}, kPlain},
      {"file_fd", {"--file=5:/tmp/x", "true"}, kPlain},
      {"file_directory", {"--file=/src:/tmp/x", "true"}, kPlain},
      {"mount_tmpfs", {"--mount=type=tmpfs,dst=/data,size=16M,ro", "true"}, kPlain},
      {"mount_ext4", {"--mount=type=ext4,src=/dev/sdb1,dst=/disk,data=journal", "true"}, kOldRoot},
      {"mount_overlay",
       {"--mount=type=overlay,dst=/o,lowerdir=/lower1:/lower2,upperdir=/changes/upper,"
        "workdir=/changes/work",
        "true"},
       "5.14-root 6.1-plain"},
      {"mount_overlay_in_memory", {"--mount=type=overlay,dst=/o,lowerdir=/src", "true"}, kPlain},
      {"mask", {"--mask=/etc/shadow", "--mask=/sys/firmware", "true"}, "5.14-root 6.1-plain"},
      {"propagation", {"--propagation=slave", "true"}, "5.14-root 6.1-plain"},
      {"order_of_mounts",
       {"--tmpfs=/a", "--bind=/src:/a/x", "--ro-bind=/lower1:/a/x/y", "--dir=/a/z", "true"},
       kPlain},

      // Namespaces
      {"share_net", {"--share=net", "true"}, "5.14-root 6.1-plain"},
      {"share_pid", {"--share=pid", "true"}, kPlain},
      {"share_ipc_uts", {"--share=ipc,uts", "true"}, kPlain},
      {"share_mount", {"--share=mount", "true"}, kPlain},
      {"share_user", {"--share=user", "true"}, kRoot},
      {"share_user_uid", {"--share=user", "--uid=1000", "--gid=100", "true"}, kOldRoot},
      {"share_all", {"--share=all", "true"}, "5.14-root 6.1-plain"},
      {"new_time", {"--new=time", "true"}, "5.14-root 6.18-root-v1"},
      {"join_net", {"--join=net=/ns/net", "true"}, "5.14-root 6.1-plain"},
      {"join_net_share_user", {"--join=net=/ns/net", "--share=user", "true"}, kOldRoot},
      {"join_fd", {"--join=uts=fd:5", "true"}, kOldRoot},
      {"join_missing", {"--join=net=/missing", "true"}, kOldRoot},
      {"join_pid", {"--join=user,pid,mnt,net=77", "true"}, "5.14-root 6.1-plain"},
      {"join_mount", {"--join=mnt=/ns/mnt", "--oom-score-adj=5", "true"}, kOldRoot},
      {"join_user_uid",
       {"--join=user=/ns/user", "--uid=0", "--gid=0", "--share=mnt", "true"},
       "5.14-root 6.1-plain"},
      {"keep", {"--keep=net=/keep/new", "--keep=uts=/keep/file", "true"}, "5.14-root 6.1-plain"},
      {"keep_time", {"--new=time", "--keep=time=/keep/time", "true"}, kRoot},
      {"keep_directory", {"--keep=net=/keep/dir", "true"}, kOldRoot},
      {"time_offset", {"--time-offset=monotonic=-1.5,boottime=86400", "true"}, kEverywhere},
      {"hostname", {"--hostname=box", "--domainname=example", "true"}, kPlain},

      // Identity
      {"uid", {"--uid=0", "--gid=0", "true"}, kEverywhere},
      {"uid_other", {"--uid=33", "--gid=33", "true"}, kEverywhere},
      {"user", {"--user=bob", "true"}, kEverywhere},
      {"groups", {"--groups=27,44", "true"}, "5.14-root 6.1-subids"},
      {"groups_denied", {"--groups=27", "true"}, kPlain},
      {"groups_none", {"--groups=", "true"}, kOldRoot},
      {"map_uid",
       {"--map-uid=0:100000:10", "--map-gid=0:100000:10", "--uid=5", "true"},
       "5.14-root 6.1-plain 6.1-subids"},
      {"map_uid_single", {"--map-uid=0:1000", "--map-gid=0:1000", "true"}, kOrdinary},
      {"map_uid_only", {"--map-uid=0:1000", "true"}, kOrdinary},
      {"map_auto", {"--map-auto", "true"}, kEverywhere},
      {"cap_add", {"--cap-add=net_bind_service,CAP_CHOWN", "true"}, "5.14-root 6.1-plain"},
      {"cap_add_uid",
       {"--cap-add=ALL", "--cap-drop=sys_admin", "--uid=7", "true"},
       "5.14-root 6.1-subids"},
      {"cap_drop", {"--keep-privileges", "--cap-drop=sys_admin", "true"}, kOldRoot},
      {"keep_privileges", {"--keep-privileges", "true"}, "5.14-root 6.1-plain 6.1-subids"},

      // Limits
      {"memory", {"--memory=64M", "true"}, kEverywhere},
      {"cpus", {"--cpus=0.5", "true"}, kEverywhere},
      {"pids", {"--pids=32", "true"}, kEverywhere},
      {"all_limits", {"--memory=1G", "--cpus=2", "--pids=100", "--init", "true"}, kEverywhere},
      {"limits_and_join", {"--join=pid=/ns/pid", "--memory=1G", "--pids=9", "true"}, kRoot},
      {"rlimit", {"--rlimit=nofile=1024:4096", "--rlimit=core=unlimited", "true"}, kPlain},
      {"nice", {"--nice=-5", "true"}, kOldRoot},
      {"cpus_allowed", {"--cpus-allowed=0-2,65", "true"}, kPlain},
      {"oom_score_adj", {"--oom-score-adj=-500", "true"}, kOldRoot},
      {"timeout", {"--timeout=1.5s:2s", "true"}, kPlain},

      // Process
      {"workdir", {"--workdir=/var/tmp", "pwd"}, kPlain},
      {"env", {"--clear-env", "--env=A=1", "--env=LANG", "true"}, kPlain},
      {"unset", {"--unset=LANG", "-eB=2", "/bin/env"}, kPlain},
      {"umask", {"--umask=077", "true"}, kPlain},
      {"init", {"--init", "true"}, "5.14-root 6.1-plain"},
      {"tty", {"--tty=always", "true"}, "5.14-root 6.1-plain"},
      {"tty_no_root", {"--tty=always", "--no-root", "--init", "true"}, kPlain},
      {"tty_never", {"--tty=never", "true"}, kPlain},
      {"pass_fd", {"--pass-fd=5,3,9", "true"}, kPlain},

      // isle itself: not a step of the plan's
      {"pid_file_status_fd", {"--pid-file=/run/x.pid", "--status-fd=7", "-v", "true"}, kPlain},
      {"explain", {"--explain=json", "true"}, kPlain},
      {"everything_at_once",
       {"--root=/tree",
        "--overlay",
        "--bind=/src",
        "--tmpfs=/x",
        "--hostname=h",
        "--map-auto",
        "--uid=1",
        "--gid=1",
        "--groups=2,3",
        "--cap-add=kill",
        "--rlimit=nproc=10",
        "--umask=27",
        "--workdir=/x",
        "--init",
        "--tty=always",
        "--pids=5",
        "--time-offset=boottime=1",
        "--env=A=b",
        "--pass-fd=4",
        "--",
        "sh",
        "-c",
        "exit 3"},
       kSubids},

      // isle unshare: a command in new namespaces, in place where nobody is needed outside
      {"unshare_user", {"-nuser", "-r", "true"}, "6.1-plain 5.14-root", kUnshare},
      {"unshare_all", {"--new=all", "--map-root", "true"}, kEverywhere, kUnshare},
      {"unshare_shell", {"--new=uts", "--hostname=box"}, kOldRoot, kUnshare},
      {"unshare_nothing", {"true"}, kPlain, kUnshare},
      {"unshare_fork", {"-nnet", "-f", "true"}, kOldRoot, kUnshare},
      {"unshare_keep", {"-nnet", "--keep=net=/new", "true"}, kOldRoot, kUnshare},
      {"unshare_time",
       {"-nuser,time", "--time-offset=monotonic=5,boottime=-1.5", "true"},
       kPlain,
       kUnshare},
      {"unshare_pid_proc", {"-nuser,pid,mount", "-r", "--proc", "ps"}, kPlain, kUnshare},
      {"unshare_root_proc",
       {"-npid,mount", "--root=/", "--proc=/proc", "--workdir=/tmp", "ps"},
       kOldRoot,
       kUnshare},
      {"unshare_propagation", {"-nmount", "--propagation=slave", "true"}, kOldRoot, kUnshare},
      {"unshare_maps",
       {"-nuser", "--map-uid=0:1000", "--map-gid=0:1000", "--uid=0", "--gid=0", "true"},
       kPlain,
       kUnshare},
      {"unshare_map_auto", {"-nuser", "--map-auto", "true"}, "6.1-plain 6.1-subids", kUnshare},
      {"unshare_keep_capabilities", {"-nuser", "--keep-capabilities", "true"}, kPlain, kUnshare},
      {"unshare_die_with_parent", {"-nipc", "--die-with-parent=TERM", "true"}, kOldRoot, kUnshare},
      {"unshare_explain", {"-nipc", "--explain", "true"}, kOldRoot, kUnshare},

      // isle enter
      {"enter_all", {"TARGET", "user", "cwd"}, "6.1-plain 5.14-root", kEnter},
      {"enter_without_user", {"TARGET"}, kOldRoot, kEnter},
      {"enter_pid", {"TARGET", "user", "pid"}, "6.1-plain 6.18-root-v1", kEnter},
      {"enter_one", {"TARGET", "one"}, kOldRoot, kEnter},

      // The fronts
      {"front_unshare", {"-Urmuin", "true"}, kPlain, kUnshareFront},
      {"front_unshare_fork",
       {"-rpfT", "--mount-proc", "--boottime", "5", "--kill-child", "true"},
       kPlain,
       kUnshareFront},
      {"front_unshare_maps",
       {"-U", "--map-users=0:1000:1", "--map-groups=0:1000:1", "--keep-caps", "true"},
       kPlain,
       kUnshareFront},
      {"front_unshare_setid", {"-nR/", "-S5", "-G6", "-w/tmp", "true"}, kOldRoot, kUnshareFront},
      {"front_nsenter",
       {"--net=/proc/1/ns/net", "--uts=/proc/1/ns/uts", "-S0", "-G0", "-W/tmp", "true"},
       kOldRoot,
       kNsenterFront},
      {"front_nsenter_user",
       {"--user=/proc/1/ns/user", "--mount=/proc/1/ns/mnt", "--pid=/proc/1/ns/pid", "true"},
       kPlain,
       kNsenterFront},

      // A root in a mount namespace that exists
      {"carried_root", {"true"}, kRoot, kOci},
      {"carried_root_joined", {"join", "true"}, kOldRoot, kOci},
      {"carried_root_user", {"join", "user", "true"}, kOldRoot, kOci},
      {"carried_root_exec", {"exec", "true"}, kOldRoot, kOci},
  };
  return kCases;
}

}  // namespace

std::span<const Case> cases() { return table(); }

std::vector<std::string> host_names(const Case& test_case) {
  std::istringstream words{std::string(test_case.on)};
  std::vector<std::string> names;
  for (std::string word; words >> word;) names.push_back(word);
  return names;
}

namespace {

Result<Spec> translate_run(std::span<char* const> argv, const cli::Caller& caller) {
  cli::RunRequest request;
  const auto next = cli::parse_options(cli::run_options(), argv, 2, &request);
  if (!next) return std::unexpected(next.error());
  const auto command = argv.subspan(static_cast<size_t>(*next));
  if (Status status = cli::complete(request, caller, command, *next); !status)
    return std::unexpected(status.error());
  return std::move(request.spec);
}

Result<Spec> translate_unshare(std::span<char* const> argv, const cli::Caller& caller) {
  auto command = cli::read_unshare(argv, 2, caller);
  if (!command) return std::unexpected(std::move(command.error()));
  return std::move(command->spec);
}

template <auto Parse>
Result<Spec> translate_front(std::span<char* const> argv, const cli::Caller& caller) {
  const linux_utils::Surroundings here{
      .uid = caller.uid, .gid = caller.gid, .environment = caller.environment, .cwd = caller.cwd};
  auto command = Parse(argv, here);
  if (!command) return std::unexpected(std::move(command.error()));
  return std::move(command->spec);
}

constexpr int kPidfd = 10;
constexpr int kRootFd = 11;
constexpr int kCwdFd = 12;

/// As complete_enter() makes it of a process whose namespaces all differ, by the numbers above; the
/// words say what is left of that: "user" that user namespace is entered, too, "pid" that one, "cwd"
/// its working directory, "one" only its network namespace, by a descriptor.
Result<Spec> written_out_enter(std::span<char* const> argv, const cli::Caller&) {
  const auto has = [&](std::string_view word) {
    return std::ranges::any_of(argv, [&](const char* each) { return each == word; });
  };
  Spec spec;
  const Origin target = spec.add_origin("argv[2]");
  for (const NamespaceType type : NamespaceSet::all()) {
    const bool left_out = (type == NamespaceType::user && !has("user")) ||
                          (type == NamespaceType::pid && !has("pid")) ||
                          (type != NamespaceType::network && has("one"));
    if (!left_out) spec.namespaces.push_back({.type = type, .fd = kPidfd, .from = target});
  }
  if (!has("one")) spec.root_fd = {{kRootFd, target}};
  if (has("cwd")) spec.cwd_fd = {{kCwdFd, spec.add_origin("argv[3] --cwd")}};
  spec.process.user.as_is = true;
  if (has("user")) {
    spec.process.user.uid = spec.process.user.gid = {{0, 0}};
    spec.process.user.additional_gids = {{{}, 0}};
  }
  spec.process.in_place.value = !has("pid");
  spec.process.args = {{"sh"}, spec.add_origin("argv[4]")};
  return spec;
}

/// Of a bundle that shares its mount namespace with the host, and has a hook; the words say what is
/// different: "join" it names one by a path, "user" it has a new user namespace, too, "exec" this is of
/// another process in it.
Result<Spec> written_out_bundle(std::span<char* const> argv, const cli::Caller&) {
  const auto has = [&](std::string_view word) {
    return std::ranges::any_of(argv, [&](const char* each) { return each == word; });
  };
  Spec spec;
  spec.process.args = {{"sh"}, spec.add_origin("config.json /process/args")};
  if (has("exec")) {
    const Origin container = spec.add_origin("container c");
    spec.namespaces.push_back({.type = NamespaceType::pid, .fd = kPidfd, .from = container});
    spec.root_fd = {{kRootFd, container}};
    return spec;
  }
  spec.namespaces.push_back(
      {.type = NamespaceType::pid, .from = spec.add_origin("config.json /linux/namespaces/0")});
  if (has("join"))
    spec.namespaces.push_back({.type = NamespaceType::mount,
                               .path = "/run/ns",
                               .from = spec.add_origin("config.json /linux/namespaces/1")});
  if (has("user"))
    spec.namespaces.push_back(
        {.type = NamespaceType::user, .from = spec.add_origin("config.json /linux/namespaces/2")});
  spec.root = Root{.path = "/tree",
                   .read_only = true,
                   .propagation = Propagation::shared,
                   .from = spec.add_origin("config.json /root")};
  spec.mounts.push_back({.destination = "/proc",
                         .what = FileSystem{.type = "proc", .source = "proc"},
                         .from = spec.add_origin("config.json /mounts/0")});
  spec.mounts.push_back({.destination = "/proc/kcore",
                         .what = Mask{},
                         .optional = true,
                         .from = spec.add_origin("config.json /linux/maskedPaths/0")});
  spec.create_hooks.push_back(
      {.path = "/bin/hook", .from = spec.add_origin("config.json /hooks/createContainer/0")});
  return spec;
}

struct Command {
  std::string_view name;
  Result<Spec> (*translate)(std::span<char* const> argv, const cli::Caller& caller);
};
constexpr Command kCommands[] = {
    {"isle run", translate_run},
    {"isle unshare", translate_unshare},
    {"isle enter", written_out_enter},
    {"isle-oci", written_out_bundle},
    {"isle-unshare", translate_front<linux_utils::parse_unshare>},
    {"isle-nsenter", translate_front<linux_utils::parse_nsenter>},
};

}  // namespace

Result<Spec> translate(const Case& test_case, const Host& host) {
  std::istringstream name{std::string(test_case.command)};
  std::vector<std::string> words;
  for (std::string word; name >> word;) words.push_back(word);
  words.insert(words.end(), test_case.words.begin(), test_case.words.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto* command = std::ranges::find(kCommands, test_case.command, &Command::name);
  return command->translate(std::span(argv).first(words.size()), caller_of(host));
}

}  // namespace isle::golden
