// compile() from made-up facts only: what it refuses and why, and the order and meaning of steps
// that golden plans of `isle run` do not show.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "plan/layout.h"
#include "plan_compile_support.h"

namespace isle::compile_test {
namespace {

struct Refusal {
  std::string name;
  int code;
  std::string what;
  std::string hint;  ///< Part of it.
  std::function<void(Spec&, Host&, Origin)> spoil;
  Host (*on)() = root;
};

FileFact missing() {
  return {.kind = FileKind::missing, .error = ENOENT, .why = "/m does not exist"};
}

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> kAll = {
      {"NoUserNamespaces", ENOSPC,
       "create a user namespace: this kernel or its administrator forbids them", "isle doctor",
       [](Spec& s, Host& h, Origin from) {
         h.user_namespaces = false;
         s.namespaces[0].from = from;
       }},
      {"NoTimeNamespaces", EINVAL, "create a time namespace: this kernel has none", "doctor",
       [](Spec& s, Host& h, Origin from) {
         h.time_namespaces = false;
         s.namespaces.push_back({.type = NamespaceType::time, .from = from});
       }},
      {"MapAutoNoRanges", 0,
       "map subordinate ids: /etc/subuid and /etc/subgid grant none to uid 1000", "usermod",
       [](Spec& s, Host&, Origin from) { s.map_auto = {true, from}; }, ordinary},
      {"MapAutoNoPrograms", 0, "map subordinate ids: newuidmap is not installed", "install uidmap",
       [](Spec& s, Host& h, Origin from) {
         h.subuid = h.subgid = {{1, 1}};
         s.map_auto = {true, from};
       },
       ordinary},
      {"MapOthers", EPERM,
       "map ids other than 1000: only newuidmap and newgidmap may do that for an ordinary user",
       "newuidmap is not installed; install uidmap",
       [](Spec& s, Host&, Origin from) { s.uid_mappings = {{{0, 5, 1}}, from}; }, ordinary},
      {"JoinMissing", ENOENT, "join the network namespace \"/m\"", "/m does not exist",
       [](Spec& s, Host& h, Origin from) {
         h.files["/m"] = missing();
         s.namespaces.push_back({.type = NamespaceType::network, .path = "/m", .from = from});
       }},
      {"KeepDirectory", EISDIR, "keep the mount namespace at \"/d\"", "name a file",
       [](Spec& s, Host& h, Origin from) {
         h.files["/d"] = {.kind = FileKind::directory};
         s.keep.push_back({.type = NamespaceType::mount, .path = "/d", .from = from});
       }},
      {"KeepUnprivileged", EPERM, "keep the user namespace at \"/k\"", "CAP_SYS_ADMIN",
       [](Spec& s, Host&, Origin from) {
         s.keep.push_back({.type = NamespaceType::user, .path = "/k", .from = from});
       },
       ordinary},
      {"RootMissing", ENOENT, "use \"/m\" as root", "/m does not exist",
       [](Spec& s, Host& h, Origin from) {
         h.files["/m"] = missing();
         s.root = Root{.path = "/m", .overlay = {}, .from = from};
       }},
      {"RootIsAFile", ENOTDIR, "use \"/f\" as root", "directory tree",
       [](Spec& s, Host& h, Origin from) {
         h.files["/f"] = {.kind = FileKind::file};
         s.root = Root{.path = "/f", .overlay = {}, .from = from};
       }},
      {"LayerMissing", ENOENT, "use \"/m\" as a layer of an overlay", "/m does not exist",
       [](Spec& s, Host& h, Origin from) {
         h.files["/m"] = missing();
         s.mounts.push_back(operation(Overlay{.lower = {"/m"}}, from));
       }},
      {"OverlayTooOld", EPERM, "overlay in a user namespace: Linux 5.11 and later only",
       "--share user",
       [](Spec& s, Host& h, Origin from) {
         h.overlay_in_user_namespace = false;
         s.mounts.push_back(operation(Overlay{.lower = {"/l"}}, from));
       }},
      {"BindMissing", ENOENT, "bind \"/m\" on \"/x\"", "/m does not exist",
       [](Spec& s, Host& h, Origin from) {
         h.files["/m"] = missing();
         s.mounts.push_back(operation(Bind{.source = "/m"}, from));
       }},
      {"BindIdmapUnprivileged", EPERM, "idmapped mount on \"/x\"", "CAP_SYS_ADMIN",
       [](Spec& s, Host&, Origin from) {
         s.mounts.push_back(operation(Bind{.source = "/a", .gid_mappings = {{0, 0, 1}}}, from));
       },
       ordinary},
      {"BindIdmapTooOld", EINVAL, "idmapped mount on \"/x\"", "5.12",
       [](Spec& s, Host& h, Origin from) {
         h.idmapped_mounts = false;
         s.mounts.push_back(operation(Bind{.source = "/a", .uid_mappings = {{0, 0, 1}}}, from));
       }},
      {"FileIsADirectory", EISDIR, "copy \"/d\" to \"/x\"", "--bind",
       [](Spec& s, Host& h, Origin from) {
         h.files["/d"] = {.kind = FileKind::directory};
         s.mounts.push_back(operation(MakeFile{.source = "/d"}, from));
       }},
      {"Device", EPERM, "make the device \"/x\"", "CAP_MKNOD",
       [](Spec& s, Host&, Origin from) {
         s.mounts.push_back(operation(MakeDevice{.mode = 0020666, .major = 1, .minor = 3}, from));
       }},
      {"LimitsUnnamed", 0, "limits need a name for their cgroup", "",
       [](Spec& s, Host&, Origin from) { s.resources.pids_limit = {1, from}; }},
      {"NoCgroups", ENOENT, "limit memory, cpu or pids: no cgroup hierarchy is mounted", "mount",
       [](Spec& s, Host&, Origin from) {
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"V1NoController", ENOENT, "limit pids: no hierarchy has that controller", "",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup.layout = CgroupLayout::v1;
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"V1NotWritable", EACCES, "make a cgroup in \"/c\"", "needs root|need root",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup = {.layout = CgroupLayout::v1, .v1 = {{"pids", "/c"}}};
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"V1Unified", 0, "set memory.high: these are files of cgroup v2, and this machine has v1", "",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup.layout = CgroupLayout::v1;
         s.resources.cgroup_name = "n";
         s.resources.unified.push_back({"memory.high", "1", from});
       }},
      {"V2NotDelegated", EACCES, "make a cgroup: none is delegated to uid 0", "systemd-run",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup.layout = CgroupLayout::v2;
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"V2NoController", ENOENT, "limit pids: the controller is not delegated to \"/c\"", "systemd",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup = {.layout = CgroupLayout::v2, .v2_parent = "/c", .v2_available = {"cpu"}};
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"V2Others", EBUSY, "enable +pids in \"/c\": processes other than isle are in it", "systemd",
       [](Spec& s, Host& h, Origin from) {
         h.cgroup = {.layout = CgroupLayout::v2,
                     .v2_mount = "/",
                     .v2_parent = "/c",
                     .v2_available = {"pids"},
                     .v2_parent_has_others = true};
         s.resources.cgroup_name = "n";
         s.resources.pids_limit = {1, from};
       }},
      {"PassFdClosed", EBADF, "pass descriptor 9 on", "not open",
       [](Spec& s, Host& h, Origin from) {
         h.files["fd:9"] = {.kind = FileKind::missing, .error = EBADF};
         s.process.pass_fds = {{9}, from};
       }},
  };
  return kAll;
}

class CompileRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CompileRefuses, AndSaysWhy) {
  const Refusal& refusal = GetParam();
  Spec spec = sandbox();
  Host host = refusal.on();
  ASSERT_TRUE(compile(spec, host));
  refusal.spoil(spec, host, spec.add_origin("argv[3] --it"));
  const auto plan = compile(spec, host);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().what, refusal.what);
  EXPECT_EQ(plan.error().code, refusal.code);
  EXPECT_EQ(plan.error().asked_by, "argv[3] --it");
  const std::string& hint = refusal.hint;
  const size_t either = hint.find('|');
  EXPECT_TRUE(has(plan.error().hint, hint.substr(0, either)) ||
              (either != hint.npos && has(plan.error().hint, hint.substr(either + 1))))
      << plan.error().hint;
  EXPECT_EQ(plan.error().step, -1);
}

