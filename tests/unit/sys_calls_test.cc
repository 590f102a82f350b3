// Each wrapper reaches its system call and gives the result or -errno, never errno itself.
// Nothing here changes the process beyond descriptors it closes, and nothing needs privilege.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <string>

#include "sys/syscalls.h"

namespace sys = isle::sys;

namespace {

constexpr int kBadFd = -1;
constexpr int kNoPid = INT_MAX;  // above every pid_max
const void* const kBadAddress = reinterpret_cast<const void*>(1);

template <class T>
const T* bad() {
  return static_cast<const T*>(kBadAddress);
}
template <class T>
T* bad_out() {
  return const_cast<T*>(bad<T>());
}

TEST(SysCalls, LeaveErrnoAlone) {
  errno = 0;
  EXPECT_EQ(sys::close(kBadFd), -EBADF);
  EXPECT_EQ(errno, 0);
}

TEST(SysCalls, RawPassesSixArgumentsInOrder) {
  char text[] = "abcdef";
  int fds[2];
  ASSERT_EQ(sys::pipe2(fds, sys::FdFlags::cloexec), 0);
  EXPECT_EQ(sys::write(fds[1], text, 6), 6);
  const int file = sys::memfd_create("isle-test", sys::MemfdFlags::cloexec);
  ASSERT_GE(file, 0);
  std::int64_t offset = 2;
  EXPECT_EQ(sys::splice(fds[0], nullptr, file, &offset, 4, 0), 4);  // six arguments
  EXPECT_EQ(offset, 6);
  char read_back[8] = {};
  EXPECT_EQ(sys::pread64(file, read_back, sizeof read_back, 0), 6);
  EXPECT_EQ(std::string(read_back + 2, 4), "abcd");
  for (const int fd : {fds[0], fds[1], file}) EXPECT_EQ(sys::close(fd), 0);
}

TEST(SysCalls, ProcessErrors) {
  EXPECT_EQ(sys::clone3(bad_out<sys::clone_args>()), -EFAULT);
  EXPECT_EQ(sys::clone3(nullptr, 8), -EINVAL);
  EXPECT_EQ(sys::unshare(sys::CloneFlags::into_cgroup), -EINVAL);
  EXPECT_EQ(sys::setns(kBadFd, sys::CloneFlags::none), -EBADF);
  EXPECT_EQ(sys::execve("/nonexistent", nullptr, nullptr), -ENOENT);
  EXPECT_EQ(sys::execveat(kBadFd, "x", nullptr, nullptr, sys::AtFlags::none), -EBADF);
  EXPECT_EQ(sys::pidfd_open(0), -EINVAL);
  EXPECT_EQ(sys::pidfd_send_signal(kBadFd, 0), -EBADF);
  EXPECT_EQ(sys::pidfd_getfd(kBadFd, 0), -EBADF);
  sys::siginfo info;
  EXPECT_EQ(sys::waitid(sys::WaitId::pid, kNoPid, &info, sys::WaitFlags::exited), -ECHILD);
  EXPECT_EQ(sys::wait4(kNoPid, nullptr, sys::WaitFlags::none), -ECHILD);
  EXPECT_EQ(sys::kill(kNoPid, 0), -ESRCH);
  EXPECT_EQ(sys::tgkill(kNoPid, kNoPid, 0), -ESRCH);
  EXPECT_EQ(sys::getpgid(kNoPid), -ESRCH);
  EXPECT_EQ(sys::getsid(kNoPid), -ESRCH);
  EXPECT_EQ(sys::setpgid(kNoPid, 0), -ESRCH);
  EXPECT_EQ(sys::rt_sigprocmask(sys::SigMask{9}, bad<sys::sigset>(), nullptr), -EFAULT);
  EXPECT_EQ(sys::rt_sigaction(SIGKILL, bad<sys::kernel_sigaction>(), nullptr), -EFAULT);
  EXPECT_EQ(sys::signalfd4(-1, bad<sys::sigset>(), sys::FdFlags::none), -EFAULT);
  EXPECT_EQ(sys::timerfd_create(sys::Clock{99}, sys::FdFlags::none), -EINVAL);
  EXPECT_EQ(sys::timerfd_settime(kBadFd, 0, nullptr, nullptr), -EFAULT);
  EXPECT_EQ(sys::clock_gettime(sys::Clock{99}, nullptr), -EINVAL);
  EXPECT_EQ(sys::nanosleep(bad<sys::timespec>()), -EFAULT);
  EXPECT_EQ(sys::mmap(nullptr, 0, sys::Prot::read, sys::MapFlags::private_, -1, 0), -EBADF);
  EXPECT_EQ(sys::munmap(nullptr, 0), -EINVAL);
}

TEST(SysCalls, WhoIAm) {
  EXPECT_EQ(sys::getpid(), ::getpid());
  EXPECT_EQ(sys::getppid(), ::getppid());
  EXPECT_EQ(sys::getuid(), ::getuid());
  EXPECT_EQ(sys::geteuid(), ::geteuid());
  EXPECT_EQ(sys::getgid(), ::getgid());
  EXPECT_EQ(sys::getegid(), ::getegid());
  EXPECT_EQ(sys::getpgid(0), ::getpgrp());
}

TEST(SysCalls, SettingsErrors) {
  EXPECT_EQ(sys::prctl(sys::Prctl{-1}), -EINVAL);
  EXPECT_EQ(sys::setgroups(1, bad<std::uint32_t>()), sys::geteuid() == 0 ? -EFAULT : -EPERM);
  sys::cap_user_header header{.version = 1};
  EXPECT_EQ(sys::capget(&header, bad_out<sys::cap_user_data>()), -EINVAL);
  EXPECT_EQ(header.version, sys::cap_user_header{}.version) << "the kernel's own version";
  EXPECT_EQ(sys::capset(bad<sys::cap_user_header>(), nullptr), -EFAULT);
  EXPECT_EQ(sys::prlimit64(0, 99, nullptr, nullptr), -EINVAL);
  EXPECT_EQ(sys::setpriority(99, 0, 0), -EINVAL);
  EXPECT_GE(sys::getpriority(0, 0), 1);
  EXPECT_EQ(sys::sched_setaffinity(kNoPid, 8, bad<unsigned long>()), -EFAULT);
  EXPECT_EQ(sys::sched_getaffinity(0, 1, nullptr), -EINVAL);
  EXPECT_EQ(sys::sched_setscheduler(0, sys::SchedPolicy{99}, nullptr), -EINVAL);
  EXPECT_EQ(sys::sched_setattr(0, nullptr), -EINVAL);
  EXPECT_EQ(sys::sched_getattr(0, nullptr), -EINVAL);
  EXPECT_EQ(sys::ioprio_set(99, 0, 2 << 13), -EINVAL);
  EXPECT_EQ(sys::ioprio_get(99, 0), -EINVAL);
  const int memory = sys::set_mempolicy(sys::Mempolicy{99}, nullptr, 0);
  EXPECT_TRUE(memory == -EINVAL || memory == -ENOSYS) << memory;  // no NUMA: no such call
  EXPECT_EQ(sys::seccomp(sys::SeccompOp{99}, sys::SeccompFlags::none, nullptr), -EINVAL);
  const int key = sys::keyctl(sys::Keyctl{999});
  EXPECT_TRUE(key == -EOPNOTSUPP || key == -ENOSYS) << key;
  EXPECT_EQ(sys::landlock_create_ruleset(bad<sys::landlock_ruleset_attr>(), 8,
                                         sys::kLandlockCreateRulesetVersion),
            -EINVAL);
  EXPECT_EQ(sys::personality(0xffffffff), 0);
}

TEST(SysCalls, SettingsAnswer) {
  sys::rlimit64 limit;
  EXPECT_EQ(sys::prlimit64(0, 7, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, static_cast<std::uint64_t>(::sysconf(_SC_OPEN_MAX)));
  unsigned long cpus[64] = {};
  EXPECT_GT(sys::sched_getaffinity(0, sizeof cpus, cpus), 0);
  EXPECT_NE(cpus[0], 0UL);
  sys::sched_attr attr;
  EXPECT_EQ(sys::sched_getattr(0, &attr), 0);
  EXPECT_EQ(attr.size, sizeof attr);
  sys::cap_user_header header;
  sys::cap_user_data data[2];
  EXPECT_EQ(sys::capget(&header, data), 0);
  EXPECT_EQ(sys::setresuid(~0U, ~0U, ~0U), 0);
  EXPECT_EQ(sys::setresgid(~0U, ~0U, ~0U), 0);
  EXPECT_EQ(sys::setfsuid(~0U), sys::geteuid());
  EXPECT_EQ(sys::setfsgid(~0U), sys::getegid());
  const auto mask = sys::umask(022);
  EXPECT_EQ(sys::umask(mask), 022U);
  EXPECT_EQ(sys::prctl(sys::Prctl::get_no_new_privs, 0, 0, 0, 0),
            sys::prctl(sys::Prctl::get_no_new_privs));
}

TEST(SysCalls, MountErrors) {
  // As an ordinary user the kernel asks for the capability first.
  const auto either = [](int got, int expected) { return got == expected || got == -EPERM; };
  EXPECT_EQ(sys::open_tree(kBadFd, "x", sys::OpenTree::none), -EBADF);
  EXPECT_TRUE(
      either(sys::move_mount(kBadFd, "x", kBadFd, "y", sys::MoveMount::f_symlinks), -EBADF));
  sys::mount_attr attr{.attr_set = sys::bits(sys::MountAttr::rdonly)};
  EXPECT_TRUE(either(sys::mount_setattr(kBadFd, "x", sys::AtFlags::none, &attr), -EBADF));
  EXPECT_TRUE(either(sys::fsopen("nosuchfs", sys::FsopenFlags::cloexec), -ENODEV));
  EXPECT_EQ(sys::fsconfig(kBadFd, sys::Fsconfig::cmd_create, nullptr, nullptr, 0), -EINVAL);
  EXPECT_TRUE(
      either(sys::fsmount(kBadFd, sys::FsmountFlags::cloexec, sys::MountAttr::none), -EBADF));
  EXPECT_TRUE(either(sys::fspick(kBadFd, "x", sys::FspickFlags::none), -EBADF));
  EXPECT_EQ(sys::mount(nullptr, "/nonexistent", nullptr, sys::MountFlags::bind, nullptr), -ENOENT);
  EXPECT_EQ(sys::umount2("/nonexistent", sys::UmountFlags::detach), -ENOENT);
  EXPECT_TRUE(either(sys::pivot_root("/nonexistent", "/"), -ENOENT));
  EXPECT_EQ(sys::chroot("/nonexistent"), -ENOENT);
  EXPECT_EQ(sys::chdir("/nonexistent"), -ENOENT);
  EXPECT_EQ(sys::fchdir(kBadFd), -EBADF);
  char small[1];
  EXPECT_EQ(sys::getcwd(small, sizeof small), -ERANGE);
}

TEST(SysCalls, NewNumbersAreThoseOfThisKernelOrUnknownToIt) {
  const auto is = [](long got, long expected) { return got == expected || got == -ENOSYS; };
  EXPECT_PRED2(is, sys::statmount(bad<sys::mnt_id_req>(), nullptr, 0), -EFAULT);
  EXPECT_PRED2(is, sys::listmount(bad<sys::mnt_id_req>(), nullptr, 0, 8), -EINVAL);
  EXPECT_PRED2(is, sys::listns(bad<sys::ns_id_req>(), nullptr, 0, 1), -EINVAL);
  EXPECT_PRED2(is, sys::open_tree_attr(kBadFd, "x", sys::OpenTree::none, nullptr, 0), -EBADF);
  EXPECT_PRED2(is, sys::fchmodat2(kBadFd, "x", 0, sys::AtFlags::none), -EBADF);
}

TEST(SysCalls, FileErrors) {
  using sys::AtFlags;
  EXPECT_EQ(sys::openat(kBadFd, "x", sys::OpenFlags::rdonly), -EBADF);
  const sys::open_how how{.resolve = 1U << 31};
  EXPECT_EQ(sys::openat2(sys::kAtFdcwd, "/", &how), -EINVAL);
  sys::statx_t statx;
  EXPECT_EQ(sys::statx(kBadFd, "", AtFlags::empty_path, sys::StatxMask::ino, &statx), -EBADF);
  sys::statfs_t statfs;
  EXPECT_EQ(sys::fstatfs(kBadFd, &statfs), -EBADF);
  EXPECT_EQ(sys::statfs("/nonexistent", &statfs), -ENOENT);
  EXPECT_EQ(sys::faccessat2(kBadFd, "x", sys::Access::f_ok, AtFlags::none), -EBADF);
  char buffer[8];
  EXPECT_EQ(sys::readlinkat(sys::kAtFdcwd, "/", buffer, sizeof buffer), -EINVAL);
  EXPECT_EQ(sys::mkdirat(sys::kAtFdcwd, "/", 0755), -EEXIST);
  EXPECT_EQ(sys::mknodat(kBadFd, "x", sys::kModeFifo, 0), -EBADF);
  EXPECT_EQ(sys::symlinkat("x", kBadFd, "y"), -EBADF);
  EXPECT_EQ(sys::linkat(kBadFd, "x", kBadFd, "y", AtFlags::none), -EBADF);
  EXPECT_EQ(sys::unlinkat(kBadFd, "x", AtFlags::removedir), -EBADF);
  EXPECT_EQ(sys::renameat2(kBadFd, "x", kBadFd, "y", sys::RenameFlags::noreplace), -EBADF);
  EXPECT_EQ(sys::fchmod(kBadFd, 0), -EBADF);
  EXPECT_EQ(sys::fchmodat(kBadFd, "x", 0), -EBADF);
  EXPECT_EQ(sys::fchown(kBadFd, ~0U, ~0U), -EBADF);
  EXPECT_EQ(sys::fchownat(kBadFd, "x", ~0U, ~0U, AtFlags::none), -EBADF);
  EXPECT_EQ(sys::ftruncate(kBadFd, 0), -EBADF);
  EXPECT_EQ(sys::fsetxattr(kBadFd, "user.x", "", 0), -EBADF);
  EXPECT_EQ(sys::getdents64(kBadFd, buffer, sizeof buffer), -EBADF);
  EXPECT_EQ(sys::name_to_handle_at(kBadFd, "x", nullptr, nullptr, AtFlags::none), -EBADF);
  sys::file_handle handle;
  const int opened = sys::open_by_handle_at(kBadFd, &handle, sys::OpenFlags::path);
  EXPECT_TRUE(opened == -EBADF || opened == -EINVAL || opened == -EPERM) << opened;
  EXPECT_EQ(sys::inotify_init1(sys::FdFlags::semaphore), -EINVAL);
  EXPECT_EQ(sys::inotify_add_watch(kBadFd, "/", sys::InotifyMask::create), -EBADF);
  EXPECT_EQ(sys::inotify_rm_watch(kBadFd, 0), -EBADF);
}

TEST(SysCalls, FilesOpenAndTellAboutThemselves) {
  const sys::open_how how{.flags = sys::bits(sys::OpenFlags::directory | sys::OpenFlags::cloexec),
                          .resolve = sys::bits(sys::Resolve::no_magiclinks)};
  const int proc = sys::openat2(sys::kAtFdcwd, "/proc", &how);
  ASSERT_GE(proc, 0);
  sys::statfs_t statfs;
  EXPECT_EQ(sys::fstatfs(proc, &statfs), 0);
  EXPECT_EQ(statfs.f_type, sys::kProcSuperMagic);
  sys::statx_t statx;
  EXPECT_EQ(sys::statx(proc, "", sys::AtFlags::empty_path,
                       sys::StatxMask::basic_stats | sys::StatxMask::mnt_id, &statx),
            0);
  EXPECT_EQ(statx.stx_mode & sys::kModeTypeMask, sys::kModeDirectory);
  EXPECT_TRUE(statx.stx_attributes & sys::kStatxAttrMountRoot);
  EXPECT_NE(statx.stx_mnt_id, 0U);
  alignas(8) char entries[4096];
  EXPECT_GT(sys::getdents64(proc, entries, sizeof entries), 0);
  EXPECT_STREQ(entries + sys::kDirentNameOffset, ".");
  char link[64] = {};
  EXPECT_GT(sys::readlinkat(proc, "self", link, sizeof link), 0);
  EXPECT_EQ(link, std::to_string(::getpid()));
  EXPECT_EQ(sys::faccessat2(proc, "self", sys::Access::r_ok, sys::AtFlags::none), 0);
  EXPECT_EQ(sys::close(proc), 0);
}

TEST(SysCalls, IoErrors) {
  char byte = 0;
  EXPECT_EQ(sys::read(kBadFd, &byte, 1), -EBADF);
  EXPECT_EQ(sys::pread64(kBadFd, &byte, 1, 0), -EBADF);
  EXPECT_EQ(sys::write(kBadFd, &byte, 1), -EBADF);
  EXPECT_EQ(sys::lseek(kBadFd, 0, 0), -EBADF);
  EXPECT_EQ(sys::close_range(2, 1, sys::CloseRange::cloexec), -EINVAL);
  EXPECT_EQ(sys::dup(kBadFd), -EBADF);
  EXPECT_EQ(sys::dup3(0, 0), -EINVAL);
  EXPECT_EQ(sys::fcntl(kBadFd, sys::Fcntl::getfd), -EBADF);
  EXPECT_EQ(sys::fcntl(kBadFd, sys::Fcntl::setfd, sys::kFdCloexec), -EBADF);
  EXPECT_EQ(sys::ioctl(kBadFd, sys::Ioctl::ns_get_nstype), -EBADF);
  EXPECT_EQ(sys::pipe2(bad_out<int>(), sys::FdFlags::none), -EFAULT);
  EXPECT_EQ(sys::eventfd2(0, sys::FdFlags{2}), -EINVAL);
  EXPECT_EQ(sys::memfd_create("x", sys::MemfdFlags{1U << 20}), -EINVAL);
  EXPECT_EQ(sys::sendfile(kBadFd, kBadFd, nullptr, 1), -EBADF);
  EXPECT_EQ(sys::copy_file_range(kBadFd, nullptr, kBadFd, nullptr, 1), -EBADF);
  EXPECT_EQ(sys::splice(kBadFd, nullptr, kBadFd, nullptr, 1, 0), -EBADF);
  EXPECT_EQ(sys::socket(sys::AddressFamily{999}, sys::SocketType::stream, 0), -EAFNOSUPPORT);
  int pair[2];
  EXPECT_EQ(sys::socketpair(sys::AddressFamily{999}, sys::SocketType::stream, 0, pair),
            -EAFNOSUPPORT);
  EXPECT_EQ(sys::bind(kBadFd, nullptr, 0), -EBADF);
  EXPECT_EQ(sys::connect(kBadFd, nullptr, 0), -EBADF);
  EXPECT_EQ(sys::listen(kBadFd, 1), -EBADF);
  EXPECT_EQ(sys::accept4(kBadFd, nullptr, nullptr, sys::FdFlags::cloexec), -EBADF);
  EXPECT_EQ(sys::setsockopt(kBadFd, 0, 0, nullptr, 0), -EBADF);
  sys::msghdr message;
  EXPECT_EQ(sys::sendmsg(kBadFd, &message, sys::MsgFlags::none), -EBADF);
  EXPECT_EQ(sys::recvmsg(kBadFd, &message, sys::MsgFlags::none), -EBADF);
  EXPECT_EQ(sys::sendto(kBadFd, &byte, 1, sys::MsgFlags::none, nullptr, 0), -EBADF);
  EXPECT_EQ(sys::recvfrom(kBadFd, &byte, 1, sys::MsgFlags::none, nullptr, nullptr), -EBADF);
  EXPECT_EQ(sys::ppoll(bad_out<sys::pollfd>(), 1, nullptr), -EFAULT);
  EXPECT_EQ(sys::epoll_create1(sys::FdFlags::semaphore), -EINVAL);
  EXPECT_EQ(sys::epoll_ctl(kBadFd, sys::EpollOp::del, 0, nullptr), -EBADF);
  sys::epoll_event event;
  EXPECT_EQ(sys::epoll_pwait(kBadFd, &event, 1, 0), -EBADF);
  EXPECT_EQ(sys::getrandom(bad_out<char>(), 8), -EFAULT);
}

TEST(SysCalls, DescriptorTravelsThroughASocket) {
  int pair[2];
  ASSERT_EQ(sys::socketpair(sys::AddressFamily::unix_,
                            sys::SocketType::stream | sys::SocketType::cloexec, 0, pair),
            0);
  const int event = sys::eventfd2(7, sys::FdFlags::cloexec | sys::FdFlags::nonblock);
  ASSERT_GE(event, 0);
  struct {
    sys::cmsghdr head{.cmsg_len = 20, .cmsg_level = sys::kSolSocket, .cmsg_type = sys::kScmRights};
    int fd = -1;
    int pad = 0;
  } control;
  control.fd = event;
  char byte = 'x';
  sys::iovec vector{.iov_base = &byte, .iov_len = 1};
  sys::msghdr message{.msg_iov = &vector,
                      .msg_iovlen = 1,
                      .msg_control = &control,
                      .msg_controllen = sizeof control};
  EXPECT_EQ(sys::sendmsg(pair[0], &message, sys::MsgFlags::nosignal), 1);
  control.fd = -1;
  EXPECT_EQ(sys::recvmsg(pair[1], &message, sys::MsgFlags::cmsg_cloexec), 1);
  ASSERT_GE(control.fd, 0);
  EXPECT_EQ(sys::fcntl(control.fd, sys::Fcntl::getfd), sys::kFdCloexec);
  std::uint64_t count = 0;
  EXPECT_EQ(sys::read(control.fd, &count, sizeof count), 8);
  EXPECT_EQ(count, 7U);
  EXPECT_EQ(sys::read(event, &count, sizeof count), -EAGAIN);
  for (const int fd : {pair[0], pair[1], event, control.fd}) EXPECT_EQ(sys::close(fd), 0);
}

TEST(SysCalls, CloneWaitAndPidfd) {
  int pidfd = -1;
  sys::clone_args args{.flags = sys::bits(sys::CloneFlags::pidfd),
                       .pidfd = reinterpret_cast<std::uint64_t>(&pidfd),
                       .exit_signal = SIGCHLD};
  const int child = sys::clone3(&args);
  ASSERT_GE(child, 0);
  if (child == 0) sys::exit_group(41);
  sys::pollfd poll{.fd = pidfd, .events = sys::kPollIn};
  EXPECT_EQ(sys::ppoll(&poll, 1, nullptr), 1);
  sys::siginfo info;
  sys::rusage usage;
  EXPECT_EQ(sys::waitid(sys::WaitId::pidfd, pidfd, &info, sys::WaitFlags::exited, &usage), 0);
  EXPECT_EQ(info.pid, child);
  EXPECT_EQ(info.code, sys::kCldExited);
  EXPECT_EQ(info.status, 41);
  EXPECT_EQ(sys::pidfd_send_signal(pidfd, 0), -ESRCH);
  EXPECT_EQ(sys::close(pidfd), 0);
}

TEST(SysCalls, PidfdInfo) {
  const int self = sys::pidfd_open(sys::getpid());
  ASSERT_GE(self, 0);
  sys::pidfd_info info{.mask = sys::bits(sys::PidfdInfo::pid | sys::PidfdInfo::creds)};
  const int got = sys::ioctl(self, sys::Ioctl::pidfd_get_info, &info);
  EXPECT_EQ(sys::close(self), 0);
  if (got == -ENOTTY || got == -EINVAL) GTEST_SKIP() << "Linux 6.13 has PIDFD_GET_INFO";
  EXPECT_EQ(got, 0);
  EXPECT_EQ(info.pid, static_cast<std::uint32_t>(sys::getpid()));
  EXPECT_EQ(info.ppid, static_cast<std::uint32_t>(sys::getppid()));
  EXPECT_EQ(info.euid, sys::geteuid());
}

TEST(SysCalls, StatmountAndListmount) {
  sys::statx_t statx;
  ASSERT_EQ(
      sys::statx(sys::kAtFdcwd, "/", sys::AtFlags::none, sys::StatxMask::mnt_id_unique, &statx), 0);
  if (!(statx.stx_mask & sys::bits(sys::StatxMask::mnt_id_unique)))
    GTEST_SKIP() << "Linux 6.8 has STATX_MNT_ID_UNIQUE";
  sys::mnt_id_req request{
      .mnt_id = statx.stx_mnt_id,
      .param = sys::bits(sys::StatmountMask::fs_type | sys::StatmountMask::mnt_point)};
  struct {
    sys::statmount_t head;
    char text[4096];
  } answer;
  ASSERT_EQ(sys::statmount(&request, &answer.head, sizeof answer), 0);
  EXPECT_STREQ(answer.text + answer.head.mnt_point, "/");
  EXPECT_NE(answer.text[answer.head.fs_type], '\0');
  request = {.mnt_id = sys::kLsmtRoot};
  std::uint64_t ids[64];
  const long count = sys::listmount(&request, ids, 64);
  EXPECT_TRUE(count > 0 || count == -EPERM) << count;
}

}  // namespace
