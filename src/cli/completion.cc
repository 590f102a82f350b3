// Completion scripts. They are plain lists made from the tables, so that completing a word never
// runs isle.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/describe.h"
#include "cli/values.h"
#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::vector<std::string> option_words(const Command& command) {
  std::vector<std::string> words;
  for (const Option& option : command.options()) {
    words.push_back(fmt::format("--{}", option.name));
    if (option.letter != 0) words.push_back(fmt::format("-{}", option.letter));
  }
  return words;
}

std::string names_of(const Option& option) {
  return option.letter != 0 ? fmt::format("-{}|--{}", option.letter, option.name)
                            : fmt::format("--{}", option.name);
}

// ---- bash ---------------------------------------------------------------------------------------

// Options with a value of their own; the rest of the words decides where the operands begin.
std::string bash_value_options(const Command& command) {
  std::vector<std::string> names;
  for (const Option& option : command.options()) {
    if (option.takes == Takes::value) names.push_back(names_of(option));
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

std::string bash_command(const Command& command) {
  std::string text = fmt::format("_isle_{}() {{\n", command.name);
  text += "  local i=2\n  while ((i < COMP_CWORD)); do\n    case ${COMP_WORDS[i]} in\n";
  const std::string values = bash_value_options(command);
  if (!values.empty()) text += fmt::format("      {}) ((i += 2)) ;;\n", values);
  text += "      --) ((i += 1)); break ;;\n      -*) ((i += 1)) ;;\n      *) break ;;\n";
  text += "    esac\n  done\n";
  if (command.runs_program) {
    text +=
        "  if ((i < COMP_CWORD)) || [[ ${COMP_WORDS[i-1]} == -- && i -eq COMP_CWORD ]]; then\n"
        "    if declare -F _command_offset > /dev/null; then\n"
        "      _command_offset \"$i\"\n"
        "    elif ((i == COMP_CWORD)); then\n"
        "      mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
        "    else\n"
        "      mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
        "    fi\n"
        "    return\n"
        "  fi\n";
  }
  text += "  case $prev in\n";
  for (const Option& option : command.options()) {
    if (option.takes != Takes::value) continue;
    std::string action = "return";
    if (option.completes == "@file") action = "_isle_list_files; return";
    if (option.completes == "@directory")
      action =
          "compopt -o filenames; "
          "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return";
    const auto words = completion_words(option);
    if (!words.empty()) action = fmt::format("_isle_list \"{}\"; return", joined(words));
    text += fmt::format("    {}) {} ;;\n", names_of(option), action);
  }
  text += "  esac\n";
  text += "  if [[ $cur == -* ]]; then\n";
  text += fmt::format("    mapfile -t COMPREPLY < <(compgen -W \"{}\" -- \"$cur\")\n",
                      joined(option_words(command)));
  if (command.runs_program) {
    text += "  else\n    mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n";
  }
  return text + "  fi\n}\n\n";
}

std::string bash(std::span<const Command> all) {
  std::string text =
      "# bash completion for isle; made by `isle --print-completion bash`\n\n"
      "# Words of a list, also behind the last comma of several.\n"
      "_isle_list() {\n"
      "  local head=\n"
      "  [[ $cur != *,* ]] || head=${cur%,*},\n"
      "  mapfile -t COMPREPLY < <(compgen -P \"$head\" -W \"$1\" -- \"${cur##*,}\")\n"
      "}\n\n"
      "_isle_list_files() {\n"
      "  compopt -o filenames\n"
      "  mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
      "}\n\n";
  std::vector<std::string> names{"help"};
  for (const Command& command : all) {
    names.emplace_back(command.name);
    text += bash_command(command);
  }
  text += "_isle() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n";
  text += "  COMPREPLY=()\n  if ((COMP_CWORD == 1)); then\n";
  text += fmt::format(
      "    mapfile -t COMPREPLY < <(compgen -W \"{} --help --version\" -- \"$cur\")\n    return\n",
      joined(names));
  text += "  fi\n  case ${COMP_WORDS[1]} in\n";
  text += fmt::format("    help) _isle_list \"{}\" ;;\n", joined(names));
  for (const Command& command : all) text += fmt::format("    {0}) _isle_{0} ;;\n", command.name);
  return text + "  esac\n}\n\ncomplete -F _isle isle\n";
}

// ---- zsh ----------------------------------------------------------------------------------------

std::string zsh_action(const Option& option) {
  if (option.completes == "@file") return "_files";
  if (option.completes == "@directory") return "_files -/";
  const auto words = completion_words(option);
  if (words.empty()) return " ";
  const bool list = option.completes.starts_with('@');
  return list ? fmt::format("_sequence compadd - {}", joined(words))
              : fmt::format("({})", joined(words));
}

std::string zsh_option(const Option& option) {
  std::string value;
  if (option.takes == Takes::value) {
    value = fmt::format(":{}:{}", zsh_text(option.metavar), zsh_action(option));
  } else if (option.takes == Takes::optional_value) {
    value = fmt::format("::{}:{}", zsh_text(option.metavar), zsh_action(option));
  }
  const std::string help = zsh_text(option.help);
  const char* joint =
      option.takes == Takes::nothing ? "" : (option.takes == Takes::value ? "=" : "=-");
  std::string text = fmt::format("    '*--{}{}[{}]{}'\n", option.name, joint, help, value);
  if (option.letter != 0) {
    const char* short_joint = option.takes == Takes::value ? "+" : "";
    text += fmt::format("    '*-{}{}[{}]{}'\n", option.letter, short_joint, help, value);
  }
  return text;
}

std::string zsh(std::span<const Command> all) {
  std::string text =
      "#compdef isle\n# zsh completion for isle; made by `isle --print-completion zsh`\n\n";
  for (const Command& command : all) {
    text += fmt::format("_isle_{}() {{\n  local -a options=(\n", command.name);
    for (const Option& option : command.options()) text += zsh_option(option);
    text += "  )\n";
    text += command.runs_program
                ? "  _arguments -s -S -A '-*' : $options '(-)1:command:_command_names -e' "
                  "'*::argument:_normal'\n"
                : "  _arguments -s -S : $options\n";
    text += "}\n\n";
  }
  text += "_isle() {\n  local -a commands=(\n    'help:print help on a command'\n";
  for (const Command& command : all) {
    text += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.summary));
  }
  text +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe -t commands command commands\n"
      "    _arguments '--help[print help]' '--version[print which build this is]'\n"
      "    return\n"
      "  fi\n"
      "  local name=$words[2]\n"
      "  if [[ $name == help ]]; then\n"
      "    _describe -t commands command commands\n"
      "    return\n"
      "  fi\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  (( ! $+functions[_isle_$name] )) || _isle_$name\n"
      "}\n\n"
      "if [[ $funcstack[1] == _isle ]]; then _isle \"$@\"; else compdef _isle isle; fi\n";
  return text;
}

