// What namespaces are to each other: children of a user or pid namespace, pids of one pid namespace
// in another, the kernel's list of mount namespaces.
#include <algorithm>
#include <cerrno>
#include <charconv>

#include "isle/namespace.h"
#include "ns/pids.h"
#include "ns/search.h"
#include "sys/proc_files.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

std::unexpected<Error> only(NamespaceType type, const Namespace& asked, std::string_view what) {
  return fail(EINVAL, std::string(what) + " of " + asked.link_text(),
              "only " + std::string(to_string(type)) + " namespaces have it");
}

/// What `request` says of `pid`; `by_proc` where this kernel has no such request.
Result<pid_t> translate(const Namespace& pid_ns, sys::Ioctl request, pid_t pid,
                        Result<pid_t> (*by_proc)(const Namespace&, pid_t)) {
  const std::string what = "translate pid " + std::to_string(pid) + " with " + pid_ns.link_text();
  if (pid_ns.type() != NamespaceType::pid) return fail(EINVAL, what, "it is no pid namespace");
  const int result = sys::ioctl(pid_ns.fd().get(), request, pid);
  if (result == -ENOTTY) return by_proc(pid_ns, pid);
  if (result < 0) return fail(-result, what);
  return result;
}

/// The neighbour in the kernel's list of mount namespaces.
Result<std::optional<Namespace>> neighbour(const Namespace& mount_ns, sys::Ioctl request,
                                           std::string_view what) {
  if (mount_ns.type() != NamespaceType::mount) return only(NamespaceType::mount, mount_ns, what);
  sys::mnt_ns_info info;
  const int fd = sys::ioctl(mount_ns.fd().get(), request, &info);
  if (fd == -ENOENT) return std::nullopt;
  if (fd < 0)
    return fail(-fd, std::string(what) + " of " + mount_ns.link_text(),
                fd == -EPERM
                    ? "the kernel lists mount namespaces to CAP_SYS_ADMIN in the initial user "
                      "namespace, and newer ones only in the initial pid namespace"
                    : "");
  Result<Namespace> found = Namespace::from_fd(Fd(fd), NamespaceType::mount);
  if (!found) return std::unexpected(std::move(found.error()));
  return std::move(*found);
}

}  // namespace

namespace ns {

Result<pid_t> pid_in_by_proc(const Namespace& pid_ns, pid_t pid) {
  const std::string what = "translate pid " + std::to_string(pid) + " with " + pid_ns.link_text();
  const auto status = sys::read_text("/proc/" + std::to_string(pid) + "/status");
  if (!status) return fail(status.error() == ENOENT ? ESRCH : status.error(), what);
  // From the outermost namespace, that of the mounted /proc, to the process's own.
  const std::vector<std::string> pids = sys::words(sys::status_field(*status, "NSpid"));
  Result<Namespace> level = Namespace::of_process(pid, NamespaceType::pid);
  if (!level) return std::unexpected(std::move(level.error()));
  for (size_t i = pids.size(); i-- > 0;) {
    if (*level == pid_ns) return std::stoi(pids[i]);
    level = level->parent();
    if (!level) break;  // further up is out of sight
  }
  return fail(ESRCH, what);
}

Result<pid_t> pid_from_by_proc(const Namespace& pid_ns, pid_t pid_inside) {
  for (const pid_t pid : pids_of_proc())
    if (pid_in_by_proc(pid_ns, pid).value_or(0) == pid_inside) return pid;
  return fail(ESRCH, "translate pid " + std::to_string(pid_inside) + " with " + pid_ns.link_text());
}

}  // namespace ns

Result<std::vector<Namespace>> Namespace::children() const {
  if (!type_info(type_).has_parent)
    return fail(EINVAL, "get the children of " + link_text(),
                "only user and pid namespaces have some");
  std::vector<Namespace> found;
  ns::visit_namespaces(type_, [&](Namespace& each) {
    const Result<Namespace> above = each.parent();
    if (above && *above == *this) found.push_back(std::move(each));
    return false;
  });
  std::ranges::sort(found, {}, &Namespace::inode);
  return found;
}

Result<pid_t> Namespace::pid_in(pid_t pid) const {
  return translate(*this, sys::Ioctl::ns_get_pid_in_pidns, pid, ns::pid_in_by_proc);
}

Result<pid_t> Namespace::pid_from(pid_t pid_inside) const {
  return translate(*this, sys::Ioctl::ns_get_pid_from_pidns, pid_inside, ns::pid_from_by_proc);
}

Result<uint32_t> Namespace::mount_count() const {
  constexpr std::string_view kWhat = "count the mounts";
  if (type_ != NamespaceType::mount) return only(NamespaceType::mount, *this, kWhat);
  sys::mnt_ns_info info;
  const int r = sys::ioctl(fd_.get(), sys::Ioctl::ns_mnt_get_info, &info);
  if (r < 0) return fail(-r, std::string(kWhat) + " of " + link_text());
  return info.nr_mounts;
}

Result<std::optional<Namespace>> Namespace::next() const {
  return neighbour(*this, sys::Ioctl::ns_mnt_get_next, "get the successor");
}

Result<std::optional<Namespace>> Namespace::previous() const {
  return neighbour(*this, sys::Ioctl::ns_mnt_get_prev, "get the predecessor");
}

}  // namespace isle
