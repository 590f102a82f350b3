// What a failure is in isle: a value that says what was tried, why it did not
// work, who asked for it and what to try. Nothing else belongs here.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace isle {

/// A failure, ready to be shown to a person and to be matched by a program.
///
/// `message()` reads:
///     mount "none" on "/tmp": No such device (ENODEV)
///       asked by: argv[4]
///       hint: this kernel knows no such file system; see /proc/filesystems
struct Error {
  /// errno of the call that failed; 0 where no system call did (a bad argument).
  int code = 0;
  /// What was tried, with its arguments; without the errno, which message() adds.
  std::string what = {};
  /// Where the wish came from: "argv[4]", "config.json /mounts/3", "default"; may be empty.
  std::string asked_by = {};
  /// What to try; from a check, never a guess. May be empty.
  std::string hint = {};
  /// Index of the plan's step that failed, -1 where none did.
  int step = -1;

  /// `what`, the errno in words and by name, and the two lines below it where they are known.
  [[nodiscard]] std::string message() const;
  /// The first line of message() only.
  [[nodiscard]] std::string summary() const;
};

/// A value or the Error that kept it from being made.
template <class T>
using Result = std::expected<T, Error>;

/// Success or an Error.
using Status = std::expected<void, Error>;

/// An Error as the unexpected alternative; `code` is an errno (positive) or 0.
[[nodiscard]] inline std::unexpected<Error> fail(int code, std::string what,
                                                 std::string hint = {}) {
  return std::unexpected(Error{.code = code, .what = std::move(what), .hint = std::move(hint)});
}

}  // namespace isle
