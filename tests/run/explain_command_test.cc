// Commands that do not run: the sentence, the status, the reason.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/explain_support.h"

namespace isle {
namespace {

using test::complaint;
using test::TempDir;

class ExplainCommand : public testing::Test {
  void SetUp() override { ISLE_REQUIRE("userns"); }

 protected:
  // `isle run -- PATH` with the test's directory visible inside.
  [[nodiscard]] std::string running(const std::string& path,
                                    const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"--ro-bind", dir_.path() + ":" + dir_.path()};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {"--", path});
    return complaint(words, test::unprivileged());
  }
  TempDir dir_;
};

TEST_F(ExplainCommand, NotFound) {
  EXPECT_SAYS(
      complaint({"--env", "PATH=/usr/bin:/bin", "--", "no-such-command"}, test::unprivileged()),
      "isle: execute \"no-such-command\": No such file or directory (ENOENT)\n",
      "hint: it is in none of the directories of PATH: /usr/bin:/bin\n", "exit status 127");
  EXPECT_SAYS(running("/usr/no/such"), "execute \"/usr/no/such\"", "hint: /usr/no does not exist",
              "exit status 127");
}

TEST_F(ExplainCommand, NotInThisRoot) {
  ASSERT_FALSE(dir_.make_dir("root").empty());
  dir_.give_to(test::unprivileged());
  EXPECT_SAYS(
      complaint({"--root", dir_ / "root", "--env", "PATH=/bin", "--", "sh"}, test::unprivileged()),
      "execute \"/bin/sh\"", "does not exist", "exit status 127");
  EXPECT_SAYS(complaint({"--root", dir_ / "root", "--env", "PATH=/sbin:/bin", "--", "sh"},
                        test::unprivileged()),
              "execute \"sh\"", "hint: the host has /bin/sh, the sandbox's root has not");
}

TEST_F(ExplainCommand, NotExecutable) {
  EXPECT_SAYS(running("/etc/passwd"), "execute \"/etc/passwd\": Permission denied (EACCES)",
              "hint: /etc/passwd has no x bit (mode 0644", "exit status 126");
}

TEST_F(ExplainCommand, ADirectory) {
  EXPECT_SAYS(running("/etc"), "hint: /etc is a directory", "exit status 126");
  EXPECT_SAYS(running("/tmp"), "hint: /tmp is a directory", "exit status 126");
}

TEST_F(ExplainCommand, InterpreterMissing) {
  dir_.write("script", "#!/no/such/interpreter -x\n", 0755);
  EXPECT_SAYS(running(dir_ / "script"), "No such file or directory",
              "script names the interpreter /no/such/interpreter: /no does not exist");
}

TEST_F(ExplainCommand, LoaderMissing) {
  std::string program = test::read_file("/bin/true");
  const size_t loader = program.find("/lib");
  ASSERT_NE(loader, std::string::npos);
  program[loader + 1] = 'L';
  dir_.write("program", program, 0755);
  EXPECT_SAYS(running(dir_ / "program"), "program names the loader /L", "does not exist");
}

TEST_F(ExplainCommand, NeitherProgramNorScript) {
  dir_.write("text", "hello\n", 0755);
  dir_.write("empty", "", 0755);
  EXPECT_SAYS(running(dir_ / "text"), "Exec format error (ENOEXEC)",
              "neither a program nor a script with a #! line", "exit status 126");
  EXPECT_SAYS(running(dir_ / "empty"), "empty is empty");
}

TEST_F(ExplainCommand, AMountWithNoexec) {
  ISLE_REQUIRE("root");
  dir_.write("bin/true", test::read_file("/bin/true"), 0755);
  const std::string text = test::complaint_in(
      [&] {
        test::own_mounts();
        test::must(mount("none", (dir_ / "bin").c_str(), "tmpfs", MS_NOEXEC, nullptr), "tmpfs");
        test::write_file(dir_ / "bin/true", test::read_file("/bin/true"), 0755);
      },
      {"--ro-bind", dir_.path() + ":" + dir_.path(), "--", dir_ / "bin/true"});
  EXPECT_SAYS(text, "Permission denied (EACCES)", "is on a mount with noexec");
}

TEST_F(ExplainCommand, ADirectoryWithoutX) {
  ISLE_REQUIRE("root");
  dir_.write("closed/true", test::read_file("/bin/true"), 0755);
  ASSERT_EQ(chmod((dir_ / "closed").c_str(), 0700), 0);
  EXPECT_SAYS(running(dir_ / "closed/true"),
              "may not go through " + (dir_ / "closed") + " (mode 0700", "chmod o+x");
}

}  // namespace
}  // namespace isle
