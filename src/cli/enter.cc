// `isle enter`: a command in namespaces that exist.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/caller.h"
#include "cli/carry_out.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/enter_spec.h"
#include "cli/output.h"
#include "cli/values.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

Status types(EnterRequest& request, const Argument& argument) {
  request.types_from = request.origin(argument);
  for (const std::string& word : split(argument.value, ',')) {
    if (word == "all") {
      request.types = NamespaceSet::all();
      continue;
    }
    const auto type = parse_namespace_type(word);
    if (!type)
      return fail(0, fmt::format("{} is no type of namespace", quoted(word)),
                  "cgroup, ipc, mount, network, pid, time, user, uts");
    request.types.insert(*type);
  }
  return {};
}

Status all(EnterRequest& request, const Argument& argument) {
  request.types = NamespaceSet::all();
  request.types_from = request.origin(argument);
  return {};
}

template <Wish<bool> EnterRequest::* member>
Status ask(EnterRequest& request, const Argument& argument) {
  request.*member = {{true, request.origin(argument)}};
  return {};
}

Status tools(EnterRequest& request, const Argument& argument) {
  if (argument.has_value && !argument.value.starts_with('/'))
    return fail(0, "needs an absolute path");
  request.tools = {
      {argument.has_value ? std::string(argument.value) : "/mnt", request.origin(argument)}};
  return {};
}

Status workdir(EnterRequest& request, const Argument& argument) {
  if (!argument.value.starts_with('/')) return fail(0, "needs an absolute path");
  request.spec.process.cwd = {{std::string(argument.value), request.origin(argument)}};
  return {};
}

Status id(EnterRequest& request, const Argument& argument, Wish<uint32_t>& wish) {
  const auto value = parse_id(argument.value);
  if (!value) return std::unexpected(value.error());
  wish = {{*value, request.origin(argument)}};
  return {};
}

Status uid(EnterRequest& request, const Argument& argument) {
  return id(request, argument, request.spec.process.user.uid);
}

Status gid(EnterRequest& request, const Argument& argument) {
  return id(request, argument, request.spec.process.user.gid);
}

// "follow", "keep", "UID" or "UID:GID"
Status user(EnterRequest& request, const Argument& argument) {
  request.follow = argument.value == "follow";
  request.keep_ids = argument.value == "keep";
  request.user_from = request.origin(argument);
  if (request.follow || request.keep_ids) return {};
  const size_t colon = argument.value.find(':');
  Argument part = argument;
  part.value = argument.value.substr(0, colon);
  if (Status status = uid(request, part); !status) return status;
  if (colon == std::string_view::npos) return {};
  part.value = argument.value.substr(colon + 1);
  return gid(request, part);
}

constexpr std::string_view kWhat = "What is entered";

constexpr auto kOptions = std::to_array<Option>({
    {.name = "all",
     .letter = 'a',
     .group = kWhat,
     .help = "all namespaces of the target that are not the caller's own already [default]",
     .apply = by<&all>},
    {.name = "types",
     .letter = 't',
     .takes = Takes::value,
     .metavar = "TYPE,...",
     .group = kWhat,
     .help = "only namespaces of these types",
     .more = "A user namespace that an ordinary user needs to enter these is entered, too: the one "
             "that owns them.",
     .completes = "@namespaces",
     .apply = by<&types>},
    {.name = "root",
     .letter = 'r',
     .group = kWhat,
     .help = "the target's root directory [default where mounts are entered]",
     .apply = by<&ask<&EnterRequest::root>>},
    {.name = "tools",
     .takes = Takes::optional_value,
     .metavar = "DIR",
     .group = kWhat,
     .help = "the host's tools, and the target's root on /mnt, or DIR: for images without a shell",
     .more = "The command gets a mount namespace of its own: the caller's tree, read-only, with a "
             "private /tmp and, where the pid namespace is entered, that one's /proc. The "
             "target's tree is shown on DIR, which must exist, and is where the command starts. "
             "All other namespaces are entered; the target sees no mount of this. Who is "
             "privileged in the target can reach what the command can.",
     .completes = "@directory",
     .apply = by<&tools>},
    {.name = "cwd",
     .letter = 'w',
     .group = kWhat,
     .help = "the target's working directory",
     .apply = by<&ask<&EnterRequest::cwd>>},
    {.name = "env",
     .letter = 'e',
     .group = kWhat,
     .help = "the target's environment, as it was when that started",
     .apply = by<&ask<&EnterRequest::env>>},
    {.name = "cgroup",
     .letter = 'c',
     .group = kWhat,
     .help = "the target's cgroup",
     .apply = by<&ask<&EnterRequest::cgroup>>},
    {.name = "label",
     .group = kWhat,
     .help = "the target's AppArmor profile or SELinux label",
     .apply = by<&ask<&EnterRequest::label>>},
    {.name = "user",
     .letter = 'u',
     .takes = Takes::value,
     .metavar = "USER",
     .group = kIdentity,
     .help = "who runs: follow (the target), keep (the caller), UID or UID:GID, as counted inside",
     .more = "By default root of a user namespace that is entered, where it has one, else follow; "
             "with no user namespace entered, keep.",
     .completes = "follow keep",
     .apply = by<&user>},
    with(kUidRow, by<&uid>),
    with(kGidRow, by<&gid>),
    with(kWorkdirRow, by<&workdir>),
    with(kExplainRow, by<&take_explain<EnterRequest>>),
    with(kHelpRow, by<&take_help<EnterRequest>>),
});

int failed(const Error& error) {
  complain(error);
  return kIsleFailed;
}

}  // namespace

std::span<const Option> enter_options() { return kOptions; }

int enter_main(const Invocation& invocation) {
  EnterRequest request;
  // TARGET may stand before the options or behind them.
  auto next = parse_options(kOptions, invocation.argv, invocation.first, &request);
  if (request.help) return print(help(*find_command("enter")));
  if (!next) return failed(next.error());
  auto index = static_cast<size_t>(*next);
  if (index >= invocation.argv.size())
    return failed({.what = "enter what?", .hint = "isle enter TARGET [OPTIONS] [--] [COMMAND]"});
  request.target = invocation.argv[index];
  request.target_from = request.spec.add_origin(fmt::format("argv[{}]", index));
  next = parse_options(kOptions, invocation.argv, *next + 1, &request);
  if (request.help) return print(help(*find_command("enter")));
  if (!next) return failed(next.error());
  index = static_cast<size_t>(*next);
  const Status completed = complete_enter(request, this_caller(), invocation.argv.subspan(index),
                                          static_cast<int>(*next));
  if (!completed) return failed(completed.error());
  const bool forks = !request.spec.process.in_place.value;
  return carry_out(request.spec, {.explain = request.explain, .stops_along = forks});
}

}  // namespace isle::cli
