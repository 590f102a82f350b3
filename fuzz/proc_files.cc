// The texts of /proc and of /etc/subuid.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "isle/idmap.h"
#include "run/probe.h"
#include "sys/proc_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto mounts = isle::sys::parse_mountinfo(text);
  for (const std::string& point : isle::probe::visible_mount_points(mounts))
    if (point.empty()) std::abort();
  for (const isle::sys::CgroupEntry& entry : isle::sys::parse_cgroup(text))
    if (entry.path.empty()) std::abort();
  const isle::IdMap map = isle::sys::parse_id_map(text);
  (void)isle::to_host(map, 0);
  const auto granted = isle::probe::parse_subids(text, 1000, "ann");
  if (isle::to_host(isle::map_around(1000, 1000, granted), 1000) != 1000U) std::abort();
  (void)isle::map_around(1000, 1000, isle::probe::mapped_part(granted, map));
  (void)isle::sys::status_field(text, "Umask");
  (void)isle::sys::words(text);
  (void)isle::probe::parse_kernel_version(text);
  return 0;
}
