// `isle run`: from a command line to a Spec.
#include <gtest/gtest.h>
#include <linux/mount.h>
#include <sys/resource.h>

#include "cli_run_support.h"
#include "isle/names.h"

namespace isle::cli::test {
namespace {

constexpr const char* kDefaultOperations =
    "proc /proc nosuid,nodev,noexec\n"
    "cover /proc\n"
    "dev /dev\n"
    "tmpfs /tmp nosuid,nodev mode=1777\n"
    "tmpfs /run nosuid,nodev mode=755\n";

TEST(CliRun, Defaults) {
  const Translated run = translate({"true", "-x"});
  ASSERT_EQ(run.error, "");
  const Spec& spec = run.spec();
  EXPECT_EQ(namespaces(spec), "cgroup ipc mount network pid user uts");
  EXPECT_EQ(operations(spec), kDefaultOperations);
  ASSERT_TRUE(spec.root);
  EXPECT_EQ(spec.root->path, "/");
  EXPECT_EQ(attributes(spec.root->attributes), "ro,nosuid,nodev");
  EXPECT_EQ(spec.root->propagation, Propagation::private_);
  EXPECT_FALSE(spec.root->overlay);
  EXPECT_TRUE(spec.loopback_up.value);
  EXPECT_EQ(spec.process.args.value, (std::vector<std::string>{"true", "-x"}));
  EXPECT_EQ(spec.origins[spec.process.args.from], "argv[2]");
  EXPECT_TRUE(spec.process.no_new_privileges.value);
  EXPECT_TRUE(spec.process.new_session.value);
  EXPECT_TRUE(spec.process.die_with_parent.value);
  EXPECT_FALSE(spec.process.terminal.value);
  EXPECT_FALSE(spec.process.env);
  EXPECT_FALSE(spec.process.init.value);
  ASSERT_TRUE(spec.process.capabilities);
  EXPECT_EQ(spec.process.capabilities->value.bounding, 0U);
  EXPECT_EQ(spec.resources.cgroup_name, "");
  EXPECT_TRUE(validate(spec).empty());
}

TEST(CliRun, Namespaces) {
  const auto of = [](std::vector<std::string> words) {
    const Translated run = translate(std::move(words), root());
    return run.error.empty() ? namespaces(run.spec()) : run.error;
  };
  EXPECT_EQ(of({"--new", "time"}), "cgroup ipc mount network pid time user uts");
  EXPECT_EQ(of({"--share", "net,uts"}), "cgroup ipc mount pid user");
  EXPECT_EQ(of({"--share", "net", "--share=net"}), "cgroup ipc mount pid user uts");
  EXPECT_EQ(of({"--share", "all"}), "");
  EXPECT_EQ(of({"--share", "all", "--new", "pid,mount"}), "mount pid");
  EXPECT_EQ(of({"--new", "pid,mount", "--share", "all"}), "mount pid");
  EXPECT_EQ(of({"--time-offset", "monotonic=1"}), "cgroup ipc mount network pid time user uts");
  EXPECT_EQ(of({"--join", "net=1234", "--share", "cgroup"}),
            "ipc mount network=/proc/1234/ns/net pid user uts");
  EXPECT_EQ(of({"--join", "net,ipc=1234"}),
            "cgroup ipc=/proc/1234/ns/ipc mount network=/proc/1234/ns/net pid user uts");
  EXPECT_EQ(of({"--join", "net=/run/netns/blue", "--join", "uts=fd:5"}),
            "cgroup ipc mount network=/run/netns/blue pid user uts=fd:5");
}

TEST(CliRun, NamespaceComplaints) {
  EXPECT_EQ(error_of({"--share", "netwrk"}),
            "--share: \"netwrk\" is not a type of namespace\n"
            "  asked by: argv[2] --share\n"
            "  hint: did you mean network?");
  EXPECT_EQ(error_of({"--share", "net", "--join", "net=1"}),
            "--join: the network namespace is to be shared already (argv[2] --share)\n"
            "  asked by: argv[4] --join");
  EXPECT_EQ(error_of({"--join", "net=1", "--join", "net=2"}),
            "--join: the network namespace is to be joined already (argv[2] --join)\n"
            "  asked by: argv[4] --join");
  EXPECT_EQ(error_of({"--join", "net,ipc=/x"}),
            "--join: \"/x\" is one namespace and has one type\n"
            "  asked by: argv[2] --join\n"
            "  hint: several types can be joined by pid, as in net,ipc=1234");
  EXPECT_EQ(error_of({"--join", "net"}),
            "--join: \"net\" is not of the form TYPE=PID, TYPE=PATH or TYPE=fd:N\n"
            "  asked by: argv[2] --join");
  EXPECT_EQ(error_of({"--share", "uts", "--hostname", "box"}),
            "a host name needs a new uts namespace, but that is shared (argv[2] --share)\n"
            "  asked by: argv[4] --hostname");
  EXPECT_EQ(error_of({"--share", "user", "--map-uid", "0:1000"}, root()),
            "an id map needs a new user namespace, but that is shared (argv[2] --share)\n"
            "  asked by: argv[4] --map-uid");
  EXPECT_EQ(error_of({"--share", "user,net"}),
            "an ordinary user makes or joins namespaces (cgroup, ipc, mount, pid, uts) only from "
            "within a new user namespace, and that is not to be new\n"
            "  asked by: argv[2] --share\n"
            "  hint: leave user out of --share, share everything with --share all, or be root");
  EXPECT_EQ(error_of({"--share", "all"}), "no error");
  EXPECT_EQ(error_of({"--share", "mount", "--tmpfs", "/x"}),
            "the file system cannot be changed in a mount namespace that is shared "
            "(argv[2] --share)\n"
            "  asked by: argv[4] --tmpfs");
}

TEST(CliRun, WhatSharingImplies) {
  EXPECT_EQ(operations(translate({"--share", "pid"}).spec()),
            "rbind /proc /proc rec:nosuid,nodev,noexec\n"
            "cover /proc\n"
            "dev /dev\n"
            "tmpfs /tmp nosuid,nodev mode=1777\n"
            "tmpfs /run nosuid,nodev mode=755\n");
  EXPECT_EQ(operations(translate({"--share", "ipc"}).spec()),
            "proc /proc nosuid,nodev,noexec\n"
            "cover /proc\n"
            "dev /dev\n"
            "rbind /dev/shm /dev/shm rec:nosuid,nodev,noexec optional\n"
            "rbind /dev/mqueue /dev/mqueue rec:nosuid,nodev,noexec optional\n"
            "tmpfs /tmp nosuid,nodev mode=1777\n"
            "tmpfs /run nosuid,nodev mode=755\n");
  const Translated network = translate({"--share", "net"});
  EXPECT_FALSE(network.spec().loopback_up.value);
  EXPECT_EQ(operations(network.spec()),
            std::string(kDefaultOperations) +
                "rbind /run/systemd/resolve /run/systemd/resolve "
                "rec:ro,nosuid,nodev,noexec optional\n"
                "rbind /run/resolvconf /run/resolvconf rec:ro,nosuid,nodev,noexec optional\n"
                "rbind /run/NetworkManager /run/NetworkManager "
                "rec:ro,nosuid,nodev,noexec optional\n");
  EXPECT_FALSE(translate({"--join", "net=1"}).spec().loopback_up.value);
  const Translated mount = translate({"--share", "mount"});
  EXPECT_FALSE(mount.spec().root);
  EXPECT_EQ(operations(mount.spec()), "");
}

TEST(CliRun, Root) {
  const auto root_of = [](std::vector<std::string> words) {
    const Translated run = translate(std::move(words));
    EXPECT_EQ(run.error, "");
    return run.spec().root.value_or(Root{.path = "none", .overlay = {}});
  };
  EXPECT_EQ(root_of({"--root", "/srv/debian"}).path, "/srv/debian");
  EXPECT_EQ(attributes(root_of({"--root", "/srv/debian"}).attributes), "nosuid,nodev");
  EXPECT_TRUE(root_of({"--root", "/srv/debian", "--read-only"}).read_only);
  const Root memory = root_of({"--overlay"});
  EXPECT_EQ(attributes(memory.attributes), "nosuid,nodev");
  ASSERT_TRUE(memory.overlay);
  EXPECT_EQ(memory.overlay->upper, "");
  const Root kept = root_of({"--overlay=/var/box"});
  ASSERT_TRUE(kept.overlay);
  EXPECT_EQ(kept.overlay->upper, "/var/box/upper");
  EXPECT_EQ(kept.overlay->work, "/var/box/work");
  EXPECT_EQ(root_of({"--propagation", "slave"}).propagation, Propagation::slave);
  EXPECT_EQ(root_of({"--no-root"}).path, "none");
  EXPECT_EQ(attributes(root_of({"--keep-privileges"}).attributes), "ro,nodev");
}

TEST(CliRun, NoRoot) {
  const Translated run = translate({"--no-root", "--mount", "type=proc,dst=/proc"});
  EXPECT_EQ(operations(run.spec()), "proc /proc nosuid,nodev\n");
  ASSERT_TRUE(run.spec().mount_propagation);
  EXPECT_EQ(run.spec().mount_propagation->value, Propagation::private_);
  EXPECT_EQ(error_of({"--no-root", "--root", "/x"}),
            "--no-root goes with neither --root, --overlay nor --read-only\n"
            "  asked by: argv[3] --root");
}

TEST(CliRun, Capabilities) {
  const uint64_t all = all_capabilities();
  const uint64_t net_raw = uint64_t{1} << 13;
  const auto of = [](std::vector<std::string> words) {
    const Translated run = translate(std::move(words));
    EXPECT_EQ(run.error, "");
    const Capabilities sets = run.spec().process.capabilities.value_or(Asked<Capabilities>{}).value;
    EXPECT_EQ(sets.bounding, sets.ambient);
    EXPECT_EQ(sets.bounding, sets.effective);
    EXPECT_EQ(sets.bounding, sets.permitted);
    EXPECT_EQ(sets.bounding, sets.inheritable);
    return sets.bounding;
  };
  EXPECT_EQ(of({"--cap-add", "net_raw"}), net_raw);
  EXPECT_EQ(of({"--cap-add", "CAP_NET_RAW", "--cap-drop=ALL"}), 0U);
  EXPECT_EQ(of({"--cap-add", "ALL", "--cap-drop=net_raw"}), all & ~net_raw);
  EXPECT_EQ(of({"--cap-drop", "net_raw", "--cap-add", "all"}), all);
  EXPECT_EQ(of({"--keep-privileges", "--cap-drop=NET_RAW"}), all & ~net_raw);
  const Translated keep = translate({"--keep-privileges"});
  EXPECT_FALSE(keep.spec().process.capabilities);
  EXPECT_FALSE(keep.spec().process.no_new_privileges.value);
  EXPECT_FALSE(translate({"--share", "all"}).spec().process.capabilities);
  EXPECT_TRUE(translate({"--share", "all"}, root()).spec().process.capabilities);
  EXPECT_EQ(error_of({"--cap-add", "net_row"}),
            "--cap-add: \"net_row\" is not a capability\n"
            "  asked by: argv[2] --cap-add\n"
            "  hint: did you mean CAP_NET_RAW?");
}

TEST(CliRun, Ids) {
  const Translated run = translate({"--uid=0", "--gid", "5", "--groups", "7,8", "--map-uid",
                                    "0:1000:1", "--map-uid=1:100000:10", "--map-gid=0:1000"});
  ASSERT_EQ(run.error, "");
  const User& user = run.spec().process.user;
  EXPECT_EQ(user.uid->value, 0U);
  EXPECT_EQ(run.spec().origins[user.uid->from], "argv[2] --uid");
  EXPECT_EQ(user.gid->value, 5U);
  EXPECT_EQ(user.additional_gids->value, (std::vector<uint32_t>{7, 8}));
  EXPECT_EQ(to_text(run.spec().uid_mappings->value), to_text(IdMap{{0, 1000, 1}, {1, 100000, 10}}));
  EXPECT_TRUE(translate({"--groups="}).spec().process.user.additional_gids->value.empty());
  EXPECT_TRUE(translate({"--map-auto"}).spec().map_auto.value);
}

TEST(CliRun, UsersByName) {
  EXPECT_FALSE(translate({"--user", "bob"}).spec().process.user.additional_gids);
  const User bob = translate({"--user", "bob"}, root()).spec().process.user;
  EXPECT_EQ(bob.uid->value, 1001U);
  EXPECT_EQ(bob.gid->value, 100U);
  EXPECT_EQ(bob.additional_gids->value, (std::vector<uint32_t>{27, 44}));
  const User other = translate({"--user", "bob", "--gid=7", "--groups="}).spec().process.user;
  EXPECT_EQ(other.gid->value, 7U);
  EXPECT_TRUE(other.additional_gids->value.empty());
  EXPECT_EQ(error_of({"--user", "eve", "--root", "/srv"}),
            "no user eve in /srv\n  asked by: argv[2] --user");
  const User numeric = translate({"--user", "12:34"}).spec().process.user;
  EXPECT_EQ(numeric.uid->value, 12U);
  EXPECT_EQ(numeric.gid->value, 34U);
  EXPECT_FALSE(translate({"--user", "12"}).spec().process.user.gid);
  for (const char* wrong : {"", "12:", "4294967295", "12x", "bob:100"}) {
    EXPECT_NE(error_of({"--user", wrong}), "no error") << wrong;
  }
}

TEST(CliRun, Environment) {
  using Entries = std::vector<std::string>;
  const auto of = [](std::vector<std::string> words) {
    const Translated run = translate(std::move(words));
    EXPECT_EQ(run.error, "");
    return run.spec().process.env.value_or(Asked<Entries>{}).value;
  };
  EXPECT_EQ(of({"--env", "A=1", "-eB=2", "--env", "A=3"}),
            (Entries{"SHELL=/bin/zsh", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "B=2", "A=3"}));
  EXPECT_EQ(of({"--unset", "PATH"}), (Entries{"SHELL=/bin/zsh", "LANG=C.UTF-8"}));
  EXPECT_EQ(of({"--env", "A=1", "--clear-env", "--env", "LANG", "--env", "NOT_THERE"}),
            (Entries{"A=1", "LANG=C.UTF-8"}));
  EXPECT_EQ(of({"--env", "A="}).back(), "A=");
  EXPECT_NE(error_of({"--env", "=1"}), "no error");
  EXPECT_NE(error_of({"--unset", "A=1"}), "no error");
}

TEST(CliRun, Terminal) {
  Caller interactive = ann();
  interactive.input_is_terminal = true;
  interactive.output_is_terminal = true;
  interactive.window = ConsoleSize{.rows = 24, .columns = 80};
  EXPECT_TRUE(translate({}, interactive).spec().process.terminal.value);
  EXPECT_EQ(translate({}, interactive).spec().process.console_size->value.columns, 80);
  EXPECT_FALSE(translate({"--tty=never"}, interactive).spec().process.terminal.value);
  interactive.output_is_terminal = false;
  EXPECT_FALSE(translate({}, interactive).spec().process.terminal.value);
  EXPECT_TRUE(translate({"--tty", "always"}, interactive).spec().process.terminal.value);
  EXPECT_NE(error_of({"--tty", "yes"}), "no error");
}

TEST(CliRun, CommandMissing) {
  const auto command = [](std::vector<std::string> words, const Caller& caller) {
    return translate(std::move(words), caller).spec().process.args.value.front();
  };
  Caller caller = ann();
  EXPECT_EQ(command({}, caller), "/bin/zsh");
  EXPECT_EQ(command({"--root", "/srv"}, caller), "/bin/sh");
  caller.environment.clear();
  EXPECT_EQ(command({}, caller), "/bin/dash");
  caller.find_shell = [](uid_t) { return std::string(); };
  EXPECT_EQ(command({}, caller), "/bin/sh");
}

TEST(CliRun, ProcessAndLimits) {
  const Translated run = translate({"--rlimit",
                                    "nofile=1K:4096",
                                    "--rlimit=CORE=unlimited",
                                    "--nice=-5",
                                    "--cpus-allowed",
                                    "0-1",
                                    "--oom-score-adj=-100",
                                    "--umask",
                                    "027",
                                    "--workdir",
                                    "/x",
                                    "--init",
                                    "--pass-fd",
                                    "5,7",
                                    "--pass-fd=9",
                                    "--memory",
                                    "64M",
                                    "--cpus",
                                    "1.5",
                                    "--pids=10"});
  ASSERT_EQ(run.error, "");
  const ProcessWish& process = run.spec().process;
  ASSERT_EQ(process.rlimits.size(), 2U);
  EXPECT_EQ(process.rlimits[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(process.rlimits[0].soft, 1024U);
  EXPECT_EQ(process.rlimits[0].hard, 4096U);
  EXPECT_EQ(process.rlimits[1].resource, RLIMIT_CORE);
  EXPECT_EQ(process.rlimits[1].hard, RLIM_INFINITY);
  EXPECT_EQ(process.nice->value, -5);
  EXPECT_EQ(process.cpus_allowed->value, (std::vector{0, 1}));
  EXPECT_EQ(process.oom_score_adj->value, -100);
  EXPECT_EQ(process.umask->value, mode_t{027});
  EXPECT_EQ(process.cwd->value, "/x");
  EXPECT_TRUE(process.init.value);
  EXPECT_EQ(process.pass_fds.value, (std::vector{5, 7, 9}));
  const Resources& resources = run.spec().resources;
  EXPECT_EQ(resources.cgroup_name, "isle-4321");
  EXPECT_EQ(resources.memory_limit_bytes->value, 64 << 20);
  EXPECT_EQ(resources.cpu_quota_us->value, 150'000);
  EXPECT_EQ(resources.cpu_period_us->value, 100'000U);
  EXPECT_EQ(resources.pids_limit->value, 10);
  EXPECT_TRUE(validate(run.spec()).empty());
}

TEST(CliRun, TimesAndFiles) {
  const Translated run = translate({"--time-offset", "monotonic=-10.5,boottime=3600", "--timeout",
                                    "2m:100ms", "--pid-file", "/x", "--status-fd", "7",
                                    "--explain=json", "-v", "--keep", "net=/run/n"});
  ASSERT_EQ(run.error, "");
  ASSERT_EQ(run.spec().time_offsets.size(), 2U);
  EXPECT_EQ(run.spec().time_offsets[0].clock, TimeOffset::Clock::monotonic);
  EXPECT_EQ(run.spec().time_offsets[0].offset_ns, -10'500'000'000);
  EXPECT_EQ(run.request.timeout_ns, 120'000'000'000);
  EXPECT_EQ(run.request.grace_ns, 100'000'000);
  EXPECT_EQ(run.request.pid_file, "/x");
  EXPECT_EQ(run.request.status_fd, 7);
  EXPECT_EQ(run.request.explain, Explain::json);
  EXPECT_TRUE(run.request.verbose);
  EXPECT_EQ(run.spec().keep.front().path, "/run/n");
}

struct Wrong {
  std::vector<std::string> words;
  std::string what;
};

TEST(CliRun, WrongValues) {
  const Wrong kWrong[] = {
      {{"--uid", "4294967295"}, "--uid: \"4294967295\" is not an id: ids go from 0 to 4294967294"},
      {{"--gid", "x"}, "--gid: \"x\" is not a numeric id"},
      {{"--map-uid", "0"}, "--map-uid: \"0\" is not a map: IN:OUT:COUNT, as in 0:100000:65536"},
      {{"--nice", "20"}, "--nice: \"20\" is out of range: -20 to 19"},
      {{"--umask", "8"}, "--umask: \"8\" is not an octal number from 0 to 777"},
      {{"--rlimit", "nofile"}, "--rlimit: \"nofile\" is not of the form NAME=SOFT[:HARD]"},
      {{"--rlimit", "nofiles=1"}, "--rlimit: \"nofiles\" is not a resource limit"},
      {{"--rlimit", "nofile=2:1"}, "--rlimit: the soft limit is above the hard one"},
      {{"--symlink", "a"}, "--symlink: \"a\" is not of the form TARGET:DST"},
      {{"--workdir", "x"}, "--workdir: \"x\" is not an absolute path inside the sandbox"},
      {{"--cpus", "0.001"}, "--cpus: less than 0.01 of a cpu is more than the kernel can hold to"},
      {{"--memory", "lots"},
       "--memory: \"lots\" is not a size: bytes, or with K, M, G or T, as in 64M"},
      {{"--timeout", "soon"},
       "--timeout: \"soon\" is not a duration: seconds, or with ms, s, m, h or d, as in 1.5s"},
      {{"--time-offset", "realtime=1"},
       "--time-offset: \"realtime=1\" is not monotonic=SECONDS or boottime=SECONDS"},
      {{"--explain=xml"}, "--explain: \"xml\" is neither text nor json"},
      {{"--propagation", "none"},
       "--propagation: \"none\" is none of private, slave, shared, unbindable, unchanged"},
  };
  for (const Wrong& wrong : kWrong) {
    const std::string error = error_of(wrong.words);
    EXPECT_EQ(error.substr(0, error.find('\n')), wrong.what);
  }
}

}  // namespace
}  // namespace isle::cli::test