INSTANTIATE_TEST_SUITE_P(Each, CompileRefuses, testing::ValuesIn(refusals()),
                         [](const auto& of) { return of.param.name; });

TEST(Compile, RefusesWhatValidateDoes) {
  Spec spec = sandbox();
  spec.process.args.value.clear();
  EXPECT_EQ(compile(spec, root()).error().what, validate(spec).at(0).what);
}

TEST(Compile, TooManyDescriptorsAtOnce) {
  Spec spec = sandbox();
  for (int i = 0; i < plan::kRegisters; ++i)
    spec.mounts.push_back(operation(Bind{.source = "/a", .uid_mappings = {{0, 0, 1}}}));
  EXPECT_EQ(compile(spec, root()).error().code, ENFILE);
}

TEST(Compile, OptionalFilesThatAreMissingTakeNoRegisters) {
  Spec spec = sandbox();
  Host host = root();
  host.files["/m"] = missing();
  for (int i = 0; i < 200; ++i) {
    spec.mounts.push_back(operation(MakeFile{.source = "/m"}));
    spec.mounts.back().optional = true;
  }
  EXPECT_TRUE(compile(spec, host));
}

TEST(Compile, OriginsThatAreNoneAreNobodys) {
  Spec spec = sandbox();
  spec.origins.clear();
  spec.process.args.from = 77;
  const auto plan = compile(spec, root());
  ASSERT_TRUE(plan);
  EXPECT_TRUE(verify(*plan));
  EXPECT_EQ(plan->step_origin(plan->step_count() - 1), "default");
}

