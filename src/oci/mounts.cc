// "mounts", "linux.devices", masked and read-only paths: what is done to the root, in this order.
#include <fmt/format.h>
#include <linux/mount.h>

#include <algorithm>
#include <charconv>

#include "isle/names.h"
#include "oci/config.h"

namespace isle::oci {
namespace {

struct Options {
  MountAttributes attributes;
  Propagation propagation = Propagation::unchanged;
  bool propagation_recursive = false;
  std::optional<bool> bind;  ///< False: only the mount itself; true: with those below.
  bool idmap = false;
  bool idmap_recursive = false;
  bool copy_up = false;
  bool source_no_follow = false;
  bool copy_link = false;
  bool no_follow = false;
  std::string idmap_text;  ///< "uids=0-1-10;gids=@0-0-10"
  std::vector<std::pair<std::string, std::string>> data;
};

void add(MountAttributes& to, const MountAttributes& more) {
  // A later word takes an earlier one back ("ro,rw").
  to.set = (to.set & ~more.clear) | more.set;
  to.clear = (to.clear & ~more.set) | more.clear;
  to.recursive_set = (to.recursive_set & ~more.recursive_clear) | more.recursive_set;
  to.recursive_clear = (to.recursive_clear & ~more.recursive_set) | more.recursive_clear;
}

/// Words that mean nothing for a new mount, or what is so anyway.
bool is_empty_word(std::string_view word) {
  constexpr std::string_view kWords[] = {"loud",        "silent",        "nomand",    "mand",
                                         "norelatime",  "nostrictatime", "async",     "remount",
                                         "rnorelatime", "iversion",      "noiversion"};
  return std::ranges::find(kWords, word) != std::end(kWords);
}

void read_option(const Node& node, Options& options) {
  const std::string word = node.text();
  if (word.empty() || is_empty_word(word)) return;
  if (word == "tmpcopyup") {
    options.copy_up = true;
  } else if (word == "src-nofollow") {
    options.source_no_follow = true;
  } else if (word == "copy-symlink") {
    options.copy_link = true;
  } else if (word == "dest-nofollow") {
    options.no_follow = true;
  } else if (const std::string_view name = std::string_view(word).substr(0, word.find('='));
             name == "idmap" || name == "ridmap") {
    options.idmap = true;
    options.idmap_recursive = name == "ridmap";
    options.idmap_text = word.substr(std::min(word.size(), name.size() + 1));
  } else if (const auto option = parse_mount_option(word)) {
    add(options.attributes, option->attributes);
    if (option->bind) options.bind = option->bind;
    if (option->propagation) {
      options.propagation = *option->propagation;
      options.propagation_recursive = option->propagation_recursive;
    }
  } else if (const size_t sign = word.find('='); sign != std::string::npos) {
    options.data.emplace_back(word.substr(0, sign), word.substr(sign + 1));
  } else {
    options.data.emplace_back(word, "");
  }
}

IdMap read_mappings(const Node& parent, std::string_view key) {
  IdMap map;
  for (const Node& line : parent.elements(key)) {
    const auto inside = line.require("containerID");
    const auto outside = line.require("hostID");
    const auto size = line.require("size");
    if (inside && outside && size) map.push_back({inside->id(), outside->id(), size->id()});
  }
  return map;
}

/// "0-1-10": the first id of the file system, the one it is shown as, how many. With "@" the second
/// is one of the container, and stands for what that one is on the host.
std::optional<IdMapping> read_range(std::string_view text, const Wish<IdMap>& container) {
  const bool relative = text.starts_with('@');
  if (relative) text.remove_prefix(1);
  uint32_t numbers[3] = {};
  for (uint32_t& number : numbers) {
    const bool last = &number == std::end(numbers) - 1;
    const std::string_view word = text.substr(0, last ? text.size() : text.find('-'));
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  const auto host = relative ? to_host(container ? container->value : IdMap{}, numbers[1])
                             : std::optional(numbers[1]);
  if (!host) return std::nullopt;
  return IdMapping{numbers[0], *host, numbers[2]};
}

/// The option idmap=..., which podman hands on.
void read_idmap(const Node& mount, std::string_view text, const Spec& spec, Bind& bind) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const bool uids = part.starts_with("uids=");
    std::string_view ranges = part.substr(std::min(part.size(), part.find('=') + 1));
    bool good = uids || part.starts_with("gids=");
    while (good && !ranges.empty()) {
      const std::string_view one = ranges.substr(0, ranges.find('#'));
      ranges.remove_prefix(std::min(ranges.size(), one.size() + 1));
      const auto range = read_range(one, uids ? spec.uid_mappings : spec.gid_mappings);
      good = range.has_value();
      if (good) (uids ? bind.uid_mappings : bind.gid_mappings).push_back(*range);
    }
    if (!good)
      mount.refuse(
          fmt::format("idmap: found \"{}\", expected uids= or gids= and FILE-HOST-COUNT, or "
                      "@FILE-CONTAINER-COUNT, with \"#\" between",
                      part));
  }
}

/// What an option sets or clears replaces what the source's mount has, as with mount(2)'s MS_REMOUNT |
/// MS_BIND, which engines know from other runtimes; without one all is as there. A container with user ids of
/// its own is not given what the source's mount forbids, unless an option says so. What is locked stays: podman
/// says "rw" of every volume, an ordinary user's from a read-only mount too.
void replace_flags(const Spec& spec, Bind& bind) {
  constexpr uint64_t kNeverLocked = MOUNT_ATTR_NOSYMFOLLOW;
  constexpr uint64_t kLockable =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const uint64_t said = bind.attributes.set | bind.attributes.clear;
  if (said == 0) return;
  bind.clear_unlocked = spec.find(NamespaceType::user) == nullptr
                            ? kLockable & ~bind.attributes.set
                            : kLockable & bind.attributes.clear;
  bind.attributes.clear &= ~kLockable;
  bind.attributes.clear |= kNeverLocked & ~said;
}

Bind bind_of(const Node& mount, const Options& options, const Circumstances& with, Spec& spec) {
  Bind bind{.recursive = options.bind.value_or(true),
            .attributes = options.attributes,
            .propagation = options.propagation,
            .propagation_recursive = options.propagation_recursive,
            .uid_mappings = read_mappings(mount, "uidMappings"),
            .gid_mappings = read_mappings(mount, "gidMappings"),
            .idmap_recursive = options.idmap_recursive,
            .no_follow = options.source_no_follow,
            .copy_link = options.copy_link};
  if (const auto source = mount.require("source")) {
    bind.source = source->text();
    if (bind.source.empty()) source->expected("a path");
    if (!bind.source.starts_with('/')) bind.source = with.bundle + "/" + bind.source;
  }
  if (bind.uid_mappings.empty() && bind.gid_mappings.empty())
    read_idmap(mount, options.idmap_text, spec, bind);
  if (options.idmap && bind.uid_mappings.empty() && bind.gid_mappings.empty()) {
    // Without maps of its own: those of the container.
    if (spec.uid_mappings) bind.uid_mappings = spec.uid_mappings->value;
    if (spec.gid_mappings) bind.gid_mappings = spec.gid_mappings->value;
    const NamespaceWish* userns = spec.find(NamespaceType::user);
    bind.idmap_as_joined = bind.uid_mappings.empty() && userns != nullptr && userns->joins();
    if (bind.uid_mappings.empty() && !bind.idmap_as_joined)
      mount.refuse("idmap: neither the mount nor the container has a map");
  }
  replace_flags(spec, bind);
  if (!options.data.empty())
    mount.warn(fmt::format("\"{}\" means nothing for a bind mount", options.data.front().first));
  return bind;
}

/// linux.mountLabel under the name of the mount option for it, mount(8).
using MountLabel = std::pair<std::string, std::string>;

MountLabel read_label(const Node& config, const Circumstances& with) {
  const auto linux_node = config.get("linux");
  const auto text = linux_node ? linux_node->get("mountLabel") : std::nullopt;
  if (text && text->filled() && !with.selinux())
    text->warn("this kernel has no SELinux; no mount is labelled");
  const auto type = annotation(config, "run.oci.mount_context_type");
  MountLabel label = {type ? type->text() : "context", text ? text->text() : ""};
  constexpr std::string_view kTypes[] = {"context", "fscontext", "defcontext", "rootcontext"};
  if (std::ranges::find(kTypes, label.first) == std::end(kTypes))
    type->expected(R"("context", "fscontext", "defcontext" or "rootcontext")");
  return label;
}

/// For file systems that keep labels of their own.
void put_label(const MountLabel& label, const Circumstances& with, FileSystem& fs) {
  constexpr std::string_view kWithout[] = {"proc", "sysfs", "cgroup", "cgroup2", "mqueue"};
  if (!label.second.empty() && with.selinux() &&
      std::ranges::find(kWithout, fs.type) == std::end(kWithout))
    fs.options.push_back(label);
}

/// "//a/./b/../" as "/a": by the names alone, no link is looked at.
std::string cleaned(std::string_view path) {
  std::string clean;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name == "..")
      clean.resize(std::min(clean.size(), clean.rfind('/')));
    else if (!name.empty() && name != ".")
      clean.append("/").append(name);
  }
  return clean;
}

