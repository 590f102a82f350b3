#include "run/failed_step.h"

#include <fmt/format.h>

#include "plan/ops.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

using plan::Kind;
using plan::Op;
using plan::Step;

bool reads(const Step& step, int argument) {
  return plan::is_read(plan::info(step.op).args[argument]);
}

bool writes(const Step& step, uint64_t number) {
  for (int i = 0; i < plan::kArgs; ++i)
    if (plan::info(step.op).args[i] == Kind::out && step.arg[i] == number) return true;
  return false;
}

// What newuidmap is given behind the pid: triples as in a line of uid_map.
IdMap map_of_arguments(const std::vector<std::string>& arguments) {
  std::string lines;
  for (size_t i = 0; i + 2 < arguments.size(); i += 3)
    lines += arguments[i] + " " + arguments[i + 1] + " " + arguments[i + 2] + "\n";
  return sys::parse_id_map(lines);
}

}  // namespace

FailedStep::FailedStep(const Plan& plan, const StepFailure& failure)
    : plan_(plan), failure_(failure), view_(plan), index_(static_cast<size_t>(failure.step)) {}

std::string FailedStep::text(const Step& step, int argument) const {
  if (plan::info(step.op).args[argument] != Kind::text) return {};
  const std::string_view text = view_.text(step.arg[argument]);
  const bool may_be_below = argument == 0 && (step.op == Op::mkdir || step.op == Op::write_file);
  if (!may_be_below || step.arg[2] == plan::kNoRegister) return std::string(text);
  return fmt::format("{}/{}", directory_of(step.arg[2], index_of(&step)), text);
}

std::vector<std::string> FailedStep::list(const Step& step, int argument) const {
  if (plan::info(step.op).args[argument] != Kind::list) return {};
  const auto items = view_.list(step.arg[argument]);
  return {items.begin(), items.end()};
}

std::vector<uint32_t> FailedStep::numbers(int argument) const {
  return view_.blob_of<uint32_t>(step().arg[argument]);
}

const Step* FailedStep::writer(uint64_t number, size_t before) const {
  if (number >= plan::kRegisters) return nullptr;
  for (size_t i = before; i-- > 0;)
    if (writes(steps()[i], number)) return &steps()[i];
  return nullptr;
}

const Step* FailedStep::reader(uint64_t number, size_t after, Op op) const {
  for (size_t i = after + 1; i < steps().size(); ++i) {
    if (steps()[i].op == op && reads(steps()[i], 0) && steps()[i].arg[0] == number)
      return &steps()[i];
    if (writes(steps()[i], number)) return nullptr;
  }
  return nullptr;
}

const Step* FailedStep::earlier(const std::function<bool(const Step&)>& is) const {
  for (size_t i = 0; i < index_; ++i)
    if (is(steps()[i])) return &steps()[i];
  return nullptr;
}

pid_t FailedStep::joined_process(const plan::Step& setns) const {
  const plan::Step* opened = writer(setns.arg[0]);
  if (opened == nullptr || opened->op != Op::use_fd) return 0;
  const auto info = sys::read_text(fmt::format("/proc/self/fdinfo/{}", opened->arg[0]));
  const std::string pid(info ? sys::status_field(*info, "Pid") : std::string_view{});
  return static_cast<pid_t>(std::strtol(pid.c_str(), nullptr, 10));
}

NamespaceSet FailedStep::new_namespaces() const {
  NamespaceSet set;
  for (size_t i = 0; i <= index_; ++i)
    if (steps()[i].op == Op::clone3 || steps()[i].op == Op::unshare)
      set = set | NamespaceSet::of_clone_flags(steps()[i].arg[0]);
  return set;
}

// Written from outside (/proc/PID/uid_map of the child), by init itself, or by newuidmap.
IdMap FailedStep::map(std::string_view file) const {
  const std::string program = file == "uid_map" ? "newuidmap" : "newgidmap";
  for (size_t i = 0; i < steps().size(); ++i) {
    const Step& step = steps()[i];
    if (step.op == Op::map_program && text(step, 0).ends_with(program))
      return map_of_arguments(list(step, 1));
    const int path = step.op == Op::write_in ? 1 : 0;
    const bool write =
        step.op == Op::write_child || step.op == Op::write_file || step.op == Op::write_in;
    if (write && text(step, path).ends_with(file)) return sys::parse_id_map(text(step, path + 1));
  }
  return {};
}

