// What the field's suites ask of a runtime beyond the runtime-spec's text: defaults, the order of what is printed,
// words and statuses that engines go by.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "oci/bundle.h"

namespace isle::test {
namespace {

using oci::Json;

class OciConformance : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE("root", "program:busybox", "cgroups");
    bundle_.emplace();
    write_file(bundle_->rootfs("/etc/passwd"),
               "root:x:0:0::/root:/bin/sh\nsome:x:2000:2000::/home/some:/bin/sh\n");
  }
  void shell(const std::string& script) { bundle_->set_command({"sh", "-c", script}); }
  CommandResult run_shell(const std::string& script) {
    shell(script);
    return bundle_->oci({"run", "c"});
  }
  void keep_running() {
    bundle_->set_command({"sleep", "1000"});
    ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
    ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  }
  std::optional<Bundle> bundle_;
};

TEST_F(OciConformance, HomeIsByPasswdOfTheRoot) {
  EXPECT_EQ(run_shell("echo $HOME").out, "/root\n");
  bundle_->config["process"]["user"]["uid"] = 2000;
  EXPECT_EQ(run_shell("echo $HOME").out, "/home/some\n");
  bundle_->config["process"]["user"]["uid"] = 77;
  EXPECT_EQ(run_shell("echo $HOME").out, "/\n");
  bundle_->config["process"]["env"].push_back("HOME=/own");
  EXPECT_EQ(run_shell("echo $HOME").out, "/own\n");
  bundle_->config["process"]["env"].push_back("HOME=");
  EXPECT_EQ(run_shell("echo $HOME").out, "/\n");
}

TEST_F(OciConformance, HomeOfExec) {
  keep_running();
  EXPECT_EQ(bundle_->oci({"exec", "--user", "2000", "c", "sh", "-uc", "echo $HOME"}).out,
            "/home/some\n");
  EXPECT_EQ(bundle_->oci({"exec", "--user", "77", "c", "sh", "-uc", "echo $HOME"}).out, "/\n");
}

// A user data base that is none: a fifo would stop us for ever, a link lead out.
TEST_F(OciConformance, HomeWithoutPasswd) {
  std::filesystem::remove(bundle_->rootfs("/etc/passwd"));
  ASSERT_EQ(::mkfifo(bundle_->rootfs("/etc/passwd").c_str(), 0666), 0);
  EXPECT_EQ(run_shell("echo $HOME").out, "/\n");
  std::filesystem::remove(bundle_->rootfs("/etc/passwd"));
  const std::string outside = bundle_->dir().write("passwd", "x:x:0:0::/outside:/bin/sh\n");
  std::filesystem::create_symlink(outside, bundle_->rootfs("/etc/passwd"));
  EXPECT_EQ(run_shell("echo $HOME").out, "/\n");
}

