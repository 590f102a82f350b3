// Those who go into other namespaces on a function's behalf: a thread, or a forked process that
// sends back what came of it.
#include "isle/in.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <typeinfo>

#include "sys/process_calls.h"

namespace isle::detail {
namespace {

// ---- exceptions -----------------------------------------------------------------------------------

template <class E>
[[noreturn]] void throw_as(const std::string& text) {
  throw E(text);
}

struct KnownException {
  const std::type_info* type;
  void (*rethrow)(const std::string& text);
};

/// Those that are nothing but their text.
const std::array kKnownExceptions = {
    KnownException{&typeid(std::runtime_error), throw_as<std::runtime_error>},
    KnownException{&typeid(std::range_error), throw_as<std::range_error>},
    KnownException{&typeid(std::overflow_error), throw_as<std::overflow_error>},
    KnownException{&typeid(std::underflow_error), throw_as<std::underflow_error>},
    KnownException{&typeid(std::logic_error), throw_as<std::logic_error>},
    KnownException{&typeid(std::invalid_argument), throw_as<std::invalid_argument>},
    KnownException{&typeid(std::domain_error), throw_as<std::domain_error>},
    KnownException{&typeid(std::length_error), throw_as<std::length_error>},
    KnownException{&typeid(std::out_of_range), throw_as<std::out_of_range>},
};

/// What an answer begins with.
enum class Kind : int { result, not_joined, error, system_error, bad_alloc, known, foreign };

void put_text(Parcel& parcel, Kind kind, const std::string& text) {
  Transfer<Kind>::put(parcel, kind);
  Transfer<std::string>::put(parcel, text);
}

/// The exception being handled.
Parcel describe_exception() {
  Parcel parcel;
  try {
    throw;
  } catch (const std::bad_expected_access<Error>& access) {
    Transfer<Kind>::put(parcel, Kind::error);
    Transfer<Error>::put(parcel, access.error());
  } catch (const std::bad_alloc&) {
    Transfer<Kind>::put(parcel, Kind::bad_alloc);
  } catch (const std::system_error& error) {
    // what() has the code's own message appended, which the constructor will append again
    std::string text = error.what();
    const std::string tail = ": " + error.code().message();
    if (text.ends_with(tail)) text.resize(text.size() - tail.size());
    put_text(parcel, Kind::system_error, text);
    Transfer<int>::put(parcel, error.code().value());
    Transfer<bool>::put(parcel, error.code().category() == std::generic_category());
  } catch (const std::exception& error) {
    for (size_t i = 0; i < kKnownExceptions.size(); ++i) {
      if (*kKnownExceptions[i].type != typeid(error)) continue;
      put_text(parcel, Kind::known, error.what());
      Transfer<size_t>::put(parcel, i);
      return parcel;
    }
    put_text(parcel, Kind::foreign, error.what());
    Transfer<std::string>::put(parcel, typeid(error).name());
  } catch (...) {
    put_text(parcel, Kind::foreign, "no std::exception");
    Transfer<std::string>::put(parcel, "unknown");
  }
  return parcel;
}

[[noreturn]] void rethrow(Kind kind, Parcel& parcel) {
  if (kind == Kind::error) throw std::bad_expected_access<Error>(Transfer<Error>::take(parcel));
  if (kind == Kind::bad_alloc) throw std::bad_alloc();
  const std::string text = Transfer<std::string>::take(parcel);
  if (kind == Kind::system_error) {
    const int code = Transfer<int>::take(parcel);
    const bool generic = Transfer<bool>::take(parcel);
    throw std::system_error(code, generic ? std::generic_category() : std::system_category(), text);
  }
  if (kind == Kind::known) kKnownExceptions.at(Transfer<size_t>::take(parcel)).rethrow(text);
  throw ForeignException(Transfer<std::string>::take(parcel), text);
}

// ---- the way back -----------------------------------------------------------------------------------

constexpr size_t kMostFds = 253;  // SCM_MAX_FD

struct Head {
  size_t bytes = 0;
  size_t fds = 0;
};

bool send_all(int socket, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

/// The descriptors go with the head.
bool send_parcel(int socket, const Parcel& parcel) {
  Head head{parcel.bytes().size(), parcel.fds().size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  iovec data{&head, sizeof head};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (head.fds > 0) {
    const size_t size = sizeof(int) * head.fds;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    for (size_t i = 0; i < head.fds; ++i) {
      const int number = parcel.fds()[i].get();
      std::memcpy(CMSG_DATA(header) + i * sizeof number, &number, sizeof number);
    }
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof head) &&
         send_all(socket, parcel.bytes().data(), parcel.bytes().size());
}

/// Nothing where the sender ended before all had come.
std::optional<Parcel> receive_parcel(int socket) {
  Head head;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  iovec data{&head, sizeof head};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  while (got < 0 && errno == EINTR);
  Parcel parcel;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); got > 0 && header != nullptr) {
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof number, sizeof number);
      parcel.write(Fd(number));
    }
  }
  if (got != static_cast<ssize_t>(sizeof head) || parcel.fds().size() != head.fds)
    return std::nullopt;
  std::array<char, 16384> piece{};
  while (head.bytes > 0) {
    got = ::recv(socket, piece.data(), std::min(piece.size(), head.bytes), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    parcel.write(piece.data(), static_cast<size_t>(got));
    head.bytes -= static_cast<size_t>(got);
  }
  return parcel;
}

// ---- the process -------------------------------------------------------------------------------------

struct Work {
  const NamespaceRefs& namespaces;
  void (*function)(void*, Parcel&);
  void* argument;
  int socket;
};

void send_error(int socket, const Error& error) {
  Parcel parcel;
  Transfer<Kind>::put(parcel, Kind::not_joined);
  Transfer<Error>::put(parcel, error);
  send_parcel(socket, parcel);
}

void call_and_send(const Work& work) {
  Parcel parcel;
  try {
    Transfer<Kind>::put(parcel, Kind::result);
    work.function(work.argument, parcel);
    if (parcel.fds().size() > kMostFds)
      throw std::length_error("isle::in: a result with more than 253 descriptors");
  } catch (...) {
    parcel = describe_exception();
  }
  send_parcel(work.socket, parcel);
}

/// Ends as its child ended.
[[noreturn]] void end_like(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    ::signal(WTERMSIG(status), SIG_DFL);
    ::raise(WTERMSIG(status));
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

[[noreturn]] void be_process(const Work& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const Status joined = enter(work.namespaces); !joined) {
    send_error(work.socket, joined.error());
    ::_exit(1);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // new credentials had cleared it
  if (work.namespaces.types().contains(NamespaceType::pid)) {
    const pid_t child = ::fork();
    if (child < 0) {
      const int code = errno;
      send_error(
          work.socket,
          {.code = code,
           .what = "make a process in the pid namespace",
           .hint = code == ENOMEM ? "its init has ended: nothing can be made in it any more" : ""});
      ::_exit(1);
    }
    if (child > 0) end_like(child);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  call_and_send(work);
  ::_exit(0);
}

std::string how_it_ended(bool reaped, int status) {
  if (reaped && WIFSIGNALED(status))
    return "was killed by signal " + std::to_string(WTERMSIG(status));
  if (reaped) return "ended with status " + std::to_string(WEXITSTATUS(status)) + " on its own";
  return "ended";
}

}  // namespace

Status call_in_thread(const NamespaceRefs& namespaces, void (*function)(void*), void* argument) {
  if (needs_process(namespaces.types()))
    return fail(EINVAL, "call a function by a thread in other namespaces",
                "user, pid and time namespaces are entered by a process: in() or in_process()");
  Status joined;
  std::exception_ptr thrown;
  const auto body = [&] {
    // With a root and working directory of its own a thread may change its mount namespace.
    if (const int r = sys::unshare(sys::CloneFlags::fs); r < 0)
      joined = fail(-r, "unshare CLONE_FS");
    else
      joined = enter(namespaces);
    if (!joined) return;
    try {
      function(argument);
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start a thread to go into other namespaces");
  }
  if (thrown) std::rethrow_exception(std::move(thrown));
  return joined;
}

Result<Parcel> call_in_process(const NamespaceRefs& namespaces, void (*function)(void*, Parcel&),
                               void* argument) {
  constexpr std::string_view kWhat = "start a process to go into other namespaces";
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return fail(errno, std::string(kWhat));
  const Fd ours(pair[0]);
  Fd theirs(pair[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno, std::string(kWhat));
  if (pid == 0) be_process({namespaces, function, argument, theirs.get()});
  theirs.reset();
  std::optional<Parcel> parcel = receive_parcel(ours.get());
  int status = 0;
  pid_t reaped = -1;
  do reaped = ::waitpid(pid, &status, 0);
  while (reaped < 0 && errno == EINTR);
  if (!parcel)
    return fail(0, "the function's process " + how_it_ended(reaped == pid, status) +
                       " before it gave a result");
  const auto kind = Transfer<Kind>::take(*parcel);
  if (kind == Kind::not_joined) return std::unexpected(Transfer<Error>::take(*parcel));
  if (kind != Kind::result) rethrow(kind, *parcel);
  return std::move(*parcel);
}

}  // namespace isle::detail
