// What sandbox tools have paid for, tried for real on `isle run`, with a canary on the host's side.
// A test's comment says what showed that it can fail: a build without the duty, or what the same
// attempt does outside of the sandbox, which the test itself then checks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

#include "support/sandbox.h"
#include "support/support.h"

namespace isle::test {
namespace {

namespace fs = std::filesystem;

class SecurityRun : public testing::Test {
 protected:
  void SetUp() override {
    ISLE_REQUIRE(::geteuid() == 0 ? "root" : "userns");
    warm_up();
  }
};

CommandResult isle_run(std::vector<std::string> arguments, CommandOptions options = {}) {
  std::vector<std::string> argv = {isle_binary(), "run"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_command(std::move(argv), std::move(options));
}

// A root whose programs are the host's.
std::vector<std::string> host_programs() {
  std::vector<std::string> options;
  for (const char* path : {"/bin", "/lib", "/lib64", "/usr"})
    if (fs::exists(path)) options.push_back(std::string("--ro-bind=") + path);
  return options;
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

size_t files_below(const std::string& path) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(path)) ++count;
  return count;
}

// CVE-2026-87766 and kin: a link in the root that leads out, in a destination's last part and in
// its middle, absolute and by "..". Shown to fail by resolving destinations as host paths: the
// canary then gets the file.
TEST_F(SecurityRun, DestinationsThroughLinksStayInside) {
  const TempDir dir;
  const std::string root = dir.make_dir("root");
  const std::string victim = dir.make_dir("victim");
  const std::string source = dir.make_dir("source");
  dir.write("source/file", "content");
  dir.write("text", "text");
  fs::create_symlink(victim, root + "/absolute");
  fs::create_symlink("../victim", root + "/relative");
  fs::create_symlink("../../../../../../../../.." + victim, root + "/up");
  for (const char* link : {"absolute", "relative", "up"}) {
    const std::string at = std::string("/") + link;
    const CommandResult result = isle_run(
        std::vector<std::string>{"--root=" + root} + host_programs() +
        std::vector<std::string>{"--bind=" + source + ":" + at + "/made/deep",
                                 "--file=" + dir.path() + "/text:" + at + "/file",
                                 "--dir=" + at + "/dir", "--symlink=target:" + at + "/link",
                                 "--tmpfs=" + at + "/tmpfs", "--", "cat", at + "/made/deep/file"});
    EXPECT_EQ(files_below(victim), 0U) << link << "\n" << result;
    if (result.ok()) {
      EXPECT_EQ(result.out, "content") << result;
    }
  }
}

// bwrap#801, flatpak#6831: the cure must not break links that stay inside.
TEST_F(SecurityRun, AbsoluteLinksInsideTheRootWork) {
  const TempDir dir;
  const std::string root = dir.make_dir("root");
  (void)dir.make_dir("root/run");
  (void)dir.make_dir("root/var");
  fs::create_symlink("/run", root + "/var/run");
  const CommandResult result =
      isle_run(std::vector<std::string>{"--root=" + root} + host_programs() +
               std::vector<std::string>{"--file=" + dir.write("text", "inside") + ":/var/run/file",
                                        "--", "cat", "/run/file"});
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(result.out, "inside");
}

// CVE-2021-30465: somebody exchanges the destination with a link while it is mounted on. Shown to
// fail by a MakeDirectory that walks by path: the canary gets directories in the first hundreds.
TEST_F(SecurityRun, DestinationSwappedDuringTheMountStaysInside) {
  const TempDir dir;
  const std::string root = dir.make_dir("root");
  const std::string victim = dir.make_dir("victim");
  (void)dir.make_dir("root/place");
  fs::create_symlink(victim, root + "/link");
  const std::string place = root + "/place";
  const std::string link = root + "/link";
  std::atomic<bool> stop = false;
  std::atomic<int> swaps = 0;
  std::thread swapper([&] {
    constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE
    while (!stop)
      swaps +=
          ::syscall(SYS_renameat2, AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), kExchange) == 0;
  });
  // Many mounts a launch; what is made on the way is what would show outside.
  Spec spec = bare_namespaces({NamespaceType::user, NamespaceType::mount}, {"/no/such/program"});
  spec.root = Root{.path = root, .overlay = {}};
  constexpr int kMounts = 40;
  for (int i = 0; i < kMounts; ++i) {
    Bind bind;
    bind.source = "/usr";
    bind.recursive = false;
    spec.mounts.push_back({.destination = "/place/d" + std::to_string(i), .what = bind});
  }
  constexpr int kLaunches = 100;
  for (int i = 0; i < kLaunches; ++i) (void)spawn(spec);
  stop = true;
  swapper.join();
  EXPECT_GT(swaps, kLaunches);
  EXPECT_EQ(files_below(victim), 0U);
}

// CVE-2024-21626: a descriptor of the host's that stays open, reached as the working directory.
// Shown to fail with --pass-fd, which leaves one open: then the same cd works.
TEST_F(SecurityRun, NoDescriptorOfTheHostIsThereToChangeInto) {
  const Fd leak(::open("/", O_RDONLY | O_DIRECTORY));  // not close-on-exec
  CommandOptions options;
  options.descriptors = {{leak.get(), 9}};
  for (int fd = 3; fd < 64; ++fd) {
    const CommandResult result = isle_run(
        {"--workdir=/proc/self/fd/" + std::to_string(fd), "--", "/bin/sh", "-c", "ls -di ."},
        options);
    EXPECT_EQ(result.exit_code, 125) << fd << "\n" << result;
    EXPECT_EQ(result.out, "") << fd;
  }
  const std::string say = "cd /proc/self/fd/9 2>/dev/null && echo there";
  EXPECT_EQ(isle_run({"--", "/bin/sh", "-c", say}, options).out, "");
  EXPECT_EQ(isle_run({"--pass-fd=9", "--", "/bin/sh", "-c", say}, options).out, "there\n");
}

// The same of the command: a descriptor that the execve alone closes is still open when the kernel looks for the
// program, which a link in the root may seek there. Shown to fail by CLOSE_RANGE_CLOEXEC in place of closing.
TEST_F(SecurityRun, NoDescriptorOfTheHostIsThereToRunFrom) {
  const TempDir dir;
  const std::string root = dir.make_dir("root");
  fs::copy_file("/bin/true", dir / "program");
  const Fd leak(::open("/", O_RDONLY | O_DIRECTORY));
  CommandOptions options;
  options.descriptors = {{leak.get(), 9}};
  for (int fd = 3; fd < 20; ++fd) {
    std::string path = "/proc/self/fd/" + std::to_string(fd);
    for (int up = 0; up < 16; ++up) path += "/..";
    fs::remove(root + "/link");
    fs::create_symlink(path + dir.path() + "/program", root + "/link");
    const CommandResult result =
        isle_run(std::vector<std::string>{"--root=" + root} + host_programs() +
                     std::vector<std::string>{"--", "/link"},
                 options);
    EXPECT_FALSE(result.ok()) << fd << result;
  }
}

// Devices are the host's own, whose root has the sandbox's id where root runs isle. Shown to fail without the
// attribute: then the mode is changed.
TEST_F(SecurityRun, DevicesOfTheHostKeepTheirModes) {
  const TempDir dir;
  const std::string root = dir.make_dir("root");
  const CommandResult result =
      isle_run(std::vector<std::string>{"--root=" + root} + host_programs() +
               std::vector<std::string>{"--", "/bin/sh", "-c",
                                        "chmod 666 /dev/zero; echo written >/dev/null && "
                                        "head -c1 /dev/zero | wc -c"});
  EXPECT_EQ(result.out, "1\n") << result;
  EXPECT_TRUE(result.err.find("Read-only") != std::string::npos ||
              (::geteuid() != 0 && result.err.find("not permitted") != std::string::npos))
      << result;
}

// CVE-2022-29162 and kin: no capability of any set, the inheritable among them. Shown to fail by
// --keep-privileges, under which the same line is not all zeros.
TEST_F(SecurityRun, AllCapabilitySetsAreEmpty) {
  const std::vector<std::string> say = {"--", "grep", "-E", "^(Cap|NoNewPrivs)",
                                        "/proc/self/status"};
  std::string empty;
  for (const char* set : {"Inh", "Prm", "Eff", "Bnd", "Amb"})
    empty += std::string("Cap") + set + ":\t0000000000000000\n";
  EXPECT_EQ(isle_run(say).out, empty + "NoNewPrivs:\t1\n");
  const CommandResult kept =
      isle_run(std::vector<std::string>{"--keep-privileges", "--uid=0"} + say);
  EXPECT_NE(kept.out.find("CapEff:\t0000"), kept.out.npos) << kept;
  EXPECT_EQ(kept.out.find("CapEff:\t0000000000000000"), kept.out.npos) << kept;
}

// CVE-2014-8989: an ordinary user may not drop a group that is there to keep it out, unless the
// machine's administrator has granted it others (newgidmap decides).
TEST_F(SecurityRun, OrdinaryUserCannotSetGroups) {
  ISLE_REQUIRE("userns");
  const std::string own = std::to_string(unprivileged().gid);
  const CommandResult result =
      isle_run({"--map-gid", own + ":" + own, "--", "cat", "/proc/self/setgroups"},
               {.identity = unprivileged()});
  EXPECT_EQ(result.out, "deny\n") << result;
}

// uid 0 inside is not the host's: what changes the whole machine is out of reach even with every
// capability over the sandbox. Outside root may open them (which is all that is tried).
TEST_F(SecurityRun, MachineWideSwitchesAreOutOfReach) {
  for (const char* path : {"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
                           "/proc/sys/vm/drop_caches", "/proc/sys/kernel/modprobe"}) {
    if (::access(path, F_OK) != 0) continue;
    const std::string try_it = std::string("test -w ") + path + " && echo writable; : >>" + path;
    const CommandResult result = isle_run({"--cap-add=ALL", "--", "/bin/sh", "-c", try_it});
    EXPECT_NE(result.exit_code, 0) << path << "\n" << result;
    EXPECT_EQ(result.out, "") << path;
    if (::geteuid() == 0) {
      EXPECT_EQ(::access(path, W_OK), 0) << path;
    }
  }
}

// 2016-9962: pid 1 of --init cannot be traced: its memory, root and program are closed to the
// command, which has the same uid, and it holds no descriptors. Without --init pid 1 is the command
// itself, for which the same files open.
TEST_F(SecurityRun, Pid1OfInitCannotBeTraced) {
  const std::string look =
      "for f in mem environ maps; do cat /proc/1/$f >/dev/null 2>&1 && echo $f; done; "
      "for f in root cwd; do ls /proc/1/$f/ >/dev/null 2>&1 && echo $f; done; "
      "readlink /proc/1/exe >/dev/null && echo exe; ls /proc/1/fd 2>/dev/null; cat /proc/1/comm";
  const CommandResult closed = isle_run({"--init", "--", "/bin/sh", "-c", look});
  EXPECT_EQ(closed.out, "memfd:isle-exec\n") << closed;
  const CommandResult open = isle_run({"--", "/bin/sh", "-c", look});
  EXPECT_NE(open.out.find("environ\nmaps\nroot\ncwd\nexe\n"), open.out.npos) << open;
}

// CVE-2024-40635, CVE-2026-30892: an id is 32 bits and nothing else; -1 is no id.
TEST_F(SecurityRun, IdsThatAreNoneAreRefused) {
  for (const char* id : {"4294967295", "4294967296", "4294967297", "-1", "0x1", "1:2", "", " 1",
                         "1 ", "18446744073709551616"}) {
    for (const char* option : {"--uid=", "--gid="}) {
      const CommandResult result = isle_run({std::string(option) + id, "--", "id", "-u"});
      EXPECT_EQ(result.exit_code, 125) << option << id << "\n" << result;
      EXPECT_EQ(result.out, "") << option << id;
    }
  }
}

// 2014-5206: what the host mounted with nosuid cannot be had without from a user namespace, not even
// with all capabilities over it. Outside root could: there the flag is not locked.
TEST_F(SecurityRun, LockedMountFlagsStay) {
  ISLE_REQUIRE("root", "util_linux");
  const TempDir dir;
  const std::string& at = dir.path();
  const std::string again = "mount -o remount,bind,suid,dev " + at + " 2>&1";
  const CommandResult result =
      run_command({"unshare", "--mount", "/bin/sh", "-c",
                   "mount -t tmpfs -o nosuid,nodev none " + at + " && " + isle_binary() +
                       " run --cap-add=ALL --bind=" + at + " -- /bin/sh -c '" + again +
                       "'; echo inside $?; " + again + "; echo outside $?"});
  EXPECT_NE(result.out.find("permission denied"), result.out.npos) << result;
  EXPECT_EQ(result.out.find("inside 0"), result.out.npos) << result;
  EXPECT_NE(result.out.find("outside 0"), result.out.npos) << result;
}

// 2017-5226: characters put into the input of the terminal isle was started on would be typed to
// the caller's shell. In the sandbox's own terminal they reach its own shell only: the ioctl is
// tried on every descriptor, and on what /dev/tty is there.
TEST_F(SecurityRun, TerminalOfTheCallerCannotBeTypedInto) {
  ISLE_REQUIRE("python3");
  const std::string attack =
      "import fcntl,os\n"
      "fds=[0,1,2]\n"
      "try: fds.append(os.open('/dev/tty',os.O_RDWR))\n"
      "except OSError: pass\n"
      "for fd in fds:\n"
      "  for c in b'echo ISLE' b'CANARY\\n':\n"
      "    for request in (0x5412, 0x541c, 0x100005412):\n"
      "      try: fcntl.ioctl(fd,request,bytes([c]))\n"
      "      except (OSError,OverflowError,ValueError): pass\n"
      "print('tried')\n";
  const TempDir dir;
  const std::string program = dir.write("attack.py", attack);
  for (const char* tty : {"auto", "never"}) {
    // A shell on a terminal runs isle, and goes on to read its input: what was typed it would run.
    Command shell({"/bin/sh", "-i"}, {.set_env = {{"PS1", "$ "}}, .pty = true});
    ASSERT_TRUE(shell.expect("$ "));
    shell.write(isle_binary() + " run --tty=" + tty + " --ro-bind=" + dir.path() + " -- python3 " +
                program + "; echo en''d\n");
    ASSERT_TRUE(shell.expect("tried")) << shell.output();
    ASSERT_TRUE(shell.expect("end")) << shell.output();
    shell.write("echo la''st\n");
    ASSERT_TRUE(shell.expect("last")) << shell.output();
    shell.write("exit\n");
    const CommandResult result = shell.wait();
    EXPECT_EQ(result.out.find("ISLECANARY"), result.out.npos) << result;
  }
}

// A user namespace inside is the kernel's to give: isle neither hides it nor is weakened by it. The
// command has all capabilities in the new one, none of which opens what the sandbox closed.
TEST_F(SecurityRun, NestedUserNamespaceGainsNothing) {
  ISLE_REQUIRE("util_linux");
  const CommandResult result =
      isle_run({"--", "/bin/sh", "-c",
                "unshare -Urm /bin/sh -c 'mount -o remount,bind,rw / 2>/dev/null && echo rw; "
                "mount -t proc proc /proc 2>/dev/null && echo proc; "
                ": >/proc/sys/kernel/core_pattern && echo core' 2>/dev/null; echo done"});
  EXPECT_EQ(result.out, "done\n") << result;
}

}  // namespace
}  // namespace isle::test
