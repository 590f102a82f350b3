#include "oci_cli/unit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <limits>
#include <utility>

#include "cli/output.h"
#include "isle/cgroup.h"
#include "isle/host.h"
#include "oci_cli/container.h"

namespace isle::oci_cli {
namespace {

systemd::BusKind bus_kind() {
  return is_ordinary_user() ? systemd::BusKind::user : systemd::BusKind::system;
}

[[noreturn]] void hold(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "isle-holder");
  // Among them the lock of the container's directory, and what is meant for the container.
  ::syscall(SYS_close_range, 0U, std::numeric_limits<unsigned>::max(), 0U);
  while (::getppid() == parent) ::pause();
  ::_exit(0);
}

/// With room for the holder beside the container's first process.
std::vector<systemd::Property> split_tasks(std::vector<systemd::Property>& properties) {
  constexpr uint64_t kRoom = 2;
  std::vector<systemd::Property> later;
  for (systemd::Property& property : properties) {
    if (property.name != "TasksMax" || property.value.number >= kRoom) continue;
    if (property.value.number > 0) later.push_back(property);
    property.value.number = kRoom;
  }
  return later;
}

void make_room(Resources& wish) {
  if (wish.pids_limit && wish.pids_limit->value >= 0 && wish.pids_limit->value < 2)
    wish.pids_limit->value = 2;
}

Status write_pid(const std::string& directory, pid_t pid) {
  const std::string path = directory + "/cgroup.procs";
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file && cli::write_all(file.get(), std::to_string(pid))) return {};
  return fail(errno, fmt::format(R"(write {} to "{}")", pid, path));
}

}  // namespace

Result<Holder> Holder::start() {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno, "start a process to hold the container's scope");
  if (pid == 0) hold(parent);
  Holder holder;
  holder.pid_ = pid;
  return holder;
}

Holder::Holder(Holder&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
Holder& Holder::operator=(Holder&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

void Holder::end() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

Result<Unit> Unit::plan(oci::Container& container) {
  const bool ordinary = is_ordinary_user();
  auto manager = systemd::Manager::connect(bus_kind());
  if (!manager) return std::unexpected(manager.error());
  const auto root = manager->control_group();
  if (!root) return std::unexpected(root.error());
  oci::Scope scope = *container.scope;
  if (scope.slice.empty()) scope.slice = ordinary ? "user.slice" : "system.slice";
  auto slice = systemd::path_of_slice(scope.slice);
  if (!slice) {
    Error error = slice.error();
    error.asked_by = container.spec.origins[scope.from];
    return std::unexpected(std::move(error));
  }
  Unit unit(std::move(*manager), std::move(scope));
  unit.path_ = fmt::format("{}{}/{}{}{}", *root, *slice, unit.name(),
                           unit.scope_.subgroup.empty() ? "" : "/", unit.scope_.subgroup);
  container.cgroup_path = unit.path_;
  Spec& spec = container.spec;
  spec.resources.path = {.value = unit.path_, .from = unit.scope_.from};
  const CgroupFacts facts = machine_cgroups();
  if (!facts.v2_mount.empty()) unit.roots_.push_back(facts.v2_mount);
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies)
    unit.roots_.push_back(hierarchy.mount);
  const auto writes = limit_writes(spec.resources, facts, spec.origins);
  if (!writes) return std::unexpected(writes.error());
  auto& properties = unit.properties_;
  properties = {
      {"Description", systemd::string("container " + unit.name())},
      {"Slice", systemd::string(unit.scope_.slice)},
      {"Delegate", systemd::boolean(true)},
      {"DefaultDependencies", systemd::boolean(false)},
      // Failed, where its holder was killed meanwhile: nobody would know it to clear it away.
      {"CollectMode", systemd::string("inactive-or-failed")}};
  for (const char* each : {"CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting"})
    properties.push_back({each, systemd::boolean(true)});
  const auto add = [&](const std::vector<systemd::Property>& more) {
    properties.insert(properties.end(), more.begin(), more.end());
  };
  add(unit.scope_.properties);
  add(oci::limit_properties(*writes, facts));
  if (!ordinary && !spec.creates(NamespaceType::user))
    add(oci::device_properties(spec.resources.devices));
  unit.later_ = split_tasks(properties);
  if (!unit.later_.empty()) make_room(spec.resources);
  return unit;
}

std::string Unit::to_text() const {
  std::string text = fmt::format("systemd StartTransientUnit \"{}\"\n", scope_.unit);
  for (const auto& [name, value] : properties_)
    text += fmt::format("          {}={}\n", name, systemd::to_text(value));
  text += "          PIDs=[a process that ends when the container's first one is there]\n";
  for (const auto& [name, value] : later_)
    text += fmt::format("systemd SetUnitProperties \"{}\" then\n          {}={}\n", scope_.unit,
                        name, systemd::to_text(value));
  return text;
}

Status Unit::start() {
  auto holder = Holder::start();
  if (!holder) return std::unexpected(holder.error());
  holder_ = std::move(*holder);
  auto properties = properties_;
  properties.push_back(
      {"PIDs", systemd::array("u", {systemd::uint32(static_cast<uint32_t>(holder_.pid()))})});
  if (Status status = manager_.start(scope_.unit, properties); !status) {
    holder_.end();
    return status;
  }
  started_ = true;
  return enter_subgroup();
}

Status Unit::enter_subgroup() const {
  if (scope_.subgroup.empty()) return {};
  const std::string scope = path_.substr(0, path_.rfind('/'));
  for (const std::string& root : roots_) {
    if (::access((root + scope).c_str(), F_OK) < 0) continue;  // one that systemd does not use
    if (::mkdir((root + path_).c_str(), 0755) < 0 && errno != EEXIST)
      return fail(errno, fmt::format("make the cgroup \"{}{}\"", root, path_));
    if (Status status = write_pid(root + path_, holder_.pid()); !status) return status;
  }
  return {};
}

Status Unit::release() {
  holder_.end();
  return manager_.set_properties(scope_.unit, later_);
}

void Unit::abandon() {
  holder_.end();
  if (started_) (void)manager_.stop(scope_.unit);  // of its own accord, if not at once
}

Status set_limits(const oci::State& state, const std::vector<systemd::Property>& properties) {
  if (state.unit.empty() || properties.empty()) return {};
  auto manager = systemd::Manager::connect(bus_kind());
  return manager ? manager->set_properties(state.unit, properties)
                 : std::unexpected(manager.error());
}

Status stop_unit(const oci::State& state) {
  if (state.unit.empty()) return {};
  auto manager = systemd::Manager::connect(bus_kind());
  return manager ? manager->stop(state.unit) : std::unexpected(manager.error());
}

}  // namespace isle::oci_cli
