// The floor: the default sandbox of `isle run` as fast as we know how to have it from the kernel, and nothing else.
//
//   floor [--namespaces-only | --bwrap-equal] [--in-place] [--phases] COMMAND [ARG...]
//
// No options to speak of, no explanations, no safety against an odd host: one clone, the mounts by the new mount API, exec,
// wait. What isle adds to this is what isle costs. Built as `cc -O2 -static`; COMMAND is a path, not looked up in PATH.
//
//   (default)           user, mnt, pid, uts, ipc, net, cgroup namespaces; the host's root read-only; fresh /proc with its
//                       dangerous parts read-only, /dev, /dev/pts, /dev/shm, /dev/mqueue, /tmp, /run; lo up; new session
//   --namespaces-only   the namespaces, the id maps, lo, the same end; no mounts
//   --bwrap-equal       what `bwrap --ro-bind / / --proc /proc --dev /dev --unshare-all` makes: no /tmp, /run, mqueue, no
//                       tmpfs on /dev/shm, no new session. (bwrap also leaves a second process behind as pid 1; we do not)
//   --in-place          no copy of the host's tree, no pivot_root: the new mount namespace is a copy already, so make that
//                       one read-only and mount over it. What lies below is the same mounts either way, locked either way
//   --phases            prints on standard error when each part was done, in ns since main(); the clock reads cost little
//
// What was tried and is not here, because it gained nothing: docs/kernel-notes.md.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
enum { kMsPrivate = 1 << 18, kMntDetach = 2, kLastCap = 40 };
enum {
  kNosuid = MOUNT_ATTR_NOSUID,
  kNodev = MOUNT_ATTR_NODEV,
  kNoexec = MOUNT_ATTR_NOEXEC,
  kRdonly = MOUNT_ATTR_RDONLY,
};

enum mode { kDefault, kNamespacesOnly, kBwrapEqual };

// Shared by both sides: the child is cloned with CLONE_VM, which spares copying page tables and the faults after it.
static struct {
  enum mode mode;
  bool privileged;
  bool in_place;
  char** argv;
  unsigned uid, gid;
  int maps_written[2];  // pipe: the parent says that the id maps are there
  bool phases;
  int64_t begin_ns;
  int phase_count;
  struct {
    const char* name;
    int64_t ns;
  } phase[40];
} g;

static char child_stack[64 * 1024] __attribute__((aligned(64)));

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void phase(const char* name) {
  if (!g.phases) return;
  int i = __atomic_fetch_add(&g.phase_count, 1, __ATOMIC_RELAXED);
  g.phase[i].name = name;
  g.phase[i].ns = now_ns();
}

__attribute__((noreturn)) static void die(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static int ok(long result, const char* what) {
  if (result < 0) die(what);
  return (int)result;
}

static void write_file(const char* path, const char* text) {
  int fd = ok(open(path, O_WRONLY | O_CLOEXEC), path);
  ok(write(fd, text, strlen(text)), path);
  close(fd);
}

// --- mounts --------------------------------------------------------------------------------------------------------

struct option {
  const char *key, *value;
};

static int new_mount(const char* type, const struct option* options, unsigned attributes) {
  int fs = ok(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), type);
  for (; options != NULL && options->key != NULL; options++) {
    ok(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options->key, options->value, 0),
       options->key);
  }
  ok(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), type);
  int mount = ok(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes), type);
  close(fs);
  return mount;
}

static int clone_tree(int dir, const char* path, unsigned flags) {
  return (int)syscall(SYS_open_tree, dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

static void set_attributes(int tree, unsigned attributes, unsigned flags) {
  struct mount_attr attr = {.attr_set = attributes, .propagation = kMsPrivate};
  ok(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, &attr, sizeof attr),
     "mount_setattr");
}

static void attach(int mount, int dir, const char* path) {
  ok(syscall(SYS_move_mount, mount, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH), path);
}

static void attach_new(const char* type, const struct option* options, unsigned attributes, int dir,
                       const char* path) {
  int mount = new_mount(type, options, attributes);
  attach(mount, dir, path);
  close(mount);
}

static void make_proc(int root) {
  static const char* const covered[] = {"sys", "sysrq-trigger", "irq", "bus"};
  int proc = new_mount("proc", NULL, kNosuid | kNodev | kNoexec);
  attach(proc, root, "proc");
  for (size_t i = 0; i < sizeof covered / sizeof *covered; i++) {
    int part = clone_tree(proc, covered[i], 0);
    if (part < 0 && errno == ENOENT) continue;  // not every kernel has each
    ok(part, covered[i]);
    set_attributes(part, kRdonly | kNosuid | kNodev | kNoexec, 0);
    attach(part, proc, covered[i]);
    close(part);
  }
  close(proc);
}

static void make_dev(int root) {
  static const char* const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const char* const links[][2] = {
      {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
      {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},         {"/proc/kcore", "core"},
  };
  static const struct option dev_options[] = {{"mode", "0755"}, {NULL, NULL}};
  static const struct option pts_options[] = {{"ptmxmode", "0666"}, {"mode", "0620"}, {NULL, NULL}};
  static const struct option shm_options[] = {{"mode", "1777"}, {NULL, NULL}};

  int host = ok(open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC), "/dev");
  int dev = new_mount("tmpfs", dev_options, kNosuid | kNoexec);
  attach(dev, root, "dev");
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    int node = ok(clone_tree(host, nodes[i], 0), nodes[i]);
    ok(mknodat(dev, nodes[i], S_IFREG | 0666, 0), nodes[i]);
    attach(node, dev, nodes[i]);
    close(node);
  }
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    ok(symlinkat(links[i][0], dev, links[i][1]), links[i][1]);
  ok(mkdirat(dev, "pts", 0755), "pts");
  attach_new("devpts", pts_options, kNosuid | kNoexec, dev, "pts");
  ok(mkdirat(dev, "shm", 01777), "shm");
  if (g.mode != kBwrapEqual) {
    attach_new("tmpfs", shm_options, kNosuid | kNodev, dev, "shm");
    ok(mkdirat(dev, "mqueue", 0755), "mqueue");
    attach_new("mqueue", NULL, kNosuid | kNodev | kNoexec, dev, "mqueue");
  }
  close(dev);
  close(host);
}

