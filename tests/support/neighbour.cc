#include "neighbour.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "sys/process_calls.h"

namespace isle::test {

Neighbour::Neighbour(NamespaceSet types, const std::function<bool()>& prepare) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return;
  sys::clone_args args;
  args.flags = types.clone_flags();
  args.exit_signal = SIGCHLD;
  pid_ = sys::clone3(&args);
  if (pid_ == 0) {
    const bool prepared = prepare();
    if (::write(fds[1], prepared ? "1" : "0", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  ::close(fds[1]);
  char byte = 0;
  ready_ = ::read(fds[0], &byte, 1) == 1 && byte == '1';
  ::close(fds[0]);
}

void Neighbour::kill() {
  if (const pid_t pid = std::exchange(pid_, -1); pid > 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

Neighbour::~Neighbour() { kill(); }

}  // namespace isle::test
