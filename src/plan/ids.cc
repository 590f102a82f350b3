// Who the sandbox's processes are: the maps of its user namespace, who writes them, and the switch
// to the ids asked for. Kernel: kernel/user_namespace.c, new_idmap_permitted().
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle::plan {
namespace {

constexpr int kCapSetgid = 6;
constexpr int kCapSetuid = 7;
constexpr uint32_t kOverflowId = 65534;

/// Every id the caller has, as it is.
IdMap identity(const IdMap& own) {
  if (own.empty()) return {{0, 0, 0xffffffff}};
  IdMap map;
  for (const IdMapping& line : own)
    map.push_back({line.container_id, line.container_id, line.size});
  return map;
}

bool is_single(const IdMap& map, uint32_t own) {
  return map.size() == 1 && map[0].size == 1 && map[0].host_id == own;
}

/// Who runs where nobody was asked for: what the caller is inside; where that is not mapped, root.
uint32_t default_id(const IdMap& map, uint32_t own) {
  return to_container(map, own).value_or(to_host(map, 0) ? 0 : kOverflowId);
}

std::vector<std::string> program_arguments(const IdMap& map) {
  std::vector<std::string> arguments;
  for (const IdMapping& line : map)
    for (const uint32_t number : {line.container_id, line.host_id, line.size})
      arguments.push_back(std::to_string(number));
  return arguments;
}

}  // namespace

Status Compiler::choose_ids() {
  if (!new_user()) return {};
  const auto asked_by = [this](const Wish<IdMap>& map, const Wish<uint32_t>& id) {
    if (map) return map->from;
    return spec_.map_auto.from == 0 && id ? id->from : spec_.map_auto.from;
  };
  ids_.uid_from = asked_by(spec_.uid_mappings, spec_.process.user.uid);
  ids_.gid_from = asked_by(spec_.gid_mappings, spec_.process.user.gid);
  const bool can_map = host_.has_capability(kCapSetuid) && host_.has_capability(kCapSetgid);
  const bool has_programs = !host_.newuidmap.empty() && !host_.newgidmap.empty();
  const bool has_ranges = !host_.subuid.empty() && !host_.subgid.empty();
  if (spec_.map_auto.value && (!has_ranges || (!can_map && !has_programs)))
    return refuse(spec_.map_auto.from, 0,
                  fmt::format("map subordinate ids: {}",
                              !has_ranges ? fmt::format("/etc/subuid and /etc/subgid grant none "
                                                        "to uid {}",
                                                        host_.uid)
                                          : host_.no_mapping_programs),
                  !has_ranges ? fmt::format("usermod --add-subuids 100000-165535 --add-subgids "
                                            "100000-165535 USER, for the user with uid {}",
                                            host_.uid)
                              : host_.no_mapping_programs_advice);
  const bool ranges =
      spec_.map_auto.value || (spec_.use_subordinate_ids && !can_map && has_ranges && has_programs);
  // An ordinary user has one id of its own, and inside it may be any: the one asked for.
  const auto choose = [&](const Wish<IdMap>& wish, const Wish<uint32_t>& asked, uint32_t own,
                          const IdMap& own_map, const std::vector<SubIdRange>& sub,
                          bool none) -> IdMap {
    if (none) return {};
    if (wish) return wish->value;
    if (can_map && !ranges) return identity(own_map);
    const uint32_t inside = asked && !can_map ? asked->value : own;
    if (ranges) return map_around(inside, own, sub);
    return {{inside, own, 1}};
  };
  const User& user = spec_.process.user;
  ids_.uid_map = choose(spec_.uid_mappings, user.uid, host_.uid, host_.own_uid_map, host_.subuid,
                        spec_.leave_uids_unmapped);
  ids_.gid_map = choose(spec_.gid_mappings, user.gid, host_.gid, host_.own_gid_map, host_.subgid,
                        spec_.leave_gids_unmapped);
  const bool denied = spec_.allow_setgroups && !spec_.allow_setgroups->value;
  ids_.deny_setgroups = denied;
  const bool uid_single = ids_.uid_map.empty() || is_single(ids_.uid_map, host_.uid);
  const bool gid_single = ids_.gid_map.empty() || is_single(ids_.gid_map, host_.gid);
  if (spec_.process.in_place.value) {
    ids_.deny_setgroups = denied || !ids_.gid_map.empty();
    ids_.by_init = uid_single && gid_single;
    return {};
  }
  if (can_map) return {};

  ids_.uid_by_program = !uid_single;
  ids_.gid_by_program = !gid_single;
  ids_.deny_setgroups = denied || (gid_single && !ids_.gid_map.empty());
  ids_.by_init = uid_single && gid_single;
  if (!ids_.by_init && !has_programs)
    return refuse(ids_.uid_by_program ? ids_.uid_from : ids_.gid_from, EPERM,
                  fmt::format("map ids other than {}: only newuidmap and newgidmap may do that for "
                              "an ordinary user",
                              host_.uid),
                  host_.no_mapping_programs_advice.empty()
                      ? host_.no_mapping_programs
                      : host_.no_mapping_programs + "; " + host_.no_mapping_programs_advice);
  return {};
}

void Compiler::runtime_writes_ids() {
  if (ids_by_init()) return;
  if (ids_.deny_setgroups) write_child(ids_.gid_from, "setgroups", "deny");
  const auto write = [&](const char* file, bool by_program, const std::string& program,
                         const IdMap& map, Origin from) {
    if (map.empty()) return;
    if (by_program) {
      const std::vector<std::string> arguments = program_arguments(map);
      const uint64_t list = b_.list(arguments);
      runtime(Op::map_program, from, {text(program), list, b_.scratch(arguments.size() + 3)});
    } else {
      write_child(from, file, to_text(map));
    }
  };
  write("uid_map", ids_.uid_by_program, host_.newuidmap, ids_.uid_map, ids_.uid_from);
  write("gid_map", ids_.gid_by_program, host_.newgidmap, ids_.gid_map, ids_.gid_from);
}

uint32_t Compiler::inside_uid() const {
  return new_user() ? to_container(ids_.uid_map, host_.uid).value_or(kOverflowId) : host_.uid;
}
uint32_t Compiler::inside_gid() const {
  return new_user() ? to_container(ids_.gid_map, host_.gid).value_or(kOverflowId) : host_.gid;
}

bool Compiler::may_set_groups() const {
  return new_user() ? !ids_.deny_setgroups : host_.has_capability(kCapSetgid);
}

void Compiler::init_gets_ids() {
  if (!new_user()) return;
  if (ids_.by_init) {
    if (ids_.deny_setgroups) write_proc(ids_.gid_from, "self/setgroups", "deny");
    if (!ids_.uid_map.empty()) write_proc(ids_.uid_from, "self/uid_map", to_text(ids_.uid_map));
    if (!ids_.gid_map.empty()) write_proc(ids_.gid_from, "self/gid_map", to_text(ids_.gid_map));
  } else {
    init(Op::await, 0, {static_cast<uint64_t>(Point::ids_ready)});
  }
  if (spec_.allow_setgroups && spec_.allow_setgroups->value)
    write_proc(spec_.allow_setgroups->from, "self/setgroups", "allow");
}

/// Where maps were asked for, what is made for the sandbox belongs to its root, if it has one, or
/// to the user asked for: an id that is not mapped can make nothing (EOVERFLOW). Else to the caller's
/// own id, whether or not there are others around it.
uint32_t Compiler::set_up_uid() const {
  const User& user = spec_.process.user;
  if (!new_user() || !spec_.uid_mappings || user.as_is) return inside_uid();
  if (to_host(ids_.uid_map, 0)) return 0;
  return user.uid && to_host(ids_.uid_map, user.uid->value) ? user.uid->value : inside_uid();
}
uint32_t Compiler::set_up_gid() const {
  const User& user = spec_.process.user;
  if (!new_user() || !spec_.gid_mappings || user.as_is) return inside_gid();
  if (to_host(ids_.gid_map, 0)) return 0;
  return user.gid && to_host(ids_.gid_map, user.gid->value) ? user.gid->value : inside_gid();
}

/// With other ids it is root's in /proc, and no longer dies with its parent (kernel:
/// commit_creds()).
void Compiler::init_takes_set_up_ids() {
  const NamespaceWish* userns = spec_.find(NamespaceType::user);
  if (userns != nullptr && userns->joins() && spec_.root && !spec_.process.user.as_is) {
    // Its maps are not known; where it has no root there is nothing better to be.
    init(Op::setresgid, userns->from, {0}).pass_over = EINVAL;
    init(Op::setresuid, userns->from, {0}).pass_over = EINVAL;
  }
  if (set_up_gid() != inside_gid()) init(Op::setresgid, ids_.gid_from, {set_up_gid()});
  if (set_up_uid() != inside_uid()) init(Op::setresuid, ids_.uid_from, {set_up_uid()});
  if (set_up_gid() != inside_gid() || set_up_uid() != inside_uid()) dies_with_parent(Actor::init);
}

void Compiler::set_identity(Actor actor) {
  const User& user = spec_.process.user;
  if (user.as_is) return set_asked_ids(actor);
  const uint32_t uid_now = set_up_uid();
  const uint32_t gid_now = set_up_gid();
  const uint32_t own_uid = new_user() ? default_id(ids_.uid_map, host_.uid) : host_.uid;
  const uint32_t own_gid = new_user() ? default_id(ids_.gid_map, host_.gid) : host_.gid;
  const uint32_t uid = user.uid ? user.uid->value : own_uid;
  const uint32_t gid = user.gid ? user.gid->value : own_gid;

  if (user.additional_gids) {
    const std::vector<uint32_t>& groups = user.additional_gids->value;
    b_.add(actor, Op::setgroups, user.additional_gids->from,
           {b_.blob(groups.data(), groups.size() * sizeof(uint32_t))});
  } else if (!user.keep_groups && (user.uid || user.gid) && may_set_groups()) {
    b_.add(actor, Op::setgroups, user.uid ? user.uid->from : user.gid->from,
           {b_.blob(nullptr, 0)});  // the caller's groups are not the new user's
  }
  // In a user namespace that is joined nobody knows which id we have: it is set where asked for.
  const NamespaceWish* userns = spec_.find(NamespaceType::user);
  const bool unknown = userns != nullptr && userns->joins();
  if (gid != gid_now || (unknown && user.gid))
    b_.add(actor, Op::setresgid, user.gid ? user.gid->from : Origin{0}, {gid});
  if (uid != uid_now || (unknown && user.uid)) {
    // Capabilities that were asked for have to outlive the change from 0.
    if (target_capabilities() != 0 || keeps_capabilities())
      b_.add(actor, Op::prctl,
             spec_.process.capabilities ? spec_.process.capabilities->from : Origin{0},
             {static_cast<uint64_t>(sys::Prctl::set_keepcaps), 1});
    b_.add(actor, Op::setresuid, user.uid ? user.uid->from : Origin{0}, {uid});
  }
}

/// Only what was asked for. Groups can be dropped before a user namespace is joined, which may deny
/// it, or after, where the caller may not; one of the two has to do.
void Compiler::set_asked_ids(Actor actor) {
  const User& user = spec_.process.user;
  if (user.additional_gids) {
    const std::vector<uint32_t>& groups = user.additional_gids->value;
    Step& step = b_.add(actor, Op::setgroups, user.additional_gids->from,
                        {b_.blob(groups.data(), groups.size() * sizeof(uint32_t))});
    if (drops_groups_early()) step.pass_over = EPERM;
  }
  if (user.gid) b_.add(actor, Op::setresgid, user.gid->from, {user.gid->value});
  if (user.uid) b_.add(actor, Op::setresuid, user.uid->from, {user.uid->value});
}

bool Compiler::drops_groups_early() const {
  const User& user = spec_.process.user;
  const NamespaceWish* userns = spec_.find(NamespaceType::user);
  return userns != nullptr && userns->joins() && user.as_is && user.additional_gids &&
         user.additional_gids->value.empty() && host_.has_capability(kCapSetgid);
}

}  // namespace isle::plan
