#include "cases.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <ostream>
#include <stdexcept>
#include <utility>

#include "isle/host.h"
#include "isle/namespace.h"
#include "plan/view.h"
#include "support/sandbox.h"

namespace isle::test {
namespace {

constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

using Fill = std::function<void(Spec&, const TempDir&)>;

void mount_new(Spec& spec, std::string destination, std::string type, std::string mode = {}) {
  FileSystem file_system{.type = type, .source = type};
  file_system.attributes.set = kQuiet;
  if (!mode.empty()) file_system.options.emplace_back("mode", mode);
  spec.mounts.push_back({.destination = std::move(destination), .what = std::move(file_system)});
}

void bind(Spec& spec, const std::string& source, const std::string& destination,
          uint64_t attributes = 0, bool optional = false) {
  Bind what;
  what.source = source;
  what.attributes.recursive_set = attributes;
  spec.mounts.push_back({.destination = destination,
                         .what = std::move(what),
                         .optional = optional,
                         .from = spec.add_origin("--bind " + source)});
}

const std::vector<std::string> kCommand = {"/bin/sleep", "1000"};

Spec default_case() { return default_sandbox(kCommand); }

class SpecSetting : public Setting {
 public:
  SpecSetting(Spec start, const Fill& fill) : spec_(std::move(start)) {
    if (fill) fill(spec_, dir_);
    give(dir_);
  }
  [[nodiscard]] Spec spec() const override { return spec_; }

 private:
  static void give(const TempDir& dir) {
    if (geteuid() == 0) ::chmod(dir.path().c_str(), 0777);
  }
  TempDir dir_;
  Spec spec_;
};

// A process in namespaces of its own, to be joined.
class JoinSetting : public Setting {
 public:
  JoinSetting(std::vector<std::string> unshare, std::vector<NamespaceType> joined,
              const std::vector<NamespaceType>& made)
      : holder_(std::move(unshare)),
        joined_(std::move(joined)),
        spec_(bare_namespaces(made, kCommand)) {
    if (!holder_.expect("ready\n")) throw std::runtime_error("no namespaces to join");
    const pid_t pid = std::stoi(holder_.output());
    for (const NamespaceType type : joined_) {
      const std::string path =
          "/proc/" + std::to_string(pid) + "/ns/" + std::string(type_info(type).proc_name);
      if (type == NamespaceType::uts) {
        uts_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        spec_.namespaces.push_back(
            {.type = type, .fd = uts_.get(), .from = spec_.add_origin("--join uts=fd")});
      } else {
        spec_.namespaces.push_back(
            {.type = type, .path = path, .from = spec_.add_origin("--join " + path)});
      }
    }
  }
  [[nodiscard]] Spec spec() const override { return spec_; }

