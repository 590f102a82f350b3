// What `isle unshare`, `isle enter` and the fronts say of what they cannot do: the sentence, who asked,
// what to try. A row a mistake; nothing here is done to the machine.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "run/explain_support.h"
#include "support/neighbour.h"

namespace isle {
namespace {

using test::CommandOptions;
using test::CommandResult;
using test::must;
using test::Neighbour;

struct Mistake {
  std::string_view name;
  std::vector<std::string>
      words;  ///< "unshare ...", "enter ...": isle; "isle-nsenter ...": a front.
  int status = 125;
  std::vector<std::string> says;
  bool as_user = false;
};

/// TARGET in a word: a process in user, network and uts namespaces of its own, of root's.
const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> kMistakes = {
      {"NothingIsNew", {"unshare", "true"}, 125, {"nothing is to be new", "hint: --new TYPE"}},
      {"UnknownType",
       {"unshare", "--new=nosuch"},
       125,
       {"\"nosuch\" is not a type", "the types are"}},
      {"UnknownOption", {"unshare", "--nosuch"}, 125, {"unknown option \"--nosuch\"", "argv[2]"}},
      {"HostnameOfNone",
       {"unshare", "-nnet", "--hostname=x", "true"},
       125,
       {"needs a uts namespace"}},
      {"ProcOfNone",
       {"unshare", "-nnet", "--proc", "true"},
       125,
       {"--proc needs a new mount", "argv[3]"}},
      {"ProcOnNothing",
       {"unshare", "-nmount", "--proc=/no/such", "true"},
       125,
       {"mount proc on \"/no/such\": No such file or directory (ENOENT)", "argv[3] --proc"}},
      {"OffsetTooFar",
       {"unshare", "-ntime", "--time-offset=monotonic=-99999999", "true"},
       125,
       {"set the time offset", "(ERANGE)", "a clock inside would be before 0"}},
      {"RootMissing",
       {"unshare", "-nmount", "--root=/no/such", "true"},
       125,
       {"change root to", "/no does not exist"}},
      {"RootAFile",
       {"unshare", "-nmount", "--root=/etc/passwd", "true"},
       125,
       {"change root to", "(ENOTDIR)"}},
      {"WorkdirMissing",
       {"unshare", "-nuts", "--workdir=/no/such", "true"},
       125,
       {"change directory to", "argv[3] --workdir"}},
      {"UidNotMapped",
       {"unshare", "-nuser", "--uid=5", "true"},
       125,
       {"uid 5: is not mapped", "argv[3] --uid"}},
      {"UidTooLarge",
       {"unshare", "-nuser", "--uid=4294967295", "true"},
       125,
       {"ids go from 0 to 4294967294"}},
      {"MapsOverlap",
       {"unshare", "-nuser", "--map-uid=0:0", "--map-uid=0:1", "true"},
       125,
       {"0:0:1 and 0:1:1 overlap"}},
      {"NoSuchSignal",
       {"unshare", "-nuts", "--die-with-parent=FOO", "true"},
       125,
       {"\"FOO\" is no signal"}},
      {"KeepOnADirectory",
       {"unshare", "-nuts", "--keep=uts=/etc", "true"},
       125,
       {"keep the uts namespace at \"/etc\"", "name a file"}},
      {"CommandMissing",
       {"unshare", "-nuts", "/no/such"},
       127,
       {"execute \"/no/such\"", "/no does not exist"}},
      {"CommandADirectory", {"unshare", "-nuts", "/etc"}, 126, {"/etc is a directory"}},
      {"NoPrivilege",
       {"unshare", "-nuts", "true"},
       125,
       {"create uts namespace", "without CAP_SYS_ADMIN"},
       true},
      {"KeepUnprivileged",
       {"unshare", "-nuser,net", "--keep=net=/tmp/x", "true"},
       125,
       {"keep the network namespace", "needs CAP_SYS_ADMIN in the mount namespace"},
       true},

      {"EnterNothing", {"enter"}, 125, {"enter what?"}},
      {"EnterNobody",
       {"enter", "nosuch", "true"},
       125,
       {"nothing to enter is called \"nosuch\"", "a pid, fd:N"}},
      {"EnterNoPid", {"enter", "4194303", "true"}, 125, {"no process has pid 4194303"}},
      {"EnterAFile",
       {"enter", "/etc/passwd", "true"},
       125,
       {"\"/etc/passwd\": not a namespace", "hint: a file of /proc/PID/ns is wanted"}},
      {"EnterMissingPath",
       {"enter", "/no/such", "true"},
       125,
       {"open namespace \"/no/such\"", "(ENOENT)"}},
      {"EnterClosedDescriptor", {"enter", "fd:987", "true"}, 125, {"descriptor 987", "(EBADF)"}},
      {"EnterOtherDescriptor",
       {"enter", "fd:0", "true"},
       125,
       {"descriptor 0 is neither a namespace nor a pidfd"}},
      {"EnterNoNumber", {"enter", "ns:x", "true"}, 125, {"no number after ns:"}},
      {"EnterNoInode",
       {"enter", "net:[1]", "true"},
       125,
       {"no process is in a namespace with inode 1"}},
      {"EnterUnknownType",
       {"enter", "TARGET", "--types=foo", "true"},
       125,
       {"\"foo\" is no type of namespace"}},
      {"EnterAsNobody",
       {"enter", "TARGET", "--user=root", "true"},
       125,
       {"--user: \"root\" is not a numeric id"}},
      {"EnterRelative",
       {"enter", "TARGET", "--workdir=etc", "true"},
       125,
       {"needs an absolute path"}},
      {"EnterUnmapped",
       {"enter", "TARGET", "--uid=7", "true"},
       125,
       {"become user 7", "user id 7 is not mapped in the user namespace (the map: 0:0:1)"}},
      {"EnterCwdOfANamespace",
       {"enter", "/proc/TARGET/ns/net", "--cwd", "true"},
       125,
       {"a namespace has none of that"}},
      {"EnterToolsOnNothing",
       {"enter", "TARGET", "--tools=/no/such", "true"},
       125,
       {"show the target's root on \"/no/such\"", "name a directory that exists"}},
      {"EnterNotOurs",
       {"enter", "TARGET", "true"},
       125,
       {"of process", "(EPERM)", "is of user 0, and only that user or CAP_SYS_PTRACE"},
       true},
      {"EnterNotOurPath",
       {"enter", "/proc/TARGET/ns/net", "true"},
       125,
       {"open namespace", "(EACCES)", "is of user 0, and only that user or CAP_SYS_PTRACE"},
       true},
      {"EnterEnvNotOurs",
       {"enter", "TARGET", "--env", "true"},
       125,
       {"environ: Permission denied", "argv[3] --env", "is of user 0"},
       true},

      {"FrontUnknownOption",
       {"isle-unshare", "--nosuch"},
       1,
       {"unshare: unrecognized option '--nosuch'", "argv[1]"}},
      {"FrontUnknownLetter",
       {"isle-unshare", "-uZ"},
       1,
       {"invalid option -- 'Z'", "asked by: argv[1]"}},
      {"FrontValueMissing",
       {"isle-nsenter", "-t"},
       1,
       {"option '-t' requires an argument", "argv[1]"}},
      {"FrontLongValueMissing",
       {"isle-nsenter", "--target"},
       1,
       {"option '--target' requires an argument"}},
      {"FrontNeedlessValue", {"isle-nsenter", "--all=x"}, 1, {"option '--all' takes no argument"}},
      {"FrontNoPid",
       {"isle-nsenter", "-u", "-t", "4194303", "true"},
       1,
       {"open pid 4194303", "asked by: argv[2]"}},
      {"FrontPidZero", {"isle-nsenter", "-t0", "-n", "true"}, 1, {"failed to parse pid '0'"}},
      {"FrontOtherProcess",
       {"isle-nsenter", "-t", "TARGET:1", "-n", "true"},
       1,
       {"is another process by now"}},
      {"FrontWrongType",
       {"isle-nsenter", "--net=/proc/TARGET/ns/uts", "true"},
       1,
       {"is a namespace of type uts"}},
      {"FrontNoNamespace",
       {"isle-nsenter", "--net=/etc/passwd", "true"},
       1,
       {"\"/etc/passwd\" is not a namespace"}},
      {"FrontNoSuchId",
       {"isle-nsenter", "--net=:5555555555555", "true"},
       1,
       {"the namespace with id 5555555555555"}},
      {"FrontOtherId",
       {"isle-nsenter", "--net=:x", "true"},
       1,
       {"\"x\" is not a namespace's 64-bit id"}},
      {"FrontOwnUser",
       {"isle-nsenter", "-t", "SELF", "-U", "true"},
       1,
       {"join the user namespace of process", "isle is in the user namespace user:[", "already"}},
      {"FrontNoSocket",
       {"isle-nsenter", "-t", "TARGET", "-N", "x", "true"},
       1,
       {"failed to parse descriptor 'x'"}},
      {"FrontOffsetTooLarge",
       {"isle-unshare", "-T", "--monotonic", "99999999999", "true"},
       1,
       {"offset '99999999999'", "292 years"}},
      {"FrontNoOffset",
       {"isle-unshare", "-T", "--boottime", "x", "true"},
       1,
       {"failed to parse offset 'x'"}},
      {"FrontRootMissing",
       {"isle-nsenter", "-t", "TARGET", "-r/no/such", "true"},
       1,
       {"cannot open /no/such"}},
      {"FrontNoTarget", {"isle-nsenter", "-e", "true"}, 1, {"no target PID specified for --env"}},
  };
  return kMistakes;
}

class Complaint : public testing::TestWithParam<Mistake> {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "userns"); }
};