std::optional<uint32_t> FailedStep::last_id(Op op, const IdMap& map) const {
  for (size_t i = index_; i-- > 0;) {
    if (steps()[i].op != op || steps()[i].actor != step().actor) continue;
    const auto id = static_cast<uint32_t>(steps()[i].arg[0]);
    return map.empty() ? id : to_host(map, id);
  }
  return std::nullopt;
}

std::optional<uint32_t> FailedStep::acting_uid() const { return last_id(Op::setresuid, uid_map()); }
std::optional<uint32_t> FailedStep::acting_gid() const { return last_id(Op::setresgid, gid_map()); }

// The path below the root of what a directory register holds.
std::string FailedStep::directory_of(uint64_t number, size_t before) const {
  const Step* step = writer(number, before);
  if (step == nullptr) return "/";
  switch (step->op) {
    case Op::make_dir_in:
    case Op::make_file_in:
    case Op::open_in: {
      const std::string base = directory_of(step->arg[0], index_of(step));
      const std::string path = text(*step, 1);
      if (path.starts_with('/')) return base == "/" ? path : base + path;
      return (base == "/" ? base : base + "/") + path;
    }
    case Op::open_tree:
    case Op::fsmount:
      return destination_of(*step);
    case Op::open:
      return text(*step, 0);
    default:
      return "/";
  }
}

// Where a detached mount goes in the end; "/" for the root.
std::string FailedStep::destination_of(const Step& mounted) const {
  const uint64_t number = mounted.arg[mounted.op == Op::open_tree ? 3 : 2];
  const Step* moved = reader(number, index_of(&mounted), Op::move_mount);
  return moved == nullptr ? std::string{} : place_of_move(*moved);
}

// The path an open_tree copies from, where it goes by descriptor that one's with it.
std::string FailedStep::source_of(const Step& open_tree) const {
  std::string path = text(open_tree, 1);
  if (path.starts_with('/') || open_tree.arg[0] == plan::kNoRegister) return path;
  const Step* opened = writer(open_tree.arg[0], index_of(&open_tree));
  if (opened != nullptr && opened->op == Op::use_fd)
    return fmt::format("fd:{}{}{}", opened->arg[0], path.empty() ? "" : "/", path);
  std::string directory = directory_of(open_tree.arg[0], index_of(&open_tree));
  if (path.empty()) return directory;
  return directory == "/" ? "/" + path : directory + "/" + path;
}

std::string FailedStep::place_of_move(const Step& moved) const {
  if (moved.arg[1] == plan::kNoRegister) return text(moved, 2);
  return directory_of(moved.arg[1], index_of(&moved));
}

MountStory FailedStep::mount() const {
  const Step& here = step();
  // The detached mount: the register, and the step that makes it.
  const Step* mounted = nullptr;
  const Step* opened = nullptr;
  switch (here.op) {
    case Op::open_tree:
      mounted = &here;
      break;
    case Op::fsopen:
      opened = &here;
      break;
    case Op::fsconfig_string:
    case Op::fsconfig_flag:
    case Op::fsconfig_fd:
    case Op::fsconfig_create:
      opened = writer(here.arg[0]);
      break;
    case Op::fsmount:
      mounted = &here;
      break;
    case Op::mount_setattr:
    case Op::move_mount:
      mounted = writer(here.arg[0]);
      break;
    default:
      return {};
  }
  if (opened != nullptr) mounted = reader(opened->arg[1], index_of(opened), Op::fsmount);
  if (opened == nullptr && mounted != nullptr && mounted->op == Op::fsmount)
    opened = writer(mounted->arg[0], index_of(mounted));

  MountStory story;
  if (opened != nullptr && opened->op == Op::fsopen) {
    story.type = text(*opened, 0);
    for (size_t i = index_of(opened) + 1; i < steps().size(); ++i) {
      if (writes(steps()[i], opened->arg[1])) break;
      if (steps()[i].op == Op::fsconfig_string && steps()[i].arg[0] == opened->arg[1] &&
          text(steps()[i], 1) == "source")
        story.source = text(steps()[i], 2);
    }
  }
  if (mounted == nullptr) return story;
  if (mounted->op != Op::open_tree && mounted->op != Op::fsmount) return story;
  if (mounted->op == Op::open_tree) {
    story.bind = true;
    story.source = source_of(*mounted);
  }
  story.destination = here.op == Op::move_mount ? place_of_move(here) : destination_of(*mounted);
  story.is_root = story.destination == "/";
  return story;
}

