#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace isle::cli {
namespace {

const Option* find_name(std::span<const Option> table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Option::name);
  return found == table.end() ? nullptr : &*found;
}

const Option* find_letter(std::span<const Option> table, char letter) {
  const auto found = std::ranges::find(table, letter, &Option::letter);
  return letter == 0 || found == table.end() ? nullptr : &*found;
}

std::unexpected<Error> complain(const Argument& argument, std::string what, std::string hint = {}) {
  Error error{.what = std::move(what), .asked_by = argument.where(), .hint = std::move(hint)};
  return std::unexpected(std::move(error));
}

std::unexpected<Error> unknown(std::span<const Option> table, const Argument& argument,
                               std::string_view word) {
  std::vector<std::string_view> names;
  names.reserve(table.size());
  for (const Option& option : table) names.push_back(option.name);
  std::string hint = did_you_mean(argument.option, names, "--");
  if (hint.empty()) hint = "--help lists the options";
  Error error{.what = fmt::format("unknown option \"{}\"", word),
              .asked_by = fmt::format("argv[{}]", argument.index),
              .hint = std::move(hint)};
  return std::unexpected(std::move(error));
}

Status apply(const Option& option, void* target, const Argument& argument) {
  Status status = option.apply(target, argument);
  if (!status) {
    Error& error = status.error();
    error.what = fmt::format("--{}: {}", option.name, error.what);
    if (error.asked_by.empty()) error.asked_by = argument.where();
  }
  return status;
}

// The words still to be read.
struct Reader {
  std::span<const Option> table;
  std::span<char* const> argv;
  int next;
  void* target;

  std::optional<std::string_view> take() {
    if (next >= static_cast<int>(argv.size())) return std::nullopt;
    return argv[static_cast<size_t>(next++)];
  }
  Status give_value(const Option& option, Argument& argument);
  Status read_long(std::string_view word, int index);
  Status read_letters(std::string_view word, int index);
};

// The value as a word of its own, where the option needs one.
Status Reader::give_value(const Option& option, Argument& argument) {
  if (option.takes == Takes::value && !argument.has_value) {
    const auto word = take();
    if (!word) {
      return complain(argument, fmt::format("--{} needs a value: {}", option.name, option.metavar));
    }
    argument.value = *word;
    argument.has_value = true;
  }
  return apply(option, target, argument);
}

Status Reader::read_long(std::string_view word, int index) {
  const size_t equals = word.find('=');
  Argument argument{
      .option = word.substr(2, equals == std::string_view::npos ? equals : equals - 2),
      .value = {},
      .has_value = false,
      .index = index};
  const Option* option = find_name(table, argument.option);
  if (option == nullptr) return unknown(table, argument, word.substr(0, equals));
  if (equals != std::string_view::npos) {
    argument.value = word.substr(equals + 1);
    argument.has_value = true;
    if (option->takes == Takes::nothing) {
      return complain(argument, fmt::format("--{} takes no value, but got \"{}\"", option->name,
                                            argument.value));
    }
  }
  return give_value(*option, argument);
}

Status Reader::read_letters(std::string_view word, int index) {
  for (size_t at = 1; at < word.size(); ++at) {
    const Option* option = find_letter(table, word[at]);
    Argument argument{.option = {}, .value = {}, .has_value = false, .index = index};
    if (option == nullptr) {
      return unknown(table, argument, word.size() == 2 ? word : fmt::format("-{}", word[at]));
    }
    argument.option = option->name;
    const bool rest_is_value = option->takes == Takes::value && at + 1 < word.size();
    if (rest_is_value) {
      argument.value = word.substr(at + 1);
      argument.has_value = true;
    }
    if (Status status = give_value(*option, argument); !status) return status;
    if (rest_is_value) break;
  }
  return {};
}

}  // namespace

std::string Argument::where() const {
  if (option.empty()) return fmt::format("argv[{}]", index);
  return fmt::format("argv[{}] --{}", index, option);
}

Result<int> parse_options(std::span<const Option> table, std::span<char* const> argv, int first,
                          void* target) {
  Reader reader{.table = table, .argv = argv, .next = first, .target = target};
  while (true) {
    const int index = reader.next;
    const auto word = reader.take();
    if (!word || *word == "--") return reader.next;
    if (word->size() < 2 || word->front() != '-') return index;
    Status status = word->starts_with("--") ? reader.read_long(*word, index)
                                            : reader.read_letters(*word, index);
    if (!status) return std::unexpected(std::move(status.error()));
  }
}

// Edits between two words: a letter more, less, other, or two swapped (Damerau-Levenshtein,
// restricted).
static size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() < 2) return {};
  std::string_view best;
  size_t best_edits = 1 + word.size() / 3;
  for (const std::string_view candidate : candidates) {
    const size_t count = edits(word, candidate);
    if (count < best_edits || (count == best_edits && best.empty())) {
      best = candidate;
      best_edits = count;
    }
  }
  if (!best.empty()) return best;
  // The beginning of a longer name.
  const auto longer = std::ranges::find_if(
      candidates, [&](std::string_view candidate) { return candidate.starts_with(word); });
  return longer == candidates.end() ? std::string_view{} : *longer;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates,
                         std::string_view prefix) {
  const std::string_view best = nearest(word, candidates);
  return best.empty() ? std::string{} : fmt::format("did you mean {}{}?", prefix, best);
}

}  // namespace isle::cli
