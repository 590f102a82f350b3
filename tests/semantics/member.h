// Where the tests of this folder stand: inside of new namespaces, as a member of them, and outside.
//
// The folder holds what the documents claim about the kernel, a test a claim. Above each test stands
// the document and its section: namespaces(7), network_namespaces(7), pivot_root(2), setns(2); "the
// overview" is the notes called Namespace overview, "python-lxns" its page Namespaces. Where a claim
// of theirs is spelled out in another manual page, that one is named, too. The library is used to get
// somewhere; what a claim is about is called through src/sys, whose calls return the kernel's -errno.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "isle/fd.h"
#include "isle/namespace.h"
#include "support/own_namespaces.h"
#include "sys/abi.h"
#include "sys/syscalls.h"

namespace isle::test {

/// The result of one of src/sys's calls; throws where that is -errno, with the place of the call.
long must(long result, std::source_location where = std::source_location::current());
/// What a call of libc's says, as src/sys would: -1 becomes -errno.
inline long libc(long result) { return result == -1 ? -errno : result; }
/// "done", or the error's name: "EINVAL".
std::string outcome(long result);
/// The value of a Result; throws its error.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
inline void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message());
}

/// A process in new namespaces, by clone3(2): of pid and time, too, it is a member itself. In a new
/// user namespace every id is mapped to itself. It lives until end() or the object's end.
class Member {
 public:
  /// Runs `first` in it, then pauses. Throws what `first` threw, and where it cannot be made.
  explicit Member(NamespaceSet types, const std::function<void()>& first = {});
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() { end(); }

  /// Its number here.
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] BorrowedFd pidfd() const { return pidfd_.borrow(); }
  [[nodiscard]] Namespace of(NamespaceType type) const {
    return must(Namespace::of_process(pid_, type));
  }
  /// What `function` returns in a process that has joined all of these namespaces. Throws what it
  /// threw, or its failed expectations.
  [[nodiscard]] std::string ask(const std::function<std::string()>& function) const;
  /// Kills and reaps it, and with it the last process in its namespaces, unless others joined.
  void end();

 private:
  NamespaceSet types_;
  pid_t pid_ = -1;
  Fd pidfd_;
};

/// What `function` returns in a forked child of the caller's; throws like Member::ask.
std::string ask_outside(const std::function<std::string()>& function);

/// Moves the caller into a user namespace in which it is root and nobody else is.
void become_root_of_a_user_namespace();
/// Becomes an ordinary user without capabilities, in the namespaces it is in.
void become_nobody();

/// "net:[4026531840]": what readlink(2) says of /proc/`process`/ns/`name`.
std::string link_of(const std::string& process, std::string_view name);
/// Those of the calling thread, one a line, by the names in /proc.
std::string own_links();

/// Standard output of a command; throws unless it succeeds.
std::string output_of(const std::vector<std::string>& argv);

}  // namespace isle::test
