#include "path/in_root.h"

#include <linux/errno.h>
#include <linux/limits.h>

#include <cstddef>

#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle::path {
namespace {

using sys::OpenFlags;

constexpr int kMostLinks = 40;     // as the kernel's MAXSYMLINKS
constexpr int kMostRetries = 128;  // openat2 gives up with EAGAIN while somebody renames

/// Follows no link, takes nothing that is there. For reading: while somebody may write to a file its
/// mount cannot be made read-only.
constexpr auto kNewFile = OpenFlags::rdonly | OpenFlags::creat | OpenFlags::excl |
                          OpenFlags::nofollow | OpenFlags::cloexec;

/// A path being worked on; links are spliced into it.
struct Buffer {
  char text[PATH_MAX];
  std::size_t length = 0;

  bool append(const char* bytes, std::size_t count) noexcept {
    if (length + count >= sizeof text) return false;
    for (std::size_t i = 0; i < count; ++i) text[length + i] = bytes[i];
    length += count;
    text[length] = '\0';
    return true;
  }
};

std::size_t length_of(const char* text) noexcept {
  std::size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

/// The last component and where it starts; trailing slashes do not count.
struct Split {
  std::size_t parent;  ///< Length of what stands before the component.
  std::size_t start;
  std::size_t end;
};
Split split_last(const char* path) noexcept {
  std::size_t end = length_of(path);
  while (end > 0 && path[end - 1] == '/') --end;
  std::size_t start = end;
  while (start > 0 && path[start - 1] != '/') --start;
  return {start, start, end};
}

bool is_dots(const char* name, std::size_t size) noexcept {
  return size == 0 || (name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')));
}

bool is_directory(int fd) noexcept {
  sys::statx_t stat;
  return sys::statx(fd, "", sys::AtFlags::empty_path, sys::StatxMask::type, &stat) == 0 &&
         (stat.stx_mode & sys::kModeTypeMask) == sys::kModeDirectory;
}

/// `name` made in `parent`; 0 also where it is there already.
int make_leaf(int parent, const char* name, Leaf leaf, std::uint32_t mode) noexcept {
  if (leaf == Leaf::directory) {
    const int made = sys::mkdirat(parent, name, mode);
    return made == -EEXIST ? 0 : made;
  }
  const int fd = sys::openat(parent, name, kNewFile, mode);
  if (fd >= 0) sys::close(fd);
  return fd == -EEXIST ? 0 : (fd < 0 ? fd : 0);
}

/// `text[0..parent) + target + rest`, or `target + rest` for an absolute target.
int splice_link(Buffer& path, std::size_t parent, std::size_t end, const char* target,
                std::size_t size) noexcept {
  Buffer spliced;
  if (target[0] != '/' && !spliced.append(path.text, parent)) return -ENAMETOOLONG;
  if (!spliced.append(target, size)) return -ENAMETOOLONG;
  if (!spliced.append(path.text + end, path.length - end)) return -ENAMETOOLONG;
  path = spliced;
  return 0;
}

/// One component further: makes the first one of `path` that is missing. 0: made, look again.
[[gnu::noinline]] int make_next(int root, Buffer& path, Leaf leaf, std::uint32_t mode) noexcept {
  int directory = open_in(root, ".", OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec);
  std::size_t start = 0;
  while (directory >= 0) {
    while (path.text[start] == '/') ++start;
    std::size_t end = start;
    while (path.text[end] != '\0' && path.text[end] != '/') ++end;
    bool last = true;
    for (std::size_t i = end; path.text[i] != '\0'; ++i) last = last && path.text[i] == '/';

    const char after = path.text[end];
    path.text[end] = '\0';
    const int next = open_in(root, path.text, OpenFlags::path | OpenFlags::cloexec);
    if (next != -ENOENT) {  // there, or an error of its own
      path.text[end] = after;
      sys::close(directory);
      if (next < 0 || last) {
        if (next >= 0) sys::close(next);
        return next < 0 ? next : 0;
      }
      directory = next;
      start = end;
      continue;
    }

    const char* name = path.text + start;
    char target[PATH_MAX];
    int result = -ENOENT;
    const int size = is_dots(name, end - start)
                         ? -ENOENT
                         : sys::readlinkat(directory, name, target, sizeof target - 1);
    if (size == -ENOENT && !is_dots(name, end - start)) {
      result = make_leaf(directory, name, last ? leaf : Leaf::directory, last ? mode : 0755);
      path.text[end] = after;
    } else {  // a link to nowhere, or "x/.." where x is missing
      path.text[end] = after;
      if (size > 0) {
        target[size] = '\0';
        result = splice_link(path, start, end, target, static_cast<std::size_t>(size));
      }
    }
    sys::close(directory);
    return result;
  }
  return directory;
}

/// What is at `path`, for make_in; a directory where a file is wanted is none.
int open_leaf(int root, const char* path, Leaf leaf) noexcept {
  const auto wanted = OpenFlags::path | OpenFlags::cloexec |
                      (leaf == Leaf::directory ? OpenFlags::directory : OpenFlags::rdonly);
  const int fd = open_in(root, path, wanted);
  if (fd < 0 || leaf == Leaf::directory || !is_directory(fd)) return fd;
  sys::close(fd);
  return -EISDIR;
}

/// Mostly only the last component is missing. False: that is not how it is, or a link stands there.
bool make_last(int root, Buffer& path, Leaf leaf, std::uint32_t mode) noexcept {
  const Split last = split_last(path.text);
  if (leaf != Leaf::directory || last.parent == 0 || path.text[last.end] != '\0' ||
      is_dots(path.text + last.start, last.end - last.start))
    return false;
  path.text[last.parent - 1] = '\0';
  const int parent =
      open_in(root, path.text, OpenFlags::path | OpenFlags::directory | OpenFlags::cloexec);
  path.text[last.parent - 1] = '/';
  if (parent < 0) return false;
  const int made = sys::mkdirat(parent, path.text + last.start, mode);
  sys::close(parent);
  return made == 0;
}

/// make_in, component by component. Apart, for the size of its stack: most paths need no more than
/// a look, and each page of a stack that is touched costs a fault.
[[gnu::noinline]] int make_by_steps(int root, const char* path, std::size_t length, Leaf leaf,
                                    std::uint32_t mode) noexcept {
  Buffer buffer;
  if (!buffer.append(path, length)) return -ENAMETOOLONG;
  if (make_last(root, buffer, leaf, mode)) return open_leaf(root, buffer.text, leaf);
  for (int left = kMostLinks + PATH_MAX / 2; left > 0; --left) {
    if (const int made = make_next(root, buffer, leaf, mode); made < 0) return made;
    const int fd = open_leaf(root, buffer.text, leaf);
    if (fd != -ENOENT) return fd;
  }
  return -ELOOP;
}

/// The first `length` bytes of `path`, a directory.
[[gnu::noinline]] int make_directory(int root, const char* path, std::size_t length) noexcept {
  Buffer directory;
  if (!directory.append(path, length)) return -ENAMETOOLONG;
  return make_in(root, directory.text, Leaf::directory, 0755);
}

}  // namespace

int open_in(int root, const char* path, OpenFlags flags, sys::Resolve resolve) noexcept {
  sys::open_how how;
  how.flags = sys::bits(flags);
  how.resolve = sys::bits(resolve);
  int fd = -EAGAIN;
  for (int i = 0; i < kMostRetries && fd == -EAGAIN; ++i) fd = sys::openat2(root, path, &how);
  return fd;
}

int make_in(int root, const char* path, Leaf leaf, std::uint32_t mode) noexcept {
  if (length_of(path) >= PATH_MAX) return -ENAMETOOLONG;
  while (path[0] == '/' && path[1] != '\0') ++path;
  const std::size_t length = length_of(path);
  // A name in the root itself needs no walk, and what is to be a file is mostly new: then making it
  // is the one call there is.
  const bool is_name = path[0] != '/' && split_last(path).parent == 0 && !is_dots(path, length);
  if (is_name && leaf == Leaf::file) {
    const int fd = sys::openat(root, path, kNewFile, mode);
    if (fd != -EEXIST) return fd;
  }
  if (length == 0) return -ENOENT;
  int fd = open_leaf(root, path, leaf);
  if (fd == -ENOENT && is_name && leaf == Leaf::directory && sys::mkdirat(root, path, mode) == 0)
    fd = open_leaf(root, path, leaf);
  return fd == -ENOENT ? make_by_steps(root, path, length, leaf, mode) : fd;
}

int parent_in(int root, const char* path, const char** name) noexcept {
  const Split last = split_last(path);
  if (is_dots(path + last.start, last.end - last.start) || path[last.end] != '\0') return -EINVAL;
  *name = path + last.start;
  std::size_t slashes = 0;
  while (path[slashes] == '/') ++slashes;
  return last.parent <= slashes ? root : make_directory(root, path, last.parent);
}

}  // namespace isle::path