// No more is a device opened by who is outside of the container's list of them: it may be a watchdog.
TEST_F(OciConformance, PasswdIsADevice) {
  const std::string passwd = bundle_->rootfs("/etc/passwd");
  std::filesystem::remove(passwd);
  ASSERT_EQ(::mknod(passwd.c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const Fd events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(events.get(), passwd.c_str(), IN_OPEN), 0);
  char event[4096];
  EXPECT_EQ(run_shell("echo $HOME").out, "/\n");
  EXPECT_EQ(::read(events.get(), event, sizeof event), -1);
  keep_running();
  EXPECT_EQ(bundle_->oci({"exec", "c", "sh", "-c", "echo $HOME"}).out, "/\n");
  EXPECT_EQ(::read(events.get(), event, sizeof event), -1);
  const Fd seen(::open(passwd.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_GT(::read(events.get(), event, sizeof event), 0);
}

TEST_F(OciConformance, EachVariableOnce) {
  bundle_->config["process"]["env"] = {"ONE=two", "ONE=", "PATH=/bin", "X=1", "X=2", "HOME=/h"};
  bundle_->set_command({"busybox", "env"});
  EXPECT_EQ(bundle_->oci({"run", "c"}).out, "ONE=\nPATH=/bin\nX=2\nHOME=/h\n");
}

TEST_F(OciConformance, PsIsTheHostsWithTheContainersLines) {
  ISLE_REQUIRE("program:ps");
  keep_running();
  const auto table = bundle_->oci({"ps", "c"});
  EXPECT_EQ(table.out.find("UID"), 0U) << table;
  EXPECT_NE(table.out.find("sleep 1000"), std::string::npos) << table;
  EXPECT_EQ(std::ranges::count(table.out, '\n'), 2) << table;
  const auto asked = bundle_->oci({"ps", "c", "-e", "-o", "pid,comm"});
  EXPECT_EQ(std::ranges::count(asked.out, '\n'), 2) << asked;
  EXPECT_NE(bundle_->oci({"ps", "c", "-o", "comm"}).err.find("no column PID"), std::string::npos);
  EXPECT_NE(bundle_->oci({"ps", "--format", "x", "c"}).err.find("invalid format"),
            std::string::npos);
}

TEST_F(OciConformance, StateListAndEventsInTheUsualOrder) {
  bundle_->config["annotations"] = {{"a", "b"}};
  keep_running();
  const auto order = [](const std::string& text, std::initializer_list<const char*> keys) {
    size_t at = 0;
    for (const char* key : keys) {
      const size_t next = text.find("\"" + std::string(key) + "\"", at);
      if (next == std::string::npos) return false;
      at = next;
    }
    return true;
  };
  const std::string state = bundle_->oci({"state", "c"}).out;
  EXPECT_TRUE(order(state, {"ociVersion", "id", "pid", "status", "bundle", "rootfs", "created",
                            "annotations", "owner"}))
      << state;
  EXPECT_EQ(Json::parse(state)["annotations"]["a"], "b");
  EXPECT_EQ(Json::parse(state)["owner"], "root");
  const std::string list = bundle_->oci({"list", "-f", "json"}).out;
  EXPECT_TRUE(list.starts_with("[{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"pid\":")) << list;
  EXPECT_EQ(Json::parse(list).size(), 1U);
  const std::string events = bundle_->oci({"events", "--stats", "c"}).out;
  EXPECT_TRUE(events.starts_with("{\"type\":\"stats\",\"id\":\"c\",\"data\":{")) << events;
  EXPECT_TRUE(Json::parse(events)["data"]["memory"]["usage"]["usage"].is_number_unsigned());
}

TEST_F(OciConformance, ConfigOfAnotherName) {
  bundle_->set_command({"busybox", "echo", "other"});
  std::filesystem::rename(bundle_->dir() / "bundle/config.json",
                          bundle_->dir() / "bundle/other.json");
  EXPECT_EQ(bundle_->oci({"run", "--config", "other.json", "c"}).out, "other\n");
  EXPECT_EQ(bundle_->oci({"run", "-f", bundle_->dir() / "bundle/other.json", "c"}).out, "other\n");
}

TEST_F(OciConformance, BundleByALinkKeepsItsName) {
  std::filesystem::create_directory_symlink(bundle_->dir() / "bundle", bundle_->dir() / "link");
  bundle_->set_command({"sleep", "1000"});
  ASSERT_TRUE(bundle_->create("c", {"--bundle", bundle_->dir() / "link"}).ok())
      << bundle_->output();
  EXPECT_EQ(Json::parse(bundle_->oci({"state", "c"}).out)["bundle"], bundle_->dir() / "link");
}

TEST_F(OciConformance, SocketActivation) {
  shell("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3");
  const std::string text = bundle_->dir().write("text", "given\n");
  const auto with = [&](const std::string& setting) {
    return run_command(
        {"/bin/sh", "-c", "unset LISTEN_PID; exec 3<" + text + "; " + setting + " exec \"$@\"",
         "sh", Bundle::runtime(), "--root", bundle_->dir() / "state", "run", "c"},
        {.working_dir = bundle_->dir() / "bundle"});
  };
  EXPECT_EQ(with("LISTEN_FDS=1 LISTEN_FDNAMES=a").out, "1 1 a\ngiven\n");
  EXPECT_EQ(with("LISTEN_FDS=1 LISTEN_PID=$$").out, "1 1\ngiven\n");
  EXPECT_EQ(with("LISTEN_FDS=1 LISTEN_PID=1").out, "\n");  // for somebody else
}

TEST_F(OciConformance, LogsWhereItIsAsked) {
  const std::string log = bundle_->dir() / "log";
  EXPECT_NE(bundle_->oci({"--log-format=other", "list"}).exit_code, 0);
  EXPECT_NE(bundle_->oci({"--log=other:/path", "list"}).exit_code, 0);
  EXPECT_FALSE(bundle_->oci({"--log=file:" + log, "start", "nobody"}).ok());
  EXPECT_NE(read_file(log).find("level=error"), std::string::npos);
  shell("true");
  EXPECT_NE(bundle_->oci({"--debug", "run", "c"}).err.find("level=debug msg="), std::string::npos);
  const auto quiet = bundle_->oci({"--debug", "--log", log, "--log-format=json", "run", "c"});
  EXPECT_EQ(quiet.err, "");
  EXPECT_NE(read_file(log).find("\"level\":\"debug\""), std::string::npos);
}

TEST_F(OciConformance, SeveralByARegularExpression) {
  bundle_->set_command({"sleep", "1000"});
  for (const char* id : {"one-a", "one-b", "two"}) {
    ASSERT_TRUE(bundle_->create(id).ok()) << bundle_->output();
    bundle_->take_cgroup();
  }
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "--regex", "^one-"}).ok());
  EXPECT_EQ(bundle_->oci({"list", "-q"}).out, "two\n");
  EXPECT_TRUE(bundle_->oci({"kill", "--regex", "t.o", "KILL"}).ok());
  EXPECT_TRUE(bundle_->becomes("two", "stopped"));
  EXPECT_FALSE(bundle_->oci({"delete", "--regex", "("}).ok());
}