// ---- fish ---------------------------------------------------------------------------------------

std::string fish_option(const Command& command, const Option& option) {
  std::string text = fmt::format("complete -c isle -n '__fish_seen_subcommand_from {}' -l {}",
                                 command.name, option.name);
  if (option.letter != 0) text += fmt::format(" -s {}", option.letter);
  if (option.takes == Takes::value) {
    const auto words = completion_words(option);
    if (option.completes == "@file") {
      text += " -r -F";
    } else if (option.completes == "@directory") {
      text += " -x -a '(__fish_complete_directories)'";
    } else {
      text += " -x";
      if (!words.empty()) text += fmt::format(" -a '{}'", joined(words));
    }
  }
  return text + fmt::format(" -d '{}'\n", fish_text(option.help));
}

std::string fish(std::span<const Command> all) {
  std::string text = "# fish completion for isle; made by `isle --print-completion fish`\n\n";
  text += "complete -c isle -f\n";
  text += "complete -c isle -n __fish_use_subcommand -l help -d 'print help'\n";
  text += "complete -c isle -n __fish_use_subcommand -l version -d 'print which build this is'\n";
  text += "complete -c isle -n __fish_use_subcommand -a help -d 'print help on a command'\n";
  for (const Command& command : all) {
    text += fmt::format("complete -c isle -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                        fish_text(command.summary));
    for (const Option& option : command.options()) text += fish_option(command, option);
    if (command.runs_program) {
      text += fmt::format(
          "complete -c isle -n '__fish_seen_subcommand_from {}' -x -a "
          "'(__fish_complete_subcommand --fcs-skip=2)'\n",
          command.name);
    }
  }
  return text;
}

std::string lower(std::string_view name, std::string_view prefix) {
  std::string result(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  std::ranges::transform(result, result.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return result;
}

}  // namespace

std::string zsh_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result;
}

std::string fish_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::vector<std::string> completion_words(const Option& option) {
  std::vector<std::string> words;
  if (option.completes == "@namespaces") {
    for (const NamespaceTypeInfo& info : kNamespaceTypeTable) words.emplace_back(info.name);
  } else if (option.completes == "@capabilities") {
    words.emplace_back("ALL");
    for (const std::string& name : capability_names()) words.push_back(lower(name, "CAP_"));
  } else if (option.completes == "@rlimits") {
    for (const std::string& name : rlimit_names()) words.push_back(lower(name, "RLIMIT_") + "=");
  } else if (!option.completes.empty() && !option.completes.starts_with('@')) {
    words = split(option.completes, ' ');
  }
  return words;
}

std::string completion(std::string_view shell, std::span<const Command> all) {
  if (shell == "bash") return bash(all);
  if (shell == "zsh") return zsh(all);
  if (shell == "fish") return fish(all);
  return {};
}

}  // namespace isle::cli
