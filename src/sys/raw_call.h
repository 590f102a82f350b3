// The system call instruction itself, for x86-64 and aarch64. Nothing here or in
// the other headers of this folder refers to a libc symbol, errno or thread-local
// storage, so the executor may use them between clone3 and execve.
//
// src/sys in general: one thin wrapper a system call, under the kernel's name, and
// the constants and structures they take. No policy, no fallback, no retry on EINTR,
// no allocation. Includes nothing else of isle. flag_names is the one exception to
// "no libc": it is for the code that prints and parses.
#pragma once

#include <cstdint>
#include <type_traits>

namespace isle::sys {

/// Any argument of a system call as the register's value: pointers by address, enums by number,
/// signed integers sign-extended, unsigned ones zero-extended.
template <class T>
[[gnu::always_inline]] inline long to_register(T value) noexcept {
  if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<long>(static_cast<std::underlying_type_t<T>>(value));
  } else {
    static_assert(std::is_integral_v<T>, "a system call takes integers, enums and pointers");
    return static_cast<long>(value);
  }
}

/// Issues system call `number`; returns the kernel's result, -4095..-1 being -errno.
[[gnu::always_inline]] inline long raw6(long number, long a, long b, long c, long d, long e,
                                        long f) noexcept {
#if defined(__x86_64__)
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory", "cc");
  return x0;
#else
#error "isle knows the system call instruction of x86-64 and aarch64 only"
#endif
}

#ifdef __clang_analyzer__
/// To the analyzer an opaque call: the kernel writes through the pointers it is given.
long raw_opaque(long number, ...) noexcept;
#endif

/// Issues system call `number` with up to six arguments; the rest are passed as 0.
template <class... Args>
  requires(sizeof...(Args) <= 6)
[[gnu::always_inline]] inline long raw(long number, Args... args) noexcept {
#ifdef __clang_analyzer__
  return raw_opaque(number, args...);
#else
  long registers[6] = {};
  [[maybe_unused]] int i = 0;
  ((registers[i++] = to_register(args)), ...);
  return raw6(number, registers[0], registers[1], registers[2], registers[3], registers[4],
              registers[5]);
#endif
}

/// raw() for calls whose result fits an int: 0, a descriptor, a pid or -errno.
template <class... Args>
[[gnu::always_inline]] inline int raw_int(long number, Args... args) noexcept {
  return static_cast<int>(raw(number, args...));
}

}  // namespace isle::sys
