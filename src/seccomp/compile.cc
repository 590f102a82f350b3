#include "seccomp/compile.h"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>

#include "isle/fd.h"

namespace isle::seccomp {
namespace {

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

constexpr uint32_t kX32Bit = 0x40000000;

uint32_t bits(Action action, uint16_t error) { return static_cast<uint32_t>(action) | error; }

scmp_arg_cmp comparison(const Argument& argument) {
  return {.arg = argument.index,
          .op = static_cast<scmp_compare>(argument.op),
          .datum_a = argument.value,
          .datum_b = argument.value_two};
}

/// libseccomp wants each argument once in a rule; of several conditions on one, any suffices
/// (runc has it so, and profiles rely on it).
std::vector<std::vector<scmp_arg_cmp>> alternatives(const Rule& rule) {
  std::vector<scmp_arg_cmp> all;
  bool twice = false;
  for (const Argument& argument : rule.arguments) {
    twice = twice || std::ranges::any_of(all, [&](const scmp_arg_cmp& other) {
              return other.arg == argument.index;
            });
    all.push_back(comparison(argument));
  }
  if (!twice) return {all};
  std::vector<std::vector<scmp_arg_cmp>> each;
  each.reserve(all.size());
  for (const scmp_arg_cmp& one : all) each.push_back({one});
  return each;
}

Status add_rule(void* filter, const Profile& profile, const Rule& rule) {
  const uint32_t action = bits(rule.action, rule.error);
  if (action == bits(profile.default_action, profile.default_error)) return {};
  for (const std::string& name : rule.names) {
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR && profile.unknown_fails)
      return fail(0, fmt::format("seccomp: there is no system call \"{}\"", name));
    if (number == __NR_SCMP_ERROR) continue;
    for (const auto& arguments : alternatives(rule)) {
      const int result =
          seccomp_rule_add_array(filter, action, number, static_cast<unsigned>(arguments.size()),
                                 arguments.empty() ? nullptr : arguments.data());
      if (result < 0 && result != -EEXIST)
        return fail(-result, fmt::format("seccomp: add a rule for \"{}\"", name));
    }
  }
  return {};
}

Result<Program> exported(void* filter) {
  const Fd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return fail(errno, "seccomp: make a memory file");
  if (const int result = seccomp_export_bpf(filter, file.get()); result < 0)
    return fail(-result, "seccomp: compile the profile");
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  Program program(static_cast<size_t>(size) / sizeof(uint64_t));
  if (::pread(file.get(), program.data(), static_cast<size_t>(size), 0) != size)
    return fail(EIO, "seccomp: read the program");
  return program;
}

// ---- system calls that are newer than the profile -------------------------------------------------

uint64_t instruction(uint16_t code, uint8_t if_true, uint8_t if_false, uint32_t k) {
  const sock_filter one{.code = code, .jt = if_true, .jf = if_false, .k = k};
  uint64_t word = 0;
  static_assert(sizeof one == sizeof word);
  std::memcpy(&word, &one, sizeof word);
  return word;
}

uint32_t largest_named(const Profile& profile, uint32_t architecture) {
  int largest = 0;
  for (const Rule& rule : profile.rules)
    for (const std::string& name : rule.names)
      largest = std::max(largest, seccomp_syscall_resolve_name_arch(architecture, name.c_str()));
  return static_cast<uint32_t>(largest);
}

bool wants_enosys(const Profile& profile) {
  switch (profile.default_action) {
    case Action::allow:
    case Action::log:
    case Action::trace:
    case Action::notify:
      return false;
    case Action::error:
      return profile.default_error != ENOSYS;
    default:
      return true;
  }
}

/// Goes before libseccomp's program, which loads its own words anew.
Program enosys_part(const Profile& profile, const std::vector<uint32_t>& architectures) {
  constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
  constexpr uint16_t kReturn = BPF_RET | BPF_K;
  constexpr uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr uint16_t kGreater = BPF_JMP | BPF_JGT | BPF_K;
  constexpr uint16_t kAtLeast = BPF_JMP | BPF_JGE | BPF_K;
  const uint64_t refuse = instruction(kReturn, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
  const auto listed = [&](uint32_t arch) {
    return std::ranges::find(architectures, arch) != architectures.end();
  };
  Program program;
  for (const uint32_t architecture : architectures) {
    if (architecture == SCMP_ARCH_X32) continue;  // the same word as x86-64's: below
    const uint32_t largest = largest_named(profile, architecture);
    if (largest == 0) continue;
    Program checks = {instruction(kLoad, 0, 0, offsetof(seccomp_data, nr))};
    if (architecture == SCMP_ARCH_X86_64) {
      const uint32_t x32 = listed(SCMP_ARCH_X32) ? largest_named(profile, SCMP_ARCH_X32) : 0;
      if (x32 > kX32Bit) {
        checks.push_back(instruction(kGreater, 0, 1, x32));
        checks.push_back(refuse);
      }
      checks.push_back(instruction(kAtLeast, 2, 0, kX32Bit));
    }
    checks.push_back(instruction(kGreater, 0, 1, largest));
    checks.push_back(refuse);
    program.push_back(instruction(kLoad, 0, 0, offsetof(seccomp_data, arch)));
    program.push_back(instruction(kEqual, 0, static_cast<uint8_t>(checks.size()), architecture));
    program.insert(program.end(), checks.begin(), checks.end());
  }
  return program;
}

}  // namespace

std::string library_version() {
  const scmp_version* version = seccomp_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->micro);
}

Result<Program> compile(const Profile& profile) {
  const Filter filter(seccomp_init(bits(profile.default_action, profile.default_error)));
  if (!filter) return fail(EINVAL, "seccomp: this default action");
  std::vector<uint32_t> architectures = {seccomp_arch_native()};
  for (const uint32_t architecture : profile.architectures) {
    const int result = seccomp_arch_add(filter.get(), architecture);
    if (result < 0 && result != -EEXIST)
      return fail(-result, fmt::format("seccomp: architecture {:#x}", architecture),
                  "libseccomp does not know it, or not beside this machine's own");
    if (result == 0) architectures.push_back(architecture);
  }
  // A search in a tree; where that cannot be had, one after the other.
  constexpr uint32_t kTree = 2;
  (void)seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, kTree);
  for (const Rule& rule : profile.rules)
    if (Status status = add_rule(filter.get(), profile, rule); !status)
      return std::unexpected(status.error());
  auto program = exported(filter.get());
  if (!program) return program;
  if (wants_enosys(profile)) {
    const Program first = enosys_part(profile, architectures);
    program->insert(program->begin(), first.begin(), first.end());
  }
  if (program->size() > BPF_MAXINSNS)
    return fail(E2BIG, fmt::format("seccomp: {} instructions; the kernel takes {}", program->size(),
                                   BPF_MAXINSNS));
  return program;
}

}  // namespace isle::seccomp
