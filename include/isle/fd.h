// Owned and borrowed file descriptors. Nothing else belongs here.
#pragma once

#include <unistd.h>

#include <utility>

namespace isle {

/// A descriptor somebody else owns and keeps open for as long as this is used.
class BorrowedFd {
 public:
  constexpr BorrowedFd() noexcept = default;
  constexpr explicit BorrowedFd(int fd) noexcept : fd_(fd) {}
  [[nodiscard]] constexpr int get() const noexcept { return fd_; }
  constexpr explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// A descriptor that is closed with the object. Move-only; close's errors are ignored, since
/// Linux frees the number whatever close(2) returns.
class [[nodiscard]] Fd {
 public:
  constexpr Fd() noexcept = default;
  /// Takes ownership of `fd`; negative means none.
  constexpr explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] BorrowedFd borrow() const noexcept { return BorrowedFd(fd_); }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the number up without closing it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is held and takes `fd`.
  void reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace isle
