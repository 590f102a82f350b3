// From the words of spec.h to those of mount_setattr(2), for trees and for mounts with a place.
#pragma once

#include <string>

#include "isle/error.h"
#include "isle/spec.h"
#include "sys/abi_file.h"
#include "sys/abi_mount.h"

namespace isle::mounts_detail {

/// none for `unchanged`.
sys::MountFlags propagation_flag(Propagation propagation);

/// mount_setattr(2) twice: on the mount itself, and on all below it too.
Status set_by(int dirfd, const char* path, sys::AtFlags flags, const MountAttributes& attributes,
              const std::string& whose);

}  // namespace isle::mounts_detail
