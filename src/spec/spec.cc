// Spec's small questions, and all that can be wrong with one in itself.
#include "isle/spec.h"

#include <fmt/format.h>

#include <algorithm>

namespace isle {
namespace {

constexpr uint32_t kNoId = 0xffffffff;  // (uid_t)-1 means "unchanged" to the kernel
constexpr size_t kMostMappings = 340;
constexpr size_t kHostNameMax = 64;
constexpr int kMostCpus = 8192;

const char* name_of(NamespaceType type) {
  constexpr const char* kNames[kNamespaceTypes] = {"cgroup", "ipc",  "mount", "network",
                                                   "pid",    "time", "user",  "uts"};
  return kNames[static_cast<size_t>(type)];
}

/// Collects complaints; each names who asked.
class Complaints {
 public:
  explicit Complaints(const Spec& spec) : spec_(spec) {}
  void add(Origin from, std::string what, std::string hint = {}) {
    found_.push_back({.what = std::move(what),
                      .asked_by = from < spec_.origins.size() ? spec_.origins[from] : "",
                      .hint = std::move(hint)});
  }
  std::vector<Error> take() { return std::move(found_); }

 private:
  const Spec& spec_;
  std::vector<Error> found_;
};

void check_namespaces(const Spec& spec, Complaints& bad) {
  bool seen[kNamespaceTypes] = {};
  for (const NamespaceWish& wish : spec.namespaces) {
    bool& before = seen[static_cast<size_t>(wish.type)];
    if (before) bad.add(wish.from, fmt::format("{} namespace: named twice", name_of(wish.type)));
    before = true;
  }
  for (const KeepWish& wish : spec.keep)
    if (!spec.creates(wish.type))
      bad.add(wish.from, fmt::format("keep the {0} namespace: no new {0} namespace is made",
                                     name_of(wish.type)));
  const auto needs = [&](NamespaceType type, Origin from, const char* what) {
    if (spec.find(type) == nullptr)
      bad.add(from, fmt::format("{}: needs a {} namespace of its own", what, name_of(type)));
  };
  if (spec.hostname) needs(NamespaceType::uts, spec.hostname->from, "hostname");
  if (spec.domainname) needs(NamespaceType::uts, spec.domainname->from, "domainname");
  if (!spec.mounts.empty() && !spec.root)
    needs(NamespaceType::mount, spec.mounts.front().from, "mounts");
  const NamespaceWish* mount = spec.find(NamespaceType::mount);
  const NamespaceWish* user = spec.find(NamespaceType::user);
  if (spec.root && user != nullptr && (mount == nullptr || (mount->joins() && !user->joins())))
    bad.add(mount == nullptr ? user->from : mount->from,
            fmt::format("a root of its own in a mount namespace that is {}: a process in a user "
                        "namespace of its own has no rights over that one",
                        mount == nullptr ? "shared" : "joined"),
            "a new mount namespace goes with it, or no user namespace");
  for (const TimeOffset& offset : spec.time_offsets)
    if (!spec.creates(NamespaceType::time))
      bad.add(offset.from, "time offset: needs a new time namespace");
  if (spec.loopback_up.value && spec.find(NamespaceType::network) == nullptr)
    bad.add(spec.loopback_up.from, "loopback device up: needs a network namespace of its own");
  const auto check_name = [&](const char* what, const Wish<std::string>& name) {
    if (name && name->value.size() > kHostNameMax)
      bad.add(name->from,
              fmt::format("{} \"{}\": longer than {} bytes", what, name->value, kHostNameMax));
  };
  check_name("hostname", spec.hostname);
  check_name("domainname", spec.domainname);
}

void check_lines(const IdMap& map, const char* name, Origin from, Complaints& bad) {
  if (map.size() > kMostMappings) {
    bad.add(from,
            fmt::format("{} map: {} lines; the kernel takes {}", name, map.size(), kMostMappings));
    return;
  }
  const auto overlaps = [](uint64_t a, uint64_t b, uint64_t a_size, uint64_t b_size) {
    return a < b + b_size && b < a + a_size;
  };
  for (size_t i = 0; i < map.size(); ++i) {
    const IdMapping& a = map[i];
    const uint64_t end = uint64_t{std::max(a.container_id, a.host_id)} + a.size;
    if (a.size == 0 || end > kNoId)
      bad.add(from, fmt::format("{} map {}:{}:{}: {}", name, a.container_id, a.host_id, a.size,
                                a.size == 0 ? "has no ids" : "goes past 4294967294"));
    for (size_t j = 0; j < i; ++j) {
      const IdMapping& b = map[j];
      if (overlaps(a.container_id, b.container_id, a.size, b.size) ||
          overlaps(a.host_id, b.host_id, a.size, b.size))
        bad.add(from, fmt::format("{} map: {}:{}:{} and {}:{}:{} overlap", name, b.container_id,
                                  b.host_id, b.size, a.container_id, a.host_id, a.size));
    }
  }
}

void check_id_map(const Wish<IdMap>& wish, const char* name, const Spec& spec, Complaints& bad) {
  if (!wish) return;
  if (!spec.creates(NamespaceType::user))
    bad.add(wish->from, fmt::format("{} map: needs a new user namespace", name));
  if (wish->value.empty()) bad.add(wish->from, fmt::format("{} map: is empty", name));
  check_lines(wish->value, name, wish->from, bad);
}

void check_inside_id(const Wish<uint32_t>& id, const Wish<IdMap>& map, const char* name,
                     Complaints& bad) {
  if (!id) return;
  if (id->value == kNoId) {
    bad.add(id->from,
            fmt::format("{} 4294967295: is no id (the kernel reads it as \"unchanged\")", name));
  } else if (map && !to_host(map->value, id->value)) {
    bad.add(id->from, fmt::format("{} {}: is not mapped in the user namespace", name, id->value),
            fmt::format("the {} map has to have it, too", name));
  }
}

/// Without a clone nobody is left outside to do any of these.
void check_in_place(const Spec& spec, Complaints& bad) {
  const auto needs_process = [&](bool wanted, Origin from, const char* what) {
    if (wanted)
      bad.add(from, fmt::format("{}: needs a process of the command's own", what), "--fork");
  };
  const ProcessWish& process = spec.process;
  const Resources& limits = spec.resources;
  needs_process(process.init.value, process.init.from, "init");
  needs_process(process.terminal.value, process.terminal.from, "terminal");
  needs_process(process.oom_score_adj.has_value(),
                process.oom_score_adj ? process.oom_score_adj->from : Origin{0},
                "oom score adjustment");
  needs_process(!spec.keep.empty(), spec.keep.empty() ? Origin{0} : spec.keep.front().from,
                "keep a namespace");
  needs_process(limits.memory_limit_bytes || limits.memory_swap_bytes || limits.cpu_quota_us ||
                    limits.cpu_shares || limits.pids_limit || !limits.unified.empty(),
                0, "limits");
}

void check_process(const Spec& spec, Complaints& bad) {
  const ProcessWish& process = spec.process;
  if (process.args.value.empty() || process.args.value.front().empty())
    bad.add(process.args.from, "nothing to execute: the command is empty");
  check_inside_id(process.user.uid, spec.uid_mappings, "uid", bad);
  check_inside_id(process.user.gid, spec.gid_mappings, "gid", bad);
  if (process.cwd && !process.cwd->value.starts_with('/'))
    bad.add(process.cwd->from,
            fmt::format("working directory \"{}\": must be absolute", process.cwd->value));
  for (const Rlimit& limit : process.rlimits)
    if (limit.soft > limit.hard)
      bad.add(limit.from, fmt::format("rlimit: soft {} is above hard {}", limit.soft, limit.hard));
  if (process.oom_score_adj &&
      (process.oom_score_adj->value < -1000 || process.oom_score_adj->value > 1000))
    bad.add(process.oom_score_adj->from,
            fmt::format("oom score adjustment {}: must be -1000 to 1000",
                        process.oom_score_adj->value));
  if (process.cpus_allowed)
    for (const int cpu : process.cpus_allowed->value)
      if (cpu < 0 || cpu >= kMostCpus)
        bad.add(process.cpus_allowed->from,
                fmt::format("cpu {}: must be 0 to {}", cpu, kMostCpus - 1));
  for (const int fd : process.pass_fds.value)
    if (fd < 0) bad.add(process.pass_fds.from, fmt::format("descriptor {}: is negative", fd));
  if (process.seccomp && process.seccomp->value.has_listener() &&
      (process.init.value || process.in_place.value))
    bad.add(process.seccomp->from,
            "seccomp: a listener is handed over by the command's first process only");
  if (process.in_place.value) check_in_place(spec, bad);
  if (process.init.value && !spec.creates(NamespaceType::pid))
    bad.add(process.init.from, "init: needs a new pid namespace, whose pid 1 it is to be");
  if (process.capabilities) {
    const Capabilities& c = process.capabilities->value;
    if ((c.effective & ~c.permitted) != 0)
      bad.add(process.capabilities->from, "capabilities: effective ones that are not permitted");
    if ((c.ambient & ~(c.permitted & c.inheritable)) != 0)
      bad.add(process.capabilities->from,
              "capabilities: ambient ones that are not both permitted and inheritable");
  }
}

void check_limits(const Resources& wish, Complaints& bad) {
  if (wish.memory_swap_bytes && wish.memory_swap_bytes->value >= 0 &&
      (!wish.memory_limit_bytes || wish.memory_limit_bytes->value < 0 ||
       wish.memory_limit_bytes->value > wish.memory_swap_bytes->value))
    bad.add(wish.memory_swap_bytes->from,
            "memory and swap together: needs a memory limit that is not above it");
  if ((!wish.cgroup_name.empty() && wish.cgroup_name.find('/') != std::string::npos) ||
      wish.cgroup_name == "." || wish.cgroup_name == "..")
    bad.add(0, fmt::format("cgroup \"{}\": must be one name", wish.cgroup_name));
  for (const UnifiedValue& value : wish.unified)
    if (value.file.find('/') != std::string::npos || value.file.find('.') == std::string::npos)
      bad.add(value.from, fmt::format("\"{}\": is no file of a cgroup controller", value.file));
}

void check_mounts(const Spec& spec, Complaints& bad) {
  for (const FsOperation& op : spec.mounts) {
    if (!op.destination.starts_with('/'))
      bad.add(op.from, fmt::format("destination \"{}\": must be absolute", op.destination));
    if (const auto* bind = std::get_if<Bind>(&op.what)) {
      check_lines(bind->uid_mappings, "uid", op.from, bad);
      check_lines(bind->gid_mappings, "gid", op.from, bad);
      if (bind->detached && bind->source_fd < 0)
        bad.add(op.from, "bind: only a descriptor can be of a detached tree");
    } else if (const auto* overlay = std::get_if<Overlay>(&op.what)) {
      if (overlay->lower.empty()) bad.add(op.from, "overlay: has no lower layer");
      if (overlay->upper.empty() != overlay->work.empty())
        bad.add(op.from, "overlay: upper and work go together");
    } else if (const auto* device = std::get_if<MakeDevice>(&op.what)) {
      constexpr mode_t kType = 0170000;
      const mode_t type = device->mode & kType;
      if (type != 0020000 && type != 0060000 && type != 0010000)
        bad.add(op.from, fmt::format("device \"{}\": must be a character or block device or a FIFO",
                                     op.destination));
    }
  }
}

/// A text with a NUL byte would end early in a system call: refused, never cut.
class NulCheck {
 public:
  explicit NulCheck(Complaints& bad) : bad_(bad) {}
  void operator()(std::string_view text, Origin from) {
    if (text.find('\0') != std::string_view::npos)
      bad_.add(from, fmt::format("\"{}\": has a NUL byte in it", text.substr(0, text.find('\0'))));
  }
  void operator()(const std::vector<std::string>& texts, Origin from) {
    for (const std::string& text : texts) (*this)(text, from);
  }
  template <class T>
  void operator()(const Wish<T>& wish) {
    if (wish) (*this)(wish->value, wish->from);
  }
  void operator()(const Overlay& overlay, Origin from) {
    (*this)(overlay.lower, from);
    (*this)(overlay.upper, from);
    (*this)(overlay.work, from);
  }
  void operator()(const FsOperation& op) {
    (*this)(op.destination, op.from);
    if (const auto* bind = std::get_if<Bind>(&op.what)) (*this)(bind->source, op.from);
    if (const auto* overlay = std::get_if<Overlay>(&op.what)) (*this)(*overlay, op.from);
    if (const auto* link = std::get_if<MakeSymlink>(&op.what)) (*this)(link->target, op.from);
    if (const auto* file = std::get_if<MakeFile>(&op.what)) (*this)(file->source, op.from);
    if (const auto* write = std::get_if<WriteFile>(&op.what)) (*this)(write->text, op.from);
    if (const auto* fs = std::get_if<FileSystem>(&op.what)) {
      (*this)(fs->type, op.from);
      (*this)(fs->source, op.from);
      for (const auto& [key, value] : fs->options) {
        (*this)(key, op.from);
        (*this)(value, op.from);
      }
    }
  }

