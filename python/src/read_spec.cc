// Each structure of spec.h has a fields() here that names its members; the members' types say how they are read. The
// dataclasses of isle/spec.py have the same names.
#include "read_spec.h"

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::python {
namespace {

namespace py = pybind11;

[[noreturn]] void complain(PyObject* type, const std::string& where, const std::string& what) {
  PyErr_SetString(type, (where + ": " + what).c_str());
  throw py::error_already_set();
}

std::string type_name(py::handle object) {
  return py::str(py::type::handle_of(object).attr("__name__"));
}

/// A place in the dataclasses: the object there and how it was reached, "mounts[2].what.source".
struct Place {
  Spec& spec;
  py::handle object;
  std::string name;

  [[nodiscard]] Place inner(py::handle element, size_t index) const {
    return {spec, element, name + '[' + std::to_string(index) + ']'};
  }
  [[nodiscard]] Origin origin() const { return spec.add_origin("python " + name); }
  [[noreturn]] void wrong_type(const char* wanted) const {
    complain(PyExc_TypeError, name, std::string(wanted) + " is wanted, not " + type_name(object));
  }
  [[noreturn]] void wrong_value(const std::string& what) const {
    complain(PyExc_ValueError, name, what);
  }
};

// ---- plain values -------------------------------------------------------------------------------

void read(const Place& at, bool& out) {
  const int truth = PyObject_IsTrue(at.object.ptr());
  if (truth < 0) throw py::error_already_set();
  out = truth == 1;
}

template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
void read(const Place& at, T& out) {
  if constexpr (std::is_same_v<T, int>) {
    // A descriptor may come as what has one.
    if (py::hasattr(at.object, "fileno")) {
      out = py::cast<int>(at.object.attr("fileno")());
      return;
    }
  }
  PyObject* index = PyNumber_Index(at.object.ptr());
  if (index == nullptr) {
    PyErr_Clear();
    at.wrong_type("a number");
  }
  const auto number = py::reinterpret_steal<py::object>(index);
  const auto refuse = [&] {
    PyErr_Clear();
    at.wrong_value(std::string(py::str(number)) + " is out of range");
  };
  if constexpr (std::is_signed_v<T>) {
    const long long value = PyLong_AsLongLong(index);
    if ((value == -1 && PyErr_Occurred() != nullptr) || !std::in_range<T>(value)) refuse();
    out = static_cast<T>(value);
  } else {
    const unsigned long long value = PyLong_AsUnsignedLongLong(index);
    if ((value == ~0ULL && PyErr_Occurred() != nullptr) || !std::in_range<T>(value)) refuse();
    out = static_cast<T>(value);
  }
}

/// str, bytes or os.PathLike, as the file system has it.
void read(const Place& at, std::string& out) {
  const auto path = py::reinterpret_steal<py::object>(PyOS_FSPath(at.object.ptr()));
  if (!path) {
    PyErr_Clear();
    at.wrong_type("a text or a path");
  }
  const py::object bytes =
      PyBytes_Check(path.ptr())
          ? path
          : py::reinterpret_steal<py::object>(PyUnicode_EncodeFSDefault(path.ptr()));
  if (!bytes) throw py::error_already_set();
  out.assign(PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr())));
}

template <class T, class Parse>
void read_word(const Place& at, T& out, Parse parse, const char* wanted) {
  std::string word;
  read(at, word);
  const auto parsed = parse(word);
  if (!parsed) at.wrong_value('"' + word + "\" is no " + wanted);
  out = *parsed;
}

void read(const Place& at, NamespaceType& out) {
  read_word(at, out, parse_namespace_type, "type of namespace");
}
void read(const Place& at, Propagation& out) {
  read_word(at, out, parse_propagation, "propagation");
}
void read(const Place& at, TimeOffset::Clock& out) {
  const auto parse = [](const std::string& word) -> std::optional<TimeOffset::Clock> {
    if (word == "monotonic") return TimeOffset::Clock::monotonic;
    if (word == "boottime") return TimeOffset::Clock::boottime;
    return std::nullopt;
  };
  read_word(at, out, parse, "clock: monotonic or boottime");
}