TEST_F(OciConformance, CgroupsAreShownWithTheOptionsAskedFor) {
  for (Json& mount : bundle_->config["mounts"])
    if (mount["type"] == "cgroup")
      mount["options"] = {"nosuid", "noexec", "nodev", "noatime", "ro"};
  const auto result =
      run_shell("awk '$5 ~ \"^/sys/fs/cgroup\" {print $6}' /proc/self/mountinfo | sort -u");
  EXPECT_EQ(result.out, "ro,nosuid,nodev,noexec,noatime\n") << result;
}

TEST_F(OciConformance, CgroupsMadeInsideGoToo) {
  for (Json& mount : bundle_->config["mounts"])
    if (mount["type"] == "cgroup")
      std::erase(mount["options"].get_ref<Json::array_t&>(), Json("ro"));
  shell("d=" + Bundle::cgroup_file("pids/a/b/c/d", "a/b/c/d") + "; mkdir -p $d && echo $$ >" +
        Bundle::cgroup_file("pids/a/b/c/d/tasks", "a/b/c/d/cgroup.procs") +
        "; echo >/ready; sleep 1000");
  bundle_->config["root"]["readonly"] = false;
  bundle_->save();
  ASSERT_TRUE(bundle_->create("c").ok()) << bundle_->output();
  const Json state = Json::parse(read_file(bundle_->container_dir("c") + "/state.json"));
  ASSERT_TRUE(bundle_->oci({"start", "c"}).ok());
  while (!std::filesystem::exists(bundle_->rootfs("/ready"))) ::usleep(1000);
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  for (const Json& cgroup : state["cgroups"])
    EXPECT_FALSE(std::filesystem::exists(cgroup.get<std::string>())) << cgroup;
}

