// What is wanted, as plain data, in the words of the runtime-spec and namespaces(7). A face (the
// isle command, isle-oci, isle-bwrap, C++, Python) fills it in and remembers with each wish where
// it came from; compile() turns it into a Plan. Nothing here looks at the machine or acts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "isle/error.h"
#include "isle/idmap.h"
#include "isle/namespace_type.h"

namespace isle {

/// Index into Spec::origins, the texts that say who asked: "argv[7]", "config.json /mounts/3".
/// 0 is "default".
using Origin = uint16_t;

/// A value and who asked for it.
template <class T>
struct Asked {
  T value{};
  Origin from = 0;
};
template <class T>
using Wish = std::optional<Asked<T>>;

// ---- namespaces -----------------------------------------------------------------------------

/// One entry of linux.namespaces. A type that has no entry is shared with the caller.
struct NamespaceWish {
  NamespaceType type{};
  /// Empty and `fd` negative: a new one. Else the namespace to join: a path on nsfs ...
  std::string path = {};
  /// ... or an open descriptor of the caller's; not closed by isle. A pidfd stands for the namespace
  /// of that type its process is in (Linux 5.8); types that name one pidfd are joined by one setns,
  /// all or none.
  int fd = -1;
  Origin from = 0;
  /// (pid, a new one) Only the command's children are born in it, as after unshare(2).
  bool for_children = false;
  [[nodiscard]] bool joins() const { return fd >= 0 || !path.empty(); }
};

/// A namespace to keep after its last process: bound to `path`, a file made where it is missing.
/// Needs CAP_SYS_ADMIN over the caller's mount namespace.
struct KeepWish {
  NamespaceType type{};
  std::string path = {};
  Origin from = 0;
};

/// Offsets of a new time namespace (time_namespaces(7)), in nanoseconds, either sign.
struct TimeOffset {
  enum class Clock { monotonic, boottime } clock{};
  int64_t offset_ns = 0;
  Origin from = 0;
};

// ---- the root file system and what is mounted on it --------------------------------------------

/// Mount attributes to set or clear: MOUNT_ATTR_* of mount_setattr(2). `recursive` applies them to
/// the mounts below too (runtime-spec: rro, rnosuid ...; Linux 5.12).
struct MountAttributes {
  uint64_t set = 0;
  uint64_t clear = 0;
  uint64_t recursive_set = 0;
  uint64_t recursive_clear = 0;
};

enum class Propagation { unchanged, private_, slave, shared, unbindable };

/// A part of the caller's file system made visible at a destination.
struct Bind {
  /// Host path, resolved in the caller's root ...
  std::string source = {};
  /// ... or an open descriptor (O_PATH will do) of the caller's.
  int source_fd = -1;
  /// `source_fd` is a detached tree (open_tree(2), fsmount(2)): itself attached, not a copy of it.
  bool detached = false;
  bool recursive = true;
  MountAttributes attributes = {};
  /// MOUNT_ATTR_* that are cleared, too, unless a more privileged mount namespace has locked one of
  /// them (mount_namespaces(7)): then all of these stay as they are.
  uint64_t clear_unlocked = 0;
  Propagation propagation = Propagation::unchanged;
  bool propagation_recursive = false;
  /// Idmapped mount (Linux 5.12): empty means none. Needs CAP_SYS_ADMIN over the file system.
  IdMap uid_mappings = {};
  IdMap gid_mappings = {};
  bool idmap_recursive = false;
  /// In place of maps: those of the user namespace that is joined.
  bool idmap_as_joined = false;
  /// A source whose last name is a symbolic link: that link itself is bound ...
  bool no_follow = false;
  /// ... or one like it is made at the destination, and nothing is mounted.
  bool copy_link = false;
};

/// A new file system: tmpfs, proc, sysfs, devpts, mqueue, cgroup2, ext4 ...
struct FileSystem {
  std::string type = {};
  std::string source = {};
  /// Passed to the file system by fsconfig(2); a key with an empty value is a flag.
  std::vector<std::pair<std::string, std::string>> options = {};
  MountAttributes attributes = {};
  Propagation propagation = Propagation::unchanged;
  /// Refused where the destination's last name is a symbolic link (proc, sysfs: what is masked
  /// below them must be theirs).
  bool refuse_links = false;
  /// Filled, before it is attached, with a copy of what stands at the destination.
  bool copy_up = false;
};

/// overlayfs. With `upper` empty changes go to memory and are gone at the end.
struct Overlay {
  std::vector<std::string> lower = {};  ///< Topmost first, as in lowerdir=.
  std::string upper = {};
  std::string work = {};
  MountAttributes attributes = {};
  Origin from = 0;  ///< Who asked for these layers, where that is not who asked for the whole.
};

/// /dev as a container expects it: a tmpfs with null, zero, full, random, urandom, tty; pts, shm,
/// mqueue; links fd, stdin, stdout, stderr, core, ptmx.
struct Dev {};

/// The parts of /proc that change the whole machine made read-only: sys, sysrq-trigger, irq, bus.
/// Only those that exist.
struct CoverProc {};

/// A directory; parents as needed (0755). What exists is left as it is.
struct MakeDirectory {
  mode_t mode = 0755;
};

struct MakeSymlink {
  std::string target = {};
};

/// A regular file with the bytes read from `source` or `source_fd`, in the sandbox's own file
/// system; read when the sandbox is made.
struct MakeFile {
  std::string source = {};
  int source_fd = -1;
  mode_t mode = 0644;
};

/// One write(2) of `text` to a file that is there: for file systems that take orders so, as
/// binfmt_misc does in its "register".
struct WriteFile {
  std::string text = {};
};

/// A device node. In a new user namespace, where mknod is refused, one with an Origin is made outside
/// with its owner and mode, and attached (the machine's root only; Linux 6.15); else what the host has
/// at that path is bound. `optional`: left as it is where the name is taken.
struct MakeDevice {
  mode_t mode = 0666;  ///< S_IFCHR, S_IFBLK or S_IFIFO with the permission bits.
  uint32_t major = 0;
  uint32_t minor = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// New attributes for the mount at the destination (bwrap --remount-ro, OCI readonlyPaths: with
/// `bind` the destination becomes a mount of its own first).
struct Remount {
  MountAttributes attributes = {};
  bool bind = false;
};

/// The destination made unreadable: a directory gets an empty read-only tmpfs, a file /dev/null.
struct Mask {};

/// One operation on the root file system. They happen in the order they stand in.
struct FsOperation {
  /// Path inside the new root; resolved in that root by the kernel when used.
  std::string destination = {};
  std::variant<Bind, FileSystem, Overlay, Dev, CoverProc, MakeDirectory, MakeSymlink, MakeFile,
               WriteFile, MakeDevice, Remount, Mask>
      what = {};
  /// Passed over where the source (bwrap's -try) or the destination (masked paths) is missing.
  bool optional = false;
  Origin from = 0;
  /// The destination's last name is not followed where it is a symbolic link: that is mounted on.
  bool no_follow = false;
};

/// The new root. Without one in Spec, the caller's mount tree stays as it is and operations
/// happen on it.
/// It is built in a new mount namespace. Where the one asked for is another, joined or the caller's,
/// the command gets there when all is done, with its root, which is mounted nowhere in it: nobody
/// else sees it, nothing propagates to it or from it, /proc/PID/mountinfo tells nothing of it, and
/// no process can mount in it. That needs CAP_SYS_ADMIN over that namespace, so neither a new user
/// namespace nor, for the caller's own, one that is joined.
struct Root {
  std::string path = "/";
  /// Attributes for the whole tree before anything is mounted on it, recursively.
  uint64_t attributes = 0;
  /// The root mount itself made read-only when all operations are done.
  bool read_only = false;
  /// Changes go to an overlay over `path`: to memory, or to Overlay::upper.
  std::optional<Overlay> overlay = {};
  /// linux.rootfsPropagation: of the new root mount.
  Propagation propagation = Propagation::private_;
  /// False: chroot instead of pivot_root (for an initramfs); the old root stays below.
  bool pivot = true;
  Origin from = 0;
};

// ---- the process --------------------------------------------------------------------------------

/// Five sets as bit masks (bit n is capability n), capabilities(7).
struct Capabilities {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;
};

struct Rlimit {
  int resource = 0;  ///< RLIMIT_*
  uint64_t soft = 0;
  uint64_t hard = 0;
  Origin from = 0;
};

/// A classic BPF program for seccomp(2), made by whoever asks.
struct Seccomp {
  std::vector<uint64_t> instructions = {};  ///< struct sock_filter, 8 bytes each.
  uint32_t flags = 0;                       ///< SECCOMP_FILTER_FLAG_*
  /// SECCOMP_FILTER_FLAG_NEW_LISTENER: who answers SECCOMP_RET_USER_NOTIF; see Process::listener().
  [[nodiscard]] bool has_listener() const { return (flags & 1U << 3) != 0; }
};

struct Scheduler {
  uint32_t policy = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t flags = 0, runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

/// set_mempolicy(2).
struct MemoryPolicy {
  uint32_t mode = 0;                 ///< MPOL_* with MPOL_F_*.
  std::vector<uint64_t> nodes = {};  ///< A bit a node.
};

/// A program that is run while the sandbox is made; that fails with it. Its standard input holds
/// `input_before`, its first process's pid as seen where the program runs, and `input_after`.
struct Hook {
  std::string path;                    ///< Absolute, where the program runs.
  std::vector<std::string> args = {};  ///< Empty: the path.
  std::vector<std::string> env = {};   ///< All of it.
  uint32_t timeout_s = 0;              ///< 0: none; then it is killed.
  std::string input_before = {};
  std::string input_after = {};
  Origin from = 0;
};

struct User {
  Wish<uint32_t> uid = {};  ///< As seen inside. Without one: what the caller is, where mapped.
  Wish<uint32_t> gid = {};
  Wish<std::vector<uint32_t>> additional_gids = {};
  /// Nothing but what is asked for above changes: the caller's ids stay, mapped or not, and so do
  /// its groups. The working directory is entered before ids change. unshare(1), nsenter(1).
  bool as_is = false;
  /// Without additional_gids the caller's groups stay, mapped or not, though uid or gid change.
  bool keep_groups = false;
};

/// runtime-spec: process.consoleSize.
struct ConsoleSize {
  uint16_t rows = 0;
  uint16_t columns = 0;
};

/// What runs, and as what. Nothing asked for leaves the caller's value in place.
struct ProcessWish {
  Asked<std::vector<std::string>> args = {};
  /// The file to execute where args[0] does not name it; looked up in the same way.
  Wish<std::string> program = {};
  /// No process is made: the caller itself becomes the command, as with unshare(1) and nsenter(1);
  /// see become(). Goes with nothing that needs somebody outside: init, a terminal, limits, kept
  /// namespaces, maps of more than the own id. A pid namespace is then its children's.
  Asked<bool> in_place = {};
  /// "NAME=value"; no wish: the caller's environment as gathered in Host.
  Wish<std::vector<std::string>> env = {};
  /// Inside the root. Without one: the caller's, where it exists inside, else "/".
  Wish<std::string> cwd = {};
  User user = {};
  Wish<mode_t> umask = {};
  Wish<Capabilities> capabilities = {};
  Asked<bool> no_new_privileges = {};
  std::vector<Rlimit> rlimits = {};
  Wish<int> oom_score_adj = {};
  Wish<int> nice = {};
  Wish<std::vector<int>> cpus_allowed = {};
  /// Those it may use until it is in its cgroup.
  Wish<std::vector<int>> initial_cpus_allowed = {};
  Wish<MemoryPolicy> memory_policy = {};
  Wish<Scheduler> scheduler = {};
  Wish<int> io_priority = {};  ///< As ioprio_set(2) takes it.
  Wish<uint64_t> personality = {};
  Wish<std::string> apparmor_profile = {};
  Wish<std::string> selinux_label = {};
  Wish<Seccomp> seccomp = {};
  /// A session keyring of its own, by this name (keyctl(2) KEYCTL_JOIN_SESSION_KEYRING).
  Wish<std::string> session_keyring = {};
  /// A controlling terminal of its own, its other end in Process::console().
  Asked<bool> terminal = {};
  /// It writes "\n" as it is, not as "\r\n" (without ONLCR): for what is read by a program.
  bool plain_newlines = false;
  /// Its size before the command starts; without a wish 0 by 0.
  Wish<ConsoleSize> console_size = {};
  /// Where in the new root it is bound besides ("/dev/console"); a file made where it is missing.
  Wish<std::string> console_path = {};
  /// A session of its own (setsid); implied by `terminal`.
  Asked<bool> new_session = {};
  /// No signal is ignored in it, nor in hooks; without it those are that the caller ignores, and a
  /// shell cannot trap them.
  Asked<bool> default_signals = {};
  /// SIGKILL when the thread that started it ends (PR_SET_PDEATHSIG).
  Asked<bool> die_with_parent = {};
  int death_signal = 9;  ///< ... or this signal.
  /// A small pid 1 that forwards signals and reaps orphans; the command is its child.
  Asked<bool> init = {};
  /// A listening socket of the caller's (AF_UNIX, SOCK_SEQPACKET). The launch ends when all is set up
  /// but the execve; that comes when start_waiting() connects (OCI create and start).
  Wish<int> start_socket = {};
  /// Descriptors of the caller that stay open in the command, under their own numbers; 0 to 2 do
  /// in any case.
  Asked<std::vector<int>> pass_fds = {};
  /// All of them do, as with unshare(1) and nsenter(1).
  bool pass_all_fds = false;
};

// ---- limits ------------------------------------------------------------------------------------

/// A value for one file of a controller ("memory.max" = "1048576"), for what has no field here.
struct UnifiedValue {
  std::string file = {};
  std::string value = {};
  Origin from = 0;
};

/// A value for one file of a controller, which is another file on v1 and on v2. An empty name: that
/// version has no such thing, and it is an error to ask for it there.
struct ControllerValue {
  std::string controller = {};
  std::string v1_file = {};
  std::string v2_file = {};
  std::string v1_value = {};
  std::string v2_value = {};
  Origin from = 0;
  /// Passed over where the kernel has no such file.
  bool optional = false;
};

/// One rule about device nodes. A later rule goes before an earlier one, for each kind of access.
struct DeviceRule {
  bool allow = false;
  char type = 'a';          ///< 'c', 'b', or 'a' for both.
  int64_t major = -1;       ///< -1: every.
  int64_t minor = -1;       ///< -1: every.
  std::string access = {};  ///< Some of "rwm"; empty: all.
  Origin from = 0;
};

struct Resources {
  /// Name of the new cgroup below the one isle may use; empty: no cgroup is made.
  std::string cgroup_name = {};
  /// In place of `cgroup_name`: the cgroup's path below the mount point of every hierarchy, "/a/b".
  /// It is made with its parents where it is missing.
  Wish<std::string> path = {};
  /// The cgroup stays when the command ends, and when the caller is killed, for who knows of it to remove;
  /// a failed launch removes it.
  bool keep_cgroup = false;
  Wish<int64_t> memory_limit_bytes = {};  ///< -1: no limit.
  Wish<int64_t> memory_swap_bytes = {};   ///< Memory and swap together, as the runtime-spec counts.
  Wish<int64_t> cpu_quota_us = {};
  Wish<uint64_t> cpu_period_us = {};
  Wish<uint64_t> cpu_shares = {};
  Wish<int64_t> pids_limit = {};
  std::vector<UnifiedValue> unified = {};
  std::vector<ControllerValue> controller_values = {};  ///< With `path` only.
  /// With `path` only. Where there are any, what none allows is denied: by the list of v1, or a BPF
  /// program on v2. Not in a user namespace, where no device of the host can be made.
  std::vector<DeviceRule> devices = {};
  /// Cgroup directories of the host that the command is put into; nothing is made or removed.
  std::vector<Asked<std::string>> join = {};
};

/// Where a launch stops and asks its caller (Spec::calls_back).
enum class CallPoint : uint8_t {
  mounted,    ///< All is mounted; the new root is not entered yet.
  listening,  ///< The filter is in place, and its listener there.
};

// ---- all of it ------------------------------------------------------------------------------------

struct Spec {
  /// origins[0] is "default"; see add_origin().
  std::vector<std::string> origins{"default"};

