// One function an operation, none of which decides anything: arguments to one primitive.
#include <linux/errno.h>

#include "exec/operations.h"
#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle::exec {
namespace {

constexpr auto kOpenToWrite =
    sys::OpenFlags::wronly | sys::OpenFlags::cloexec | sys::OpenFlags::noctty;

long write_whole(int fd, const char* data) noexcept {
  const std::size_t size = length_of(data);
  const long written = sys::write(fd, data, size);
  if (written < 0) return written;
  return static_cast<std::size_t>(written) == size ? 0 : -EIO;
}

using plan::Op;
using plan::Step;

constexpr int kCapabilities = 64;
constexpr std::size_t kPathBytes = 4096;

// ---- descriptors and paths --------------------------------------------------------------------

/// What is to be closed at once goes but for what we need ourselves until the execve.
long close_range(const Context& c, const Step& s) noexcept {
  const auto last = static_cast<std::int64_t>(s.arg[1]);
  const auto flags = static_cast<sys::CloseRange>(s.arg[2]);
  const bool spares = flags == sys::CloseRange::none;
  long result = 0;
  for (auto first = static_cast<std::int64_t>(s.arg[0]); first <= last && result == 0;) {
    std::int64_t own = last + 1;
    for (const int fd : c.registers)
      if (spares && fd >= first && fd < own) own = fd;
    if (spares && c.channel >= first && c.channel < own) own = c.channel;
    if (own > first)
      result = sys::close_range(static_cast<std::uint32_t>(first),
                                static_cast<std::uint32_t>(own - 1), flags);
    first = own + 1;
  }
  return result;
}

long do_path(Context& c, const Step& s) noexcept {
  switch (s.op) {
    case Op::use_fd:
      return c.out(s.arg[1], sys::fcntl(static_cast<int>(s.arg[0]), sys::Fcntl::dupfd_cloexec, 3));
    case Op::open:
      return c.out(s.arg[2], sys::openat(sys::kAtFdcwd, c.text(s.arg[0]),
                                         static_cast<sys::OpenFlags>(s.arg[1])));
    case Op::open_in:
      return c.out(s.arg[4], path::open_in(c.in(s.arg[0]), c.text(s.arg[1]),
                                           static_cast<sys::OpenFlags>(s.arg[2]),
                                           static_cast<sys::Resolve>(s.arg[3])));
    case Op::make_dir_in:
      return c.out(s.arg[3], path::make_in(c.in(s.arg[0]), c.text(s.arg[1]), path::Leaf::directory,
                                           static_cast<std::uint32_t>(s.arg[2])));
    case Op::make_file_in:
      return c.out(s.arg[3], path::make_in(c.in(s.arg[0]), c.text(s.arg[1]), path::Leaf::file,
                                           static_cast<std::uint32_t>(s.arg[2])));
    case Op::copy_tree:
      return copy_tree(c.in(s.arg[0]), c.text(s.arg[1]), c.in(s.arg[2]));
    case Op::chown:
      return sys::fchownat(c.in(s.arg[0]), "", static_cast<std::uint32_t>(s.arg[1]),
                           static_cast<std::uint32_t>(s.arg[2]), sys::AtFlags::empty_path);
    case Op::dup2: {
      const int fd = c.in(s.arg[0]);
      const int number = static_cast<int>(s.arg[1]);
      if (fd == number) return sys::fcntl(fd, sys::Fcntl::setfd, 0);
      const int result = sys::dup3(fd, number);
      return result < 0 ? result : 0;
    }
    case Op::close_range:
      return close_range(c, s);
    case Op::keep_only:
      for (int i = 0; i < plan::kRegisters; ++i) {
        const auto number = static_cast<std::uint64_t>(i);
        bool kept = false;
        for (int n = 0; n < plan::kKept; ++n) kept = kept || s.arg[n] == number;
        if (kept || c.registers[i] < 0) continue;
        sys::close(c.registers[i]);
        c.registers[i] = -1;
      }
      return 0;
    case Op::expect_directory: {
      sys::statx_t stat;
      const int result =
          sys::statx(c.in(s.arg[0]), "", sys::AtFlags::empty_path, sys::StatxMask::type, &stat);
      if (result < 0) return result;
      return (stat.stx_mode & sys::kModeTypeMask) == sys::kModeDirectory ? 0 : -ENOTDIR;
    }
    case Op::expect_fs: {
      sys::statfs_t stat;
      const int result = sys::fstatfs(c.in(s.arg[0]), &stat);
      if (result < 0) return result;
      return stat.f_type == static_cast<std::int64_t>(s.arg[1]) ? 0 : -EXDEV;
    }
    default:
      return -ENOSYS;
  }
}

/// Operations that make a name below a root.
long do_make_name(Context& c, const Step& s) noexcept {
  const bool copies = s.op == Op::copy_in || s.op == Op::copy_link;
  const int root = c.in(s.arg[copies ? 1 : 0]);
  const char* name = nullptr;
  const int parent = path::parent_in(root, c.text(s.arg[copies ? 2 : 1]), &name);
  if (parent < 0) return parent;
  long result = -ENOSYS;
  if (s.op == Op::copy_in) {
    result = copy_in(c.in(s.arg[0]), parent, name, static_cast<std::uint32_t>(s.arg[3]));
  } else if (s.op == Op::symlink_in) {
    result = sys::symlinkat(c.text(s.arg[2]), parent, name);
  } else if (s.op == Op::copy_link) {
    result = copy_link(c.text(s.arg[0]), parent, name);
  } else if (s.op == Op::mknod_in) {
    result = sys::mknodat(parent, name, static_cast<std::uint32_t>(s.arg[2]),
                          static_cast<std::uint32_t>(s.arg[3]));
    if (result == 0 && s.arg[4] != plan::kSameOwner)
      result = sys::fchownat(parent, name, static_cast<std::uint32_t>(s.arg[4]),
                             static_cast<std::uint32_t>(s.arg[5]), sys::AtFlags::symlink_nofollow);
  }
  if (parent != root) sys::close(parent);
  return result;
}

// ---- mounts ---------------------------------------------------------------------------------

long mount_setattr(Context& c, const Step& s) noexcept {
  sys::mount_attr attr;
  attr.attr_set = s.arg[3];
  attr.attr_clr = s.arg[4];
  attr.propagation = s.arg[5];
  if (s.arg[6] != plan::kNoRegister) attr.userns_fd = static_cast<std::uint64_t>(c.in(s.arg[6]));
  return sys::mount_setattr(c.in(s.arg[0]), c.text(s.arg[1]), static_cast<sys::AtFlags>(s.arg[2]),
                            &attr);
}

long move_mount(Context& c, const Step& s) noexcept {
  const int mount = c.in(s.arg[0]);
  const bool copies = s.arg[4] != 0;
  const bool is_attached = copies && c.attached == mount;
  const int moved = is_attached ? sys::open_tree(mount, "",
                                                 sys::OpenTree::clone | sys::OpenTree::cloexec |
                                                     sys::OpenTree::empty_path)
                                : mount;
  if (moved < 0) return moved;
  const int result = sys::move_mount(moved, "", c.in(s.arg[1]), c.text(s.arg[2]),
                                     static_cast<sys::MoveMount>(s.arg[3]));
  if (is_attached) sys::close(moved);
  if (copies && result == 0) c.attached = mount;
  return result;
}

/// fsconfig and fsmount tell more in their log than in errno.
long with_log(Context& c, const Step& s, long result) noexcept {
  if (result < 0) read_fs_log(c, c.in(s.arg[0]));
  return result;
}

long change_directory(Context& c, const Step& s) noexcept {
  enum : std::uint64_t { first_try = 1, another = 2 };
  if (s.arg[2] == another && c.is_in_directory) return 0;
  const int result = path::change_directory(c.text(s.arg[0]), static_cast<sys::Resolve>(s.arg[1]));
  if (s.arg[2] == first_try) c.is_in_directory = result == 0;
  return result;
}

/// A process that only holds a user namespace open until its descriptor is taken.
[[gnu::noinline]] long make_userns(Context& c, const Step& s) noexcept {
  int pidfd = -1;
  sys::clone_args args;
  args.flags = sys::bits(sys::CloneFlags::newuser | sys::CloneFlags::pidfd);
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = 0;
  const int pid = sys::clone3(&args);
  if (pid == 0) {
    sys::prctl(sys::Prctl::set_pdeathsig, 9);
    for (;;) sys::ppoll(nullptr, 0, nullptr);
  }
  if (pid < 0) return pid;
  char name[64];
  proc_path(name, pid, "uid_map");
  long result = write_once(sys::kAtFdcwd, name, c.text(s.arg[0]), false);
  proc_path(name, pid, "gid_map");
  if (result == 0) result = write_once(sys::kAtFdcwd, name, c.text(s.arg[1]), false);
  proc_path(name, pid, "ns/user");
  if (result == 0)
    result = c.out(s.arg[2], sys::openat(sys::kAtFdcwd, name,
                                         sys::OpenFlags::rdonly | sys::OpenFlags::cloexec));
  sys::pidfd_send_signal(pidfd, 9);
  sys::siginfo info;
  sys::waitid(sys::WaitId::pidfd, pidfd, &info, sys::WaitFlags::exited | sys::WaitFlags::all);
  sys::close(pidfd);
  return result;
}

long do_mount(Context& c, const Step& s) noexcept {
  const int in = c.in(s.arg[0]);
  switch (s.op) {
    case Op::open_tree:
      return c.out(s.arg[3],
                   sys::open_tree(in, c.text(s.arg[1]), static_cast<sys::OpenTree>(s.arg[2])));
    case Op::fsopen:
      return c.out(s.arg[1], sys::fsopen(c.text(s.arg[0]), sys::FsopenFlags::cloexec));
    case Op::fsconfig_string:
      return with_log(
          c, s,
          sys::fsconfig(in, sys::Fsconfig::set_string, c.text(s.arg[1]), c.text(s.arg[2]), 0));
    case Op::fsconfig_flag:
      return with_log(c, s,
                      sys::fsconfig(in, sys::Fsconfig::set_flag, c.text(s.arg[1]), nullptr, 0));
    case Op::fsconfig_fd:
      return with_log(
          c, s,
          sys::fsconfig(in, sys::Fsconfig::set_fd, c.text(s.arg[1]), nullptr, c.in(s.arg[2])));
    case Op::fsconfig_create:
      return with_log(c, s, sys::fsconfig(in, sys::Fsconfig::cmd_create, nullptr, nullptr, 0));
    case Op::fsmount: {
      const int fd =
          sys::fsmount(in, sys::FsmountFlags::cloexec, static_cast<sys::MountAttr>(s.arg[1]));
      return fd < 0 ? with_log(c, s, fd) : c.out(s.arg[2], fd);
    }
    case Op::mount_setattr:
      return mount_setattr(c, s);
    case Op::move_mount:
      return move_mount(c, s);
    case Op::pivot_root:
      return sys::pivot_root(c.text(s.arg[0]), c.text(s.arg[1]));
    case Op::umount:
      return sys::umount2(c.text(s.arg[0]), static_cast<sys::UmountFlags>(s.arg[1]));
    case Op::chroot:
      return sys::chroot(c.text(s.arg[0]));
    case Op::chdir:
      return change_directory(c, s);
    case Op::fchdir:
      return sys::fchdir(in);
    case Op::make_userns:
      return make_userns(c, s);
    default:
      return -ENOSYS;
  }
}

// ---- files of the host ----------------------------------------------------------------------

/// On v1 and before 5.14 there is no cgroup.kill: a signal to each process, as often as needed.
[[gnu::noinline]] void kill_cgroup(const char* path) noexcept {
  Text<kPathBytes> file;
  file.add(path).add("/cgroup.kill");
  if (file.overflow || write_once(sys::kAtFdcwd, file.bytes, "1", false) == 0) return;
  file.size -= sizeof "cgroup.kill" - 1;
  file.add("cgroup.procs");
  const int fd =
      sys::openat(sys::kAtFdcwd, file.bytes, sys::OpenFlags::rdonly | sys::OpenFlags::cloexec);
  if (fd < 0) return;
  char buffer[4096];
  int pid = 0;
  long got = 0;
  while ((got = sys::read(fd, buffer, sizeof buffer)) > 0)
    for (long i = 0; i < got; ++i) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        pid = pid * 10 + (buffer[i] - '0');
      } else {
        if (pid > 0) sys::kill(pid, 9);
        pid = 0;
      }
    }
  sys::close(fd);
}

