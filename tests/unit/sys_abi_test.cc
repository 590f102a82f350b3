// Our constants and structures against libc's and the kernel headers', where those have them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/abi.h"

#include <linux/nsfs.h>  // not before: it would not hide a mistake of ours

namespace sys = isle::sys;

namespace {

/// The number behind any of our enums.
template <class E>
constexpr long long number(E e) {
  return static_cast<long long>(e);
}

#define ISLE_SAME(ours, theirs) \
  static_assert(number(ours) == static_cast<long long>(static_cast<unsigned>(theirs)))

ISLE_SAME(sys::CloneFlags::newns, CLONE_NEWNS);
ISLE_SAME(sys::CloneFlags::newuser, CLONE_NEWUSER);
ISLE_SAME(sys::CloneFlags::newpid, CLONE_NEWPID);
ISLE_SAME(sys::CloneFlags::newnet, CLONE_NEWNET);
ISLE_SAME(sys::CloneFlags::newipc, CLONE_NEWIPC);
ISLE_SAME(sys::CloneFlags::newuts, CLONE_NEWUTS);
ISLE_SAME(sys::CloneFlags::newcgroup, CLONE_NEWCGROUP);
ISLE_SAME(sys::CloneFlags::newtime, CLONE_NEWTIME);
ISLE_SAME(sys::CloneFlags::pidfd, CLONE_PIDFD);
ISLE_SAME(sys::CloneFlags::parent, CLONE_PARENT);
ISLE_SAME(sys::CloneFlags::vm, CLONE_VM);
ISLE_SAME(sys::CloneFlags::vfork, CLONE_VFORK);
ISLE_SAME(sys::CloneFlags::files, CLONE_FILES);
ISLE_SAME(sys::CloneFlags::fs, CLONE_FS);
ISLE_SAME(sys::CloneFlags::settls, CLONE_SETTLS);
ISLE_SAME(sys::CloneFlags::io, CLONE_IO);

ISLE_SAME(sys::OpenFlags::wronly, O_WRONLY);
ISLE_SAME(sys::OpenFlags::rdwr, O_RDWR);
ISLE_SAME(sys::OpenFlags::creat, O_CREAT);
ISLE_SAME(sys::OpenFlags::excl, O_EXCL);
ISLE_SAME(sys::OpenFlags::noctty, O_NOCTTY);
ISLE_SAME(sys::OpenFlags::trunc, O_TRUNC);
ISLE_SAME(sys::OpenFlags::append, O_APPEND);
ISLE_SAME(sys::OpenFlags::nonblock, O_NONBLOCK);
ISLE_SAME(sys::OpenFlags::dsync, O_DSYNC);
ISLE_SAME(sys::OpenFlags::sync, O_SYNC);
ISLE_SAME(sys::OpenFlags::directory, O_DIRECTORY);
ISLE_SAME(sys::OpenFlags::nofollow, O_NOFOLLOW);
ISLE_SAME(sys::OpenFlags::direct, O_DIRECT);
ISLE_SAME(sys::OpenFlags::noatime, O_NOATIME);
ISLE_SAME(sys::OpenFlags::cloexec, O_CLOEXEC);
ISLE_SAME(sys::OpenFlags::path, O_PATH);
ISLE_SAME(sys::OpenFlags::tmpfile, O_TMPFILE);

static_assert(sys::kAtFdcwd == AT_FDCWD);
ISLE_SAME(sys::AtFlags::symlink_nofollow, AT_SYMLINK_NOFOLLOW);
ISLE_SAME(sys::AtFlags::removedir, AT_REMOVEDIR);
ISLE_SAME(sys::AtFlags::eaccess, AT_EACCESS);
ISLE_SAME(sys::AtFlags::symlink_follow, AT_SYMLINK_FOLLOW);
ISLE_SAME(sys::AtFlags::no_automount, AT_NO_AUTOMOUNT);
ISLE_SAME(sys::AtFlags::empty_path, AT_EMPTY_PATH);
ISLE_SAME(sys::AtFlags::recursive, AT_RECURSIVE);

ISLE_SAME(sys::MountFlags::rdonly, MS_RDONLY);
ISLE_SAME(sys::MountFlags::remount, MS_REMOUNT);
ISLE_SAME(sys::MountFlags::nosymfollow, MS_NOSYMFOLLOW);
ISLE_SAME(sys::MountFlags::noatime, MS_NOATIME);
ISLE_SAME(sys::MountFlags::bind, MS_BIND);
ISLE_SAME(sys::MountFlags::move, MS_MOVE);
ISLE_SAME(sys::MountFlags::rec, MS_REC);
ISLE_SAME(sys::MountFlags::silent, MS_SILENT);
ISLE_SAME(sys::MountFlags::unbindable, MS_UNBINDABLE);
ISLE_SAME(sys::MountFlags::private_, MS_PRIVATE);
ISLE_SAME(sys::MountFlags::slave, MS_SLAVE);
ISLE_SAME(sys::MountFlags::shared, MS_SHARED);
ISLE_SAME(sys::MountFlags::relatime, MS_RELATIME);
ISLE_SAME(sys::MountFlags::i_version, MS_I_VERSION);
ISLE_SAME(sys::MountFlags::strictatime, MS_STRICTATIME);
ISLE_SAME(sys::MountFlags::lazytime, MS_LAZYTIME);
ISLE_SAME(sys::UmountFlags::force, MNT_FORCE);
ISLE_SAME(sys::UmountFlags::detach, MNT_DETACH);
ISLE_SAME(sys::UmountFlags::expire, MNT_EXPIRE);
ISLE_SAME(sys::UmountFlags::nofollow, UMOUNT_NOFOLLOW);
#ifdef MOUNT_ATTR_RDONLY
ISLE_SAME(sys::MountAttr::rdonly, MOUNT_ATTR_RDONLY);
ISLE_SAME(sys::MountAttr::nosuid, MOUNT_ATTR_NOSUID);
ISLE_SAME(sys::MountAttr::nodev, MOUNT_ATTR_NODEV);
ISLE_SAME(sys::MountAttr::noexec, MOUNT_ATTR_NOEXEC);
ISLE_SAME(sys::MountAttr::noatime, MOUNT_ATTR_NOATIME);
ISLE_SAME(sys::MountAttr::strictatime, MOUNT_ATTR_STRICTATIME);
ISLE_SAME(sys::MountAttr::atime, MOUNT_ATTR__ATIME);
ISLE_SAME(sys::MountAttr::nodiratime, MOUNT_ATTR_NODIRATIME);
ISLE_SAME(sys::MountAttr::idmap, MOUNT_ATTR_IDMAP);
ISLE_SAME(sys::OpenTree::clone, OPEN_TREE_CLONE);
ISLE_SAME(sys::OpenTree::cloexec, OPEN_TREE_CLOEXEC);
ISLE_SAME(sys::MoveMount::f_symlinks, MOVE_MOUNT_F_SYMLINKS);
ISLE_SAME(sys::MoveMount::f_empty_path, MOVE_MOUNT_F_EMPTY_PATH);
ISLE_SAME(sys::MoveMount::t_symlinks, MOVE_MOUNT_T_SYMLINKS);
ISLE_SAME(sys::MoveMount::t_empty_path, MOVE_MOUNT_T_EMPTY_PATH);
ISLE_SAME(sys::FspickFlags::symlink_nofollow, FSPICK_SYMLINK_NOFOLLOW);
ISLE_SAME(sys::FspickFlags::empty_path, FSPICK_EMPTY_PATH);
ISLE_SAME(sys::Fsconfig::set_fd, FSCONFIG_SET_FD);
ISLE_SAME(sys::Fsconfig::cmd_reconfigure, FSCONFIG_CMD_RECONFIGURE);
static_assert(sizeof(sys::mount_attr) == sizeof(::mount_attr));
#endif

ISLE_SAME(sys::WaitFlags::nohang, WNOHANG);
ISLE_SAME(sys::WaitFlags::exited, WEXITED);
ISLE_SAME(sys::WaitFlags::stopped, WSTOPPED);
ISLE_SAME(sys::WaitFlags::continued, WCONTINUED);
ISLE_SAME(sys::WaitFlags::nowait, WNOWAIT);
ISLE_SAME(sys::WaitFlags::all, __WALL);
ISLE_SAME(sys::WaitFlags::clone, __WCLONE);
ISLE_SAME(sys::WaitId::pidfd, P_PIDFD);
static_assert(sys::kCldExited == CLD_EXITED && sys::kCldKilled == CLD_KILLED &&
              sys::kCldDumped == CLD_DUMPED && sys::kCldStopped == CLD_STOPPED &&
              sys::kCldContinued == CLD_CONTINUED);
static_assert(sizeof(sys::siginfo) == sizeof(siginfo_t));
static_assert(offsetof(sys::siginfo, pid) == offsetof(siginfo_t, si_pid));
static_assert(offsetof(sys::siginfo, status) == offsetof(siginfo_t, si_status));

ISLE_SAME(sys::Prctl::set_pdeathsig, PR_SET_PDEATHSIG);
ISLE_SAME(sys::Prctl::set_dumpable, PR_SET_DUMPABLE);
ISLE_SAME(sys::Prctl::set_keepcaps, PR_SET_KEEPCAPS);
ISLE_SAME(sys::Prctl::set_name, PR_SET_NAME);
ISLE_SAME(sys::Prctl::capbset_read, PR_CAPBSET_READ);
ISLE_SAME(sys::Prctl::capbset_drop, PR_CAPBSET_DROP);
ISLE_SAME(sys::Prctl::set_securebits, PR_SET_SECUREBITS);
ISLE_SAME(sys::Prctl::set_child_subreaper, PR_SET_CHILD_SUBREAPER);
ISLE_SAME(sys::Prctl::set_no_new_privs, PR_SET_NO_NEW_PRIVS);
ISLE_SAME(sys::Prctl::get_no_new_privs, PR_GET_NO_NEW_PRIVS);
ISLE_SAME(sys::Prctl::cap_ambient, PR_CAP_AMBIENT);
ISLE_SAME(sys::Prctl::set_io_flusher, PR_SET_IO_FLUSHER);
ISLE_SAME(sys::CapAmbient::raise, PR_CAP_AMBIENT_RAISE);
ISLE_SAME(sys::CapAmbient::clear_all, PR_CAP_AMBIENT_CLEAR_ALL);
ISLE_SAME(sys::SchedPolicy::batch, SCHED_BATCH);
ISLE_SAME(sys::SchedPolicy::idle, SCHED_IDLE);
ISLE_SAME(sys::SchedPolicy::deadline, SCHED_DEADLINE);
ISLE_SAME(sys::SigMask::setmask, SIG_SETMASK);
ISLE_SAME(sys::SeccompOp::set_mode_filter, SECCOMP_SET_MODE_FILTER);
ISLE_SAME(sys::SeccompFlags::new_listener, SECCOMP_FILTER_FLAG_NEW_LISTENER);
ISLE_SAME(sys::SeccompFlags::wait_killable_recv, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
ISLE_SAME(sys::MemfdFlags::allow_sealing, MFD_ALLOW_SEALING);
ISLE_SAME(sys::Prot::exec, PROT_EXEC);
ISLE_SAME(sys::MapFlags::private_, MAP_PRIVATE);
ISLE_SAME(sys::MapFlags::anonymous, MAP_ANONYMOUS);
ISLE_SAME(sys::MapFlags::noreserve, MAP_NORESERVE);
ISLE_SAME(sys::MapFlags::populate, MAP_POPULATE);
ISLE_SAME(sys::MapFlags::stack, MAP_STACK);
ISLE_SAME(sys::MapFlags::growsdown, MAP_GROWSDOWN);
ISLE_SAME(sys::Clock::boottime, CLOCK_BOOTTIME);

ISLE_SAME(sys::Fcntl::dupfd_cloexec, F_DUPFD_CLOEXEC);
ISLE_SAME(sys::Fcntl::add_seals, F_ADD_SEALS);
ISLE_SAME(sys::Fcntl::setpipe_sz, F_SETPIPE_SZ);
ISLE_SAME(sys::Fcntl::ofd_setlkw, F_OFD_SETLKW);
ISLE_SAME(sys::Seals::future_write, F_SEAL_FUTURE_WRITE);
ISLE_SAME(sys::RenameFlags::exchange, RENAME_EXCHANGE);
ISLE_SAME(sys::SocketType::seqpacket, SOCK_SEQPACKET);
ISLE_SAME(sys::SocketType::cloexec, SOCK_CLOEXEC);
ISLE_SAME(sys::SocketType::nonblock, SOCK_NONBLOCK);
ISLE_SAME(sys::AddressFamily::netlink, AF_NETLINK);
ISLE_SAME(sys::MsgFlags::nosignal, MSG_NOSIGNAL);
ISLE_SAME(sys::MsgFlags::cmsg_cloexec, MSG_CMSG_CLOEXEC);
ISLE_SAME(sys::MsgFlags::dontwait, MSG_DONTWAIT);
static_assert(sys::kScmRights == SCM_RIGHTS && sys::kScmCredentials == SCM_CREDENTIALS);
static_assert(sys::kSolSocket == SOL_SOCKET);
static_assert(sys::kPollIn == POLLIN && sys::kPollOut == POLLOUT && sys::kPollErr == POLLERR &&
              sys::kPollHup == POLLHUP);
ISLE_SAME(sys::FdFlags::cloexec, EFD_CLOEXEC);
ISLE_SAME(sys::FdFlags::nonblock, SFD_NONBLOCK);
ISLE_SAME(sys::FdFlags::semaphore, EFD_SEMAPHORE);
ISLE_SAME(sys::InotifyMask::create, IN_CREATE);
ISLE_SAME(sys::InotifyMask::delete_self, IN_DELETE_SELF);
ISLE_SAME(sys::InotifyMask::onlydir, IN_ONLYDIR);

ISLE_SAME(sys::Ioctl::ns_get_userns, NS_GET_USERNS);
ISLE_SAME(sys::Ioctl::ns_get_parent, NS_GET_PARENT);
ISLE_SAME(sys::Ioctl::ns_get_nstype, NS_GET_NSTYPE);
ISLE_SAME(sys::Ioctl::ns_get_owner_uid, NS_GET_OWNER_UID);
ISLE_SAME(sys::Ioctl::tiocsctty, TIOCSCTTY);
ISLE_SAME(sys::Ioctl::tiocgwinsz, TIOCGWINSZ);
ISLE_SAME(sys::Ioctl::tiocswinsz, TIOCSWINSZ);
ISLE_SAME(sys::Ioctl::tiocspgrp, TIOCSPGRP);
ISLE_SAME(sys::Ioctl::tiocnotty, TIOCNOTTY);
ISLE_SAME(sys::Ioctl::tcgets, TCGETS);
ISLE_SAME(sys::Ioctl::tcsets, TCSETS);
ISLE_SAME(sys::Ioctl::tiocgptn, TIOCGPTN);
ISLE_SAME(sys::Ioctl::tiocsptlck, TIOCSPTLCK);
ISLE_SAME(sys::Ioctl::tiocgptpeer, TIOCGPTPEER);

static_assert(sizeof(sys::statx_t) == sizeof(struct statx));
static_assert(offsetof(sys::statx_t, stx_mtime) == offsetof(struct statx, stx_mtime));
static_assert(offsetof(sys::statx_t, stx_dev_major) == offsetof(struct statx, stx_dev_major));
static_assert(sizeof(sys::statfs_t) == sizeof(struct statfs));
static_assert(offsetof(sys::statfs_t, f_flags) == offsetof(struct statfs, f_flags));
static_assert(sizeof(sys::rusage) == sizeof(struct rusage));
static_assert(offsetof(sys::rusage, ru_nivcsw) == offsetof(struct rusage, ru_nivcsw));
static_assert(sizeof(sys::msghdr) == sizeof(struct msghdr));
static_assert(offsetof(sys::msghdr, msg_control) == offsetof(struct msghdr, msg_control));
static_assert(sizeof(sys::cmsghdr) == sizeof(struct cmsghdr));
static_assert(sizeof(sys::iovec) == sizeof(struct iovec));
static_assert(sizeof(sys::pollfd) == sizeof(struct pollfd));
static_assert(sizeof(sys::epoll_event) == sizeof(struct epoll_event));
static_assert(offsetof(sys::epoll_event, data) == offsetof(struct epoll_event, data));
static_assert(sizeof(sys::timespec) == sizeof(struct timespec));
static_assert(sizeof(sys::itimerspec) == sizeof(struct itimerspec));
static_assert(sizeof(sys::rlimit64) == sizeof(struct rlimit64));
static_assert(sizeof(sys::signalfd_siginfo) == sizeof(struct signalfd_siginfo));
static_assert(offsetof(sys::signalfd_siginfo, ssi_status) ==
              offsetof(struct signalfd_siginfo, ssi_status));
static_assert(sys::kModeTypeMask == S_IFMT && sys::kModeCharacter == S_IFCHR &&
              sys::kModeBlock == S_IFBLK && sys::kModeDirectory == S_IFDIR &&
              sys::kModeSymlink == S_IFLNK && sys::kModeRegular == S_IFREG &&
              sys::kModeFifo == S_IFIFO && sys::kModeSocket == S_IFSOCK);

TEST(SysAbi, DeviceNumberIsTheKernels) {
  EXPECT_EQ(sys::device_number(1, 3), ::makedev(1, 3));
  EXPECT_EQ(sys::device_number(5, 2), ::makedev(5, 2));
  EXPECT_EQ(sys::device_number(259, 1000), ::makedev(259, 1000));
}

TEST(SysAbi, FlagSetsHaveBitOperators) {
  using sys::OpenFlags;
  OpenFlags flags = OpenFlags::rdwr | OpenFlags::cloexec;
  EXPECT_TRUE(sys::has(flags, OpenFlags::cloexec));
  EXPECT_FALSE(sys::has(flags, OpenFlags::cloexec | OpenFlags::path));
  flags &= ~OpenFlags::cloexec;
  EXPECT_EQ(flags, OpenFlags::rdwr);
  flags |= OpenFlags::path;
  EXPECT_EQ(flags ^ OpenFlags::path, OpenFlags::rdwr);
  EXPECT_FALSE(sys::any(flags & OpenFlags::creat));
  EXPECT_EQ(sys::bits(OpenFlags::wronly), 1U);
}

}  // namespace
