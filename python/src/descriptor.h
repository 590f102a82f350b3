// What the constructor of a namespace object asks of the descriptor.
#pragma once

#include <cstdint>

namespace isle::python {

/// The CLONE_NEW* flag of the namespace's type. Raises OSError: ENOTTY it is none.
uint64_t namespace_type_flag(int fd);

}  // namespace isle::python
