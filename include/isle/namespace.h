// What a namespace is in isle: its type (the one table of the eight), sets of types, and the
// handle on one that exists. Making processes in namespaces is run.h's.
#pragma once

#include <sys/types.h>

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/namespace_type.h"

namespace isle {

/// What there is to know about one of the eight types; namespaces(7).
struct NamespaceTypeInfo {
  NamespaceType type;
  std::string_view name;           ///< runtime-spec: "mount", "network"; the others as in /proc.
  std::string_view proc_name;      ///< File in /proc/PID/ns: "mnt", "net".
  std::string_view children_name;  ///< "pid_for_children", "time_for_children"; else empty.
  uint64_t clone_flag;             ///< CLONE_NEW*.
  std::string_view since;          ///< First kernel version in which an ordinary kernel has it.
  std::string_view limit_name;     ///< File in /proc/sys/user: "max_mnt_namespaces".
  bool has_parent;                 ///< Nests: NS_GET_PARENT answers.
};

/// The table, in the order of NamespaceType. The kernel's flags and names stand nowhere else.
inline constexpr std::array<NamespaceTypeInfo, kNamespaceTypes> kNamespaceTypeTable = {{
    {NamespaceType::cgroup, "cgroup", "cgroup", "", 0x02000000, "4.6", "max_cgroup_namespaces",
     false},
    {NamespaceType::ipc, "ipc", "ipc", "", 0x08000000, "2.6.19", "max_ipc_namespaces", false},
    {NamespaceType::mount, "mount", "mnt", "", 0x00020000, "2.4.19", "max_mnt_namespaces", false},
    {NamespaceType::network, "network", "net", "", 0x40000000, "2.6.29", "max_net_namespaces",
     false},
    {NamespaceType::pid, "pid", "pid", "pid_for_children", 0x20000000, "2.6.24",
     "max_pid_namespaces", true},
    {NamespaceType::time, "time", "time", "time_for_children", 0x00000080, "5.6",
     "max_time_namespaces", false},
    {NamespaceType::user, "user", "user", "", 0x10000000, "3.8", "max_user_namespaces", true},
    {NamespaceType::uts, "uts", "uts", "", 0x04000000, "2.6.19", "max_uts_namespaces", false},
}};

/// The table's row of `type`.
[[nodiscard]] constexpr const NamespaceTypeInfo& type_info(NamespaceType type) noexcept {
  return kNamespaceTypeTable[static_cast<std::size_t>(type)];
}
/// "mount": the runtime-spec's name.
[[nodiscard]] constexpr std::string_view to_string(NamespaceType type) noexcept {
  return type_info(type).name;
}
/// The type called `name`, as the runtime-spec spells it or as /proc does ("mnt", "net").
[[nodiscard]] std::optional<NamespaceType> parse_namespace_type(std::string_view name) noexcept;
/// The type of one CLONE_NEW* flag; nothing for another flag or for several.
[[nodiscard]] std::optional<NamespaceType> type_of_clone_flag(uint64_t flag) noexcept;

/// A set of namespace types. Iterates in the order of NamespaceType.
class NamespaceSet {
 public:
  constexpr NamespaceSet() noexcept = default;
  constexpr NamespaceSet(std::initializer_list<NamespaceType> types) noexcept {
    for (const NamespaceType type : types) insert(type);
  }
  [[nodiscard]] static constexpr NamespaceSet all() noexcept { return NamespaceSet(Bits{0xff}); }
  /// The types whose flags are in `flags`; other flags are passed over.
  [[nodiscard]] static constexpr NamespaceSet of_clone_flags(uint64_t flags) noexcept {
    NamespaceSet set;
    for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
      if ((flags & info.clone_flag) != 0) set.insert(info.type);
    }
    return set;
  }

