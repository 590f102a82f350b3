// isle.mount: trees of mounts as descriptors.
#include "isle/mount.h"

#include <pybind11/stl.h>

#include "faces.h"
#include "isle/names.h"
#include "raise.h"

namespace isle::python {
namespace {

/// A path as open() takes it: str, bytes or os.PathLike; ValueError for one with a NUL.
std::string path_of(const py::object& given) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(given.ptr(), &bytes) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(bytes);
}

int clone_tree(const py::object& given, bool recursive) {
  const std::string path = path_of(given);
  return take(without_gil([&] { return MountTree::clone(path, recursive); })).release().release();
}

/// The descriptor stays the caller's.
void attach_tree(int fd, const py::object& given) {
  const std::string path = path_of(given);
  MountTree lent = MountTree::from_fd(Fd(fd));
  Status attached = without_gil([&] { return lent.attach(path); });
  (void)std::move(lent).release().release();
  take(std::move(attached));
}

void make_propagation(const py::object& given, const std::string& kind, bool recursive) {
  const auto propagation = parse_propagation(kind);
  if (!propagation || *propagation == Propagation::unchanged)
    throw py::value_error("\"" + kind + "\" is no propagation");
  const std::string path = path_of(given);
  take(without_gil([&] { return set_propagation(path, *propagation, recursive); }));
}

}  // namespace

void add_mounts(py::module_& module) {
  module.def("clone_tree", clone_tree);
  module.def("attach_tree", attach_tree);
  module.def("set_propagation", make_propagation);
}

}  // namespace isle::python
