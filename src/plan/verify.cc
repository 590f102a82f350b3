// Whether a plan can be carried out without leaving its own bytes, and makes sense as a whole.
// compile() never makes one that fails; fuzzers, tests and launch() ask.
#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <utility>

#include "plan/ops.h"
#include "plan/view.h"

namespace isle {
namespace plan {
namespace {

/// What has happened so far, by actor; a child starts with what its parent had at the clone.
struct Progress {
  std::bitset<kRegisters> written[kActors];
  bool started[kActors] = {true, false, false, true};
  bool guarded = false;  ///< Else nothing can be undone but by launch(), on failure.
  bool ended[kActors] = {};
  std::bitset<kPoints> posted[kActors];
  int sent_fds = 0;  ///< Descriptors init has sent and the runtime has not taken.
};

std::unexpected<Error> bad(size_t index, const Plan& plan, std::string_view why) {
  return std::unexpected(
      Error{.what = fmt::format("plan: step {} ({}): {}", index, plan.step_op(index), why),
            .step = static_cast<int>(index)});
}

const char* argument_problem(const View& view, Kind kind, uint64_t value, Progress& progress,
                             Actor actor) {
  const auto& written = progress.written[static_cast<size_t>(actor)];
  switch (kind) {
    case Kind::text:
      return view.holds_text(value) ? nullptr : "text outside of the plan";
    case Kind::list:
      return view.holds_list(value) ? nullptr : "list outside of the plan";
    case Kind::blob:
    case Kind::ids:
    case Kind::cpus:
      return view.holds_blob(value) ? nullptr : "blob outside of the plan";
    case Kind::in_or_none:
    case Kind::below:
      if (value == kNoRegister) return nullptr;
      [[fallthrough]];
    case Kind::in:
      return value < kRegisters && written[value] ? nullptr : "reads a register nobody wrote";
    case Kind::out:
      return value < kRegisters || value == kNoRegister ? nullptr : "no such register";
    case Kind::point:
      return value < kPoints ? nullptr : "no such rendezvous";
    default:
      return nullptr;
  }
}

const char* order_problem(const Step& step, Progress& progress) {
  const auto actor = static_cast<size_t>(step.actor);
  const auto start = [&](Actor child) -> const char* {
    const auto index = static_cast<size_t>(child);
    if (progress.started[index]) return "starts an actor twice";
    progress.started[index] = true;
    progress.written[index] = progress.written[actor];
    return nullptr;
  };
  if (!progress.started[actor]) return "its actor has not been started";
  if (progress.ended[actor]) return "its actor has ended";
  if (step.actor == Actor::undo && !progress.guarded && (step.flags & kOnFailureOnly) == 0)
    return "nobody is there at the end to undo it";
  const bool is_init = step.actor == Actor::init;
  const bool is_runtime = step.actor == Actor::runtime;
  switch (step.op) {
    case Op::clone3:
      return is_runtime ? start(Actor::init) : "only the runtime clones";
    case Op::guard:
      if (!is_runtime) return "only the runtime starts the guard";
      return std::exchange(progress.guarded, true) ? "starts an actor twice" : nullptr;
    case Op::spawn:
      return is_init ? start(Actor::command) : "only init spawns the command";
    case Op::reap:
      progress.ended[actor] = true;
      return progress.started[static_cast<size_t>(Actor::command)] ? nullptr : "nothing to reap";
    case Op::execve:
      progress.ended[actor] = true;
      return is_runtime && progress.started[static_cast<size_t>(Actor::init)]
                 ? "the runtime does not execve where there is somebody else to do it"
                 : nullptr;
    case Op::keep_only:
      for (size_t i = 0; i < kRegisters; ++i)
        if (std::find(step.arg, step.arg + kKept, i) == step.arg + kKept)
          progress.written[actor].reset(i);
      return nullptr;
    case Op::send_fd:
      ++progress.sent_fds;
      return is_init ? nullptr : "only init hands descriptors to the runtime";
    case Op::receive_fd:
      if (!is_runtime) return "only the runtime takes descriptors";
      return progress.sent_fds-- > 0 ? nullptr : "waits for what never comes";
    case Op::call:
      return is_runtime && progress.started[static_cast<size_t>(Actor::init)]
                 ? nullptr
                 : "only the runtime calls, when there is somebody to tell of";
    case Op::post:
      if (!is_runtime && !is_init) return "only the runtime and init meet";
      progress.posted[actor].set(step.arg[0] % kPoints);
      return progress.started[static_cast<size_t>(Actor::init)] ? nullptr : "nobody to tell";
    case Op::await: {
      if (!is_runtime && !is_init) return "only the runtime and init meet";
      const auto other = static_cast<size_t>(is_runtime ? Actor::init : Actor::runtime);
      return progress.posted[other][step.arg[0] % kPoints] ? nullptr : "waits for what never comes";
    }
    default:
      return nullptr;
  }
}

/// Pointers a step may fill in the executor's scratch.
bool scratch_fits(const View& view, const Step& step) {
  uint64_t needed = 0;
  uint64_t first = 0;
  if (step.op == Op::execve || step.op == Op::hook) {
    needed = high(step.arg[1]) + 1ULL + high(step.arg[2]) + 1ULL;
    first = step.arg[3];
  } else if (step.op == Op::map_program) {
    needed = high(step.arg[1]) + 3ULL;
    first = step.arg[2];
  }
  const uint64_t all = view.header()->scratch_pointers;
  return first <= all && needed <= all - first;
}

Status verify_step(const View& view, const Plan& plan, size_t index, Progress& progress) {
  const Step& step = view.steps()[index];
  if (step.op >= Op::count_ || static_cast<int>(step.actor) >= kActors)
    return fail(0, fmt::format("plan: step {}: no such operation or actor", index));
  if (step.origin >= view.header()->origin_count) return bad(index, plan, "asked for by nobody");
  if (step.skip >= view.steps().size() - index) return bad(index, plan, "skips past the end");
  if (step.pass_over != 0 && (step.flags & kSkipsIfDone) != 0)
    return bad(index, plan, "skips the same steps whether it is done or not");
  const OpInfo& row = info(step.op);
  for (int i = 0; i < kArgs; ++i)
    if (const char* why = argument_problem(view, row.args[i], step.arg[i], progress, step.actor))
      return bad(index, plan, why);
  if (!scratch_fits(view, step))
    return bad(index, plan, "more pointers than the plan has room for");
  for (int i = 0; i < kArgs; ++i)
    if (row.args[i] == Kind::out && step.arg[i] < kRegisters)
      progress.written[static_cast<size_t>(step.actor)].set(step.arg[i]);
  if (const char* why = order_problem(step, progress)) return bad(index, plan, why);
  return {};
}

}  // namespace
}  // namespace plan

Status verify(const Plan& plan) {
  using namespace isle::plan;
  const View view(plan);
  if (view.header() == nullptr) return fail(0, "plan: not the bytes of a plan");
  constexpr uint32_t kMostScratch = 1U << 26;
  if (view.header()->scratch_pointers > kMostScratch)
    return fail(0, "plan: asks for too many pointers");
  Progress progress;
  for (size_t i = 0; i < view.steps().size(); ++i)
    if (Status status = verify_step(view, plan, i, progress); !status) return status;
  if (view.header()->clone_step == kNoStep)
    return progress.ended[static_cast<size_t>(Actor::runtime)] ? Status{}
                                                               : fail(0, "plan: executes nothing");
  if (view.header()->clone_step >= view.steps().size() ||
      view.steps()[view.header()->clone_step].op != Op::clone3)
    return fail(0, "plan: does not say where it clones");
  for (const uint8_t number : {view.header()->console_register, view.header()->listener_register})
    if (number != kNoRegister &&
        (number >= kRegisters || !progress.written[static_cast<size_t>(Actor::runtime)][number]))
      return fail(0, "plan: hands over a register that the runtime did not write");
  const Actor last =
      progress.started[static_cast<size_t>(Actor::command)] ? Actor::command : Actor::init;
  if (!progress.ended[static_cast<size_t>(last)]) return fail(0, "plan: executes nothing");
  return {};
}

}  // namespace isle
