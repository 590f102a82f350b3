// What checkpoint and restore have in common: the images' directory, and the flags that are criu's.
#pragma once

#include <string>
#include <string_view>

#include "isle/error.h"
#include "isle/namespace_type.h"
#include "oci_cli/criu.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {

/// A request for criu by the command line: --image-path, --work-path, the flags that are criu's.
/// `annotations`: the container's. Errors: no such directory; a flag's value that is none.
Result<CriuRequest> criu_request(const Call& call, CriuDeed deed, const oci::Json& annotations,
                                 const oci::Directory& container);

/// In the images' directory: by what name the images know the first process's 0, 1 and 2.
inline constexpr const char* kDescriptorsFile = "descriptors.json";

/// By what name the images know a namespace that is somebody else's; "" where criu cannot leave out
/// one of that type.
std::string external_namespace(NamespaceType type);

/// criu asks the mount namespace what is mounted, and has to find the container's root there.
/// `verb` cannot be done otherwise.
Status expect_own_mounts(const Spec& spec, std::string_view verb);

}  // namespace isle::oci_cli
