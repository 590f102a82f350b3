// Everything below in_child() runs in a fork of a process that may have threads: system calls and
// the stack only.
#include "run/trials.h"

#include <cerrno>
#include <cstddef>

#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"

namespace isle::trials {
namespace {

using sys::CloneFlags;

constexpr int kSigchld = 17;
constexpr int kSigkill = 9;
constexpr auto kDirectory = sys::OpenFlags::rdonly | sys::OpenFlags::cloexec;

/// Runs `trial` (0 or -errno) in a child, and waits for it.
int in_child(int (*trial)()) {
  sys::clone_args args;
  args.exit_signal = kSigchld;
  const int child = sys::clone3(&args);
  if (child < 0) return -child;
  if (child == 0) sys::exit_group(-trial());
  int status = 0;
  int waited = 0;
  do waited = sys::wait4(child, &status, sys::WaitFlags::none);
  while (waited == -EINTR);
  if (waited < 0) return -waited;
  return (status & 0x7f) != 0 ? EINTR : status >> 8 & 0xff;
}

/// "ID ID 1" in decimal.
std::size_t single_map(char* text, std::uint32_t id) {
  char digits[12];
  std::size_t count = 0;
  do digits[count++] = static_cast<char>('0' + id % 10);
  while ((id /= 10) != 0);
  std::size_t size = 0;
  for (int time = 0; time < 2; ++time) {
    for (std::size_t i = count; i > 0; --i) text[size++] = digits[i - 1];
    text[size++] = ' ';
  }
  text[size++] = '1';
  return size;
}

int write_file(const char* path, const char* text, std::size_t size) {
  const int fd = sys::openat(sys::kAtFdcwd, path, sys::OpenFlags::wronly | sys::OpenFlags::cloexec);
  if (fd < 0) return fd;
  const long written = sys::write(fd, text, size);
  sys::close(fd);
  return written < 0 ? static_cast<int>(written) : 0;
}

int enter(CloneFlags more) {
  char uid_map[32];
  char gid_map[32];
  const std::size_t uid_size = single_map(uid_map, sys::geteuid());
  const std::size_t gid_size = single_map(gid_map, sys::getegid());
  int result = sys::unshare(CloneFlags::newuser | CloneFlags::newns | more);
  if (result < 0) return result;
  result = write_file("/proc/self/setgroups", "deny", 4);
  if (result == 0) result = write_file("/proc/self/uid_map", uid_map, uid_size);
  if (result == 0) result = write_file("/proc/self/gid_map", gid_map, gid_size);
  return result;
}

/// A detached mount of a new file system, or -errno.
int new_mount(const char* type) {
  const int context = sys::fsopen(type, sys::FsopenFlags::cloexec);
  if (context < 0) return context;
  int result = sys::fsconfig(context, sys::Fsconfig::cmd_create, nullptr, nullptr, 0);
  if (result == 0)
    result = sys::fsmount(context, sys::FsmountFlags::cloexec, sys::MountAttr::nodev);
  sys::close(context);
  return result;
}

int try_proc() {
  if (const int entered = enter(CloneFlags::newpid); entered < 0) return entered;
  const int result = in_child([] {
    const int mount = new_mount("proc");
    return mount < 0 ? mount : 0;
  });
  return -result;
}

int try_overlay() {
  if (const int entered = enter(CloneFlags::none); entered < 0) return entered;
  const int layers = new_mount("tmpfs");
  if (layers < 0) return layers;
  // Its paths are told relative to the working directory, on a mount that must be attached.
  int result = sys::move_mount(layers, "", sys::kAtFdcwd, "/", sys::MoveMount::f_empty_path);
  if (result == 0) result = sys::fchdir(layers);
  for (const char* name : {"lower", "upper", "work"})
    if (result == 0) result = sys::mkdirat(layers, name, 0700);
  if (result < 0) return result;
  const int context = sys::fsopen("overlay", sys::FsopenFlags::cloexec);
  if (context < 0) return context;
  const char* const options[][2] = {
      {"lowerdir", "lower"}, {"upperdir", "upper"}, {"workdir", "work"}};
  for (const auto& option : options)
    if (result == 0)
      result = sys::fsconfig(context, sys::Fsconfig::set_string, option[0], option[1], 0);
  if (result == 0)
    result = sys::fsconfig(context, sys::Fsconfig::set_flag, "userxattr", nullptr, 0);
  if (result == 0) result = sys::fsconfig(context, sys::Fsconfig::cmd_create, nullptr, nullptr, 0);
  return result;
}

/// Idmaps `mount` by a child's user namespace, in which the caller's ids are as they are.
int idmap(int mount) {
  char map[32];
  const std::size_t size = single_map(map, sys::geteuid());
  sys::clone_args args;
  args.flags = sys::bits(CloneFlags::newuser);
  args.exit_signal = kSigchld;
  const int holder = sys::clone3(&args);
  if (holder == 0) {
    sys::prctl(sys::Prctl::set_pdeathsig, kSigkill);
    for (;;) sys::ppoll(nullptr, 0, nullptr);
  }
  if (holder < 0) return holder;
  // /proc/PID/uid_map, without libc.
  char path[40] = "/proc/";
  std::size_t end = 6;
  char digits[12];
  std::size_t count = 0;
  for (int pid = holder; pid != 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  while (count > 0) path[end++] = digits[--count];
  const auto name = [&](const char* file) {
    std::size_t i = end;
    while (*file != '\0') path[i++] = *file++;
    path[i] = '\0';
    return path;
  };
  int result = write_file(name("/setgroups"), "deny", 4);
  if (result == 0) result = write_file(name("/uid_map"), map, size);
  if (result == 0) result = write_file(name("/gid_map"), map, single_map(map, sys::getegid()));
  const int userns = result < 0 ? result : sys::openat(sys::kAtFdcwd, name("/ns/user"), kDirectory);
  sys::kill(holder, kSigkill);
  sys::wait4(holder, nullptr, sys::WaitFlags::none);
  if (userns < 0) return userns;
  sys::mount_attr attr;
  attr.attr_set = sys::bits(sys::MountAttr::idmap);
  attr.userns_fd = static_cast<std::uint64_t>(userns);
  return sys::mount_setattr(mount, "", sys::AtFlags::empty_path, &attr);
}

int try_mount_calls() {
  if (const int entered = enter(CloneFlags::none); entered < 0) return entered;
  const int mount = new_mount("tmpfs");
  if (mount < 0) return mount;
  sys::mount_attr attr;
  attr.attr_set = sys::bits(sys::MountAttr::nosuid);
  if (const int set = sys::mount_setattr(mount, "", sys::AtFlags::empty_path, &attr); set < 0)
    return set;
  const int tree = sys::open_tree(
      sys::kAtFdcwd, "/", sys::OpenTree::clone | sys::OpenTree::cloexec | sys::OpenTree::recursive);
  if (tree < 0) return tree;
  return sys::move_mount(tree, "", sys::kAtFdcwd, "/", sys::MoveMount::f_empty_path);
}

/// Asks nf_tables for its generation number: struct nlmsghdr, struct nfgenmsg.
int try_nftables() {
  if (const int entered = enter(CloneFlags::newnet); entered < 0) return entered;
  constexpr int kNetlinkNetfilter = 12;
  const int fd = sys::socket(sys::AddressFamily::netlink,
                             sys::SocketType::raw | sys::SocketType::cloexec, kNetlinkNetfilter);
  if (fd < 0) return fd;
  struct Message {
    std::uint32_t length = sizeof(Message);
    std::uint16_t type = 10 << 8 | 16;  // NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
    std::uint16_t flags = 1;            // NLM_F_REQUEST
    std::uint32_t sequence = 1;
    std::uint32_t port = 0;
    std::uint32_t family_version_resource = 0;
  } request;
  const long sent = sys::sendto(fd, &request, sizeof request, sys::MsgFlags::none, nullptr, 0);
  if (sent < 0) return static_cast<int>(sent);
  struct Answer {
    std::uint32_t length = 0;
    std::uint16_t type = 0;
    std::uint16_t flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t port = 0;
    std::int32_t error = 0;
    char rest[512] = {};
  } answer;
  const long got = sys::recvfrom(fd, &answer, sizeof answer, sys::MsgFlags::none, nullptr, nullptr);
  if (got < 0) return static_cast<int>(got);
  constexpr std::uint16_t kNlmsgError = 2;
  return answer.type == kNlmsgError ? answer.error : 0;
}

}  // namespace

int user_namespace() {
  return in_child([] { return enter(CloneFlags::none); });
}

int time_namespace() {
  return in_child([] { return enter(CloneFlags::newtime); });
}

int fresh_proc() { return in_child(try_proc); }

int overlay() { return in_child(try_overlay); }

int idmapped_tmpfs() {
  return in_child([] {
    if (const int entered = enter(CloneFlags::none); entered < 0) return entered;
    const int mount = new_mount("tmpfs");
    return mount < 0 ? mount : idmap(mount);
  });
}

int idmapped_root() {
  return in_child([] {
    const int tree =
        sys::open_tree(sys::kAtFdcwd, "/", sys::OpenTree::clone | sys::OpenTree::cloexec);
    return tree < 0 ? tree : idmap(tree);
  });
}

int mount_calls() { return in_child(try_mount_calls); }

int nftables() { return in_child(try_nftables); }

int tun() {
  const int fd =
      sys::openat(sys::kAtFdcwd, "/dev/net/tun", sys::OpenFlags::rdwr | sys::OpenFlags::cloexec);
  if (fd < 0) return -fd;
  sys::close(fd);
  return 0;
}

}  // namespace isle::trials
