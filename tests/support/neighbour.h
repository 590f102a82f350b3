// A process in new namespaces beside the test, until it is destroyed.
#pragma once

#include <sys/types.h>

#include <functional>

#include "isle/namespace.h"

/// Ends the test function unless `result` is a success.
#define ISLE_ASSERT_OK(result) \
  if (auto&& isle_result_ = (result); !isle_result_) FAIL() << isle_result_.error().message()

namespace isle::test {

/// Made by one clone3 and asleep from then on, so of a new pid namespace it is the init.
class Neighbour {
 public:
  /// `prepare` is called inside; where it is false the neighbour is not ready().
  explicit Neighbour(
      NamespaceSet types, const std::function<bool()>& prepare = [] { return true; });
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour();
  /// As the test counts.
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] Namespace ns(NamespaceType type) const {
    return std::move(Namespace::of_process(pid_, type).value());
  }
  /// SIGKILL, and waits for its end.
  void kill();

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

}  // namespace isle::test
