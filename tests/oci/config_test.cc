// config.json to Spec: what each field becomes, and what each wrong one is told.
#include <gtest/gtest.h>

#include "isle/cgroup.h"
#include "isle/names.h"
#include "oci/config.h"

namespace isle::oci {
namespace {

Json minimal() {
  return {{"ociVersion", "1.2.0"},
          {"root", {{"path", "rootfs"}}},
          {"process", {{"args", Json::array({"true"})}, {"cwd", "/"}}},
          {"linux", {{"namespaces", Json::array({{{"type", "mount"}}, {{"type", "ipc"}}})}}}};
}

Result<Container> read(const Json& config) {
  return read_config(config.dump(), {.bundle = "/b", .id = "c"});
}

/// `minimal()` with `value` at a JSON pointer.
Json with(const char* pointer, Json value) {
  Json config = minimal();
  config[Json::json_pointer(pointer)] = std::move(value);
  return config;
}

TEST(OciConfig, MinimalOne) {
  const auto container = read(minimal());
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->spec.root->path, "/b/rootfs");
  EXPECT_EQ(container->spec.process.user.uid->value, 0U);
  EXPECT_EQ(container->spec.process.capabilities->value.permitted, 0U);
  EXPECT_EQ(container->cgroup_path, "/c");
  EXPECT_TRUE(validate(container->spec).empty());
}

TEST(OciConfig, NothingPropagatesWithoutAnOwnMountNamespace) {
  Json config = minimal();
  config["linux"]["rootfsPropagation"] = "rslave";
  config["mounts"] =
      Json::array({{{"destination", "/a"}, {"source", "/a"}, {"options", {"rbind", "rshared"}}},
                   {{"destination", "/b"}, {"source", "/b"}, {"options", {"rbind", "rprivate"}}}});
  EXPECT_TRUE(read(config)->warnings.empty());
  config["linux"]["namespaces"] = Json::array({{{"type", "mount"}, {"path", "/run/ns"}}});
  EXPECT_EQ(read(config)->warnings.size(), 2U);
  config["linux"]["namespaces"] = Json::array();
  const auto container = read(config);
  EXPECT_EQ(container->warnings.size(), 2U);
  EXPECT_TRUE(validate(container->spec).empty());
}

TEST(OciConfig, DefaultConfigIsRead) {
  for (const bool rootless : {false, true}) {
    const auto container =
        read_config(default_config(rootless, true, 1000, 1000), {.bundle = "/b", .id = "c"});
    ASSERT_TRUE(container) << container.error().message();
    EXPECT_TRUE(validate(container->spec).empty());
    EXPECT_TRUE(container->terminal);
  }
}

// Far deeper than the stack.
TEST(OciConfig, DeepNesting) {
  constexpr size_t kDeep = 1'000'000;
  std::string text = with("/annotations", {{"a", "deep"}}).dump();
  text.replace(text.find("\"deep\""), 6, std::string(kDeep, '[') + std::string(kDeep, ']'));
  const auto container = read_config(text, {.bundle = "/b", .id = "c"});
  ASSERT_FALSE(container);
  EXPECT_NE(container.error().message().find("deep"), std::string::npos);
  EXPECT_TRUE(read(with("/annotations", {{"a", "\"\\" + std::string(kDeep, '[')}})));
}

struct Wrong {
  const char* pointer;
  Json value;
  const char* says;
};

TEST(OciConfig, ComplaintsNameThePlace) {
  const Wrong rows[] = {
      {"/process/user/uid", 4294967296, "/process/user/uid: found 4294967296, expected an integer"},
      {"/process/user/uid", -1, "/process/user/uid: found -1, expected"},
      {"/process/user/uid", "0", "/process/user/uid: found \"0\", expected an integer"},
      {"/process/user/gid", 1.5, "/process/user/gid: found 1.5"},
      {"/process/args", Json::array(), "/process/args: found [] (array), expected"},
      {"/process/args", "true", "/process/args: found \"true\", expected an array"},
      {"/process/cwd", "srv", "/process/cwd: found \"srv\", expected an absolute path"},
      {"/process/oomScoreAdj", 1001, "/process/oomScoreAdj: found 1001"},
      {"/process/noNewPrivileges", 1, "expected true or false"},
      {"/process/rlimits", Json::array({{{"type", "NOFILE"}, {"soft", 1}, {"hard", 1}}}),
       "/process/rlimits/0/type"},
      {"/process/scheduler", {{"policy", "SCHED_MINE"}}, "one of \"SCHED_OTHER\""},
      {"/process/ioPriority",
       {{"class", "IOPRIO_CLASS_BE"}, {"priority", 8}},
       "/process/ioPriority/priority: found 8"},
      {"/linux/namespaces/1/type", "net", "/linux/namespaces/1/type: found \"net\""},
      {"/linux/namespaces/1/type", "mount", "the mount namespace is named twice"},
      {"/linux/sysctl", {{"kernel.core_pattern", "x"}}, "is the whole machine's"},
      {"/linux/sysctl", {{"net.ipv4.ip_forward", "1"}}, "the network namespace, which is shared"},
      {"/linux/sysctl", {{"net/../kernel/core_pattern", "x"}}, "/linux/sysctl/net~1..~1kernel"},
      {"/linux/sysctl",
       {{"kernel.shm_rmid_forced=1+kernel.core_pattern", "x"}},
       "is the whole machine's"},
      {"/mounts", Json::array({{{"destination", "/proc/"}, {"type", "tmpfs"}, {"source", "t"}}}),
       "/mounts/0: nothing but a proc file system"},
      {"/mounts",
       Json::array({{{"destination", "/proc"}, {"source", "/x"}, {"options", {"bind"}}}}),
       "/mounts/0: nothing but a proc file system"},
      {"/linux/sysctl", {{"net.//.kernel.core_pattern", "x"}}, "is the whole machine's"},
      {"/linux/cgroupsPath", "/a/../../b", "\"..\" in the path of a cgroup"},
      {"/linux/cgroupsPath", "/./", "the root of a hierarchy is the whole machine's"},
      {"/linux/rootfsPropagation", "upwards", "/linux/rootfsPropagation: found \"upwards\""},
      {"/linux/personality", {{"domain", "BSD"}}, "/linux/personality/domain: found \"BSD\""},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_MAYBE"}},
       "/linux/seccomp/defaultAction: found \"SCMP_ACT_MAYBE\", expected an action"},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_ALLOW"}, {"defaultErrnoRet", 1}},
       "/linux/seccomp/defaultErrnoRet: defaultErrnoRet: this action returns no errno"},
      {"/linux/seccomp", {{"defaultAction", "SCMP_ACT_NOTIFY"}}, "as default action"},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_ALLOW"}, {"architectures", {"Z80"}}},
       "/linux/seccomp/architectures/0: found \"Z80\""},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_ALLOW"}, {"flags", {"FAST"}}},
       "/linux/seccomp/flags/0: found \"FAST\""},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_ALLOW"},
        {"syscalls", Json::array({{{"names", {"read"}}, {"action", "SCMP_ACT_NOTIFY"}}})}},
       "/linux/seccomp: SCMP_ACT_NOTIFY needs a listenerPath"},
      {"/linux/seccomp",
       {{"defaultAction", "SCMP_ACT_ALLOW"},
        {"syscalls",
         Json::array({{{"names", {"read"}},
                       {"action", "SCMP_ACT_ERRNO"},
                       {"args", Json::array({{{"index", 6}, {"value", 1}, {"op", "EQ"}}})}}})}},
       "/linux/seccomp/syscalls/0/args/0/index: found 6"},
      {"/linux/memoryPolicy", {{"mode", "MPOL_FIRST"}}, "/linux/memoryPolicy/mode"},
      {"/linux/memoryPolicy",
       {{"mode", "MPOL_BIND"}, {"nodes", "1-"}},
       "/linux/memoryPolicy/nodes: found \"1-\""},
      {"/linux/netDevices",
       {{"eth0", Json::object()}},
       "/linux/netDevices: devices are moved into"},
      {"/linux/intelRdt", {{"closID", "../x"}}, "/linux/intelRdt/closID: found \"../x\""},
      {"/linux/intelRdt", {{"closID", "mon_groups"}}, "/linux/intelRdt/closID: found"},
      {"/linux/intelRdt", {{"schemata", {"L3:0=f\nMB:0=1"}}}, "/linux/intelRdt/schemata/0: found"},
      {"/linux/intelRdt", {{"enableMonitoring", 1}}, "/linux/intelRdt/enableMonitoring: found 1"},
      {"/hooks", {{"prestart", Json::array({{{"path", "x"}}})}}, "/hooks/prestart/0/path: found"},
      {"/hooks", {{"poststop", Json::array({{{"args", {"x"}}}})}}, "/hooks/poststop/0: has no"},
      {"/hooks",
       {{"poststart", Json::array({{{"path", "/x"}, {"timeout", 0}}})}},
       "/hooks/poststart/0/timeout: found 0"},
      {"/hooks",
       {{"prestart", Json::array({{{"path", "/x"}, {"env", {"A"}}}})}},
       "/hooks/prestart/0/env/0: found \"A\""},
      {"/mounts", Json::array({{{"source", "/x"}}}), "/mounts/0: has no \"destination\""},
      {"/mounts", Json::array({{{"destination", "/x"}}}), "/mounts/0: has neither a type"},
      {"/ociVersion", "2.0.0", "/ociVersion: found \"2.0.0\""},
      {"/root", Json::object(), "/root: has no \"path\""},
  };
  for (const Wrong& row : rows) {
    const auto container = read(with(row.pointer, row.value));
    ASSERT_FALSE(container) << row.pointer;
    EXPECT_NE(container.error().message().find(row.says), std::string::npos)
        << container.error().message() << "\nshould say: " << row.says;
  }
}