// ---- who writes the maps -------------------------------------------------------------------------

TEST(CompileIds, AnOrdinaryUserHasOneIdWrittenByInit) {
  const std::string text = steps(sandbox(), ordinary());
  EXPECT_TRUE(in_order(text, {"clone3", "\"/proc/self/setgroups\" \"deny\"",
                              "\"/proc/self/uid_map\" \"1000 1000 1\"",
                              "\"/proc/self/gid_map\" \"1000 1000 1\"", "execve"}));
  EXPECT_FALSE(has(text, "post"));
}

TEST(CompileIds, SubordinateIdsByTheProgramsAndTheOwnIdStays) {
  const std::string text = steps(sandbox(), with_subids());
  EXPECT_TRUE(
      in_order(text, {"clone3", "map_program \"/bin/newuidmap\"", "map_program \"/bin/newgidmap\"",
                      "post ids_ready", "await ids_ready", "execve"}));
  EXPECT_FALSE(has(text, "setresuid"));
  EXPECT_FALSE(has(text, "deny"));
}

TEST(CompileIds, RootMapsEveryIdToItself) {
  const std::string text = steps(sandbox(), root());
  EXPECT_TRUE(has(text, "write_child \"uid_map\" \"0 0 4294967295\""));
  Host nested = root();
  nested.own_uid_map = {{0, 100000, 1000}, {2000, 5, 1}};
  nested.own_gid_map = {{0, 100000, 10}};
  const std::string inner = steps(sandbox(), nested);
  EXPECT_TRUE(has(inner, "write_child \"uid_map\" \"0 0 1000\\n2000 2000 1\""));
  EXPECT_TRUE(has(inner, "write_child \"gid_map\" \"0 0 10\""));
}

TEST(CompileIds, AnOrdinaryUserAppearsAsTheIdAskedFor) {
  Spec spec = sandbox();
  spec.process.user.uid = {0, 0};
  spec.process.user.gid = {7, 0};
  const std::string alone = steps(spec, ordinary());
  EXPECT_TRUE(has(alone, "\"0 1000 1\""));
  EXPECT_TRUE(has(alone, "\"7 1000 1\""));
  EXPECT_FALSE(has(alone, "setresuid"));
  EXPECT_TRUE(has(steps(spec, root()), "\"0 0 4294967295\""));

  const std::string around = steps(spec, with_subids());
  EXPECT_TRUE(has(around, R"(newuidmap" ["0", "1000", "1", "1", "100000", "65536"])"));
  EXPECT_TRUE(has(around, R"(newgidmap" ["0", "100000", "7", "7", "1000", "1")"));
  EXPECT_FALSE(has(around, "setresuid"));
}

// Maps that were asked for have a root that all is made for; before other ids are taken on comes
// what the caller does by /proc/PID, and after it the parent's death signal once more.
TEST(CompileIds, SetUpIsTheRootsOfMapsThatWereAskedFor) {
  Spec spec = sandbox();
  spec.uid_mappings = spec.gid_mappings = {{{0, 100000, 10}}, 0};
  spec.process.oom_score_adj = {5, 0};
  spec.process.die_with_parent = {.value = true};
  spec.namespaces.push_back({.type = NamespaceType::time});
  spec.time_offsets.push_back({.clock = TimeOffset::Clock::boottime, .offset_ns = 1'000'000'000});
  EXPECT_TRUE(in_order(steps(spec, with_subids()),
                       {"newgidmap", "oom_score_adj", "post ids_ready", "PR_SET_PDEATHSIG",
                        "await ids_ready", "timens_offsets", "setresuid 0", "PR_SET_PDEATHSIG"}));
}

TEST(CompileIds, GroupsOfTheCallerAreDroppedWithItsId) {
  Spec spec = sandbox();
  spec.process.user.uid = {5, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"setgroups []", "setresuid 5"}));
  spec.uid_mappings = {{{5, 1000, 1}}, 0};
  EXPECT_FALSE(has(steps(spec, ordinary()), "setgroups []"));  // it may not
}

TEST(CompileIds, CapabilitiesOutliveTheSwitch) {
  Spec spec = sandbox();
  spec.process.user.uid = {5, 0};
  const uint64_t caps = 1 << 10;
  spec.process.capabilities = {{caps, caps, caps, caps, caps}, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"drop_bounding NET_BIND_SERVICE", "PR_SET_KEEPCAPS 1",
                                             "setresuid 5", "capset", "raise_ambient", "execve"}));
  spec.process.capabilities = {{}, 0};
  EXPECT_FALSE(has(steps(spec, root()), "KEEPCAPS"));
}

TEST(CompileIds, InAJoinedUserNamespaceAnIdIsSetWheneverItIsAskedFor) {
  Spec spec = spec_with({});
  spec.namespaces.push_back({.type = NamespaceType::user, .path = "/ns"});
  EXPECT_FALSE(has(steps(spec, root()), "setresuid"));
  spec.process.user.uid = {0, 0};
  spec.process.user.gid = {0, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"setns", "clone3", "setresgid 0", "setresuid 0"}));
}

