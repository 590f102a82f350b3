// isle.h: errors, types, handles on namespaces, going there.
#include <optional>
#include <span>

#include "c/face.h"
#include "isle/in.h"
#include "isle/version.h"

namespace {

using isle::BorrowedFd;
using isle::Fd;
using isle::Namespace;
using isle::NamespaceSet;
using isle::NamespaceType;
using isle::Result;
using isle::c::done;
using isle::c::guarded;

bool is_type(isle_type type) { return type >= ISLE_CGROUP && type <= ISLE_UTS; }

std::optional<NamespaceType> expected(isle_type type) {
  if (!is_type(type)) return std::nullopt;
  return static_cast<NamespaceType>(type);
}

/// A handle from what `open` gives for the type.
template <class Open>
isle_namespace* opened(isle_type type, isle_error** error, Open open) {
  return guarded<isle_namespace*>(
      error, nullptr,
      [&]() -> Result<Namespace> {
        if (!is_type(type)) return isle::fail(EINVAL, "open a namespace: one type is wanted");
        return open(static_cast<NamespaceType>(type));
      },
      [](Namespace& ns) { return new isle_namespace{std::move(ns)}; });
}

template <class Open>
isle_namespace* opened(isle_error** error, Open open) {
  return guarded<isle_namespace*>(error, nullptr, open,
                                  [](Namespace& ns) { return new isle_namespace{std::move(ns)}; });
}

isle::NamespaceRefs refs(const isle_namespace* const* namespaces, size_t count) {
  isle::NamespaceRefs all;
  for (const isle_namespace* each : std::span(namespaces, count)) all.push_back(each->ns);
  return all;
}

}  // namespace

