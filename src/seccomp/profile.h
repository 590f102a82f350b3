// linux.seccomp of the runtime-spec as plain data. What belongs in src/seccomp: a profile, the
// program that libseccomp makes of it, and such programs kept on disk. Not part of libisle: whoever
// links that takes programs as they are (Seccomp of spec.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isle::seccomp {

/// SECCOMP_RET_* of linux/seccomp.h: what the kernel does, without the errno.
enum class Action : uint32_t {
  kill_process = 0x80000000,
  kill_thread = 0x00000000,
  trap = 0x00030000,
  error = 0x00050000,
  notify = 0x7fc00000,
  trace = 0x7ff00000,
  log = 0x7ffc0000,
  allow = 0x7fff0000,
};

/// SCMP_CMP_* of libseccomp.
enum class Operator : uint8_t {
  not_equal = 1,
  less = 2,
  less_or_equal = 3,
  equal = 4,
  greater_or_equal = 5,
  greater = 6,
  masked_equal = 7,
};

struct Argument {
  uint32_t index = 0;  ///< 0 to 5.
  Operator op = Operator::equal;
  uint64_t value = 0;      ///< masked_equal: the mask ...
  uint64_t value_two = 0;  ///< ... and what has to be left.
};

struct Rule {
  std::vector<std::string> names;
  Action action = Action::allow;
  uint16_t error = 0;               ///< For error and trace.
  std::vector<Argument> arguments;  ///< All have to hold.
};

struct Profile {
  Action default_action = Action::allow;
  uint16_t default_error = 0;
  std::vector<uint32_t> architectures;  ///< Besides this machine's own: libseccomp's tokens.
  std::vector<Rule> rules;
  bool unknown_fails = false;  ///< A name that libseccomp does not know is an error.
};

// ---- the runtime-spec's words -------------------------------------------------------------------

template <class T>
struct Word {
  std::string_view name;
  T value;
};

inline constexpr Word<Action> kActions[] = {
    {"SCMP_ACT_KILL", Action::kill_thread},
    {"SCMP_ACT_KILL_THREAD", Action::kill_thread},
    {"SCMP_ACT_KILL_PROCESS", Action::kill_process},
    {"SCMP_ACT_TRAP", Action::trap},
    {"SCMP_ACT_ERRNO", Action::error},
    {"SCMP_ACT_NOTIFY", Action::notify},
    {"SCMP_ACT_TRACE", Action::trace},
    {"SCMP_ACT_LOG", Action::log},
    {"SCMP_ACT_ALLOW", Action::allow},
};

inline constexpr Word<Operator> kOperators[] = {
    {"SCMP_CMP_NE", Operator::not_equal},           {"SCMP_CMP_LT", Operator::less},
    {"SCMP_CMP_LE", Operator::less_or_equal},       {"SCMP_CMP_EQ", Operator::equal},
    {"SCMP_CMP_GE", Operator::greater_or_equal},    {"SCMP_CMP_GT", Operator::greater},
    {"SCMP_CMP_MASKED_EQ", Operator::masked_equal},
};

/// SECCOMP_FILTER_FLAG_* of seccomp(2).
inline constexpr Word<uint32_t> kFlags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 1U << 0},  // one thread there is
    {"SECCOMP_FILTER_FLAG_LOG", 1U << 1},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1U << 2},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1U << 5},
};
inline constexpr uint32_t kTsync = 1U << 0;
inline constexpr uint32_t kSpecAllow = 1U << 2;
inline constexpr uint32_t kNewListener = 1U << 3;
inline constexpr uint32_t kWaitKillable = 1U << 5;

/// AUDIT_ARCH_* of linux/audit.h, which libseccomp takes; x32 and n32 are its own.
inline constexpr Word<uint32_t> kArchitectures[] = {
    {"SCMP_ARCH_X86", 0x40000003},         {"SCMP_ARCH_X86_64", 0xc000003e},
    {"SCMP_ARCH_X32", 0x4000003e},         {"SCMP_ARCH_ARM", 0x40000028},
    {"SCMP_ARCH_AARCH64", 0xc00000b7},     {"SCMP_ARCH_MIPS", 0x00000008},
    {"SCMP_ARCH_MIPS64", 0x80000008},      {"SCMP_ARCH_MIPS64N32", 0xa0000008},
    {"SCMP_ARCH_MIPSEL", 0x40000008},      {"SCMP_ARCH_MIPSEL64", 0xc0000008},
    {"SCMP_ARCH_MIPSEL64N32", 0xe0000008}, {"SCMP_ARCH_PPC", 0x00000014},
    {"SCMP_ARCH_PPC64", 0x80000015},       {"SCMP_ARCH_PPC64LE", 0xc0000015},
    {"SCMP_ARCH_S390", 0x00000016},        {"SCMP_ARCH_S390X", 0x80000016},
    {"SCMP_ARCH_PARISC", 0x0000000f},      {"SCMP_ARCH_PARISC64", 0x8000000f},
    {"SCMP_ARCH_RISCV64", 0xc00000f3},     {"SCMP_ARCH_LOONGARCH64", 0xc0000102},
    {"SCMP_ARCH_M68K", 0x00000004},        {"SCMP_ARCH_SH", 0x4000002a},
    {"SCMP_ARCH_SHEB", 0x0000002a},
};

}  // namespace isle::seccomp
