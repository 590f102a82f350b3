// A plan as people and programs read it, by the table of operations alone.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "plan/ops.h"
#include "plan/view.h"
#include "sys/flag_names.h"

namespace isle {
namespace plan {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string capability_set(uint64_t mask) {
  if (mask == 0) return "none";
  constexpr uint64_t kAll = (uint64_t{2} << sys::kLastCapability) - 1;
  if ((mask & kAll) == kAll) return "all";
  std::string out;
  for (int i = 0; i < 64; ++i)
    if ((mask >> i & 1) != 0) out += (out.empty() ? "" : "|") + sys::capability_name(i).substr(4);
  return out;
}

std::string prctl_name(uint64_t option) {
  switch (static_cast<sys::Prctl>(option)) {
    case sys::Prctl::set_pdeathsig:
      return "PR_SET_PDEATHSIG";
    case sys::Prctl::set_keepcaps:
      return "PR_SET_KEEPCAPS";
    case sys::Prctl::set_no_new_privs:
      return "PR_SET_NO_NEW_PRIVS";
    case sys::Prctl::set_dumpable:
      return "PR_SET_DUMPABLE";
    case sys::Prctl::set_securebits:
      return "PR_SET_SECUREBITS";
    default:
      return std::to_string(option);
  }
}

std::string magic_name(uint64_t magic) {
  return static_cast<int64_t>(magic) == sys::kProcSuperMagic ? "proc" : fmt::format("{:#x}", magic);
}

/// A list as words; long environments are counted, not shown.
std::string list_text(const View& view, uint64_t argument, size_t most) {
  const std::vector<std::string_view> items = view.list(argument);
  std::string out = "[";
  for (size_t i = 0; i < items.size() && i < most; ++i)
    out += (i == 0 ? "" : ", ") + quoted(items[i]);
  if (items.size() > most) out += fmt::format(", ... {} in all", items.size());
  return out + "]";
}

std::string ids_text(const View& view, uint64_t argument) {
  std::string out = "[";
  for (const uint32_t id : view.blob_of<uint32_t>(argument))
    out += (out.size() == 1 ? "" : ", ") + std::to_string(id);
  return out + "]";
}

std::string cpus_text(const View& view, uint64_t argument) {
  std::string out;
  int base = 0;
  for (const uint64_t word : view.blob_of<uint64_t>(argument)) {
    for (int i = 0; i < 64; ++i)
      if ((word >> i & 1) != 0) out += (out.empty() ? "" : ",") + std::to_string(base + i);
    base += 64;
  }
  return out;
}

std::string_view pass_over_name(const Step& step) {
  return step.pass_over == kAnyError ? "it fails" : sys::errno_name(step.pass_over);
}

template <class E>
std::string flags(uint64_t value) {
  return sys::to_text(static_cast<E>(value));
}

}  // namespace

std::string argument_text(const View& view, Kind kind, uint64_t value) {
  constexpr size_t kMostItems = 6;
  switch (kind) {
    case Kind::none:
    case Kind::scratch:
      return {};
    case Kind::text:
      return quoted(view.text(value));
    case Kind::list:
      return list_text(view, value, kMostItems);
    case Kind::blob:
      return fmt::format("<{} bytes>", high(value));
    case Kind::ids:
      return ids_text(view, value);
    case Kind::cpus:
      return cpus_text(view, value);
    case Kind::in:
      return fmt::format("%{}", value);
    case Kind::in_or_none:
      return value == kNoRegister ? "-" : fmt::format("%{}", value);
    case Kind::below:
      return value == kNoRegister ? "" : fmt::format("below %{}", value);
    case Kind::out:
      return value == kNoRegister ? "" : fmt::format("-> %{}", value);
    case Kind::number:
      return std::to_string(static_cast<int64_t>(value));
    case Kind::copies:
      return value == 0 ? "" : "or a copy";
    case Kind::attempt:
      return value == 0 ? "" : value == 1 ? "first try" : "unless there";
    case Kind::limit:
      return value == sys::kRlimInfinity ? "unlimited" : std::to_string(value);
    case Kind::octal:
      return fmt::format("{:#o}", value);
    case Kind::id:
      return value == kSameOwner ? "-" : std::to_string(value);
    case Kind::point:
      return std::string(point_name(static_cast<Point>(value)));
    case Kind::signal:
      return sys::signal_name(static_cast<int>(value));
    case Kind::rlimit:
      return sys::rlimit_name(static_cast<int>(value));
    case Kind::prctl:
      return prctl_name(value);
    case Kind::capabilities:
      return capability_set(value);
    case Kind::propagation:
      return flags<sys::MountFlags>(value);
    case Kind::magic:
      return magic_name(value);
    case Kind::clone_flags:
      return flags<sys::CloneFlags>(value);
    case Kind::open_flags:
      return flags<sys::OpenFlags>(value);
    case Kind::resolve_flags:
      return value == 0 ? std::string{} : flags<sys::Resolve>(value);
    case Kind::open_tree_flags:
      return flags<sys::OpenTree>(value);
    case Kind::move_mount_flags:
      return flags<sys::MoveMount>(value);
    case Kind::mount_attributes:
      return flags<sys::MountAttr>(value);
    case Kind::umount_flags:
      return flags<sys::UmountFlags>(value);
    case Kind::at_flags:
      return flags<sys::AtFlags>(value);
    case Kind::close_range_flags:
      return flags<sys::CloseRange>(value);
    case Kind::seccomp_flags:
      return flags<sys::SeccompFlags>(value);
  }
  return {};
}

}  // namespace plan