  constexpr void insert(NamespaceType type) noexcept { bits_ |= bit(type); }
  constexpr void erase(NamespaceType type) noexcept { bits_ &= ~bit(type); }
  [[nodiscard]] constexpr bool contains(NamespaceType type) const noexcept {
    return (bits_ & bit(type)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] constexpr int size() const noexcept { return std::popcount(bits_); }
  /// The CLONE_NEW* flags of all in it.
  [[nodiscard]] constexpr uint64_t clone_flags() const noexcept {
    uint64_t flags = 0;
    for (const NamespaceType type : *this) flags |= type_info(type).clone_flag;
    return flags;
  }

  friend constexpr NamespaceSet operator|(NamespaceSet a, NamespaceSet b) noexcept {
    return NamespaceSet(Bits{a.bits_ | b.bits_});
  }
  friend constexpr NamespaceSet operator&(NamespaceSet a, NamespaceSet b) noexcept {
    return NamespaceSet(Bits{a.bits_ & b.bits_});
  }
  /// What is in `a` and not in `b`.
  friend constexpr NamespaceSet operator-(NamespaceSet a, NamespaceSet b) noexcept {
    return NamespaceSet(Bits{a.bits_ & ~b.bits_});
  }
  constexpr bool operator==(const NamespaceSet&) const noexcept = default;

  class Iterator {
   public:
    using value_type = NamespaceType;
    using difference_type = std::ptrdiff_t;
    constexpr Iterator() noexcept = default;
    constexpr explicit Iterator(uint32_t rest) noexcept : rest_(rest) {}
    constexpr NamespaceType operator*() const noexcept {
      return static_cast<NamespaceType>(std::countr_zero(rest_));
    }
    constexpr Iterator& operator++() noexcept {
      rest_ &= rest_ - 1;
      return *this;
    }
    constexpr Iterator operator++(int) noexcept { return std::exchange(*this, ++Iterator(*this)); }
    constexpr bool operator==(const Iterator&) const noexcept = default;

   private:
    uint32_t rest_ = 0;
  };
  [[nodiscard]] constexpr Iterator begin() const noexcept { return Iterator(bits_); }
  [[nodiscard]] constexpr Iterator end() const noexcept { return Iterator(0); }

 private:
  enum class Bits : uint32_t {};
  constexpr explicit NamespaceSet(Bits bits) noexcept : bits_(static_cast<uint32_t>(bits)) {}
  static constexpr uint32_t bit(NamespaceType type) noexcept {
    return uint32_t{1} << static_cast<unsigned>(type);
  }
  uint32_t bits_ = 0;
};

/// What tells one namespace from all others of this boot. `unique` alone does, where the kernel
/// gives it: it is never used again, while an inode number may be, once the namespace is gone.
struct NamespaceId {
  uint64_t unique = 0;  ///< NS_GET_ID, Linux 6.18; 0 on an older kernel.
  uint64_t device = 0;  ///< Of nsfs, as st_dev.
  uint64_t inode = 0;   ///< The number in "net:[4026531840]".
  bool operator==(const NamespaceId&) const = default;
};

/// A namespace as name_to_handle_at(2) writes it down: no descriptor is held, the namespace does
/// not live by it, and another process may open it.
struct FileHandle {
  int32_t type = 0;
  std::vector<unsigned char> bytes;
  bool operator==(const FileHandle&) const = default;
};

/// An open reference to an existing namespace: a descriptor on nsfs (O_RDONLY | O_CLOEXEC). While
/// it is open the namespace lives. Move-only; what was moved from holds nothing.
class [[nodiscard]] Namespace {
 public:
  /// Opens /proc/`pid`/ns/<type>; `pid` counts in the pid namespace of the mounted /proc. pid and
  /// time give the namespace the process is in, not its children's. Errors: ENOENT no such
  /// process, or a kernel without this type; EACCES the ptrace access check said no. Kernel:
  /// fs/proc/namespaces.c.
  static Result<Namespace> of_process(pid_t pid, NamespaceType type);
  /// The same of one thread, whose namespaces may be others than its process's.
  static Result<Namespace> of_thread(pid_t tid, NamespaceType type);
  /// The calling thread's. Errors: ENOENT no /proc, or a kernel without this type.
  static Result<Namespace> of_self(NamespaceType type);
  /// Of the process a pidfd refers to, which cannot become another one meanwhile. Errors: ESRCH it
  /// is gone; EBADF no pidfd; EACCES as of_process(). ioctl PIDFD_GET_*, Linux 6.11; before, through
  /// /proc, with a look at whether the process is still there afterwards.
  static Result<Namespace> of_pidfd(BorrowedFd pidfd, NamespaceType type);
  /// The namespace the next children of `pid` will be in: pid and time only, else EINVAL. Errors:
  /// those of of_process(); ENOENT also for a new pid namespace without its first process.
  static Result<Namespace> for_children(pid_t pid, NamespaceType type);
  /// Opens a file on nsfs: /proc/PID/ns/*, or where persist() bound one. Errors: open(2)'s; ENOTTY
  /// not a namespace; EINVAL a namespace of another type than `expected`.
  static Result<Namespace> of_path(const std::string& path,
                                   std::optional<NamespaceType> expected = {});
  /// Takes ownership of `fd`, also when it fails. Errors: EBADF; ENOTTY not a namespace; EINVAL a
  /// namespace of another type than `expected`. ioctl_nsfs(2) NS_GET_NSTYPE, Linux 4.11.
  static Result<Namespace> from_fd(Fd fd, std::optional<NamespaceType> expected = {});
  /// Reopens the namespace whose id() this was, as long as it lives. Errors: ESTALE it is gone, or
  /// the caller is neither in it nor privileged over its owner; ENOTSUP `id` has no `unique`, being
  /// from an older kernel. Linux 6.18; open_by_handle_at(2), nsfs_fh_to_dentry in fs/nsfs.c.
  static Result<Namespace> of_id(NamespaceType type, const NamespaceId& id);
  /// The same by NamespaceId::unique alone. Linux 6.18 wants the inode number too, so there it is
  /// looked for as children() looks. Errors: ESTALE there is none, or none that can be seen.
  static Result<Namespace> of_unique_id(uint64_t unique);
  /// What file_handle() wrote down. Errors: those of of_id(). Linux 6.18; open_by_handle_at(2).
  static Result<Namespace> of_file_handle(const FileHandle& handle);
  /// The network namespace that a socket was made in. Errors: ENOTTY no socket; EPERM no
  /// CAP_NET_ADMIN over that namespace. ioctl SIOCGSKNS, Linux 4.9, sock_ioctl in net/socket.c.
  static Result<Namespace> of_socket(BorrowedFd socket);
  /// The network namespace that the calling thread's own knows by this number ("link-netnsid 0" of
  /// ip-link(8)). Looked for as children() looks. Errors: ENOENT there is none, or none that can be
  /// seen.
  static Result<Namespace> of_nsid(int32_t nsid);
  /// The network namespace in which the other end of a network interface lives: of a veth its
  /// peer, of a macvlan or tunnel the device below. The caller's own where both are in it. Errors:
  /// ENODEV no such interface; those of of_nsid(). IFLA_LINK_NETNSID, Linux 4.0.
  static Result<Namespace> of_link_peer(const std::string& interface);