/// Ends what runs in a cgroup and removes it; the last process leaves it a little after its end.
long remove_cgroup(const char* path) noexcept {
  constexpr int kMostTries = 500;
  sys::timespec pause;
  for (int i = 0; i < kMostTries; ++i) {
    const int removed = sys::unlinkat(sys::kAtFdcwd, path, sys::AtFlags::removedir);
    if (removed != -EBUSY) return removed == -ENOENT ? 0 : removed;
    kill_cgroup(path);
    pause.tv_nsec = i < 20 ? 500'000 : 10'000'000;
    sys::nanosleep(&pause);
  }
  return -EBUSY;
}

long device_filter(Context& c, const Step& s) noexcept {
  sys::bpf_prog_load load;
  load.prog_type = sys::kBpfProgCgroupDevice;
  load.insn_cnt = plan::high(s.arg[1]) / static_cast<std::uint32_t>(sizeof(std::uint64_t));
  load.insns = blob<std::uint64_t>(c, s.arg[1]);
  load.license = "";
  const int program = sys::bpf(sys::BpfCommand::prog_load, load);
  if (program < 0) return program;
  sys::bpf_prog_attach attach;
  attach.target_fd = static_cast<std::uint32_t>(c.in(s.arg[0]));
  attach.attach_bpf_fd = static_cast<std::uint32_t>(program);
  attach.attach_type = sys::kBpfCgroupDevice;
  attach.attach_flags = sys::kBpfAllowMulti;
  const int attached = sys::bpf(sys::BpfCommand::prog_attach, attach);
  sys::close(program);
  return attached;
}

