// From isle.Spec, the dataclass, to Spec. Nothing else belongs here.
#pragma once

#include <pybind11/pybind11.h>

#include "isle/spec.h"

namespace isle::python {

/// What `object` wishes for; each wish's origin is "python" and the name of its field. TypeError or
/// ValueError where a field does not hold what it should, with its name.
Spec read_spec(pybind11::handle object);

}  // namespace isle::python
