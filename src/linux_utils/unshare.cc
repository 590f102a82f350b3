#include "linux_utils/unshare.h"

#include <fmt/format.h>
#include <linux/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "isle/host.h"
#include "isle/names.h"
#include "isle/namespace.h"
#include "isle/user_namespace.h"
#include "linux_utils/id_ranges.h"

namespace isle::linux_utils {
namespace {

enum Value : int {
  kMountProc = 256,
  kMountBinfmt,
  kPropagation,
  kSetgroups,
  kKillChild,
  kForwardSignals,
  kKeepCaps,
  kMapUser,
  kMapUsers,
  kMapGroup,
  kMapGroups,
  kMapAuto,
  kMapSubids,
  kOwner,
  kMonotonic,
  kBoottime,
  kClearEnv,
  kKeepEnv,
  kExplain,
};

constexpr auto kNames = std::to_array<option>({
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {"mount", optional_argument, nullptr, 'm'},
    {"uts", optional_argument, nullptr, 'u'},
    {"ipc", optional_argument, nullptr, 'i'},
    {"net", optional_argument, nullptr, 'n'},
    {"pid", optional_argument, nullptr, 'p'},
    {"user", optional_argument, nullptr, 'U'},
    {"cgroup", optional_argument, nullptr, 'C'},
    {"time", optional_argument, nullptr, 'T'},
    {"fork", no_argument, nullptr, 'f'},
    {"kill-child", optional_argument, nullptr, kKillChild},
    {"forward-signals", no_argument, nullptr, kForwardSignals},
    {"mount-proc", optional_argument, nullptr, kMountProc},
    {"mount-binfmt", optional_argument, nullptr, kMountBinfmt},
    {"load-interp", required_argument, nullptr, 'l'},
    {"map-user", required_argument, nullptr, kMapUser},
    {"map-users", required_argument, nullptr, kMapUsers},
    {"map-group", required_argument, nullptr, kMapGroup},
    {"map-groups", required_argument, nullptr, kMapGroups},
    {"map-root-user", no_argument, nullptr, 'r'},
    {"map-current-user", no_argument, nullptr, 'c'},
    {"map-auto", no_argument, nullptr, kMapAuto},
    {"map-subids", no_argument, nullptr, kMapSubids},
    {"owner", required_argument, nullptr, kOwner},
    {"propagation", required_argument, nullptr, kPropagation},
    {"setgroups", required_argument, nullptr, kSetgroups},
    {"keep-caps", no_argument, nullptr, kKeepCaps},
    {"setuid", required_argument, nullptr, 'S'},
    {"setgid", required_argument, nullptr, 'G'},
    {"root", required_argument, nullptr, 'R'},
    {"wd", required_argument, nullptr, 'w'},
    {"monotonic", required_argument, nullptr, kMonotonic},
    {"boottime", required_argument, nullptr, kBoottime},
    {"clear-env", no_argument, nullptr, kClearEnv},
    {"whitelist-env", required_argument, nullptr, kKeepEnv},
    {"explain", optional_argument, nullptr, kExplain},
    {nullptr, 0, nullptr, 0},
});

/// "auto", "subids" and "all" wait until the caller's ranges are known.
enum class Block : uint8_t { automatic, subordinate, all };

/// What is to be mapped of one kind of ids.
struct Mapping {
  std::optional<uint32_t> own;  ///< What the caller's own id is inside.
  IdMap ranges;
  std::vector<Block> blocks;
  Origin from = 0;
  [[nodiscard]] bool has_ranges() const { return !ranges.empty() || !blocks.empty(); }
};

class Parser {
 public:
  Parser(std::span<char* const> argv, const Surroundings& here)
      : reader_(argv, "+:fhVmuinpCTUrR:w:S:G:cl:", kNames), here_(here) {}
  Result<Command> parse();

