// What the parts of compile() share. A file a concern: compile.cc the order of things, ids.cc,
// namespaces.cc, root.cc, mounts.cc, cgroup.cc, process.cc.
//
// Each part adds its steps to the one list; all that the order depends on stands in compile.cc.
#pragma once

#include "isle/cgroup.h"
#include "isle/host.h"
#include "isle/plan.h"
#include "isle/spec.h"
#include "plan/builder.h"
#include "sys/abi.h"

namespace isle::plan {

/// How the maps of a new user namespace get there.
struct IdPlan {
  IdMap uid_map;
  IdMap gid_map;
  bool by_init = false;         ///< init writes its own single-id maps; no rendezvous.
  bool uid_by_program = false;  ///< newuidmap, newgidmap
  bool gid_by_program = false;
  bool deny_setgroups = false;
  Origin uid_from = 0;
  Origin gid_from = 0;
};

/// A file system mounted so far and the register that still refers to it.
struct Mounted {
  std::string destination;
  Register fd = kNone;
};

/// The limits that have fields of their own in Resources.
std::vector<CgroupWrite> cgroup_writes(const Resources& wish, bool v2);

/// The MS_* bit of a propagation type, 0 for unchanged.
uint64_t propagation_bits(Propagation propagation);

/// A directory to walk from, and for nothing else.
inline constexpr uint64_t kOpenDirectory =
    sys::bits(sys::OpenFlags::path | sys::OpenFlags::directory | sys::OpenFlags::cloexec);

class Compiler {
 public:
  Compiler(const Spec& spec, const Host& host) : spec_(spec), host_(host) {}
  Result<Plan> compile();

 private:
  // compile.cc
  Result<Plan> compile_in_place();
  Status check_host() const;
  void open_proc();
  void keep_what_is_read();
  Result<Plan> finish();

  // ids.cc
  Status choose_ids();
  [[nodiscard]] bool ids_by_init() const { return !new_user() || ids_.by_init; }
  void runtime_writes_ids();
  void init_gets_ids();
  void init_takes_set_up_ids();
  [[nodiscard]] uint32_t set_up_uid() const;
  [[nodiscard]] uint32_t set_up_gid() const;
  void set_identity(Actor actor);
  void set_asked_ids(Actor actor);
  [[nodiscard]] bool drops_groups_early() const;
  [[nodiscard]] uint32_t inside_uid() const;
  [[nodiscard]] uint32_t inside_gid() const;
  [[nodiscard]] bool may_set_groups() const;

  // namespaces.cc
  [[nodiscard]] sys::CloneFlags clone_flags() const;
  void note_namespaces();
  [[nodiscard]] bool shares_memory() const;
  Status open_joins();
  void runtime_joins();
  void init_joins();
  void join_all(Actor actor, bool user_last);
  [[nodiscard]] bool late_cgroup_join() const;
  void join_cgroup_namespace();
  void enter_directories();
  void children_namespaces();
  void time_namespace();
  void names();
  Status keep_namespaces();
  void write_sysctl();
  [[nodiscard]] bool joins_in_runtime() const;
  [[nodiscard]] bool joins_pid() const;
  [[nodiscard]] bool carries_root() const;
  void open_own_mount_namespace();
  [[nodiscard]] bool takes_root_early() const;
  void take_root(Actor actor);

  // root.cc
  [[nodiscard]] bool in_place() const;
  [[nodiscard]] std::string root_path() const;
  [[nodiscard]] bool is_seen_by_path() const;
  [[nodiscard]] bool is_in_root(const Bind& bind) const;
  Status open_root();
  struct OverlayBase {
    Register memory = kNone;  ///< The tmpfs that upper and work are relative to; none: on disk.
    std::string upper = {};
    std::string work = {};
  };
  Result<Register> overlay(const Overlay& wish, Origin from);
  Status overlay_by_entry(const Overlay& wish, Origin from);
  Result<OverlayBase> overlay_base(const Overlay& wish, Origin from);
  Register overlay_mount(const std::string& lower, const std::string& upper,
                         const std::string& work, const Overlay& wish, Origin from);
  void show_read_only(const std::string& path, const std::string& inside, bool directory,
                      Origin from);
  [[nodiscard]] bool replaced(std::string_view inside) const;
  [[nodiscard]] bool has_mounts_below(const std::string& path) const;
  void enter_root();
  void carry_root();