// ---- joining -------------------------------------------------------------------------------------

TEST(CompileJoins, ByInitWhereNothingIsLostByThat) {
  Spec spec = spec_with({NamespaceType::uts});
  spec.namespaces.push_back({.type = NamespaceType::network, .path = "/ns"});
  EXPECT_TRUE(in_order(steps(spec, root()), {"runtime open \"/ns\"", "clone3", "init setns"}));
}

TEST(CompileJoins, BeforeTheCloneIntoANewUserNamespace) {
  Spec spec = sandbox();
  spec.namespaces.push_back({.type = NamespaceType::network, .path = "/ns"});
  EXPECT_TRUE(in_order(steps(spec, root()), {"runtime setns", "clone3"}));
}

TEST(CompileJoins, UserFirstToGainPrivilegeLastToLoseIt) {
  Spec spec = spec_with({});
  spec.namespaces = {{.type = NamespaceType::network, .path = "/n"},
                     {.type = NamespaceType::user, .path = "/u"}};
  EXPECT_TRUE(in_order(steps(spec, ordinary()), {"setns %1 NEWUSER", "setns %0 NEWNET"}));
  EXPECT_TRUE(in_order(steps(spec, root()), {"setns %0 NEWNET", "setns %1 NEWUSER"}));
}

TEST(CompileJoins, TheHostsProcStaysAtHand) {
  Spec spec = spec_with({NamespaceType::user});
  spec.namespaces.push_back({.type = NamespaceType::mount, .path = "/m"});
  spec.process.oom_score_adj = {5, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"open \"/proc\"", "-> %1", "expect_fs %1 proc",
                                             "setns %0 NEWNS", "clone3", "write_child \"uid_map\"",
                                             "%1", "write_child \"oom_score_adj\" \"5\" %1"}));
  spec.keep.push_back({.type = NamespaceType::user, .path = "/k"});
  EXPECT_FALSE(compile(spec, root()));
}

TEST(CompileTime, ExecEntersItSince63) {
  Spec spec = spec_with({NamespaceType::user, NamespaceType::time});
  spec.time_offsets = {{.clock = TimeOffset::Clock::boottime, .offset_ns = -1}};
  Host host = ordinary();
  const std::string now = steps(spec, host);
  EXPECT_TRUE(in_order(now, {"clone3 VM", "unshare NEWTIME", "\"boottime -1 999999999\""}));
  EXPECT_FALSE(has(now, "setns"));
  host.exec_enters_time_namespace = false;
  const std::string old = steps(spec, host);
  EXPECT_TRUE(in_order(old, {"unshare NEWTIME", "timens_offsets", "time_for_children", "setns"}));
  EXPECT_FALSE(has(old, "clone3 VM"));  // the kernel wants the only user of its memory
}

// ---- the file system -----------------------------------------------------------------------------

TEST(CompileMounts, ModesAreAsAskedWhateverTheMask) {
  Spec spec = sandbox();
  spec.mounts.push_back(operation(MakeDirectory{.mode = 0777}));
  const Host host = ordinary();
  EXPECT_TRUE(in_order(steps(spec, host), {"umask 0\n", "make_dir_in", "restore_umask", "execve"}));
  spec.root = Root{.overlay = Overlay{}};
  EXPECT_TRUE(in_order(steps(spec, host), {"umask 0\n", "make_dir_in", "restore_umask", "execve"}));
  spec.process.umask = Asked<mode_t>{077};
  EXPECT_TRUE(in_order(steps(spec, host), {"umask 0\n", "make_dir_in", "umask 077", "execve"}));
}

