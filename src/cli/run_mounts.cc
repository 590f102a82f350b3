// The root file system and the operations on it, in the order they were given.
#include <fmt/format.h>
#include <linux/mount.h>

#include <utility>

#include "cli/mount_words.h"
#include "cli/run_request.h"
#include "cli/values.h"
#include "isle/names.h"

namespace isle::cli {
namespace {

struct SourceAndDestination {
  std::string source;
  std::string destination;
  std::string_view options;
};

// What stands before the first colon; in "fd:5" the colon is part of it.
bool take_source(std::string_view* rest, std::string* source) {
  const bool fd = rest->starts_with("fd:");
  if (fd) rest->remove_prefix(3);
  const bool more = take_part(rest, ':', source);
  if (fd) source->insert(0, "fd:");
  return more;
}

// "SRC[:DST[:OPTS]]"
Result<SourceAndDestination> source_and_destination(std::string_view text, std::string_view form) {
  SourceAndDestination result;
  std::string_view rest = text;
  if (take_source(&rest, &result.source) && take_part(&rest, ':', &result.destination)) {
    result.options = rest;
  }
  if (result.source.empty()) {
    return fail(0, fmt::format("{} is not of the form {}", quoted(text), form));
  }
  return result;
}

Status absolute(std::string_view path) {
  if (path.starts_with('/')) return {};
  return fail(0, fmt::format("{} is not an absolute path inside the sandbox", quoted(path)));
}

bool is_fd(std::string_view source) { return source.starts_with("fd:"); }

Status bind_with(RunRequest& request, const Argument& argument, uint64_t attributes) {
  auto parts = source_and_destination(argument.value, "SRC[:DST[:OPTS]]");
  if (!parts) return std::unexpected(parts.error());
  Bind bind{.source = parts->source};
  if (is_fd(parts->source)) {
    const auto fd = parse_fd(parts->source);
    if (!fd) return std::unexpected(fd.error());
    if (parts->destination.empty()) return fail(0, "a descriptor needs a destination");
    bind.source_fd = *fd;
    bind.source.clear();
  }
  // Without a destination the source's own path, which complete() makes absolute.
  if (!parts->destination.empty()) {
    if (Status status = absolute(parts->destination); !status) return status;
  }
  MountWords words{.attributes = {.set = attributes}, .may_bind = true};
  if (Status status = words.read(parts->options); !status) return status;
  words.apply(bind);
  if (words.idmapped_as_sandbox) request.idmapped_as_sandbox.push_back(request.spec.mounts.size());
  request.spec.mounts.push_back({.destination = std::move(parts->destination),
                                 .what = std::move(bind),
                                 .optional = words.optional,
                                 .from = request.origin(argument)});
  return {};
}

Status add(RunRequest& request, const Argument& argument, FsOperation operation) {
  if (Status status = absolute(operation.destination); !status) return status;
  operation.from = request.origin(argument);
  request.spec.mounts.push_back(std::move(operation));
  return {};
}

// "DST[:mode=OCTAL]", the last part of an argument.
struct DestinationAndMode {
  std::string destination;
  mode_t mode;
};

Result<DestinationAndMode> destination_and_mode(std::string_view text, mode_t mode) {
  DestinationAndMode result{.destination = {}, .mode = mode};
  if (!take_part(&text, ':', &result.destination)) return result;
  if (!text.starts_with("mode=")) {
    return fail(0, fmt::format("{} is not mode=OCTAL", quoted(text)));
  }
  const auto number = parse_octal(text.substr(5), 07777);
  if (!number) return std::unexpected(number.error());
  result.mode = *number;
  return result;
}

}  // namespace

Status root_directory(RunRequest& request, const Argument& argument) {
  if (argument.value.empty()) return fail(0, "needs a directory");
  request.root_path = request.asked(std::string(argument.value), argument);
  return {};
}

Status no_new_root(RunRequest& request, const Argument&) {
  request.no_root = true;
  return {};
}

Status overlay_root(RunRequest& request, const Argument& argument) {
  if (argument.has_value && argument.value.empty()) return fail(0, "needs a directory after \"=\"");
  request.overlay = request.asked(std::string(argument.value), argument);
  return {};
}

Status read_only_root(RunRequest& request, const Argument&) {
  request.read_only = true;
  return {};
}

Status bind(RunRequest& request, const Argument& argument) {
  return bind_with(request, argument, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

Status read_only_bind(RunRequest& request, const Argument& argument) {
  return bind_with(request, argument, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

Status device_bind(RunRequest& request, const Argument& argument) {
  return bind_with(request, argument, MOUNT_ATTR_NOSUID);
}

Status tmpfs(RunRequest& request, const Argument& argument) {
  std::string_view rest = argument.value;
  FsOperation operation;
  take_part(&rest, ':', &operation.destination);
  MountWords words{.attributes = {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV}};
  if (Status status = words.read(rest); !status) return status;
  FileSystem file_system{.type = "tmpfs", .source = "tmpfs"};
  words.apply(file_system);
  if (Status status = check_tmpfs(file_system); !status) return status;
  if (!words.has("mode")) file_system.options.emplace_back("mode", "755");
  operation.what = std::move(file_system);
  return add(request, argument, std::move(operation));
}

Status directory(RunRequest& request, const Argument& argument) {
  auto parts = destination_and_mode(argument.value, 0755);
  if (!parts) return std::unexpected(parts.error());
  return add(
      request, argument,
      {.destination = std::move(parts->destination), .what = MakeDirectory{.mode = parts->mode}});
}

Status symlink_to(RunRequest& request, const Argument& argument) {
  auto parts = source_and_destination(argument.value, "TARGET:DST");
  if (!parts) return std::unexpected(parts.error());
  if (parts->destination.empty())
    return fail(0, fmt::format("{} is not of the form TARGET:DST", quoted(argument.value)));
  if (!parts->options.empty()) return fail(0, "a link has no options; write \\: for a colon");
  return add(request, argument,
             {.destination = std::move(parts->destination),
              .what = MakeSymlink{.target = std::move(parts->source)}});
}

Status file(RunRequest& request, const Argument& argument) {
  std::string_view rest = argument.value;
  std::string source;
  if (!take_source(&rest, &source) || source.empty()) {
    return fail(0, fmt::format("{} is not of the form FD:DST or PATH:DST", quoted(argument.value)));
  }
  auto parts = destination_and_mode(rest, 0644);
  if (!parts) return std::unexpected(parts.error());
  MakeFile make{.source = source, .source_fd = -1, .mode = parts->mode};
  if (const auto fd = parse_fd(source)) {
    make.source_fd = *fd;
    make.source.clear();
  }
  return add(request, argument,
             {.destination = std::move(parts->destination), .what = std::move(make)});
}

Status mount_file_system(RunRequest& request, const Argument& argument) {
  auto operation = parse_mount(argument.value);
  if (!operation) return std::unexpected(operation.error());
  if (operation->idmapped_as_sandbox) {
    request.idmapped_as_sandbox.push_back(request.spec.mounts.size());
  }
  return add(request, argument, std::move(operation->operation));
}

Status mask(RunRequest& request, const Argument& argument) {
  return add(request, argument, {.destination = std::string(argument.value), .what = Mask{}});
}

Status propagation(RunRequest& request, const Argument& argument) {
  const auto value = parse_propagation(argument.value);
  if (!value) {
    return fail(0, fmt::format("{} is none of private, slave, shared, unbindable, unchanged",
                               quoted(argument.value)));
  }
  request.propagation = request.asked(*value, argument);
  return {};
}

}  // namespace isle::cli