  [[nodiscard]] NamespaceType type() const noexcept { return type_; }
  /// The number in "net:[4026531840]".
  [[nodiscard]] uint64_t inode() const noexcept { return inode_; }
  /// Asks the kernel for the 64-bit id where it has one. No error of its own: without it
  /// `unique` is 0.
  [[nodiscard]] NamespaceId id() const;
  /// "net:[4026531840]", as readlink(2) of /proc/PID/ns/net says.
  [[nodiscard]] std::string link_text() const;
  /// Errors: EOPNOTSUPP an older kernel. Linux 6.18; nsfs_encode_fh in fs/nsfs.c.
  [[nodiscard]] Result<FileHandle> file_handle() const;
  /// The number by which the calling thread's network namespace knows this one: network only, else
  /// EINVAL. Errors: ENOENT it has given it none. RTM_GETNSID of rtnetlink(7), Linux 4.0.
  [[nodiscard]] Result<int32_t> nsid() const;
  /// Lent for as long as this object lives.
  [[nodiscard]] BorrowedFd fd() const noexcept { return fd_.borrow(); }
  /// Gives the descriptor up; this object then holds nothing.
  [[nodiscard]] Fd release() && noexcept { return std::move(fd_); }

  /// The user namespace that owns it; of a user namespace, its parent. Errors: EPERM that one is
  /// not the caller's nor below it. ioctl_nsfs(2) NS_GET_USERNS, Linux 4.9.
  [[nodiscard]] Result<Namespace> owner() const;
  /// The namespace around it: user and pid, else EINVAL. Errors: EPERM there is none, or the
  /// caller is not in it nor above. ioctl_nsfs(2) NS_GET_PARENT, Linux 4.9.
  [[nodiscard]] Result<Namespace> parent() const;
  /// The effective uid of who made it, as the caller's user namespace counts: user only, else
  /// EINVAL. The overflow uid (65534) where it is not mapped. NS_GET_OWNER_UID, Linux 4.11.
  [[nodiscard]] Result<uid_t> owner_uid() const;
  /// The namespaces directly below it: user and pid, else EINVAL. Those that can be seen: what the
  /// processes of /proc are in or have above them, and what the caller's mount namespace keeps.
  [[nodiscard]] Result<std::vector<Namespace>> children() const;

