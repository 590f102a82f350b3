// Documents as the runtime-spec's schema has them: what it allows is read, what it forbids is refused by its place, with what
// was found and what was expected.
#include <gtest/gtest.h>

#include "oci/config.h"

namespace isle::oci {
namespace {

/// One of each section of the runtime-spec 1.3 for Linux.
Json everything() {
  const Json ids = Json::array({{{"containerID", 0}, {"hostID", 1000}, {"size", 32000}}});
  const Json hook = Json::array(
      {{{"path", "/bin/hook"}, {"args", {"hook", "arg"}}, {"env", {"A=b"}}, {"timeout", 5}}});
  const Json rate = Json::array({{{"major", 8}, {"minor", 0}, {"rate", 600}}});
  return {
      {"ociVersion", "1.3.0"},
      {"process",
       {{"terminal", true},
        {"consoleSize", {{"height", 25}, {"width", 80}}},
        {"user", {{"uid", 1}, {"gid", 1}, {"umask", 63}, {"additionalGids", {5, 6}}}},
        {"args", {"sh"}},
        {"env", {"PATH=/bin", "EMPTY=", "WITH==SIGN"}},
        {"cwd", "/"},
        {"capabilities",
         {{"bounding", {"CAP_KILL"}},
          {"permitted", {"CAP_KILL"}},
          {"effective", {"CAP_KILL"}},
          {"inheritable", {"CAP_KILL"}},
          {"ambient", {"CAP_KILL"}}}},
        {"rlimits", Json::array({{{"type", "RLIMIT_CORE"}, {"hard", 1024}, {"soft", 1024}},
                                 {{"type", "RLIMIT_NOFILE"}, {"hard", UINT64_MAX}, {"soft", 0}}})},
        {"apparmorProfile", "acme_secure_profile"},
        {"oomScoreAdj", 100},
        {"selinuxLabel", "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"},
        {"ioPriority", {{"class", "IOPRIO_CLASS_IDLE"}, {"priority", 4}}},
        {"scheduler",
         {{"policy", "SCHED_OTHER"}, {"nice", 5}, {"flags", {"SCHED_FLAG_RESET_ON_FORK"}}}},
        {"execCPUAffinity", {{"initial", "7"}, {"final", "0-3,7"}}},
        {"noNewPrivileges", true}}},
      {"root", {{"path", "rootfs"}, {"readonly", true}}},
      {"hostname", "slartibartfast"},
      {"domainname", "foobarbaz.test"},
      {"mounts",
       Json::array({{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                    {{"destination", "/data"},
                     {"type", "none"},
                     {"source", "/volumes/testing"},
                     {"options", {"rbind", "rw", "rro"}}},
                    {{"destination", "relative"}, {"type", "tmpfs"}, {"options", Json::array()}}})},
      {"hooks",
       {{"prestart", hook},
        {"createRuntime", hook},
        {"createContainer", hook},
        {"startContainer", hook},
        {"poststart", hook},
        {"poststop", hook}}},
      {"linux",
       {{"devices", Json::array({{{"path", "/dev/fuse"},
                                  {"type", "c"},
                                  {"major", 10},
                                  {"minor", 229},
                                  {"fileMode", 438},
                                  {"uid", 0},
                                  {"gid", 0}},
                                 {{"path", "/dev/pipe"}, {"type", "p"}}})},
        {"uidMappings", ids},
        {"gidMappings", ids},
        {"sysctl", {{"net.ipv4.ip_forward", "1"}, {"net/core/somaxconn", "256"}}},
        {"cgroupsPath", "/myRuntime/myContainer"},
        {"resources",
         {{"network",
           {{"classID", 1048577},
            {"priorities", Json::array({{{"name", "eth0"}, {"priority", 500}}})}}},
          {"pids", {{"limit", 32771}}},
          {"hugepageLimits",
           Json::array({{{"pageSize", "2MB"}, {"limit", 9223372036854772000ULL}}})},
          {"memory",
           {{"limit", 536870912},
            {"reservation", 536870912},
            {"swap", 536870912},
            {"kernel", -1},
            {"kernelTCP", -1},
            {"swappiness", 0},
            {"disableOOMKiller", false},
            {"useHierarchy", false},
            {"checkBeforeUpdate", true}}},
          {"cpu",
           {{"shares", 1024},
            {"quota", 1000000},
            {"period", 500000},
            {"burst", 1000000},
            {"realtimeRuntime", 950000},
            {"realtimePeriod", 1000000},
            {"cpus", "2-3"},
            {"mems", "0-7"},
            {"idle", 1}}},
          {"devices", Json::array({{{"allow", false}, {"access", "rwm"}},
                                   {{"allow", true},
                                    {"type", "c"},
                                    {"major", 10},
                                    {"minor", 229},
                                    {"access", "rw"}}})},
          {"blockIO",
           {{"weight", 10},
            {"weightDevice", Json::array({{{"major", 8}, {"minor", 0}, {"weight", 500}}})},
            {"throttleReadBpsDevice", rate},
            {"throttleWriteIOPSDevice", rate}}},
          {"rdma", {{"mlx5_1", {{"hcaHandles", 3}, {"hcaObjects", 10000}}}}},
          {"unified", {{"hugetlb.1GB.max", "1073741824"}}}}},
        {"rootfsPropagation", "slave"},
        {"seccomp",
         {{"defaultAction", "SCMP_ACT_ALLOW"},
          {"architectures", {"SCMP_ARCH_X86", "SCMP_ARCH_X32"}},
          {"syscalls", Json::array({{{"names", {"getcwd", "chmod"}},
                                     {"action", "SCMP_ACT_ERRNO"},
                                     {"errnoRet", 1}}})}}},
        {"timeOffsets",
         {{"monotonic", {{"secs", 172800}, {"nanosecs", 0}}},
          {"boottime", {{"secs", -604800}, {"nanosecs", 1}}}}},
        {"namespaces", Json::array({{{"type", "pid"}},
                                    {{"type", "network"}},
                                    {{"type", "ipc"}},
                                    {{"type", "uts"}},
                                    {{"type", "mount"}},
                                    {{"type", "user"}},
                                    {{"type", "cgroup"}},
                                    {{"type", "time"}}})},
        {"maskedPaths", {"/proc/kcore"}},
        {"readonlyPaths", {"/proc/fs"}},
        {"mountLabel", "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"},
        {"personality", {{"domain", "LINUX"}}},
        {"memoryPolicy",
         {{"mode", "MPOL_INTERLEAVE"}, {"nodes", "0-3"}, {"flags", {"MPOL_F_STATIC_NODES"}}}},
        {"netDevices", {{"eth0", {{"name", "container_eth0"}}}, {"ens4", Json::object()}}}}},
      {"annotations", {{"com.example.key1", "value1"}, {"empty", ""}}}};
}

Result<Container> read(const Json& config) {
  return read_config(config.dump(), {.bundle = "/b", .id = "c"});
}

TEST(OciDocuments, Everything) {
  const auto container = read(everything());
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->spec.process.rlimits.size(), 2U);
  EXPECT_EQ(container->hooks.poststop.size(), 1U);
  EXPECT_EQ(container->net_devices.size(), 2U);
  EXPECT_EQ(container->annotations.size(), 2U);
}

// Each member of each object may be missing, but for those the schema requires.
TEST(OciDocuments, WhatIsOptionalMayBeMissing) {
  for (const char* pointer : {"/process/terminal",
                              "/process/consoleSize",
                              "/process/user",
                              "/process/env",
                              "/process/capabilities",
                              "/process/rlimits",
                              "/process/ioPriority/priority",
                              "/process/scheduler/nice",
                              "/root/readonly",
                              "/hostname",
                              "/mounts",
                              "/hooks",
                              "/hooks/poststop/0/env",
                              "/linux/devices",
                              "/linux/sysctl",
                              "/linux/cgroupsPath",
                              "/linux/resources",
                              "/linux/resources/memory/limit",
                              "/linux/seccomp",
                              "/linux/seccomp/syscalls",
                              "/linux/timeOffsets/boottime",
                              "/linux/rootfsPropagation",
                              "/linux/memoryPolicy",
                              "/annotations"}) {
    Json config = everything();
    const Json::json_pointer place(pointer);
    config[place.parent_pointer()].erase(place.back());
    const auto container = read(config);
    EXPECT_TRUE(container) << pointer << ": " << (container ? "" : container.error().message());
  }
}

TEST(OciDocuments, UnknownMembersAreIgnored) {
  for (const char* pointer : {"", "/process", "/process/user", "/root", "/mounts/0", "/hooks",
                              "/linux", "/linux/resources/cpu", "/linux/namespaces/0"}) {
    Json config = everything();
    config[Json::json_pointer(pointer)]["org.example.later"] = {{"any", {1, 2.5, nullptr}}};
    const auto container = read(config);
    EXPECT_TRUE(container) << pointer << ": " << (container ? "" : container.error().message());
  }
}

struct Bad {
  const char* pointer;
  Json value;  ///< null: the member is taken away.
  const char* says = nullptr;
};

TEST(OciDocuments, WhatTheSchemaForbids) {
  const Bad rows[] = {
      {"/ociVersion", nullptr, "has no \"ociVersion\""},
      {"/ociVersion", 1, "/ociVersion: found 1"},
      {"/root/path", nullptr, "/root: has no \"path\""},
      {"/root/readonly", "yes", "/root/readonly: found \"yes\", expected true or false"},
      {"/process/args", "sh", "/process/args: found \"sh\", expected an array"},
      {"/process/args", Json::array({1}), "/process/args/0: found 1, expected a string"},
      {"/process/cwd", nullptr, "/process: has no \"cwd\""},
      {"/process/env", Json::object(), "/process/env: found"},
      {"/process/terminal", 1, "/process/terminal: found 1, expected true or false"},
      {"/process/consoleSize/height", -1, "/process/consoleSize/height: found -1"},
      {"/process/user/additionalGids", Json::array({-5}),
       "/process/user/additionalGids/0: found -5"},
      {"/process/user/umask", 512, "/process/user/umask: found 512"},
      {"/process/capabilities/bounding", "CAP_KILL",
       "/process/capabilities/bounding: found \"CAP_KILL\", expected an array"},
      {"/process/rlimits/0/hard", nullptr, "/process/rlimits/0: has no \"hard\""},
      {"/process/rlimits/0/soft", -1, "/process/rlimits/0/soft: found -1"},
      {"/process/rlimits/0/type", "CORE", "/process/rlimits/0/type: found \"CORE\""},
      {"/process/oomScoreAdj", 1001, "/process/oomScoreAdj: found 1001"},
      {"/process/scheduler/policy", "SCHED_FAIR",
       "/process/scheduler/policy: found \"SCHED_FAIR\", expected one of"},
      {"/process/ioPriority/class", nullptr, "/process/ioPriority: has no \"class\""},
      {"/process/ioPriority/priority", 8, "/process/ioPriority/priority: found 8"},
      {"/hostname", 5, "/hostname: found 5, expected a string"},
      {"/mounts", Json::object(), "/mounts: found {} (object), expected an array"},
      {"/mounts/1/destination", nullptr, "/mounts/1: has no \"destination\""},
      {"/mounts/1/options", "rbind", "/mounts/1/options: found \"rbind\", expected an array"},
      {"/hooks/prestart/0/path", nullptr, "/hooks/prestart/0: has no \"path\""},
      {"/hooks/prestart/0/path", "relative",
       "/hooks/prestart/0/path: found \"relative\", expected an absolute path"},
      {"/hooks/prestart/0/timeout", 0, "/hooks/prestart/0/timeout: found 0"},
      {"/hooks/poststop", "later", "/hooks/poststop: found \"later\", expected an array"},
      {"/linux/namespaces/0/type", "pids", "/linux/namespaces/0/type: found \"pids\""},
      {"/linux/namespaces/0/path", "relative", "/linux/namespaces/0/path: found"},
      {"/linux/uidMappings/0/size", nullptr, "/linux/uidMappings/0: has no \"size\""},
      {"/linux/uidMappings/0/hostID", 4294967296, "/linux/uidMappings/0/hostID: found 4294967296"},
      {"/linux/devices/0/type", "d", "/linux/devices/0/type: found \"d\""},
      {"/linux/devices/0/path", nullptr, "/linux/devices/0: has no \"path\""},
      {"/linux/devices/0/fileMode", -1, "/linux/devices/0/fileMode: found -1"},
      {"/linux/rootfsPropagation", "floating", "/linux/rootfsPropagation: found \"floating\""},
      {"/linux/resources/pids/limit", "many", "/linux/resources/pids/limit: found \"many\""},
      {"/linux/resources/memory/limit", 1.5, "/linux/resources/memory/limit: found 1.5"},
      {"/linux/resources/memory/disableOOMKiller", 1,
       "/linux/resources/memory/disableOOMKiller: found 1"},
      {"/linux/resources/cpu/shares", -1, "/linux/resources/cpu/shares: found -1"},
      {"/linux/resources/blockIO/weight", 5, "/linux/resources/blockIO/weight: found 5"},
      {"/linux/resources/devices/0/access", "x", "access \"x\""},
      {"/linux/resources/devices/0/allow", nullptr, "/linux/resources/devices/0: has no \"allow\""},
      {"/linux/resources/hugepageLimits/0/limit", nullptr,
       "/linux/resources/hugepageLimits/0: has no \"limit\""},
      {"/linux/seccomp/defaultAction", "SCMP_ACT_MAYBE", "/linux/seccomp/defaultAction"},
      {"/linux/seccomp/syscalls/0/names", nullptr, "/linux/seccomp/syscalls/0"},
      {"/linux/personality/domain", "BSD", "/linux/personality/domain: found \"BSD\""},
      {"/linux/memoryPolicy/mode", "MPOL_NEAR", "/linux/memoryPolicy/mode: found \"MPOL_NEAR\""},
      {"/linux/memoryPolicy/nodes", "3-1", "/linux/memoryPolicy/nodes: found \"3-1\""},
      {"/linux/timeOffsets/monotonic/nanosecs", 1000000000,
       "/linux/timeOffsets/monotonic/nanosecs: found 1000000000"},
      {"/linux/sysctl/kernel.panic", "1", "/linux/sysctl/kernel.panic"},
      {"/linux/netDevices/eth0/name", "name-that-is-too-long",
       "/linux/netDevices/eth0/name: found"},
      {"/annotations/empty", 1, "/annotations/empty: found 1, expected a string"}};
  for (const Bad& row : rows) {
    Json config = everything();
    const Json::json_pointer place(row.pointer);
    if (row.value.is_null())
      config[place.parent_pointer()].erase(place.back());
    else
      config[place] = row.value;
    const auto container = read(config);
    ASSERT_FALSE(container) << row.pointer;
    EXPECT_NE(container.error().message().find(row.says), std::string::npos)
        << row.pointer << ": " << container.error().message();
  }
}

TEST(OciDocuments, WhatIsNoDocument) {
  for (const char* text :
       {"", "{", "[]", "null", "1", "\"text\"", "{\"ociVersion\":\"1.0.0\",}", "{\"a\":\x01}"}) {
    const auto container = read_config(text, {.bundle = "/b", .id = "c"});
    ASSERT_FALSE(container) << text;
    EXPECT_NE(container.error().message().find("config.json"), std::string::npos)
        << container.error().message();
  }
}

}  // namespace
}  // namespace isle::oci
