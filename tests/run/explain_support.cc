#include "run/explain_support.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace isle::test {

std::string complaint(std::vector<std::string> words, std::optional<Identity> identity) {
  words.insert(words.begin(), {isle_binary(), "run"});
  CommandOptions options;
  options.identity = std::move(identity);
  const CommandResult result = run_command(std::move(words), options);
  return fmt::format("{}exit status {}\n", result.err, result.shell_status());
}

std::string complaint_in(const std::function<void()>& situation, std::vector<std::string> words,
                         std::optional<Identity> identity) {
  isle_binary();  // its copy is to be made outside
  const ForkResult result = call_in_fork([&] {
    situation();
    return complaint(words, identity);
  });
  EXPECT_TRUE(result.ok()) << result.describe();
  return result.value;
}

void must(int result, const char* what) {
  if (result < 0) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

void own_user_namespace() {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  must(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
  map_root(uid, gid);
}

testing::AssertionResult says(const std::string& text, const std::vector<std::string>& words) {
  for (const std::string& part : words)
    if (text.find(part) == std::string::npos)
      return testing::AssertionFailure() << "\"" << part << "\" is not in:\n" << text;
  return testing::AssertionSuccess();
}

}  // namespace isle::test
