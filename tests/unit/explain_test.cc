// The sentence for a failed step, by the plan alone; what hints find is in tests/run.
#include "run/explain.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "isle/host.h"
#include "plan/view.h"
#include "run/failed_step.h"

namespace isle {
namespace {

// An ordinary sandbox of a made-up ordinary user: no hint can come from the plan.
Spec sandbox() {
  Spec spec;
  for (const NamespaceType type : {NamespaceType::user, NamespaceType::mount, NamespaceType::pid,
                                   NamespaceType::network, NamespaceType::ipc, NamespaceType::uts})
    spec.namespaces.push_back({.type = type});
  spec.root = Root{};
  Bind bind;
  bind.source = "/srv/data";
  bind.attributes.set = 1;
  FileSystem tmpfs;
  tmpfs.type = "tmpfs";
  tmpfs.source = "scratch";
  tmpfs.options = {{"size", "1M"}};
  const Origin from = spec.add_origin("argv[7] --bind");
  spec.mounts.push_back({.destination = "/mnt/data", .what = bind, .from = from});
  spec.mounts.push_back({.destination = "/tmp", .what = tmpfs});
  spec.mounts.push_back({.destination = "/dev", .what = Dev{}});
  spec.mounts.push_back({.destination = "/proc", .what = CoverProc{}});
  spec.hostname = Asked<std::string>{"box", 0};
  spec.process.args.value = {"tool", "--flag"};
  spec.process.cwd = Asked<std::string>{"/work", 0};
  spec.process.rlimits.push_back({.resource = 7, .soft = 10, .hard = 20});
  spec.process.capabilities = Asked<Capabilities>{};
  return spec;
}

Host ordinary_user() {
  Host host;
  host.kernel = {6, 1};
  host.uid = 1000;
  host.gid = 1000;
  host.environment = {"PATH=/usr/bin:/bin"};
  host.files["/"] = {.kind = FileKind::directory};
  host.files["/srv/data"] = {.kind = FileKind::directory};
  return host;
}

class Explain : public testing::Test {
 protected:
  void SetUp() override {
    auto plan = compile(sandbox(), ordinary_user());
    ASSERT_TRUE(plan) << plan.error().message();
    plan_ = *plan;
  }
  // Whether some step's failure is told so.
  [[nodiscard]] bool tells(std::string_view what) const {
    for (size_t i = 0; i < plan_.step_count(); ++i)
      if (explain(plan_, {.step = static_cast<int>(i), .error = EIO}).what == what) return true;
    return false;
  }
  Plan plan_;
};

TEST_F(Explain, EveryStepHasASentenceForEveryErrno) {
  for (size_t i = 0; i < plan_.step_count(); ++i) {
    for (const int error : {0, EPERM, ENOENT, EACCES, EINVAL, EIO, ENOTDIR, EROFS, EBUSY}) {
      const Error told = explain(
          plan_, {.step = static_cast<int>(i), .error = error, .detail = 0xffff00ff, .log = "x"});
      EXPECT_FALSE(told.what.empty()) << plan_.step_text(i);
      EXPECT_EQ(told.code, error);
      EXPECT_EQ(told.step, static_cast<int>(i));
      EXPECT_EQ(told.asked_by, plan_.step_origin(i));
    }
  }
}

TEST_F(Explain, Sentences) {
  EXPECT_TRUE(tells("create ipc, mount, network, pid, user, uts namespaces"));
  EXPECT_TRUE(tells("bind \"/srv/data\" on \"/mnt/data\""));
  EXPECT_TRUE(tells("mount \"scratch\" on \"/tmp\" type \"tmpfs\""));
  EXPECT_TRUE(tells("mount \"scratch\" on \"/tmp\" type \"tmpfs\": option \"size=1M\""));
  EXPECT_TRUE(tells("mount \"devpts\" on \"/dev/pts\" type \"devpts\""));
  EXPECT_TRUE(tells("bind \"/dev/null\" on \"/dev/null\""));
  EXPECT_TRUE(tells("bind \"/proc/sys\" on \"/proc/sys\""));
  EXPECT_TRUE(tells("set the host name \"box\""));
  EXPECT_TRUE(tells("map user ids (1000 1000 1)"));
  EXPECT_TRUE(tells("forbid setgroups in the sandbox"));
  EXPECT_TRUE(tells("change directory to \"/work\""));
  EXPECT_TRUE(tells("set the limit RLIMIT_NOFILE to 10:20"));
  EXPECT_TRUE(tells("execute \"tool\""));
}

TEST_F(Explain, AFileBelowADirectoryIsToldWithIt) {
  Spec spec = sandbox();
  spec.resources.path = Asked<std::string>{"/a"};
  spec.resources.pids_limit = Asked<int64_t>{7};
  Host host = ordinary_user();
  host.cgroup = {.layout = CgroupLayout::v2, .v2_mount = "/c"};
  host.files["/c/a"] = {.kind = FileKind::missing, .error = ENOENT};
  auto plan = compile(spec, host);
  ASSERT_TRUE(plan) << plan.error().message();
  plan_ = *plan;
  EXPECT_TRUE(tells("make the directory \"/c/a\" on the host"));
  EXPECT_TRUE(tells("write \"7\" to \"/c/a/pids.max\""));
}

TEST_F(Explain, WhoAskedForIt) {
  for (size_t i = 0; i < plan_.step_count(); ++i) {
    const Error told = explain(plan_, {.step = static_cast<int>(i), .error = EIO});
    if (told.what == "bind \"/srv/data\" on \"/mnt/data\"") {
      EXPECT_EQ(told.asked_by, "argv[7] --bind");
    }
  }
}

TEST_F(Explain, TheKernelsWords) {
  for (size_t i = 0; i < plan_.step_count(); ++i)
    if (plan_.step_op(i) == "fsconfig_create") {
      const Error told = explain(plan_, {.step = static_cast<int>(i),
                                         .error = EINVAL,
                                         .log = "e tmpfs: Bad value for 'size'\nw careful\n"});
      EXPECT_EQ(told.hint, "the kernel says: tmpfs: Bad value for 'size'; careful");
      return;
    }
  FAIL() << "no step makes a file system";
}

TEST_F(Explain, AProcessThatWasKilled) {
  const plan::View view(plan_);
  const int clone = view.header()->clone_step;
  const Error told = explain(plan_, {.step = clone, .error = 0});
  EXPECT_TRUE(told.what.ends_with("the process was killed while it was being set up")) << told.what;
  EXPECT_EQ(told.hint, "");
}

TEST_F(Explain, NonsenseIsNotAStep) {
  EXPECT_EQ(explain(plan_, {.step = -1, .error = EIO}).code, EIO);
  EXPECT_EQ(explain(plan_, {.step = 100000, .error = EIO}).code, EIO);
  EXPECT_EQ(explain(Plan{}, {.step = 0, .error = EIO}).code, EIO);
}

TEST_F(Explain, WhereAPathOfTheSandboxIsOnTheHost) {
  const StepFailure last{.step = static_cast<int>(plan_.step_count() - 1), .error = ENOENT};
  const FailedStep failed(plan_, last);
  ASSERT_EQ(plan_.step_op(failed.index()), "execve");
  EXPECT_TRUE(failed.is_inside());
  EXPECT_EQ(failed.on_host("/usr/bin/tool")->path, "/usr/bin/tool");
  EXPECT_EQ(failed.on_host("/mnt/data/x")->path, "/srv/data/x");
  EXPECT_FALSE(failed.on_host("/tmp/x").has_value());
  EXPECT_FALSE(failed.on_host("/dev/shm/x").has_value());
  EXPECT_TRUE(failed.is_mount_point("/tmp"));
  EXPECT_EQ(failed.uid_map(), (IdMap{{1000, 1000, 1}}));
}

}  // namespace
}  // namespace isle
