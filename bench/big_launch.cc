// How long the library takes to start a sandbox and see its end, from a small process or from a big one.
//
//   big_launch [--threads N] [--touch-mib N] [--rounds N] COMMAND
//
// Prints one wall time in ns a line. The threads do what threads of a server do: short pieces of work with allocations
// under locks, then a pause. They keep the process's locks and address space busy but leave the processors free, so that
// the times show what the launch pays for the process it starts from and not how the scheduler shares out.

#include <linux/mount.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "isle/run.h"
#include "isle/spec.h"

namespace {

using isle::NamespaceType;

struct Options {
  int threads = 0;
  size_t touch_mib = 0;
  int rounds = 100;
  const char* command = nullptr;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      options.command = argv[i];
      break;
    }
    const int value = i + 1 < argc ? std::atoi(argv[++i]) : 0;
    if (word == "--threads") options.threads = value;
    if (word == "--touch-mib") options.touch_mib = static_cast<size_t>(value);
    if (word == "--rounds") options.rounds = value;
  }
  return options;
}

// The default sandbox of `isle run`.
isle::Spec sandbox(const char* command) {
  constexpr uint64_t kTight = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  isle::Spec spec;
  for (const NamespaceType type :
       {NamespaceType::user, NamespaceType::mount, NamespaceType::pid, NamespaceType::uts,
        NamespaceType::ipc, NamespaceType::network, NamespaceType::cgroup}) {
    spec.namespaces.push_back({.type = type});
  }
  spec.use_subordinate_ids = false;
  spec.root.emplace();
  spec.root->attributes = kTight | MOUNT_ATTR_RDONLY;
  const auto mount = [&spec](const char* where, const char* type, uint64_t attributes,
                             const char* mode) {
    isle::FileSystem file_system;
    file_system.type = type;
    file_system.source = type;
    file_system.attributes.set = attributes;
    if (mode != nullptr) file_system.options.emplace_back("mode", mode);
    spec.mounts.push_back({.destination = where, .what = std::move(file_system)});
  };
  mount("/proc", "proc", kTight | MOUNT_ATTR_NOEXEC, nullptr);
  spec.mounts.push_back({.destination = "/proc", .what = isle::CoverProc{}});
  spec.mounts.push_back({.destination = "/dev", .what = isle::Dev{}});
  mount("/tmp", "tmpfs", kTight, "1777");
  mount("/run", "tmpfs", kTight, "0755");
  spec.loopback_up.value = true;
  spec.process.args.value = {command};
  spec.process.capabilities.emplace();
  spec.process.no_new_privileges.value = true;
  spec.process.new_session.value = true;
  return spec;
}

void work(const std::atomic<bool>& stop, unsigned seed) {
  while (!stop.load(std::memory_order_relaxed)) {
    for (unsigned i = 0; i < 50; ++i) {
      seed = seed * 1664525U + 1013904223U;
      const std::unique_ptr<char[]> piece(new char[64 + seed % 4096]);
      *static_cast<volatile char*>(piece.get()) = 1;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(5000 + seed % 5000));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.command == nullptr) {
    std::fputs("usage: big_launch [--threads N] [--touch-mib N] [--rounds N] COMMAND\n", stderr);
    return 2;
  }
  std::vector<char> touched(options.touch_mib << 20, 1);
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < options.threads; ++i) {
    threads.emplace_back([&stop, i] { work(stop, static_cast<unsigned>(i)); });
  }

  int status = 0;
  const isle::Spec spec = sandbox(options.command);
  for (int round = -5; round < options.rounds && status == 0; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const isle::Result<isle::ExitStatus> ended = isle::run(spec);
    const auto took = std::chrono::steady_clock::now() - begin;
    if (!ended) {
      std::fprintf(stderr, "big_launch: %s: %s\n", ended.error().what.c_str(),
                   std::strerror(ended.error().code));
      status = 125;
    } else if (ended->shell_status() != 0) {
      std::fprintf(stderr, "big_launch: exit status %d\n", ended->shell_status());
      status = 1;
    } else if (round >= 0) {
      std::printf("%lld\n", static_cast<long long>(took / std::chrono::nanoseconds(1)));
    }
  }
  stop = true;
  // Read back, so that no compiler finds the memory unused.
  if (!touched.empty() && *static_cast<volatile char*>(&touched.back()) != 1) return 1;
  return status;
}
