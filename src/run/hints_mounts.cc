// Why a mount could not be made.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>

#include "run/hints.h"
#include "sys/abi_mount.h"
#include "sys/flag_names.h"
#include "sys/proc_files.h"

namespace isle::hints {
namespace {

using sys::MountAttr;

bool in_new_userns(const FailedStep& failed) {
  return failed.new_namespaces().contains(NamespaceType::user);
}

struct FlagWord {
  MountAttr flag;
  std::string_view option;
};
constexpr FlagWord kLockable[] = {{MountAttr::rdonly, "ro"},
                                  {MountAttr::nosuid, "nosuid"},
                                  {MountAttr::nodev, "nodev"},
                                  {MountAttr::noexec, "noexec"},
                                  {MountAttr::atime, "noatime"},
                                  {MountAttr::atime, "relatime"},
                                  {MountAttr::nodiratime, "nodiratime"}};

}  // namespace

std::string unknown_file_system(const FailedStep& failed) {
  const std::string type = failed.mount().type;
  return type.empty() ? std::string{} : checks::knows_file_system(type).hint();
}

std::string not_in_user_namespaces(const FailedStep& failed) {
  const std::string type = failed.mount().type;
  if (type.empty() || !in_new_userns(failed)) return {};
  return checks::file_system_in_userns(type, failed.new_namespaces()).hint();
}

// mount_too_revealing(): the log says so since 6.17 or so; before, the mounts below tell.
std::string masked_file_system(const FailedStep& failed) {
  const std::string type = failed.mount().type;
  if (type != "proc" && type != "sysfs") return {};
  const bool said = failed.log().find("too revealing") != std::string_view::npos;
  if (!in_new_userns(failed) && !said) return {};
  std::string hint = checks::not_covered(type == "proc" ? "/proc" : "/sys").hint();
  if (!hint.empty() || !said) return hint;
  return fmt::format(
      "the kernel gives a user namespace no {} that shows more than the one mounted "
      "here, or that is less restricted",
      type);
}

// A mount namespace owned by a new user namespace keeps what it got together: has_locked_children()
// in fs/namespace.c.
std::string locked_mounts(const FailedStep& failed) {
  const std::string source = failed.text(1);
  const auto flags = static_cast<sys::OpenTree>(failed.step().arg[2]);
  if (any(flags & sys::OpenTree::recursive) || source.empty() || !in_new_userns(failed)) return {};
  const auto below = checks::mounts_below(source);
  if (below.empty()) return {};
  return fmt::format(
      "other mounts stand on \"{}\" ({}), and a user namespace may not uncover what "
      "is below them; bind it recursively",
      source, below.front());
}

// CL_UNPRIVILEGED locks what the mounts of the outer namespace forbid: can_change_locked_flags().
std::string locked_flags(const FailedStep& failed) {
  if (!in_new_userns(failed)) return {};
  const MountStory story = failed.mount();
  if (!story.bind || story.source.empty()) return {};
  const std::string options = checks::mount_options(story.source);
  const auto cleared = static_cast<MountAttr>(failed.step().arg[4]);
  for (const FlagWord& word : kLockable)
    if (any(cleared & word.flag) && sys::has_option(options, word.option))
      return fmt::format(
          "\"{}\" is on a mount with \"{}\" on the host, which a user namespace "
          "cannot take away",
          story.source, word.option);
  return {};
}

std::string idmap_unsupported(const FailedStep& failed) {
  if (failed.step().arg[6] == plan::kNoRegister) return {};
  const MountStory story = failed.mount();
  if (failed.error() == EPERM)
    return "an idmapped mount needs CAP_SYS_ADMIN in the user namespace that mounted the file "
           "system: run isle as root with --share user";
  if (failed.error() != EINVAL) return {};
  const std::string type = checks::file_system_of(story.source);
  if (type.empty()) return {};
  return fmt::format("\"{}\" is on {}, which this kernel cannot idmap", story.source, type);
}

std::string root_cannot_pivot(const FailedStep&) {
  if (checks::file_system_of("/") != "rootfs") return {};
  return "the root is the initramfs, which cannot be pivoted away from; let isle chroot instead "
         "(--no-pivot)";
}

}  // namespace isle::hints
