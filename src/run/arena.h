// The memory a plan is carried out in: its bytes, room for argument lists, a time a step
// (plan/layout.h). Shared with the processes that carry it out, so that times come back.
#pragma once

#include <memory>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "plan/layout.h"

namespace isle {

class Arena {
 public:
  /// Who carries the plan out besides us.
  enum class Sharing : uint8_t {
    threads,    ///< Nobody, or a child that shares our memory.
    processes,  ///< A child with memory of its own.
    programs,   ///< Another program, which maps it from a descriptor.
  };

  Arena() = default;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  /// A copy of `plan` with what `options` ask of the executor. Errors: ENOMEM, EMFILE.
  static Result<Arena> make(const Plan& plan, const LaunchOptions& options, Sharing sharing);

  [[nodiscard]] plan::Header* header() const { return header_; }
  [[nodiscard]] BorrowedFd fd() const { return fd_.borrow(); }
  [[nodiscard]] std::vector<StepTime> times() const;
  [[nodiscard]] uint64_t namespace_inode(NamespaceType type) const;

 private:
  plan::Header* header_ = nullptr;
  std::unique_ptr<char[]> own_;  ///< Where no mapping is needed: that costs calls and page faults.
  Fd fd_;
};

}  // namespace isle
