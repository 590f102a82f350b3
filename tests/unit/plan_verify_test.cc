// verify() on plans broken on purpose, each rule in turn; View and the printers on any bytes.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "plan/builder.h"
#include "plan/ops.h"
#include "plan/view.h"
#include "sys/abi.h"

namespace isle::plan {
namespace {

constexpr uint64_t kPoint = static_cast<uint64_t>(Point::ids_ready);

/// A plan that makes sense: both sides meet, a descriptor goes over, a guard undoes.
class Small {
 public:
  Small() {
    const std::vector<std::string> words = {"true"};
    command_ = builder_.list(words);
    fd_ = builder_.take();
    other_ = builder_.take();
    add(Actor::runtime, Op::guard);
    add(Actor::undo, Op::unlink, {builder_.text("/x")});
    add(Actor::runtime, Op::open, {builder_.text("/"), 0, fd_});
    builder_.header.clone_step = static_cast<uint16_t>(builder_.step_count());
    add(Actor::runtime, Op::clone3, {0, kNone});
    add(Actor::runtime, Op::post, {kPoint});
    add(Actor::init, Op::await, {kPoint});
    add(Actor::init, Op::fchdir, {fd_});
    add(Actor::init, Op::send_fd, {fd_});
    add(Actor::runtime, Op::receive_fd, {other_});
    builder_.header.console_register = static_cast<uint8_t>(other_);
    add(Actor::init, Op::execve, {command_, command_, command_, builder_.scratch(4)});
  }
  Step& add(Actor actor, Op op, std::initializer_list<uint64_t> args = {}) {
    return builder_.add(actor, op, 0, args);
  }
  /// The first step with `op`.
  Step& step(Op op) {
    for (size_t i = 0; i < builder_.step_count(); ++i)
      if (builder_.step(i).op == op) return builder_.step(i);
    return add(Actor::init, op);
  }
  Plan plan() {
    const std::vector<std::string> origins = {"default"};
    return builder_.finish(origins);
  }
  Builder builder_;
  uint64_t command_ = 0;
  Register fd_ = 0;
  Register other_ = 0;
};

TEST(Verify, ASmallPlanIsGood) {
  const Status status = verify(Small().plan());
  EXPECT_TRUE(status) << status.error().message();
}

TEST(Verify, WhatIsUndoneOnFailureOnlyNeedsNoGuard) {
  Small small;
  small.step(Op::guard).op = Op::alive;
  small.step(Op::unlink).flags = kOnFailureOnly;
  EXPECT_TRUE(verify(small.plan()));
}

struct Damage {
  std::string name;
  std::string why;  ///< Part of the message.
  std::function<void(Small&)> spoil;
};

const std::vector<Damage>& damages() {
  static const std::vector<Damage> kAll = {
      {"NoSuchOp", "no such operation", [](Small& p) { p.step(Op::fchdir).op = Op::count_; }},
      {"NoSuchActor", "no such operation or actor",
       [](Small& p) { p.step(Op::fchdir).actor = Actor{4}; }},
      {"Origin", "asked for by nobody", [](Small& p) { p.step(Op::fchdir).origin = 1; }},
      {"Skip", "skips past the end", [](Small& p) { p.step(Op::execve).skip = 1; }},
      {"SkipEitherWay", "skips the same steps whether it is done or not",
       [](Small& p) {
         p.step(Op::fchdir).flags = kSkipsIfDone;
         p.step(Op::fchdir).pass_over = ENOENT;
       }},
      {"Text", "text outside", [](Small& p) { p.step(Op::open).arg[0] = 1U << 20; }},
      {"TextHigh", "text outside", [](Small& p) { p.step(Op::open).arg[0] |= 1ULL << 32; }},
      {"List", "list outside", [](Small& p) { p.step(Op::execve).arg[1] |= 1ULL << 40; }},
      {"Blob", "blob outside",
       [](Small& p) {
         p.step(Op::fchdir) = {.op = Op::setgroups, .actor = Actor::init, .arg = {8ULL << 40}};
       }},
      {"BlobUnaligned", "blob outside",
       [](Small& p) {
         p.step(Op::fchdir) = {.op = Op::setgroups, .actor = Actor::init, .arg = {1}};
       }},
      {"RegisterUnwritten", "reads a register nobody wrote",
       [](Small& p) { p.step(Op::fchdir).arg[0] = 9; }},
      {"RegisterOutOfRange", "reads a register nobody wrote",
       [](Small& p) { p.step(Op::fchdir).arg[0] = kRegisters; }},
      {"RegisterNone", "reads a register nobody wrote",
       [](Small& p) { p.step(Op::fchdir).arg[0] = kNone; }},
      {"RegisterOfTheOtherSide", "reads a register nobody wrote",
       [](Small& p) { p.step(Op::fchdir).arg[0] = p.other_; }},
      {"OutOutOfRange", "no such register", [](Small& p) { p.step(Op::open).arg[2] = kRegisters; }},
      {"NoSuchPoint", "no such rendezvous", [](Small& p) { p.step(Op::await).arg[0] = kPoints; }},
      {"AwaitsNobody", "waits for what never comes",
       [](Small& p) { p.step(Op::await).arg[0] = static_cast<uint64_t>(Point::runtime_done); }},
      {"UndoMeets", "only the runtime and init meet",
       [](Small& p) { p.step(Op::await).actor = Actor::undo; }},
      {"CommandNotStarted", "its actor has not been started",
       [](Small& p) { p.step(Op::fchdir) = {.op = Op::setsid, .actor = Actor::command}; }},
      {"UndoWithoutGuard", "nobody is there at the end",
       [](Small& p) { p.step(Op::guard).op = Op::alive; }},
      {"TwoGuards", "starts an actor twice", [](Small& p) { p.add(Actor::runtime, Op::guard); }},
      {"TwoClones", "starts an actor twice",
       [](Small& p) { p.add(Actor::runtime, Op::clone3, {0, kNone}); }},
      {"InitClones", "only the runtime clones",
       [](Small& p) {
         p.step(Op::fchdir) = {.op = Op::clone3, .actor = Actor::init, .arg = {0, kNone}};
       }},
      {"InitStartsGuard", "only the runtime starts the guard",
       [](Small& p) { p.step(Op::fchdir) = {.op = Op::guard, .actor = Actor::init}; }},
      {"RuntimeSpawns", "only init spawns", [](Small& p) { p.add(Actor::runtime, Op::spawn); }},
      {"NothingToReap", "nothing to reap",
       [](Small& p) { p.step(Op::fchdir) = {.op = Op::reap, .actor = Actor::init}; }},
      {"RuntimeExecutes", "the runtime does not execve",
       [](Small& p) { p.step(Op::execve).actor = Actor::runtime; }},
      {"AfterTheEnd", "its actor has ended", [](Small& p) { p.add(Actor::init, Op::setsid); }},
      {"RuntimeSends", "only init hands",
       [](Small& p) { p.step(Op::send_fd).actor = Actor::runtime; }},
      {"InitReceives", "only the runtime takes",
       [](Small& p) { p.step(Op::receive_fd).actor = Actor::init; }},
      {"ReceivesNothing", "waits for what never comes",
       [](Small& p) { p.step(Op::send_fd).op = Op::fchdir; }},
      {"PostsToNobody", "nobody to tell",
       [](Small& p) {
         p.step(Op::guard) = {.op = Op::post, .actor = Actor::runtime};
         p.step(Op::unlink) = {.op = Op::alive, .actor = Actor::runtime};
       }},
      {"Scratch", "more pointers than", [](Small& p) { p.step(Op::execve).arg[3] = 1; }},
      {"ScratchFarOff", "more pointers than",
       [](Small& p) { p.step(Op::execve).arg[3] = ~uint64_t{0}; }},
      {"TooMuchScratch", "too many pointers", [](Small& p) { p.builder_.scratch(1U << 27); }},
      {"CloneStep", "does not say where it clones",
       [](Small& p) { p.builder_.header.clone_step = 0; }},
      {"CloneStepNone",
       "executes nothing",  // the plan of a process that becomes the command itself
       [](Small& p) { p.builder_.header.clone_step = kNoStep; }},
      {"Console", "a register that the runtime did not write",
       [](Small& p) { p.builder_.header.console_register = 9; }},
      {"Listener", "a register that the runtime did not write",
       [](Small& p) { p.builder_.header.listener_register = 200; }},
      {"NoExecve", "executes nothing",
       [](Small& p) { p.step(Op::execve) = {.op = Op::setsid, .actor = Actor::init}; }},
      {"InitExecutesForTheCommand", "executes nothing",
       [](Small& p) { p.step(Op::fchdir) = {.op = Op::spawn, .actor = Actor::init}; }},
  };
  return kAll;
}

class VerifyRefuses : public testing::TestWithParam<Damage> {};

TEST_P(VerifyRefuses, WithItsReason) {
  Small small;
  GetParam().spoil(small);
  const Plan plan = small.plan();
  const Status status = verify(plan);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().what.find(GetParam().why), std::string::npos) << status.error().what;
  // What is printed of it may be nonsense, but it is printed.
  EXPECT_FALSE(to_text(plan).empty());
  EXPECT_FALSE(nlohmann::json::parse(to_json(plan)).empty());
}

INSTANTIATE_TEST_SUITE_P(Each, VerifyRefuses, testing::ValuesIn(damages()),
                         [](const auto& of) { return of.param.name; });

TEST(Verify, BytesThatAreNoPlan) {
  EXPECT_FALSE(verify(Plan{}));
  const Plan good = Small().plan();
  const std::vector<std::byte> bytes(good.bytes().begin(), good.bytes().end());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(verify(Plan(std::vector(bytes.begin(), bytes.begin() + static_cast<long>(size)))));
  std::vector<std::byte> longer = bytes;
  longer.push_back({});
  EXPECT_FALSE(verify(Plan(longer)));
  EXPECT_EQ(Plan(longer).step_count(), 0U);
  EXPECT_EQ(to_text(Plan(longer)), "");
}

// No byte of a plan can be changed to something that is read out of bounds (the sanitizers look).
TEST(Verify, AnyByteMayBeAnything) {
  const Plan good = Small().plan();
  std::mt19937 random(7);
  size_t refused = 0;
  for (size_t at = 0; at < good.bytes().size(); ++at) {
    std::vector<std::byte> bytes(good.bytes().begin(), good.bytes().end());
    bytes[at] ^= static_cast<std::byte>(1 + random() % 255);
    const Plan plan(std::move(bytes));
    refused += verify(plan) ? 0 : 1;
    (void)to_text(plan);
    (void)to_json(plan);
  }
  EXPECT_GT(refused, good.bytes().size() / 4);
}

TEST(View, AnswersEmptyOutsideOfItsBytes) {
  const Plan plan = Small().plan();
  const View view(plan);
  EXPECT_EQ(view.text(1U << 30), "");
  EXPECT_TRUE(view.list(1ULL << 50).empty());
  EXPECT_TRUE(view.blob(1ULL << 40).empty());
  EXPECT_EQ(view.origin(55), "");
  EXPECT_EQ(plan.step_text(999), "");
  EXPECT_EQ(plan.step_actor(999), "");
  EXPECT_EQ(plan.step_op(999), "");
  EXPECT_EQ(plan.step_origin(999), "");
}

TEST(Ops, EveryOperationHasARowAndPrints) {
  for (const OpInfo& row : all_ops()) {
    EXPECT_FALSE(row.name.empty());
    Builder builder;
    builder.add(Actor::init, row.op, 0);
    const std::vector<std::string> origins = {"default"};
    const Plan plan = builder.finish(origins);
    EXPECT_TRUE(plan.step_text(0).starts_with(row.name)) << plan.step_text(0);
    EXPECT_EQ(plan.step_op(0), row.name);
  }
  EXPECT_EQ(info(Op{255}).name, "no such operation");
}

TEST(Print, EachKind) {
  Builder builder;
  const std::vector<std::string> eight = {"a", "b\n", "\"", "\x01", "e", "f", "g", "h"};
  const uint32_t ids[] = {27, 44};
  const uint64_t cpus[] = {5, 2};
  const uint64_t list = builder.list(eight);
  const uint64_t id_blob = builder.blob(ids, sizeof ids);
  const uint64_t cpu_blob = builder.blob(cpus, sizeof cpus);
  const uint64_t text = builder.text("x y");
  const std::vector<std::string> origins = {"default"};
  const Plan plan = builder.finish(origins);
  const View view(plan);
  const auto shows = [&](Kind kind, uint64_t value) { return argument_text(view, kind, value); };
  EXPECT_EQ(shows(Kind::none, 7), "");
  EXPECT_EQ(shows(Kind::scratch, 7), "");
  EXPECT_EQ(shows(Kind::text, text), "\"x y\"");
  EXPECT_EQ(shows(Kind::list, list), R"(["a", "b\n", "\"", "\x01", "e", "f", ... 8 in all])");
  EXPECT_EQ(shows(Kind::blob, id_blob), "<8 bytes>");
  EXPECT_EQ(shows(Kind::ids, id_blob), "[27, 44]");
  EXPECT_EQ(shows(Kind::cpus, cpu_blob), "0,2,65");
  EXPECT_EQ(shows(Kind::in, 3), "%3");
  EXPECT_EQ(shows(Kind::in_or_none, kNoRegister), "-");
  EXPECT_EQ(shows(Kind::below, 3), "below %3");
  EXPECT_EQ(shows(Kind::below, kNoRegister), "");
  EXPECT_EQ(shows(Kind::out, 3), "-> %3");
  EXPECT_EQ(shows(Kind::out, kNoRegister), "");
  EXPECT_EQ(shows(Kind::number, static_cast<uint64_t>(-5)), "-5");
  EXPECT_EQ(shows(Kind::limit, ~uint64_t{0}), "unlimited");
  EXPECT_EQ(shows(Kind::octal, 0755), "0755");
  EXPECT_EQ(shows(Kind::id, 4294967294), "4294967294");
  EXPECT_EQ(shows(Kind::point, 4), "runtime_done");
  EXPECT_EQ(shows(Kind::point, 99), "nowhere");
  EXPECT_EQ(shows(Kind::signal, 15), "SIGTERM");
  EXPECT_EQ(shows(Kind::rlimit, 7), "RLIMIT_NOFILE");
  EXPECT_EQ(shows(Kind::prctl, 38), "PR_SET_NO_NEW_PRIVS");
  EXPECT_EQ(shows(Kind::prctl, 12345), "12345");
  EXPECT_EQ(shows(Kind::capabilities, 0), "none");
  EXPECT_EQ(shows(Kind::capabilities, ~uint64_t{0}), "all");
  EXPECT_EQ(shows(Kind::capabilities, 1 << 21 | 1), "CHOWN|SYS_ADMIN");
  EXPECT_EQ(shows(Kind::magic, 0x9fa0), "proc");
  EXPECT_EQ(shows(Kind::magic, 0x1234), "0x1234");
  EXPECT_EQ(shows(Kind::propagation, 1 << 18), "MS_PRIVATE");
  EXPECT_EQ(shows(Kind::clone_flags, 0x40000000), "NEWNET");
  EXPECT_EQ(shows(Kind::mount_attributes, 3), "MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID");
  EXPECT_EQ(shows(Kind::umount_flags, 2), "MNT_DETACH");
  for (int kind = 0; kind <= static_cast<int>(Kind::scratch); ++kind)
    for (const uint64_t value : {uint64_t{0}, uint64_t{1} << 33, ~uint64_t{0}})
      (void)shows(static_cast<Kind>(kind), value);
}

TEST(Print, JsonHasStableKeys) {
  Small small;
  small.step(Op::fchdir).pass_over = ENOENT;
  small.step(Op::fchdir).skip = 1;
  small.step(Op::unlink).arg[0] = small.builder_.text("\xff\xfe");  // no UTF-8
  const auto document = nlohmann::ordered_json::parse(to_json(small.plan()));
  const auto keys = [](const nlohmann::ordered_json& object) {
    std::vector<std::string> names;
    for (const auto& [name, value] : object.items()) names.push_back(name);
    return names;
  };
  EXPECT_EQ(keys(document), (std::vector<std::string>{"version", "steps"}));
  EXPECT_EQ(document["version"], 1);
  for (const auto& step : document["steps"]) {
    std::vector<std::string> expected = {"index", "actor", "op", "args", "from"};
    if (step["op"] == "fchdir") expected.insert(expected.end(), {"pass_over", "skip"});
    EXPECT_EQ(keys(step), expected);
    EXPECT_TRUE(step["args"].is_array());
  }
}

}  // namespace
}  // namespace isle::plan
