// --help and completions, from the tables of verbs and flags.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/describe.h"
#include "oci_cli/flags.h"
#include "oci_cli/kernel_text.h"
#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

/// Those that are told of: of a verb, or everybody's.
std::vector<Flag> flags_of(std::string_view verb) {
  std::vector<Flag> flags;
  for (const Flag& flag : all_flags())
    if (!flag.what.empty() && flag.verbs.empty() == verb.empty() && flag.is_of(verb))
      flags.push_back(flag);
  return flags;
}

std::string options(const std::vector<Flag>& flags) {
  std::string text;
  for (const Flag& flag : flags) {
    const std::string letter = flag.letter != 0 ? fmt::format("-{}, ", flag.letter) : "    ";
    text += fmt::format(
        "  {:<46} {}\n",
        fmt::format("{}--{}{}{}", letter, flag.name, flag.takes_value() ? " " : "", flag.value),
        flag.what);
  }
  return text;
}

std::vector<std::string> words_of(const std::vector<Flag>& flags) {
  std::vector<std::string> words;
  for (const Flag& flag : flags) {
    words.push_back(fmt::format("--{}", flag.name));
    if (flag.letter != 0) words.push_back(fmt::format("-{}", flag.letter));
  }
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

std::vector<std::string_view> choices(const Flag& flag) {
  return flag.value.find('|') != std::string_view::npos ? split(flag.value, "|")
                                                        : std::vector<std::string_view>{};
}

bool is_path(const Flag& flag) {
  return flag.value == "FILE" || flag.value == "SOCKET" || flag.value == "PROGRAM" ||
         flag.value == "BUNDLE";
}

std::string verb_names() {
  std::vector<std::string_view> names;
  for (const Verb& verb : all_verbs()) names.push_back(verb.name);
  return fmt::format("{}", fmt::join(names, " "));
}

// ---- bash ---------------------------------------------------------------------------------------

std::string bash() {
  std::string text =
      "# bash completion for isle-oci; made by `isle-oci --print-completion bash`\n\n"
      "_isle_oci() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= i\n"
      "  COMPREPLY=()\n"
      "  case $prev in\n";
  std::vector<std::string> with_value;
  for (const Flag& flag : all_flags()) {
    if (!flag.takes_value() || flag.name == "explain") continue;
    with_value.push_back(fmt::format("--{}", flag.name));
    std::string action;
    if (flag.value == "DIR")
      action = "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); ";
    if (is_path(flag))
      action = "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); ";
    if (const auto words = choices(flag); !words.empty())
      action = fmt::format("mapfile -t COMPREPLY < <(compgen -W \"{}\" -- \"$cur\"); ",
                           fmt::join(words, " "));
    text += fmt::format("    --{}) {}return ;;\n", flag.name, action);
  }
  text += fmt::format(
      "  esac\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case ${{COMP_WORDS[i]}} in\n"
      "      {}) ((i += 1)) ;;\n"
      "      -*) ;;\n"
      "      *) verb=${{COMP_WORDS[i]}}; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case $verb in\n"
      "    '') mapfile -t COMPREPLY < <(compgen -W \"{} {}\" -- \"$cur\") ;;\n",
      fmt::join(with_value, "|"), verb_names(), fmt::join(words_of(flags_of("")), " "));
  for (const Verb& verb : all_verbs())
    text += fmt::format(
        "    {}) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W \"--help {}\" -- "
        "\"$cur\"){}; fi ;;\n",
        verb.name, fmt::join(words_of(flags_of(verb.name)), " "),
        verb.operands.starts_with("ID") && verb.name != "create" && verb.name != "run" &&
                verb.name != "restore"
            ? "; else mapfile -t COMPREPLY < <(compgen -W \"$(isle-oci list -q 2>/dev/null)\" -- "
              "\"$cur\")"
            : "");
  return text + "  esac\n}\n\ncomplete -F _isle_oci isle-oci\n";
}

// ---- zsh ----------------------------------------------------------------------------------------

std::string zsh_options(std::string_view verb) {
  std::string text;
  for (const Flag& flag : flags_of(verb)) {
    std::string value;
    if (flag.takes_value()) {
      const auto words = choices(flag);
      const std::string action = flag.value == "DIR" ? "_files -/"
                                 : is_path(flag)     ? "_files"
                                 : !words.empty()    ? fmt::format("({})", fmt::join(words, " "))
                                                     : " ";
      value = fmt::format(":{}:{}", cli::zsh_text(flag.value), action);
    }
    const std::string help = cli::zsh_text(flag.what);
    if (flag.letter != 0) text += fmt::format(" \\\n    '-{}[{}]{}'", flag.letter, help, value);
    text += fmt::format(" \\\n    '--{}[{}]{}'", flag.name, help, value);
  }
  return text;
}

std::string zsh() {
  std::string text =
      "#compdef isle-oci\n# zsh completion for isle-oci; made by `isle-oci --print-completion "
      "zsh`\n\n"
      "_isle-oci() {\n  local context state state_descr line\n  typeset -A opt_args\n"
      "  _arguments -C" +
      zsh_options("") + " \\\n    '1:command:(" + verb_names() +
      ")' '*::argument:->rest'\n  [[ $state == rest ]] || return\n  case $line[1] in\n";
  for (const Verb& verb : all_verbs())
    text += fmt::format("  {}) _arguments{} '*: :_files' ;;\n", verb.name, zsh_options(verb.name));
  return text + "  esac\n}\n\n_isle-oci \"$@\"\n";
}

// ---- fish ---------------------------------------------------------------------------------------

std::string fish_options(std::string_view verb) {
  const std::string condition =
      verb.empty() ? "__fish_use_subcommand" : fmt::format("__fish_seen_subcommand_from {}", verb);
  std::string text;
  for (const Flag& flag : flags_of(verb)) {
    text += fmt::format("complete -c isle-oci -n '{}' -l {}", condition, flag.name);
    if (flag.letter != 0) text += fmt::format(" -s {}", flag.letter);
    if (flag.takes_value()) {
      const auto words = choices(flag);
      text += flag.value == "DIR" || is_path(flag) ? " -rF"
              : !words.empty()                     ? fmt::format(" -xa '{}'", fmt::join(words, " "))
                                                   : " -x";
    }
    text += fmt::format(" -d '{}'\n", cli::fish_text(flag.what));
  }
  return text;
}

std::string fish() {
  std::string text =
      "# fish completion for isle-oci; made by `isle-oci --print-completion fish`\n\ncomplete -c "
      "isle-oci -f\n" +
      fish_options("");
  for (const Verb& verb : all_verbs())
    text += fmt::format("complete -c isle-oci -n __fish_use_subcommand -a {} -d '{}'\n", verb.name,
                        cli::fish_text(verb.what)) +
            fish_options(verb.name);
  return text;
}

}  // namespace