bool are_equal(const char* a, const char* b) noexcept {
  for (; *a != '\0' && *a == *b; ++a) ++b;
  return *a == *b;
}

long write_on(Context& c, const char* path, const char* data, int directory) noexcept {
  if (c.written < 0 || directory != c.written_below || !are_equal(path, c.written_path)) {
    end_writing(c);
    c.written = sys::openat(directory, path, kOpenToWrite);
    if (c.written < 0) return c.written;
    c.written_path = path;
    c.written_below = directory;
  }
  return write_whole(c.written, data);
}

long do_host_file(Context& c, const Step& s) noexcept {
  const char* path = c.text(s.arg[0]);
  switch (s.op) {
    case Op::mkdir:
      return sys::mkdirat(c.in(s.arg[2]), path, static_cast<std::uint32_t>(s.arg[1]));
    case Op::write_file:
      return write_on(c, path, c.text(s.arg[1]), c.in(s.arg[2]));
    case Op::write_in:
      return write_once(c.in(s.arg[0]), c.text(s.arg[1]), c.text(s.arg[2]), true);
    case Op::create_file: {
      const int fd = sys::openat(sys::kAtFdcwd, path,
                                 sys::OpenFlags::wronly | sys::OpenFlags::creat |
                                     sys::OpenFlags::excl | sys::OpenFlags::cloexec,
                                 static_cast<std::uint32_t>(s.arg[1]));
      return fd < 0 ? fd : sys::close(fd);
    }
    case Op::unlink:
      return sys::unlinkat(sys::kAtFdcwd, path, sys::AtFlags::none);
    case Op::remove_cgroup:
      return remove_cgroup(path);
    case Op::device_filter:
      return device_filter(c, s);
    default:
      return -ENOSYS;
  }
}