  /// A process or thread of the caller's pid namespace as this pid namespace counts it; pid only,
  /// else EINVAL. Errors: ESRCH there is none, or it is not in this namespace nor below.
  /// NS_GET_PID_IN_PIDNS, Linux 6.11; before, NSpid of /proc/PID/status, which takes ptrace(2)'s
  /// access check (EACCES).
  [[nodiscard]] Result<pid_t> pid_in(pid_t pid) const;
  /// A process or thread of this pid namespace as the caller's counts it; pid only, else EINVAL.
  /// Errors: ESRCH there is none, or the caller's namespace does not see it. NS_GET_PID_FROM_PIDNS,
  /// Linux 6.11; before, a look through /proc, which finds processes only.
  [[nodiscard]] Result<pid_t> pid_from(pid_t pid_inside) const;

  /// How many mounts there are in it: mount only, else EINVAL. Errors: EPERM it is not the
  /// caller's and the caller is not privileged over it. NS_MNT_GET_INFO, Linux 6.12.
  [[nodiscard]] Result<uint32_t> mount_count() const;
  /// The mount namespace after it, or before it, in the kernel's list, by id; nothing at the end.
  /// mount only, else EINVAL. Errors: EPERM the caller has no CAP_SYS_ADMIN in the initial user
  /// namespace or, on newer kernels (6.18.44), is not in the initial pid namespace. NS_MNT_GET_NEXT and NS_MNT_GET_PREV, Linux 6.12.
  [[nodiscard]] Result<std::optional<Namespace>> next() const;
  [[nodiscard]] Result<std::optional<Namespace>> previous() const;

  /// setns(2): moves the calling thread only; pid moves the children it makes later.
  /// Errors: EPERM no CAP_SYS_ADMIN over it (mount: also CAP_SYS_CHROOT), or a pid namespace that
  /// is not below the caller's; EINVAL (user) it is the caller's own, or the process has other
  /// threads; EINVAL (mount) root and cwd are shared with another process; EUSERS (time) other
  /// threads. Kernel: each type's .install.
  [[nodiscard]] Status enter() const;

  /// Keeps it beyond its last process: bound to `path`, a file that is made where it is missing
  /// (mode 0444; parents are not) and removed again on failure. Errors: EEXIST something is
  /// mounted there already, or it is no regular file; EPERM no CAP_SYS_ADMIN over the caller's
  /// mount namespace; ELOOP (mount) it is the caller's own or older, which would keep itself alive
  /// (from 6.18 the kernel may take a newer one for older, see docs/kernel-notes.md);
  /// EINVAL (mount) `path` is on a mount that is shared with another namespace. Kernel: mnt_ns_loop
  /// and copy_tree in fs/namespace.c. Linux 5.2.
  [[nodiscard]] Status persist(const std::string& path) const;
  /// Undoes persist(): unmounts `path` and removes the file. Errors: ENOTTY no namespace is bound
  /// there; those of umount2(2) and unlink(2).
  static Status unpersist(const std::string& path);

