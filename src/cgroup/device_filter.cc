#include "cgroup/device_filter.h"

#include <bit>
#include <string_view>

namespace isle::cgroup {
namespace {

// linux/bpf.h. What the program is given: struct bpf_cgroup_dev_ctx.
constexpr uint32_t kBlock = 1;
constexpr uint32_t kCharacter = 2;
constexpr uint32_t kMknod = 1;
constexpr uint32_t kRead = 2;
constexpr uint32_t kWrite = 4;
constexpr uint32_t kEvery = kMknod | kRead | kWrite;
constexpr int16_t kAccessTypeAt = 0;  ///< Access in the upper half, type in the lower.
constexpr int16_t kMajorAt = 4;
constexpr int16_t kMinorAt = 8;

// Opcodes: BPF_LDX|BPF_MEM|BPF_W, and the classes BPF_ALU and BPF_JMP32 with an immediate.
constexpr uint8_t kLoad = 0x61;
constexpr uint8_t kMove = 0xb4;
constexpr uint8_t kMoveRegister = 0xbc;
constexpr uint8_t kAnd = 0x54;
constexpr uint8_t kShiftRight = 0x74;
constexpr uint8_t kJumpIfEqual = 0x16;
constexpr uint8_t kJumpIfNot = 0x56;
constexpr uint8_t kExit = 0x95;

enum Name : uint8_t { r0, context, type, left, major_number, minor_number };

struct Instruction {
  uint8_t code;
  uint8_t registers;  ///< Destination in the lower half, source in the upper.
  int16_t offset;
  int32_t immediate;
};
static_assert(sizeof(Instruction) == 8);

class Assembler {
 public:
  void add(uint8_t code, Name to, uint32_t immediate = 0, Name from = r0, int16_t offset = 0) {
    program_.push_back(
        {code, static_cast<uint8_t>(to | from << 4), offset, static_cast<int32_t>(immediate)});
  }
  /// To the end of the rule; told where that is by end_rule().
  void leave(uint8_t code, Name to, uint32_t immediate) {
    leaving_.push_back(program_.size());
    add(code, to, immediate);
  }
  void end_rule() {
    for (const size_t at : leaving_)
      program_[at].offset = static_cast<int16_t>(program_.size() - at - 1);
    leaving_.clear();
  }
  void answer(bool allowed) {
    add(kMove, r0, allowed ? 1 : 0);
    add(kExit, r0);
  }
  [[nodiscard]] std::vector<uint64_t> words() const {
    std::vector<uint64_t> words;
    words.reserve(program_.size());
    for (const Instruction& instruction : program_)
      words.push_back(std::bit_cast<uint64_t>(instruction));
    return words;
  }

 private:
  std::vector<Instruction> program_;
  std::vector<size_t> leaving_;
};

uint32_t access_bits(std::string_view text) {
  if (text.empty()) return kEvery;
  uint32_t bits = 0;
  for (const char c : text) bits |= c == 'r' ? kRead : c == 'w' ? kWrite : kMknod;
  return bits;
}

}  // namespace

std::vector<uint64_t> device_filter(std::span<const DeviceRule> rules) {
  Assembler code;
  code.add(kLoad, type, 0, context, kAccessTypeAt);
  code.add(kMoveRegister, left, 0, type);
  code.add(kAnd, type, 0xffff);
  code.add(kShiftRight, left, 16);  // the kinds of access nobody has allowed yet
  code.add(kLoad, major_number, 0, context, kMajorAt);
  code.add(kLoad, minor_number, 0, context, kMinorAt);
  for (size_t i = rules.size(); i-- > 0;) {
    const DeviceRule& rule = rules[i];
    const uint32_t access = access_bits(rule.access);
    const bool always = rule.type == 'a' && rule.major < 0 && rule.minor < 0 && access == kEvery;
    if (rule.type != 'a') code.leave(kJumpIfNot, type, rule.type == 'b' ? kBlock : kCharacter);
    if (rule.major >= 0) code.leave(kJumpIfNot, major_number, static_cast<uint32_t>(rule.major));
    if (rule.minor >= 0) code.leave(kJumpIfNot, minor_number, static_cast<uint32_t>(rule.minor));
    if (rule.allow && access != kEvery) {
      code.add(kAnd, left, kEvery & ~access);
      code.leave(kJumpIfNot, left, 0);
    } else if (!rule.allow && access != kEvery) {
      code.add(kMoveRegister, r0, 0, left);
      code.add(kAnd, r0, access);
      code.leave(kJumpIfEqual, r0, 0);
    }
    code.answer(rule.allow);
    code.end_rule();
    if (always) return code.words();  // the kernel refuses what can never be reached
  }
  code.answer(false);
  return code.words();
}

}  // namespace isle::cgroup
