#include "cli/mount_words.h"

#include <fmt/format.h>
#include <linux/mount.h>

#include <algorithm>

#include "cli/values.h"
#include "isle/names.h"

namespace isle::cli {
namespace {

void merge(uint64_t& set, uint64_t more_set, uint64_t more_clear) {
  set = (set & ~more_clear) | more_set;
}

Status add_mapping(std::string_view text, IdMap* first, IdMap* second = nullptr) {
  const auto mapping = parse_id_mapping(text);
  if (!mapping) return std::unexpected(mapping.error());
  first->push_back(*mapping);
  if (second != nullptr) second->push_back(*mapping);
  return {};
}

struct KeyValue {
  std::string key;
  std::string value;
  bool has_value = false;
};

KeyValue key_value(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos)
    return {.key = std::string(word), .value = {}, .has_value = false};
  return {.key = std::string(word.substr(0, equals)),
          .value = std::string(word.substr(equals + 1)),
          .has_value = true};
}

std::string take_option(std::vector<std::pair<std::string, std::string>>& options,
                        std::string_view key) {
  const auto found = std::ranges::find(options, key, [](const auto& pair) { return pair.first; });
  if (found == options.end()) return {};
  std::string value = std::move(found->second);
  options.erase(found);
  return value;
}

}  // namespace

Status MountWords::read(std::string_view text) {
  if (text.empty()) return {};
  for (const std::string& word : split(text, ',')) {
    if (Status status = read_word(word); !status) return status;
  }
  return {};
}

// Words of a bind that are no mount option.
bool MountWords::read_bind_word(std::string_view key, std::string_view value, Status* status) {
  if (key == "rec" || key == "norec") {
    recursive = key == "rec";
  } else if (key == "optional") {
    optional = true;
  } else if (key == "idmap" && value.empty()) {
    idmapped_as_sandbox = true;
  } else if (key == "idmap") {
    *status = add_mapping(value, &uid_mappings, &gid_mappings);
  } else if (key == "uidmap") {
    *status = add_mapping(value, &uid_mappings);
  } else if (key == "gidmap") {
    *status = add_mapping(value, &gid_mappings);
  } else {
    return false;
  }
  return true;
}

Status MountWords::read_word(std::string_view word) {
  if (word.empty()) return fail(0, "an option between commas is empty");
  if (const auto option = parse_mount_option(word)) {
    const MountAttributes& asked = option->attributes;
    merge(attributes.set, asked.set, asked.clear);
    attributes.clear = (attributes.clear & ~asked.set) | asked.clear;
    merge(attributes.recursive_set, asked.recursive_set, asked.recursive_clear);
    attributes.recursive_clear =
        (attributes.recursive_clear & ~asked.recursive_set) | asked.recursive_clear;
    if (option->propagation) {
      propagation = option->propagation;
      propagation_recursive = option->propagation_recursive;
    }
    if (option->bind) recursive = *option->bind;
    return {};
  }
  auto [key, value, has_value] = key_value(word);
  Status status;
  if (may_bind && read_bind_word(key, value, &status)) return status;
  if (may_bind) {
    return fail(0, fmt::format("{} is no option of a bind mount", quoted(word)),
                "such as ro, rw, noexec, dev, suid, norec, rslave, optional, idmap=IN:OUT:COUNT");
  }
  if (has_value && value.empty()) return fail(0, fmt::format("{} has no value", quoted(word)));
  options.emplace_back(std::move(key), std::move(value));
  return {};
}

bool MountWords::has(std::string_view option) const {
  return std::ranges::any_of(options, [&](const auto& pair) { return pair.first == option; });
}

void MountWords::apply(Bind& bind) const {
  bind.recursive = recursive;
  bind.attributes = attributes;
  if (recursive) {
    // What is wanted at the top is wanted below, too.
    bind.attributes.recursive_set |= attributes.set;
    bind.attributes.recursive_clear |= attributes.clear;
    bind.attributes.set = 0;
    bind.attributes.clear = 0;
  }
  bind.propagation = propagation.value_or(Propagation::unchanged);
  bind.propagation_recursive = propagation_recursive;
  bind.uid_mappings = uid_mappings;
  bind.gid_mappings = gid_mappings;
  bind.idmap_recursive = recursive && (!uid_mappings.empty() || idmapped_as_sandbox);
}

