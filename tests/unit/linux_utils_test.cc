// The command lines of unshare(1) and nsenter(1) as Specs, for a made-up caller.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "isle/namespace.h"
#include "linux_utils/id_ranges.h"
#include "linux_utils/nsenter.h"
#include "linux_utils/target.h"
#include "linux_utils/unshare.h"

namespace isle::linux_utils {
namespace {

Surroundings ann() {
  Surroundings here;
  here.uid = 1000;
  here.gid = 1001;
  here.cwd = "/home/ann";
  here.environment = {"SHELL=/bin/zsh", "LANG=C", "TERM=dumb"};
  here.find_user = [](std::string_view name) -> Result<uint32_t> {
    if (name == "bob") return 1007;
    return fail(0, "no such user");
  };
  return here;
}

using Parse = Result<Command>(std::span<char* const>, const Surroundings&);

Result<Command> parse(Parse* parser, std::vector<std::string> words) {
  words.insert(words.begin(), "program");
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return parser(std::span(argv).first(words.size()), ann());
}

Command unshare(std::vector<std::string> words) {
  auto command = parse(parse_unshare, std::move(words));
  EXPECT_TRUE(command) << command.error().message();
  return command ? std::move(*command) : Command{};
}

Command nsenter(std::vector<std::string> words) {
  auto command = parse(parse_nsenter, std::move(words));
  EXPECT_TRUE(command) << command.error().message();
  return command ? std::move(*command) : Command{};
}

std::string error_of(Parse* parser, std::vector<std::string> words) {
  const auto command = parse(parser, std::move(words));
  return command ? "no error" : command.error().what;
}

TEST(Help, HasEveryOption) {
  const auto expect_all = [](std::span<const option> options, const std::string& help) {
    for (const option& each : options) {
      const std::string name = fmt::format("--{}", each.name);
      const size_t at = help.find(name);
      ASSERT_NE(at, std::string::npos) << name;
      EXPECT_EQ(help.substr(at + name.size(), 1).find_first_of("abcdefghijklmnopqrstuvwxyz-"),
                std::string::npos)
          << name;
    }
  };
  expect_all(unshare_options(), unshare_help());
  expect_all(nsenter_options(), nsenter_help());
}

// unshare(1) and nsenter(1) of util-linux 2.42, and of 2.43 where that has more.
TEST(Options, AreThoseOfUtilLinux) {
  const auto names = [](std::span<const option> options) {
    std::set<std::string> found;
    for (const option& each : options) found.insert(each.name);
    return found;
  };
  EXPECT_EQ(names(unshare_options()), (std::set<std::string>{"ipc",           "mount",
                                                             "net",           "pid",
                                                             "uts",           "user",
                                                             "cgroup",        "time",
                                                             "fork",          "forward-signals",
                                                             "kill-child",    "keep-caps",
                                                             "setuid",        "setgid",
                                                             "root",          "wd",
                                                             "clear-env",     "whitelist-env",
                                                             "map-user",      "map-users",
                                                             "map-group",     "map-groups",
                                                             "map-auto",      "map-subids",
                                                             "map-root-user", "map-current-user",
                                                             "owner",         "setgroups",
                                                             "mount-proc",    "mount-binfmt",
                                                             "load-interp",   "propagation",
                                                             "monotonic",     "boottime",
                                                             "help",          "version",
                                                             "explain"}));
  EXPECT_EQ(names(nsenter_options()), (std::set<std::string>{"all",         "target",
                                                             "mount",       "uts",
                                                             "ipc",         "net",
                                                             "pid",         "user",
                                                             "cgroup",      "time",
                                                             "net-socket",  "user-parent",
                                                             "setgid",      "setuid",
                                                             "keep-caps",   "preserve-credentials",
                                                             "root",        "wd",
                                                             "wdns",        "env",
                                                             "no-fork",     "follow-context",
                                                             "join-cgroup", "help",
                                                             "version",     "explain"}));
}

TEST(IdRange, BothForms) {
  EXPECT_EQ(parse_id_range("1:2:3"), (IdMapping{1, 2, 3}));
  EXPECT_EQ(parse_id_range("2,1,3"), (IdMapping{1, 2, 3}));
  for (const char* wrong : {"", "1", "1:2", "1:2:", "1:2:3:4", "1,2:3", "a:2:3", "-1:2:3"})
    EXPECT_FALSE(parse_id_range(wrong)) << wrong;
}

TEST(WithSingle, HolesOnBothSides) {
  EXPECT_EQ(with_single({}, 0, 1000), (IdMap{{0, 1000, 1}}));
  EXPECT_EQ(with_single({{0, 100000, 65536}}, 0, 1000), (IdMap{{1, 100000, 65535}, {0, 1000, 1}}));
  EXPECT_EQ(with_single({{0, 100000, 10}}, 5, 1000),
            (IdMap{{0, 100000, 5}, {6, 100005, 4}, {5, 1000, 1}}));
  // A pass-through map: neither side has it twice.
  EXPECT_EQ(with_single({{0, 0, 10}}, 0, 5), (IdMap{{1, 0, 5}, {6, 6, 4}, {0, 5, 1}}));
  EXPECT_EQ(with_single({{0, 100, 2}}, 50, 60), (IdMap{{0, 100, 2}, {50, 60, 1}}));
}

TEST(Unshare, InPlaceUnlessSomebodyStaysOutside) {
  EXPECT_TRUE(unshare({"-r", "true"}).spec.process.in_place.value);
  EXPECT_TRUE(unshare({"-p", "true"}).spec.process.in_place.value);
  EXPECT_TRUE(unshare({"-p", "true"}).spec.find(NamespaceType::pid)->for_children);
  for (const char* option : {"-f", "--kill-child", "--forward-signals"}) {
    const Command command = unshare({option, "-p", "true"});
    EXPECT_TRUE(command.forks && command.ignores_signals) << option;
    EXPECT_FALSE(command.spec.process.in_place.value) << option;
    EXPECT_FALSE(command.spec.find(NamespaceType::pid)->for_children) << option;
  }
  const Command maps = unshare({"--map-users=0:5:3", "true"});
  EXPECT_FALSE(maps.forks);
  EXPECT_FALSE(maps.spec.process.in_place.value);
}

TEST(Unshare, Maps) {
  const Spec root = unshare({"-r"}).spec;
  EXPECT_EQ(root.uid_mappings->value, (IdMap{{0, 1000, 1}}));
  EXPECT_EQ(root.gid_mappings->value, (IdMap{{0, 1001, 1}}));
  EXPECT_FALSE(root.allow_setgroups->value);
  const Spec current = unshare({"-c"}).spec;
  EXPECT_EQ(current.uid_mappings->value, (IdMap{{1000, 1000, 1}}));
  const Spec none = unshare({"-U"}).spec;
  EXPECT_TRUE(none.leave_uids_unmapped && none.leave_gids_unmapped);
  const Spec named = unshare({"--map-user=bob"}).spec;
  EXPECT_EQ(named.uid_mappings->value, (IdMap{{1007, 1000, 1}}));
  EXPECT_TRUE(named.leave_gids_unmapped);
  EXPECT_TRUE(named.creates(NamespaceType::user));
  EXPECT_EQ(error_of(parse_unshare, {"-r", "--setgroups=allow"}),
            "options --setgroups=allow and --map-group are mutually exclusive");
}

TEST(Unshare, TheCommand) {
  const Spec given = unshare({"-u", "--", "ls", "-l"}).spec;
  EXPECT_EQ(given.process.args.value, (std::vector<std::string>{"ls", "-l"}));
  EXPECT_EQ(given.origins[given.process.args.from], "argv[3]");
  const Spec shell = unshare({"-u"}).spec;
  EXPECT_EQ(shell.process.args.value, std::vector<std::string>{"-zsh"});
  EXPECT_EQ(shell.process.program->value, "/bin/zsh");
  EXPECT_EQ(unshare({"--clear-env"}).spec.process.env->value, std::vector<std::string>{});
  EXPECT_EQ(unshare({"--whitelist-env", "LANG,NONE"}).spec.process.env->value,
            std::vector<std::string>{"LANG=C"});
  EXPECT_EQ(unshare({"-w", "x"}).spec.process.cwd->value, "/home/ann/x");
}

TEST(Unshare, WhatIsRefused) {
  EXPECT_NE(error_of(parse_unshare, {"--monotonic", "5"}), "no error");
  EXPECT_NE(error_of(parse_unshare, {"-T", "--monotonic", "5x"}), "no error");
  EXPECT_NE(error_of(parse_unshare, {"--nosuch"}), "no error");
  EXPECT_NE(error_of(parse_unshare, {"--kill-child=NOSUCH"}), "no error");
  EXPECT_NE(error_of(parse_unshare, {"--net=/nonexistent/file"}), "no error");
  EXPECT_EQ(unshare({"-V"}).show, Command::Show::version);
  EXPECT_EQ(unshare({"-h"}).show, Command::Show::help);
}

TEST(Nsenter, FilesAndTargets) {
  const std::string self = std::to_string(::getpid());
  const Command file = nsenter({"--net=/run/netns/blue", "true"});
  ASSERT_NE(file.spec.find(NamespaceType::network), nullptr);
  EXPECT_EQ(file.spec.find(NamespaceType::network)->path, "/run/netns/blue");
  EXPECT_TRUE(file.spec.process.in_place.value);
  const Command target = nsenter({"-t", self, "-n", "-u", "true"});
  EXPECT_GE(target.spec.find(NamespaceType::network)->fd, 3);
  EXPECT_EQ(target.spec.find(NamespaceType::network)->fd, target.spec.find(NamespaceType::uts)->fd);
  // What is the caller's own is not entered again.
  EXPECT_TRUE(nsenter({"-a", "-t", self, "true"}).spec.namespaces.empty());
  EXPECT_TRUE(nsenter({"-t", self, "-p", "true"}).forks);
  EXPECT_FALSE(nsenter({"-t", self, "-p", "-F", "true"}).forks);
}

TEST(Nsenter, Identity) {
  const std::string self = std::to_string(::getpid());
  const Command user = nsenter({"-t", self, "-U", "true"});
  EXPECT_EQ(user.spec.process.user.uid->value, 0U);
  EXPECT_EQ(user.spec.process.user.gid->value, 0U);
  EXPECT_FALSE(nsenter({"-t", self, "-U", "--preserve-credentials"}).spec.process.user.uid);
  EXPECT_EQ(nsenter({"-t", self, "-n", "-S", "follow"}).spec.process.user.uid->value, ::geteuid());
}

TEST(Nsenter, WhatIsRefused) {
  EXPECT_EQ(error_of(parse_nsenter, {"-n"}), "neither filename nor target pid supplied for ns/net");
  EXPECT_EQ(error_of(parse_nsenter, {"-a"}), "no target PID specified for --all");
  EXPECT_NE(error_of(parse_nsenter, {"-t", "x"}), "no error");
  EXPECT_NE(error_of(parse_nsenter, {"-t", "0"}), "no error");
  const std::string other_inode = std::to_string(::getpid()) + ":1";
  EXPECT_NE(error_of(parse_nsenter, {"-t", other_inode}), "no error");
  EXPECT_NE(error_of(parse_nsenter, {"-w/", "-W", "/"}), "no error");
}

TEST(Target, WhatProcTells) {
  const auto target = Target::parse(std::to_string(::getpid()));
  ASSERT_TRUE(target);
  const auto environment = target->environment();
  ASSERT_TRUE(environment);
  EXPECT_FALSE(environment->empty());
}

}  // namespace
}  // namespace isle::linux_utils