 private:
  Command holder_;
  std::vector<NamespaceType> joined_;
  Fd uts_;
  Spec spec_;
};

void fill_root(Spec& spec, const TempDir& dir) {
  const std::string root = dir.make_dir("root");
  for (const char* name : {"bin", "lib", "lib64", "usr", "etc", "out"})
    (void)dir.make_dir(std::string("root/") + name);
  dir.write("text", "some text\n");
  spec.root->path = root;
  spec.root->attributes = kQuiet;
  spec.root->read_only = true;
  spec.root->from = spec.add_origin("--root " + root);
  for (const char* path : {"/bin", "/lib", "/lib64", "/usr"})
    bind(spec, path, path, kQuiet | MOUNT_ATTR_RDONLY, true);
  bind(spec, dir.make_dir("bound"), "/made/on/the/way");
  bind(spec, dir / "text", "/made/file");
  mount_new(spec, "/out", "tmpfs", "1777");
  std::get<FileSystem>(spec.mounts.back().what).options.emplace_back("size", "1m");
  MakeFile file;
  file.source = dir / "text";
  spec.mounts.push_back({.destination = "/out/file", .what = file});
  spec.mounts.push_back({.destination = "/out/link", .what = MakeSymlink{"file"}});
  spec.mounts.push_back({.destination = "/out/dir/in/dir", .what = MakeDirectory{0700}});
  spec.mounts.push_back({.destination = "/etc", .what = Mask{}});
  Remount remount;
  remount.attributes.set = MOUNT_ATTR_RDONLY;
  spec.mounts.push_back({.destination = "/out", .what = remount});
}

void fill_process(Spec& spec, const TempDir&) {
  ProcessWish& process = spec.process;
  process.rlimits.push_back({.resource = 7, .soft = 64, .hard = 64});  // RLIMIT_NOFILE
  process.nice = Asked<int>{5};
  process.oom_score_adj = Asked<int>{500};
  process.cpus_allowed = Asked<std::vector<int>>{{0}};
  process.umask = Asked<mode_t>{027};
  process.cwd = Asked<std::string>{"/usr"};
  process.user.uid = Asked<uint32_t>{12};
  process.user.gid = Asked<uint32_t>{13};
  process.user.additional_gids = Asked<std::vector<uint32_t>>{{14, 15}};
  constexpr uint64_t kNetBindService = 1U << 10;
  process.capabilities = Asked<Capabilities>{
      {kNetBindService, kNetBindService, kNetBindService, kNetBindService, kNetBindService}};
  constexpr uint64_t kReturnAllow = 0x7fff0000'00000006;  // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
  process.seccomp = Asked<Seccomp>{{{kReturnAllow}, 0}};
}

void fill_limits(Spec& spec, const TempDir&) {
  Resources& limits = spec.resources;
  limits.cgroup_name = unique_name("faults");
  limits.memory_limit_bytes = Asked<int64_t>{64 << 20, spec.add_origin("--memory 64M")};
  limits.pids_limit = Asked<int64_t>{20, spec.add_origin("--pids 20")};
}

// As a container engine has it, who removes it by a record of its own.
void fill_cgroup_by_path(Spec& spec, const TempDir&) {
  spec.resources.path = Asked<std::string>{"/" + unique_name("faults")};
  spec.resources.keep_cgroup = true;
  spec.resources.pids_limit = Asked<int64_t>{20, spec.add_origin("--pids 20")};
}

// Only who owns the file system may map its ids: without a new user namespace, that is.
void fill_idmapped(Spec& spec, const TempDir& dir) {
  std::erase_if(spec.namespaces,
                [](const NamespaceWish& wish) { return wish.type == NamespaceType::user; });
  Bind what;
  what.source = dir.make_dir("mapped");
  what.uid_mappings = {{0, 1000, 10}};
  what.gid_mappings = {{0, 1000, 10}};
  spec.mounts.push_back({.destination = "/tmp/mapped",
                         .what = std::move(what),
                         .from = spec.add_origin("--bind mapped:idmap")});
}

void fill_keep(Spec& spec, const TempDir& dir) {
  spec.keep.push_back({NamespaceType::network, dir / "kept-net", spec.add_origin("--keep net")});
  spec.keep.push_back({NamespaceType::uts, dir / "kept-uts", spec.add_origin("--keep uts")});
}

void fill_time(Spec& spec, const TempDir&) {
  spec.namespaces.push_back({.type = NamespaceType::time});
  const Origin from = spec.add_origin("--time-offset");
  spec.time_offsets.push_back({TimeOffset::Clock::monotonic, 86'400'000'000'000, from});
  spec.time_offsets.push_back({TimeOffset::Clock::boottime, -1'000'000'000, from});
  spec.hostname = Asked<std::string>{"box", spec.add_origin("--hostname")};
  spec.domainname = Asked<std::string>{"example"};
}

/// Built in a mount namespace of its own, and carried to the caller's.
void fill_carried(Spec& spec, const TempDir& dir) {
  std::erase_if(spec.namespaces, [](const NamespaceWish& wish) {
    return wish.type == NamespaceType::user || wish.type == NamespaceType::mount;
  });
  fill_root(spec, dir);
}

using User = FaultCase::User;

FaultCase of(std::string name, std::vector<std::string> needs, Spec (*start)(), Fill fill,
             User user = User::self) {
  return {.name = std::move(name),
          .needs = std::move(needs),
          .user = user,
          .make = [start, fill = std::move(fill)] {
            return std::make_unique<SpecSetting>(start(), fill);
          }};
}

std::vector<FaultCase> build_cases() {
  std::vector<FaultCase> cases;
  cases.push_back(of("Default", {"root"}, default_case, {}));
  cases.push_back(of("DefaultOfAUser", {"userns"}, default_case, {}, User::ordinary));
  cases.push_back(of("SubordinateIds", {"subids"}, default_case, {}, User::ordinary_with_subids));
  cases.push_back(of("Root", {"root"}, default_case, fill_root));
  cases.push_back(of("CarriedRoot", {"root"}, default_case, fill_carried));
  cases.push_back(of("Overlay", {"root", "overlay"}, default_case, [](Spec& spec, const TempDir&) {
    spec.root->attributes = kQuiet;
    spec.root->overlay = Overlay{};
    spec.root->overlay->attributes.set = kQuiet;
  }));
  cases.push_back(of("Terminal", {"root"}, default_case, [](Spec& spec, const TempDir&) {
    spec.process.terminal = {true, spec.add_origin("--tty")};
    spec.process.console_size = Asked<ConsoleSize>{{24, 80}};
  }));
  cases.push_back(of("Init", {"root"}, default_case, [](Spec& spec, const TempDir&) {
    spec.process.init = {true, spec.add_origin("--init")};
    spec.process.terminal.value = true;
  }));
  cases.push_back(of("Process", {"root"}, default_case, fill_process));
  cases.push_back(of("Limits", {"root", "cgroup_v1"}, default_case, fill_limits));
  cases.push_back(of("LimitsV2", {"root", "delegated"}, default_case, fill_limits));
  cases.push_back(of("CgroupByPath", {"root", "cgroups"}, default_case, fill_cgroup_by_path));
  cases.push_back(of("IdmappedBind", {"root", "idmap"}, default_case, fill_idmapped));
  cases.push_back(
      of("Plain", {"root"},
         [] { return bare_namespaces({NamespaceType::mount, NamespaceType::ipc}, kCommand); }, {}));
  cases.push_back(of(
      "Time", {"root", "timens"}, [] { return bare_namespaces({NamespaceType::uts}, kCommand); },
      fill_time));
  cases.push_back(of(
      "TimeOfAUser", {"userns", "timens"},
      [] { return bare_namespaces({NamespaceType::user, NamespaceType::uts}, kCommand); },
      fill_time, User::ordinary));
  cases.push_back(of(
      "Keep", {"root"},
      [] { return bare_namespaces({NamespaceType::network, NamespaceType::uts}, kCommand); },
      fill_keep));
  cases.back().own_mounts = true;
  const std::string say = "echo $$; echo ready; exec sleep 1000";
  cases.push_back({.name = "JoinByInit", .needs = {"root", "util_linux"}, .make = [say] {
                     return std::make_unique<JoinSetting>(
                         std::vector<std::string>{"unshare", "--net", "--uts", "sh", "-c", say},
                         std::vector<NamespaceType>{NamespaceType::network, NamespaceType::uts},
                         std::vector<NamespaceType>{NamespaceType::mount, NamespaceType::ipc});
                   }});
  cases.push_back({.name = "JoinByRuntime", .needs = {"root", "util_linux"}, .make = [] {
                     return std::make_unique<JoinSetting>(
                         std::vector<std::string>{
                             "sh", "-c",
                             "unshare --pid --fork --kill-child sleep 1000 & "
                             "until c=$(cat /proc/$!/task/$!/children) && [ -n \"$c\" ]; do "
                             "sleep 0.01; done; echo $c; echo ready; wait"},
                         std::vector<NamespaceType>{NamespaceType::pid},
                         std::vector<NamespaceType>{NamespaceType::mount, NamespaceType::uts});
                   }});
  return cases;
}

std::vector<std::string> undone_paths(const Plan& plan) {
  std::vector<std::string> paths;
  for (size_t i = 0; i < plan.step_count(); ++i) {
    if (plan.step_actor(i) != "undo") continue;
    const std::string text = plan.step_text(i);
    const size_t first = text.find('"') + 1;
    paths.push_back(text.substr(first, text.find('"', first) - first));
  }
  return paths;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const FaultCase& fault_case) {
  return stream << fault_case.name;
}

const std::vector<FaultCase>& fault_cases() {
  static const std::vector<FaultCase> cases = build_cases();
  return cases;
}

std::string to_string(Carrier carrier) { return carrier == Carrier::helper ? "helper" : "direct"; }

std::vector<Carrier> carriers_for(const Plan& plan) {
  for (size_t i = 0; i < plan.step_count(); ++i) {
    const bool joins = plan.step_op(i) == "setns" && plan.step_actor(i) == "runtime";
    if (joins || plan.step_op(i) == "reap") return {Carrier::helper};
  }
  return {Carrier::helper, Carrier::direct};
}

void clear_traces(const Plan& plan) {
  for (const std::string& path : undone_paths(plan)) {
    ::umount2(path.c_str(), MNT_DETACH);
    if (::unlink(path.c_str()) != 0) ::rmdir(path.c_str());
  }
}

std::vector<bool> steps_done(const Plan& plan) {
  std::vector<bool> done(plan.step_count(), true);
  Result<Process> process = launch(plan, {.record_times = true});
  if (!process) throw std::runtime_error(process.error().message());
  (void)process->signal(SIGKILL);
  (void)process->wait();
  const std::vector<StepTime> times = process->step_times();
  const plan::View view(plan);
  for (size_t i = 0; i < done.size(); ++i) {
    const plan::Step& step = view.steps()[i];
    const bool is_done = times[i].done_ns != 0;
    const bool skips =
        (step.flags & plan::kSkipsIfDone) != 0 ? is_done : step.pass_over != 0 && !is_done;
    if (!skips) continue;
    for (size_t skipped = i + 1; skipped <= i + step.skip; ++skipped) done[skipped] = false;
  }
  clear_traces(plan);
  return done;
}

std::vector<std::string> traces_of(const Plan& plan) {
  std::vector<std::string> traces;
  for (const std::string& path : undone_paths(plan))
    if (struct stat found{}; ::lstat(path.c_str(), &found) == 0) traces.push_back(path);
  return traces;
}

void in_case(const FaultCase& fault_case, const std::function<void(const Plan& plan)>& body) {
  const std::unique_ptr<Setting> setting = fault_case.make();
  expect_in_fork([&] {
    if (fault_case.user != FaultCase::User::self) {
      const char* step = "";
      const Identity user = fault_case.user == FaultCase::User::ordinary
                                ? unprivileged()
                                : unprivileged_with_subids();
      const int result = become(user, &step);
      ASSERT_EQ(result, 0) << step << ": " << std::strerror(-result);
      ::prctl(PR_SET_DUMPABLE, 1);  // as any program is that a user starts
    }
    if (fault_case.own_mounts) {
      ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    }
    ASSERT_EQ(::chdir("/"), 0);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const Spec spec = setting->spec();
    const Result<Plan> plan = compile(spec, probe_host(spec));
    ASSERT_TRUE(plan) << plan.error().message();
    // What stays for the life of the process: the memory file of isle-exec.
    (void)launch(*plan, {.fault = Fault{.step = 0, .error = ENOTBLK}});
    const Snapshot before = Snapshot::take();
    body(*plan);
    for (const std::string& leak : leaks_since(before)) ADD_FAILURE() << "left behind: " << leak;
  });
}

}  // namespace isle::test
