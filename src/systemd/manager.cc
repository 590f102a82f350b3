#include "systemd/manager.h"

#include <fmt/format.h>

#include <cerrno>

namespace isle::systemd {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kInterface = "org.freedesktop.systemd1.Manager";
constexpr const char* kWithoutIt =
    "--cgroup-manager cgroupfs does without systemd (podman --cgroup-manager cgroupfs; containerd: "
    "SystemdCgroup = false)";

Value to_value(std::span<const Property> properties) {
  std::vector<Value> items;
  for (const Property& property : properties)
    items.push_back(tuple({string(property.name), {.type = "v", .items = {property.value}}}));
  return array("(sv)", std::move(items));
}

bool is(const Error& error, std::string_view name) {
  return error.what.starts_with(std::string(name) + ":");
}

constexpr const char* kExists = "org.freedesktop.systemd1.UnitExists";
constexpr const char* kNoUnit = "org.freedesktop.systemd1.NoSuchUnit";

struct ErrorHint {
  const char* name;
  const char* system;
  const char* user;
};
constexpr ErrorHint kHints[] = {
    {kExists, "systemctl status names what runs in it; systemctl stop ends it",
     "systemctl --user status names what runs in it; systemctl --user stop ends it"},
    {"org.freedesktop.DBus.Error.AccessDenied",
     "only root may ask the machine's systemd for a unit",
     "processes are moved between the session and the user's systemd by systemd itself; the "
     "container must run as the user"},
    {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
     "only root may ask the machine's systemd for a unit", ""},
    {"org.freedesktop.DBus.Error.ServiceUnknown",
     "a bus is there, but no systemd on it; --cgroup-manager cgroupfs does without",
     "a bus is there, but no systemd of the user on it: loginctl enable-linger, or "
     "--cgroup-manager "
     "cgroupfs"},
    {"org.freedesktop.DBus.Error.PropertyReadOnly",
     "this systemd may be older than the property; systemctl --version",
     "this systemd may be older than the property; systemctl --version"}};

}  // namespace

Result<Manager> Manager::connect(BusKind kind) {
  const std::string address = address_of(kind);
  if (address.empty())
    return fail(0,
                "reach the user's systemd: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR "
                "is set",
                std::string("without a login session: loginctl enable-linger, and "
                            "XDG_RUNTIME_DIR=/run/user/UID; ") +
                    kWithoutIt);
  auto bus = Bus::connect(address);
  if (bus) return Manager(std::move(*bus), kind);
  Error error = bus.error();
  error.what = fmt::format("reach {} systemd: {}",
                           kind == BusKind::system ? "the machine's" : "the user's", error.what);
  error.hint = kind == BusKind::system
                   ? kWithoutIt
                   : std::string(
                         "the user's bus comes with a login session, or loginctl "
                         "enable-linger, and dbus-user-session; ") +
                         kWithoutIt;
  return std::unexpected(std::move(error));
}

Result<std::vector<Value>> Manager::call(const char* member, std::vector<Value> arguments) {
  return bus_.call({.path = kObject,
                    .interface = kInterface,
                    .member = member,
                    .destination = kService,
                    .arguments = std::move(arguments)});
}

Error Manager::explained(Error error, std::string what) const {
  for (const ErrorHint& row : kHints)
    if (is(error, row.name)) error.hint = kind_ == BusKind::system ? row.system : row.user;
  error.what = fmt::format("{}: {}", what, error.what);
  return error;
}

Result<std::string> Manager::control_group() {
  auto answer = bus_.call({.path = kObject,
                           .interface = "org.freedesktop.DBus.Properties",
                           .member = "Get",
                           .destination = kService,
                           .arguments = {string(kInterface), string("ControlGroup")}});
  if (!answer) return std::unexpected(explained(answer.error(), "ask systemd for its cgroup"));
  if (answer->size() != 1 || answer->front().items.size() != 1)
    return fail(0, "ask systemd for its cgroup: it gives none");
  std::string path = answer->front().items.front().text;
  while (path.ends_with('/')) path.pop_back();
  return path;
}

