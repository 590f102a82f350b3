// isle.os: system calls with the kernel's own arguments, and the constants they take.
#include <string>

#include "faces.h"
#include "raise.h"
#include "sys/syscalls.h"

namespace isle::python {
namespace {

int checked(int result) {
  if (result < 0) raise_errno(-result);
  return result;
}

template <class Call>
int call(Call kernel_call) {
  return checked(without_gil(kernel_call));
}

void unshare_flags(int flags) {
  call([=] { return sys::unshare(sys::CloneFlags{static_cast<unsigned>(flags)}); });
}

void setns(int fd, int nstype) {
  call([=] { return sys::setns(fd, sys::CloneFlags{static_cast<unsigned>(nstype)}); });
}

// The ioctls only read what is in memory: giving the GIL up would take longer than they do.
int ns_get_userns(int fd) { return checked(sys::ioctl(fd, sys::Ioctl::ns_get_userns)); }
int ns_get_parent(int fd) { return checked(sys::ioctl(fd, sys::Ioctl::ns_get_parent)); }
int ns_get_nstype(int fd) { return checked(sys::ioctl(fd, sys::Ioctl::ns_get_nstype)); }
unsigned ns_get_owner_uid(int fd) {
  unsigned uid = 0;
  checked(sys::ioctl(fd, sys::Ioctl::ns_get_owner_uid, &uid));
  return uid;
}

/// A path as open() takes it: str, bytes or os.PathLike; ValueError for one with a NUL.
class Path {
 public:
  explicit Path(const py::object& given) {
    PyObject* bytes = nullptr;
    if (PyUnicode_FSConverter(given.ptr(), &bytes) == 0) throw py::error_already_set();
    bytes_ = py::reinterpret_steal<py::bytes>(bytes);
  }
  [[nodiscard]] const char* get() const { return PyBytes_AS_STRING(bytes_.ptr()); }

 private:
  py::bytes bytes_;
};

int open_tree(int dirfd, const py::object& path, unsigned flags) {
  const Path text(path);
  return call([&] { return sys::open_tree(dirfd, text.get(), sys::OpenTree{flags}); });
}

void move_mount(int from_dirfd, const py::object& from_path, int to_dirfd,
                const py::object& to_path, unsigned flags) {
  const Path from(from_path);
  const Path to(to_path);
  call([&] {
    return sys::move_mount(from_dirfd, from.get(), to_dirfd, to.get(), sys::MoveMount{flags});
  });
}

template <class Flag>
struct Constant {
  const char* name;
  Flag flag;
};

template <class Flag, size_t size>
void add_constants(py::module_& module, const Constant<Flag> (&table)[size]) {
  for (const Constant<Flag>& each : table) module.attr(each.name) = sys::bits(each.flag);
}

void add_constants(py::module_& module) {
  using sys::AtFlags, sys::CloneFlags, sys::MoveMount, sys::OpenTree;
  add_constants<CloneFlags>(module, {{"CLONE_FILES", CloneFlags::files},
                                     {"CLONE_FS", CloneFlags::fs},
                                     {"CLONE_NEWCGROUP", CloneFlags::newcgroup},
                                     {"CLONE_NEWIPC", CloneFlags::newipc},
                                     {"CLONE_NEWNET", CloneFlags::newnet},
                                     {"CLONE_NEWNS", CloneFlags::newns},
                                     {"CLONE_NEWPID", CloneFlags::newpid},
                                     {"CLONE_NEWTIME", CloneFlags::newtime},
                                     {"CLONE_NEWUSER", CloneFlags::newuser},
                                     {"CLONE_NEWUTS", CloneFlags::newuts},
                                     {"CLONE_SYSVSEM", CloneFlags::sysvsem}});
  add_constants<AtFlags>(module, {{"AT_EMPTY_PATH", AtFlags::empty_path},
                                  {"AT_NO_AUTOMOUNT", AtFlags::no_automount},
                                  {"AT_SYMLINK_NOFOLLOW", AtFlags::symlink_nofollow},
                                  {"AT_RECURSIVE", AtFlags::recursive}});
  add_constants<OpenTree>(
      module, {{"OPEN_TREE_CLOEXEC", OpenTree::cloexec}, {"OPEN_TREE_CLONE", OpenTree::clone}});
  add_constants<MoveMount>(module, {{"MOVE_MOUNT_F_EMPTY_PATH", MoveMount::f_empty_path},
                                    {"MOVE_MOUNT_T_EMPTY_PATH", MoveMount::t_empty_path},
                                    {"MOVE_MOUNT_F_AUTOMOUNTS", MoveMount::f_automounts},
                                    {"MOVE_MOUNT_T_AUTOMOUNTS", MoveMount::t_automounts},
                                    {"MOVE_MOUNT_F_SYMLINKS", MoveMount::f_symlinks},
                                    {"MOVE_MOUNT_T_SYMLINKS", MoveMount::t_symlinks}});
}

}  // namespace

void add_kernel_calls(py::module_& module) {
  using py::arg, py::pos_only;
  module.def(
      "unshare", unshare_flags, arg("flags"), pos_only(),
      "unshare(2): moves the calling thread into new namespaces, or stops sharing with others.");
  module.def("setns", setns, arg("fd"), arg("nstype"), pos_only(),
             "setns(2): moves the calling thread into the namespace of `fd`, or, with a pidfd, "
             "into those of "
             "the types in `nstype`.");
  module.def("ns_get_userns", ns_get_userns, arg("fd"), pos_only(),
             "A descriptor of the user namespace that owns this namespace; ioctl_nsfs(2).");
  module.def("ns_get_parent", ns_get_parent, arg("fd"), pos_only(),
             "A descriptor of the parent of this pid or user namespace; ioctl_nsfs(2).");
  module.def("ns_get_nstype", ns_get_nstype, arg("fd"), pos_only(),
             "The CLONE_NEW* constant of this namespace's type; ioctl_nsfs(2).");
  module.def("ns_get_owner_uid", ns_get_owner_uid, arg("fd"), pos_only(),
             "The uid of who made this user namespace; ioctl_nsfs(2).");
  const int here = sys::kAtFdcwd;
  module.def("open_tree", open_tree, arg("dirfd") = here, arg("path") = "", arg("flags") = 0,
             "open_tree(2): a descriptor of a mount or, with OPEN_TREE_CLONE, of a detached copy.");
  module.def("move_mount", move_mount, arg("from_dirfd") = here, arg("from_path") = "",
             arg("to_dirfd") = here, arg("to_path") = "", arg("flags") = 0,
             "move_mount(2): attaches a detached mount, or moves an attached one.");
  add_constants(module);
}

}  // namespace isle::python