/// Capabilities as a mask or as a list of names.
struct CapabilityMask {
  uint64_t bits = 0;
};
/// RLIMIT_* or its name.
struct ResourceNumber {
  int number = 0;
};

// ---- structures ---------------------------------------------------------------------------------

/// Reads the members of a dataclass by name; what is None stays at its default.
class Fields {
 public:
  explicit Fields(const Place& at) : at_(at) {
    if (!py::hasattr(at.object, "__dataclass_fields__")) at.wrong_type("one of isle's dataclasses");
  }
  template <class T>
  const Fields& operator()(const char* name, T& out) const;

 private:
  const Place& at_;
};

void fields(const Fields& f, KeepWish& x) { f("type", x.type)("path", x.path); }
void fields(const Fields& f, TimeOffset& x) { f("clock", x.clock)("offset_ns", x.offset_ns); }
void fields(const Fields& f, IdMapping& x) {
  f("container_id", x.container_id)("host_id", x.host_id)("size", x.size);
}
void fields(const Fields& f, MountAttributes& x) {
  f("set", x.set)("clear", x.clear);
  f("recursive_set", x.recursive_set)("recursive_clear", x.recursive_clear);
}
void fields(const Fields& f, Bind& x) {
  f("source", x.source)("source_fd", x.source_fd)("detached", x.detached);
  f("recursive", x.recursive);
  f("attributes", x.attributes)("clear_unlocked", x.clear_unlocked);
  f("propagation", x.propagation);
  f("propagation_recursive", x.propagation_recursive)("uid_mappings", x.uid_mappings);
  f("gid_mappings", x.gid_mappings)("idmap_recursive", x.idmap_recursive);
  f("idmap_as_joined", x.idmap_as_joined);
  f("no_follow", x.no_follow)("copy_link", x.copy_link);
}
void fields(const Fields& f, FileSystem& x) {
  f("type", x.type)("source", x.source)("options", x.options)("attributes", x.attributes);
  f("propagation", x.propagation)("refuse_links", x.refuse_links)("copy_up", x.copy_up);
}
void fields(const Fields& f, Overlay& x) {
  f("lower", x.lower)("upper", x.upper)("work", x.work)("attributes", x.attributes);
}
void fields(const Fields&, Dev&) {}
void fields(const Fields&, CoverProc&) {}
void fields(const Fields& f, MakeDirectory& x) { f("mode", x.mode); }
void fields(const Fields& f, MakeSymlink& x) { f("target", x.target); }
void fields(const Fields& f, MakeFile& x) {
  f("source", x.source)("source_fd", x.source_fd)("mode", x.mode);
}
void fields(const Fields& f, WriteFile& x) { f("text", x.text); }
void fields(const Fields& f, MakeDevice& x) {
  f("mode", x.mode)("major", x.major)("minor", x.minor)("uid", x.uid)("gid", x.gid);
}
void fields(const Fields& f, Remount& x) { f("attributes", x.attributes)("bind", x.bind); }
void fields(const Fields&, Mask&) {}
void fields(const Fields& f, FsOperation& x) {
  f("destination", x.destination)("what", x.what)("optional", x.optional);
  f("no_follow", x.no_follow);
}
void fields(const Fields& f, Root& x) {
  MountAttributes attributes;
  f("path", x.path)("attributes", attributes)("read_only", x.read_only)("overlay", x.overlay);
  f("propagation", x.propagation)("pivot", x.pivot);
  x.attributes = attributes.set | attributes.recursive_set;
}
void fields(const Fields& f, Capabilities& x) {
  const auto set = [&](const char* name, uint64_t& out) {
    CapabilityMask mask;
    f(name, mask);
    out = mask.bits;
  };
  set("bounding", x.bounding);
  set("effective", x.effective);
  set("permitted", x.permitted);
  set("inheritable", x.inheritable);
  set("ambient", x.ambient);
}
void fields(const Fields& f, Rlimit& x) {
  ResourceNumber resource;
  f("resource", resource)("soft", x.soft)("hard", x.hard);
  x.resource = resource.number;
}
void fields(const Fields& f, Seccomp& x) { f("instructions", x.instructions)("flags", x.flags); }
void fields(const Fields& f, Scheduler& x) {
  f("policy", x.policy)("nice", x.nice)("priority", x.priority)("flags", x.flags);
  f("runtime_ns", x.runtime_ns)("deadline_ns", x.deadline_ns)("period_ns", x.period_ns);
}
void fields(const Fields& f, MemoryPolicy& x) { f("mode", x.mode)("nodes", x.nodes); }
void fields(const Fields& f, Hook& x) {
  f("path", x.path)("args", x.args)("env", x.env)("timeout_s", x.timeout_s);
  f("input_before", x.input_before)("input_after", x.input_after);
}
void fields(const Fields& f, User& x) {
  f("uid", x.uid)("gid", x.gid)("additional_gids", x.additional_gids)("as_is", x.as_is);
  f("keep_groups", x.keep_groups);
}
void fields(const Fields& f, ConsoleSize& x) { f("rows", x.rows)("columns", x.columns); }
void fields(const Fields& f, ProcessWish& x) {
  f("args", x.args)("program", x.program)("env", x.env)("cwd", x.cwd)("user", x.user);
  f("umask", x.umask)("capabilities", x.capabilities);
  f("no_new_privileges", x.no_new_privileges)("rlimits", x.rlimits);
  f("oom_score_adj", x.oom_score_adj)("nice", x.nice)("cpus_allowed", x.cpus_allowed);
  f("initial_cpus_allowed", x.initial_cpus_allowed)("memory_policy", x.memory_policy);
  f("scheduler", x.scheduler)("io_priority", x.io_priority)("personality", x.personality);
  f("apparmor_profile", x.apparmor_profile)("selinux_label", x.selinux_label);
  f("seccomp", x.seccomp)("session_keyring", x.session_keyring)("terminal", x.terminal);
  f("console_size", x.console_size)("console_path", x.console_path);
  f("plain_newlines", x.plain_newlines);
  f("new_session", x.new_session)("default_signals", x.default_signals)("die_with_parent",
                                                                        x.die_with_parent);
  f("death_signal", x.death_signal)("init", x.init)("pass_fds", x.pass_fds);
  f("pass_all_fds", x.pass_all_fds);
}
void fields(const Fields& f, UnifiedValue& x) { f("file", x.file)("value", x.value); }
void fields(const Fields& f, ControllerValue& x) {
  f("controller", x.controller)("v1_file", x.v1_file)("v2_file", x.v2_file);
  f("v1_value", x.v1_value)("v2_value", x.v2_value)("optional", x.optional);
}
void fields(const Fields& f, DeviceRule& x) {
  std::string type(1, x.type);
  f("allow", x.allow)("type", type)("major", x.major)("minor", x.minor)("access", x.access);
  x.type = type.empty() ? 'a' : type.front();
}
void fields(const Fields& f, Resources& x) {
  f("cgroup_name", x.cgroup_name)("path", x.path)("keep_cgroup", x.keep_cgroup);
  f("memory_limit_bytes", x.memory_limit_bytes)("memory_swap_bytes", x.memory_swap_bytes);
  f("cpu_quota_us", x.cpu_quota_us)("cpu_period_us", x.cpu_period_us);
  f("cpu_shares", x.cpu_shares)("pids_limit", x.pids_limit)("unified", x.unified);
  f("controller_values", x.controller_values)("devices", x.devices)("join", x.join);
}
void fields(const Fields& f, Spec& x) {
  f("namespaces", x.namespaces)("keep", x.keep)("note_namespaces", x.note_namespaces);
  f("time_offsets", x.time_offsets)("uid_mappings", x.uid_mappings);
  f("gid_mappings", x.gid_mappings)("leave_uids_unmapped", x.leave_uids_unmapped);
  f("leave_gids_unmapped", x.leave_gids_unmapped)("allow_setgroups", x.allow_setgroups);
  f("map_auto", x.map_auto)("use_subordinate_ids", x.use_subordinate_ids);
  f("root", x.root)("mounts", x.mounts)("root_fd", x.root_fd);
  f("root_directory", x.root_directory)("cwd_fd", x.cwd_fd);
  f("mount_propagation", x.mount_propagation)("hostname", x.hostname);
  f("domainname", x.domainname)("sysctl", x.sysctl)("loopback_up", x.loopback_up);
  f("process", x.process)("resources", x.resources)("create_hooks", x.create_hooks);
  f("start_hooks", x.start_hooks);
}