Status Manager::hear_jobs() {
  if (hears_jobs_) return {};
  const auto matched =
      bus_.call({.path = "/org/freedesktop/DBus",
                 .interface = "org.freedesktop.DBus",
                 .member = "AddMatch",
                 .destination = "org.freedesktop.DBus",
                 .arguments = {string(fmt::format("type='signal',sender='{}',path='{}',"
                                                  "interface='{}',member='JobRemoved'",
                                                  kService, kObject, kInterface))}});
  const auto subscribed = matched ? call("Subscribe", {}) : matched;
  if (!subscribed) return std::unexpected(explained(subscribed.error(), "hear of systemd's jobs"));
  hears_jobs_ = true;
  return {};
}

Status Manager::finish(const std::vector<Value>& answer) {
  const std::string job = answer.empty() ? "" : answer.front().text;
  for (;;) {
    const auto removed = bus_.signal("JobRemoved");
    if (!removed) return std::unexpected(removed.error());
    const auto& words = removed->arguments;  // id, job, unit, result
    constexpr size_t kWords = 4;
    if (words.size() != kWords || words[1].text != job) continue;
    if (words[3].text == "done" || words[3].text == "skipped") return {};
    return fail(
        0, fmt::format("its job ended as \"{}\"", words[3].text),
        fmt::format("journalctl{} -u {}", kind_ == BusKind::user ? " --user" : "", words[2].text));
  }
}

Status Manager::start(const std::string& unit, std::span<const Property> properties) {
  if (Status status = hear_jobs(); !status) return status;
  const auto ask = [&] {
    return call("StartTransientUnit",
                {string(unit), string("fail"), to_value(properties), array("(sa(sv))", {})});
  };
  auto answer = ask();
  if (!answer && is(answer.error(), kExists) && call("ResetFailedUnit", {string(unit)}))
    answer = ask();
  const Status status = answer ? finish(*answer) : std::unexpected(answer.error());
  if (status) return {};
  return std::unexpected(explained(status.error(), fmt::format("start the unit \"{}\"", unit)));
}

Status Manager::set_properties(const std::string& unit, std::span<const Property> properties) {
  if (properties.empty()) return {};
  const auto answer =
      call("SetUnitProperties", {string(unit), boolean(true), to_value(properties)});
  if (answer) return {};
  return std::unexpected(
      explained(answer.error(), fmt::format("set properties of the unit \"{}\"", unit)));
}

Status Manager::stop(const std::string& unit) {
  if (Status status = hear_jobs(); !status) return status;
  const auto answer = call("StopUnit", {string(unit), string("replace")});
  const bool none = !answer && is(answer.error(), kNoUnit);
  const Status status = answer ? finish(*answer)
                        : none ? Status{}
                               : std::unexpected(answer.error());
  if (!status)
    return std::unexpected(explained(status.error(), fmt::format("stop the unit \"{}\"", unit)));
  if (!none) (void)call("ResetFailedUnit", {string(unit)});  // it need not have failed
  return {};
}

Result<std::string> path_of_slice(std::string_view slice) {
  constexpr std::string_view kSuffix = ".slice";
  const auto wrong = [&] {
    return fail(0, fmt::format("\"{}\" is no name of a slice", slice),
                "\"a-b.slice\": its parent's name, \"-\", its own, \".slice\"");
  };
  if (!slice.ends_with(kSuffix) || slice.size() == kSuffix.size() ||
      slice.find('/') != std::string_view::npos)
    return wrong();
  const std::string_view name = slice.substr(0, slice.size() - kSuffix.size());
  if (name == "-") return std::string{};
  std::string path;
  for (size_t dash = 0; dash != std::string_view::npos;) {
    const size_t begin = dash == 0 ? 0 : dash + 1;
    dash = name.find('-', begin);
    if (dash == begin || begin == name.size()) return wrong();
    path += fmt::format("/{}.slice", name.substr(0, dash));
  }
  return path;
}

}  // namespace isle::systemd
