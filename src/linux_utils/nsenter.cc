#include "linux_utils/nsenter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "isle/names.h"
#include "isle/namespace.h"
#include "linux_utils/target.h"

namespace isle::linux_utils {
namespace {

enum Value : int { kPreserve = 256, kUserParent, kKeepCaps, kExplain };

constexpr auto kNames = std::to_array<option>({
    {"all", no_argument, nullptr, 'a'},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {"target", required_argument, nullptr, 't'},
    {"mount", optional_argument, nullptr, 'm'},
    {"uts", optional_argument, nullptr, 'u'},
    {"ipc", optional_argument, nullptr, 'i'},
    {"net", optional_argument, nullptr, 'n'},
    {"net-socket", required_argument, nullptr, 'N'},
    {"pid", optional_argument, nullptr, 'p'},
    {"user", optional_argument, nullptr, 'U'},
    {"user-parent", no_argument, nullptr, kUserParent},
    {"cgroup", optional_argument, nullptr, 'C'},
    {"time", optional_argument, nullptr, 'T'},
    {"setuid", required_argument, nullptr, 'S'},
    {"setgid", required_argument, nullptr, 'G'},
    {"root", optional_argument, nullptr, 'r'},
    {"wd", optional_argument, nullptr, 'w'},
    {"wdns", optional_argument, nullptr, 'W'},
    {"env", no_argument, nullptr, 'e'},
    {"no-fork", no_argument, nullptr, 'F'},
    {"join-cgroup", no_argument, nullptr, 'c'},
    {"preserve-credentials", no_argument, nullptr, kPreserve},
    {"keep-caps", no_argument, nullptr, kKeepCaps},
    {"follow-context", no_argument, nullptr, 'Z'},
    {"explain", optional_argument, nullptr, kExplain},
    {nullptr, 0, nullptr, 0},
});

/// A directory to be opened: the target's, or a path.
struct Place {
  bool of_target = false;
  std::string path;
  Origin from = 0;
};

/// -S and -G.
struct Id {
  std::optional<uint32_t> number;
  bool follow = false;
  Origin from = 0;
};

class Parser {
 public:
  Parser(std::span<char* const> argv, const Surroundings& here)
      : reader_(argv, "+:ahVt:m::u::i::n::N:p::C::U::T::S:G:r::w::W:ecFZ", kNames), here_(here) {}
  Result<Command> parse();

 private:
  Status take(int value);
  Status take_process(int value);
  Status take_type(NamespaceType type);
  Status take_id(Id& id, std::string_view what);
  Status settle();
  Status settle_namespaces();
  Status add_all();
  Status net_of_socket();
  Status parent_of_user();
  Status settle_directories();
  Status open_place(const Place& place, const char* name, Wish<int>& wish);
  Status settle_identity();
  Status settle_rest();
  Result<Target*> need_target(std::string_view for_what, Origin from);
  Status open_target();
  [[nodiscard]] bool joins(NamespaceType type) const { return command_.spec.find(type) != nullptr; }
  std::unexpected<Error> complain(Origin from, int code, std::string what) const {
    Error error{.code = code, .what = std::move(what), .asked_by = command_.spec.origins[from]};
    return std::unexpected(std::move(error));
  }