  // mounts.cc
  Status mount_all();
  Status apply(const FsOperation& op, const Bind& bind);
  Status apply(const FsOperation& op, const FileSystem& fs);
  Status apply(const FsOperation& op, const Overlay& wish);
  Status apply(const FsOperation& op, const Dev& dev);
  Status apply(const FsOperation& op, const CoverProc& cover);
  Status apply(const FsOperation& op, const MakeDirectory& make);
  Status apply(const FsOperation& op, const MakeSymlink& make);
  Status apply(const FsOperation& op, const MakeFile& make);
  Status apply(const FsOperation& op, const WriteFile& write);
  Status apply(const FsOperation& op, const MakeDevice& make);
  Status apply(const FsOperation& op, const Remount& remount);
  Status apply(const FsOperation& op, const Mask& mask);
  void attach(Register mount, Register dir, std::string_view path, bool directory, Origin from,
              bool no_follow = false);
  void bind_by_runtime(size_t index, const Bind& bind);
  void devices_by_runtime();
  using MadeFor = std::vector<std::pair<size_t, Register>>;  ///< Of spec_.mounts, by index.
  [[nodiscard]] Register made_for(const FsOperation& op, const MadeFor& made) const;
  void idmap(const FsOperation& op, const Bind& bind, Register tree, Register userns, Actor actor);
  Register new_file_system(std::string_view type, std::string_view source,
                           std::span<const std::pair<std::string, std::string>> options,
                           uint64_t attributes, Origin from, std::optional<Actor> by = {});
  void finish_read_only();
  void set_attributes(Register mount, const MountAttributes& attributes, Origin from);
  void host_node(Register dir, std::string_view path, Register node, Origin from);
  void device_node(Register host_dev, Register dev, const char* name, uint32_t major,
                   uint32_t minor, Origin from);
  Status idmapped_binds();
  void bind_source(const FsOperation& op, const Bind& bind, Register tree, Actor actor);
  [[nodiscard]] Register mounted_at(std::string_view destination) const;

  // cgroup_path.cc
  void open_hierarchies(Origin from);
  struct Place {
    uint64_t path = 0;
    Register below = kNone;
  };
  Place place(const std::string& path);
  Status cgroup_by_path();
  Status cgroup_values();
  void device_filter();
  void cgroup_directory(const std::string& mount, bool cpuset, Origin from);
  Register own_cgroup(const std::string& directory, Origin from);
  Status cgroup_tree(const FsOperation& op, const FileSystem& fs);
  [[nodiscard]] bool late_cgroup_namespace() const;
  void unshare_cgroup_namespace();

  // cgroup.cc
  Status make_cgroup();
  [[nodiscard]] uint8_t undo_flags() const;
  void join_cgroups();
  void hand_controllers_on(Origin from);
  void give_cgroup(const std::string& directory, Origin from);
  void open_cgroup(const std::string& directory, Origin from);
  [[nodiscard]] bool is_v1_cgroup(const std::string& directory) const;
  void attach_v1(Actor actor);
  Status cgroup_v1(const Resources& wish);
  Status cgroup_v2(const Resources& wish);

  // hooks.cc
  void call_when_mounted();
  void call_with_listener(Register listener, Origin from);
  void run_hooks(Actor actor, const std::vector<Hook>& hooks);