/// A destination as the host has it is meant below the root: runc has always read it so.
std::string inside(std::string path, const std::string& root) {
  const std::string clean = cleaned(path);
  if (root.empty() || !(clean + '/').starts_with(root + '/')) return path;
  return clean == root ? "/" : clean.substr(root.size());
}

/// What stands at /proc is believed by much that runs inside (CVE-2019-16884).
void check_proc(const Node& mount, const FsOperation& operation) {
  if (cleaned(operation.destination) != "/proc") return;
  const auto* fs = std::get_if<FileSystem>(&operation.what);
  const auto* bind = std::get_if<Bind>(&operation.what);
  if ((fs != nullptr && fs->type != "proc") ||
      (bind != nullptr && bind->source != "/proc" && !bind->source.starts_with("/proc/")))
    mount.refuse("nothing but a proc file system can be mounted on /proc");
}

void read_mount(const Node& mount, const Circumstances& with, const MountLabel& label,
                const std::string& root, Spec& spec) {
  const auto destination = mount.require("destination");
  if (!destination) return;
  std::string path = destination->text();
  if (path.empty()) destination->expected("a path");
  if (!path.starts_with('/')) path.insert(0, "/");
  path = inside(std::move(path), root);
  Options options;
  for (const Node& option : mount.elements("options")) read_option(option, options);
  warn_of_propagation(mount, options.propagation, spec);
  const std::string type = mount.text_or("type");
  const Origin from = spec.add_origin(mount.where());
  FsOperation operation{
      .destination = std::move(path), .what = Mask{}, .from = from, .no_follow = options.no_follow};
  if (options.copy_up && type != "tmpfs") mount.refuse("tmpcopyup is for tmpfs");
  if (type == "bind" || options.bind) {
    operation.what = bind_of(mount, options, with, spec);
  } else if (type.empty() || type == "none") {
    mount.refuse("has neither a type nor the option \"bind\" or \"rbind\"");
  } else {
    if (options.idmap || !mount.elements("uidMappings").empty())
      mount.refuse(fmt::format("isle-oci idmaps binds only, not \"{}\"", type));
    MountAttributes attributes = options.attributes;
    attributes.set |= attributes.recursive_set;
    operation.what = FileSystem{.type = type,
                                .source = mount.text_or("source", type),
                                .options = std::move(options.data),
                                .attributes = attributes,
                                .propagation = options.propagation,
                                .refuse_links = type == "proc" || type == "sysfs",
                                .copy_up = options.copy_up};
    put_label(label, with, std::get<FileSystem>(operation.what));
  }
  check_proc(mount, operation);
  spec.mounts.push_back(std::move(operation));
}

