// isle.h: commands in namespaces.
#include "isle/run.h"

#include <linux/mount.h>

#include <vector>

#include "c/face.h"

struct isle_spec {
  isle::Spec spec;
  isle::Origin from = 0;
};

struct isle_process {
  isle::Process process;
};

namespace {

using isle::Asked;
using isle::Spec;
using isle::c::done;
using isle::c::guarded;

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

std::vector<std::string> strings(const char* const* texts) {
  std::vector<std::string> all;
  for (; *texts != nullptr; ++texts) all.emplace_back(*texts);
  return all;
}

template <class T>
Asked<T> asked(T value, isle::Origin from) {
  return {.value = std::move(value), .from = from};
}

void add_mapping(isle::Wish<isle::IdMap>& map, isle::IdMapping line, isle::Origin from) {
  if (!map) map.emplace(asked(isle::IdMap{}, from));
  map->value.push_back(line);
}

isle::MountAttributes read_only_if(int read_only) {
  isle::MountAttributes attributes;
  if (read_only != 0) attributes.set = MOUNT_ATTR_RDONLY;
  return attributes;
}

int set_end(const isle::ExitStatus& status, isle_exit* end) {
  if (end != nullptr) *end = {.code = status.code, .signal = status.signal};
  return 0;
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

int isle_spec_set_args(isle_spec* spec, const char* const* args) {
  return changed(spec, [=](Spec& s, auto from) { s.process.args = asked(strings(args), from); });
}
int isle_spec_set_env(isle_spec* spec, const char* const* env) {
  return changed(spec, [=](Spec& s, auto from) { s.process.env = asked(strings(env), from); });
}
int isle_spec_set_cwd(isle_spec* spec, const char* path) {
  return changed(spec, [=](Spec& s, auto from) { s.process.cwd = asked(std::string(path), from); });
}
int isle_spec_create(isle_spec* spec, uint64_t flags) {
  return changed(spec, [=](Spec& s, auto from) {
    for (const isle::NamespaceType type : isle::NamespaceSet::of_clone_flags(flags))
      s.namespaces.push_back({.type = type, .from = from});
  });
}
int isle_spec_join(isle_spec* spec, const isle_namespace* ns) {
  return changed(spec, [=](Spec& s, auto from) {
    s.namespaces.push_back({.type = ns->ns.type(), .fd = ns->ns.fd().get(), .from = from});
  });
}
int isle_spec_map_uids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size) {
  return changed(spec, [=](Spec& s, auto from) {
    add_mapping(s.uid_mappings, {inside, outside, size}, from);
  });
}
int isle_spec_map_gids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size) {
  return changed(spec, [=](Spec& s, auto from) {
    add_mapping(s.gid_mappings, {inside, outside, size}, from);
  });
}
int isle_spec_set_user(isle_spec* spec, uid_t uid, gid_t gid) {
  return changed(spec, [=](Spec& s, auto from) {
    s.process.user.uid = asked(uint32_t{uid}, from);
    s.process.user.gid = asked(uint32_t{gid}, from);
  });
}
int isle_spec_set_hostname(isle_spec* spec, const char* name) {
  return changed(spec, [=](Spec& s, auto from) { s.hostname = asked(std::string(name), from); });
}
int isle_spec_set_root(isle_spec* spec, const char* path, int read_only) {
  return changed(spec, [=](Spec& s, auto from) {
    s.root = isle::Root{.path = path, .read_only = read_only != 0, .from = from};
  });
}
int isle_spec_add_bind(isle_spec* spec, const char* source, const char* destination,
                       int read_only) {
  return changed(spec, [=](Spec& s, auto from) {
    s.mounts.push_back({.destination = destination,
                        .what = isle::Bind{.source = source, .attributes = read_only_if(read_only)},
                        .from = from});
  });
}
int isle_spec_add_file_system(isle_spec* spec, const char* type, const char* source,
                              const char* destination) {
  return changed(spec, [=](Spec& s, auto from) {
    s.mounts.push_back(
        {.destination = destination,
         .what = isle::FileSystem{.type = type, .source = source != nullptr ? source : ""},
         .from = from});
  });
}
int isle_spec_set_no_new_privileges(isle_spec* spec, int on) {
  return changed(spec,
                 [=](Spec& s, auto from) { s.process.no_new_privileges = asked(on != 0, from); });
}
int isle_spec_set_init(isle_spec* spec, int on) {
  return changed(spec, [=](Spec& s, auto from) { s.process.init = asked(on != 0, from); });
}
int isle_spec_set_die_with_parent(isle_spec* spec, int on) {
  return changed(spec,
                 [=](Spec& s, auto from) { s.process.die_with_parent = asked(on != 0, from); });
}
int isle_spec_loopback_up(isle_spec* spec) {
  return changed(spec, [](Spec& s, auto from) { s.loopback_up = asked(true, from); });
}

isle_process* isle_spawn(const isle_spec* spec, isle_error** error) {
  return guarded<isle_process*>(
      error, nullptr, [=] { return isle::spawn(spec->spec); },
      [](isle::Process& process) { return new isle_process{std::move(process)}; });
}
pid_t isle_process_pid(const isle_process* process) { return process->process.host_pid(); }
int isle_process_pidfd(const isle_process* process) { return process->process.pidfd().get(); }
int isle_process_signal(isle_process* process, int signal, isle_error** error) {
  return done(error, [=] { return process->process.signal(signal); });
}
int isle_process_wait(isle_process* process, isle_exit* end, isle_error** error) {
  return guarded(
      error, -1, [=] { return process->process.wait(); },
      [=](const isle::ExitStatus& status) { return set_end(status, end); });
}
void isle_process_free(isle_process* process) { delete process; }
int isle_run(const isle_spec* spec, isle_exit* end, isle_error** error) {
  return guarded(
      error, -1, [=] { return isle::run(spec->spec); },
      [=](const isle::ExitStatus& status) { return set_end(status, end); });
}

}  // extern "C"