static int begin_root(void) {
  int root = -1;
  if (g.in_place) {
    root = ok(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "/");
    set_attributes(root, kRdonly | kNosuid | kNodev, AT_RECURSIVE);
  } else {
    root = ok(clone_tree(AT_FDCWD, "/", AT_RECURSIVE), "open_tree /");
    set_attributes(root, kRdonly | kNosuid | kNodev, AT_RECURSIVE);
    attach(root, AT_FDCWD, "/");
  }
  phase("root");
  return root;
}

static void enter_root(int root) {
  if (!g.in_place) {
    ok(fchdir(root), "fchdir");
    ok(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    ok(syscall(SYS_umount2, ".", kMntDetach), "umount2");
  }
  ok(chdir("/"), "chdir /");
  phase("pivot_root");
}

static void make_root(void) {
  static const struct option tmp_options[] = {{"mode", "1777"}, {NULL, NULL}};
  static const struct option run_options[] = {{"mode", "0755"}, {NULL, NULL}};
  int root = begin_root();
  umask(0);
  make_proc(root);
  phase("proc");
  make_dev(root);
  phase("dev");
  if (g.mode != kBwrapEqual) {
    attach_new("tmpfs", tmp_options, kNosuid | kNodev, root, "tmp");
    attach_new("tmpfs", run_options, kNosuid | kNodev, root, "run");
    phase("tmp, run");
  }
  umask(022);
  enter_root(root);
}

// --- the two sides ---------------------------------------------------------------------------------------------------

static void bring_lo_up(void) {
  int s = ok(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  struct ifreq request = {.ifr_name = "lo"};
  request.ifr_flags = IFF_UP;
  ok(ioctl(s, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS lo");
  close(s);
}

static void drop_privileges(void) {
  ok(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  for (int cap = 0; cap <= kLastCap; cap++) {
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) break;  // an older kernel has fewer
  }
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  ok(syscall(SYS_capset, &header, none), "capset");
}

// An ordinary user may map only itself, and the child may write that alone: no round trip.
static void map_own_ids(void) {
  char text[48];
  write_file("/proc/self/setgroups", "deny");
  snprintf(text, sizeof text, "%u %u 1", g.uid, g.uid);
  write_file("/proc/self/uid_map", text);
  snprintf(text, sizeof text, "%u %u 1", g.gid, g.gid);
  write_file("/proc/self/gid_map", text);
}

static int child(void* unused) {
  (void)unused;
  phase("clone");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (g.privileged) {
    char byte = 0;
    if (read(g.maps_written[0], &byte, 1) != 1) _exit(125);
  } else {
    map_own_ids();
  }
  phase("id maps");
  if (g.mode != kNamespacesOnly) make_root();
  bring_lo_up();
  phase("lo up");
  if (g.mode != kBwrapEqual) setsid();
  drop_privileges();
  ok(syscall(SYS_close_range, 3U, ~0U, 0U), "close_range");
  phase("privileges");
  execv(g.argv[0], g.argv);
  fprintf(stderr, "floor: %s: %s\n", g.argv[0], strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

// Root maps every id onto itself. Only a process with CAP_SETUID in the parent user namespace may, so not the child.
static void map_all_ids(pid_t pid) {
  static const char all[] = "0 0 4294967295";
  char path[48];
  snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
  write_file(path, all);
  snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
  write_file(path, all);
  ok(write(g.maps_written[1], "", 1), "pipe");
}

int main(int argc, char** argv) {
  g.begin_ns = now_ns();
  int i = 1;
  for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
    if (strcmp(argv[i], "--namespaces-only") == 0)
      g.mode = kNamespacesOnly;
    else if (strcmp(argv[i], "--bwrap-equal") == 0)
      g.mode = kBwrapEqual;
    else if (strcmp(argv[i], "--in-place") == 0)
      g.in_place = true;
    else if (strcmp(argv[i], "--phases") == 0)
      g.phases = true;
    else
      break;
  }
  if (i >= argc) {
    fprintf(stderr,
            "usage: floor [--namespaces-only | --bwrap-equal] [--in-place] [--phases] COMMAND "
            "[ARG...]\n");
    return 125;
  }
  g.argv = &argv[i];
  g.uid = geteuid();
  g.gid = getegid();
  g.privileged = g.uid == 0;
  if (g.privileged) ok(pipe2(g.maps_written, O_CLOEXEC), "pipe2");

  // clone(2) and not clone3: the same kernel work, and libc has the assembler for a child with a stack of its own.
  int pidfd = -1;
  int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
              CLONE_NEWNET | CLONE_NEWCGROUP;
  pid_t pid = ok(clone(child, child_stack + sizeof child_stack,
                       flags | CLONE_VM | CLONE_PIDFD | SIGCHLD, NULL, &pidfd),
                 "clone");
  if (g.privileged) map_all_ids(pid);

  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  phase("exec to end");
  for (int k = 0; k < g.phase_count; k++) {
    fprintf(stderr, "%lld %s\n", (long long)(g.phase[k].ns - g.begin_ns), g.phase[k].name);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