TEST(OciConfig, UnknownFieldsAndNullsAreIgnored) {
  Json config = with("/process/favouriteColour", "blue");
  config["hooks"] = nullptr;
  config["linux"]["seccomp"] = nullptr;
  EXPECT_TRUE(read(config));
}

TEST(OciConfig, NotJson) {
  EXPECT_FALSE(read_config("{", {}));
  EXPECT_FALSE(read_config("[]", {}));
  EXPECT_FALSE(read_config("", {}));
}

TEST(OciConfig, Mounts) {
  const auto container =
      read(with("/mounts", Json::array({{{"destination", "data"},
                                         {"source", "vol"},
                                         {"options", {"rbind", "ro", "rnosuid", "rslave"}}},
                                        {{"destination", "/tmp"},
                                         {"type", "tmpfs"},
                                         {"source", "tmpfs"},
                                         {"options", {"nosuid", "size=1M", "mode=1777"}}}})));
  ASSERT_TRUE(container) << container.error().message();
  const auto& bind = std::get<Bind>(container->spec.mounts[0].what);
  EXPECT_EQ(container->spec.mounts[0].destination, "/data");
  EXPECT_EQ(container->spec.origins[container->spec.mounts[0].from], "config.json /mounts/0");
  EXPECT_EQ(bind.source, "/b/vol");
  EXPECT_TRUE(bind.recursive);
  EXPECT_EQ(bind.attributes.set, parse_mount_option("ro")->attributes.set);
  EXPECT_EQ(bind.attributes.recursive_set, parse_mount_option("rnosuid")->attributes.recursive_set);
  EXPECT_EQ(bind.propagation, Propagation::slave);
  EXPECT_TRUE(bind.propagation_recursive);
  const auto& tmp = std::get<FileSystem>(container->spec.mounts[1].what);
  const std::vector<std::pair<std::string, std::string>> options = {{"size", "1M"},
                                                                    {"mode", "1777"}};
  EXPECT_EQ(tmp.options, options);
}

