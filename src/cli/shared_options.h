// Options that mean the same to more than one of isle's commands: the row stands here, a command
// puts its handler to it. What a command says in words of its own is not shared.
#pragma once

#include <fmt/format.h>

#include "cli/options.h"
#include "cli/values.h"

namespace isle::cli {

enum class Explain : unsigned char { no, text, json };

inline constexpr std::string_view kNamespaces = "Namespaces";
inline constexpr std::string_view kIdentity = "Identity";
inline constexpr std::string_view kProcess = "Process";
inline constexpr std::string_view kIsle = "isle itself";

/// `row` with its handler: by<&...>.
constexpr Option with(Option row, decltype(Option::apply) apply, char letter = 0) {
  row.apply = apply;
  if (letter != 0) row.letter = letter;
  return row;
}

inline constexpr Option kTimeOffsetRow{
    .name = "time-offset",
    .takes = Takes::value,
    .metavar = "CLOCK=SECONDS,...",
    .group = kNamespaces,
    .help = "clocks of a new time namespace: monotonic=, boottime=",
    .more = "SECONDS are added to the clock inside; they may be negative and have a fraction.",
    .completes = "monotonic= boottime="};
inline constexpr Option kHostnameRow{.name = "hostname",
                                     .takes = Takes::value,
                                     .metavar = "NAME",
                                     .group = kNamespaces,
                                     .help = "host name in the new uts namespace"};
inline constexpr Option kDomainnameRow{.name = "domainname",
                                       .takes = Takes::value,
                                       .metavar = "NAME",
                                       .group = kNamespaces,
                                       .help = "NIS domain name in the new uts namespace"};
inline constexpr Option kMapGidRow{.name = "map-gid",
                                   .takes = Takes::value,
                                   .metavar = "IN:OUT[:COUNT]",
                                   .group = kIdentity,
                                   .help = "the same for group ids"};
inline constexpr Option kUidRow{.name = "uid",
                                .takes = Takes::value,
                                .metavar = "UID",
                                .group = kIdentity,
                                .help = "user id inside"};
inline constexpr Option kGidRow{.name = "gid",
                                .takes = Takes::value,
                                .metavar = "GID",
                                .group = kIdentity,
                                .help = "group id inside; no other groups"};
inline constexpr Option kWorkdirRow{.name = "workdir",
                                    .takes = Takes::value,
                                    .metavar = "DIR",
                                    .group = kProcess,
                                    .help = "working directory, as named inside",
                                    .completes = "@directory"};
inline constexpr Option kExplainRow{
    .name = "explain",
    .takes = Takes::optional_value,
    .metavar = "FORMAT",
    .group = kIsle,
    .help = "print the plan, with who asked for each step, and run nothing",
    .more = "FORMAT is text, the default, or json.",
    .completes = "text json"};
inline constexpr Option kHelpRow{
    .name = "help", .letter = 'h', .group = kIsle, .help = "print this help"};

/// For kExplainRow, of a Request with a member `explain`.
template <class Request>
Status take_explain(Request& request, const Argument& argument) {
  if (argument.has_value && argument.value != "text" && argument.value != "json")
    return fail(0, fmt::format("{} is neither text nor json", quoted(argument.value)));
  request.explain = argument.value == "json" ? Explain::json : Explain::text;
  return {};
}

/// For kHelpRow, of a Request with a member `help`.
template <class Request>
Status take_help(Request& request, const Argument&) {
  request.help = true;
  return {};
}

}  // namespace isle::cli
