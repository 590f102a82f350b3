// What others do while the sandbox is made: who launches it, where it wants to be asked, and hooks.
#include "plan/compiler.h"

namespace isle::plan {
namespace {

uint64_t number(CallPoint point) { return static_cast<uint64_t>(point); }

}  // namespace

/// Init waits meanwhile: what the caller does, a hook among it, finds all mounted and nothing
/// entered.
void Compiler::call_when_mounted() {
  if (!spec_.calls_back.value) return;
  const Origin from = spec_.calls_back.from;
  const auto at = [](Point point) { return static_cast<uint64_t>(point); };
  init(Op::post, from, {at(Point::mounts_ready)});
  runtime(Op::await, from, {at(Point::mounts_ready)});
  runtime(Op::call, from, {number(CallPoint::mounted), kNone});
  runtime(Op::post, from, {at(Point::called)});
  init(Op::await, from, {at(Point::called)});
}

/// The listener that init has just sent.
void Compiler::call_with_listener(Register listener, Origin from) {
  runtime(Op::call, from, {number(CallPoint::listening), listener});
}

void Compiler::run_hooks(Actor actor, const std::vector<Hook>& hooks) {
  for (const Hook& hook : hooks) {
    const std::vector<std::string> args = hook.args.empty() ? std::vector{hook.path} : hook.args;
    b_.add(actor, Op::hook, hook.from,
           {text(hook.path), b_.list(args), b_.list(hook.env),
            b_.scratch(args.size() + hook.env.size() + 2), text(hook.input_before),
            text(hook.input_after), hook.timeout_s});
  }
}

}  // namespace isle::plan
