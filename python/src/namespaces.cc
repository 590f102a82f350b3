// Namespaces as descriptors: what isle.namespaces builds its classes from. A type is its CLONE_NEW* flag here.
//
// The calls on the way to success are the kernel's alone; what a failure was about is found out when there is one.
#include "isle/namespace.h"

#include <fcntl.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "descriptor.h"
#include "faces.h"
#include "raise.h"
#include "sys/syscalls.h"

namespace isle::python {
namespace {

NamespaceType type_of(uint64_t flag) {
  if (const auto type = type_of_clone_flag(flag)) return *type;
  throw py::value_error("not one CLONE_NEW* flag");
}

std::string proc_path(const std::string& who, NamespaceType type) {
  return "/proc/" + who + "/ns/" + std::string(type_info(type).proc_name);
}

/// The calling thread's own.
const char* own_path(NamespaceType type) {
  static const auto kPaths = [] {
    std::array<std::string, kNamespaceTypes> paths;
    for (const NamespaceTypeInfo& info : kNamespaceTypeTable)
      paths[static_cast<size_t>(info.type)] = proc_path("thread-self", info.type);
    return paths;
  }();
  return kPaths[static_cast<size_t>(type)].c_str();
}

int release(Result<Namespace> result) { return take(std::move(result)).release().release(); }

/// A handle of one's own on what the descriptor refers to.
Namespace handle(int fd) {
  const int copy = sys::fcntl(fd, sys::Fcntl::dupfd_cloexec, 0);
  if (copy < 0) raise({.code = -copy, .what = "use descriptor " + std::to_string(fd)});
  return take(Namespace::from_fd(Fd(copy)));
}

int open_link(const char* path) {
  const int fd = without_gil([=] {
    return sys::openat(sys::kAtFdcwd, path, sys::OpenFlags::rdonly | sys::OpenFlags::cloexec);
  });
  if (fd < 0) raise({.code = -fd, .what = "open namespace \"" + std::string(path) + '"'});
  return fd;
}

int open_own(uint64_t flag) { return open_link(own_path(type_of(flag))); }

int open_of_process(pid_t pid, uint64_t flag) {
  return open_link(proc_path(std::to_string(pid), type_of(flag)).c_str());
}

int open_for_children(pid_t pid, uint64_t flag) {
  const NamespaceType type = type_of(flag);
  return release(
      without_gil([&] { return Namespace::for_children(pid < 0 ? sys::gettid() : pid, type); }));
}

int open_path(const std::string& path, uint64_t flag) {
  const NamespaceType type = type_of(flag);
  return release(without_gil([&] { return Namespace::of_path(path, type); }));
}

int open_of_pidfd(int pidfd, uint64_t flag) {
  return release(Namespace::of_pidfd(BorrowedFd(pidfd), type_of(flag)));
}

uint64_t inode_of(int dirfd, const char* path, sys::AtFlags flags) {
  sys::statx_t stat;
  const int result = sys::statx(dirfd, path, flags, sys::StatxMask::ino, &stat);
  if (result < 0) raise({.code = -result, .what = std::string("look at namespace ") + path});
  return stat.stx_ino;
}

uint64_t inode(int fd) { return inode_of(fd, "", sys::AtFlags::empty_path); }

uint64_t current_inode(uint64_t flag) {
  return inode_of(sys::kAtFdcwd, own_path(type_of(flag)), sys::AtFlags::none);
}

void join(int fd, uint64_t flag) {
  if (without_gil([&] { return sys::setns(fd, sys::CloneFlags{flag}); }) == 0) return;
  take(handle(fd).enter());  // fails again, and says why
}

PyObject* make_all(uint64_t flags) {
  if (without_gil([=] { return sys::unshare(sys::CloneFlags{flags}); }) < 0) {
    try {
      take(unshare(NamespaceSet::of_clone_flags(flags)));  // fails again, and says why
    } catch (py::error_already_set& error) {
      error.restore();
      return nullptr;
    }
  }
  Py_RETURN_NONE;
}

/// Not through pybind11, whose part of the time would be a tenth of what the kernel takes.
PyObject* make(PyObject*, PyObject* number) {
  const unsigned long long flags = PyLong_AsUnsignedLongLong(number);
  return PyErr_Occurred() != nullptr ? nullptr : make_all(flags);
}

struct Choice {
  const char* name;
  sys::CloneFlags flag;
};
constexpr Choice kChoices[] = {
    {"cgroup", sys::CloneFlags::newcgroup}, {"ipc", sys::CloneFlags::newipc},
    {"network", sys::CloneFlags::newnet},   {"mount", sys::CloneFlags::newns},
    {"pid", sys::CloneFlags::newpid},       {"time", sys::CloneFlags::newtime},
    {"user", sys::CloneFlags::newuser},     {"uts", sys::CloneFlags::newuts},
};

/// As namespaces.unshare_namespaces; a Python function would spend as much on its arguments.
PyObject* make_chosen(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  if (count != 0)
    return PyErr_Format(PyExc_TypeError,
                        "unshare_namespaces() takes 0 positional arguments but %zd were given",
                        count);
  uint64_t flags = 0;
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    const auto* const choice = std::ranges::find_if(kChoices, [&](const Choice& each) {
      return PyUnicode_CompareWithASCIIString(name, each.name) == 0;
    });
    if (choice == std::end(kChoices))
      return PyErr_Format(PyExc_TypeError,
                          "unshare_namespaces() got an unexpected keyword argument '%U'", name);
    const int wanted = PyObject_IsTrue(arguments[i]);
    if (wanted < 0) return nullptr;
    if (wanted != 0) flags |= sys::bits(choice->flag);
  }
  return make_all(flags);
}

PyMethodDef kMake[] = {
    {"make", make, METH_O, nullptr},
    {"unshare_namespaces", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_chosen)),
     METH_FASTCALL | METH_KEYWORDS,
     "unshare_namespaces($module, /, *, cgroup=False, ipc=False, network=False, mount=False, "
     "pid=False, time=False, user=False, uts=False)\n--\n\n"
     "Moves the calling thread into new namespaces of the chosen types, in one call: all of them "
     "or none."},
    {nullptr, nullptr, 0, nullptr}};

