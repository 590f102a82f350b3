#include "run/failed_step.h"

#include <cstring>

#include "plan/ops.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

using plan::Kind;
using plan::Op;
using plan::Step;

bool reads(const Step& step, int argument) {
  const Kind kind = plan::info(step.op).args[argument];
  return kind == Kind::in || kind == Kind::in_or_none;
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
    : plan_(plan),
      failure_(failure),
      header_(reinterpret_cast<const plan::Header*>(plan.bytes().data())),
      steps_(plan::steps(header_)),
      index_(static_cast<size_t>(failure.step)) {}

std::string FailedStep::text(const Step& step, int argument) const {
  if (plan::info(step.op).args[argument] != Kind::text) return {};
  return plan::text(header_, step.arg[argument]);
}

std::vector<std::string> FailedStep::list(const Step& step, int argument) const {
  std::vector<std::string> result;
  if (plan::info(step.op).args[argument] != Kind::list) return result;
  const char* next = plan::text(header_, step.arg[argument]);
  for (uint32_t i = 0; i < plan::high(step.arg[argument]); ++i) {
    result.emplace_back(next);
    next += result.back().size() + 1;
  }
  return result;
}

std::vector<uint32_t> FailedStep::numbers(int argument) const {
  std::vector<uint32_t> result(plan::high(step().arg[argument]) / sizeof(uint32_t));
  if (!result.empty())
    std::memcpy(result.data(), plan::text(header_, step().arg[argument]),
                result.size() * sizeof(uint32_t));
  return result;
}

const Step* FailedStep::writer(uint64_t number, size_t before) const {
  if (number >= plan::kRegisters) return nullptr;
  for (size_t i = before; i-- > 0;)
    if (writes(steps_[i], number)) return &steps_[i];
  return nullptr;
}

const Step* FailedStep::reader(uint64_t number, size_t after, Op op) const {
  for (size_t i = after + 1; i < header_->step_count; ++i) {
    if (steps_[i].op == op && reads(steps_[i], 0) && steps_[i].arg[0] == number) return &steps_[i];
    if (writes(steps_[i], number)) return nullptr;
  }
  return nullptr;
}

const Step* FailedStep::earlier(const std::function<bool(const Step&)>& is) const {
  for (size_t i = 0; i < index_; ++i)
    if (is(steps_[i])) return &steps_[i];
  return nullptr;
}

NamespaceSet FailedStep::new_namespaces() const {
  NamespaceSet set;
  for (size_t i = 0; i <= index_; ++i)
    if (steps_[i].op == Op::clone3 || steps_[i].op == Op::unshare)
      set = set | NamespaceSet::of_clone_flags(steps_[i].arg[0]);
  return set;
}

// Written from outside (/proc/PID/uid_map of the child), by init itself, or by newuidmap.
IdMap FailedStep::map(std::string_view file) const {
  const std::string program = file == "uid_map" ? "newuidmap" : "newgidmap";
  for (size_t i = 0; i < header_->step_count; ++i) {
    const Step& step = steps_[i];
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
    if (steps_[i].op != op || steps_[i].actor != step().actor) continue;
    const auto id = static_cast<uint32_t>(steps_[i].arg[0]);
    return map.empty() ? id : to_host(map, id);
  }
  return std::nullopt;
}

std::optional<uint32_t> FailedStep::acting_uid() const { return last_id(Op::setresuid, uid_map()); }
std::optional<uint32_t> FailedStep::acting_gid() const { return last_id(Op::setresgid, gid_map()); }

// The path a directory register was opened or made with, below the root.
std::string FailedStep::directory_of(uint64_t number, size_t before) const {
  const Step* step = writer(number, before);
  if (step == nullptr) return {};
  switch (step->op) {
    case Op::make_dir_in:
    case Op::make_file_in:
    case Op::open_in: {
      const std::string path = text(*step, 1);
      return path.starts_with('/') ? path : "/" + path;
    }
    case Op::open:
      return text(*step, 0);
    default:
      return {};
  }
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
    for (size_t i = index_of(opened) + 1; i < header_->step_count; ++i) {
      if (writes(steps_[i], opened->arg[1])) break;
      if (steps_[i].op == Op::fsconfig_string && steps_[i].arg[0] == opened->arg[1] &&
          text(steps_[i], 1) == "source")
        story.source = text(steps_[i], 2);
    }
  }
  if (mounted == nullptr) return story;
  uint64_t number = mounted->arg[2];
  if (mounted->op == Op::open_tree) {
    story.bind = true;
    story.source = text(*mounted, 1);
    number = mounted->arg[3];
  } else if (mounted->op != Op::fsmount) {
    return story;
  }
  const Step* moved =
      here.op == Op::move_mount ? &here : reader(number, index_of(mounted), Op::move_mount);
  if (moved == nullptr) return story;
  const std::string directory = directory_of(moved->arg[1], index_of(moved));
  const std::string name = text(*moved, 2);
  if (name.empty() || name.starts_with('/')) {
    story.destination = name.empty() ? directory : name;
  } else {
    story.destination = directory == "/" ? "/" + name : directory + "/" + name;
  }
  return story;
}

std::string FailedStep::root_path() const {
  // What destinations are resolved in: the first argument of the first *_in before or at this step.
  for (size_t i = 0; i <= index_; ++i) {
    const Step& step = steps_[i];
    if (step.op != Op::make_dir_in && step.op != Op::make_file_in && step.op != Op::open_in)
      continue;
    const Step* root = writer(step.arg[0], i);
    if (root != nullptr && root->op == Op::open_tree) return text(*root, 1);
    if (root != nullptr && root->op == Op::open) return text(*root, 0);
    return {};
  }
  for (size_t i = 0; i < index_; ++i)
    if (steps_[i].op == Op::pivot_root || steps_[i].op == Op::chroot) return {};
  return "/";
}

}  // namespace isle
