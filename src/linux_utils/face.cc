#include "linux_utils/face.h"

#include <fmt/format.h>

#include <algorithm>

namespace isle::linux_utils {

std::optional<std::string_view> Surroundings::variable(std::string_view name) const {
  for (const std::string_view entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

OptionReader::OptionReader(std::span<char* const> argv, const char* letters,
                           std::span<const option> names)
    : argv_(argv), letters_(letters), names_(names.data()) {
  optind = 0;  // glibc: from the beginning
  opterr = 0;
}

Result<int> OptionReader::next() {
  const int before = std::max(optind, 1);
  const auto count = static_cast<int>(argv_.size());
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a command reads its arguments once, before all else
  const int value = ::getopt_long(count, argv_.data(), letters_, names_, nullptr);
  // Within a word of several letters it stays on that.
  word_ = optind == before ? before : optind - 1;
  // An option whose value is a word of its own stands before that.
  if (word_ > before && optarg != nullptr && argv_[static_cast<size_t>(word_)] == optarg) --word_;
  if (value != '?' && value != ':') return value;
  const std::string word = argv_[static_cast<size_t>(word_)];
  const std::string name =
      word.starts_with("--") ? word : fmt::format("-{}", static_cast<char>(optopt));
  std::string what = fmt::format("unrecognized option '{}'", word);
  if (value == ':')
    what = fmt::format("option '{}' requires an argument", name);
  else if (!word.starts_with("--"))
    what = fmt::format("invalid option -- '{}'", static_cast<char>(optopt));
  else if (optopt != 0)
    what = fmt::format("option '{}' takes no argument", word.substr(0, word.find('=')));
  return std::unexpected(Error{.what = std::move(what), .asked_by = where(), .hint = "--help"});
}

std::string OptionReader::where() const { return fmt::format("argv[{}]", word_); }

std::vector<std::string> OptionReader::rest() const {
  const auto words = argv_.subspan(static_cast<size_t>(optind));
  return {words.begin(), words.end()};
}

void set_command(Spec& spec, const OptionReader& reader, const Surroundings& here) {
  Asked<std::vector<std::string>>& args = spec.process.args;
  args.value = reader.rest();
  if (!args.value.empty()) {
    args.from = spec.add_origin(fmt::format("argv[{}]", reader.rest_index()));
    return;
  }
  std::string shell(here.variable("SHELL").value_or(""));
  if (!shell.empty()) args.from = spec.add_origin("the environment's SHELL");
  if (shell.empty() && here.find_shell != nullptr) shell = here.find_shell(here.uid);
  if (shell.empty()) shell = "/bin/sh";
  // A dash before its name makes it a login shell.
  args.value = {"-" + shell.substr(shell.rfind('/') + 1)};
  spec.process.program = {{std::move(shell), args.from}};
}

Result<uint32_t> parse_id(std::string_view text, std::string_view what) {
  constexpr uint32_t kLargest = 4294967294;  // the one above means "none" to the kernel
  if (const auto id = parse_number<uint32_t>(text, 0, kLargest)) return *id;
  return fail(0, fmt::format("{}: \"{}\" is not a number from 0 to {}", what, text, kLargest));
}

std::string absolute(std::string_view path, std::string_view cwd) {
  if (path.starts_with('/')) return std::string(path);
  return fmt::format("{}{}{}", cwd, cwd.ends_with('/') ? "" : "/", path);
}

}  // namespace isle::linux_utils
