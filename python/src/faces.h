// What each file of this folder adds to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace isle::python {

void add_descriptor(pybind11::module_& module);
void add_kernel_calls(pybind11::module_& module);
void add_mounts(pybind11::module_& module);
void add_namespaces(pybind11::module_& module);
void add_processes(pybind11::module_& module);

}  // namespace isle::python
