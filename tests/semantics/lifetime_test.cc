// How long a namespace lives. Whether one does is asked of the kernel through user.max_*_namespaces:
// in a user namespace where one of a type is allowed, another can be made when that one has ended.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;

/// True while the one that is allowed exists. If not, the one that this makes has still to end.
bool lives(NamespaceType type) {
  return ask_outside([type]() -> std::string {
           const Status made = unshare({type});
           if (made) return "no";
           if (made.error().code != ENOSPC) must(made);
           return "yes";
         }) == "yes";
}

/// The kernel frees some types later, in a work queue: true when it has.
bool ends(NamespaceType type) {
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{20'000});
  while (lives(type)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds{5});
  }
  return true;
}

class Lifetime : public testing::TestWithParam<NamespaceType> {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "netns", "timens"); }
  /// `function` in a user namespace that allows one more namespace of the type.
  void with_one_allowed(const std::function<void()>& function) {
    expect_in_fork([&] {
      become_root_of_a_user_namespace();
      own_mounts();
      must(set_namespace_limit(GetParam(), GetParam() == mount ? 2 : 1));
      function();
    });
  }
};

// namespaces(7), python-lxns: a process is a member, and its namespace ends with its last process.
TEST_P(Lifetime, ByAProcess) {
  const NamespaceType type = GetParam();
  with_one_allowed([type] {
    Member inhabitant({type});
    EXPECT_TRUE(lives(type));
    inhabitant.end();
    EXPECT_TRUE(ends(type));
  });
}

// The overview, Namespace API: an open descriptor keeps it, though its process has ended.
TEST_P(Lifetime, ByAnOpenDescriptor) {
  const NamespaceType type = GetParam();
  with_one_allowed([type] {
    Member inhabitant({type});
    std::optional<Namespace> open = inhabitant.of(type);
    inhabitant.end();
    EXPECT_TRUE(lives(type));
    open.reset();
    EXPECT_TRUE(ends(type));
  });
}

// setns(2), DESCRIPTION: "or a bind mount to such a link"; it keeps the namespace, too.
TEST_P(Lifetime, ByABindMount) {
  const NamespaceType type = GetParam();
  with_one_allowed([type] {
    must(sys::mount("none", "/mnt", "tmpfs", sys::MountFlags::none, nullptr));
    Member inhabitant({type});
    write_file("/mnt/kept", "");
    const std::string link = "/proc/" + std::to_string(inhabitant.pid()) + "/ns/" +
                             std::string(type_info(type).proc_name);
    must(sys::mount(link.c_str(), "/mnt/kept", nullptr, sys::MountFlags::bind, nullptr));
    inhabitant.end();
    EXPECT_TRUE(lives(type));
    EXPECT_EQ(must(Namespace::of_path("/mnt/kept")).type(), type);
    must(sys::umount2("/mnt/kept", sys::UmountFlags::none));
    EXPECT_TRUE(ends(type));
  });
}

INSTANTIATE_TEST_SUITE_P(, Lifetime,
                         testing::Values(cgroup, ipc, mount, network, pid, time, user, uts),
                         [](const auto& type) { return std::string(to_string(type.param)); });

}  // namespace
}  // namespace isle::test