// ---- the process ----------------------------------------------------------------------------

long capset(const Step& s) noexcept {
  const sys::cap_user_header header;
  sys::cap_user_data data[2];
  for (int half = 0; half < 2; ++half) {
    const int shift = 32 * half;
    data[half].effective = static_cast<std::uint32_t>(s.arg[0] >> shift);
    data[half].permitted = static_cast<std::uint32_t>(s.arg[1] >> shift);
    data[half].inheritable = static_cast<std::uint32_t>(s.arg[2] >> shift);
  }
  return sys::capset(&header, data);
}

/// The kernel says which is its last capability by EINVAL for the one after.
long for_capabilities(std::uint64_t set, bool wanted, sys::Prctl option, long command) noexcept {
  for (int capability = 0; capability < kCapabilities; ++capability) {
    if (((set >> capability & 1) != 0) != wanted) continue;
    const int result = option == sys::Prctl::cap_ambient
                           ? sys::prctl(option, command, capability, 0, 0)
                           : sys::prctl(option, capability, 0, 0, 0);
    if (result == -EINVAL && capability > 36) return 0;  // 36: Linux 3.5, our floor has more
    if (result < 0) return result;
  }
  return 0;
}

/// struct ifreq as far as flags go.
struct InterfaceRequest {
  char name[16] = {};
  short flags = 0;
  char rest[22] = {};
};

