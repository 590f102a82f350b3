// isle.h: what is wanted of a command.
#include <linux/mount.h>

#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

#include "c/face.h"
#include "isle/names.h"

namespace {

using isle::Asked;
using isle::Origin;
using isle::Spec;

/// Changes the spec; -1 where there is no memory.
template <class Change>
int changed(isle_spec* spec, Change change) noexcept {
  try {
    change(spec->spec, spec->from);
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

/// Wants `value` of `member`, an Asked<T> or Wish<T> that `of` leads to.
template <class T, class Of>
int wanted(isle_spec* spec, T value, Of of) noexcept {
  return changed(spec, [&](Spec& s, Origin from) {
    of(s) = Asked<T>{.value = std::move(value), .from = from};
  });
}

std::vector<std::string> strings(const char* const* texts) {
  std::vector<std::string> all;
  for (; *texts != nullptr; ++texts) all.emplace_back(*texts);
  return all;
}

std::string text_or_empty(const char* text) { return text != nullptr ? text : ""; }

void add_mapping(isle::Wish<isle::IdMap>& map, isle::IdMapping line, Origin from) {
  if (!map) map.emplace(isle::IdMap{}, from);
  map->value.push_back(line);
}

/// What the words of a mount's options amount to; those that are no option of mount(8) are left.
struct Options {
  isle::MountAttributes attributes;
  isle::Propagation propagation = isle::Propagation::unchanged;
  bool propagation_recursive = false;
  bool recursive = true;
  bool optional = false;
  std::vector<std::pair<std::string, std::string>> own;

  explicit Options(const char* text) {
    std::string_view rest = text != nullptr ? text : "";
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      if (!word.empty()) read(word);
    }
  }

 private:
  void read(std::string_view word) {
    if (word == "optional") {
      optional = true;
    } else if (word == "norec") {
      recursive = false;
    } else if (const auto option = isle::parse_mount_option(word)) {
      attributes.set |= option->attributes.set;
      attributes.clear |= option->attributes.clear;
      attributes.recursive_set |= option->attributes.recursive_set;
      attributes.recursive_clear |= option->attributes.recursive_clear;
      if (option->bind) recursive = *option->bind;
      if (!option->propagation) return;
      propagation = *option->propagation;
      propagation_recursive = option->propagation_recursive;
    } else {
      const size_t equals = word.find('=');
      own.emplace_back(word.substr(0, equals), equals == std::string_view::npos
                                                   ? std::string_view{}
                                                   : word.substr(equals + 1));
    }
  }
};

/// One operation on the root file system.
template <class What>
int added(isle_spec* spec, const char* destination, What what, bool optional = false) noexcept {
  return changed(spec, [&](Spec& s, Origin from) {
    s.mounts.push_back(
        {.destination = destination, .what = std::move(what), .optional = optional, .from = from});
  });
}

int add_bind(isle_spec* spec, const char* source, int fd, const char* destination,
             const char* words) noexcept {
  return changed(spec, [&](Spec& s, Origin from) {
    const Options options(words);
    if (!options.own.empty())
      spec->complaints.push_back({.what = std::string("bind on \"") + destination + "\": \"" +
                                          options.own.front().first + "\" is no option of a bind",
                                  .asked_by = s.origins[from]});
    s.mounts.push_back({.destination = destination,
                        .what = isle::Bind{.source = text_or_empty(source),
                                           .source_fd = fd,
                                           .recursive = options.recursive,
                                           .attributes = options.attributes,
                                           .propagation = options.propagation,
                                           .propagation_recursive = options.propagation_recursive},
                        .optional = options.optional,
                        .from = from});
  });
}

template <class Change>
int change_root(isle_spec* spec, Change change) noexcept {
  return changed(spec, [&](Spec& s, Origin from) {
    if (!s.root) s.root.emplace();
    s.root->from = from;
    change(*s.root);
  });
}

}  // namespace

extern "C" {

isle_spec* isle_spec_new() {
  try {
    auto* made = new isle_spec;
    made->from = made->spec.add_origin("isle.h");
    return made;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void isle_spec_free(isle_spec* spec) { delete spec; }

int isle_spec_create(isle_spec* spec, uint64_t flags) {
  return changed(spec, [=](Spec& s, Origin from) {
    for (const isle::NamespaceType type : isle::NamespaceSet::of_clone_flags(flags))
      s.namespaces.push_back({.type = type, .from = from});
  });
}
int isle_spec_join(isle_spec* spec, const isle_namespace* ns) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.namespaces.push_back({.type = ns->ns.type(), .fd = ns->ns.fd().get(), .from = from});
  });
}
int isle_spec_join_path(isle_spec* spec, isle_type type, const char* path) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.namespaces.push_back(
        {.type = static_cast<isle::NamespaceType>(type), .path = path, .from = from});
  });
}
int isle_spec_keep(isle_spec* spec, isle_type type, const char* path) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.keep.push_back({.type = static_cast<isle::NamespaceType>(type), .path = path, .from = from});
  });
}
int isle_spec_set_hostname(isle_spec* spec, const char* name) {
  return wanted(spec, std::string(name), [](Spec& s) -> auto& { return s.hostname; });
}
int isle_spec_set_domainname(isle_spec* spec, const char* name) {
  return wanted(spec, std::string(name), [](Spec& s) -> auto& { return s.domainname; });
}
int isle_spec_set_sysctl(isle_spec* spec, const char* name, const char* value) {
  return changed(spec, [=](Spec& s, Origin from) { s.sysctl.push_back({name, {value, from}}); });
}
int isle_spec_set_time_offset(isle_spec* spec, int clock, int64_t offset_ns) {
  using Clock = isle::TimeOffset::Clock;
  return changed(spec, [=](Spec& s, Origin from) {
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
      spec->complaints.push_back(
          {.what = "time offset: CLOCK_MONOTONIC or CLOCK_BOOTTIME is wanted",
           .asked_by = s.origins[from]});
    s.time_offsets.push_back({.clock = clock == CLOCK_BOOTTIME ? Clock::boottime : Clock::monotonic,
                              .offset_ns = offset_ns,
                              .from = from});
  });
}
int isle_spec_loopback_up(isle_spec* spec) {
  return wanted(spec, true, [](Spec& s) -> auto& { return s.loopback_up; });
}

