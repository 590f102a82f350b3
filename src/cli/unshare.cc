// `isle unshare`: a command in new namespaces, and nothing else changed: no root of its own, no
// mounts, no limits. That is `isle run`'s.
#include <fmt/format.h>
#include <linux/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/carry_out.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/output.h"
#include "cli/run_request.h"
#include "cli/unshare.h"
#include "cli/values.h"
#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

struct UnshareRequest {
  RunRequest run;  ///< For the options that are those of `isle run`.
  bool fork = false;
  bool map_root = false;
  Origin map_from = 0;
  std::optional<Asked<std::string>> proc;
  bool keep_capabilities = false;
};

/// A handler of `isle run`.
template <auto Handler>
Status as_run(UnshareRequest& request, const Argument& argument) {
  return Handler(request.run, argument);
}

Status fork_option(UnshareRequest& request, const Argument&) {
  request.fork = true;
  return {};
}

Status map_root(UnshareRequest& request, const Argument& argument) {
  request.map_root = true;
  request.map_from = request.run.origin(argument);
  return {};
}

Status proc(UnshareRequest& request, const Argument& argument) {
  if (argument.has_value && !argument.value.starts_with('/'))
    return fail(0, "needs an absolute path");
  request.proc = {argument.has_value ? std::string(argument.value) : "/proc",
                  request.run.origin(argument)};
  return {};
}

Status root(UnshareRequest& request, const Argument& argument) {
  request.run.spec.root_directory = {{std::string(argument.value), request.run.origin(argument)}};
  return {};
}

Status death_signal(UnshareRequest& request, const Argument& argument) {
  const auto signal = parse_signal(argument.has_value ? argument.value : "KILL");
  if (!signal) return fail(0, fmt::format("{} is no signal", quoted(argument.value)));
  request.run.spec.process.die_with_parent = {true, request.run.origin(argument)};
  request.run.spec.process.death_signal = *signal;
  return {};
}

Status keep_capabilities(UnshareRequest& request, const Argument&) {
  request.keep_capabilities = true;
  return {};
}

constexpr auto kValue = Takes::value;
constexpr auto kMaybe = Takes::optional_value;

constexpr auto kOptions = std::to_array<Option>({
    {.name = "new",
     .letter = 'n',
     .takes = kValue,
     .metavar = "TYPE,...",
     .group = kNamespaces,
     .help = "types of namespaces to make, or all",
     .completes = "@namespaces",
     .apply = by<&as_run<&new_namespaces>>},
    {.name = "keep",
     .takes = kValue,
     .metavar = "TYPE=PATH",
     .group = kNamespaces,
     .help = "keep the namespace at PATH beyond the command's end; implies --fork",
     .apply = by<&as_run<&keep_namespace>>},
    with(kTimeOffsetRow, by<&as_run<&time_offset>>),
    with(kHostnameRow, by<&as_run<&hostname>>),
    {.name = "proc",
     .takes = kMaybe,
     .metavar = "DIR",
     .group = kNamespaces,
     .help = "mount proc on /proc, or DIR, in a new mount namespace",
     .completes = "@directory",
     .apply = by<&proc>},
    {.name = "propagation",
     .takes = kValue,
     .metavar = "HOW",
     .group = kNamespaces,
     .help = "of a new mount namespace: private [the default], slave, shared, unchanged",
     .completes = "private slave shared unchanged",
     .apply = by<&as_run<&propagation>>},
    {.name = "map-root",
     .letter = 'r',
     .group = kIdentity,
     .help = "the own user and group are root in the new user namespace",
     .apply = by<&map_root>},
    {.name = "map-uid",
     .takes = kValue,
     .metavar = "IN:OUT[:COUNT]",
     .group = kIdentity,
     .help = "map user ids; may be repeated; more than the own one implies --fork",
     .apply = by<&as_run<&map_uid>>},
    with(kMapGidRow, by<&as_run<&map_gid>>),
    {.name = "map-auto",
     .group = kIdentity,
     .help = "map the subordinate ids around the own ones; implies --fork",
     .apply = by<&as_run<&map_auto>>},
    with(kUidRow, by<&as_run<&uid>>),
    with(kGidRow, by<&as_run<&gid>>),
    {.name = "keep-capabilities",
     .group = kIdentity,
     .help = "the command has the capabilities of the new user namespace, root or not",
     .apply = by<&keep_capabilities>},
    {.name = "fork",
     .letter = 'f',
     .group = kProcess,
     .help = "run the command as a child",
     .more = "It is one in any case where pid is among the new types, and is pid 1 then. Otherwise "
             "isle itself becomes the command and keeps its pid.",
     .apply = by<&fork_option>},
    {.name = "die-with-parent",
     .takes = kMaybe,
     .metavar = "SIGNAL",
     .group = kProcess,
     .help = "send SIGNAL, or SIGKILL, when isle ends",
     .apply = by<&death_signal>},
    {.name = "root",
     .takes = kValue,
     .metavar = "DIR",
     .group = kProcess,
     .help = "root directory of the command, by chroot(2)",
     .completes = "@directory",
     .apply = by<&root>},
    with(kWorkdirRow, by<&as_run<&workdir>>, 'w'),
    with(kExplainRow, by<&as_run<&take_explain<RunRequest>>>),
    with(kHelpRow, by<&as_run<&take_help<RunRequest>>>),
});

