// "linux.seccomp": the profile as data; its program is made by who launches.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "oci/config.h"

namespace isle::oci {
namespace {

using seccomp::Action;
using seccomp::Word;

template <class T>
std::optional<T> word_of(const Node& node, std::span<const Word<T>> words, const char* kind) {
  const std::string text = node.text();
  for (const Word<T>& word : words)
    if (word.name == text) return word.value;
  node.expected(fmt::format("{} (\"{}\", ...)", kind, words.front().name));
  return std::nullopt;
}

bool takes_error(Action action) { return action == Action::error || action == Action::trace; }

/// The errno for `action`: what `key` of `parent` says, EPERM where it says nothing.
uint16_t read_error(const Node& parent, const char* key, Action action) {
  constexpr int64_t kMost = 4095;  // MAX_ERRNO of the kernel
  constexpr uint16_t kPermission = 1;
  const auto node = parent.get(key);
  if (node && !takes_error(action))
    node->refuse(fmt::format("{}: this action returns no errno", key),
                 "for SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
  if (!takes_error(action)) return 0;
  return node ? static_cast<uint16_t>(node->integer(0, kMost)) : kPermission;
}

seccomp::Argument read_argument(const Node& node) {
  seccomp::Argument argument;
  const auto index = node.require("index");
  const auto value = node.require("value");
  const auto op = node.require("op");
  constexpr int64_t kLast = 5;
  if (index) argument.index = static_cast<uint32_t>(index->integer(0, kLast));
  if (value) argument.value = value->natural();
  if (const auto two = node.get("valueTwo")) argument.value_two = two->natural();
  if (op)
    argument.op = word_of<seccomp::Operator>(*op, seccomp::kOperators, "an operator")
                      .value_or(seccomp::Operator::equal);
  return argument;
}

void read_rule(const Node& node, seccomp::Profile& profile) {
  const auto names = node.require("names");
  const auto action = node.require("action");
  if (!names || !action) return;
  seccomp::Rule rule;
  rule.names = names->texts();
  if (rule.names.empty()) names->expected("an array with at least one name");
  rule.action = word_of<Action>(*action, seccomp::kActions, "an action").value_or(Action::allow);
  rule.error = read_error(node, "errnoRet", rule.action);
  for (const Node& argument : node.elements("args"))
    rule.arguments.push_back(read_argument(argument));
  for (const Node& name : names->elements())
    if (rule.action == Action::notify && name.text() == "sendmsg")
      name.refuse("SCMP_ACT_NOTIFY for sendmsg: by that the listener itself is handed over");
  profile.rules.push_back(std::move(rule));
}

void read_flags(const Node& node, Filter& filter) {
  const auto flags = node.get("flags");
  if (!flags) {
    filter.flags = seccomp::kSpecAllow;  // as runc, where nothing is said
    return;
  }
  for (const Node& flag : flags->elements())
    filter.flags |= word_of<uint32_t>(flag, seccomp::kFlags, "a flag").value_or(0);
  filter.flags &= ~seccomp::kTsync;
}

void read_listener(const Node& node, const Node& config, Filter& filter) {
  const auto notifies = [](const seccomp::Rule& rule) { return rule.action == Action::notify; };
  const bool wanted = std::ranges::any_of(filter.profile.rules, notifies);
  const auto own_path = node.get("listenerPath");
  const auto path =
      own_path && own_path->filled() ? own_path : annotation(config, "run.oci.seccomp.receiver");
  const auto metadata = node.get("listenerMetadata");
  if (metadata && metadata->filled() && !(path && path->filled()))
    metadata->refuse("is told to who listens at listenerPath, which is not set");
  if (!wanted) {
    filter.flags &= ~seccomp::kWaitKillable;  // means a listener's answer
    return;
  }
  if (!path || !path->filled()) {
    node.refuse("SCMP_ACT_NOTIFY needs a listenerPath");
    return;
  }
  filter.listener_path = path->text();
  if (metadata) filter.listener_metadata = metadata->text();
  filter.flags |= seccomp::kNewListener;
}

/// struct sock_filter in base64.
std::vector<uint64_t> read_program(const Node& node) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = node.text();
  while (text.ends_with('=')) text.pop_back();
  std::string bytes;
  uint32_t held = 0;
  int bits = 0;
  bool good = true;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    good = good && digit != std::string_view::npos;
    held = held << 6 | static_cast<uint32_t>(digit & 63);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(held >> bits));
  }
  std::vector<uint64_t> program(bytes.size() / sizeof(uint64_t));
  constexpr size_t kMost = 4096;  // BPF_MAXINSNS
  if (!good || bytes.size() % sizeof(uint64_t) != 0 || program.empty() || program.size() > kMost)
    node.expected(fmt::format("1 to {} instructions of 8 bytes in base64", kMost));
  if (!program.empty())
    std::memcpy(program.data(), bytes.data(), program.size() * sizeof(uint64_t));
  return program;
}

}  // namespace

std::optional<Filter> read_seccomp(const Node& config, Spec& spec) {
  if (const auto plugins = annotation(config, "run.oci.seccomp.plugins"))
    plugins->refuse("isle-oci loads no plugins", "listenerPath of linux.seccomp");
  if (const auto program = annotation(config, "run.oci.seccomp_bpf_data"))
    return Filter{.program = read_program(*program), .from = spec.add_origin(program->where())};
  const auto linux_node = config.get("linux");
  const auto node = linux_node ? linux_node->get("seccomp") : std::nullopt;
  if (!node || !node->filled()) return std::nullopt;
  const auto action = node->require("defaultAction");
  if (!action) return std::nullopt;
  Filter filter;
  seccomp::Profile& profile = filter.profile;
  profile.default_action =
      word_of<Action>(*action, seccomp::kActions, "an action").value_or(Action::allow);
  if (profile.default_action == Action::notify)
    action->refuse(
        "SCMP_ACT_NOTIFY as default action: the listener itself is handed over by a "
        "system call");
  profile.default_error = read_error(*node, "defaultErrnoRet", profile.default_action);
  for (const Node& name : node->elements("architectures"))
    if (const auto arch = word_of<uint32_t>(name, seccomp::kArchitectures, "an architecture"))
      profile.architectures.push_back(*arch);
  for (const Node& rule : node->elements("syscalls")) read_rule(rule, profile);
  read_flags(*node, filter);
  profile.unknown_fails = annotation(config, "run.oci.seccomp_fail_unknown_syscall").has_value();
  read_listener(*node, config, filter);
  filter.from = spec.add_origin(node->where());
  return filter;
}

}  // namespace isle::oci
