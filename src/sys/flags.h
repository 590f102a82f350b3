// Bit operators for flag sets: a flag set is an `enum class` that opts in with
//     template <> inline constexpr bool is_flag_set<OpenFlags> = true;
#pragma once

#include <type_traits>
#include <utility>

namespace isle::sys {

template <class E>
inline constexpr bool is_flag_set = false;

template <class E>
concept FlagSet = std::is_enum_v<E> && is_flag_set<E>;

/// The set as a number.
template <FlagSet E>
constexpr std::underlying_type_t<E> bits(E e) noexcept {
  return static_cast<std::underlying_type_t<E>>(e);
}
template <FlagSet E>
constexpr E operator|(E a, E b) noexcept {
  return static_cast<E>(bits(a) | bits(b));
}
template <FlagSet E>
constexpr E operator&(E a, E b) noexcept {
  return static_cast<E>(bits(a) & bits(b));
}
template <FlagSet E>
constexpr E operator^(E a, E b) noexcept {
  return static_cast<E>(bits(a) ^ bits(b));
}
template <FlagSet E>
constexpr E operator~(E a) noexcept {
  return static_cast<E>(~bits(a));
}
template <FlagSet E>
constexpr E& operator|=(E& a, E b) noexcept {
  return a = a | b;
}
template <FlagSet E>
constexpr E& operator&=(E& a, E b) noexcept {
  return a = a & b;
}
/// Whether any bit is set.
template <FlagSet E>
constexpr bool any(E e) noexcept {
  return bits(e) != 0;
}
/// Whether every bit of `wanted` is set in `e`.
template <FlagSet E>
constexpr bool has(E e, E wanted) noexcept {
  return (bits(e) & bits(wanted)) == bits(wanted);
}

}  // namespace isle::sys
