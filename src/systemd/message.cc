#include "systemd/message.h"

#include <bit>
#include <cstring>

namespace isle::systemd {
namespace {

constexpr char kByteOrder = 'l';
static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");
constexpr char kVersion = 1;
constexpr size_t kMostBytes = 1 << 20;
constexpr int kDeepest = 16;

/// Codes of the header's fields.
enum Field : uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSignature = 8
};

size_t alignment_of(char type) {
  switch (type) {
    case 'n':
    case 'q':
      return 2;
    case 'b':
    case 'i':
    case 'u':
    case 's':
    case 'o':
    case 'a':
      return 4;
    case 'x':
    case 't':
    case 'd':
    case '(':
    case '{':
      return 8;
    default:
      return 1;
  }
}

/// Bytes of a number; 0: it is none.
size_t width_of(char type) {
  return type == 'y'                                                         ? 1
         : std::string_view("nqbiuxtd").find(type) == std::string_view::npos ? 0
                                                                             : alignment_of(type);
}

/// Length of the complete type that `signature` begins with; 0: it begins with none.
size_t type_length(std::string_view signature, int depth = 0) {
  if (signature.empty() || depth > kDeepest) return 0;
  const char first = signature.front();
  if (first == 'a') {
    const size_t rest = type_length(signature.substr(1), depth + 1);
    return rest == 0 ? 0 : rest + 1;
  }
  if (first != '(' && first != '{')
    return width_of(first) != 0 || std::string_view("sogv").find(first) != std::string_view::npos;
  const char close = first == '(' ? ')' : '}';
  size_t length = 1;
  while (length < signature.size() && signature[length] != close) {
    const size_t member = type_length(signature.substr(length), depth + 1);
    if (member == 0) return 0;
    length += member;
  }
  return length < signature.size() && length > 1 ? length + 1 : 0;
}

class Writer {
 public:
  void align(size_t to) { bytes.resize((bytes.size() + to - 1) / to * to); }

  void number(uint64_t value, size_t width) {
    align(width);
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, width);
  }

  void signature(std::string_view text) {
    bytes += static_cast<char>(text.size());
    bytes.append(text).push_back('\0');
  }

  void put(const Value& value) {
    const char type = value.type.front();
    if (const size_t width = width_of(type); width != 0) return number(value.number, width);
    switch (type) {
      case 's':
      case 'o':
        number(value.text.size(), 4);
        bytes.append(value.text).push_back('\0');
        return;
      case 'g':
        return signature(value.text);
      case 'v':
        signature(value.items.front().type);
        return put(value.items.front());
      case 'a': {
        number(0, 4);
        const size_t length_at = bytes.size() - 4;
        align(alignment_of(value.type[1]));  // not counted as the array's
        const size_t begin = bytes.size();
        for (const Value& item : value.items) put(item);
        const auto length = static_cast<uint32_t>(bytes.size() - begin);
        std::memcpy(bytes.data() + length_at, &length, sizeof length);
        return;
      }
      default:  // a struct
        align(8);
        for (const Value& item : value.items) put(item);
    }
  }

  std::string bytes;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] size_t at() const { return at_; }
  void align(size_t to) { at_ = (at_ + to - 1) / to * to; }

  uint64_t number(size_t width) {
    align(width);
    uint64_t value = 0;
    const std::string_view raw = take(width);
    if (raw.size() == width) std::memcpy(&value, raw.data(), width);
    return value;
  }

  std::string text(size_t length_width) {
    const auto length = static_cast<size_t>(number(length_width));
    const std::string_view raw = take(length);
    if (take(1) != std::string_view("\0", 1)) good_ = false;
    return std::string(raw);
  }

  Value value(std::string_view type, int depth = 0) {
    Value result{.type = std::string(type)};
    if (type.empty() || depth > kDeepest) good_ = false;
    if (!good_) return result;
    const char first = type.front();
    if (const size_t width = width_of(first); width != 0) {
      result.number = number(width);
      if (first == 'n') result.number = static_cast<uint64_t>(static_cast<int16_t>(result.number));
      if (first == 'i') result.number = static_cast<uint64_t>(static_cast<int32_t>(result.number));
      return result;
    }
    if (first == 's' || first == 'o') {
      result.text = text(4);
    } else if (first == 'g') {
      result.text = text(1);
    } else if (first == 'v') {
      const std::string inner = text(1);
      if (type_length(inner) != inner.size()) good_ = false;
      result.items.push_back(value(inner, depth + 1));
    } else if (first == 'a') {
      const auto length = static_cast<size_t>(number(4));
      align(alignment_of(type[1]));
      const size_t end = at_ + length;
      if (length > bytes_.size()) good_ = false;
      while (good_ && at_ < end) result.items.push_back(value(type.substr(1), depth + 1));
      if (at_ != end) good_ = false;
    } else {
      align(8);
      result.items = values(type.substr(1, type.size() - 2), depth + 1);
    }
    return result;
  }

  std::vector<Value> values(std::string_view signature, int depth = 0) {
    std::vector<Value> result;
    while (good_ && !signature.empty()) {
      const size_t length = type_length(signature);
      if (length == 0) good_ = false;
      if (!good_) break;
      result.push_back(value(signature.substr(0, length), depth));
      signature.remove_prefix(length);
    }
    return result;
  }

 private:
  std::string_view take(size_t count) {
    if (at_ > bytes_.size() || count > bytes_.size() - at_) good_ = false;
    if (!good_) return {};
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool good_ = true;
};