using plan::View;

size_t Plan::step_count() const { return View(*this).steps().size(); }

std::string Plan::step_text(size_t index) const {
  const View view(*this);
  if (index >= view.steps().size()) return {};
  const plan::Step& step = view.steps()[index];
  const plan::OpInfo& row = plan::info(step.op);
  std::string text(row.name);
  for (int i = 0; i < plan::kArgs; ++i) {
    const std::string argument = plan::argument_text(view, row.args[i], step.arg[i]);
    if (!argument.empty()) text += ' ' + argument;
  }
  return text;
}

std::string_view Plan::step_actor(size_t index) const {
  const View view(*this);
  if (index >= view.steps().size()) return {};
  return plan::actor_name(view.steps()[index].actor);
}

std::string_view Plan::step_op(size_t index) const {
  const View view(*this);
  if (index >= view.steps().size()) return {};
  return plan::info(view.steps()[index].op).name;
}

std::string_view Plan::step_origin(size_t index) const {
  const View view(*this);
  return index < view.steps().size() ? view.origin(view.steps()[index].origin) : std::string_view{};
}

std::string to_text(const Plan& plan) {
  const View view(plan);
  std::string text;
  for (size_t i = 0; i < plan.step_count(); ++i) {
    const plan::Step& step = view.steps()[i];
    std::string line = fmt::format("{:3} {:7} {}", i, plan.step_actor(i), plan.step_text(i));
    if ((step.flags & plan::kOnFailureOnly) != 0) line += "  (if the command was not started)";
    if (step.pass_over != 0) {
      line += fmt::format("  (unless {}", plan::pass_over_name(step));
      line += step.skip != 0 ? fmt::format(", which skips {})", step.skip) : ")";
    }
    if ((step.flags & plan::kSkipsIfDone) != 0)
      line += fmt::format("  (which skips {})", step.skip);
    text += fmt::format("{:<78} from: {}\n", line, plan.step_origin(i));
  }
  return text;
}

std::string to_json(const Plan& plan) {
  const View view(plan);
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (size_t i = 0; i < plan.step_count(); ++i) {
    const plan::Step& step = view.steps()[i];
    const plan::OpInfo& row = plan::info(step.op);
    nlohmann::ordered_json args = nlohmann::ordered_json::array();
    for (int a = 0; a < plan::kArgs; ++a) {
      if (row.args[a] == plan::Kind::none || row.args[a] == plan::Kind::scratch) continue;
      if (row.args[a] == plan::Kind::text) {
        args.push_back(view.text(step.arg[a]));
      } else if (row.args[a] == plan::Kind::list) {
        args.push_back(view.list(step.arg[a]));
      } else {
        args.push_back(plan::argument_text(view, row.args[a], step.arg[a]));
      }
    }
    nlohmann::ordered_json entry = {{"index", i},
                                    {"actor", plan.step_actor(i)},
                                    {"op", row.name},
                                    {"args", std::move(args)},
                                    {"from", plan.step_origin(i)}};
    if ((step.flags & plan::kOnFailureOnly) != 0) entry["on_failure_only"] = true;
    if (step.pass_over != 0) entry["pass_over"] = plan::pass_over_name(step);
    if (step.skip != 0) entry["skip"] = step.skip;
    if ((step.flags & plan::kSkipsIfDone) != 0) entry["skips_if_done"] = true;
    steps.push_back(std::move(entry));
  }
  const nlohmann::ordered_json document = {{"version", 1}, {"steps", std::move(steps)}};
  constexpr int kIndent = 2;
  return document.dump(kIndent, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace isle
