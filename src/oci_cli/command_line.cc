#include "oci_cli/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "oci_cli/flags.h"

namespace isle::oci_cli {
namespace {

/// Of two by one name, that of the verb.
const Flag* find_long(std::string_view name, std::string_view verb) {
  const Flag* found = nullptr;
  for (const Flag& flag : all_flags()) {
    if (flag.name != name) continue;
    if (!flag.verbs.empty() && flag.is_of(verb)) return &flag;
    if (found == nullptr || flag.verbs.empty()) found = &flag;
  }
  return found;
}

const Flag* find_letter(char letter, std::string_view verb) {
  for (const Flag& flag : all_flags())
    if (flag.letter == letter && flag.is_of(verb)) return &flag;
  return nullptr;
}

class Parser {
 public:
  explicit Parser(std::span<char* const> argv) : argv_(argv) {}

  Result<CommandLine> parse() {
    while (next_ < argv_.size()) {
      const std::string_view word = argv_[next_++];
      const bool is_flag = word.size() > 1 && word[0] == '-' &&
                           std::isdigit(static_cast<unsigned char>(word[1])) == 0;
      if (word == "--" || (!is_flag && takes_rest())) {
        if (word != "--") line_.operands.emplace_back(word);
        if (line_.verb.empty()) continue;
        skip_dashes();
        while (next_ < argv_.size()) line_.operands.emplace_back(argv_[next_++]);
      } else if (is_flag) {
        if (Status status = take(word); !status) return std::unexpected(status.error());
      } else if (line_.verb.empty()) {
        line_.verb = word;
      } else {
        line_.operands.emplace_back(word);
      }
    }
    return std::move(line_);
  }

 private:
  /// After exec's ID all is the command's, and after ps's its options.
  [[nodiscard]] bool takes_rest() const { return line_.verb == "exec" || line_.verb == "ps"; }
  void skip_dashes() {
    if (next_ < argv_.size() && std::string_view(argv_[next_]) == "--") ++next_;
  }

  Status take(std::string_view word) {
    std::string_view name = word.substr(word.starts_with("--") ? 2 : 1);
    const size_t sign = name.find('=');
    const bool has_value = sign != std::string_view::npos;
    const std::string_view value = has_value ? name.substr(sign + 1) : std::string_view{};
    name = name.substr(0, sign);
    const Flag* flag = find_long(name, line_.verb);
    if (flag == nullptr && name.size() == 1) flag = find_letter(name[0], line_.verb);
    if (flag == nullptr) return fail(0, fmt::format("flag provided but not defined: -{}", name));
    if (!flag->takes_value()) {
      if (value != "false") line_.flags.emplace(flag->name, value);
      return {};
    }
    if (!has_value && next_ == argv_.size())
      return fail(0, fmt::format("flag needs an argument: -{}", name));
    line_.flags.emplace(flag->name, has_value ? std::string(value) : argv_[next_++]);
    return {};
  }

  std::span<char* const> argv_;
  size_t next_ = 1;
  CommandLine line_;
};

}  // namespace

bool CommandLine::has(std::string_view flag) const { return flags.contains(flag); }

std::string CommandLine::get(std::string_view flag, const std::string& fallback) const {
  const auto last = flags.upper_bound(flag);
  return has(flag) ? std::prev(last)->second : fallback;
}

std::vector<std::string> CommandLine::all(std::string_view flag) const {
  std::vector<std::string> values;
  const auto [first, last] = flags.equal_range(flag);
  for (auto it = first; it != last; ++it) values.push_back(it->second);
  return values;
}

Result<CommandLine> parse_command_line(std::span<char* const> argv) { return Parser(argv).parse(); }

}  // namespace isle::oci_cli