TEST_F(OciConformance, InitIsGoneAndOthersAreNot) {
  std::erase_if(bundle_->config["linux"]["namespaces"].get_ref<Json::array_t&>(),
                [](const Json& entry) { return entry["type"] == "pid"; });
  keep_running();
  ASSERT_TRUE(bundle_->oci({"exec", "-d", "c", "sleep", "1000"}).ok());
  const auto pids = Json::parse(bundle_->oci({"ps", "-f", "json", "c"}).out);
  ASSERT_EQ(pids.size(), 2U);
  EXPECT_TRUE(bundle_->oci({"kill", "c", "KILL"}).ok());
  EXPECT_TRUE(bundle_->becomes("c", "stopped"));
  EXPECT_TRUE(bundle_->oci({"delete", "c"}).ok());
  (void)reap_orphans();
  for (const Json& pid : pids) EXPECT_EQ(::kill(pid.get<pid_t>(), 0), -1) << pid;
}

TEST_F(OciConformance, InterpreterThatIsNotThere) {
  write_file(bundle_->rootfs("/run.sh"), "#!/nowhere foo\n");
  std::filesystem::permissions(bundle_->rootfs("/run.sh"), std::filesystem::perms(0755));
  const auto says_why = [](const CommandResult& result) {
    return result.err.find("exec /run.sh: no such file or directory") != std::string::npos &&
           result.err.find("/run.sh names the interpreter /nowhere") != std::string::npos;
  };
  keep_running();
  const auto entered = bundle_->oci({"exec", "c", "/run.sh"});
  EXPECT_TRUE(entered.exit_code == 255 && says_why(entered)) << entered;
  EXPECT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  bundle_->set_command({"/run.sh"});
  const auto result = bundle_->oci({"run", "c"});
  EXPECT_TRUE(result.exit_code == 1 && says_why(result)) << result;
}

TEST_F(OciConformance, DevStdoutCanBeOpenedByItsUser) {
  struct stat before{};
  ASSERT_EQ(::stat("/dev/null", &before), 0);
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}};
  EXPECT_EQ(run_shell("echo again >/dev/stdout").out, "again\n");
  keep_running();
  const auto one = bundle_->oci({"exec", "--user", "7", "c", "sh", "-c", "echo more >/dev/stderr"});
  EXPECT_EQ(one.err, "more\n") << one;
  ASSERT_TRUE(bundle_->oci({"delete", "--force", "c"}).ok());
  // Its user is another on the host: with that one's number there somebody else would have the pipe.
  bundle_->config["linux"]["namespaces"].push_back({{"type", "user"}});
  for (const char* map : {"uidMappings", "gidMappings"})
    bundle_->config["linux"][map] =
        Json::array({{{"containerID", 0}, {"hostID", 100000}, {"size", 65536}}});
  bundle_->config["linux"].erase("resources");
  keep_running();
  const auto mapped =
      bundle_->oci({"exec", "--user", "7", "c", "sh", "-c", "echo more >/dev/stderr"});
  EXPECT_EQ(mapped.err, "more\n") << mapped;
  struct stat null{};
  ASSERT_EQ(::stat("/dev/null", &null), 0);
  EXPECT_EQ(null.st_uid, before.st_uid);
}

TEST_F(OciConformance, HooksThatFailAreNamed) {
  for (const char* kind :
       {"prestart", "createRuntime", "createContainer", "startContainer", "poststart"}) {
    bundle_->config["hooks"] = {
        {kind, {{{"path", "/bin/true"}}, {{"path", "/bin/cat"}, {"args", {"cat", "/no"}}}}}};
    const auto result = run_shell("echo said");
    EXPECT_EQ(result.exit_code, 1) << kind;
    EXPECT_NE(result.err.find("error running " + std::string(kind) + " hook #1:"),
              std::string::npos)
        << result;
  }
}

TEST_F(OciConformance, WordsForWhatIsRefused) {
  const auto words = [&](const Json& patch) {
    const Json before = bundle_->config;
    bundle_->config.merge_patch(patch);
    const auto result = run_shell("true");
    bundle_->config = before;
    EXPECT_EQ(result.exit_code, 1) << patch;
    return result.err;
  };
  if (!missing("cgroup_v2").empty()) {  // v2 has that file
    EXPECT_NE(words({{"linux", {{"resources", {{"unified", {{"memory.min", "1"}}}}}}}})
                  .find("invalid configuration"),
              std::string::npos);
  }
  EXPECT_NE(words({{"linux", {{"sysctl", {{"kernel.hostname", "x"}}}}}})
                .find("/linux/sysctl/kernel.hostname"),
            std::string::npos);
  std::filesystem::remove(bundle_->rootfs("/proc"));
  std::filesystem::create_symlink("/elsewhere", bundle_->rootfs("/proc"));
  EXPECT_NE(words(Json::object()).find("must be mounted on ordinary directory"), std::string::npos);
}

