#include "raise.h"

#include <cerrno>

namespace isle::python {
namespace {

py::object text(const std::string& bytes) {
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

}  // namespace

py::object error_object(const Error& error) {
  const py::object type = py::module_::import("isle.errors").attr("Error");
  const auto or_none = [](bool known, auto value) {
    return known ? py::object(py::cast(value)) : py::object(py::none());
  };
  return type(or_none(error.code != 0, error.code), text(error.what), text(error.asked_by),
              text(error.hint), or_none(error.step >= 0, error.step));
}

void raise(const Error& error) {
  const py::object exception = error_object(error);
  PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
  throw py::error_already_set();
}

void raise_errno(int code) {
  errno = code;
  PyErr_SetFromErrno(PyExc_OSError);
  throw py::error_already_set();
}

}  // namespace isle::python