std::string with_pids(std::string word, pid_t target) {
  for (const auto& [name, pid] : {std::pair{"TARGET", target}, std::pair{"SELF", ::getpid()}})
    if (const size_t at = word.find(name); at != std::string::npos)
      word.replace(at, std::string_view(name).size(), std::to_string(pid));
  return word;
}

TEST_P(Complaint, SaysWhatAndWhy) {
  const Mistake& mistake = GetParam();
  const Neighbour target({NamespaceType::user, NamespaceType::network, NamespaceType::uts}, [] {
    test::map_root();
    return true;
  });
  ASSERT_TRUE(target.ready());
  const bool front = mistake.words.front().starts_with("isle-");
  std::vector<std::string> words{test::isle_binary(front ? mistake.words.front() : "isle")};
  for (const std::string& word : std::span(mistake.words).subspan(front ? 1 : 0))
    words.push_back(with_pids(word, target.pid()));
  CommandOptions how;
  if (mistake.as_user) how.identity = test::unprivileged();
  const CommandResult result = test::run_command(words, how);
  EXPECT_EQ(result.shell_status(), mistake.status) << result;
  EXPECT_EQ(result.out, "");
  for (const std::string& part : mistake.says)
    EXPECT_NE(result.err.find(part), std::string::npos) << part << "\nis not in\n" << result.err;
}

