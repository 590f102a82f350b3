// Into several namespaces: in which order, and which of them a process has that the caller has not.
#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

#include "isle/namespace.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

constexpr int kCapSysAdmin = 21;

/// Whether the calling thread has CAP_SYS_ADMIN in its user namespace; without it no namespace is
/// joined but a user namespace, which gives it.
bool is_privileged() {
  sys::cap_user_header header;
  sys::cap_user_data data[2];
  return sys::capget(&header, data) == 0 && (data[0].effective >> kCapSysAdmin & 1U) != 0;
}

/// Whether `user` or one below it owns `other`.
bool owned_within(const Namespace& other, const Namespace& user) {
  Result<Namespace> owner = other.owner();
  while (owner) {
    if (*owner == user) return true;
    owner = owner->owner();
  }
  return false;
}

}  // namespace

std::vector<const Namespace*> join_order(const NamespaceRefs& namespaces) {
  // mount last: until then names of files mean the same
  constexpr std::array kOrder = {NamespaceType::cgroup, NamespaceType::ipc,  NamespaceType::network,
                                 NamespaceType::uts,    NamespaceType::time, NamespaceType::pid,
                                 NamespaceType::mount,  NamespaceType::user};
  std::vector<const Namespace*> order;
  for (const NamespaceType type : kOrder)
    std::ranges::copy_if(namespaces, std::back_inserter(order),
                         [&](const Namespace* n) { return n->type() == type; });
  if (order.empty() || order.back()->type() != NamespaceType::user) return order;
  const Namespace* user = order.back();
  order.pop_back();
  // In the user namespace the caller has all privilege over what belongs to it, and none over the
  // rest; so the rest is joined before, by the privilege the caller has now.
  const bool privileged = is_privileged();
  std::vector<const Namespace*> before;
  std::vector<const Namespace*> after{user};
  for (const Namespace* each : order)
    (privileged && !owned_within(*each, *user) ? before : after).push_back(each);
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

Status enter(const NamespaceRefs& namespaces) {
  NamespaceSet seen;
  for (const Namespace* each : namespaces) {
    if (seen.contains(each->type()))
      return fail(EINVAL, "join two " + std::string(to_string(each->type())) + " namespaces");
    seen.insert(each->type());
  }
  for (const Namespace* each : join_order(namespaces)) {
    if (each->type() == NamespaceType::user) {
      const Result<Namespace> own = Namespace::of_self(NamespaceType::user);
      if (own && *own == *each) continue;
    }
    if (Status joined = each->enter(); !joined) return joined;
  }
  return {};
}

Result<std::vector<Namespace>> namespaces_of(pid_t pid, NamespaceSet types) {
  const int pidfd = sys::pidfd_open(pid);
  if (pidfd < 0) return fail(-pidfd, "open process " + std::to_string(pid));
  const Fd closer(pidfd);
  std::vector<Namespace> found;
  for (const NamespaceType type : types) {
    Result<Namespace> theirs = Namespace::of_pidfd(closer.borrow(), type);
    if (!theirs) return std::unexpected(std::move(theirs.error()));
    const Result<Namespace> own = Namespace::of_self(type);
    if (!own || !(*own == *theirs)) found.push_back(std::move(*theirs));
  }
  return found;
}

}  // namespace isle
