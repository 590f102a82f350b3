// The bytes of a plan: what compile() writes, verify() checks, print shows and the executor carries
// out. No pointers, only offsets into one text block, so a plan can go through a memfd, be hashed
// or kept. Used by freestanding code: nothing here may need libc.
#pragma once

#include <cstdint>

namespace isle::plan {

/// Who carries a step out. Every actor goes through the one list in order and does its own steps.
enum class Actor : uint8_t {
  runtime,  ///< The process that clones: isle itself, or isle-exec on behalf of a library.
  init,     ///< The first process of the sandbox.
  command,  ///< Child of init, where a pid 1 of isle's own was asked for.
  undo,     ///< The guard: waits for the end and removes what processes leave behind. Or launch().
};
inline constexpr int kActors = 4;

/// One primitive each. The table in ops.cc gives each its name and its arguments.
enum class Op : uint8_t {
  // control
  guard,
  clone3,
  post,
  await,
  alive,
  await_start,
  call,
  hook,
  spawn,
  reap,
  expect_command,
  execve,
  // descriptors and paths
  use_fd,
  open,
  open_in,
  make_dir_in,
  make_file_in,
  symlink_in,
  mknod_in,
  copy_in,
  copy_tree,
  copy_link,
  write_in,
  chown,
  expect_fs,
  expect_directory,
  dup2,
  close_range,
  keep_only,
  send_fd,
  receive_fd,
  // mounts
  open_tree,
  fsopen,
  fsconfig_string,
  fsconfig_flag,
  fsconfig_fd,
  fsconfig_create,
  fsmount,
  mount_setattr,
  move_mount,
  pivot_root,
  umount,
  chroot,
  chdir,
  fchdir,
  make_userns,
  // namespaces and ids
  unshare,
  setns,
  persist,
  note_namespaces,
  write_child,
  map_program,
  setgroups,
  setresgid,
  setresuid,
  // files of the host
  mkdir,
  write_file,
  create_file,
  unlink,
  remove_cgroup,
  device_filter,
  // process
  prctl,
  capset,
  drop_bounding,
  raise_ambient,
  setsid,
  default_signals,
  open_console,
  open_slave,
  controlling_terminal,
  sethostname,
  setdomainname,
  link_up,
  prlimit,
  setpriority,
  sched_setaffinity,
  sched_setattr,
  ioprio_set,
  set_mempolicy,
  join_keyring,
  umask,
  restore_umask,
  personality,
  seccomp,
  count_,
};
inline constexpr int kOps = static_cast<int>(Op::count_);

/// Rendezvous between runtime and init.
enum class Point : uint8_t { ids_ready, namespaces_ready, mounts_ready, called, runtime_done };
inline constexpr int kPoints = 5;

/// What a word of Step::arg means.
enum class Kind : uint8_t {
  none,
  text,        ///< Offset of a NUL-terminated string in the text block.
  list,        ///< Offset | count << 32: that many NUL-terminated strings, one after another.
  blob,        ///< Offset | size in bytes << 32; 8-byte aligned.
  ids,         ///< A blob of 32-bit ids.
  cpus,        ///< A blob of 64-bit words, a bit a CPU.
  in,          ///< A register that an earlier step wrote.
  in_or_none,  ///< The same, or kNoRegister: AT_FDCWD for a directory, else "not given".
  below,  ///< The same, where the step's path is below a directory; it is shown after the path.
  out,    ///< A register this step writes; what it held before is closed.
  number,
  limit,
  octal,
  id,
  point,
  signal,
  rlimit,
  prctl,
  capabilities,
  propagation,
  magic,
  clone_flags,
  open_flags,
  resolve_flags,
  open_tree_flags,
  move_mount_flags,
  mount_attributes,
  umount_flags,
  at_flags,
  close_range_flags,
  seccomp_flags,
  attempt,  ///< 0: the only one; 1: a first try; 2: another, where that one failed.
  copies,   ///< 0: the mount; 1: the mount the first time, then copies of it.
  scratch,  ///< Index of the first of the pointers the executor may fill for this step.
};

inline constexpr int kArgs = 7;
inline constexpr int kKept = 4;  ///< Registers that a keep_only can name.
inline constexpr int kMostNamespaces = 8;
inline constexpr uint64_t kNoRegister = 0xff;
/// For an owner or a group: left as it is.
inline constexpr uint32_t kSameOwner = 0xffff'ffff;
inline constexpr int kRegisters = 192;
inline constexpr uint16_t kNoStep = 0xffff;

/// A step applies ...
enum StepFlags : uint8_t {
  kOnFailureOnly = 1,  ///< (undo) ... only where the command was not started.
  kSkipsIfDone = 2,    ///< ... and takes the place of the `skip` steps after it.
};

inline constexpr uint8_t kAnyError = 0xff;

struct Step {
  Op op{};
  Actor actor{};
  uint8_t pass_over = 0;  ///< An errno that is no failure here, or kAnyError; 0 for none.
  uint8_t flags = 0;      ///< StepFlags
  uint16_t origin = 0;    ///< Index into the plan's origins.
  uint16_t skip = 0;      ///< Steps to pass over, too, when pass_over was met, or by kSkipsIfDone.
  uint64_t arg[kArgs] = {};
};
static_assert(sizeof(Step) == 64);

/// What a test asks to go wrong.
enum class FaultKind : uint16_t { none, fail, hang };

struct Header {
  static constexpr uint32_t kMagic = 0x6c736931;  // "1isl"
  uint32_t magic = kMagic;
  uint32_t size = 0;  ///< Of the whole plan in bytes.
  uint32_t step_count = 0;
  uint32_t text_offset = 0;
  uint32_t text_size = 0;
  uint32_t origin_list = 0;  ///< Offset in the text block of the origins, one after another.
  uint32_t origin_count = 0;
  uint32_t scratch_pointers = 0;
  uint8_t console_register = 0xff;  ///< Registers of the runtime handed to the caller at the end.
  uint8_t listener_register = 0xff;
  uint16_t clone_step = kNoStep;
  uint16_t fault_step = kNoStep;
  FaultKind fault_kind = FaultKind::none;
  int32_t fault_error = 0;
  uint16_t record_times = 0;  ///< The executor notes when each step was done.
  uint16_t executing = 0;     ///< Init did all its steps but the execve.
  /// Written by the kernel as they are born, for a caller whose isle-exec does not live to tell.
  int32_t child_pid = 0;
  int32_t guard_pid = 0;
};
static_assert(sizeof(Header) % 8 == 0);

// A plan is a Header, its Steps, its text block. While it is carried out it stands at the start of
// an arena: then come pointers for argument lists, then a time a step, then what note_namespaces
// found, in the order of its list.
inline uint64_t scratch_offset(const Header* plan) { return (plan->size + 7ULL) & ~7ULL; }
inline uint64_t times_offset(const Header* plan) {
  return scratch_offset(plan) + plan->scratch_pointers * 8ULL;
}
inline uint64_t namespaces_offset(const Header* plan) {
  return times_offset(plan) + plan->step_count * 8ULL;
}
inline uint64_t arena_size(const Header* plan) {
  return namespaces_offset(plan) + kMostNamespaces * 8ULL;
}
inline const Step* steps(const Header* plan) { return reinterpret_cast<const Step*>(plan + 1); }
inline const char* text(const Header* plan, uint64_t offset) {
  return reinterpret_cast<const char*>(plan) + plan->text_offset + (offset & 0xffffffff);
}
inline uint32_t high(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

}  // namespace isle::plan
