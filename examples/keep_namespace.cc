// keep_namespace make PATH NAME | list DIR | undo PATH: a uts namespace with a host name of its
// own that lives on without any process, bound to a file. Needs root.
//
// make goes through a plan, so that a failure on the way leaves no file behind; list and undo are
// the handle's (Namespace), which works on any file that a namespace is bound to.
#include <isle/namespace.h>
#include <isle/run.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace {

int fail(const isle::Error& error) {
  std::fprintf(stderr, "keep_namespace: %s\n", error.message().c_str());
  return 1;
}

int make(const std::string& path, const std::string& name) {
  isle::Spec spec;
  spec.namespaces = {{.type = isle::NamespaceType::uts}};
  spec.hostname = {.value = name};
  spec.keep = {{.type = isle::NamespaceType::uts, .path = path}};
  spec.process.args = {.value = {"true"}};  // some process has to be its first
  const isle::Result<isle::ExitStatus> end = isle::run(spec);
  return end ? end->shell_status() : fail(end.error());
}

int list(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const isle::Result<isle::Namespace> kept = isle::Namespace::of_path(entry.path());
    if (!kept) continue;  // a file that nothing is bound to
    std::printf("%s %s\n", kept->link_text().c_str(), entry.path().c_str());
  }
  return 0;
}

int undo(const std::string& path) {
  const isle::Status undone = isle::Namespace::unpersist(path);
  return undone ? 0 : fail(undone.error());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "make" && argc == 4) return make(argv[2], argv[3]);
  if (verb == "list" && argc == 3) return list(argv[2]);
  if (verb == "undo" && argc == 3) return undo(argv[2]);
  std::fprintf(stderr, "usage: keep_namespace make PATH NAME | list DIR | undo PATH\n");
  return 2;
}