bool FailedStep::is_inside() const {
  switch (op()) {
    case Op::make_dir_in:
    case Op::make_file_in:
    case Op::open_in:
    case Op::symlink_in:
    case Op::mknod_in:
    case Op::copy_in:
    case Op::write_in:
      return true;
    default:
      break;
  }
  return earlier([this](const Step& other) {
           return other.actor != plan::Actor::undo && step().actor != plan::Actor::runtime &&
                  (other.op == Op::pivot_root || other.op == Op::chroot);
         }) != nullptr;
}

bool FailedStep::is_mount_point(const std::string& inside) const {
  return earlier([&](const Step& other) {
           if (other.op != Op::move_mount || place_of_move(other) != inside) return false;
           const Step* mounted = writer(other.arg[0], index_of(&other));
           return mounted != nullptr && mounted->op == Op::fsmount;
         }) != nullptr;
}

// In the mount namespace that was joined, or the root that was handed in, where there was one: the root
// of the process that was joined, where it is known.
std::optional<HostPath> FailedStep::joined_root(const std::string& path) const {
  const Step* joined = earlier(
      [](const Step& step) { return step.op == Op::setns && (step.arg[1] & CLONE_NEWNS) != 0; });
  const Step* entered = earlier([](const Step& step) { return step.op == Op::chroot; });
  if (joined == nullptr && entered == nullptr) return HostPath{.path = path};
  const Step* of_process = earlier(
      [this](const Step& step) { return step.op == Op::setns && joined_process(step) > 0; });
  if (of_process != nullptr)
    return HostPath{.root = fmt::format("/proc/{}/root", joined_process(*of_process)),
                    .path = path};
  if (joined != nullptr || index_of(entered) == 0) return std::nullopt;
  const Step* directory = entered - 1;
  const Step* root =
      directory->op == Op::fchdir ? writer(directory->arg[0], index_of(directory)) : nullptr;
  if (root == nullptr || root->op != Op::use_fd) return std::nullopt;
  return HostPath{.root = fmt::format("/proc/self/fd/{}", root->arg[0]), .path = path};
}

std::optional<HostPath> FailedStep::on_host(const std::string& inside) const {
  const std::string path = inside.starts_with('/') ? inside : "/" + inside;
  // The mount that `path` is on: the longest destination above it, of equal ones the last.
  const Step* on = nullptr;
  size_t longest = 0;
  for (size_t i = 0; i < index_; ++i) {
    if (steps()[i].op != Op::move_mount || steps()[i].actor == plan::Actor::runtime) continue;
    std::string place = place_of_move(steps()[i]);
    if (place == "/") place.clear();
    const bool above =
        path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/');
    if (!above || place.size() < longest) continue;
    on = &steps()[i];
    longest = place.size();
  }
  if (on == nullptr) return joined_root(path);
  const Step* mounted = writer(on->arg[0], index_of(on));
  if (mounted == nullptr || mounted->op != Op::open_tree) return std::nullopt;
  const std::string source = source_of(*mounted);
  if (!source.starts_with('/')) return std::nullopt;
  const std::string rest = path.substr(longest);
  if (longest == 0) return HostPath{.root = source == "/" ? "" : source, .path = path};
  return HostPath{.path = source + rest};
}

}  // namespace isle
