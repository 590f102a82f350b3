// Command line options as a table: a row an option. Parsing, help, man page and completions all
// come from the same rows. Ours instead of a library's because every wish must know which word of
// argv it came from, file system options keep their order, and starting costs microseconds.
// Nothing here knows what any option means.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "isle/error.h"

namespace isle::cli {

/// One use of an option on the command line.
struct Argument {
  std::string_view option;  ///< Without dashes: "bind".
  std::string_view value;   ///< Empty where none was given.
  bool has_value = false;
  int index = 0;  ///< Of the option's own word in argv.

  /// "argv[7] --bind", for Error::asked_by and Spec::add_origin.
  [[nodiscard]] std::string where() const;
};

enum class Takes : unsigned char {
  nothing,
  value,           ///< --name VALUE, --name=VALUE, -x VALUE, -xVALUE
  optional_value,  ///< --name, --name=VALUE: a next word would be ambiguous
};

struct Option {
  std::string_view name = {};
  char letter = 0;  ///< 0: none.
  Takes takes = Takes::nothing;
  std::string_view metavar = {};
  std::string_view group = {};  ///< Heading in the help; rows of a group stand together.
  std::string_view help = {};   ///< One line, no full stop.
  std::string_view more =
      {};  ///< What the man page says beyond that; full sentences. May be empty.
  /// What a shell may offer for the value: words separated by spaces, or "@file", "@directory",
  /// "@namespaces", "@capabilities", "@rlimits". Empty: nothing.
  std::string_view completes = {};
  /// Complaints need not name the option; parse_options() puts that before.
  Status (*apply)(void* target, const Argument& argument) = nullptr;
};

namespace detail {
template <class Target>
Target target_of(Status (*)(Target&, const Argument&));
}  // namespace detail

/// `Handler` (Status(T&, const Argument&)) as Option::apply; the target given to parse_options()
/// must be a T.
template <auto Handler>
inline constexpr auto by = [](void* target, const Argument& argument) -> Status {
  using Target = decltype(detail::target_of(Handler));
  return Handler(*static_cast<std::remove_reference_t<Target>*>(target), argument);
};

/// Takes options off `argv` from word `first` on, up to "--" or the first word that is no option;
/// the index of the word after them. Errors: an unknown option (with the nearest known one), a
/// missing or needless value, and what handlers complain of.
Result<int> parse_options(std::span<const Option> table, std::span<char* const> argv, int first,
                          void* target);

/// The candidate most like `word`, as a person mistypes it; empty where none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// "did you mean X?" for the nearest candidate, else an empty text.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates,
                         std::string_view prefix = {});

}  // namespace isle::cli
