// All that validate() complains of, and who it says asked.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "isle/spec.h"

namespace isle {
namespace {

using Types = std::vector<NamespaceType>;

Spec spec_with(const Types& types) {
  Spec spec;
  spec.process.args.value = {"true"};
  for (const NamespaceType type : types) spec.namespaces.push_back({.type = type});
  return spec;
}

Spec all_new() {
  return spec_with({NamespaceType::cgroup, NamespaceType::ipc, NamespaceType::mount,
                    NamespaceType::network, NamespaceType::pid, NamespaceType::time,
                    NamespaceType::user, NamespaceType::uts});
}

struct Complaint {
  std::string_view name;
  std::string what;  ///< Of the first complaint.
  std::function<void(Spec&, Origin)> spoil;
  Spec (*from)() = all_new;
};

Spec nothing_new() { return spec_with({}); }
std::string with_nul() { return std::string("a\0b", 3); }

FsOperation operation(decltype(FsOperation::what) what, Origin from, std::string at = "/x") {
  return {.destination = std::move(at), .what = std::move(what), .from = from};
}

const std::vector<Complaint>& complaints() {
  static const std::vector<Complaint> kAll = {
      {"NamespaceTwice", "user namespace: named twice",
       [](Spec& s, Origin from) {
         s.namespaces.push_back({.type = NamespaceType::user, .from = from});
       }},
      {"KeepWhatIsShared", "keep the network namespace: no new network namespace is made",
       [](Spec& s, Origin from) {
         s.keep.push_back({.type = NamespaceType::network, .path = "/k", .from = from});
       },
       nothing_new},
      {"HostnameShared", "hostname: needs a uts namespace of its own",
       [](Spec& s, Origin from) { s.hostname = {"h", from}; }, nothing_new},
      {"DomainnameShared", "domainname: needs a uts namespace of its own",
       [](Spec& s, Origin from) { s.domainname = {"h", from}; }, nothing_new},
      {"HostnameLong", "hostname \"" + std::string(65, 'h') + "\": longer than 64 bytes",
       [](Spec& s, Origin from) { s.hostname = {std::string(65, 'h'), from}; }},
      {"MountsShared", "mounts: needs a mount namespace of its own",
       [](Spec& s, Origin from) { s.mounts.push_back(operation(MakeDirectory{}, from)); },
       nothing_new},
      {"RootSharedAndNewUser",
       "a root of its own in a mount namespace that is shared: a process in a user namespace of "
       "its "
       "own has no rights over that one",
       [](Spec& s, Origin from) {
         s.namespaces = {{.type = NamespaceType::user, .from = from}};
         s.root = Root{};
       },
       nothing_new},
      {"RootSharedAndJoinedUser",
       "a root of its own in a mount namespace that is shared: a process in a user namespace of "
       "its "
       "own has no rights over that one",
       [](Spec& s, Origin from) {
         s.namespaces = {{.type = NamespaceType::user, .path = "/ns", .from = from}};
         s.root = Root{};
       },
       nothing_new},
      {"RootJoinedAndNewUser",
       "a root of its own in a mount namespace that is joined: a process in a user namespace of "
       "its "
       "own has no rights over that one",
       [](Spec& s, Origin from) {
         s.namespaces = {{.type = NamespaceType::user},
                         {.type = NamespaceType::mount, .path = "/ns", .from = from}};
         s.root = Root{};
       },
       nothing_new},
      {"OffsetShared", "time offset: needs a new time namespace",
       [](Spec& s, Origin from) { s.time_offsets.push_back({.offset_ns = 1, .from = from}); },
       nothing_new},
      {"LoopbackShared", "loopback device up: needs a network namespace of its own",
       [](Spec& s, Origin from) { s.loopback_up = {true, from}; }, nothing_new},
      {"MapShared", "uid map: needs a new user namespace",
       [](Spec& s, Origin from) { s.uid_mappings = {{{0, 0, 1}}, from}; }, nothing_new},
      {"MapEmpty", "gid map: is empty", [](Spec& s, Origin from) { s.gid_mappings = {{}, from}; }},
      {"MapNoIds", "uid map 1:2:0: has no ids",
       [](Spec& s, Origin from) { s.uid_mappings = {{{1, 2, 0}}, from}; }},
      {"MapTooFar", "uid map 0:4294967295:1: goes past 4294967294",
       [](Spec& s, Origin from) { s.uid_mappings = {{{0, 0xffffffff, 1}}, from}; }},
      {"MapOverlapInside", "uid map: 0:100:10 and 9:200:10 overlap",
       [](Spec& s, Origin from) { s.uid_mappings = {{{0, 100, 10}, {9, 200, 10}}, from}; }},
      {"MapOverlapOutside", "gid map: 0:100:10 and 50:109:1 overlap",
       [](Spec& s, Origin from) { s.gid_mappings = {{{0, 100, 10}, {50, 109, 1}}, from}; }},
      {"MapLong", "uid map: 341 lines; the kernel takes 340",
       [](Spec& s, Origin from) {
         IdMap map;
         for (uint32_t i = 0; i < 341; ++i) map.push_back({i, i, 1});
         s.uid_mappings = {map, from};
       }},
      {"NoCommand", "nothing to execute: the command is empty",
       [](Spec& s, Origin from) { s.process.args = {{}, from}; }},
      {"EmptyCommand", "nothing to execute: the command is empty",
       [](Spec& s, Origin from) { s.process.args = {{"", "x"}, from}; }},
      {"UidMinusOne", "uid 4294967295: is no id (the kernel reads it as \"unchanged\")",
       [](Spec& s, Origin from) { s.process.user.uid = {0xffffffff, from}; }},
      {"GidNotMapped", "gid 7: is not mapped in the user namespace",
       [](Spec& s, Origin from) {
         s.gid_mappings = {{{0, 0, 7}}, 0};
         s.process.user.gid = {7, from};
       }},
      {"CwdRelative", "working directory \"x\": must be absolute",
       [](Spec& s, Origin from) { s.process.cwd = {"x", from}; }},
      {"RlimitSoftAboveHard", "rlimit: soft 2 is above hard 1",
       [](Spec& s, Origin from) {
         s.process.rlimits.push_back({.soft = 2, .hard = 1, .from = from});
       }},
      {"OomScore", "oom score adjustment 1001: must be -1000 to 1000",
       [](Spec& s, Origin from) { s.process.oom_score_adj = {1001, from}; }},
      {"Cpu", "cpu -1: must be 0 to 8191",
       [](Spec& s, Origin from) { s.process.cpus_allowed = {{-1}, from}; }},
      {"PassFd", "descriptor -2: is negative",
       [](Spec& s, Origin from) { s.process.pass_fds = {{-2}, from}; }},
      {"InitShared", "init: needs a new pid namespace, whose pid 1 it is to be",
       [](Spec& s, Origin from) { s.process.init = {true, from}; }, nothing_new},
      {"Effective", "capabilities: effective ones that are not permitted",
       [](Spec& s, Origin from) {
         s.process.capabilities = {{.effective = 3, .permitted = 1}, from};
       }},
      {"Ambient", "capabilities: ambient ones that are not both permitted and inheritable",
       [](Spec& s, Origin from) {
         s.process.capabilities = {{.permitted = 1, .ambient = 1}, from};
       }},
      {"Destination", "destination \"x\": must be absolute",
       [](Spec& s, Origin from) { s.mounts.push_back(operation(MakeDirectory{}, from, "x")); }},
      {"BindMap", "uid map 0:0:0: has no ids",
       [](Spec& s, Origin from) {
         s.mounts.push_back(operation(Bind{.source = "/a", .uid_mappings = {{0, 0, 0}}}, from));
       }},
      {"OverlayNoLower", "overlay: has no lower layer",
       [](Spec& s, Origin from) { s.mounts.push_back(operation(Overlay{}, from)); }},
      {"OverlayHalf", "overlay: upper and work go together",
       [](Spec& s, Origin from) {
         s.mounts.push_back(operation(Overlay{.lower = {"/l"}, .upper = "/u"}, from));
       }},
      {"DeviceType", "device \"/x\": must be a character or block device or a FIFO",
       [](Spec& s, Origin from) { s.mounts.push_back(operation(MakeDevice{.mode = 0666}, from)); }},
      {"SwapAlone", "memory and swap together: needs a memory limit that is not above it",
       [](Spec& s, Origin from) { s.resources.memory_swap_bytes = {100, from}; }},
      {"SwapBelowMemory", "memory and swap together: needs a memory limit that is not above it",
       [](Spec& s, Origin from) {
         s.resources.memory_limit_bytes = {101, 0};
         s.resources.memory_swap_bytes = {100, from};
       }},
      {"UnifiedPath", "\"../memory.max\": is no file of a cgroup controller",
       [](Spec& s, Origin from) { s.resources.unified.push_back({"../memory.max", "1", from}); }},
      {"NulInArgument", "\"a\": has a NUL byte in it",
       [](Spec& s, Origin from) { s.process.args = {{"x", with_nul()}, from}; }},
      {"NulInOption", "\"a\": has a NUL byte in it",
       [](Spec& s, Origin from) {
         s.mounts.push_back(operation(
             FileSystem{.type = "tmpfs", .source = "", .options = {{"mode", with_nul()}}}, from));
       }},
      {"NulInSysctl", "\"a\": has a NUL byte in it",
       [](Spec& s, Origin from) {
         s.sysctl.emplace_back("k", Asked<std::string>{with_nul(), from});
       }},
      {"NulInNamespace", "\"a\": has a NUL byte in it",
       [](Spec& s, Origin from) {
         s.namespaces.push_back({.type = NamespaceType::uts, .path = with_nul(), .from = from});
       },
       nothing_new},
  };
  return kAll;
}

class ValidateRefuses : public testing::TestWithParam<Complaint> {};

TEST_P(ValidateRefuses, AndSaysWhoAsked) {
  Spec spec = GetParam().from();
  ASSERT_TRUE(validate(spec).empty());
  GetParam().spoil(spec, spec.add_origin("argv[7] --it"));
  const std::vector<Error> found = validate(spec);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().what, GetParam().what);
  EXPECT_EQ(found.front().asked_by, "argv[7] --it");
  EXPECT_EQ(found.front().code, 0);
}

INSTANTIATE_TEST_SUITE_P(Each, ValidateRefuses, testing::ValuesIn(complaints()),
                         [](const auto& of) { return std::string(of.param.name); });

TEST(Validate, ListsAllComplaints) {
  Spec spec = nothing_new();
  spec.hostname = {"h", 0};
  spec.process.cwd = {"relative", 0};
  spec.process.args.value.clear();
  EXPECT_EQ(validate(spec).size(), 3U);
}

TEST(Validate, AnOriginThatIsNoneIsNoDanger) {
  Spec spec = nothing_new();
  spec.origins.clear();
  spec.hostname = {"h", 999};
  EXPECT_EQ(validate(spec).at(0).asked_by, "");
}

TEST(Validate, AnUnmappedIdHasAHint) {
  Spec spec = all_new();
  spec.uid_mappings = {{{0, 0, 7}}, 0};
  spec.process.user.uid = {7, 0};
  EXPECT_EQ(validate(spec).at(0).hint, "the uid map has to have it, too");
}

TEST(Spec, OriginsAreKeptOnce) {
  Spec spec;
  EXPECT_EQ(spec.add_origin("default"), 0);
  EXPECT_EQ(spec.add_origin("argv[1]"), 1);
  EXPECT_EQ(spec.add_origin("argv[2]"), 2);
  EXPECT_EQ(spec.add_origin("argv[1]"), 1);
}

TEST(Spec, FindsAndCreates) {
  Spec spec;
  spec.namespaces = {{.type = NamespaceType::user}, {.type = NamespaceType::network, .fd = 4}};
  EXPECT_TRUE(spec.creates(NamespaceType::user));
  EXPECT_FALSE(spec.creates(NamespaceType::network));
  EXPECT_NE(spec.find(NamespaceType::network), nullptr);
  EXPECT_EQ(spec.find(NamespaceType::uts), nullptr);
}

}  // namespace
}  // namespace isle
