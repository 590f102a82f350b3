// The extension module isle._isle.
#include "faces.h"
#include "isle/version.h"

PYBIND11_MODULE(_isle, module) {
  using namespace isle::python;
  module.doc() = "libisle, as the package isle uses it; not for use by itself.";
  module.attr("VERSION") = isle::kVersion;
  module.attr("COMMIT") = isle::kCommit;
  add_descriptor(module);
  add_kernel_calls(module);
  add_mounts(module);
  add_namespaces(module);
  add_processes(module);
}
