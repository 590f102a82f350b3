#include "plan/view.h"

namespace isle::plan {

View::View(const Plan& plan) {
  const auto bytes = plan.bytes();
  if (bytes.size() < sizeof(Header)) return;
  const auto* header = reinterpret_cast<const Header*>(bytes.data());
  const uint64_t steps_end = sizeof(Header) + uint64_t{header->step_count} * sizeof(Step);
  if (header->magic != Header::kMagic || header->size != bytes.size() ||
      header->text_offset != steps_end ||
      uint64_t{header->text_offset} + header->text_size != bytes.size())
    return;
  header_ = header;
  steps_ = {plan::steps(header), header->step_count};
  texts_ = {plan::text(header, 0), header->text_size};
}

bool View::holds_text(uint64_t argument) const {
  return high(argument) == 0 && argument < texts_.size() &&
         texts_.find('\0', argument) != std::string_view::npos;
}

bool View::holds_list(uint64_t argument) const {
  size_t at = argument & 0xffffffff;
  for (uint32_t i = 0; i < high(argument); ++i) {
    if (at >= texts_.size()) return false;
    const size_t end = texts_.find('\0', at);
    if (end == std::string_view::npos) return false;
    at = end + 1;
  }
  return (argument & 0xffffffff) < texts_.size();
}

bool View::holds_blob(uint64_t argument) const {
  const uint64_t offset = argument & 0xffffffff;
  return offset % 8 == 0 && offset + high(argument) <= texts_.size();
}

std::string_view View::text(uint64_t argument) const {
  if (!holds_text(argument)) return {};
  return texts_.substr(argument, texts_.find('\0', argument) - argument);
}

std::vector<std::string_view> View::list(uint64_t argument) const {
  std::vector<std::string_view> items;
  if (!holds_list(argument)) return items;
  size_t at = argument & 0xffffffff;
  for (uint32_t i = 0; i < high(argument); ++i) {
    const size_t end = texts_.find('\0', at);
    items.push_back(texts_.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

std::span<const std::byte> View::blob(uint64_t argument) const {
  if (!holds_blob(argument)) return {};
  return {reinterpret_cast<const std::byte*>(texts_.data()) + (argument & 0xffffffff),
          high(argument)};
}

std::string_view View::origin(uint16_t index) const {
  if (header_ == nullptr || index >= header_->origin_count) return {};
  const uint64_t list = header_->origin_list | static_cast<uint64_t>(header_->origin_count) << 32;
  const auto origins = this->list(list);
  return index < origins.size() ? origins[index] : std::string_view{};
}

}  // namespace isle::plan
