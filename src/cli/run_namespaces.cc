// Which namespaces are new, shared, joined or kept, and what is set in new ones.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

using Kind = TypeChoice::Kind;

Result<NamespaceType> namespace_type(std::string_view word) {
  if (const auto type = parse_namespace_type(word)) return *type;
  std::vector<std::string_view> names;
  names.reserve(kNamespaceTypeTable.size());
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) names.push_back(info.name);
  std::string hint = did_you_mean(word, names);
  if (hint.empty()) hint = fmt::format("the types are {}", fmt::join(names, ", "));
  return fail(0, fmt::format("{} is not a type of namespace", quoted(word)), std::move(hint));
}

std::string_view option_for(Kind kind) {
  switch (kind) {
    case Kind::by_default:
      break;
    case Kind::fresh:
      return "new";
    case Kind::shared:
      return "shared";
    case Kind::joined:
      return "joined";
  }
  return "by default";
}

Status choose(RunRequest& request, NamespaceType type, TypeChoice wanted) {
  TypeChoice& now = request.choice(type);
  const bool undecided = now.kind == Kind::by_default || now.by_all;
  if (wanted.by_all && !undecided) return {};
  const bool repeated = now.kind == wanted.kind && wanted.kind != Kind::joined;
  if (!undecided && !repeated) {
    return fail(0, fmt::format("the {} namespace is to be {} already ({})", to_string(type),
                               option_for(now.kind), request.spec.origins[now.from]));
  }
  now = std::move(wanted);
  return {};
}

// "TYPE,TYPE" or "all".
Status choose_list(RunRequest& request, const Argument& argument, Kind kind) {
  const Origin from = request.origin(argument);
  if (argument.value == "all") {
    for (const NamespaceType type : NamespaceSet::all()) {
      TypeChoice wanted{.kind = kind, .by_all = true, .path = {}, .fd = -1, .from = from};
      if (Status status = choose(request, type, std::move(wanted)); !status) return status;
    }
    return {};
  }
  for (const std::string& word : split(argument.value, ',')) {
    const auto type = namespace_type(word);
    if (!type) return std::unexpected(type.error());
    TypeChoice wanted{.kind = kind, .by_all = false, .path = {}, .fd = -1, .from = from};
    if (Status status = choose(request, *type, std::move(wanted)); !status) return status;
  }
  return {};
}

struct TypesAndTarget {
  std::vector<NamespaceType> types;
  std::string target;
};

// "TYPE[,TYPE...]=TARGET"
Result<TypesAndTarget> types_and_target(std::string_view text, std::string_view form) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    return fail(0, fmt::format("{} is not of the form {}", quoted(text), form));
  }
  TypesAndTarget result;
  for (const std::string& word : split(text.substr(0, equals), ',')) {
    const auto type = namespace_type(word);
    if (!type) return std::unexpected(type.error());
    result.types.push_back(*type);
  }
  result.target = text.substr(equals + 1);
  return result;
}

bool is_pid(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Status share_namespaces(RunRequest& request, const Argument& argument) {
  return choose_list(request, argument, Kind::shared);
}

Status new_namespaces(RunRequest& request, const Argument& argument) {
  return choose_list(request, argument, Kind::fresh);
}

Status join_namespaces(RunRequest& request, const Argument& argument) {
  const auto parsed = types_and_target(argument.value, "TYPE=PID, TYPE=PATH or TYPE=fd:N");
  if (!parsed) return std::unexpected(parsed.error());
  const std::string& target = parsed->target;
  const bool pid = is_pid(target);
  if (!pid && parsed->types.size() > 1) {
    return fail(0, fmt::format("{} is one namespace and has one type", quoted(target)),
                "several types can be joined by pid, as in net,ipc=1234");
  }
  TypeChoice wanted{.kind = Kind::joined,
                    .by_all = false,
                    .path = target,
                    .fd = -1,
                    .from = request.origin(argument)};
  if (target.starts_with("fd:")) {
    const auto fd = parse_fd(target);
    if (!fd) return std::unexpected(fd.error());
    wanted.fd = *fd;
    wanted.path.clear();
  }
  if (pid) {
    const auto number = parse_number(target, 1, std::numeric_limits<pid_t>::max());
    if (!number) return std::unexpected(number.error());
  }
  for (const NamespaceType type : parsed->types) {
    TypeChoice each = wanted;
    if (pid) each.path = fmt::format("/proc/{}/ns/{}", target, type_info(type).proc_name);
    if (Status status = choose(request, type, std::move(each)); !status) return status;
  }
  return {};
}

Status keep_namespace(RunRequest& request, const Argument& argument) {
  auto parsed = types_and_target(argument.value, "TYPE=PATH");
  if (!parsed) return std::unexpected(parsed.error());
  if (parsed->types.size() > 1) {
    return fail(0, "each type is kept at a path of its own", "repeat --keep");
  }
  request.spec.keep.push_back({.type = parsed->types.front(),
                               .path = std::move(parsed->target),
                               .from = request.origin(argument)});
  return {};
}

Status time_offset(RunRequest& request, const Argument& argument) {
  const Origin from = request.origin(argument);
  for (const std::string& part : split(argument.value, ',')) {
    std::string_view rest = part;
    std::string clock;
    const bool has_value = take_part(&rest, '=', &clock);
    if (!has_value || (clock != "monotonic" && clock != "boottime")) {
      return fail(0, fmt::format("{} is not monotonic=SECONDS or boottime=SECONDS", quoted(part)));
    }
    const auto offset = parse_seconds_ns(rest);
    if (!offset) return std::unexpected(offset.error());
    request.spec.time_offsets.push_back(
        {.clock = clock == "monotonic" ? TimeOffset::Clock::monotonic : TimeOffset::Clock::boottime,
         .offset_ns = *offset,
         .from = from});
  }
  return {};
}

Status hostname(RunRequest& request, const Argument& argument) {
  request.spec.hostname = request.asked(std::string(argument.value), argument);
  return {};
}

Status domainname(RunRequest& request, const Argument& argument) {
  request.spec.domainname = request.asked(std::string(argument.value), argument);
  return {};
}

}  // namespace isle::cli