TEST(OciConfig, MountLabel) {
  const auto options = [](const char* type) {
    Json document = with("/linux/mountLabel", "system_u:object_r:svirt_sandbox_file_t:s0");
    if (*type != '\0') document["annotations"]["run.oci.mount_context_type"] = type;
    document["mounts"] = Json::array(
        {{{"destination", "/a"}, {"type", "tmpfs"}}, {{"destination", "/proc"}, {"type", "proc"}}});
    const auto container =
        read_config(document.dump(), {.bundle = "/b", .id = "c", .selinux = [] { return true; }});
    std::string text;
    if (!container) return container.error().message();
    for (const FsOperation& mount : container->spec.mounts)
      if (const auto* fs = std::get_if<FileSystem>(&mount.what))
        for (const auto& [key, value] : fs->options) text += fs->type + " " + key + "=" + value;
    return text;
  };
  EXPECT_EQ(options(""), "tmpfs context=system_u:object_r:svirt_sandbox_file_t:s0");
  EXPECT_EQ(options("rootcontext"), "tmpfs rootcontext=system_u:object_r:svirt_sandbox_file_t:s0");
  EXPECT_NE(options("size").find("/annotations/run.oci.mount_context_type"), std::string::npos)
      << options("size");
}

TEST(OciConfig, UnknownCapabilityIsAWarning) {
  const auto container =
      read(with("/process/capabilities/permitted", Json::array({"CAP_CHOWN", "CAP_FLY"})));
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->spec.process.capabilities->value.permitted, 1U);
  ASSERT_EQ(container->warnings.size(), 1U);
  EXPECT_NE(container->warnings[0].find("/process/capabilities/permitted/1"), std::string::npos);
}

TEST(OciConfig, DevicesAreDeniedButThoseListed) {
  const auto container =
      read(with("/linux/resources/devices",
                Json::array({{{"allow", true}, {"type", "c"}, {"major", 10}, {"access", "r"}}})));
  ASSERT_TRUE(container) << container.error().message();
  CgroupFacts v1{.layout = CgroupLayout::v1};
  v1.v1_hierarchies = {{.mount = "/devices", .own = "/", .controllers = {"devices"}}};
  const auto writes = limit_writes(container->spec.resources, v1, {});
  ASSERT_TRUE(writes) << writes.error().message();
  ASSERT_GT(writes->size(), 2U);
  EXPECT_EQ((*writes)[0].file, "devices.deny");
  EXPECT_EQ((*writes)[0].value, "a");
  EXPECT_EQ((*writes)[1].path, "/devices/c/devices.allow");
  EXPECT_EQ((*writes)[1].value, "c 10:* r");
}

}  // namespace
}  // namespace isle::oci
