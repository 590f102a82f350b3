#include "plan/builder.h"

#include <algorithm>
#include <cstring>

namespace isle::plan {

// Offset 0 is the empty text, so that an argument left at 0 is a harmless one.
Builder::Builder() : text_(1, '\0'), taken_(kRegisters, false) {
  steps_.reserve(512);
  text_.reserve(size_t{16} * 1024);
}

uint64_t Builder::text(std::string_view text) {
  if (text.empty()) return 0;
  const uint64_t offset = text_.size();
  text_.insert(text_.end(), text.begin(), text.end());
  text_.push_back('\0');
  return offset;
}

uint64_t Builder::list(std::span<const std::string> strings) {
  const uint64_t offset = text_.size();
  for (const std::string& string : strings) {
    text_.insert(text_.end(), string.begin(), string.end());
    text_.push_back('\0');
  }
  if (strings.empty()) text_.push_back('\0');
  return offset | static_cast<uint64_t>(strings.size()) << 32;
}

uint64_t Builder::blob(const void* data, size_t size_bytes) {
  // The text block starts at a multiple of 8: Header and Step are multiples of 8.
  while (text_.size() % 8 != 0) text_.push_back('\0');
  const uint64_t offset = text_.size();
  const auto* bytes = static_cast<const char*>(data);
  text_.insert(text_.end(), bytes, bytes + size_bytes);
  text_.push_back('\0');
  return offset | static_cast<uint64_t>(size_bytes) << 32;
}

uint64_t Builder::scratch(size_t count) {
  const size_t first = scratch_pointers_;
  scratch_pointers_ += count;
  return first;
}

Register Builder::take() {
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  if (free == taken_.end()) {
    out_of_registers_ = true;
    return 0;
  }
  *free = true;
  return static_cast<Register>(free - taken_.begin());
}

void Builder::release(Register number) {
  if (number < taken_.size()) taken_[number] = false;
}

Step& Builder::add(Actor actor, Op op, Origin from, std::initializer_list<uint64_t> args) {
  Step& step = steps_.emplace_back();
  step.op = op;
  step.actor = actor;
  step.origin = from;
  std::copy(args.begin(), args.end(), step.arg);
  return step;
}

Plan Builder::finish(std::span<const std::string> origins) {
  const uint64_t origin_list = list(origins);
  header.origin_list = static_cast<uint32_t>(origin_list);
  header.origin_count = high(origin_list);
  header.step_count = static_cast<uint32_t>(steps_.size());
  header.text_offset = static_cast<uint32_t>(sizeof(Header) + steps_.size() * sizeof(Step));
  header.text_size = static_cast<uint32_t>(text_.size());
  header.size = header.text_offset + header.text_size;
  header.scratch_pointers = static_cast<uint32_t>(scratch_pointers_);

  std::vector<std::byte> bytes;
  bytes.reserve(header.size);
  for (const auto& part : {std::as_bytes(std::span(&header, 1)), std::as_bytes(std::span(steps_)),
                           std::as_bytes(std::span(text_))})
    bytes.insert(bytes.end(), part.begin(), part.end());
  return Plan(std::move(bytes));
}

}  // namespace isle::plan
