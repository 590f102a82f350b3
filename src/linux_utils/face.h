// What the faces of util-linux share: unshare(1) and nsenter(1), each a translation of its command
// line to a Spec and to what the calling process itself has to do. The grammar is getopt_long(3)'s,
// abbreviations included, as scripts expect. Nothing here prints, waits or makes a process.
#pragma once

#include <getopt.h>

#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/spec.h"

namespace isle::linux_utils {

/// The options that both programs have for a type.
struct TypeLetter {
  char letter;
  NamespaceType type;
};
inline constexpr TypeLetter kTypeLetters[] = {
    {'U', NamespaceType::user},  {'C', NamespaceType::cgroup},  {'i', NamespaceType::ipc},
    {'u', NamespaceType::uts},   {'n', NamespaceType::network}, {'p', NamespaceType::pid},
    {'m', NamespaceType::mount}, {'T', NamespaceType::time},
};

/// What a face must know of whoever calls it.
struct Surroundings {
  uid_t uid = 0;  ///< Effective.
  gid_t gid = 0;
  std::vector<std::string> environment;
  std::string cwd = "/";
  /// Names of users and groups, where a number was not given.
  Result<uint32_t> (*find_user)(std::string_view name) = nullptr;
  Result<uint32_t> (*find_group)(std::string_view name) = nullptr;
  /// The login shell of `uid`; empty where there is none.
  std::string (*find_shell)(uid_t uid) = nullptr;

  [[nodiscard]] std::optional<std::string_view> variable(std::string_view name) const;
};

/// A command line understood.
struct Command {
  enum class Show : uint8_t { nothing, help, version, plan, plan_json } show = Show::nothing;
  Spec spec;
  /// The command is a child, for which the calling process waits.
  bool forks = false;
  /// While it waits, SIGINT and SIGTERM are passed on, not only ignored.
  bool ignores_signals = false;
  bool forwards_signals = false;
  /// A child that stops stops the calling process, too.
  bool stops_along = false;
  /// What `spec` names by number.
  std::vector<Fd> held;
};

/// One word of getopt_long(3)'s, after the other.
class OptionReader {
 public:
  OptionReader(std::span<char* const> argv, const char* letters, std::span<const option> names);
  /// The option's value, -1 after the last; what the option was given is in argument(). Errors: as
  /// getopt_long(3) complains.
  Result<int> next();
  [[nodiscard]] std::string argument() const { return optarg == nullptr ? "" : optarg; }
  [[nodiscard]] bool has_argument() const { return optarg != nullptr; }
  /// "argv[3]", for add_origin(): the word the last option stands in.
  [[nodiscard]] std::string where() const;
  /// The words after the options.
  [[nodiscard]] std::vector<std::string> rest() const;
  [[nodiscard]] int rest_index() const { return optind; }

 private:
  std::span<char* const> argv_;
  const char* letters_;
  const option* names_;
  int word_ = 0;  ///< Index of the word the last option stands in.
};

/// Reads all options: `take` each, but where help or the version is asked for nothing else counts.
/// True: go on with the command. Complaints say which word they are about.
template <class Take>
Result<bool> read_options(OptionReader& reader, Command& command, Take take) {
  while (true) {
    const Result<int> value = reader.next();
    if (!value) return std::unexpected(value.error());
    if (*value < 0) return true;
    if (*value == 'h' || *value == 'V') {
      command.show = *value == 'h' ? Command::Show::help : Command::Show::version;
      return false;
    }
    if (Status status = take(*value); !status) {
      if (status.error().asked_by.empty()) status.error().asked_by = reader.where();
      return std::unexpected(std::move(status.error()));
    }
  }
}

/// The command, or where none was given a login shell, into `spec`.
void set_command(Spec& spec, const OptionReader& reader, const Surroundings& here);

/// The whole of `text` as a number, in decimal digits; nothing where it is none, or not in range.
template <class Number>
std::optional<Number> parse_number(std::string_view text, Number smallest = 0,
                                   Number largest = std::numeric_limits<Number>::max()) {
  Number number{};
  const char* end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(std::to_address(text.begin()), end, number);
  if (error != std::errc{} || stop != end || number < smallest || number > largest)
    return std::nullopt;
  return number;
}

/// A uid or gid; the complaint calls it `what`.
Result<uint32_t> parse_id(std::string_view text, std::string_view what);
/// `path` as seen from `cwd`.
std::string absolute(std::string_view path, std::string_view cwd);

}  // namespace isle::linux_utils