 private:
  Status take(int value);
  Status take_process(int value);
  Status take_map(int value);
  Status take_mount(int value);
  Status take_environment(int value);
  Status add_block(Mapping& mapping, Origin from);
  Status set_id(Wish<uint32_t>& wish, std::string_view what);
  Status set_own(Mapping& mapping, Result<uint32_t> (*find)(std::string_view));
  Status add_offset(TimeOffset::Clock clock);
  void want(NamespaceType type, Origin from);
  Status settle();
  Status settle_maps();
  Status settle_owner();
  Result<IdMap> lines_of(const Mapping& mapping, bool groups, const Host& host, uint32_t own) const;
  Status settle_mounts();
  Status mount_on(const char* type, const Asked<std::string>& where);
  void settle_environment();
  [[nodiscard]] std::string inside(const std::string& path) const;

  OptionReader reader_;
  const Surroundings& here_;
  Command command_;
  Mapping users_;
  Mapping groups_;
  std::optional<Asked<std::string>> proc_;
  std::optional<Asked<std::string>> binfmt_;
  Wish<UserNamespaceOwner> owner_;
  std::vector<Asked<std::string>> interpreters_;
  std::optional<Asked<std::string>> directory_;
  bool keep_capabilities_ = false;
  bool clear_environment_ = false;
  std::vector<std::string> kept_variables_;
  Origin environment_from_ = 0;
};

Result<Command> Parser::parse() {
  const auto goes_on = read_options(reader_, command_, [&](int value) { return take(value); });
  if (!goes_on) return std::unexpected(goes_on.error());
  if (!*goes_on) return std::move(command_);
  if (Status status = settle(); !status) return std::unexpected(std::move(status.error()));
  return std::move(command_);
}

void Parser::want(NamespaceType type, Origin from) {
  if (command_.spec.find(type) == nullptr)
    command_.spec.namespaces.push_back({.type = type, .from = from});
}

Status Parser::take(int value) {
  Spec& spec = command_.spec;
  const Origin from = spec.add_origin(reader_.where());
  for (const auto& [letter, type] : kTypeLetters) {
    if (letter != value) continue;
    want(type, from);
    if (!reader_.has_argument()) return {};
    const std::string path = reader_.argument();
    if (::access(path.c_str(), F_OK) != 0)
      return fail(errno, fmt::format("keep the {} namespace at \"{}\"", to_string(type), path),
                  "unshare(1) takes a file that exists; touch makes it");
    spec.keep.push_back({.type = type, .path = absolute(path, here_.cwd), .from = from});
    return {};
  }
  return take_process(value);
}

Status Parser::take_process(int value) {
  Spec& spec = command_.spec;
  const Origin from = spec.add_origin(reader_.where());
  switch (value) {
    case 'f':
      command_.forks = true;
      return {};
    case kForwardSignals:
      command_.forks = command_.forwards_signals = true;
      return {};
    case kKillChild: {
      command_.forks = true;
      spec.process.die_with_parent = {true, from};
      const auto signal = parse_signal(reader_.has_argument() ? reader_.argument() : "KILL");
      if (!signal) return fail(0, fmt::format("unknown signal: {}", reader_.argument()));
      spec.process.death_signal = *signal;
      return {};
    }
    case kKeepCaps:
      keep_capabilities_ = true;
      return {};
    case 'S':
      return set_id(spec.process.user.uid, "uid");
    case 'G':
      return set_id(spec.process.user.gid, "gid");
    case 'R':
      spec.root_directory = {{reader_.argument(), from}};
      return {};
    case 'w':
      directory_ = {reader_.argument(), from};
      return {};
    case kExplain:
      command_.show = reader_.argument() == "json" ? Command::Show::plan_json : Command::Show::plan;
      return {};
    case kMonotonic:
      return add_offset(TimeOffset::Clock::monotonic);
    case kBoottime:
      return add_offset(TimeOffset::Clock::boottime);
    default:
      return take_map(value);
  }
}

Status Parser::take_map(int value) {
  Spec& spec = command_.spec;
  const Origin from = spec.add_origin(reader_.where());
  switch (value) {
    case kMapUser:
      return set_own(users_, here_.find_user);
    case kMapGroup:
      return set_own(groups_, here_.find_group);
    case kMapUsers:
      return add_block(users_, from);
    case kMapGroups:
      return add_block(groups_, from);
    case 'r':
    case 'c':
      want(NamespaceType::user, from);
      users_.own = value == 'r' ? 0U : here_.uid;
      groups_.own = value == 'r' ? 0U : here_.gid;
      users_.from = groups_.from = from;
      return {};
    case kMapAuto:
    case kMapSubids:
      want(NamespaceType::user, from);
      for (Mapping* mapping : {&users_, &groups_}) {
        mapping->blocks = {value == kMapAuto ? Block::automatic : Block::subordinate};
        mapping->from = from;
      }
      return {};
    case kOwner: {
      const std::string text = reader_.argument();
      const size_t colon = text.find(':');
      if (colon == std::string::npos) return fail(0, fmt::format("\"{}\" is no UID:GID", text));
      const auto uid = parse_id(text.substr(0, colon), "uid");
      if (!uid) return std::unexpected(uid.error());
      const auto gid = parse_id(text.substr(colon + 1), "gid");
      if (!gid) return std::unexpected(gid.error());
      want(NamespaceType::user, from);
      owner_ = {{{.uid = *uid, .gid = *gid}, from}};
      return {};
    }
    case kSetgroups:
      if (reader_.argument() != "allow" && reader_.argument() != "deny")
        return fail(0, fmt::format("unsupported --setgroups argument '{}'", reader_.argument()));
      spec.allow_setgroups = {{reader_.argument() == "allow", from}};
      return {};
    default:
      return take_mount(value);
  }
}

Status Parser::take_mount(int value) {
  Spec& spec = command_.spec;
  const Origin from = spec.add_origin(reader_.where());
  switch (value) {
    case kMountProc:
      want(NamespaceType::mount, from);
      proc_ = {reader_.has_argument() ? reader_.argument() : "/proc", from};
      return {};
    case kMountBinfmt:
      want(NamespaceType::mount, from);
      binfmt_ = {reader_.has_argument() ? reader_.argument() : "/proc/sys/fs/binfmt_misc", from};
      return {};
    case 'l':
      want(NamespaceType::mount, from);
      if (!binfmt_) binfmt_ = {"/proc/sys/fs/binfmt_misc", from};
      interpreters_.push_back({reader_.argument(), from});
      return {};
    case kPropagation: {
      const auto propagation = parse_propagation(reader_.argument());
      if (!propagation || *propagation == Propagation::unbindable)
        return fail(0, fmt::format("unsupported propagation mode: {}", reader_.argument()));
      spec.mount_propagation = {{*propagation, from}};
      return {};
    }
    default:
      return take_environment(value);
  }
}

Status Parser::take_environment(int value) {
  environment_from_ = command_.spec.add_origin(reader_.where());
  if (value == kClearEnv) clear_environment_ = true;
  if (value != kKeepEnv) return {};
  clear_environment_ = true;
  std::string_view rest = optarg;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    kept_variables_.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return {};
}

Status Parser::set_id(Wish<uint32_t>& wish, std::string_view what) {
  const auto id = parse_id(reader_.argument(), what);
  if (!id) return std::unexpected(id.error());
  wish = {{*id, command_.spec.add_origin(reader_.where())}};
  return {};
}

Status Parser::set_own(Mapping& mapping, Result<uint32_t> (*find)(std::string_view)) {
  Result<uint32_t> id = parse_id(reader_.argument(), "id");
  if (!id && find != nullptr) id = find(reader_.argument());
  if (!id) return std::unexpected(id.error());
  mapping.own = *id;
  mapping.from = command_.spec.add_origin(reader_.where());
  want(NamespaceType::user, mapping.from);
  return {};
}

Status Parser::add_block(Mapping& mapping, Origin from) {
  want(NamespaceType::user, from);
  mapping.from = from;
  const std::string text = reader_.argument();
  if (text == "auto" || text == "subids" || text == "all") {
    mapping.blocks.push_back(text == "auto"     ? Block::automatic
                             : text == "subids" ? Block::subordinate
                                                : Block::all);
    return {};
  }
  const auto range = parse_id_range(text);
  if (!range) return std::unexpected(range.error());
  mapping.ranges.push_back(*range);
  return {};
}

Status Parser::add_offset(TimeOffset::Clock clock) {
  const std::string text = reader_.argument();
  const auto seconds =
      parse_number<int64_t>(std::string_view(text).substr(text.starts_with('+') ? 1 : 0),
                            std::numeric_limits<int64_t>::min());
  int64_t offset_ns = 0;
  if (seconds && __builtin_mul_overflow(*seconds, int64_t{1'000'000'000}, &offset_ns))
    return fail(ERANGE, fmt::format("offset '{}'", text), "292 years are the most");
  if (!seconds)
    return fail(0, fmt::format("failed to parse offset '{}': seconds are wanted", text));
  std::erase_if(command_.spec.time_offsets,
                [&](const TimeOffset& offset) { return offset.clock == clock; });
  command_.spec.time_offsets.push_back(
      {.clock = clock, .offset_ns = offset_ns, .from = command_.spec.add_origin(reader_.where())});
  return {};
}

/// A path below --root, as seen before the root is entered.
std::string Parser::inside(const std::string& path) const {
  std::string full = absolute(path, command_.spec.root_directory ? "/" : here_.cwd);
  if (!command_.spec.root_directory) return full;
  std::string root = absolute(command_.spec.root_directory->value, here_.cwd);
  while (root.ends_with('/')) root.pop_back();
  return root + full;
}

Status Parser::settle_mounts() {
  Spec& spec = command_.spec;
  if (proc_)
    if (Status status = mount_on("proc", *proc_); !status) return status;
  if (!binfmt_) return {};
  if (Status status = mount_on("binfmt_misc", *binfmt_); !status) return status;
  for (Asked<std::string>& interpreter : interpreters_)
    spec.mounts.push_back({.destination = inside(binfmt_->value) + "/register",
                           .what = WriteFile{std::move(interpreter.value)},
                           .from = interpreter.from});
  return {};
}

/// On a directory that is there: none is made.
Status Parser::mount_on(const char* type, const Asked<std::string>& where) {
  const std::string path = inside(where.value);
  if (::access(path.c_str(), F_OK) != 0)
    return std::unexpected(Error{.code = errno,
                                 .what = fmt::format("mount {} on \"{}\"", type, path),
                                 .asked_by = command_.spec.origins[where.from]});
  FileSystem fs{.type = type, .source = type};
  fs.attributes.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
  fs.propagation = Propagation::private_;
  command_.spec.mounts.push_back({.destination = path, .what = std::move(fs), .from = where.from});
  return {};
}

Result<IdMap> Parser::lines_of(const Mapping& mapping, bool groups, const Host& host,
                               uint32_t own) const {
  IdMap lines = mapping.ranges;
  for (const Block block : mapping.blocks) {
    if (block == Block::all) {
      const IdMap& all = groups ? host.own_gid_map : host.own_uid_map;
      if (all.empty()) lines.push_back({0, 0, 0xffffffff});
      for (const IdMapping& line : all)
        lines.push_back({line.container_id, line.container_id, line.size});
      continue;
    }
    const std::vector<SubIdRange>& ranges = groups ? host.subgid : host.subuid;
    if (ranges.empty())
      return std::unexpected(
          Error{.what = fmt::format("no line matching user \"{}\" in /etc/{}", here_.uid,
                                    groups ? "subgid" : "subuid"),
                .asked_by = command_.spec.origins[mapping.from],
                .hint = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"});
    const SubIdRange& first = ranges.front();
    lines.push_back({block == Block::automatic ? 0 : first.start, first.start, first.count});
  }
  return mapping.own ? with_single(lines, *mapping.own, own) : lines;
}

Status Parser::settle_maps() {
  Spec& spec = command_.spec;
  if (!spec.creates(NamespaceType::user)) {
    if (!spec.allow_setgroups) return {};
    return std::unexpected(Error{.code = EPERM,
                                 .what = "--setgroups is for a new user namespace",
                                 .asked_by = spec.origins[spec.allow_setgroups->from],
                                 .hint = "--user"});
  }
  spec.use_subordinate_ids = false;
  if (groups_.own && !groups_.has_ranges()) {
    if (spec.allow_setgroups && spec.allow_setgroups->value)
      return fail(0, "options --setgroups=allow and --map-group are mutually exclusive");
    spec.allow_setgroups = {{false, groups_.from}};
  }
  Host host;
  if (!users_.blocks.empty() || !groups_.blocks.empty()) {
    Spec question;
    question.map_auto.value = true;
    question.namespaces.push_back({.type = NamespaceType::user});
    host = probe_host(question);
  }
  for (const bool groups : {false, true}) {
    const Mapping& mapping = groups ? groups_ : users_;
    if (!mapping.own && !mapping.has_ranges()) {
      (groups ? spec.leave_gids_unmapped : spec.leave_uids_unmapped) = true;
      continue;
    }
    auto lines = lines_of(mapping, groups, host, groups ? here_.gid : here_.uid);
    if (!lines) return std::unexpected(std::move(lines.error()));
    (groups ? spec.gid_mappings : spec.uid_mappings) = {{std::move(*lines), mapping.from}};
  }
  return {};
}

/// Another's user namespace is made by somebody who is that user, and joined.
Status Parser::settle_owner() {
  if (!owner_) return {};
  Spec& spec = command_.spec;
  const auto lines = [](Wish<IdMap>& wish) { return wish ? std::move(wish->value) : IdMap{}; };
  const IdMaps maps{.uids = lines(spec.uid_mappings),
                    .gids = lines(spec.gid_mappings),
                    .setgroups = !spec.allow_setgroups || spec.allow_setgroups->value};
  auto made = create_user_namespace(maps, owner_->value);
  if (!made) {
    made.error().asked_by = spec.origins[owner_->from];
    return std::unexpected(std::move(made.error()));
  }
  spec.uid_mappings.reset();
  spec.gid_mappings.reset();
  spec.allow_setgroups.reset();
  spec.leave_uids_unmapped = spec.leave_gids_unmapped = false;
  command_.held.push_back(std::move(*made).release());
  for (NamespaceWish& wish : spec.namespaces)
    if (wish.type == NamespaceType::user) wish.fd = command_.held.back().get();
  return {};
}

void Parser::settle_environment() {
  if (!clear_environment_) return;
  std::vector<std::string> entries;
  for (const std::string& name : kept_variables_)
    if (const auto value = here_.variable(name))
      entries.push_back(fmt::format("{}={}", name, *value));
  command_.spec.process.env = {{std::move(entries), environment_from_}};
}

Status Parser::settle() {
  Spec& spec = command_.spec;
  ProcessWish& process = spec.process;
  process.user.as_is = true;
  process.pass_all_fds = true;
  if (process.user.gid) process.user.additional_gids = {{{}, process.user.gid->from}};
  if (!spec.time_offsets.empty() && !spec.creates(NamespaceType::time))
    return fail(0, "options --monotonic and --boottime require unsharing of a time namespace (-T)");
  if (Status status = settle_maps(); !status) return status;
  const bool new_user = spec.creates(NamespaceType::user);
  if (Status status = settle_owner(); !status) return status;
  if (Status status = settle_mounts(); !status) return status;
  settle_environment();
  if (directory_) process.cwd = {{absolute(directory_->value, here_.cwd), directory_->from}};
  if (spec.creates(NamespaceType::mount) && !spec.mount_propagation)
    spec.mount_propagation = {{Propagation::private_, 0}};
  if (keep_capabilities_ && new_user) process.capabilities = {in_all_sets(all_capabilities()), 0};
  for (NamespaceWish& wish : spec.namespaces)
    if (wish.type == NamespaceType::pid) wish.for_children = !command_.forks;
  command_.ignores_signals = command_.forks;
  // Maps of more than the own id, and keeping, need a process that stays outside.
  const bool needs_other =
      (!owner_ && (users_.has_ranges() || groups_.has_ranges())) || !spec.keep.empty();
  process.in_place.value = !command_.forks && !needs_other;
  set_command(spec, reader_, here_);
  return {};
}

}  // namespace

std::span<const option> unshare_options() { return std::span(kNames).first(kNames.size() - 1); }

Result<Command> parse_unshare(std::span<char* const> argv, const Surroundings& here) {
  return Parser(argv, here).parse();
}

}  // namespace isle::linux_utils
