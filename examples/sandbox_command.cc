// sandbox_command COMMAND [ARG...]: a command that sees this machine's files but can change none,
// has a /tmp of its own, no network but loopback, and no privilege. Ends as the command ends.
//
// A Spec says what is wanted and nothing is implied: what it does not mention stays the caller's.
#include <isle/run.h>
#include <linux/mount.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: sandbox_command COMMAND [ARG...]\n");
    return 2;
  }
  using isle::NamespaceType;
  isle::Spec spec;
  for (const auto type :
       {NamespaceType::user, NamespaceType::mount, NamespaceType::pid, NamespaceType::network,
        NamespaceType::ipc, NamespaceType::uts, NamespaceType::cgroup})
    spec.namespaces.push_back({.type = type});
  spec.hostname = {.value = "sandbox"};
  spec.loopback_up = {.value = true};

  // The host's tree, read-only with all that is mounted on it; these go over it in this order.
  spec.root = {.path = "/", .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
  spec.mounts = {{.destination = "/proc", .what = isle::FileSystem{.type = "proc"}},
                 {.destination = "/dev", .what = isle::Dev{}},
                 {.destination = "/tmp",
                  .what = isle::FileSystem{.type = "tmpfs", .options = {{"mode", "1777"}}}}};

  spec.process.args = {.value = {argv + 1, argv + argc}};
  spec.process.no_new_privileges = {.value = true};
  spec.process.capabilities = {.value = {}};  // all five sets empty
  spec.process.die_with_parent = {.value = true};

  const isle::Result<isle::ExitStatus> end = isle::run(spec);
  if (!end) {
    std::fprintf(stderr, "sandbox_command: %s\n", end.error().message().c_str());
    return 125;
  }
  return end->shell_status();
}
