#include "run/arena.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/file_calls.h"
#include "sys/io_calls.h"

namespace isle {

Arena::Arena(Arena&& other) noexcept
    : header_(std::exchange(other.header_, nullptr)),
      own_(std::move(other.own_)),
      fd_(std::move(other.fd_)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(header_, other.header_);
  std::swap(own_, other.own_);
  std::swap(fd_, other.fd_);
  return *this;
}

Arena::~Arena() {
  if (header_ != nullptr && own_ == nullptr) ::munmap(header_, plan::arena_size(header_));
}

Result<Arena> Arena::make(const Plan& plan, const LaunchOptions& options, Sharing sharing) {
  const auto* source = reinterpret_cast<const plan::Header*>(plan.bytes().data());
  const size_t size = plan::arena_size(source);
  Arena arena;
  if (sharing == Sharing::programs) {
    const int made = sys::memfd_create("isle-plan", sys::MemfdFlags::cloexec);
    if (made < 0) return fail(-made, "make a memory file for the plan");
    arena.fd_.reset(made);
    if (const int result = sys::ftruncate(arena.fd_.get(), static_cast<int64_t>(size)); result < 0)
      return fail(-result, "make a memory file for the plan");
    // Written, not copied into the mapping: that would be a page fault a page.
    const long written = sys::write(arena.fd_.get(), plan.bytes().data(), plan.bytes().size());
    if (written != static_cast<long>(plan.bytes().size()))
      return fail(written < 0 ? static_cast<int>(-written) : ENOSPC,
                  "write the plan to a memory file");
  }
  void* memory = nullptr;
  if (sharing == Sharing::threads) {
    arena.own_ = std::make_unique<char[]>(size);
    memory = arena.own_.get();
  } else {
    const int flags = MAP_SHARED | (sharing == Sharing::processes ? MAP_ANONYMOUS : 0);
    memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, arena.fd_.get(), 0);
    if (memory == MAP_FAILED) return fail(errno, "map memory for the plan");
  }
  if (sharing != Sharing::programs) std::memcpy(memory, plan.bytes().data(), plan.bytes().size());
  auto* header = static_cast<plan::Header*>(memory);
  if (options.record_times) header->record_times = 1;
  if (options.fault) {
    header->fault_step = static_cast<uint16_t>(options.fault->step);
    header->fault_error = options.fault->error;
    header->fault_kind = options.fault->error != 0 ? plan::FaultKind::fail : plan::FaultKind::hang;
  }
  arena.header_ = header;
  return arena;
}

std::vector<StepTime> Arena::times() const {
  std::vector<StepTime> times(header_->step_count);
  const auto* done = reinterpret_cast<const uint64_t*>(reinterpret_cast<const char*>(header_) +
                                                       plan::times_offset(header_));
  for (size_t i = 0; i < times.size(); ++i) times[i].done_ns = done[i];
  return times;
}

uint64_t Arena::namespace_inode(NamespaceType type) const {
  const auto* inodes = reinterpret_cast<const uint64_t*>(reinterpret_cast<const char*>(header_) +
                                                         plan::namespaces_offset(header_));
  return inodes[static_cast<size_t>(type)];
}

}  // namespace isle