INSTANTIATE_TEST_SUITE_P(Each, Complaint, testing::ValuesIn(mistakes()),
                         [](const auto& of) { return std::string(of.param.name); });

class ComplaintInside : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "userns"); }

  /// What isle says to `words` where `prepare` has been; its status is to be 125.
  static std::string said(const std::function<void()>& prepare, std::vector<std::string> words) {
    const test::ForkResult result = test::call_in_fork([&]() -> std::string {
      prepare();
      words.insert(words.begin(), test::isle_binary());
      const CommandResult done = test::run_command(words);
      EXPECT_EQ(done.exit_code, 125) << done;
      return done.err;
    });
    EXPECT_TRUE(result.ok()) << result.describe();
    return result.value;
  }
};

TEST_F(ComplaintInside, WhereProcIsMasked) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer itself reads its options and looks for leaks in /proc";
#endif
  const auto masked = [] {
    test::own_mounts();
    must(mount("none", "/proc", "tmpfs", 0, nullptr), "mount");
  };
  EXPECT_SAYS(said(masked, {"enter", "1", "true"}), "no process has pid 1",
              "hint: no proc file system is mounted on /proc");
  EXPECT_SAYS(said(masked, {"unshare", "-nuser", "-r", "true"}), "forbid setgroups",
              "hint: no proc file system is mounted on /proc; mount -t proc");
}

TEST_F(ComplaintInside, WhereALimitIsReached) {
  const auto limit = [](const char* file, int most) {
    test::own_user_namespace();
    test::write_file(fmt::format("/proc/sys/user/{}", file), std::to_string(most));
  };
  EXPECT_SAYS(said([&] { limit("max_net_namespaces", 0); }, {"unshare", "-nnet", "true"}),
              "create network namespace: No space left on device (ENOSPC)",
              "user.max_net_namespaces is 0");
  // One that is the caller's own is not counted by looking; the kernel counts it.
  EXPECT_SAYS(said(
                  [&] {
                    limit("max_uts_namespaces", 1);
                    must(::unshare(CLONE_NEWUTS), "unshare");
                  },
                  {"unshare", "-nuts", "true"}),
              "ENOSPC", "a limit of uts namespaces is reached: user.max_uts_namespaces is 1");
}

TEST_F(ComplaintInside, APidNamespaceWithoutInit) {
  Neighbour neighbour({NamespaceType::pid});
  ASSERT_TRUE(neighbour.ready());
  const Namespace pids = neighbour.ns(NamespaceType::pid);
  neighbour.kill();
  const std::string path = fmt::format("/proc/{}/fd/{}", ::getpid(), pids.fd().get());
  const std::string text = said([] {}, {"enter", path, "true"});
  EXPECT_SAYS(text, "Cannot allocate memory (ENOMEM)",
              fmt::format("the pid namespace {} takes no new process: its first process has ended",
                          pids.link_text()));
}

// Whose user namespace it is may look at a process in it, and is told what really is in the way.
TEST_F(ComplaintInside, ANamespaceOfTheInitialUserNamespace) {
  CommandOptions how;
  how.identity = test::unprivileged();
  test::Command sandbox(
      {test::isle_binary(), "unshare", "-nuser", "-r", "sh", "-c", "echo $$ ready; exec sleep 60"},
      how);
  ASSERT_TRUE(sandbox.expect("ready\n"));
  const std::string pid = sandbox.output().substr(0, sandbox.output().find(' '));
  const CommandResult result =
      test::run_command({test::isle_binary("isle-nsenter"), "-t", pid, "-n", "true"}, how);
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_SAYS(result.err, "hint: net:[",
              "belongs to this user namespace; joining it needs CAP_SYS_ADMIN");
}

}  // namespace
}  // namespace isle