long link_up(const char* name) noexcept {
  constexpr short kUp = 1;
  InterfaceRequest request;
  for (int i = 0; i < 15 && name[i] != '\0'; ++i) request.name[i] = name[i];
  const int fd =
      sys::socket(sys::AddressFamily::inet, sys::SocketType::dgram | sys::SocketType::cloexec, 0);
  if (fd < 0) return fd;
  int result = sys::ioctl(fd, sys::Ioctl::siocgifflags, &request);
  request.flags = static_cast<short>(request.flags | kUp);
  if (result == 0) result = sys::ioctl(fd, sys::Ioctl::siocsifflags, &request);
  sys::close(fd);
  return result;
}

long seccomp(Context& c, const Step& s) noexcept {
  const auto flags = static_cast<sys::SeccompFlags>(s.arg[1]);
  sys::sock_fprog program;
  program.len = static_cast<std::uint16_t>(plan::high(s.arg[0]) / sizeof(sys::sock_filter));
  program.filter = blob<sys::sock_filter>(c, s.arg[0]);
  const int result = sys::seccomp(sys::SeccompOp::set_mode_filter, flags, &program);
  if (result < 0 || !any(flags & sys::SeccompFlags::new_listener)) return result;
  return c.out(s.arg[2], result);
}

void default_signals() noexcept {
  constexpr sys::kernel_sigaction kDefault{};
  constexpr int kMostSignal = 64;
  // SIGKILL and SIGSTOP have no other action, and say EINVAL.
  for (int signal = 1; signal <= kMostSignal; ++signal)
    sys::rt_sigaction(signal, &kDefault, nullptr);
}