void MountWords::apply(FileSystem& file_system) const {
  file_system.attributes = attributes;
  // A new mount has nothing below it, and begins with nothing set.
  file_system.attributes.set |= attributes.recursive_set;
  file_system.attributes.recursive_set = 0;
  file_system.attributes.clear = 0;
  file_system.attributes.recursive_clear = 0;
  file_system.propagation = propagation.value_or(Propagation::unchanged);
  file_system.options = options;
}

Status check_tmpfs(FileSystem& file_system) {
  for (auto& [key, value] : file_system.options) {
    if (key == "size" && !value.ends_with('%')) {
      const auto bytes = parse_size(value);
      if (!bytes) return std::unexpected(bytes.error());
      value = fmt::format("{}", *bytes);
    } else if (key == "mode") {
      const auto mode = parse_octal(value, 07777);
      if (!mode) return std::unexpected(mode.error());
    }
  }
  return {};
}

namespace {

// Keys of --mount that are no options of the mount.
struct MountArguments {
  std::string type;
  std::string source;
  std::string destination;

  bool read(const KeyValue& word) {
    if (word.key == "type") {
      type = word.value;
    } else if (word.key == "src" || word.key == "source") {
      source = word.value;
    } else if (word.key == "dst" || word.key == "destination" || word.key == "target") {
      destination = word.value;
    } else {
      return false;
    }
    return true;
  }
  [[nodiscard]] bool binds() const { return type == "bind" || type == "rbind"; }
};

Overlay overlay_of(MountWords& words) {
  Overlay overlay{.attributes = words.attributes};
  overlay.attributes.clear = 0;
  overlay.attributes.recursive_clear = 0;
  const std::string lower = take_option(words.options, "lowerdir");
  if (!lower.empty()) overlay.lower = split(lower, ':');
  overlay.upper = take_option(words.options, "upperdir");
  overlay.work = take_option(words.options, "workdir");
  return overlay;
}

Status fill_operation(const MountArguments& arguments, MountWords& words, FsOperation& operation) {
  if (arguments.binds()) {
    if (arguments.source.empty()) return fail(0, "src= is missing: what to bind");
    Bind bind{.source = arguments.source};
    words.recursive = words.recursive && arguments.type == "rbind";
    words.apply(bind);
    if (const auto fd = parse_fd(arguments.source); fd && arguments.source.starts_with("fd:")) {
      bind.source_fd = *fd;
      bind.source.clear();
    }
    operation.what = std::move(bind);
    operation.optional = words.optional;
    return {};
  }
  if (arguments.type == "overlay") {
    Overlay overlay = overlay_of(words);
    if (overlay.lower.empty()) return fail(0, "lowerdir= is missing");
    if (!words.options.empty()) {
      return fail(
          0, fmt::format("{} is no option of an overlay here", quoted(words.options.front().first)),
          "lowerdir=, upperdir= and workdir= are");
    }
    operation.what = std::move(overlay);
    return {};
  }
  FileSystem file_system{.type = arguments.type,
                         .source = arguments.source.empty() ? arguments.type : arguments.source};
  words.apply(file_system);
  if (arguments.type == "tmpfs") {
    if (Status status = check_tmpfs(file_system); !status) return status;
  }
  operation.what = std::move(file_system);
  return {};
}

}  // namespace

Result<ParsedMount> parse_mount(std::string_view text) {
  MountArguments arguments;
  MountWords words{.attributes = {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV}};
  const std::vector<std::string> parts = split(text, ',');
  // The type decides what the other words mean, wherever it stands.
  for (const std::string& part : parts) arguments.read(key_value(part));
  if (arguments.type.empty()) {
    return fail(0, "type= is missing", "as in type=tmpfs,dst=/data,size=16M");
  }
  if (arguments.destination.empty()) return fail(0, "dst= is missing: where to mount");
  words.may_bind = arguments.binds();
  for (const std::string& part : parts) {
    if (arguments.read(key_value(part))) continue;
    if (Status status = words.read_word(part); !status) return std::unexpected(status.error());
  }
  ParsedMount parsed;
  parsed.operation.destination = arguments.destination;
  parsed.idmapped_as_sandbox = words.idmapped_as_sandbox;
  if (Status status = fill_operation(arguments, words, parsed.operation); !status) {
    return std::unexpected(status.error());
  }
  return parsed;
}

}  // namespace isle::cli
