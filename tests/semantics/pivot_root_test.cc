// pivot_root(2): the extract in the notes on namespaces(7), and of the manual page what it extracts from:
// DESCRIPTION, ERRORS, NOTES.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;
using sys::MountFlags;

void make_dir(const char* path) { must(libc(::mkdir(path, 0755))); }
void mount_tmpfs(const char* path) {
  must(sys::mount("tmpfs", path, "tmpfs", MountFlags::none, nullptr));
}

/// The caller in a mount namespace with a new root at /mnt/new, on which is a directory old and a file
/// "new"; /mnt/other is a directory of the mount at /mnt.
void prepare() {
  own_mounts();
  mount_tmpfs("/mnt");
  make_dir("/mnt/other");
  make_dir("/mnt/new");
  mount_tmpfs("/mnt/new");
  make_dir("/mnt/new/old");
  write_file("/mnt/new/new", "");
}

bool is_there(const char* path) { return ::access(path, F_OK) == 0; }

/// A process beside the caller's in its mount namespace, which tells where it stands when asked.
class Bystander {
 public:
  /// Goes where `place` leads, first.
  explicit Bystander(const std::function<void()>& place) {
    int fds[2];
    must(libc(::pipe2(fds, O_CLOEXEC)));
    const Fd reads(fds[0]);
    Fd writes(fds[1]);
    pid_ = static_cast<pid_t>(must(libc(::fork())));
    if (pid_ == 0) {
      try {
        place();
      } catch (const std::exception&) {
        ::_exit(1);
      }
      if (::write(writes.get(), "r", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    writes.reset();
    char byte = 0;
    if (::read(reads.get(), &byte, 1) != 1) throw std::runtime_error("no bystander");
  }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  /// True if its root, or "cwd", is the directory `path` of the caller.
  [[nodiscard]] bool stands(const char* what, const char* path) const {
    return same((proc_ + std::to_string(pid_) + "/" + what).c_str(), path);
  }
  static bool same(const char* one, const char* other) {
    struct stat a{};
    struct stat b{};
    must(libc(::stat(one, &a)));
    must(libc(::stat(other, &b)));
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
  }
  /// After a pivot the caller's /proc is below the old root.
  void proc_is(const char* path) { proc_ = path; }

 private:
  pid_t pid_ = -1;
  std::string proc_ = "/proc/";
};

class PivotRoot : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root"); }
};

// "changes the root mount in the mount namespace of the calling process. More precisely, it moves the
// root mount to the directory put_old and makes new_root the new root mount."
TEST_F(PivotRoot, TheOldRootIsMovedAndTheNewOneTakesItsPlace) {
  expect_in_fork([] {
    prepare();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/old"), 0);
    must(sys::chdir("/"));
    EXPECT_TRUE(is_there("/new"));
    EXPECT_TRUE(is_there("/old/etc/passwd"));
    EXPECT_TRUE(is_there("/old/mnt/other")) << "what was mounted below came along";
    const std::string mounts = read_file("/old/proc/self/mountinfo");
    EXPECT_NE(mounts.find(" / / "), std::string::npos) << "the root mount";
    EXPECT_NE(mounts.find(" / /old "), std::string::npos) << "the old one, at put_old";
  });
}

// Of no other mount namespace: its members see nothing of it.
TEST_F(PivotRoot, OtherMountNamespacesAreNotTouched) {
  expect_in_fork([] {
    own_mounts();
    const Member beside({mount});
    ask_outside([] {
      prepare();
      return std::to_string(must(sys::pivot_root("/mnt/new", "/mnt/new/old")));
    });
    EXPECT_TRUE(is_there("/etc/passwd"));
    EXPECT_EQ(beside.ask([] { return std::string(is_there("/etc/passwd") ? "as ever" : "moved"); }),
              "as ever");
  });
}

// "changes the root directory and the current working directory of each process or thread in the same
// mount namespace to new_root if they point to the old root directory."
TEST_F(PivotRoot, ProcessesOnTheOldRootAreMoved) {
  expect_in_fork([] {
    prepare();
    Bystander bystander([] { must(sys::chdir("/")); });
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    must(sys::chdir("/"));
    bystander.proc_is("/old/proc/");
    EXPECT_TRUE(bystander.stands("root", "/"));
    EXPECT_TRUE(bystander.stands("cwd", "/"));
  });
}

// The same, of threads with a root and a working directory of their own.
TEST_F(PivotRoot, ThreadsOnTheOldRootAreMoved) {
  expect_in_fork([] {
    prepare();
    must(sys::chdir("/"));
    std::thread([] {
      must(sys::unshare(CloneFlags::fs));
      must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    }).join();
    EXPECT_TRUE(is_there("/new"));
    EXPECT_TRUE(is_there("new")) << "the working directory, too";
  });
}

// The same: "if they point to the old root directory". Another directory, or another root, is kept.
TEST_F(PivotRoot, ProcessesElsewhereAreNotMoved) {
  expect_in_fork([] {
    prepare();
    Bystander elsewhere([] { must(sys::chdir("/mnt/other")); });
    Bystander in_a_chroot([] {
      must(sys::chroot("/mnt/other"));
      must(sys::chdir("/"));
    });
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    must(sys::chdir("/"));
    elsewhere.proc_is("/old/proc/");
    in_a_chroot.proc_is("/old/proc/");
    EXPECT_TRUE(elsewhere.stands("root", "/")) << "its root was the old one";
    EXPECT_TRUE(elsewhere.stands("cwd", "/old/mnt/other"));
    EXPECT_TRUE(in_a_chroot.stands("root", "/old/mnt/other"));
    EXPECT_TRUE(in_a_chroot.stands("cwd", "/old/mnt/other"));
  });
}

// "pivot_root() does not change the caller's current working directory (unless it is on the old root
// directory), and thus it should be followed by a chdir("/") call."
TEST_F(PivotRoot, TheCallersDirectoryStaysUnlessItIsTheOldRoot) {
  expect_in_fork([] {
    prepare();
    must(sys::chdir("/mnt/other"));
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    EXPECT_TRUE(Bystander::same(".", "/old/mnt/other"));
    EXPECT_FALSE(is_there("new"));
    must(sys::chdir("/"));
    EXPECT_TRUE(is_there("new"));
  });
  expect_in_fork([] {
    prepare();
    must(sys::chdir("/"));
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    EXPECT_TRUE(is_there("new"));
  });
}

// ERRORS: EPERM. "The calling process must have the CAP_SYS_ADMIN capability in the user namespace that
// owns the caller's mount namespace."
TEST_F(PivotRoot, NeedsCapSysAdminOverTheMountNamespacesOwner) {
  ISLE_REQUIRE("unprivileged", "userns");
  expect_in_fork([] {
    prepare();
    become_nobody();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/old"), -EPERM);
    become_root_of_a_user_namespace();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/old"), -EPERM) << "which does not own it";
  });
  expect_in_fork([] {  // one that does
    become_nobody();
    become_root_of_a_user_namespace();
    prepare();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/old"), 0);
  });
}

// ERRORS: EBUSY, new_root or put_old is on the current root mount.
TEST_F(PivotRoot, NotOnTheRootMountItself) {
  expect_in_fork([] {
    prepare();
    EXPECT_EQ(sys::pivot_root("/", "/"), -EBUSY);
    EXPECT_EQ(sys::pivot_root("/", "/mnt/new/old"), -EBUSY);
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/etc"), -EBUSY);
  });
}

// ERRORS: EINVAL, new_root is not a mount point.
TEST_F(PivotRoot, TheNewRootIsAMountPoint) {
  expect_in_fork([] {
    prepare();
    make_dir("/mnt/new/inner");
    EXPECT_EQ(sys::pivot_root("/mnt/new/inner", "/mnt/new/inner"), -EINVAL);
    // DESCRIPTION: "A path that is not already a mount point can be converted into one by
    // bind mounting the path onto itself."
    must(sys::mount("/mnt/new/inner", "/mnt/new/inner", nullptr, MountFlags::bind, nullptr));
    EXPECT_EQ(sys::pivot_root("/mnt/new/inner", "/mnt/new/inner"), 0);
  });
}

// ERRORS: EINVAL, put_old is not at or underneath new_root.
TEST_F(PivotRoot, PutOldIsUnderneath) {
  expect_in_fork([] {
    prepare();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/other"), -EINVAL);
    make_dir("/mnt/new/deep");
    make_dir("/mnt/new/deep/er");
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/deep/er"), 0) << "some levels deep will do";
  });
}

// ERRORS: EINVAL, the current root is not a mount point, because of an earlier chroot(2).
TEST_F(PivotRoot, TheCurrentRootIsAMountPoint) {
  expect_in_fork([] {
    own_mounts();
    mount_tmpfs("/mnt");
    make_dir("/mnt/jail");
    make_dir("/mnt/jail/new");
    mount_tmpfs("/mnt/jail/new");
    make_dir("/mnt/jail/new/old");
    must(sys::chroot("/mnt/jail"));
    EXPECT_EQ(sys::pivot_root("/new", "/new/old"), -EINVAL);
  });
}

// ERRORS: EINVAL, the mount at new_root, its parent or that of the current root has propagation type
// MS_SHARED; or put_old is a mount point and shared.
TEST_F(PivotRoot, NothingShared) {
  const auto share = [](const char* path) {
    must(sys::mount("none", path, nullptr, MountFlags::shared, nullptr));
  };
  const auto refused = [](const std::function<void()>& first) {
    expect_in_fork([&] {
      prepare();
      first();
      EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/old"), -EINVAL);
    });
  };
  refused([&] { share("/mnt/new"); });
  refused([&] { share("/mnt"); });
  refused([&] {
    mount_tmpfs("/mnt/new/old");
    share("/mnt/new/old");
  });
  expect_in_fork([&] {  // the root's own parent: a second root above the first
    prepare();
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    must(sys::chdir("/"));
    make_dir("/in");
    mount_tmpfs("/in");
    make_dir("/in/old");
    share("/");
    EXPECT_EQ(sys::pivot_root("/in", "/in/old"), -EINVAL);
  });
}

// ERRORS: ENOTDIR, new_root or put_old is not a directory; and of path_resolution(7) ENOENT.
TEST_F(PivotRoot, Directories) {
  expect_in_fork([] {
    prepare();
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/new"), -ENOTDIR);
    EXPECT_EQ(sys::pivot_root("/mnt/new/new", "/mnt/new/old"), -ENOTDIR);
    EXPECT_EQ(sys::pivot_root("/mnt/new", "/mnt/new/missing"), -ENOENT);
    EXPECT_EQ(sys::pivot_root("/mnt/missing", "/mnt/new/old"), -ENOENT);
  });
}

// DESCRIPTION: "new_root ... must be a path to a mount point, but can't be "/"": nor detached, which is
// the kernel's EINVAL for mounts of another namespace.
TEST_F(PivotRoot, MountsOfThisNamespaceOnly) {
  expect_in_fork([] {
    prepare();
    const Fd tree(static_cast<int>(
        must(sys::open_tree(-1, "/mnt/new", sys::OpenTree::clone | sys::OpenTree::cloexec))));
    must(sys::fchdir(tree.get()));
    EXPECT_EQ(sys::pivot_root(".", "old"), -EINVAL);
  });
}

// NOTES, pivot_root(".", "."): new_root and put_old may be the same directory; the old root, stacked on
// the new one, is detached then.
TEST_F(PivotRoot, NewRootAndPutOldMayBeTheSame) {
  expect_in_fork([] {
    prepare();
    must(sys::chdir("/mnt/new"));
    EXPECT_EQ(sys::pivot_root(".", "."), 0);
    EXPECT_EQ(sys::umount2(".", sys::UmountFlags::detach), 0);
    must(sys::chdir("/"));
    EXPECT_TRUE(is_there("/new"));
    EXPECT_FALSE(is_there("/etc/passwd"));
  });
}

// NOTES: the old root can be unmounted, and so be out of reach for good.
TEST_F(PivotRoot, TheOldRootCanBeUnmounted) {
  expect_in_fork([] {
    prepare();
    must(sys::pivot_root("/mnt/new", "/mnt/new/old"));
    must(sys::chdir("/"));
    EXPECT_EQ(sys::umount2("/old", sys::UmountFlags::detach), 0);
    EXPECT_FALSE(is_there("/old/etc"));
    make_dir("/proc");
    must(sys::mount("proc", "/proc", "proc", MountFlags::none, nullptr));
    EXPECT_EQ(read_file("/proc/self/mountinfo").find("/old"), std::string::npos);
  });
}

}  // namespace
}  // namespace isle::test