Status namespaces(UnshareRequest& request) {
  RunRequest& run = request.run;
  for (const NamespaceType type : NamespaceSet::all()) {
    const TypeChoice& choice = run.choice(type);
    if (choice.kind == TypeChoice::Kind::fresh)
      run.spec.namespaces.push_back({.type = type, .from = choice.from});
  }
  if (run.spec.namespaces.empty())
    return fail(0, "nothing is to be new", "--new TYPE,... or --new all");
  return {};
}

void maps(UnshareRequest& request, const Caller& caller) {
  Spec& spec = request.run.spec;
  spec.use_subordinate_ids = false;
  if (!spec.creates(NamespaceType::user) || spec.map_auto.value) return;
  const auto own = [&](Wish<IdMap>& wish, uint32_t outside) {
    if (wish) return;
    wish = {{{.container_id = request.map_root ? 0 : outside, .host_id = outside, .size = 1}},
            request.map_from};
  };
  own(spec.uid_mappings, caller.uid);
  own(spec.gid_mappings, caller.gid);
}

bool maps_only(const Wish<IdMap>& wish, uint32_t own) {
  return !wish ||
         (wish->value.size() == 1 && wish->value[0].size == 1 && wish->value[0].host_id == own);
}

Status mounts(UnshareRequest& request, const Caller& caller) {
  RunRequest& run = request.run;
  Spec& spec = run.spec;
  if (spec.creates(NamespaceType::mount))
    spec.mount_propagation =
        run.propagation ? run.propagation : Wish<Propagation>({Propagation::private_, 0});
  if (!request.proc) return {};
  if (!spec.creates(NamespaceType::mount))
    return std::unexpected(Error{.what = "--proc needs a new mount namespace",
                                 .asked_by = spec.origins[request.proc->from],
                                 .hint = "--new mount"});
  // Mounted before --root is entered. Nothing is made: the tree is the caller's.
  const std::string root = spec.root_directory ? spec.root_directory->value : "/";
  const std::string where = fmt::format("{}{}{}", root.starts_with('/') ? "" : caller.cwd + '/',
                                        root == "/" ? "" : root, request.proc->value);
  if (::access(where.c_str(), F_OK) != 0)
    return std::unexpected(Error{.code = errno,
                                 .what = fmt::format("mount proc on {}", quoted(where)),
                                 .asked_by = spec.origins[request.proc->from]});
  FileSystem fs{.type = "proc", .source = "proc"};
  fs.attributes.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  spec.mounts.push_back({.destination = where, .what = std::move(fs), .from = request.proc->from});
  return {};
}

void command_line(UnshareRequest& request, const Caller& caller, std::span<char* const> command,
                  int command_index) {
  Asked<std::vector<std::string>>& args = request.run.spec.process.args;
  if (!command.empty()) {
    args.value.assign(command.begin(), command.end());
    args.from = request.run.spec.add_origin(fmt::format("argv[{}]", command_index));
    return;
  }
  std::string shell(caller.variable("SHELL").value_or(""));
  if (shell.empty() && caller.find_shell != nullptr) shell = caller.find_shell(caller.uid);
  args.value = {shell.empty() ? "/bin/sh" : shell};
}

Status complete_unshare(UnshareRequest& request, const Caller& caller,
                        std::span<char* const> command, int command_index) {
  Spec& spec = request.run.spec;
  if (Status status = namespaces(request); !status) return status;
  maps(request, caller);
  if (Status status = mounts(request, caller); !status) return status;
  ProcessWish& process = spec.process;
  process.user.as_is = true;
  if (process.user.gid && (caller.capabilities >> 6 & 1) != 0)
    process.user.additional_gids = {{{}, process.user.gid->from}};
  if (request.keep_capabilities) process.capabilities = {in_all_sets(all_capabilities()), 0};
  if (spec.creates(NamespaceType::network)) spec.loopback_up.value = true;
  const bool needs_other = spec.creates(NamespaceType::pid) || !spec.keep.empty() ||
                           spec.map_auto.value || !maps_only(spec.uid_mappings, caller.uid) ||
                           !maps_only(spec.gid_mappings, caller.gid);
  process.in_place.value = !request.fork && !needs_other;
  command_line(request, caller, command, command_index);
  return {};
}

}  // namespace

std::span<const Option> unshare_options() { return kOptions; }

Result<UnshareCommand> read_unshare(std::span<char* const> argv, int first, const Caller& caller) {
  UnshareRequest request;
  const auto next = parse_options(kOptions, argv, first, &request);
  if (request.run.help) return UnshareCommand{.spec = {}, .help = true};
  if (!next) return std::unexpected(next.error());
  const auto command = argv.subspan(static_cast<size_t>(*next));
  if (Status status = complete_unshare(request, caller, command, *next); !status)
    return std::unexpected(std::move(status.error()));
  return UnshareCommand{.spec = std::move(request.run.spec), .explain = request.run.explain};
}

int unshare_main(const Invocation& invocation) {
  const auto command = read_unshare(invocation.argv, invocation.first, this_caller());
  if (!command) {
    complain(command.error());
    return kIsleFailed;
  }
  if (command->help) return print(help(*find_command("unshare")));
  return carry_out(
      command->spec,
      {.explain = command->explain, .ignores_signals = true, .forwards_signals = true});
}

}  // namespace isle::cli
