#include "oci/json_node.h"

#include <fmt/format.h>

namespace isle::oci {
namespace {

constexpr size_t kMostShown = 60;
constexpr int kDeepest = 100;  // the runtime-spec needs 8

/// Copies and texts of a document are made by calls one in another.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > kDeepest) return true;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

/// A key as a JSON pointer has it (RFC 6901).
std::string escaped(std::string_view key) {
  std::string result;
  for (const char c : key) {
    if (c == '~')
      result += "~0";
    else if (c == '/')
      result += "~1";
    else
      result += c;
  }
  return result;
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "...";
  return value.is_structured() ? fmt::format("{} ({})", text, value.type_name()) : text;
}

}  // namespace

std::string Node::where() const {
  return pointer_.empty() ? complaints_->document : complaints_->document + " " + pointer_;
}

std::optional<Node> Node::get(std::string_view key) const {
  if (!value_->is_object()) return std::nullopt;
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return Node(*found, pointer_ + "/" + escaped(key), *complaints_);
}

std::optional<Node> Node::require(std::string_view key) const {
  auto found = get(key);
  if (!found)
    complaints_->errors.push_back(
        {.what = fmt::format("{}: has no \"{}\", which it must have", where(), key),
         .asked_by = where()});
  return found;
}

std::vector<Node> Node::elements() const {
  std::vector<Node> result;
  if (!value_->is_array()) {
    expected("an array");
    return result;
  }
  for (size_t i = 0; i < value_->size(); ++i)
    result.emplace_back((*value_)[i], fmt::format("{}/{}", pointer_, i), *complaints_);
  return result;
}

std::vector<Node> Node::elements(std::string_view key) const {
  const auto found = get(key);
  return found ? found->elements() : std::vector<Node>{};
}

std::vector<std::pair<std::string, Node>> Node::members() const {
  std::vector<std::pair<std::string, Node>> result;
  if (!value_->is_object()) {
    expected("an object");
    return result;
  }
  for (const auto& [key, value] : value_->items())
    result.emplace_back(key, Node(value, pointer_ + "/" + escaped(key), *complaints_));
  return result;
}

bool Node::filled() const {
  return !value_->is_null() && !(value_->is_structured() && value_->empty()) &&
         !(value_->is_string() && value_->get_ref<const std::string&>().empty());
}

std::string Node::text() const {
  if (!value_->is_string()) {
    expected("a string");
    return {};
  }
  return value_->get<std::string>();
}

std::vector<std::string> Node::texts() const {
  std::vector<std::string> result;
  for (const Node& element : elements()) result.push_back(element.text());
  return result;
}

bool Node::boolean() const {
  if (!value_->is_boolean()) {
    expected("true or false");
    return false;
  }
  return value_->get<bool>();
}

int64_t Node::integer(int64_t least, int64_t most) const {
  const bool too_large = value_->is_number_unsigned() &&
                         value_->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  if (!value_->is_number_integer() || too_large || value_->get<int64_t>() < least ||
      value_->get<int64_t>() > most) {
    expected(fmt::format("an integer from {} to {}", least, most));
    return least > 0 ? least : 0;
  }
  return value_->get<int64_t>();
}

uint64_t Node::natural() const {
  if (!value_->is_number_unsigned()) {
    expected("an integer from 0 to 18446744073709551615");
    return 0;
  }
  return value_->get<uint64_t>();
}

uint32_t Node::id() const {
  return static_cast<uint32_t>(integer(0, std::numeric_limits<uint32_t>::max()));
}

std::string Node::text_or(std::string_view key, std::string fallback) const {
  const auto found = get(key);
  return found ? found->text() : std::move(fallback);
}

bool Node::boolean_or(std::string_view key, bool fallback) const {
  const auto found = get(key);
  return found ? found->boolean() : fallback;
}

void Node::expected(std::string_view wanted) const {
  complaints_->errors.push_back(
      {.what = fmt::format("{}: found {}, expected {}", where(), shown(*value_), wanted),
       .asked_by = where()});
}

void Node::refuse(std::string why, std::string hint) const {
  complaints_->errors.push_back({.what = fmt::format("{}: {}", where(), std::move(why)),
                                 .asked_by = where(),
                                 .hint = std::move(hint)});
}

void Node::warn(std::string what) const {
  complaints_->warnings.push_back(fmt::format("{}: {}", where(), std::move(what)));
}

Result<Json> parse_json(std::string_view text, std::string_view document) {
  if (is_too_deep(text))
    return fail(0, fmt::format("{}: is nested more than {} deep", document, kDeepest));
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    return fail(0, fmt::format("{}: is not JSON: {}", document, error.what()));
  }
}

}  // namespace isle::oci