 private:
  Complaints& bad_;
};

void check_nul(const Spec& spec, Complaints& bad) {
  NulCheck check(bad);
  check(spec.process.args.value, spec.process.args.from);
  check(spec.process.env);
  for (const FsOperation& op : spec.mounts) check(op);
  if (spec.root) check(spec.root->path, spec.root->from);
  if (spec.root && spec.root->overlay) check(*spec.root->overlay, spec.root->from);
  for (const auto* wish : {&spec.hostname, &spec.domainname, &spec.process.cwd,
                           &spec.process.apparmor_profile, &spec.process.selinux_label})
    check(*wish);
  for (const auto* hooks : {&spec.create_hooks, &spec.start_hooks})
    for (const Hook& hook : *hooks) {
      check(hook.path, hook.from);
      check(hook.args, hook.from);
      check(hook.env, hook.from);
    }
  check(spec.process.session_keyring);
  for (const NamespaceWish& wish : spec.namespaces) check(wish.path, wish.from);
  for (const KeepWish& wish : spec.keep) check(wish.path, wish.from);
  for (const auto& [key, value] : spec.sysctl) {
    check(key, value.from);
    check(value.value, value.from);
  }
  check(spec.resources.cgroup_name, 0);
  for (const UnifiedValue& value : spec.resources.unified) {
    check(value.file, value.from);
    check(value.value, value.from);
  }
}

}  // namespace

Origin Spec::add_origin(std::string text) {
  const auto found = std::find(origins.begin(), origins.end(), text);
  if (found != origins.end()) return static_cast<Origin>(found - origins.begin());
  constexpr size_t kMost = 0xffff;
  if (origins.size() > kMost) return 0;
  origins.push_back(std::move(text));
  return static_cast<Origin>(origins.size() - 1);
}

const NamespaceWish* Spec::find(NamespaceType type) const {
  for (const NamespaceWish& wish : namespaces)
    if (wish.type == type) return &wish;
  return nullptr;
}

bool Spec::creates(NamespaceType type) const {
  const NamespaceWish* wish = find(type);
  return wish != nullptr && !wish->joins();
}

std::vector<Error> validate(const Spec& spec) {
  Complaints bad(spec);
  check_namespaces(spec, bad);
  check_id_map(spec.uid_mappings, "uid", spec, bad);
  check_id_map(spec.gid_mappings, "gid", spec, bad);
  check_process(spec, bad);
  check_mounts(spec, bad);
  check_limits(spec.resources, bad);
  check_nul(spec, bad);
  return bad.take();
}

}  // namespace isle