int isle_spec_map_uids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size) {
  return changed(spec, [=](Spec& s, Origin from) {
    add_mapping(s.uid_mappings, {inside, outside, size}, from);
  });
}
int isle_spec_map_gids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size) {
  return changed(spec, [=](Spec& s, Origin from) {
    add_mapping(s.gid_mappings, {inside, outside, size}, from);
  });
}
int isle_spec_map_auto(isle_spec* spec) {
  return wanted(spec, true, [](Spec& s) -> auto& { return s.map_auto; });
}
int isle_spec_set_setgroups(isle_spec* spec, int allow) {
  return wanted(spec, allow != 0, [](Spec& s) -> auto& { return s.allow_setgroups; });
}
int isle_spec_set_user(isle_spec* spec, uid_t uid, gid_t gid) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.user.uid = {{uid, from}};
    s.process.user.gid = {{gid, from}};
  });
}
int isle_spec_set_groups(isle_spec* spec, const gid_t* groups, size_t count) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.user.additional_gids = {{std::vector<uint32_t>(groups, groups + count), from}};
  });
}

int isle_spec_set_root(isle_spec* spec, const char* path, int read_only) {
  return change_root(spec, [=](isle::Root& root) {
    root.path = path;
    root.read_only = read_only != 0;
  });
}
int isle_spec_set_root_attributes(isle_spec* spec, uint64_t attributes) {
  return change_root(spec, [=](isle::Root& root) { root.attributes = attributes; });
}
int isle_spec_set_root_overlay(isle_spec* spec, const char* upper, const char* work) {
  return change_root(spec, [=](isle::Root& root) {
    root.overlay = isle::Overlay{.upper = text_or_empty(upper), .work = text_or_empty(work)};
  });
}
int isle_spec_set_propagation(isle_spec* spec, const char* kind) {
  return changed(spec, [=](Spec& s, Origin from) {
    const auto propagation = isle::parse_propagation(kind);
    if (!propagation)
      spec->complaints.push_back(
          {.what = std::string("\"") + kind + "\" is no propagation", .asked_by = s.origins[from]});
    s.mount_propagation = {{propagation.value_or(isle::Propagation::unchanged), from}};
  });
}
int isle_spec_add_bind(isle_spec* spec, const char* source, const char* destination,
                       const char* options) {
  return add_bind(spec, source, -1, destination, options);
}
int isle_spec_add_bind_fd(isle_spec* spec, int fd, const char* destination, const char* options) {
  return add_bind(spec, nullptr, fd, destination, options);
}
int isle_spec_add_file_system(isle_spec* spec, const char* type, const char* source,
                              const char* destination, const char* options) {
  return changed(spec, [=](Spec& s, Origin from) {
    Options words(options);
    s.mounts.push_back({.destination = destination,
                        .what = isle::FileSystem{.type = type,
                                                 .source = text_or_empty(source),
                                                 .options = std::move(words.own),
                                                 .attributes = words.attributes,
                                                 .propagation = words.propagation},
                        .optional = words.optional,
                        .from = from});
  });
}
int isle_spec_add_overlay(isle_spec* spec, const char* const* lower, const char* upper,
                          const char* work, const char* destination) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.mounts.push_back({.destination = destination,
                        .what = isle::Overlay{.lower = strings(lower),
                                              .upper = text_or_empty(upper),
                                              .work = text_or_empty(work)},
                        .from = from});
  });
}
int isle_spec_add_dev(isle_spec* spec, const char* destination) {
  return added(spec, destination, isle::Dev{});
}
int isle_spec_cover_proc(isle_spec* spec, const char* destination) {
  return added(spec, destination, isle::CoverProc{});
}
int isle_spec_add_directory(isle_spec* spec, const char* destination, mode_t mode) {
  return added(spec, destination, isle::MakeDirectory{.mode = mode});
}
int isle_spec_add_symlink(isle_spec* spec, const char* target, const char* destination) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.mounts.push_back(
        {.destination = destination, .what = isle::MakeSymlink{.target = target}, .from = from});
  });
}
int isle_spec_add_file(isle_spec* spec, const char* source, const char* destination, mode_t mode) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.mounts.push_back({.destination = destination,
                        .what = isle::MakeFile{.source = source, .mode = mode},
                        .from = from});
  });
}
int isle_spec_add_file_fd(isle_spec* spec, int fd, const char* destination, mode_t mode) {
  return added(spec, destination, isle::MakeFile{.source_fd = fd, .mode = mode});
}
int isle_spec_add_device(isle_spec* spec, const char* destination, mode_t mode, uint32_t major,
                         uint32_t minor) {
  return added(spec, destination, isle::MakeDevice{.mode = mode, .major = major, .minor = minor});
}
int isle_spec_remount(isle_spec* spec, const char* destination, const char* options) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.mounts.push_back({.destination = destination,
                        .what = isle::Remount{.attributes = Options(options).attributes},
                        .from = from});
  });
}
int isle_spec_mask(isle_spec* spec, const char* destination) {
  return added(spec, destination, isle::Mask{}, true);
}

