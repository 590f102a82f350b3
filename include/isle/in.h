// A function run in other namespaces, whose result or exception comes back. The caller stays where
// it is: somebody else goes there, a thread or a process that ends afterwards and is used for
// nothing else, so no failure on the way leaves the caller in a namespace that is not its own.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "isle/error.h"
#include "isle/namespace.h"
#include "isle/transfer.h"

namespace isle {

/// What a function that ran in a process threw, where its type cannot be made again in this one.
class ForeignException : public std::runtime_error {
 public:
  ForeignException(std::string type_name, const std::string& text)
      : std::runtime_error(text), type_name_(std::move(type_name)) {}
  /// As the compiler names it: typeid(...).name().
  [[nodiscard]] const std::string& type_name() const noexcept { return type_name_; }

 private:
  std::string type_name_;
};

/// Whether only a process can go there: the kernel lets no thread among several into a user or time
/// namespace, and into a pid namespace only those that are born in it. All others are entered by a
/// thread, with a root and working directory of its own.
[[nodiscard]] constexpr bool needs_process(NamespaceSet types) noexcept {
  return !(types & NamespaceSet{NamespaceType::user, NamespaceType::time, NamespaceType::pid})
              .empty();
}

namespace detail {

template <class T>
struct InsideResult {
  using type = Result<T>;
};
template <class T>
struct InsideResult<Result<T>> {
  using type = Result<T>;
};

/// Calls function(argument) in a thread that has joined `namespaces`.
Status call_in_thread(const NamespaceRefs& namespaces, void (*function)(void*), void* argument);
/// Calls function(argument, parcel) in a process that has joined them; what it wrote.
Result<Parcel> call_in_process(const NamespaceRefs& namespaces, void (*function)(void*, Parcel&),
                               void* argument);

}  // namespace detail

/// What in() gives for a function of type F: Result<T> both for one that returns T and for one that
/// returns Result<T>.
template <class F>
using InsideResult = typename detail::InsideResult<std::invoke_result_t<F>>::type;

/// Calls `function` in `namespaces` by a thread. It shares memory and descriptors with the caller
/// and may return anything; its working directory and umask are its own. Errors: EINVAL they need a
/// process; EAGAIN no thread could be made; those of enter(). What the function throws is thrown
/// here.
template <class F>
[[nodiscard]] InsideResult<F> in_thread(const NamespaceRefs& namespaces, F&& function) {
  using Answer = InsideResult<F>;
  Answer answer = std::unexpected(Error{});
  auto call = [&] {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::invoke(std::forward<F>(function));
      answer = {};
    } else {
      answer = std::invoke(std::forward<F>(function));
    }
  };
  const Status called = detail::call_in_thread(
      namespaces, [](void* argument) { (*static_cast<decltype(call)*>(argument))(); }, &call);
  if (!called) return std::unexpected(called.error());
  return answer;
}

/// Calls `function` in `namespaces` by a process, a fork of the caller: what the function changes in
/// memory is lost, descriptors are copies, and at its end neither destructors nor exit handlers run
/// nor are streams flushed. In a program with threads, what another one had locked at that moment
/// stays locked in it (but not malloc). The result is sent (transfer.h): bytes, strings, vectors,
/// optionals, pairs, descriptors, namespaces, Errors and Results of those.
/// Errors: ENOMEM (pid) the namespace's init has ended; EAGAIN no process could be made; those of
/// enter(); 0 the process was killed. Exceptions of the standard library's types, and
/// std::bad_expected_access of isle::Error, are thrown here as they were there; others as
/// ForeignException.
template <class F>
[[nodiscard]] InsideResult<F> in_process(const NamespaceRefs& namespaces, F&& function) {
  using R = std::invoke_result_t<F>;
  static_assert(Transferable<R>,
                "the function's result cannot be sent from one process to another: give a type "
                "that is its bytes, one of transfer.h, a specialisation of isle::Transfer, or, "
                "where the namespaces allow it, call in_thread()");
  auto call = [&](Parcel& parcel) {
    if constexpr (std::is_void_v<R>)
      std::invoke(std::forward<F>(function));
    else
      Transfer<R>::put(parcel, std::invoke(std::forward<F>(function)));
  };
  Result<Parcel> parcel = detail::call_in_process(
      namespaces,
      [](void* argument, Parcel& out) { (*static_cast<decltype(call)*>(argument))(out); }, &call);
  if (!parcel) return std::unexpected(std::move(parcel.error()));
  if constexpr (std::is_void_v<R>)
    return {};
  else
    return Transfer<R>::take(*parcel);
}

/// Calls `function` in `namespaces`, by a thread where the kernel allows it and by a process where
/// not (needs_process()).
///     auto links = isle::in(net, [] { return if_names(); });          // Result<vector<string>>
///     auto socket = isle::in({user, net}, [] { return listen_on(80); });  // Result<Fd>
/// Namespaces are joined in join_order(). Errors and exceptions: those of in_thread() and
/// in_process().
template <class F>
[[nodiscard]] InsideResult<F> in(const NamespaceRefs& namespaces, F&& function) {
  return needs_process(namespaces.types()) ? in_process(namespaces, std::forward<F>(function))
                                           : in_thread(namespaces, std::forward<F>(function));
}

}  // namespace isle
