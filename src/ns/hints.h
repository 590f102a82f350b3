// Why the kernel refused to make or to join a namespace, found out by looking; empty where nothing
// certain was found. Ordinary code, run after the failure. What needs facts about the whole host
// (sysctls of distributions, security modules) is not here but in src/run.
#pragma once

#include <string>

#include "isle/namespace.h"

namespace isle::ns {

/// After unshare(2) of `types` failed with `code`.
std::string unshare_hint(NamespaceSet types, int code);
/// After setns(2) to `target` failed with `code`.
std::string enter_hint(const Namespace& target, int code);

}  // namespace isle::ns
