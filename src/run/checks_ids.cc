#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "run/checks.h"
#include "run/probe.h"

namespace isle::checks {
namespace {

std::string user_of(uid_t uid, const std::string& prefix) {
  const std::string name = probe::login_name(uid, prefix);
  return name.empty() ? std::to_string(uid) : name;
}

}  // namespace

Finding has_subids(uid_t uid, const std::string& prefix) {
  const std::string name = probe::login_name(uid, prefix);
  std::string found;
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    const auto text = sys::read_text(prefix + file);
    const std::vector<SubIdRange> ranges =
        text ? probe::parse_subids(*text, uid, name) : std::vector<SubIdRange>{};
    if (ranges.empty())
      return no(fmt::format("{} grants {} no range", file, user_of(uid, prefix)),
                fmt::format("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}",
                            user_of(uid, prefix)));
    uint64_t count = 0;
    for (const SubIdRange& range : ranges) count += range.count;
    found += fmt::format("{}{} ids by {}", found.empty() ? "" : ", ", count, file);
  }
  return yes(found);
}

Finding mapping_program(std::string_view program, const std::string& prefix) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it here
  const char* path_variable = std::getenv("PATH");
  const std::string search =
      std::string("/usr/bin:").append(path_variable != nullptr ? path_variable : "");
  const std::string good = probe::find_privileged_program(program, search, prefix);
  if (!good.empty()) {
    struct statvfs mount{};
    if (statvfs((prefix + good).c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0)
      return no(fmt::format("{} is on a mount with nosuid, so it has no rights of its own", good),
                "mount it without nosuid");
    return yes(good);
  }
  for (std::string_view rest = search; !rest.empty();) {
    const std::string path = fmt::format("{}/{}", sys::next_part(rest, ':'), program);
    if (path.starts_with('/') && access((prefix + path).c_str(), F_OK) == 0)
      return no(fmt::format("{} is neither setuid root nor has it file capabilities", path),
                fmt::format("chmod u+s {}", path));
  }
  return no(fmt::format("{} is not installed", program), "install the package uidmap");
}

}  // namespace isle::checks