Value field(Field code, Value value) {
  return tuple({{.type = "y", .number = code}, {.type = "v", .items = {std::move(value)}}});
}

constexpr const char* kFieldsType = "(yv)";

}  // namespace

std::string to_bytes(const Message& message) {
  Writer body;
  std::string signature;
  for (const Value& argument : message.arguments) {
    signature += argument.type;
    body.put(argument);
  }
  std::vector<Value> fields;
  const auto add = [&](Field code, const std::string& text, const char* type) {
    if (!text.empty()) fields.push_back(field(code, {.type = type, .text = text}));
  };
  add(kPath, message.path, "o");
  add(kInterface, message.interface, "s");
  add(kMember, message.member, "s");
  add(kErrorName, message.error_name, "s");
  add(kDestination, message.destination, "s");
  add(kSignature, signature, "g");
  if (message.reply_to != 0) fields.push_back(field(kReplySerial, uint32(message.reply_to)));
  Writer all;
  all.bytes = {kByteOrder, static_cast<char>(message.type), 0, kVersion};
  all.number(body.bytes.size(), 4);
  all.number(message.serial, 4);
  all.put(array(kFieldsType, std::move(fields)));
  all.align(8);
  return all.bytes + body.bytes;
}

Result<size_t> size_of_message(std::string_view first) {
  if (first.size() < kFixedHeader || first[0] != kByteOrder || first[3] != kVersion)
    return fail(0, "the bus sent what is no D-Bus message of this machine's byte order");
  uint32_t body = 0;
  uint32_t fields = 0;
  std::memcpy(&body, first.data() + 4, sizeof body);
  std::memcpy(&fields, first.data() + 12, sizeof fields);
  const size_t header = (kFixedHeader + size_t{fields} + 7) / 8 * 8;
  if (header + body > kMostBytes)
    return fail(0, "the bus sent a message longer than any that was asked for");
  return header + body;
}

Result<Message> parse_message(std::string_view bytes) {
  const auto size = size_of_message(bytes);
  if (!size) return std::unexpected(size.error());
  const auto broken = [] { return fail(0, "the bus sent a message that is no valid D-Bus"); };
  if (*size != bytes.size()) return broken();
  Message message;
  message.type = static_cast<MessageType>(bytes[1]);
  Reader reader(bytes);
  (void)reader.number(8);
  message.serial = static_cast<uint32_t>(reader.number(4));
  const Value fields = reader.value("a(yv)");
  std::string signature;
  for (const Value& each : fields.items) {
    if (!reader.good() || each.items.size() != 2 || each.items[1].items.size() != 1) break;
    const Value& value = each.items[1].items[0];
    switch (each.items[0].number) {
      case kPath:
        message.path = value.text;
        break;
      case kInterface:
        message.interface = value.text;
        break;
      case kMember:
        message.member = value.text;
        break;
      case kErrorName:
        message.error_name = value.text;
        break;
      case kReplySerial:
        message.reply_to = static_cast<uint32_t>(value.number);
        break;
      case kSignature:
        signature = value.text;
        break;
      default:
        break;
    }
  }
  reader.align(8);
  message.arguments = reader.values(signature);
  if (!reader.good() || reader.at() != bytes.size()) return broken();
  return message;
}

}  // namespace isle::systemd
