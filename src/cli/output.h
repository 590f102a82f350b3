// What isle prints, in one place: whole texts by write(2), no streams, no locale.
#pragma once

#include <string_view>

#include "isle/error.h"

namespace isle::cli {

/// Exit statuses as shells and timeout(1) have them.
inline constexpr int kTimedOut = 124;
inline constexpr int kIsleFailed = 125;

/// The whole text to a descriptor; false where that failed (errno says why).
bool write_all(int fd, std::string_view text);
/// To standard output; the exit status: 0, or kIsleFailed with a complaint.
int print(std::string_view text);
/// To standard error, errors ignored.
void print_error(std::string_view text);
/// "isle: " and the error with its "asked by" and "hint" lines, to standard error.
void complain(const Error& error);

}  // namespace isle::cli