// ---- what structures are made of ----------------------------------------------------------------

template <class T>
  requires(std::is_class_v<T>)
void read(const Place& at, T& out);
void read(const Place& at, NamespaceWish& out);
void read(const Place& at, IdMapping& out);
void read(const Place& at, MountAttributes& out);
void read(const Place& at, CapabilityMask& out);
void read(const Place& at, std::vector<std::string>& out);
void read(const Place& at, ResourceNumber& out);
template <class... T>
void read(const Place& at, std::variant<T...>& out);
template <class T>
void read(const Place& at, Asked<T>& out);
template <class T>
void read(const Place& at, std::optional<T>& out);
template <class T>
void read(const Place& at, std::vector<T>& out);
template <class T>
void read(const Place& at, std::vector<std::pair<std::string, T>>& out);

template <class T>
  requires(std::is_class_v<T>)
void read(const Place& at, T& out) {
  fields(Fields(at), out);
  if constexpr (requires { out.from; }) out.from = at.origin();
}

/// A bare type is a new namespace; an object of isle.namespaces is one to join.
void read(const Place& at, NamespaceWish& out) {
  out.from = at.origin();
  if (PyUnicode_Check(at.object.ptr())) return read(at, out.type);
  if (py::hasattr(at.object, "NAMESPACE_PROC_NAME")) {
    read({at.spec, at.object.attr("NAMESPACE_PROC_NAME"), at.name}, out.type);
    if (!PyType_Check(at.object.ptr())) out.fd = py::cast<int>(at.object.attr("fileno")());
    return;
  }
  const Fields f(at);
  f("type", out.type)("path", out.path)("fd", out.fd)("for_children", out.for_children);
}