  /// Whether both are the same namespace (st_dev and st_ino, as ioctl_nsfs(2) says to compare).
  friend bool operator==(const Namespace& a, const Namespace& b) noexcept {
    return a.device_ == b.device_ && a.inode_ == b.inode_;
  }

 private:
  Namespace(Fd fd, NamespaceType type, uint64_t device, uint64_t inode) noexcept
      : fd_(std::move(fd)), type_(type), device_(device), inode_(inode) {}
  Fd fd_;
  NamespaceType type_;
  uint64_t device_;
  uint64_t inode_;
};

/// unshare(2): moves the calling thread into new namespaces of its own; pid and time only its
/// later children. All or nothing. Errors: EPERM no CAP_SYS_ADMIN and no user among them, or a
/// chrooted caller (user); EINVAL (user) the process has other threads; ENOSPC a limit, or 32
/// levels of user or pid namespaces; EUSERS older kernels for that.
[[nodiscard]] Status unshare(NamespaceSet types);

/// Namespaces lent to a call: one, several by name, or a vector of them.
///     enter(net);  enter({net, uts});  enter(theirs);
class NamespaceRefs {
 public:
  NamespaceRefs(const Namespace& one) : refs_{&one} {}  // NOLINT: conversions are what it is for
  NamespaceRefs(std::initializer_list<std::reference_wrapper<const Namespace>> some) {  // NOLINT
    for (const Namespace& each : some) refs_.push_back(&each);
  }
  NamespaceRefs(std::span<const Namespace> some) {  // NOLINT
    for (const Namespace& each : some) refs_.push_back(&each);
  }
  NamespaceRefs(const std::vector<Namespace>& some)  // NOLINT
      : NamespaceRefs(std::span(some)) {}
  NamespaceRefs() = default;
  void push_back(const Namespace& one) { refs_.push_back(&one); }
  [[nodiscard]] auto begin() const { return refs_.begin(); }
  [[nodiscard]] auto end() const { return refs_.end(); }
  /// The types among them.
  [[nodiscard]] NamespaceSet types() const {
    NamespaceSet set;
    for (const Namespace* each : refs_) set.insert(each->type());
    return set;
  }

 private:
  std::vector<const Namespace*> refs_;
};

/// They in the order in which enter() joins them: the user namespace first where it gives privilege
/// over the others, and after those that it takes privilege over away.
[[nodiscard]] std::vector<const Namespace*> join_order(const NamespaceRefs& namespaces);

/// Joins all of them, one of a type, in join_order(). A user namespace that is the caller's own is
/// passed over, since the kernel refuses it. Errors: EINVAL two of one type; those of
/// Namespace::enter(), and then the calling thread is in those before: in.h's in() has somebody
/// else go there.
[[nodiscard]] Status enter(const NamespaceRefs& namespaces);

/// The namespaces of a process, of these types, in which it is and the calling thread is not. Held
/// from one pidfd, so all are of the same process. Errors: ESRCH no such process; those of
/// of_pidfd().
[[nodiscard]] Result<std::vector<Namespace>> namespaces_of(
    pid_t pid, NamespaceSet types = NamespaceSet::all());

/// setns(2) with a pidfd: moves the calling thread into all of a process's namespaces of these
/// types at once, or into none. Errors: those of Namespace::enter() of each; ESRCH the process is
/// gone. Linux 5.8.
[[nodiscard]] Status enter(BorrowedFd pidfd, NamespaceSet types);

/// How many namespaces of `type` each user may make in the caller's user namespace, those below
/// counted; every user namespace above has its own such limit. Errors: ENOENT no /proc, or a
/// kernel without this type. /proc/sys/user, namespaces(7), Linux 4.9.
[[nodiscard]] Result<uint32_t> namespace_limit(NamespaceType type);
/// Sets that; at most 2147483647. 0 forbids. Errors: EINVAL too large; EACCES or EPERM no
/// CAP_SYS_RESOURCE in the caller's user namespace, or /proc/sys is mounted read-only (EROFS).
[[nodiscard]] Status set_namespace_limit(NamespaceType type, uint32_t limit);

}  // namespace isle
