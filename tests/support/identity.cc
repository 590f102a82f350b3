#include "identity.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "paths.h"
#include "temp_dir.h"

namespace isle::test {
namespace {

constexpr const char* kFilesInEtc[] = {"passwd", "group", "subuid", "subgid"};

// A directory with copies of the four files, each with a line for the throw-away user.
std::string make_etc() {
  const std::string id = std::to_string(kThrowAwayUid);
  const std::string range =
      "isle-test:" + std::to_string(kFirstSubid) + ":" + std::to_string(kSubidCount) + "\n";
  const std::string lines[] = {"isle-test:x:" + id + ":" + id + "::/tmp:/bin/sh\n",
                               "isle-test:x:" + id + ":\n", range, range};
  const std::string dir = process_scratch_dir() + "/etc";
  std::filesystem::create_directory(dir);
  for (std::size_t i = 0; i < std::size(kFilesInEtc); ++i) {
    const std::string host = std::string("/etc/") + kFilesInEtc[i];
    std::string text = std::filesystem::exists(host) ? read_file(host) : "";
    if (!text.empty() && text.back() != '\n') text += '\n';
    write_file(dir + "/" + kFilesInEtc[i], text + lines[i]);
  }
  return dir;
}

int bind_etc(const std::string& etc, const char** step) noexcept {
  *step = "unshare(CLONE_NEWNS)";
  if (unshare(CLONE_NEWNS) != 0) return -errno;
  *step = "mount --make-rprivate /";
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return -errno;
  *step = "bind mounts over /etc/{passwd,group,subuid,subgid}";
  for (const char* file : kFilesInEtc) {
    char from[256];
    char to[64];
    std::snprintf(from, sizeof from, "%s/%s", etc.c_str(), file);
    std::snprintf(to, sizeof to, "/etc/%s", file);
    if (mount(from, to, nullptr, MS_BIND, nullptr) != 0) return -errno;
  }
  return 0;
}

}  // namespace

Identity unprivileged() {
  if (geteuid() != 0) return {.uid = geteuid(), .gid = getegid()};
  return {.uid = kThrowAwayUid, .gid = kThrowAwayUid, .drop = true};
}

Identity unprivileged_with_subids() {
  Identity identity = unprivileged();
  if (!identity.drop) return identity;
  static const std::string etc = make_etc();
  identity.etc = etc;
  return identity;
}

int become(const Identity& identity, const char** step) noexcept {
  if (!identity.drop) return 0;
  if (!identity.etc.empty()) {
    if (const int error = bind_etc(identity.etc, step); error != 0) return error;
  }
  *step = "setgroups";
  if (setgroups(0, nullptr) != 0) return -errno;
  *step = "setresgid";
  if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return -errno;
  *step = "setresuid";
  if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return -errno;
  // Changing ids made /proc/self root's, where without an execve the id maps could not be written.
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return 0;
}

}  // namespace isle::test