extern "C" {

const char* isle_version() { return isle::kVersion.data(); }

int isle_error_code(const isle_error* error) { return error->error.code; }
const char* isle_error_message(const isle_error* error) { return error->message.c_str(); }
const char* isle_error_what(const isle_error* error) { return error->error.what.c_str(); }
const char* isle_error_asked_by(const isle_error* error) { return error->error.asked_by.c_str(); }
const char* isle_error_hint(const isle_error* error) { return error->error.hint.c_str(); }
int isle_error_step(const isle_error* error) { return error->error.step; }
void isle_error_free(isle_error* error) { delete error; }

uint64_t isle_type_flag(isle_type type) {
  return is_type(type) ? isle::type_info(static_cast<NamespaceType>(type)).clone_flag : 0;
}
const char* isle_type_name(isle_type type) {
  return is_type(type) ? isle::to_string(static_cast<NamespaceType>(type)).data() : nullptr;
}

isle_namespace* isle_namespace_of_process(pid_t pid, isle_type type, isle_error** error) {
  return opened(type, error, [=](NamespaceType t) { return Namespace::of_process(pid, t); });
}
isle_namespace* isle_namespace_of_thread(pid_t tid, isle_type type, isle_error** error) {
  return opened(type, error, [=](NamespaceType t) { return Namespace::of_thread(tid, t); });
}
isle_namespace* isle_namespace_of_self(isle_type type, isle_error** error) {
  return opened(type, error, [](NamespaceType t) { return Namespace::of_self(t); });
}
isle_namespace* isle_namespace_of_pidfd(int pidfd, isle_type type, isle_error** error) {
  return opened(type, error,
                [=](NamespaceType t) { return Namespace::of_pidfd(BorrowedFd(pidfd), t); });
}
isle_namespace* isle_namespace_for_children(pid_t pid, isle_type type, isle_error** error) {
  return opened(type, error, [=](NamespaceType t) { return Namespace::for_children(pid, t); });
}
isle_namespace* isle_namespace_of_path(const char* path, isle_type type, isle_error** error) {
  return opened(error, [=] { return Namespace::of_path(path, expected(type)); });
}
isle_namespace* isle_namespace_from_fd(int fd, isle_type type, isle_error** error) {
  return opened(error, [=] { return Namespace::from_fd(Fd(fd), expected(type)); });
}
isle_namespace* isle_namespace_of_socket(int socket, isle_error** error) {
  return opened(error, [=] { return Namespace::of_socket(BorrowedFd(socket)); });
}
isle_namespace* isle_namespace_of_link_peer(const char* interface, isle_error** error) {
  return opened(error, [=] { return Namespace::of_link_peer(interface); });
}
isle_namespace* isle_namespace_of_unique_id(uint64_t id, isle_error** error) {
  return opened(error, [=] { return Namespace::of_unique_id(id); });
}
void isle_namespace_free(isle_namespace* ns) { delete ns; }

isle_type isle_namespace_type(const isle_namespace* ns) {
  return static_cast<isle_type>(ns->ns.type());
}
uint64_t isle_namespace_inode(const isle_namespace* ns) { return ns->ns.inode(); }
uint64_t isle_namespace_unique_id(const isle_namespace* ns) { return ns->ns.id().unique; }
int isle_namespace_fd(const isle_namespace* ns) { return ns->ns.fd().get(); }
int isle_namespace_equal(const isle_namespace* a, const isle_namespace* b) {
  return a->ns == b->ns ? 1 : 0;
}
isle_namespace* isle_namespace_owner(const isle_namespace* ns, isle_error** error) {
  return opened(error, [=] { return ns->ns.owner(); });
}
isle_namespace* isle_namespace_parent(const isle_namespace* ns, isle_error** error) {
  return opened(error, [=] { return ns->ns.parent(); });
}
int isle_namespace_owner_uid(const isle_namespace* ns, uid_t* uid, isle_error** error) {
  return guarded(
      error, -1, [=] { return ns->ns.owner_uid(); },
      [=](uid_t found) {
        *uid = found;
        return 0;
      });
}
pid_t isle_namespace_pid_in(const isle_namespace* ns, pid_t pid, isle_error** error) {
  return guarded(
      error, pid_t{-1}, [=] { return ns->ns.pid_in(pid); }, [](pid_t found) { return found; });
}
pid_t isle_namespace_pid_from(const isle_namespace* ns, pid_t pid_inside, isle_error** error) {
  return guarded(
      error, pid_t{-1}, [=] { return ns->ns.pid_from(pid_inside); },
      [](pid_t found) { return found; });
}
int isle_namespace_persist(const isle_namespace* ns, const char* path, isle_error** error) {
  return done(error, [=] { return ns->ns.persist(path); });
}
int isle_namespace_unpersist(const char* path, isle_error** error) {
  return done(error, [=] { return Namespace::unpersist(path); });
}

int isle_namespace_enter(const isle_namespace* ns, isle_error** error) {
  return done(error, [=] { return ns->ns.enter(); });
}
int isle_enter(const isle_namespace* const* namespaces, size_t count, isle_error** error) {
  return done(error, [=] { return isle::enter(refs(namespaces, count)); });
}
int isle_enter_pidfd(int pidfd, uint64_t flags, isle_error** error) {
  return done(error,
              [=] { return isle::enter(BorrowedFd(pidfd), NamespaceSet::of_clone_flags(flags)); });
}
int isle_unshare(uint64_t flags, isle_error** error) {
  return done(error, [=] { return isle::unshare(NamespaceSet::of_clone_flags(flags)); });
}

int isle_in(const isle_namespace* const* namespaces, size_t count, int (*function)(void* argument),
            void* argument, int* result, isle_error** error) {
  return guarded(
      error, -1,
      [=] { return isle::in(refs(namespaces, count), [=] { return function(argument); }); },
      [=](int returned) {
        if (result != nullptr) *result = returned;
        return 0;
      });
}

int isle_namespace_limit(isle_type type, uint32_t* limit, isle_error** error) {
  return guarded(
      error, -1,
      [=]() -> Result<uint32_t> {
        if (!is_type(type)) return isle::fail(EINVAL, "read a limit: one type is wanted");
        return isle::namespace_limit(static_cast<NamespaceType>(type));
      },
      [=](uint32_t found) {
        *limit = found;
        return 0;
      });
}
int isle_set_namespace_limit(isle_type type, uint32_t limit, isle_error** error) {
  return done(error, [=]() -> isle::Status {
    if (!is_type(type)) return isle::fail(EINVAL, "set a limit: one type is wanted");
    return isle::set_namespace_limit(static_cast<NamespaceType>(type), limit);
  });
}

}  // extern "C"