/// Also as (container_id, host_id, size).
void read(const Place& at, IdMapping& out) {
  if (!PyTuple_Check(at.object.ptr())) return fields(Fields(at), out);
  std::vector<uint32_t> numbers;
  read(at, numbers);
  if (numbers.size() != 3) at.wrong_value("is to be (container_id, host_id, size)");
  out = {.container_id = numbers[0], .host_id = numbers[1], .size = numbers[2]};
}

void read(const Place& at, CapabilityMask& out) {
  if (PyLong_Check(at.object.ptr())) return read(at, out.bits);
  std::vector<std::string> names;
  read(at, names);
  for (const std::string& name : names) {
    const auto number = parse_capability(name);
    if (!number) at.wrong_value('"' + name + "\" is no capability");
    out.bits |= uint64_t{1} << *number;
  }
}

void read(const Place& at, ResourceNumber& out) {
  if (PyUnicode_Check(at.object.ptr()))
    return read_word(at, out.number, parse_rlimit, "resource limit");
  read(at, out.number);
}

/// Also as mount(8) writes them: "ro,nosuid,rnodev".
void read(const Place& at, MountAttributes& out) {
  if (PyLong_Check(at.object.ptr())) return read(at, out.set);
  if (!PyUnicode_Check(at.object.ptr())) return fields(Fields(at), out);
  std::string text;
  read(at, text);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const auto option = parse_mount_option(word);
    if (!option || option->propagation || option->bind)
      at.wrong_value('"' + word + "\" is no attribute of a mount");
    out.set |= option->attributes.set;
    out.clear |= option->attributes.clear;
    out.recursive_set |= option->attributes.recursive_set;
    out.recursive_clear |= option->attributes.recursive_clear;
    begin = end + 1;
  }
}

