// isle.h on the C++ interface: what both halves share. Each function only translates arguments and
// results; no exception leaves it.
#pragma once

#include <cerrno>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/isle.h"
#include "isle/namespace.h"
#include "isle/spec.h"

struct isle_error {
  isle::Error error;
  std::string message;
};

struct isle_namespace {
  isle::Namespace ns;
};

struct isle_spec {
  isle::Spec spec;
  isle::Origin from = 0;
  /// What no Spec can say; told when it is used.
  std::vector<isle::Error> complaints;
};

namespace isle::c {

/// Hands the error out where somebody wants it.
inline void give(Error error, isle_error** to) noexcept {
  if (to == nullptr) return;
  try {
    std::string message = error.message();
    *to = new isle_error{std::move(error), std::move(message)};
  } catch (const std::bad_alloc&) {
    *to = nullptr;
  }
}

/// What `function`, which gives a Result<T>, made, by `make`; `otherwise` on failure.
template <class R, class Function, class Make>
R guarded(isle_error** error, R otherwise, Function function, Make make) noexcept {
  try {
    auto result = function();
    if (result) return make(*result);
    give(std::move(result.error()), error);
  } catch (const std::bad_alloc&) {
    give({.code = ENOMEM}, error);
  } catch (const std::exception& exception) {
    give({.what = exception.what()}, error);
  }
  return otherwise;
}

/// For functions that give a Status.
template <class Function>
int done(isle_error** error, Function function) noexcept {
  try {
    const Status status = function();
    if (status) return 0;
    give(status.error(), error);
  } catch (const std::bad_alloc&) {
    give({.code = ENOMEM}, error);
  } catch (const std::exception& exception) {
    give({.what = exception.what()}, error);
  }
  return -1;
}

}  // namespace isle::c
