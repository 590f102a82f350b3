// What `isle enter` can be pointed at, below a made-up root.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/enter_target.h"
#include "support/support.h"

namespace isle::cli {
namespace {

void put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

class FindTarget : public testing::Test {
 protected:
  std::string root() { return directory_.path(); }
  pid_t pid_of(const std::string& text, uid_t uid = 0) {
    const auto target = find_target(text, root(), uid);
    EXPECT_TRUE(target) << text << ": " << target.error().message();
    return target ? target->pid : -1;
  }
  std::string error_of(const std::string& text) {
    const auto target = find_target(text, root(), 0);
    return target ? "no error" : target.error().what;
  }
  isle::test::TempDir directory_;
};

TEST_F(FindTarget, ContainersOfEachRuntime) {
  put(root() + "/run/crun/aaa111/status", R"({"pid": 101, "rootfs": "/x"})");
  put(root() + "/run/runc/bbb222/state.json", R"({"id":"bbb222","init_process_pid":102})");
  put(root() + "/run/containerd/io.containerd.runtime.v2.task/k8s.io/ccc333/init.pid", "103");
  put(root() + "/run/docker/runtime-runc/moby/ddd444/state.json", R"({"init_process_pid":104})");
  put(root() + "/run/containers/storage/overlay-containers/eee555/userdata/pidfile", "105\n");
  put(root() + "/run/isle-oci/fff666/state.json", R"({"pid":106})");
  EXPECT_EQ(pid_of("aaa111"), 101);
  EXPECT_EQ(pid_of("bbb222"), 102);
  EXPECT_EQ(pid_of("ccc"), 103);
  EXPECT_EQ(pid_of("d"), 104);
  EXPECT_EQ(pid_of("eee5"), 105);
  EXPECT_EQ(pid_of("fff666"), 106);
}

TEST_F(FindTarget, TheUsersOwnContainers) {
  put(root() + "/run/user/1000/crun/mine/status", R"({"pid": 7})");
  EXPECT_EQ(pid_of("mine", 1000), 7);
  EXPECT_NE(error_of("mine"), "no error");
}

TEST_F(FindTarget, APrefixMustBeUnique) {
  put(root() + "/run/crun/abc1/status", R"({"pid": 1})");
  put(root() + "/run/crun/abc2/status", R"({"pid": 2})");
  EXPECT_EQ(pid_of("abc2"), 2);
  EXPECT_EQ(error_of("abc"), "\"abc\" is the beginning of several containers' ids: abc1 abc2");
  // One container that two programs tell of is one.
  put(root() + "/run/containers/storage/overlay-containers/abc1/userdata/pidfile", "1");
  EXPECT_EQ(pid_of("abc1"), 1);
}

TEST_F(FindTarget, BrokenStatesAreNobody) {
  put(root() + "/run/crun/broken/status", "{\"pid\": ");
  put(root() + "/run/crun/list/status", "[1]");
  put(root() + "/run/crun/text/status", R"({"pid": "1"})");
  put(root() + "/run/runc/stopped/state.json", R"({"init_process_pid":0})");
  EXPECT_TRUE(known_containers(root(), 0).empty());
  EXPECT_EQ(error_of("broken"), "nothing to enter is called \"broken\"");
}

TEST_F(FindTarget, PidsInodesAndNames) {
  std::filesystem::create_directories(root() + "/proc/42/ns");
  std::filesystem::create_symlink("net:[4026539999]", root() + "/proc/42/ns/net");
  EXPECT_EQ(pid_of("42"), 42);
  EXPECT_NE(error_of("43"), "no error");
  for (const char* text : {"4026539999", "net:[4026539999]"}) {
    const auto target = find_target(text, root(), 0);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->type, NamespaceType::network);
    EXPECT_EQ(target->path, root() + "/proc/42/ns/net");
  }
  EXPECT_NE(error_of("4026538888"), "no error");
  put(root() + "/run/netns/blue", "");
  const auto named = find_target("blue", root(), 0);
  ASSERT_TRUE(named);
  EXPECT_EQ(named->type, NamespaceType::network);
  EXPECT_NE(error_of(".."), "no error");
  EXPECT_NE(error_of(""), "no error");
}

TEST_F(FindTarget, Descriptors) {
  const auto target = find_target("/proc/self/ns/uts", root(), 0);
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->type, NamespaceType::uts);
  EXPECT_EQ(find_target("fd:" + std::to_string(target->fd.get()), {}, 0)->type, NamespaceType::uts);
  EXPECT_NE(error_of("fd:987654"), "no error");
  EXPECT_NE(error_of("fd:x"), "no error");
}

}  // namespace
}  // namespace isle::cli