  OptionReader reader_;
  const Surroundings& here_;
  Command command_;
  std::optional<Target> target_;
  Asked<bool> all_;
  std::optional<Asked<int>> socket_;
  std::optional<Origin> user_parent_;
  std::vector<NamespaceWish> of_target_;  ///< Types whose file was not named.
  std::optional<Place> root_;
  std::optional<Place> directory_;
  Id user_;
  Id group_;
  Asked<bool> env_;
  Asked<bool> cgroup_;
  Asked<bool> context_;
  std::optional<bool> fork_;
  bool preserve_ = false;
  bool keep_capabilities_ = false;
};

Result<Command> Parser::parse() {
  const auto goes_on = read_options(reader_, command_, [&](int value) { return take(value); });
  if (!goes_on) return std::unexpected(goes_on.error());
  if (!*goes_on) return std::move(command_);
  if (Status status = settle(); !status) return std::unexpected(std::move(status.error()));
  return std::move(command_);
}

Status Parser::take_type(NamespaceType type) {
  Spec& spec = command_.spec;
  NamespaceWish wish{.type = type, .from = spec.add_origin(reader_.where())};
  const std::string text = reader_.argument();
  if (!reader_.has_argument()) {
    of_target_.push_back(std::move(wish));
    return {};
  }
  if (text.starts_with(':')) {
    const auto unique = parse_number<uint64_t>(std::string_view(text).substr(1));
    if (!unique)
      return fail(0, fmt::format("\"{}\" is not a namespace's 64-bit id", text.substr(1)));
    // The number alone reopens nothing (Linux 6.18): it is looked for.
    auto found = Namespace::of_unique_id(*unique);
    if (!found) return std::unexpected(std::move(found.error()));
    if (found->type() != type)
      return fail(EINVAL, fmt::format("namespace {} is {}", *unique, found->link_text()));
    command_.held.push_back(std::move(*found).release());
    wish.fd = command_.held.back().get();
  } else {
    wish.path = text;
  }
  std::erase_if(spec.namespaces, [&](const NamespaceWish& other) { return other.type == type; });
  spec.namespaces.push_back(std::move(wish));
  return {};
}

Status Parser::take_id(Id& id, std::string_view what) {
  id = {.number = {}, .follow = reader_.argument() == "follow", .from = 0};
  id.from = command_.spec.add_origin(reader_.where());
  if (id.follow) return {};
  const auto number = parse_id(reader_.argument(), what);
  if (!number) return std::unexpected(number.error());
  id.number = *number;
  return {};
}

Status Parser::take(int value) {
  for (const auto& [letter, type] : kTypeLetters)
    if (letter == value) return take_type(type);
  const Origin from = command_.spec.add_origin(reader_.where());
  switch (value) {
    case 'a':
      all_ = {true, from};
      return {};
    case 't': {
      auto target = Target::parse(reader_.argument());
      if (!target) return std::unexpected(std::move(target.error()));
      target->from = from;
      target_ = std::move(*target);
      return {};
    }
    case 'N': {
      const auto fd = parse_number<int>(reader_.argument());
      if (!fd) return fail(0, fmt::format("failed to parse descriptor '{}'", reader_.argument()));
      socket_ = {*fd, from};
      return {};
    }
    case kUserParent:
      user_parent_ = from;
      return {};
    case 'S':
      return take_id(user_, "uid");
    case 'G':
      return take_id(group_, "gid");
    default:
      return take_process(value);
  }
}

Status Parser::take_process(int value) {
  Spec& spec = command_.spec;
  const Origin from = spec.add_origin(reader_.where());
  const Place place{.of_target = !reader_.has_argument(), .path = reader_.argument(), .from = from};
  switch (value) {
    case 'r':
      root_ = place;
      return {};
    case 'w':
      directory_ = place;
      return {};
    case 'W':
      if (!reader_.has_argument()) return {};  // -W takes one, --wdns may
      spec.process.cwd = {{absolute(reader_.argument(), "/"), from}};
      return {};
    case 'e':
      env_ = {true, from};
      return {};
    case 'c':
      cgroup_ = {true, from};
      return {};
    case 'Z':
      context_ = {true, from};
      return {};
    case 'F':
      fork_ = false;
      return {};
    case kPreserve:
      preserve_ = true;
      return {};
    case kKeepCaps:
      keep_capabilities_ = true;
      return {};
    case kExplain:
      command_.show = reader_.argument() == "json" ? Command::Show::plan_json : Command::Show::plan;
      return {};
    default:
      return {};
  }
}

Result<Target*> Parser::need_target(std::string_view for_what, Origin from) {
  if (target_) return &*target_;
  return complain(from, 0, fmt::format("no target PID specified for {}", for_what));
}

Status Parser::open_target() {
  Status status = target_->open();
  if (!status) status.error().asked_by = command_.spec.origins[target_->from];
  return status;
}

/// All types of the target that were not named: not those that are the caller's own already, which
/// setns(2) would refuse or change nothing by.
Status Parser::add_all() {
  const Result<Target*> target = need_target("--all", all_.from);
  if (!target) return std::unexpected(target.error());
  for (const auto& [letter, type] : kTypeLetters) {
    const bool named = joins(type) || std::ranges::any_of(of_target_, [&](const auto& wish) {
                         return wish.type == type;
                       });
    if (named) continue;
    const auto theirs = Namespace::of_process((*target)->pid, type);
    if (!theirs && theirs.error().code == ENOENT && ::kill((*target)->pid, 0) == 0) continue;
    const auto own = Namespace::of_self(type);
    if (theirs && own && *theirs == *own) continue;
    of_target_.push_back({.type = type, .from = all_.from});
  }
  return {};
}

Status Parser::net_of_socket() {
  if (!socket_) return {};
  const Result<Target*> target = need_target("--net-socket", socket_->from);
  if (!target) return std::unexpected(target.error());
  if (Status status = open_target(); !status) return status;
  const Fd socket(
      static_cast<int>(::syscall(SYS_pidfd_getfd, (*target)->pidfd.get(), socket_->value, 0)));
  if (!socket)
    return complain(socket_->from, errno,
                    fmt::format("take descriptor {} of pid {}", socket_->value, (*target)->pid));
  constexpr unsigned long kGetNetworkNamespace = 0x894C;  // SIOCGSKNS, linux/sockios.h
  command_.held.emplace_back(::ioctl(socket.get(), kGetNetworkNamespace));
  if (!command_.held.back())
    return complain(socket_->from, errno,
                    fmt::format("network namespace of descriptor {}", socket_->value));
  command_.spec.namespaces.push_back(
      {.type = NamespaceType::network, .fd = command_.held.back().get(), .from = socket_->from});
  return {};
}

/// The user namespace around the one asked for, or the one that owns another that is.
Status Parser::parent_of_user() {
  if (!user_parent_) return {};
  Spec& spec = command_.spec;
  std::vector<NamespaceWish>& wishes = spec.namespaces;
  if (wishes.empty())
    return complain(*user_parent_, 0, "no namespace to get the parent user namespace from");
  auto source = std::ranges::find(wishes, NamespaceType::user, &NamespaceWish::type);
  if (source == wishes.end()) source = wishes.begin();
  Result<Namespace> from = !source->path.empty() ? Namespace::of_path(source->path)
                           : target_ && source->fd == target_->pidfd.get()
                               ? Namespace::of_process(target_->pid, source->type)
                               : Namespace::from_fd(Fd(::fcntl(source->fd, F_DUPFD_CLOEXEC, 0)));
  auto owner = from ? from->owner() : Result<Namespace>(std::unexpected(from.error()));
  if (!owner) {
    owner.error().asked_by = spec.origins[*user_parent_];
    return std::unexpected(std::move(owner.error()));
  }
  std::erase_if(wishes, [](const auto& wish) { return wish.type == NamespaceType::user; });
  command_.held.push_back(std::move(*owner).release());
  wishes.push_back(
      {.type = NamespaceType::user, .fd = command_.held.back().get(), .from = *user_parent_});
  return {};
}

Status Parser::settle_namespaces() {
  if (all_.value)
    if (Status status = add_all(); !status) return status;
  if (Status status = net_of_socket(); !status) return status;
  for (NamespaceWish& wish : of_target_) {
    if (joins(wish.type)) continue;
    if (!target_)
      return complain(wish.from, 0,
                      fmt::format("neither filename nor target pid supplied for ns/{}",
                                  type_info(wish.type).proc_name));
    if (Status status = open_target(); !status) return status;
    wish.fd = target_->pidfd.get();
    command_.spec.namespaces.push_back(wish);
  }
  return parent_of_user();
}

Status Parser::open_place(const Place& place, const char* name, Wish<int>& wish) {
  std::string path = place.path;
  if (place.of_target) {
    if (!target_)
      return complain(place.from, 0,
                      fmt::format("neither filename nor target pid supplied for {}", name));
    path = fmt::format("/proc/{}/{}", target_->pid, name);
  }
  Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return complain(place.from, errno, fmt::format("cannot open {}", path));
  command_.held.push_back(std::move(fd));
  wish = {{command_.held.back().get(), place.from}};
  return {};
}

Status Parser::settle_directories() {
  Spec& spec = command_.spec;
  if (spec.process.cwd && directory_)
    return complain(spec.process.cwd->from, 0, "--wd and --wdns are mutually exclusive");
  if (root_)
    if (Status status = open_place(*root_, "root", spec.root_fd); !status) return status;
  if (directory_) return open_place(*directory_, "cwd", spec.cwd_fd);
  // A new root alone leaves the working directory where it is.
  if (root_ && !spec.process.cwd && !joins(NamespaceType::mount))
    return open_place({.of_target = false, .path = ".", .from = root_->from}, "cwd", spec.cwd_fd);
  return {};
}

/// In a user namespace the command is root, or whom it is asked to be.
Status Parser::settle_identity() {
  User& user = command_.spec.process.user;
  user.as_is = true;
  const bool sets = joins(NamespaceType::user) && !preserve_;
  struct stat status{};
  if (user_.follow || group_.follow) {
    const Origin from = user_.follow ? user_.from : group_.from;
    const Result<Target*> target = need_target("--setuid=follow", from);
    if (!target) return std::unexpected(target.error());
    if (::stat(fmt::format("/proc/{}", (*target)->pid).c_str(), &status) != 0)
      return complain(from, errno, fmt::format("look at pid {}", (*target)->pid));
  }
  const auto settle_id = [&](const Id& id, uint32_t followed, Wish<uint32_t>& wish) {
    if (id.follow)
      wish = {{followed, id.from}};
    else if (id.number)
      wish = {{*id.number, id.from}};
    else if (sets)
      wish = {{0, 0}};
  };
  settle_id(user_, status.st_uid, user.uid);
  settle_id(group_, status.st_gid, user.gid);
  if (user.gid) user.additional_gids = {{{}, user.gid->from}};
  if (keep_capabilities_ && joins(NamespaceType::user))
    command_.spec.process.capabilities = {in_all_sets(all_capabilities()), 0};
  return {};
}

Status Parser::settle_rest() {
  Spec& spec = command_.spec;
  if (env_.value) {
    const Result<Target*> target = need_target("--env", env_.from);
    if (!target) return std::unexpected(target.error());
    auto environment = (*target)->environment();
    if (!environment) return std::unexpected(std::move(environment.error()));
    spec.process.env = {{std::move(*environment), env_.from}};
  }
  if (cgroup_.value) {
    const Result<Target*> target = need_target("--join-cgroup", cgroup_.from);
    if (!target) return std::unexpected(target.error());
    auto directories = (*target)->cgroups();
    if (!directories) return std::unexpected(std::move(directories.error()));
    for (std::string& directory : *directories)
      spec.resources.join.push_back({std::move(directory), cgroup_.from});
  }
  if (context_.value && ::access("/sys/fs/selinux/enforce", F_OK) == 0) {
    const Result<Target*> target = need_target("--follow-context", context_.from);
    if (!target) return std::unexpected(target.error());
    auto label = (*target)->selinux_label();
    if (!label) return std::unexpected(std::move(label.error()));
    spec.process.selinux_label = {{std::move(*label), context_.from}};
  }
  return {};
}

Status Parser::settle() {
  Spec& spec = command_.spec;
  if (Status status = settle_namespaces(); !status) return status;
  if (Status status = settle_directories(); !status) return status;
  if (Status status = settle_identity(); !status) return status;
  if (Status status = settle_rest(); !status) return status;
  command_.forks = fork_.value_or(joins(NamespaceType::pid));
  command_.stops_along = command_.forks;
  spec.process.in_place.value = !command_.forks;
  spec.process.pass_all_fds = true;
  if (target_) command_.held.push_back(std::move(target_->pidfd));
  set_command(spec, reader_, here_);
  return {};
}

}  // namespace

std::span<const option> nsenter_options() { return std::span(kNames).first(kNames.size() - 1); }

Result<Command> parse_nsenter(std::span<char* const> argv, const Surroundings& here) {
  return Parser(argv, here).parse();
}

}  // namespace isle::linux_utils