TEST(CompileMounts, DevicesAreMadeBoundOrRefused) {
  Spec spec = spec_with({NamespaceType::mount});
  spec.mounts.push_back(operation(MakeDevice{.mode = 0020666, .major = 10, .minor = 229}));
  EXPECT_TRUE(in_order(steps(spec, root()), {"mknod_in", "020666 2789 0 0"}));
  spec.namespaces.push_back({.type = NamespaceType::user});
  Host host = root();
  host.files["/x"] = {.kind = FileKind::character_device, .device = 10 << 8 | 229};
  const std::string bound = steps(spec, host);
  EXPECT_TRUE(in_order(bound, {"open_tree - \"/x\"", "make_file_in", "move_mount"}));
  host.files["/x"].device = 10 << 8 | 228;
  EXPECT_FALSE(compile(spec, host));
  spec.mounts[0].what = MakeDevice{.mode = 0010666};  // a FIFO may be made by anybody
  EXPECT_TRUE(has(steps(spec, ordinary()), "mknod_in"));
}

TEST(CompileMounts, MaskedIsTheOneOrTheOtherAndNeverNeither) {
  Spec spec = sandbox();
  spec.mounts.push_back(operation(Mask{}));
  const auto plan = compile(spec, ordinary());
  ASSERT_TRUE(plan);
  EXPECT_FALSE(has(to_text(*plan), "unless EINVAL"));
  EXPECT_TRUE(
      in_order(to_text(*plan), {"open_in", "expect_directory", "unless ENOTDIR, which skips 1",
                                "move_mount", "(which skips", "\"/dev/null\"", "move_mount"}));
}

TEST(CompileMounts, MaskedDirectoriesShareOneFileSystem) {
  Spec spec = sandbox();
  for (int i = 0; i < 2; ++i) spec.mounts.push_back(operation(Mask{}));
  const std::string plan = steps(spec, root());
  const std::string_view source = "\"source\" \"isle\"";
  EXPECT_EQ(plan.find(source), plan.rfind(source));
  EXPECT_TRUE(in_order(plan, {"fsmount", "or a copy", "/dev/null", "move_mount", "or a copy",
                              "/dev/null", "move_mount"}));
}

TEST(CompileMounts, AnIdmapOfOneKindOfIdLeavesTheOther) {
  Spec spec = sandbox();
  spec.mounts.push_back(operation(Bind{.source = "/a", .gid_mappings = {{1, 2, 3}}}));
  EXPECT_TRUE(in_order(steps(spec, root()),
                       {"runtime make_userns \"0 0 4294967295\" \"1 2 3\"", "runtime open_tree",
                        "MS_SLAVE", "MOUNT_ATTR_IDMAP", "clone3", "init move_mount"}));
}

// ---- the process ---------------------------------------------------------------------------------

TEST(CompileProcess, CandidatesAreWhatExecvpTries) {
  Spec spec = sandbox();
  spec.process.args.value = {"tool"};
  spec.process.env = {{"PATH=/a::/b/"}, 0};
  EXPECT_TRUE(has(steps(spec, ordinary()), R"(execve ["/a/tool", "./tool", "/b/tool"])"));
  spec.process.env = {{}, 0};
  EXPECT_TRUE(has(steps(spec, ordinary()), "\"/usr/local/sbin/tool\", "));
  spec.process.args.value = {"dir/tool"};
  EXPECT_TRUE(has(steps(spec, ordinary()), R"(execve ["dir/tool"])"));
}

TEST(CompileProcess, AFilterGoesBeforePrivilegesAreLostOrAfterNoNewPrivs) {
  Spec spec = sandbox();
  spec.process.seccomp = {{.instructions = {6}}, 0};
  spec.process.capabilities = {{}, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"seccomp", "capset", "execve"}));
  spec.process.no_new_privileges = {true, 0};
  EXPECT_TRUE(in_order(steps(spec, root()), {"capset", "NO_NEW_PRIVS", "seccomp", "execve"}));
}

TEST(CompileProcess, TheCommandOfAnInitIsItsChild) {
  Spec spec = spec_with({NamespaceType::user, NamespaceType::pid});
  spec.process.init = {true, 0};
  spec.process.die_with_parent = {true, 0};
  EXPECT_TRUE(in_order(steps(spec, ordinary()),
                       {"init prctl PR_SET_PDEATHSIG", "init alive", "init spawn", "init reap",
                        "command prctl PR_SET_PDEATHSIG", "command execve"}));
}

}  // namespace
}  // namespace isle::compile_test
