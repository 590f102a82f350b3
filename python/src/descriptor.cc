// isle._isle.Descriptor: an object that holds one descriptor, closed at most once, and warned of if never; and
// NamespaceDescriptor, whose constructor looks at the type. In the interpreter's own terms, since an object of a Python
// class costs as much as the system call that it is for.
#include "descriptor.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "faces.h"
#include "raise.h"

namespace isle::python {
namespace {

struct Descriptor {
  PyObject ob_base;
  int fd;
  bool closefd;
};

Descriptor& of(PyObject* self) { return *reinterpret_cast<Descriptor*>(self); }

PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) of(self).fd = -1;
  return self;
}

PyObject* refuse_closed(PyObject* self) {
  return PyErr_Format(PyExc_ValueError, "%s is closed", Py_TYPE(self)->tp_name);
}

PyObject* fileno(PyObject* self, PyObject*) {
  return of(self).fd < 0 ? refuse_closed(self) : PyLong_FromLong(of(self).fd);
}

PyObject* enter(PyObject* self, PyObject*) {
  return of(self).fd < 0 ? refuse_closed(self) : Py_NewRef(self);
}

PyObject* close(PyObject* self, PyObject*) {
  // Whoever takes the number closes it; the GIL lets one thread do so.
  const int fd = std::exchange(of(self).fd, -1);
  if (fd >= 0 && of(self).closefd && ::close(fd) < 0 && errno != EINTR)
    return PyErr_SetFromErrno(PyExc_OSError);
  Py_RETURN_NONE;
}

PyObject* is_closed(PyObject* self, void*) { return PyBool_FromLong(of(self).fd < 0); }

PyObject* refuse_pickle(PyObject* self, PyObject*) {
  return PyErr_Format(PyExc_TypeError,
                      "%s: a descriptor is not copied to another process by pickle",
                      Py_TYPE(self)->tp_name);
}

/// A new object, whose constructor is not called.
PyObject* holding(PyObject* cls, PyObject* number) {
  const long fd = PyLong_AsLong(number);
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  PyObject* self = make(reinterpret_cast<PyTypeObject*>(cls), nullptr, nullptr);
  if (self == nullptr) return nullptr;
  of(self).fd = static_cast<int>(fd);
  of(self).closefd = true;
  return self;
}

PyObject* hold(PyObject* self, PyObject* number) {
  const long fd = PyLong_AsLong(number);
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  of(self).fd = static_cast<int>(fd);
  of(self).closefd = true;
  Py_RETURN_NONE;
}

void finalize(PyObject* self) {
  if (of(self).fd < 0) return;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (of(self).closefd && PyErr_ResourceWarning(self, 1, "unclosed %R", self) < 0)
    PyErr_WriteUnraisable(self);
  PyObject* closed = close(self, nullptr);
  if (closed == nullptr) PyErr_WriteUnraisable(self);
  Py_XDECREF(closed);
  PyErr_Restore(type, value, traceback);
}

void dealloc(PyObject* self) {
  if (PyObject_CallFinalizerFromDealloc(self) < 0) return;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

/// NamespaceDescriptor(fd, closefd=True). The class's NAMESPACE_CONSTANT says which type it must be.
int init_namespace(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"fd", "closefd", nullptr};
  int fd = -1;
  int closefd = 1;
  if (PyArg_ParseTupleAndKeywords(args, keywords, "i|p", const_cast<char**>(names), &fd,
                                  &closefd) == 0)
    return -1;
  static PyObject* const kConstant = PyUnicode_InternFromString("NAMESPACE_CONSTANT");
  PyObject* constant = PyObject_GetAttr(self, kConstant);
  if (constant == nullptr) return -1;
  const unsigned long long wanted = PyLong_AsUnsignedLongLong(constant);
  Py_DECREF(constant);
  if (PyErr_Occurred() != nullptr) return -1;
  try {
    if (namespace_type_flag(fd) != wanted) {
      PyErr_Format(PyExc_ValueError, "descriptor %d is no namespace of the type of %s", fd,
                   Py_TYPE(self)->tp_name);
      return -1;
    }
  } catch (py::error_already_set& error) {
    error.restore();
    return -1;
  }
  of(self).fd = fd;
  of(self).closefd = closefd != 0;
  return 0;
}

PyMethodDef kMethods[] = {
    {"fileno", fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\nThe descriptor, which stays this object's. ValueError: it is "
     "closed."},
    {"close", close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Closes the descriptor, or lets go of it where it was lent; again does nothing."},
    {"__enter__", enter, METH_NOARGS,
     "__enter__($self, /)\n--\n\nThe object. ValueError: it is closed."},
    {"__exit__", close, METH_VARARGS, "__exit__($self, kind, value, traceback, /)\n--\n\nclose()."},
    {"__reduce__", refuse_pickle, METH_NOARGS, nullptr},
    {"__reduce_ex__", refuse_pickle, METH_O, nullptr},
    {"_hold", hold, METH_O, nullptr},
    {"_holding", holding, METH_O | METH_CLASS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kProperties[] = {
    {"closed", is_closed, nullptr, "Whether close was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

template <class Function>
PyType_Slot slot(int number, Function* function) {
  return {number, reinterpret_cast<void*>(function)};
}

}  // namespace

void add_descriptor(py::module_& module) {
  constexpr unsigned kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  PyType_Slot slots[] = {slot(Py_tp_new, make),           slot(Py_tp_dealloc, dealloc),
                         slot(Py_tp_finalize, finalize),  slot(Py_tp_methods, kMethods),
                         slot(Py_tp_getset, kProperties), {0, nullptr}};
  PyType_Spec spec{"isle._isle.Descriptor", sizeof(Descriptor), 0, kFlags, slots};
  const auto base = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  if (!base) throw py::error_already_set();
  module.attr("Descriptor") = base;

  static char signature[] =
      "NamespaceDescriptor(fd, closefd=True)\n--\n\nA namespace's descriptor.";
  PyType_Slot namespace_slots[] = {
      slot(Py_tp_init, init_namespace), slot(Py_tp_doc, signature), {0, nullptr}};
  PyType_Spec namespace_spec{"isle._isle.NamespaceDescriptor", sizeof(Descriptor), 0, kFlags,
                             namespace_slots};
  const py::tuple bases = py::make_tuple(base);
  const auto derived =
      py::reinterpret_steal<py::object>(PyType_FromSpecWithBases(&namespace_spec, bases.ptr()));
  if (!derived) throw py::error_already_set();
  module.attr("NamespaceDescriptor") = derived;
}

}  // namespace isle::python
