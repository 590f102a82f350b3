#include "oci_cli/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace isle::oci_cli {
namespace {

struct Flag {
  std::string_view name;
  char letter;
  bool takes_value;
  std::string_view verbs;  ///< Where the letter means this; empty: everywhere.
};

constexpr Flag kFlags[] = {
    {"root", 0, true, ""},
    {"log", 0, true, ""},
    {"log-format", 0, true, ""},
    {"cgroup-manager", 0, true, ""},
    {"criu", 0, true, ""},
    {"rootless", 0, false, ""},
    {"systemd-cgroup", 0, false, ""},
    {"debug", 0, false, ""},
    {"version", 'v', false, ""},
    {"help", 'h', false, ""},
    {"explain", 0, false, "create run"},
    {"explain", 0, true, ""},
    {"bundle", 'b', true, ""},
    {"console-socket", 0, true, ""},
    {"config", 'f', true, "create run"},
    {"pid-file", 0, true, ""},
    {"preserve-fds", 0, true, ""},
    {"no-pivot", 0, false, ""},
    {"no-new-keyring", 0, false, ""},
    {"no-subreaper", 0, false, ""},
    {"detach", 'd', false, ""},
    {"keep", 0, false, ""},
    {"all", 'a', false, ""},
    {"force", 'f', false, "delete"},
    {"regex", 'r', false, "delete kill"},
    {"format", 'f', true, "list ps"},
    {"quiet", 'q', false, ""},
    {"process", 'p', true, "exec"},
    {"tty", 't', false, "exec"},
    {"env", 'e', true, "exec"},
    {"user", 'u', true, "exec"},
    {"cwd", 0, true, "exec"},
    {"cap", 'c', true, "exec"},
    {"additional-gids", 'g', true, "exec"},
    {"no-new-privs", 0, false, "exec"},
    {"ignore-paused", 0, false, "exec"},
    {"apparmor", 0, true, "exec"},
    {"process-label", 0, true, "exec"},
    {"cgroup", 0, true, "exec"},
    {"pidfd-socket", 0, true, ""},
    {"image-path", 0, true, ""},
    {"work-path", 0, true, ""},
    {"parent-path", 0, true, ""},
    {"leave-running", 0, false, ""},
    {"tcp-established", 0, false, ""},
    {"tcp-close", 0, false, ""},
    {"tcp-skip-in-flight", 0, false, ""},
    {"ext-unix-sk", 0, false, ""},
    {"shell-job", 0, false, ""},
    {"file-locks", 0, false, ""},
    {"link-remap", 0, false, ""},
    {"pre-dump", 0, false, ""},
    {"lazy-pages", 0, false, ""},
    {"auto-dedup", 0, false, ""},
    {"page-server", 0, true, ""},
    {"status-fd", 0, true, ""},
    {"manage-cgroups-mode", 0, true, ""},
    {"empty-ns", 0, true, ""},
    {"network-lock", 0, true, ""},
    {"lsm-profile", 0, true, ""},
    {"lsm-mount-context", 0, true, ""},
    {"resources", 'r', true, "update"},
    {"blkio-weight", 0, true, ""},
    {"cpu-period", 0, true, ""},
    {"cpu-quota", 0, true, ""},
    {"cpu-burst", 0, true, ""},
    {"cpu-share", 0, true, ""},
    {"cpu-rt-period", 0, true, ""},
    {"cpu-rt-runtime", 0, true, ""},
    {"cpu-idle", 0, true, ""},
    {"cpuset-cpus", 0, true, ""},
    {"cpuset-mems", 0, true, ""},
    {"kernel-memory", 0, true, ""},
    {"kernel-memory-tcp", 0, true, ""},
    {"memory", 0, true, ""},
    {"memory-reservation", 0, true, ""},
    {"memory-swap", 0, true, ""},
    {"pids-limit", 0, true, ""},
    {"stats", 0, false, ""},
    {"interval", 0, true, ""},
};

/// Of two by one name, that of the verb.
const Flag* find_long(std::string_view name, std::string_view verb) {
  const Flag* found = nullptr;
  for (const Flag& flag : kFlags) {
    if (flag.name != name) continue;
    const bool of_verb = !verb.empty() && flag.verbs.find(verb) != std::string_view::npos;
    if (of_verb) return &flag;
    if (found == nullptr || flag.verbs.empty()) found = &flag;
  }
  return found;
}

const Flag* find_letter(char letter, std::string_view verb) {
  for (const Flag& flag : kFlags)
    if (flag.letter == letter &&
        (flag.verbs.empty() || (!verb.empty() && flag.verbs.find(verb) != std::string_view::npos)))
      return &flag;
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
    if (!flag->takes_value) {
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

std::string CommandLine::get(std::string_view flag, std::string fallback) const {
  const auto last = flags.upper_bound(flag);
  return has(flag) ? std::prev(last)->second : std::move(fallback);
}

std::vector<std::string> CommandLine::all(std::string_view flag) const {
  std::vector<std::string> values;
  const auto [first, last] = flags.equal_range(flag);
  for (auto it = first; it != last; ++it) values.push_back(it->second);
  return values;
}

Result<CommandLine> parse_command_line(std::span<char* const> argv) { return Parser(argv).parse(); }

}  // namespace isle::oci_cli
