// The four functions a compiler may call on its own, for the program that has no libc.
#include <cstddef>

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
  auto* t = static_cast<unsigned char*>(to);
  const auto* f = static_cast<const unsigned char*>(from);
  while (size-- > 0) *t++ = *f++;
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  auto* t = static_cast<unsigned char*>(to);
  const auto* f = static_cast<const unsigned char*>(from);
  if (t < f) return memcpy(to, from, size);
  while (size-- > 0) t[size] = f[size];
  return to;
}

void* memset(void* to, int value, size_t size) {
  auto* t = static_cast<unsigned char*>(to);
  while (size-- > 0) *t++ = static_cast<unsigned char>(value);
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (; size > 0; --size, ++x, ++y)
    if (*x != *y) return *x - *y;
  return 0;
}
}
