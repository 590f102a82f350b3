// Operations on the command's terminal.
#include <linux/errno.h>

#include "exec/operations.h"
#include "path/in_root.h"
#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle::exec {
namespace {

using plan::Op;
using plan::Step;

constexpr auto kFlags = sys::OpenFlags::rdwr | sys::OpenFlags::noctty | sys::OpenFlags::cloexec;

/// struct termios, the kernel's.
struct TerminalModes {
  std::uint32_t input = 0;
  std::uint32_t output = 0;
  std::uint32_t rest[7] = {};
};

void clear_onlcr(int terminal) noexcept {
  constexpr std::uint32_t kOnlcr = 4;
  TerminalModes modes;
  if (sys::ioctl(terminal, sys::Ioctl::tcgets, &modes) < 0) return;
  modes.output &= ~kOnlcr;
  sys::ioctl(terminal, sys::Ioctl::tcsets, &modes);
}

/// struct winsize.
struct WindowSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
  std::uint16_t pixels[2] = {};
};

/// Master and slave of a new pseudoterminal; the slave by TIOCGPTPEER, so by no path at all.
long open_console(Context& c, const Step& s) noexcept {
  const int master =
      s.arg[0] == plan::kNoRegister
          ? path::open_in(sys::kAtFdcwd, c.text(s.arg[1]), kFlags, sys::Resolve::no_magiclinks)
          : path::open_in(c.in(s.arg[0]), c.text(s.arg[1]), kFlags);
  if (master < 0) return master;
  int unlocked = 0;
  int result = sys::ioctl(master, sys::Ioctl::tiocsptlck, &unlocked);
  if (result == 0) result = sys::ioctl(master, sys::Ioctl::tiocgptpeer, sys::bits(kFlags));
  if (result < 0) {
    sys::close(master);
    return result;
  }
  c.out(s.arg[4], master);
  const WindowSize size{static_cast<std::uint16_t>(s.arg[2]), static_cast<std::uint16_t>(s.arg[3])};
  if (size.rows != 0 || size.columns != 0) sys::ioctl(result, sys::Ioctl::tiocswinsz, &size);
  if (s.arg[6] != 0) clear_onlcr(result);
  return c.out(s.arg[5], result);
}

/// By a path, which is then its name for /proc/self/fd.
long open_slave(Context& c, const Step& s) noexcept {
  unsigned number = 0;
  if (const int result = sys::ioctl(c.in(s.arg[0]), sys::Ioctl::tiocgptn, &number); result < 0)
    return result;
  Text<12> name;
  name.add_number(number);
  return c.out(s.arg[2], path::open_in(c.in(s.arg[1]), name.bytes, kFlags));
}

}  // namespace

long do_terminal(Context& c, const Step& s) noexcept {
  switch (s.op) {
    case Op::open_console:
      return open_console(c, s);
    case Op::open_slave:
      return open_slave(c, s);
    case Op::controlling_terminal:
      return sys::ioctl(c.in(s.arg[0]), sys::Ioctl::tiocsctty, 0);
    default:
      return -ENOSYS;
  }
}

}  // namespace isle::exec