/// The alternative that is called as the object's class is.
template <class... T>
void read(const Place& at, std::variant<T...>& out) {
  constexpr std::array kNames = {"Bind",      "FileSystem",    "Overlay",     "Dev",
                                 "CoverProc", "MakeDirectory", "MakeSymlink", "MakeFile",
                                 "WriteFile", "MakeDevice",    "Remount",     "Mask"};
  static_assert(kNames.size() == sizeof...(T));
  const std::string name = type_name(at.object);
  size_t index = 0;
  const auto try_one = [&]<class Each>(Each value) {
    if (name != kNames[index++]) return false;
    fields(Fields(at), value);
    out = std::move(value);
    return true;
  };
  if (!(try_one(T{}) || ...)) at.wrong_type("an operation (Bind, FileSystem, Mask ...)");
}

template <class T>
void read(const Place& at, Asked<T>& out) {
  read(at, out.value);
  out.from = at.origin();
}

template <class T>
void read(const Place& at, std::optional<T>& out) {
  read(at, out.emplace());
}

template <class T>
void read(const Place& at, std::vector<T>& out) {
  if (PyUnicode_Check(at.object.ptr()) || PyBytes_Check(at.object.ptr())) at.wrong_type("a list");
  const auto items =
      py::reinterpret_steal<py::object>(PySequence_Fast(at.object.ptr(), "not a sequence"));
  if (!items) {
    PyErr_Clear();
    at.wrong_type("a list");
  }
  const auto size = static_cast<size_t>(PySequence_Fast_GET_SIZE(items.ptr()));
  out.clear();
  for (size_t i = 0; i < size; ++i) {
    const py::handle item = PySequence_Fast_GET_ITEM(items.ptr(), static_cast<Py_ssize_t>(i));
    T value{};
    read(at.inner(item, i), value);
    out.push_back(std::move(value));
  }
}

/// Also as a dict: an environment.
void read(const Place& at, std::vector<std::string>& out) {
  if (!py::hasattr(at.object, "items")) return read<std::string>(at, out);
  std::vector<std::pair<std::string, std::string>> pairs;
  read(at, pairs);
  for (const auto& [name, value] : pairs) out.push_back(name + '=' + value);
}

template <class T>
void read(const Place& at, std::vector<std::pair<std::string, T>>& out) {
  if (!py::hasattr(at.object, "items")) at.wrong_type("a dict");
  const py::dict dict(py::reinterpret_borrow<py::object>(at.object));
  for (const auto& [key, value] : dict) {
    auto& [name, wish] = out.emplace_back();
    read({at.spec, key, at.name}, name);
    read({at.spec, value, at.name + '[' + name + ']'}, wish);
  }
}

template <class T>
const Fields& Fields::operator()(const char* name, T& out) const {
  const py::object value = at_.object.attr(name);
  if (value.is_none()) return *this;
  // The parts of a Spec stand for themselves: "hostname", "process.cwd", not "spec.hostname".
  const Place at{at_.spec, value, at_.name.empty() ? name : at_.name + '.' + name};
  read(at, out);
  return *this;
}

}  // namespace

Spec read_spec(py::handle object) {
  Spec spec;
  fields(Fields({spec, object, {}}), spec);
  return spec;
}

}  // namespace isle::python
