// Who the command is inside: ids, maps, groups, capabilities.
#include <fmt/format.h>

#include <algorithm>

#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/names.h"

namespace isle::cli {
namespace {

Status set_id(RunRequest& request, const Argument& argument, Wish<uint32_t>& wish) {
  const auto id = parse_id(argument.value);
  if (!id) return std::unexpected(id.error());
  wish = request.asked(*id, argument);
  return {};
}

// Each use of the option adds a line to the map.
Status add_mapping(RunRequest& request, const Argument& argument, Wish<IdMap>& wish) {
  const auto mapping = parse_id_mapping(argument.value);
  if (!mapping) return std::unexpected(mapping.error());
  if (!wish) wish = request.asked(IdMap{}, argument);
  wish->value.push_back(*mapping);
  return {};
}

Result<uint64_t> capability_mask(std::string_view text) {
  uint64_t mask = 0;
  for (const std::string& word : split(text, ',')) {
    if (word == "ALL" || word == "all") {
      mask |= all_capabilities();
      continue;
    }
    const auto number = parse_capability(word);
    if (!number) {
      const std::vector<std::string> names = capability_names();
      std::string upper = word;
      std::ranges::transform(upper, upper.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
      });
      if (!upper.starts_with("CAP_")) upper.insert(0, "CAP_");
      const std::vector<std::string_view> candidates(names.begin(), names.end());
      // Half of it right at least: CAP_ is no likeness.
      std::string hint = upper.size() > 8 ? did_you_mean(upper, candidates) : std::string{};
      if (hint.empty()) hint = "capabilities(7) lists them; ALL is all of them";
      return fail(0, fmt::format("{} is not a capability", quoted(word)), std::move(hint));
    }
    mask |= uint64_t{1} << *number;
  }
  return mask;
}

// The last word on a capability counts.
Status change_capabilities(RunRequest& request, const Argument& argument, uint64_t& into,
                           uint64_t& out_of) {
  const auto mask = capability_mask(argument.value);
  if (!mask) return std::unexpected(mask.error());
  into |= *mask;
  out_of &= ~*mask;
  if (!request.capabilities_asked) request.capabilities_from = request.origin(argument);
  request.capabilities_asked = true;
  return {};
}

}  // namespace

Status uid(RunRequest& request, const Argument& argument) {
  return set_id(request, argument, request.spec.process.user.uid);
}

Status gid(RunRequest& request, const Argument& argument) {
  return set_id(request, argument, request.spec.process.user.gid);
}

Status map_uid(RunRequest& request, const Argument& argument) {
  return add_mapping(request, argument, request.spec.uid_mappings);
}

Status map_gid(RunRequest& request, const Argument& argument) {
  return add_mapping(request, argument, request.spec.gid_mappings);
}

Status map_auto(RunRequest& request, const Argument& argument) {
  request.spec.map_auto = request.asked(true, argument);
  return {};
}

// "NAME", "UID" or "UID:GID".
Status user(RunRequest& request, const Argument& argument) {
  const std::string_view text = argument.value;
  if (text.empty()) return fail(0, "needs a name or a number");
  if (text.front() < '0' || text.front() > '9') {
    if (text.find(':') != std::string_view::npos) {
      return fail(0, fmt::format("{} mixes a name with a group", quoted(text)),
                  "a name brings its groups; --gid and --groups say otherwise");
    }
    request.user_name = request.asked(std::string(text), argument);
    return {};
  }
  const size_t colon = text.find(':');
  const auto uid_number = parse_id(text.substr(0, colon));
  if (!uid_number) return std::unexpected(uid_number.error());
  User& wish = request.spec.process.user;
  if (colon != std::string_view::npos) {
    const auto gid_number = parse_id(text.substr(colon + 1));
    if (!gid_number) return std::unexpected(gid_number.error());
    wish.gid = request.asked(*gid_number, argument);
  }
  wish.uid = request.asked(*uid_number, argument);
  return {};
}

// "" is no group at all.
Status groups(RunRequest& request, const Argument& argument) {
  std::vector<uint32_t> gids;
  if (!argument.value.empty()) {
    for (const std::string& word : split(argument.value, ',')) {
      const auto id = parse_id(word);
      if (!id) return std::unexpected(id.error());
      gids.push_back(*id);
    }
  }
  request.spec.process.user.additional_gids = request.asked(std::move(gids), argument);
  return {};
}

Status add_capabilities(RunRequest& request, const Argument& argument) {
  return change_capabilities(request, argument, request.capabilities_added,
                             request.capabilities_dropped);
}

Status drop_capabilities(RunRequest& request, const Argument& argument) {
  return change_capabilities(request, argument, request.capabilities_dropped,
                             request.capabilities_added);
}

Status keep_privileges(RunRequest& request, const Argument& argument) {
  request.keep_privileges = request.asked(true, argument);
  return {};
}

}  // namespace isle::cli
