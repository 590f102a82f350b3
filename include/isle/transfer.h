// How a value goes from one process to another: as bytes and descriptors. in.h sends results so.
// A type of one's own takes part by a specialisation of Transfer.
#pragma once

// put() takes what is made of others by value and moves from it, where there is something to move.
// NOLINTBEGIN(performance-unnecessary-value-param)

#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/namespace.h"

namespace isle {

/// What is sent. Written from front to back, read in the same order.
class Parcel {
 public:
  void write(const void* bytes, size_t size) {
    bytes_.append(static_cast<const char*>(bytes), size);
  }
  void write(Fd fd) { fds_.push_back(std::move(fd)); }

  /// The next `size` bytes. Throws std::out_of_range past the end.
  void read(void* bytes, size_t size) {
    if (size > bytes_.size() - next_byte_) throw std::out_of_range("isle::Parcel: no more bytes");
    if (size > 0) std::memcpy(bytes, bytes_.data() + next_byte_, size);
    next_byte_ += size;
  }
  /// How many bytes are left.
  [[nodiscard]] size_t left() const { return bytes_.size() - next_byte_; }
  [[nodiscard]] Fd read_fd() {
    if (next_fd_ == fds_.size()) throw std::out_of_range("isle::Parcel: no more descriptors");
    return std::move(fds_[next_fd_++]);
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] std::span<const Fd> fds() const { return fds_; }

 private:
  std::string bytes_;
  std::vector<Fd> fds_;
  size_t next_byte_ = 0;
  size_t next_fd_ = 0;
};

/// put() and take() of a type that can be sent; the primary template is for those that cannot.
template <class T>
struct Transfer {};

template <class T>
concept Transferable = std::is_void_v<T> || requires(Parcel& parcel, T value) {
  Transfer<T>::put(parcel, std::move(value));
  { Transfer<T>::take(parcel) } -> std::same_as<T>;
};

/// Values that are their bytes. A pointer or a view is no value.
template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
           !std::is_same_v<T, std::string_view> && std::is_default_constructible_v<T>)
struct Transfer<T> {
  static void put(Parcel& parcel, const T& value) { parcel.write(&value, sizeof value); }
  static T take(Parcel& parcel) {
    T value;
    parcel.read(&value, sizeof value);
    return value;
  }
};

template <>
struct Transfer<std::string> {
  static void put(Parcel& parcel, const std::string& text) {
    Transfer<size_t>::put(parcel, text.size());
    parcel.write(text.data(), text.size());
  }
  static std::string take(Parcel& parcel) {
    const auto size = Transfer<size_t>::take(parcel);
    if (size > parcel.left()) throw std::out_of_range("isle::Parcel: no more bytes");
    std::string text(size, '\0');
    parcel.read(text.data(), size);
    return text;
  }
};

template <Transferable T>
struct Transfer<std::vector<T>> {
  static void put(Parcel& parcel, std::vector<T> values) {
    Transfer<size_t>::put(parcel, values.size());
    for (T& value : values) Transfer<T>::put(parcel, std::move(value));
  }
  static std::vector<T> take(Parcel& parcel) {
    std::vector<T> values;
    for (size_t left = Transfer<size_t>::take(parcel); left > 0; --left)
      values.push_back(Transfer<T>::take(parcel));
    return values;
  }
};

template <Transferable A, Transferable B>
  requires(!std::is_trivially_copyable_v<std::pair<A, B>>)
struct Transfer<std::pair<A, B>> {
  static void put(Parcel& parcel, std::pair<A, B> both) {
    Transfer<A>::put(parcel, std::move(both.first));
    Transfer<B>::put(parcel, std::move(both.second));
  }
  static std::pair<A, B> take(Parcel& parcel) {
    A first = Transfer<A>::take(parcel);
    return {std::move(first), Transfer<B>::take(parcel)};
  }
};

template <Transferable T>
  requires(!std::is_trivially_copyable_v<std::optional<T>>)
struct Transfer<std::optional<T>> {
  static void put(Parcel& parcel, std::optional<T> value) {
    Transfer<bool>::put(parcel, value.has_value());
    if (value) Transfer<T>::put(parcel, std::move(*value));
  }
  static std::optional<T> take(Parcel& parcel) {
    if (!Transfer<bool>::take(parcel)) return std::nullopt;
    return Transfer<T>::take(parcel);
  }
};

/// The open file itself; it gets a number of the receiver's, close-on-exec.
template <>
struct Transfer<Fd> {
  static void put(Parcel& parcel, Fd fd) {
    Transfer<bool>::put(parcel, static_cast<bool>(fd));
    if (fd) parcel.write(std::move(fd));
  }
  static Fd take(Parcel& parcel) { return Transfer<bool>::take(parcel) ? parcel.read_fd() : Fd(); }
};

template <>
struct Transfer<Namespace> {
  static void put(Parcel& parcel, Namespace value) { parcel.write(std::move(value).release()); }
  static Namespace take(Parcel& parcel) {
    return std::move(Namespace::from_fd(parcel.read_fd()).value());
  }
};

template <>
struct Transfer<Error> {
  static void put(Parcel& parcel, const Error& error) {
    Transfer<int>::put(parcel, error.code);
    for (const std::string* text : {&error.what, &error.asked_by, &error.hint})
      Transfer<std::string>::put(parcel, *text);
    Transfer<int>::put(parcel, error.step);
  }
  static Error take(Parcel& parcel) {
    Error error;
    error.code = Transfer<int>::take(parcel);
    for (std::string* text : {&error.what, &error.asked_by, &error.hint})
      *text = Transfer<std::string>::take(parcel);
    error.step = Transfer<int>::take(parcel);
    return error;
  }
};

template <Transferable T>
struct Transfer<Result<T>> {
  static void put(Parcel& parcel, Result<T> result) {
    Transfer<bool>::put(parcel, result.has_value());
    if (!result) return Transfer<Error>::put(parcel, result.error());
    if constexpr (!std::is_void_v<T>) Transfer<T>::put(parcel, std::move(*result));
  }
  static Result<T> take(Parcel& parcel) {
    if (!Transfer<bool>::take(parcel)) return std::unexpected(Transfer<Error>::take(parcel));
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return Transfer<T>::take(parcel);
  }
};

}  // namespace isle

// NOLINTEND(performance-unnecessary-value-param)
