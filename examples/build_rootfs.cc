// build_rootfs BASE LAYER COMMAND [ARG...]: runs a command as root of the tree BASE and collects
// what it changes in LAYER/upper, as one step of an image build does; BASE stays as it is. LAYER
// must exist and be on a file system that may hold an overlay's upper layer (ext4, xfs, tmpfs).
//
// A second run with the same LAYER goes on from there. A later layer is built on this one with
// Overlay::lower = {"LAYER/upper", "BASE"}.
#include <isle/run.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: build_rootfs BASE LAYER COMMAND [ARG...]\n");
    return 2;
  }
  const std::string layer = argv[2];
  using isle::NamespaceType;
  isle::Spec spec;
  for (const auto type : {NamespaceType::user, NamespaceType::mount, NamespaceType::pid,
                          NamespaceType::network, NamespaceType::ipc, NamespaceType::uts})
    spec.namespaces.push_back({.type = type});
  if (::geteuid() != 0) {  // whoever builds is root inside
    spec.uid_mappings = {.value = {{.container_id = 0, .host_id = ::geteuid()}}};
    spec.gid_mappings = {.value = {{.container_id = 0, .host_id = ::getegid()}}};
  }

  spec.root = {.path = argv[1],
               .overlay = isle::Overlay{.upper = layer + "/upper", .work = layer + "/work"}};
  spec.mounts = {{.destination = "/proc", .what = isle::FileSystem{.type = "proc"}},
                 {.destination = "/dev", .what = isle::Dev{}}};
  spec.process.args = {.value = {argv + 3, argv + argc}};
  spec.process.cwd = {.value = "/"};
  spec.process.env = {.value = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}};
  spec.process.no_new_privileges = {.value = true};

  const isle::Result<isle::ExitStatus> end = isle::run(spec);
  if (!end) {
    std::fprintf(stderr, "build_rootfs: %s\n", end.error().message().c_str());
    return 125;
  }
  for (const auto& changed : std::filesystem::recursive_directory_iterator(layer + "/upper"))
    if (!changed.is_directory()) std::printf("changed: %s\n", changed.path().c_str());
  return end->shell_status();
}
