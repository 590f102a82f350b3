// `isle doctor` against the machine it runs on.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <map>
#include <nlohmann/json.hpp>

#include "run/explain_support.h"

namespace isle {
namespace {

using test::CommandResult;

CommandResult doctor(std::vector<std::string> words, std::optional<test::Identity> identity = {}) {
  words.insert(words.begin(), {test::isle_binary(), "doctor"});
  test::CommandOptions options;
  options.identity = std::move(identity);
  return test::run_command(words, options);
}

std::map<std::string, std::string> answers(const CommandResult& result) {
  std::map<std::string, std::string> found;
  const auto json = nlohmann::json::parse(result.out);
  for (const auto& row : json.at("capabilities"))
    found[row.at("name").get<std::string>()] = row.at("answer").get<std::string>();
  return found;
}

TEST(Doctor, KeysAndTypesAreStable) {
  const CommandResult result = doctor({"--json"});
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_TRUE(json.at("version").is_string());
  EXPECT_EQ(json.at("works").get<bool>(), result.exit_code == 0);
  std::vector<std::string> names;
  for (const auto& row : json.at("capabilities")) {
    EXPECT_EQ(row.size(), 5U);
    for (const char* key : {"name", "title", "answer", "detail", "advice"})
      EXPECT_TRUE(row.at(key).is_string()) << key;
    names.push_back(row.at("name"));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"run",
                                             "user_namespaces",
                                             "unprivileged_userns_clone",
                                             "apparmor_userns",
                                             "chroot",
                                             "confinement",
                                             "namespace_limits",
                                             "time_namespaces",
                                             "subordinate_ids",
                                             "mapping_programs",
                                             "cgroup_layout",
                                             "cgroup_limits",
                                             "mount_api",
                                             "fresh_proc",
                                             "overlay",
                                             "idmapped_mounts",
                                             "pidfd",
                                             "landlock",
                                             "seccomp",
                                             "tun",
                                             "pasta",
                                             "nftables"}));
}

TEST(Doctor, AgreesWithWhatTestsFound) {
  ISLE_REQUIRE("userns");
  const auto found = answers(doctor({"--json"}, test::unprivileged()));
  EXPECT_EQ(found.at("user_namespaces"), "yes");
  EXPECT_EQ(found.at("run"), "yes");
  EXPECT_EQ(found.at("chroot"), "yes");
  EXPECT_EQ(found.at("overlay"), test::missing("userns_overlay").empty() ? "yes" : "no");
  EXPECT_EQ(found.at("time_namespaces"), test::missing("timens").empty() ? "yes" : "no");
}

TEST(Doctor, PlainTextBeginsWithTheAnswer) {
  ISLE_REQUIRE("userns");
  const CommandResult result = doctor({}, test::unprivileged());
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_TRUE(result.out.starts_with("yes     isle run ")) << result;
  if (test::unprivileged().drop) {  // a user that no file knows
    EXPECT_SAYS(result.out, "try: usermod --add-subuids");
  }
}

TEST(Doctor, SaysWhatForbidsUserNamespaces) {
  ISLE_REQUIRE("root");
  test::isle_binary();
  const test::ForkResult child = test::call_in_fork([]() -> std::string {
    test::own_user_namespace();
    test::write_file("/proc/sys/user/max_user_namespaces", "0");
    const CommandResult result = doctor({});
    return std::to_string(result.exit_code) + "\n" + result.out;
  });
  EXPECT_TRUE(child.ok()) << child.describe();
  EXPECT_SAYS(child.value, "1\nno      isle run", "no      user namespaces",
              "user.max_user_namespaces is 0", "try: sysctl -w user.max_user_namespaces");
}

TEST(Doctor, SeesAMaskedProc) {
  ISLE_REQUIRE("root", "userns");
  test::isle_binary();
  const test::ForkResult child = test::call_in_fork([]() -> std::string {
    test::own_mounts();
    test::must(mount("none", "/proc/tty", "tmpfs", MS_RDONLY, nullptr), "tmpfs");
    return doctor({}, test::unprivileged()).out;
  });
  EXPECT_TRUE(child.ok()) << child.describe();
  EXPECT_SAYS(child.value, "no      fresh /proc", "parts of /proc are covered (/proc/tty)");
}

TEST(Doctor, TakesNoOperands) {
  const CommandResult result = doctor({"patient"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_SAYS(result.err, "doctor takes no operands");
}

}  // namespace
}  // namespace isle