int isle_spec_set_args(isle_spec* spec, const char* const* args) {
  return changed(spec, [=](Spec& s, Origin from) { s.process.args = {strings(args), from}; });
}
int isle_spec_set_env(isle_spec* spec, const char* const* env) {
  return changed(spec, [=](Spec& s, Origin from) { s.process.env = {{strings(env), from}}; });
}
int isle_spec_set_cwd(isle_spec* spec, const char* path) {
  return wanted(spec, std::string(path), [](Spec& s) -> auto& { return s.process.cwd; });
}
int isle_spec_set_umask(isle_spec* spec, mode_t mask) {
  return wanted(spec, mask, [](Spec& s) -> auto& { return s.process.umask; });
}
int isle_spec_set_capabilities(isle_spec* spec, uint64_t bounding, uint64_t effective,
                               uint64_t permitted, uint64_t inheritable, uint64_t ambient) {
  return wanted(spec,
                isle::Capabilities{.bounding = bounding,
                                   .effective = effective,
                                   .permitted = permitted,
                                   .inheritable = inheritable,
                                   .ambient = ambient},
                [](Spec& s) -> auto& { return s.process.capabilities; });
}
int isle_spec_set_no_new_privileges(isle_spec* spec, int on) {
  return wanted(spec, on != 0, [](Spec& s) -> auto& { return s.process.no_new_privileges; });
}
int isle_spec_set_rlimit(isle_spec* spec, int resource, uint64_t soft, uint64_t hard) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.rlimits.push_back({.resource = resource, .soft = soft, .hard = hard, .from = from});
  });
}
int isle_spec_set_nice(isle_spec* spec, int nice) {
  return wanted(spec, nice, [](Spec& s) -> auto& { return s.process.nice; });
}
int isle_spec_set_oom_score_adj(isle_spec* spec, int score) {
  return wanted(spec, score, [](Spec& s) -> auto& { return s.process.oom_score_adj; });
}
int isle_spec_set_cpus(isle_spec* spec, const int* cpus, size_t count) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.cpus_allowed = {{std::vector<int>(cpus, cpus + count), from}};
  });
}
int isle_spec_set_seccomp(isle_spec* spec, const void* instructions, size_t count, uint32_t flags) {
  return changed(spec, [=](Spec& s, Origin from) {
    isle::Seccomp filter{.instructions = std::vector<uint64_t>(count), .flags = flags};
    if (count > 0) std::memcpy(filter.instructions.data(), instructions, count * sizeof(uint64_t));
    s.process.seccomp = Asked<isle::Seccomp>{.value = std::move(filter), .from = from};
  });
}
int isle_spec_set_apparmor_profile(isle_spec* spec, const char* profile) {
  return wanted(spec, std::string(profile),
                [](Spec& s) -> auto& { return s.process.apparmor_profile; });
}
int isle_spec_set_selinux_label(isle_spec* spec, const char* label) {
  return wanted(spec, std::string(label), [](Spec& s) -> auto& { return s.process.selinux_label; });
}
int isle_spec_set_terminal(isle_spec* spec, uint16_t rows, uint16_t columns) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.terminal = {true, from};
    s.process.console_size = {{{.rows = rows, .columns = columns}, from}};
  });
}
int isle_spec_set_new_session(isle_spec* spec, int on) {
  return wanted(spec, on != 0, [](Spec& s) -> auto& { return s.process.new_session; });
}
int isle_spec_set_init(isle_spec* spec, int on) {
  return wanted(spec, on != 0, [](Spec& s) -> auto& { return s.process.init; });
}
int isle_spec_set_die_with_parent(isle_spec* spec, int on) {
  return wanted(spec, on != 0, [](Spec& s) -> auto& { return s.process.die_with_parent; });
}
int isle_spec_pass_fds(isle_spec* spec, const int* fds, size_t count) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.process.pass_fds = {std::vector<int>(fds, fds + count), from};
  });
}

int isle_spec_set_cgroup(isle_spec* spec, const char* name) {
  return changed(spec, [=](Spec& s, Origin) { s.resources.cgroup_name = name; });
}
int isle_spec_set_memory_limit(isle_spec* spec, int64_t bytes) {
  return wanted(spec, bytes, [](Spec& s) -> auto& { return s.resources.memory_limit_bytes; });
}
int isle_spec_set_cpu_quota(isle_spec* spec, int64_t quota_us, uint64_t period_us) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.resources.cpu_quota_us = {{quota_us, from}};
    s.resources.cpu_period_us = {{period_us, from}};
  });
}
int isle_spec_set_pids_limit(isle_spec* spec, int64_t most) {
  return wanted(spec, most, [](Spec& s) -> auto& { return s.resources.pids_limit; });
}
int isle_spec_set_unified(isle_spec* spec, const char* file, const char* value) {
  return changed(spec, [=](Spec& s, Origin from) {
    s.resources.unified.push_back({.file = file, .value = value, .from = from});
  });
}

}  // extern "C"