  // process.cc
  void dies_with_parent(Actor actor);
  void default_signals();
  void choose_cpus(const Wish<std::vector<int>>& wish);
  Status host_side_settings();
  void terminal(Actor actor);
  void reopen_terminal(Register root);
  void inherit_oom_score();
  Status finish_process(Actor actor);
  void labels(Actor actor);
  void capabilities(Actor actor);
  [[nodiscard]] bool keeps_capabilities() const;
  void descriptors(Actor actor);
  enum class ChangeDirectory : uint8_t { first_try = 1, another = 2 };
  void working_directory(Actor actor, ChangeDirectory attempt);
  void load_filter(Actor actor);
  [[nodiscard]] std::vector<std::string> command_paths() const;
  void execute(Actor actor);
  [[nodiscard]] uint64_t target_capabilities() const;

  // What several parts need.
  uint64_t text(std::string_view t) { return b_.text(t); }
  /// A file or directory of the host, by its absolute path.
  Step& write_file(Actor actor, Origin from, const std::string& path, std::string_view value);
  Step& make_directory(Actor actor, Origin from, const std::string& path, uint64_t mode);
  /// A file of the first process's own directory in /proc, written by the runtime.
  void write_child(Origin from, std::string_view file, std::string_view value) {
    runtime(Op::write_child, from, {text(file), text(value), proc_});
  }
  /// A file of the host's /proc, written by init.
  void write_proc(Origin from, const std::string& file, std::string_view value) {
    if (proc_ == kNone)
      write_file(first_, from, "/proc/" + file, value);
    else
      init(Op::write_in, from, {proc_, text(file), text(value)});
  }
  /// A path of the host, absolute: the working directory is not the caller's at all times.
  [[nodiscard]] std::string host_path(std::string_view path) const;
  Step& init(Op op, Origin from, std::initializer_list<uint64_t> args = {}) {
    return b_.add(first_, op, from, args);
  }
  Step& runtime(Op op, Origin from, std::initializer_list<uint64_t> args = {}) {
    return b_.add(Actor::runtime, op, from, args);
  }
  Step& undo(Op op, Origin from, std::initializer_list<uint64_t> args = {}) {
    return b_.add(Actor::undo, op, from, args);
  }
  /// The first undo of a plan needs somebody to do it: the guard, before the deed itself.
  void need_guard(Origin from);
  [[nodiscard]] std::unexpected<Error> refuse(Origin from, int code, std::string what,
                                              std::string hint = {}) const;
  [[nodiscard]] bool creates(NamespaceType type) const { return spec_.creates(type); }
  [[nodiscard]] bool new_user() const { return creates(NamespaceType::user); }
  [[nodiscard]] bool caller_is_privileged() const;

  const Spec& spec_;
  const Host& host_;
  Builder b_;
  IdPlan ids_;
  Actor first_ = Actor::init;  ///< Who becomes the command's first process; in place: the runtime.
  Register root_ = kNone;      ///< The directory all destinations are below.
  Register cgroup_ = kNone;    ///< v2 directory to clone into.
  /// The directory that all hierarchies are mounted in or below, where cgroups are reached from it, and its
  /// descriptor: the runtime's, then init's, of its own mount namespace.
  std::string hierarchies_at_ = {};
  Register hierarchies_ = kNone;
  bool init_has_hierarchies_ = false;
  Register root_fd_ = kNone;  ///< Spec::root_fd, Spec::cwd_fd
  Register cwd_fd_ = kNone;
  Register start_ = kNone;    ///< ProcessWish::start_socket
  Register proc_ = kNone;     ///< The host's /proc, where something writes to it later.
  Register console_ = kNone;  ///< (runtime) master received from init.
  Register master_ = kNone;   ///< (init) the same, until its slave is opened once more.
  std::vector<Mounted> mounted_;
  std::vector<std::pair<Register, Origin>> filled_first_;  ///< To be made read-only at the end.
  Register empty_ = kNone;  ///< A directory with nothing in it, for Mask.
  std::vector<std::pair<NamespaceType, Register>> joins_;
  std::vector<std::string> attach_v1_;  ///< Cgroups entered by a write.
  bool has_guard_ = false;
  bool runtime_has_late_steps_ = false;
  MadeFor runtime_binds_;  ///< Binds and devices that the runtime has made already.
  MadeFor late_idmaps_;    ///< User namespaces of those that init idmaps.
};

}  // namespace isle::plan
