// join_container PID COMMAND [ARG...]: the command in all namespaces of a process that are not
// ours already, with its root; what nsenter --all and `docker exec` do. Needs privilege over them.
//
// Namespaces are held by descriptor from the first look on, so that PID cannot become another
// process between finding out and joining.
#include <isle/namespace.h>
#include <isle/run.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: join_container PID COMMAND [ARG...]\n");
    return 2;
  }
  const auto fail = [](const isle::Error& error) {
    std::fprintf(stderr, "join_container: %s\n", error.message().c_str());
    return 125;
  };
  char* end_of_number = nullptr;
  const auto pid = static_cast<pid_t>(std::strtol(argv[1], &end_of_number, 10));
  if (pid <= 0 || *end_of_number != '\0') {
    std::fprintf(stderr, "join_container: \"%s\" is not a pid\n", argv[1]);
    return 2;
  }

  isle::Spec spec;
  const isle::Origin from = spec.add_origin("join_container");
  std::vector<isle::Namespace> handles;  // lend their descriptors until run() is done
  for (const isle::NamespaceType type : isle::NamespaceSet::all()) {
    isle::Result<isle::Namespace> theirs = isle::Namespace::of_process(pid, type);
    if (!theirs) return fail(theirs.error());
    const isle::Result<isle::Namespace> ours = isle::Namespace::of_self(type);
    if (!ours) return fail(ours.error());
    if (*theirs == *ours) continue;
    spec.namespaces.push_back({.type = type, .fd = theirs->fd().get(), .from = from});
    handles.push_back(std::move(*theirs));
  }
  spec.process.args = {.value = {argv + 2, argv + argc}, .from = from};

  const isle::Result<isle::ExitStatus> end = isle::run(spec);
  if (!end) return fail(end.error());
  return end->shell_status();
}
