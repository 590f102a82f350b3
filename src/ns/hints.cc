#include "ns/hints.h"

#include <cerrno>
#include <string_view>

#include "sys/proc_files.h"

namespace isle::ns {
namespace {

int threads_of_self() {
  const auto status = sys::read_text("/proc/self/status");
  if (!status) return 1;
  const std::string count(sys::status_field(*status, "Threads"));
  return count.empty() ? 1 : std::stoi(count);
}

std::string threads_hint(std::string_view type) {
  const int threads = threads_of_self();
  if (threads < 2) return {};
  return "the process has " + std::to_string(threads) +
         " threads; only a process with one joins or makes a " + std::string(type) + " namespace";
}

/// A limit of the caller's own user namespace that leaves no room, read now.
std::string limit_hint(NamespaceSet types) {
  for (const NamespaceType type : types) {
    const Result<uint32_t> limit = namespace_limit(type);
    if (limit && *limit == 0)
      return "user." + std::string(type_info(type).limit_name) +
             " is 0: no namespaces of this type";
  }
  return {};
}

}  // namespace

std::string unshare_hint(NamespaceSet types, int code) {
  if (code == ENOSPC) return limit_hint(types);
  if (code == EINVAL && types.contains(NamespaceType::user)) return threads_hint("user");
  return {};
}

std::string enter_hint(const Namespace& target, int code) {
  const NamespaceType type = target.type();
  if (code == EUSERS && type == NamespaceType::time) return threads_hint("time");
  if (code != EINVAL || type != NamespaceType::user) return {};
  if (const auto own = Namespace::of_self(type); own && *own == target)
    return "the process is in this user namespace already";
  return threads_hint("user");
}

}  // namespace isle::ns
