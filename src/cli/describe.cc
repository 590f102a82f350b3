#include "cli/describe.h"

#include <fmt/format.h>

#include <vector>

#include "isle/version.h"

namespace isle::cli {
namespace {

constexpr size_t kHelpColumn = 26;
constexpr size_t kWidth = 80;

// "-w, --workdir DIR", "    --overlay[=DIR]"
std::string usage(const Option& option) {
  std::string text = option.letter != 0 ? fmt::format("-{}, --{}", option.letter, option.name)
                                        : fmt::format("    --{}", option.name);
  if (option.takes == Takes::value) text += fmt::format(" {}", option.metavar);
  if (option.takes == Takes::optional_value) text += fmt::format("[={}]", option.metavar);
  return text;
}

// `text` broken between words, continued at `column`; the first line begins at `column` already.
std::string wrapped(std::string_view text, size_t column) {
  std::string result;
  size_t at = column;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (at > column && at + 1 + word.size() > kWidth) {
      result += '\n';
      result.append(column, ' ');
      at = column;
    } else if (at > column) {
      result += ' ';
      ++at;
    }
    result += word;
    at += word.size();
  }
  return result;
}

// Text for a line of mdoc(7): no line begins with a dot, and dashes and backslashes are
// themselves.
std::string mdoc(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result.starts_with('.') || result.starts_with('\'') ? "\\&" + result : result;
}

// An argument of an mdoc macro: quoted, so that no word of it is taken for a macro.
std::string mdoc_argument(std::string_view text) {
  std::string result = "\"";
  for (const char c : mdoc(text)) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + "\"";
}

std::string mdoc_item(const Option& option) {
  std::string item = ".It ";
  if (option.letter != 0) item += fmt::format("Fl {} , ", option.letter);
  item += fmt::format("Fl {}", mdoc(fmt::format("-{}", option.name)));
  if (option.takes == Takes::value) item += fmt::format(" Ar {}", mdoc_argument(option.metavar));
  if (option.takes == Takes::optional_value) {
    item += fmt::format("Ns Op = Ns Ar {}", mdoc_argument(option.metavar));
    item.replace(item.find("Ns Op"), 5, " Ns Oo");
    item += " Oc";
  }
  return item;
}

// Sentences a line each, as mdoc(7) wants them: the formatter then spaces them.
std::string sentences(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t end = text.find(". ");
    const size_t size = end == std::string_view::npos ? text.size() : end + 1;
    result += mdoc(text.substr(0, size)) + "\n";
    text.remove_prefix(end == std::string_view::npos ? size : size + 1);
  }
  return result;
}

}  // namespace

std::string overview() {
  std::string text =
      "Usage: isle COMMAND [OPTIONS] [ARGUMENTS]\n\n"
      "One engine for Linux namespaces.\n\nCommands:\n";
  for (const Command& command : commands()) {
    text += fmt::format("  {:<12}{}\n", command.name, command.summary);
  }
  text +=
      "\nOptions:\n"
      "  -h, --help  print this help\n"
      "  --version   print which build this is\n\n"
      "`isle help COMMAND` or `isle COMMAND --help` lists a command's options;\n"
      "`man isle-COMMAND` says more.\n";
  return text;
}

std::string help(const Command& command) {
  std::string text =
      fmt::format("Usage: isle {} [OPTIONS] {}\n\n{}{}.\n", command.name, command.operands,
                  static_cast<char>(command.summary[0] - 'a' + 'A'), command.summary.substr(1));
  std::string_view group;
  for (const Option& option : command.options()) {
    if (option.group != group) {
      group = option.group;
      text += fmt::format("\n{}:\n", group);
    }
    std::string line = "  " + usage(option);
    if (line.size() + 2 > kHelpColumn) {
      line += '\n';
      line.append(kHelpColumn, ' ');
    } else {
      line.append(kHelpColumn - line.size(), ' ');
    }
    text += line + wrapped(option.help, kHelpColumn) + "\n";
  }
  return text;
}

std::string man_options(const Command& command) {
  std::string text;
  std::string_view group;
  for (const Option& option : command.options()) {
    if (option.group != group) {
      if (!group.empty()) text += ".El\n";
      group = option.group;
      text += fmt::format(".Ss {}\n.Bl -tag -width Ds\n", group);
    }
    text += mdoc_item(option) + "\n";
    std::string first(option.help);
    if (first[0] >= 'a' && first[0] <= 'z') first[0] = static_cast<char>(first[0] - 'a' + 'A');
    text += mdoc(first) + (first.ends_with('.') ? "\n" : ".\n");
    text += sentences(option.more);
  }
  return group.empty() ? text : text + ".El\n";
}

}  // namespace isle::cli
