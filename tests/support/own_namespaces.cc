#include "own_namespaces.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "temp_dir.h"

namespace isle::test {
namespace {

void must(int result, const char* what) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void stay_on_one_cpu() {
  cpu_set_t allowed;
  must(::sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) ++cpu;
  CPU_ZERO(&allowed);
  CPU_SET(cpu, &allowed);
  must(::sched_setaffinity(0, sizeof allowed, &allowed), "sched_setaffinity");
}

void own_mounts() {
  stay_on_one_cpu();
  must(::unshare(CLONE_NEWNS), "unshare");
  must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
}

void map_root(uid_t uid, gid_t gid) {
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
  write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

}  // namespace isle::test