// Set up by who has no id there: where uid 0 is not mapped nothing could be made.
// The host has no such node to bind, or one that the container's root may not open.
TEST_F(OciConformance, UserNamespaceHasTheDevicesThatAreListed) {
  ISLE_REQUIRE("kernel:6.15");
  bundle_->map_ids(0, 1000);
  bundle_->config["linux"]["devices"] = {
      {{"path", "/dev/own"},
       {"type", "c"},
       {"major", 1},
       {"minor", 5},
       {"fileMode", 0644},
       {"uid", 10},
       {"gid", 11}},
      {{"path", "/dev/full"}, {"type", "c"}, {"major", 1}, {"minor", 7}, {"fileMode", 0600}}};
  const mode_t before = ::umask(077);
  const auto result = run_shell(
      "stat -c '%F %a %u:%g %t:%T' /dev/own /dev/full; head -c 3 /dev/own | od -An -tx1;"
      "stat -c %u /dev/null");
  ::umask(before);
  EXPECT_EQ(result.out,
            "character special file 644 10:11 1:5\ncharacter special file 600 0:0 1:7\n"
            " 00 00 00\n65534\n")
      << result;
}

TEST_F(OciConformance, IdmapOfWhatIsNotThereYetIsRefusedInAUserNamespace) {
  ISLE_REQUIRE("idmap");
  bundle_->map_ids(0, 1000);
  bundle_->config["mounts"].push_back({{"destination", "/two"},
                                       {"type", "bind"},
                                       {"source", bundle_->rootfs("/one/below")},
                                       {"options", {"rbind", "idmap"}}});
  const auto result = run_shell("true");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("idmapped mount on \"/two\""), std::string::npos) << result;
}

TEST_F(OciConformance, UserNamespaceWithoutARoot) {
  bundle_->map_ids(1000, 1);
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 1000}};
  keep_running();
  EXPECT_EQ(bundle_->oci({"exec", "c", "id"}).out, "uid=1000 gid=1000\n");
}