std::string usage(std::string_view name) {
  const auto verbs = all_verbs();
  const auto found = std::ranges::find(verbs, name, &Verb::name);
  if (found != verbs.end()) {
    const std::string own = options(flags_of(name));
    const std::string separator = found->operands.empty() ? "" : " ";
    return fmt::format(
        "Usage: isle-oci [GLOBAL OPTIONS] {}{}{}{}\n\n{}\n{}{}\n"
        "See isle-oci --help for global options, and isle-oci(1).\n",
        name, own.empty() ? "" : " [OPTIONS]", separator, found->operands, found->what,
        own.empty() ? "" : "\nOptions:\n", own);
  }
  std::string text =
      "Usage: isle-oci [GLOBAL OPTIONS] COMMAND [OPTIONS] [ID ...]\n"
      "       isle-oci --explain BUNDLE\n\nAn OCI runtime: see isle-oci(1).\n\nCommands (isle-oci "
      "COMMAND --help tells of its options):\n";
  for (const Verb& verb : verbs)
    text += fmt::format("  {:<24} {}\n", fmt::format("{} {}", verb.name, verb.operands), verb.what);
  return text + "\nGlobal options:\n" + options(flags_of(""));
}

std::string completion(std::string_view shell) {
  return shell == "bash" ? bash() : shell == "zsh" ? zsh() : shell == "fish" ? fish() : "";
}

}  // namespace isle::oci_cli
