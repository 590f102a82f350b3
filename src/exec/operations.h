// What operations share: small texts without a heap, arguments as arrays, one write to a file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "exec/context.h"

namespace isle::exec {

/// Where a small formatted text is put together. What does not fit is an error, never cut.
template <std::size_t N>
struct Text {
  char bytes[N];
  std::size_t size = 0;
  bool overflow = false;

  Text& add(const char* text) noexcept {
    for (; *text != '\0'; ++text) add(*text);
    return *this;
  }
  Text& add(char c) noexcept {
    if (size + 1 < N)
      bytes[size++] = c;
    else
      overflow = true;
    bytes[size] = '\0';
    return *this;
  }
  Text& add_number(unsigned long number) noexcept {
    char digits[20];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0) add(digits[--count]);
    return *this;
  }
};

inline std::size_t length_of(const char* text) noexcept {
  std::size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

/// A blob argument as an array of T.
template <class T>
const T* blob(const Context& c, std::uint64_t argument) noexcept {
  return reinterpret_cast<const T*>(c.text(argument));
}

/// Opens for writing, writes once: what /proc, /sys and cgroup files want.
long write_once(int dirfd, const char* path, const char* data, bool in_root) noexcept;

/// Operations on namespaces and ids: identity.cc.
long do_identity(Context& context, const plan::Step& step) noexcept;

/// Operations on the command's terminal: terminal.cc.
long do_terminal(Context& context, const plan::Step& step) noexcept;

}  // namespace isle::exec
