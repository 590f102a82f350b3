// From isle's failures as values to Python's exceptions. Nothing else belongs here.
//
// python/src in general: what Python cannot do itself (system calls, Spec, plans, processes), with the plainest
// arguments; classes, defaults, warnings and convenience are Python's, in python/isle.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "isle/error.h"

namespace isle::python {

namespace py = pybind11;

/// Raises isle.Error: the subclass that belongs to the errno. Needs the GIL.
[[noreturn]] void raise(const Error& error);
/// Raises OSError itself, for calls that are no more than the kernel's. `code` is an errno.
[[noreturn]] void raise_errno(int code);
/// An isle.Error as an object.
py::object error_object(const Error& error);

/// The value, or the exception.
template <class T>
T take(Result<T> result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Calls `function` while other threads run Python. It may not touch a Python object.
template <class Function>
auto without_gil(Function function) {
  PyThreadState* state = PyEval_SaveThread();
  auto result = function();
  PyEval_RestoreThread(state);
  return result;
}

}  // namespace isle::python