long do_process(Context& c, const Step& s) noexcept {
  const char* text = c.text(s.arg[0]);
  const int number = static_cast<int>(s.arg[0]);
  const int pid = c.actor == plan::Actor::runtime ? c.child : 0;
  switch (s.op) {
    case Op::prctl:
      return sys::prctl(static_cast<sys::Prctl>(number), static_cast<long>(s.arg[1]), 0, 0, 0);
    case Op::capset:
      return capset(s);
    case Op::drop_bounding:
      return for_capabilities(s.arg[0], false, sys::Prctl::capbset_drop, 0);
    case Op::raise_ambient:
      return for_capabilities(s.arg[0], true, sys::Prctl::cap_ambient, 2);
    case Op::setsid: {
      const int session = sys::setsid();
      return session < 0 ? session : 0;
    }
    case Op::default_signals:
      default_signals();
      return 0;
    case Op::open_console:
    case Op::open_slave:
    case Op::controlling_terminal:
      return do_terminal(c, s);
    case Op::sethostname:
      return sys::sethostname(text, length_of(text));
    case Op::setdomainname:
      return sys::setdomainname(text, length_of(text));
    case Op::link_up:
      return link_up(text);
    case Op::prlimit: {
      const sys::rlimit64 limit{s.arg[1], s.arg[2]};
      return sys::prlimit64(pid, number, &limit, nullptr);
    }
    case Op::setpriority:
      return sys::setpriority(0, pid, number);
    case Op::sched_setaffinity:
      return sys::sched_setaffinity(pid, plan::high(s.arg[0]), blob<unsigned long>(c, s.arg[0]));
    case Op::sched_setattr:
      return sys::sched_setattr(pid, blob<sys::sched_attr>(c, s.arg[0]));
    case Op::ioprio_set:
      return sys::ioprio_set(1, pid, number);
    case Op::set_mempolicy:
      return sys::set_mempolicy(static_cast<sys::Mempolicy>(number),
                                blob<unsigned long>(c, s.arg[1]), plan::high(s.arg[1]) * 8UL + 1);
    case Op::join_keyring: {
      const int serial = sys::keyctl(sys::Keyctl::join_session_keyring, text);
      return serial < 0 ? serial : 0;
    }
    case Op::umask:
      c.remember_umask(sys::umask(static_cast<std::uint32_t>(number)));
      return 0;
    case Op::restore_umask:
      if (c.umask != Context::kNoUmask) sys::umask(c.umask);
      return 0;
    case Op::personality: {
      const int old = sys::personality(static_cast<std::uint32_t>(s.arg[0]));
      return old < 0 ? old : 0;
    }
    case Op::seccomp:
      return seccomp(c, s);
    default:
      return -ENOSYS;
  }
}

}  // namespace

long write_once(int dirfd, const char* path, const char* data, bool in_root) noexcept {
  const int fd =
      in_root ? path::open_in(dirfd, path, kOpenToWrite) : sys::openat(dirfd, path, kOpenToWrite);
  if (fd < 0) return fd;
  const long result = write_whole(fd, data);
  sys::close(fd);
  return result;
}

void end_writing(Context& context) noexcept {
  if (context.written >= 0) sys::close(context.written);
  context.written = -1;
}

long Context::out(std::uint64_t argument, long fd) noexcept {
  if (fd < 0 || argument >= plan::kRegisters) return fd < 0 ? fd : 0;
  if (registers[argument] >= 0) sys::close(registers[argument]);
  registers[argument] = static_cast<int>(fd);
  return 0;
}

void read_fs_log(Context& context, int fs_fd) noexcept {
  Message& failure = context.failure;
  failure.log_size = 0;
  for (;;) {  // a record a read; ENODATA when there is no more
    const long got = sys::read(fs_fd, failure.log + failure.log_size, kMostLog - failure.log_size);
    if (got <= 0) break;
    failure.log_size += static_cast<std::uint32_t>(got);
  }
}

void proc_path(char* buffer, int pid, const char* name) noexcept {
  Text<64> path;
  path.add("/proc/").add_number(static_cast<unsigned long>(pid)).add('/').add(name);
  for (std::size_t i = 0; i <= path.size; ++i) buffer[i] = path.bytes[i];
}

std::uint64_t point_to(Context& context, std::uint64_t list, std::uint64_t first) noexcept {
  const char** pointers = context.scratch() + first;
  const char* text = context.text(list);
  const std::uint32_t count = plan::high(list);
  for (std::uint32_t i = 0; i < count; ++i) {
    pointers[i] = text;
    text += length_of(text) + 1;
  }
  pointers[count] = nullptr;
  return first + count + 1;
}

long do_operation(Context& context, const Step& step) noexcept {
  if (step.op == Op::write_in) return do_host_file(context, step);
  if (step.op == Op::symlink_in || step.op == Op::mknod_in || step.op == Op::copy_in ||
      step.op == Op::copy_link)
    return do_make_name(context, step);
  if (step.op < Op::open_tree) return do_path(context, step);
  if (step.op < Op::unshare) return do_mount(context, step);
  if (step.op < Op::mkdir) return do_identity(context, step);
  if (step.op < Op::prctl) return do_host_file(context, step);
  return do_process(context, step);
}

}  // namespace isle::exec