TEST_F(OciConformance, NamespacesOfAnotherContainer) {
  bundle_->map_ids(0, 100);
  bundle_->config["linux"]["namespaces"].push_back({{"type", "time"}});
  bundle_->config["linux"]["timeOffsets"] = {{"monotonic", {{"secs", 7881}, {"nanosecs", 27}}}};
  keep_running();
  const pid_t pid = Json::parse(bundle_->oci({"state", "c"}).out)["pid"];
  for (Json& entry : bundle_->config["linux"]["namespaces"]) {
    const std::string type = entry["type"];
    const std::string file = type == "network" ? "net" : type;
    if (type != "mount") entry["path"] = "/proc/" + std::to_string(pid) + "/ns/" + file;
  }
  for (const char* key : {"uidMappings", "gidMappings", "timeOffsets"})
    bundle_->config["linux"].erase(key);
  bundle_->take_cgroup();
  bundle_->set_command({"sh", "-c",
                        "cut -c 1-33 /proc/self/uid_map; grep monotonic /proc/self/timens_offsets; "
                        "id -u; ls /proc/1/exe"});
  const auto result = bundle_->oci({"run", "d"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.out.find("100000        100"), std::string::npos) << result;
  EXPECT_NE(result.out.find("7881        27\n0\n"), std::string::npos) << result;
}

TEST_F(OciConformance, BindOfWhatOnlyTheHostsRootMayReach) {
  bundle_->map_ids(0, 65536);
  std::filesystem::create_directories(bundle_->dir() / "closed/in");
  write_file(bundle_->dir() / "closed/in/file", "reached\n");
  ASSERT_EQ(::chmod((bundle_->dir() / "closed").c_str(), 0700), 0);
  bundle_->config["mounts"].push_back({{"source", bundle_->dir() / "closed/in"},
                                       {"destination", "/mnt/a"},
                                       {"options", {"rbind", "ro"}}});
  EXPECT_EQ(run_shell("cat /mnt/a/file").out, "reached\n");
}

// As engines know it from mount(2)'s remount of a bind: an option that says anything of the flags
// replaces them; with a user namespace what the source's mount forbids goes only where an option says so; and for
// a caller who is in one himself all of it stays.
TEST_F(OciConformance, FlagsOfABindAreThoseOfItsOptions) {
  struct Case {
    const char* source;
    Json options;
    const char* seen;
    const char* seen_by_users;
    const char* seen_from_inside;
  };
  const char* all = "ro,nosuid,nodev,noexec";
  const Case cases[] = {
      {"ro,nosuid,noexec",
       {"bind", "rprivate"},
       "ro,nosuid,noexec",
       "ro,nosuid,noexec",
       "ro,nosuid,noexec"},
      {all, {"bind", "rw"}, "rw", "rw,nosuid,nodev,noexec", all},
      {"nodev,noexec", {"bind", "nosuid", "ro"}, "ro,nosuid", all, all},
      {"noexec,noatime", {"bind", "dev"}, "rw,noatime", "rw,noexec,noatime", "rw,noexec,noatime"},
      {"nosuid,nosymfollow", {"bind", "exec"}, "rw", "rw,nosuid", "rw,nosuid"},
      {"ro,noatime", {"bind", "rw", "relatime"}, "rw", "rw", ""},
  };
  bundle_->set_command({"sh", "-c",
                        "grep ' /there ' /proc/self/mountinfo | cut -d' ' -f6 | "
                        "sed s/,relatime//"});
  auto& mounts = bundle_->config["mounts"];
  mounts.push_back({{"source", bundle_->dir().make_dir("source")}, {"destination", "/there"}});
  const auto seen = [&](const Case& each, const std::string& caller) {
    mounts.back()["options"] = each.options;
    bundle_->save();
    const auto result = run_command(
        {"unshare", "--mount", "sh", "-c",
         "mount -t tmpfs source \"$1\" && mount -o remount,bind,\"$2\" \"$1\" && shift 2 && "
         "exec " +
             caller + " \"$@\"",
         "sh", bundle_->dir() / "source", each.source, Bundle::runtime(), "--root",
         bundle_->dir() / "state", "run", "c"},
        {.working_dir = bundle_->dir() / "bundle"});
    return result.out.substr(0, result.out.find('\n'));
  };
  for (const Case& each : cases) EXPECT_EQ(seen(each, ""), each.seen) << each.source;
  bundle_->leave_out_the_terminals_group();
  const std::string inside = "unshare --user --map-root-user --mount";
  for (const Case& each : cases)
    EXPECT_EQ(seen(each, inside), each.seen_from_inside) << each.source;
  bundle_->map_ids(0, 65536);
  for (const Case& each : cases) EXPECT_EQ(seen(each, ""), each.seen_by_users) << each.source;
  for (const char* key : {"uidMappings", "gidMappings"})
    bundle_->config["linux"][key][0]["hostID"] = 0;
  for (const Case& each : cases) EXPECT_EQ(seen(each, ""), each.seen_by_users) << each.source;
}

// As below podman for an ordinary user without subordinate ids.
TEST_F(OciConformance, GroupsStayWhereTheyCannotBeSet) {
  bundle_->leave_out_the_terminals_group();
  bundle_->config["process"]["user"]["additionalGids"] = {0};
  bundle_->set_command({"true"});
  bundle_->save();
  const auto result =
      run_command({"unshare", "--user", "--map-root-user", "--mount", Bundle::runtime(), "--root",
                   bundle_->dir() / "state", "run", "c"},
                  {.working_dir = bundle_->dir() / "bundle"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.err.find("setgroups says deny"), std::string::npos) << result;
}

TEST_F(OciConformance, TerminalIsItsUsers) {
  bundle_->config["process"]["terminal"] = true;
  bundle_->config["process"]["user"] = {{"uid", 1000}, {"gid", 100}};
  bundle_->set_command({"sh", "-c", "stat -c %u:%g /dev/pts/0"});
  EXPECT_EQ(bundle_->oci({"run", "c"}, {.pty = true}).out, "1000:5\r\n");
}

TEST_F(OciConformance, TmpfsHasTheModeOfWhatItCovers) {
  ASSERT_EQ(::chmod(bundle_->rootfs("/tmp").c_str(), 07712), 0);
  bundle_->config["mounts"].push_back(
      {{"destination", "/tmp"}, {"type", "tmpfs"}, {"source", "t"}});
  EXPECT_EQ(run_shell("stat -c %a /tmp").out, "7712\n");
  bundle_->config["mounts"].back()["options"] = {"mode=0410"};
  EXPECT_EQ(run_shell("stat -c %a /tmp").out, "410\n");
}

TEST_F(OciConformance, LoopbackIsUp) {
  EXPECT_EQ(run_shell("cat /sys/class/net/lo/operstate; grep -c '^ *lo:' /proc/net/dev; busybox ip "
                      "-o addr show lo")
                .out.find("unknown\n1\n1: lo    inet 127.0.0.1/8"),
            0U);
}

TEST_F(OciConformance, EachPropagationOfTheRoot) {
  const bool has_peers =
      run_command({"findmnt", "-no", "PROPAGATION", "-T", bundle_->dir().path()}).out == "shared\n";
  for (const auto& [word, shown] : {std::pair{"shared", "shared:"},
                                    {"rshared", "shared:"},
                                    {"slave", has_peers ? "master:" : "-"},
                                    {"private", "-"},
                                    {"rprivate", "-"},
                                    {"unbindable", "unbindable"}}) {
    bundle_->config["linux"]["rootfsPropagation"] = word;
    const auto result = run_shell("grep ' / r[ow],' /proc/self/mountinfo | cut -d' ' -f7");
    EXPECT_TRUE(result.out.starts_with(shown)) << word << result;
  }
}

TEST_F(OciConformance, EveryMountOptionThatFeaturesNames) {
  const Json features = Json::parse(bundle_->oci({"features"}).out);
  std::filesystem::create_directory(bundle_->dir() / "source");
  size_t count = 0;
  for (const Json& option : features["mountOptions"]) {
    const std::string word = option;
    const bool bind = word.find("bind") != std::string::npos || word.starts_with("src-") ||
                      word == "copy-symlink";
    if (word == "idmap" || word == "ridmap") continue;  // with maps only
    Json mount = {{"destination", "/mnt/" + std::to_string(count++)},
                  {"type", "tmpfs"},
                  {"source", "t"},
                  {"options", {word}}};
    if (bind && !word.ends_with("unbindable") && word != "unbindable") {
      mount["source"] = bundle_->dir() / "source";
      mount["options"] = {"rbind", word};
      mount.erase("type");
    }
    bundle_->config["mounts"].push_back(mount);
  }
  const auto result = run_shell("grep -c ' /mnt/' /proc/self/mountinfo");
  EXPECT_EQ(result.out, std::to_string(count) + "\n") << result;
}

TEST_F(OciConformance, UnknownCapabilityIsLeftOut) {
  keep_running();
  const auto result =
      bundle_->oci({"exec", "--cap", "CAP_NONE_SUCH", "--cap", "CAP_KILL", "c", "true"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_NE(result.err.find("CAP_NONE_SUCH"), std::string::npos);
}

TEST_F(OciConformance, MapsWithoutAUserNamespaceAreWarnedOf) {
  bundle_->config["linux"]["uidMappings"] = {
      {{"containerID", 0}, {"hostID", 0}, {"size", 4294967295U}}};
  const auto result = run_shell("echo ran");
  EXPECT_EQ(result.out, "ran\n") << result;
  EXPECT_NE(result.err.find("/linux/uidMappings"), std::string::npos);
}

}  // namespace
}  // namespace isle::test