struct Node4 {
  const char* path;
  uint32_t major;
  uint32_t minor;
};
constexpr Node4 kDefaultDevices[] = {{"/dev/null", 1, 3},    {"/dev/zero", 1, 5},
                                     {"/dev/full", 1, 7},    {"/dev/random", 1, 8},
                                     {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
constexpr std::pair<const char*, const char*> kLinks[] = {{"/dev/fd", "/proc/self/fd"},
                                                          {"/dev/stdin", "/proc/self/fd/0"},
                                                          {"/dev/stdout", "/proc/self/fd/1"},
                                                          {"/dev/stderr", "/proc/self/fd/2"},
                                                          {"/dev/ptmx", "pts/ptmx"}};
constexpr mode_t kCharacter = 0020000;
constexpr mode_t kBlock = 0060000;
constexpr mode_t kFifo = 0010000;

std::optional<MakeDevice> read_device(const Node& node) {
  const auto type = node.require("type");
  if (!type) return std::nullopt;
  const std::string word = type->text();
  mode_t kind = 0;
  if (word == "c" || word == "u")
    kind = kCharacter;
  else if (word == "b")
    kind = kBlock;
  else if (word == "p")
    kind = kFifo;
  else
    type->expected("\"c\", \"u\", \"b\" or \"p\"");
  constexpr int64_t kMostPermissions = 07777;
  constexpr int64_t kDefaultPermissions = 0666;
  const auto number = [&](const char* key, int64_t most, int64_t fallback) {
    const auto found = node.get(key);
    return static_cast<uint32_t>(found ? found->integer(0, most) : fallback);
  };
  constexpr int64_t kMostMajor = (1 << 12) - 1;
  constexpr int64_t kMostMinor = (1 << 20) - 1;
  if (kind != kFifo) {
    (void)node.require("major");
    (void)node.require("minor");
  }
  // Engines that have it from stat(2) leave the type's bits in fileMode.
  const auto mode = node.get("fileMode");
  const auto permissions = static_cast<mode_t>(mode ? mode->integer(0, 0177777) & kMostPermissions
                                                    : kDefaultPermissions);
  constexpr int64_t kMostId = 0xffffffff;
  return MakeDevice{.mode = kind | permissions,
                    .major = number("major", kMostMajor, 0),
                    .minor = number("minor", kMostMinor, 0),
                    .uid = number("uid", kMostId, 0),
                    .gid = number("gid", kMostId, 0)};
}

std::string without_last_slashes(const std::string& path) {
  return path.substr(0, path.find_last_not_of('/') + 1);
}

bool is_host_dev(const Spec& spec) {
  return std::ranges::any_of(spec.mounts, [](const FsOperation& op) {
    return without_last_slashes(op.destination) == "/dev" && std::holds_alternative<Bind>(op.what);
  });
}

bool is_listed(const Spec& spec, std::string_view path) {
  return std::ranges::any_of(spec.mounts,
                             [&](const FsOperation& op) { return op.destination == path; });
}

/// Of the paths of `key`, one operation each; what is missing is passed over.
template <class Operation>
void cover_paths(const Node& linux_node, std::string_view key, Spec& spec, const Operation& what) {
  for (const Node& path : linux_node.elements(key)) {
    FsOperation op{.destination = path.text(),
                   .what = what,
                   .optional = true,
                   .from = spec.add_origin(path.where())};
    if (!op.destination.starts_with('/')) path.expected("an absolute path");
    spec.mounts.push_back(std::move(op));
  }
}

}  // namespace

void read_devices(const Node& config, Spec& spec) {
  if (is_host_dev(spec)) return;
  const auto linux_node = config.get("linux");
  const auto devices = linux_node ? linux_node->elements("devices") : std::vector<Node>{};
  for (const Node& node : devices) {
    const auto path = node.require("path");
    const auto device = read_device(node);
    if (!path || !device) continue;
    if (!path->text().starts_with("/")) path->expected("an absolute path");
    spec.mounts.push_back({.destination = without_last_slashes(path->text()),
                           .what = *device,
                           .optional = true,
                           .from = spec.add_origin(node.where())});
  }
  constexpr mode_t kDeviceMode = kCharacter | 0666;
  for (const Node4& device : kDefaultDevices) {
    if (is_listed(spec, device.path)) continue;
    spec.mounts.push_back(
        {.destination = device.path,
         .what = MakeDevice{.mode = kDeviceMode, .major = device.major, .minor = device.minor},
         .optional = true});
  }
  for (const auto& [path, target] : kLinks) {
    if (is_listed(spec, path)) continue;
    spec.mounts.push_back(
        {.destination = path, .what = MakeSymlink{.target = target}, .optional = true});
  }
}

void read_mounts(const Node& config, const Circumstances& with, Spec& spec) {
  const MountLabel label = read_label(config, with);
  const std::string root = spec.root ? cleaned(spec.root->path) : "";
  constexpr size_t kUsual = 64;  // with devices, links and covered paths
  spec.mounts.reserve(kUsual);
  for (const Node& mount : config.elements("mounts")) read_mount(mount, with, label, root, spec);
  read_devices(config, spec);
  if (spec.process.terminal.value && !is_listed(spec, "/dev/console"))
    spec.process.console_path = {.value = "/dev/console", .from = spec.process.terminal.from};
  if (spec.process.cwd && spec.process.cwd->value != "/")
    spec.mounts.push_back({.destination = spec.process.cwd->value,
                           .what = MakeDirectory{},
                           .from = spec.process.cwd->from});
  const auto linux_node = config.get("linux");
  if (!linux_node) return;
  cover_paths(*linux_node, "maskedPaths", spec, Mask{});
  Remount read_only{.bind = true};
  read_only.attributes = parse_mount_option("ro")->attributes;
  cover_paths(*linux_node, "readonlyPaths", spec, read_only);
}

}  // namespace isle::oci