void join_process(int pidfd, uint64_t flags) {
  take(without_gil([&] { return enter(BorrowedFd(pidfd), NamespaceSet::of_clone_flags(flags)); }));
}

std::vector<int> release_all(std::vector<Namespace> all) {
  std::vector<int> fds;
  for (Namespace& each : all) fds.push_back(std::move(each).release().release());
  return fds;
}

/// In the order that keeps privilege.
void join_all(const std::vector<int>& fds) {
  std::vector<Namespace> all;
  for (const int fd : fds) all.push_back(handle(fd));
  take(without_gil([&] { return enter(all); }));
}

/// Those of a process in which the calling thread is not: descriptor and CLONE_NEW* flag.
std::vector<std::pair<int, uint64_t>> open_all_of(pid_t pid, uint64_t flags) {
  std::vector<Namespace> all =
      take(without_gil([&] { return namespaces_of(pid, NamespaceSet::of_clone_flags(flags)); }));
  std::vector<std::pair<int, uint64_t>> found;
  for (Namespace& each : all) {
    const uint64_t flag = type_info(each.type()).clone_flag;
    found.emplace_back(std::move(each).release().release(), flag);
  }
  return found;
}

int owner(int fd) {
  const int result = sys::ioctl(fd, sys::Ioctl::ns_get_userns);
  return result >= 0 ? result : release(handle(fd).owner());
}

int64_t limit(uint64_t flag) { return take(namespace_limit(type_of(flag))); }

void set_limit(uint64_t flag, long long limit) {
  const NamespaceType type = type_of(flag);
  if (limit < 0 || limit > INT32_MAX)
    raise({.code = EINVAL,
           .what = "set user." + std::string(type_info(type).limit_name) + " to " +
                   std::to_string(limit),
           .hint = "0 to 2147483647"});
  take(set_namespace_limit(type, static_cast<uint32_t>(limit)));
}

}  // namespace

uint64_t namespace_type_flag(int fd) {
  // The ioctl's number is nsfs's own, so what answers with a flag is a namespace; handle() makes sure of the rest.
  const int flag = sys::ioctl(fd, sys::Ioctl::ns_get_nstype);
  if (flag > 0 && type_of_clone_flag(static_cast<uint64_t>(flag)))
    return static_cast<uint64_t>(flag);
  return type_info(handle(fd).type()).clone_flag;
}

void add_namespaces(py::module_& module) {
  py::module_ names = module.def_submodule("namespaces", "Namespaces as descriptors.");
  names.def("open_own", open_own);
  names.def("open_of_process", open_of_process);
  names.def("open_for_children", open_for_children);
  names.def("open_path", open_path);
  names.def("open_of_pidfd", open_of_pidfd);
  names.def("inode", inode);
  names.def("current_inode", current_inode);
  names.def("unique_id", [](int fd) { return handle(fd).id().unique; });
  names.def("join", join);
  names.def("join_process", join_process);
  names.def("join_all", join_all);
  names.def("open_all_of", open_all_of);
  names.def("open_of_socket", [](int fd) { return release(Namespace::of_socket(BorrowedFd(fd))); });
  names.def("open_link_peer",
            [](const std::string& name) { return release(Namespace::of_link_peer(name)); });
  names.def("open_unique_id", [](uint64_t number, uint64_t flag) {
    Namespace found = take(Namespace::of_unique_id(number));
    return release(Namespace::from_fd(std::move(found).release(), type_of(flag)));
  });
  names.def("children", [](int fd) { return release_all(take(handle(fd).children())); });
  names.def("pid_in", [](int fd, pid_t pid) { return take(handle(fd).pid_in(pid)); });
  names.def("pid_from", [](int fd, pid_t pid) { return take(handle(fd).pid_from(pid)); });
  PyModule_AddFunctions(names.ptr(), kMake);
  names.def("owner", owner);
  names.def("parent", [](int fd) { return release(handle(fd).parent()); });
  names.def("owner_uid", [](int fd) { return take(handle(fd).owner_uid()); });
  names.def("persist", [](int fd, const std::string& path) { take(handle(fd).persist(path)); });
  names.def("unpersist", [](const std::string& path) { take(Namespace::unpersist(path)); });
  names.def("limit", limit);
  names.def("set_limit", set_limit);
}

}  // namespace isle::python
