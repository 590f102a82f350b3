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
    const auto target = find_target(text, {.prefix = root(), .uid = uid, .home = "/home/ann"});
    EXPECT_TRUE(target) << text << ": " << target.error().message();
    return target ? target->pid : -1;
  }
  std::string error_of(const std::string& text) {
    const auto target = find_target(text, {.prefix = root()});
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

TEST_F(FindTarget, NamesOfPodmanAndDocker) {
  put(root() + "/run/crun/aaa111/status", R"({"pid": 101})");
  put(root() + "/run/crun/aaa222/status", R"({"pid": 102})");
  put(root() + "/run/docker/runtime-runc/moby/ddd444/state.json", R"({"init_process_pid":104})");
  put(root() + "/run/user/1000/containers/vfs-containers/eee555/userdata/pidfile", "105\n");
  put(root() + "/var/lib/containers/storage/overlay-containers/containers.json",
      R"([{"id": "aaa111", "names": ["blue", "second"]}, {"id": "aaa222", "names": ["aaa1"]}, 5, {"id": "gone", "names": 1}])");
  put(root() + "/home/ann/.local/share/containers/storage/vfs-containers/containers.json",
      R"([{"id": "eee555", "names": ["green"]}])");
  put(root() + "/var/lib/docker/containers/ddd444/config.v2.json", R"({"Name": "/whale"})");
  EXPECT_EQ(pid_of("blue"), 101);
  EXPECT_EQ(pid_of("aaa1"), 102);  // a name before the beginning of an id
  EXPECT_EQ(pid_of("whale"), 104);
  EXPECT_EQ(pid_of("green", 1000), 105);
  EXPECT_NE(error_of("green"), "no error");
  EXPECT_EQ(find_target("whales", {.prefix = root()}).error().hint, "did you mean whale?");
}

TEST_F(FindTarget, AUsersRuntimeDirectory) {
  put(root() + "/tmp/mine/runc/one/state.json", R"({"init_process_pid": 5})");
  const auto target = find_target("one", {.prefix = root(), .uid = 7, .runtime_dir = "/tmp/mine"});
  ASSERT_TRUE(target);
  EXPECT_EQ(target->pid, 5);
}

TEST_F(FindTarget, APrefixMustBeUnique) {
  put(root() + "/run/crun/abc1/status", R"({"pid": 1})");
  put(root() + "/run/crun/abc2/status", R"({"pid": 2})");
  EXPECT_EQ(pid_of("abc2"), 2);
  EXPECT_EQ(error_of("abc"), "several containers may be meant by \"abc\": abc1 abc2");
  // One container that two programs tell of is one.
  put(root() + "/run/containers/storage/overlay-containers/abc1/userdata/pidfile", "1");
  EXPECT_EQ(pid_of("abc1"), 1);
}

TEST_F(FindTarget, BrokenStatesAreNobody) {
  put(root() + "/run/crun/broken/status", "{\"pid\": ");
  put(root() + "/run/crun/list/status", "[1]");
  put(root() + "/run/crun/text/status", R"({"pid": "1"})");
  put(root() + "/run/runc/stopped/state.json", R"({"init_process_pid":0})");
  EXPECT_TRUE(known_containers({.prefix = root()}).empty());
  EXPECT_EQ(error_of("broken"), "nothing to enter is called \"broken\"");
}

TEST_F(FindTarget, PidsInodesAndNames) {
  std::filesystem::create_directories(root() + "/proc/42/ns");
  std::filesystem::create_symlink("net:[4026539999]", root() + "/proc/42/ns/net");
  EXPECT_EQ(pid_of("42"), 42);
  EXPECT_NE(error_of("43"), "no error");
  for (const char* text : {"4026539999", "net:[4026539999]"}) {
    const auto target = find_target(text, {.prefix = root()});
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->type, NamespaceType::network);
    EXPECT_EQ(target->path, root() + "/proc/42/ns/net");
  }
  EXPECT_NE(error_of("4026538888"), "no error");
  put(root() + "/run/netns/blue", "");
  const auto named = find_target("blue", {.prefix = root()});
  ASSERT_TRUE(named);
  EXPECT_EQ(named->type, NamespaceType::network);
  EXPECT_NE(error_of(".."), "no error");
  EXPECT_NE(error_of(""), "no error");
}

TEST_F(FindTarget, Descriptors) {
  const auto target = find_target("/proc/self/ns/uts", {.prefix = root()});
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->type, NamespaceType::uts);
  EXPECT_EQ(find_target("fd:" + std::to_string(target->fd.get()), {})->type, NamespaceType::uts);
  EXPECT_NE(error_of("fd:987654"), "no error");
  EXPECT_NE(error_of("fd:x"), "no error");
}

}  // namespace
}  // namespace isle::cli