  std::vector<NamespaceWish> namespaces = {};
  std::vector<KeepWish> keep = {};
  /// Process::namespace_inode() is known, however soon the command ends.
  Asked<bool> note_namespaces = {};
  std::vector<TimeOffset> time_offsets = {};

  /// Maps of a new user namespace. Without one: chosen by compile() from Host: root maps every id
  /// to itself, others their own id (as the one asked for in `process.user`, where one is) and,
  /// where /etc/subuid grants ranges, those around it.
  Wish<IdMap> uid_mappings = {};
  Wish<IdMap> gid_mappings = {};
  /// No map is written: every id is the overflow id (65534) inside.
  bool leave_uids_unmapped = false;
  bool leave_gids_unmapped = false;
  /// "allow" or "deny" for /proc/PID/setgroups of a new user namespace, user_namespaces(7).
  Wish<bool> allow_setgroups = {};
  /// Fill from /etc/subuid and /etc/subgid; an error where they grant nothing.
  Asked<bool> map_auto = {};
  /// False: no automatic use of subordinate ids where no map was asked for.
  bool use_subordinate_ids = true;

  std::optional<Root> root = {};
  std::vector<FsOperation> mounts = {};
  /// Root and working directory of the command by descriptor, taken when namespaces are joined:
  /// those of another process, /proc/PID/root and /proc/PID/cwd.
  Wish<int> root_fd = {};
  /// ... or by path, chroot(2): as the command's mount namespace has it, nothing mounted.
  Wish<std::string> root_directory = {};
  Wish<int> cwd_fd = {};
  /// For the caller's mount tree where there is no new root; unshare(1) --propagation.
  Wish<Propagation> mount_propagation = {};

  Wish<std::string> hostname = {};
  Wish<std::string> domainname = {};
  std::vector<std::pair<std::string, Asked<std::string>>> sysctl = {};
  /// The loopback device of a new network namespace set up.
  Asked<bool> loopback_up = {};

  ProcessWish process = {};
  Resources resources = {};

  /// Run in the sandbox's namespaces, by paths of the host: all is mounted, the root not entered.
  std::vector<Hook> create_hooks = {};
  /// Run in the sandbox, as the command would be, right before it.
  std::vector<Hook> start_hooks = {};
  /// LaunchOptions::on_call is called at those points.
  Asked<bool> calls_back = {};

  /// The Origin for `text`, made where it is new.
  Origin add_origin(std::string text);
  /// Whether `type` is to be created anew.
  [[nodiscard]] bool creates(NamespaceType type) const;
  /// The entry for `type`, null where it is shared.
  [[nodiscard]] const NamespaceWish* find(NamespaceType type) const;
};

/// All that is wrong with `spec` in itself, without a look at the machine; empty when nothing is.
[[nodiscard]] std::vector<Error> validate(const Spec& spec);

}  // namespace isle
