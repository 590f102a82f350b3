#include "cli_run_support.h"

#include <fmt/format.h>
#include <linux/mount.h>

#include <array>
#include <utility>

#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::cli::test {
namespace {

std::string all_attributes(const MountAttributes& wish) {
  std::string text;
  const auto add = [&](const char* sign, uint64_t bits) {
    if (bits != 0) text += fmt::format(" {}{}", sign, attributes(bits));
  };
  add("", wish.set);
  add("clear:", wish.clear);
  add("rec:", wish.recursive_set);
  add("clear-rec:", wish.recursive_clear);
  return text;
}

std::string propagation_text(Propagation propagation, bool recursive) {
  constexpr std::array<const char*, 5> kNames = {"", "private", "slave", "shared", "unbindable"};
  if (propagation == Propagation::unchanged) return {};
  return fmt::format(" {}{}", recursive ? "r" : "", kNames.at(static_cast<size_t>(propagation)));
}

std::string map_text(const char* name, const IdMap& map) {
  std::string text;
  for (const IdMapping& line : map) {
    text += fmt::format(" {}={}:{}:{}", name, line.container_id, line.host_id, line.size);
  }
  return text;
}

struct Text {
  const std::string& destination;

  std::string operator()(const Bind& bind) const {
    const std::string source =
        bind.source_fd >= 0 ? fmt::format("fd:{}", bind.source_fd) : bind.source;
    return fmt::format("{} {} {}", bind.recursive ? "rbind" : "bind", source, destination) +
           all_attributes(bind.attributes) +
           propagation_text(bind.propagation, bind.propagation_recursive) +
           map_text("uid", bind.uid_mappings) + map_text("gid", bind.gid_mappings);
  }
  std::string operator()(const FileSystem& fs) const {
    std::string text = fmt::format("{} {}", fs.type, destination);
    if (fs.source != fs.type) text += " from " + fs.source;
    text += all_attributes(fs.attributes) + propagation_text(fs.propagation, false);
    for (const auto& [key, value] : fs.options) {
      text += value.empty() ? " " + key : fmt::format(" {}={}", key, value);
    }
    return text;
  }
  std::string operator()(const Overlay& overlay) const {
    return fmt::format("overlay {}{} lower={} upper={} work={}", destination,
                       all_attributes(overlay.attributes), fmt::join(overlay.lower, ":"),
                       overlay.upper, overlay.work);
  }
  std::string operator()(const Dev&) const { return "dev " + destination; }
  std::string operator()(const CoverProc&) const { return "cover " + destination; }
  std::string operator()(const MakeDirectory& make) const {
    return fmt::format("dir {} {:o}", destination, make.mode);
  }
  std::string operator()(const MakeSymlink& make) const {
    return fmt::format("symlink {} -> {}", destination, make.target);
  }
  std::string operator()(const MakeFile& make) const {
    return fmt::format("file {} {:o} from {}", destination, make.mode,
                       make.source_fd >= 0 ? fmt::format("fd:{}", make.source_fd) : make.source);
  }
  std::string operator()(const WriteFile& write) const {
    return fmt::format("write {} {}", destination, write.text);
  }
  std::string operator()(const MakeDevice&) const { return "device " + destination; }
  std::string operator()(const Remount&) const { return "remount " + destination; }
  std::string operator()(const Mask&) const { return "mask " + destination; }
};

std::string lines(std::span<const FsOperation> operations) {
  std::string text;
  for (const FsOperation& operation : operations) {
    text += std::visit(Text{operation.destination}, operation.what);
    text += operation.optional ? " optional\n" : "\n";
  }
  return text;
}

}  // namespace

Caller ann() {
  Caller caller;
  caller.pid = 4321;
  caller.uid = 1000;
  caller.gid = 100;
  caller.environment = {"SHELL=/bin/zsh", "PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  caller.cwd = "/home/ann";
  caller.find_user = [](const std::string& root_path, std::string_view name) -> Result<UserEntry> {
    if (name != "bob") return fail(0, fmt::format("no user {} in {}", name, root_path));
    return UserEntry{.uid = 1001, .gid = 100, .additional_gids = {27, 44}};
  };
  caller.find_shell = [](uid_t) { return std::string("/bin/dash"); };
  return caller;
}

Caller root() {
  Caller caller = ann();
  caller.uid = 0;
  caller.gid = 0;
  caller.capabilities = all_capabilities();
  caller.cwd = "/";
  return caller;
}

Translated translate(std::vector<std::string> words, const Caller& caller) {
  words.insert(words.begin(), {"isle", "run"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  Translated result;
  const auto next = parse_options(run_options(), argv, 2, &result.request);
  if (!next) {
    result.error = next.error().message();
    return result;
  }
  const auto command = std::span<char* const>(argv).subspan(static_cast<size_t>(*next));
  const Status status = complete(result.request, caller, command, *next);
  if (!status) result.error = status.error().message();
  return result;
}

std::string error_of(std::vector<std::string> words, const Caller& caller) {
  const Translated result = translate(std::move(words), caller);
  return result.error.empty() ? "no error" : result.error;
}

std::string namespaces(const Spec& spec) {
  std::string text;
  for (const NamespaceWish& wish : spec.namespaces) {
    if (!text.empty()) text += ' ';
    text += to_string(wish.type);
    if (!wish.path.empty()) text += "=" + wish.path;
    if (wish.fd >= 0) text += fmt::format("=fd:{}", wish.fd);
  }
  return text;
}

std::string operations(const Spec& spec) { return lines(spec.mounts); }

std::string user_operations(std::vector<std::string> words) {
  const size_t defaults = translate({}).spec().mounts.size();
  const Translated result = translate(std::move(words));
  if (!result.error.empty()) return result.error;
  return lines(std::span(result.spec().mounts).subspan(defaults));
}

std::string attributes(uint64_t bits) {
  constexpr std::array<std::pair<uint64_t, const char*>, 7> kNames = {{
      {MOUNT_ATTR_RDONLY, "ro"},
      {MOUNT_ATTR_NOSUID, "nosuid"},
      {MOUNT_ATTR_NODEV, "nodev"},
      {MOUNT_ATTR_NOEXEC, "noexec"},
      {MOUNT_ATTR__ATIME, "atime-field"},
      {MOUNT_ATTR_NOATIME, "noatime"},
      {MOUNT_ATTR_NODIRATIME, "nodiratime"},
  }};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((bits & bit) != bit) continue;
    bits &= ~bit;
    text += text.empty() ? name : fmt::format(",{}", name);
  }
  return bits == 0 ? text : fmt::format("{}+{:#x}", text, bits);
}

}  // namespace isle::cli::test
