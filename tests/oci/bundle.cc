#include "oci/bundle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "oci/config.h"
#include "oci/state.h"

namespace isle::test {

namespace fs = std::filesystem;

Bundle::Bundle() {
  for (const char* name : {"bin", "proc", "sys", "dev", "tmp", "etc"})
    (void)dir_.make_dir(std::string("bundle/rootfs/") + name);
  fs::copy_file("/usr/bin/busybox", rootfs("/bin/busybox"));
  for (const char* name : {"sh", "true", "cat", "sleep", "id", "pwd", "ls", "mknod", "head", "stat",
                           "mkdir", "chmod", "find", "cut", "tr", "grep", "readlink", "touch"})
    fs::create_symlink("busybox", rootfs("/bin/") + name);
  config = oci::Json::parse(oci::default_config(::geteuid() != 0, true, ::geteuid(), ::getegid()));
  config["ociVersion"] = "1.0.2";  // what all runtimes take
  config["process"]["terminal"] = false;
  config["process"].erase("rlimits");
  take_cgroup();
}

std::string Bundle::runtime() {
  const char* other = std::getenv("ISLE_TEST_OCI_RUNTIME");
  return other != nullptr ? other : isle_binary("isle-oci");
}

Bundle::~Bundle() {
  for (const std::string& id : oci::Directory::list(dir_ / "state"))
    (void)oci({"delete", "--force", id});
  (void)reap_orphans();
}

std::string Bundle::cgroup_file(const std::string& v1, const std::string& v2) {
  return "/sys/fs/cgroup/" + (missing("cgroup_v2").empty() ? v2 : v1);
}

void Bundle::take_cgroup() {
  if (::geteuid() == 0) config["linux"]["cgroupsPath"] = "/" + unique_name("oci");
  save();
}

void Bundle::save() const { write_file(dir_ / "bundle/config.json", config.dump()); }

void Bundle::set_command(const std::vector<std::string>& args) {
  config["process"]["args"] = args;
  save();
}

std::string Bundle::container_dir(std::string_view id) const {
  return dir_ / "state/" + std::string(id);
}

CommandResult Bundle::oci(std::vector<std::string> words, CommandOptions options) const {
  std::vector<std::string> argv = {Bundle::runtime(), "--root", dir_ / "state"};
  argv.insert(argv.end(), words.begin(), words.end());
  if (options.working_dir.empty()) options.working_dir = dir_ / "bundle";
  return run_command(std::move(argv), std::move(options));
}

CommandResult Bundle::create(const std::string& id, const std::vector<std::string>& more) const {
  std::vector<std::string> argv = {"/bin/sh",
                                   "-c",
                                   "out=$1; shift; exec \"$@\" </dev/null >\"$out\" 2>&1",
                                   "sh",
                                   dir_ / "output",
                                   Bundle::runtime(),
                                   "--root",
                                   dir_ / "state",
                                   "create"};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.push_back(id);
  return run_command(std::move(argv), {.working_dir = dir_ / "bundle"});
}

bool Bundle::becomes(const std::string& id, const std::string& wanted) const {
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{10'000});
  while (status(id) != wanted) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds{5});
  }
  return true;
}

std::string Bundle::status(const std::string& id) const {
  const CommandResult result = oci({"state", id});
  if (!result.ok()) return {};
  return oci::Json::parse(result.out).value("status", "");
}

void Bundle::map_ids(uint32_t inside, uint32_t size) {
  constexpr uint32_t kOutside = 100000;
  config["linux"]["namespaces"].push_back({{"type", "user"}});
  for (const char* key : {"uidMappings", "gidMappings"})
    config["linux"][key] = {{{"containerID", inside}, {"hostID", kOutside}, {"size", size}}};
  leave_out_the_terminals_group();
  ASSERT_EQ(::chown(rootfs("").c_str(), kOutside, kOutside), 0);
  for (const auto& entry : fs::directory_iterator(rootfs("")))
    ASSERT_EQ(::chown(entry.path().c_str(), kOutside, kOutside), 0);
  for (const std::string& path : {dir_.path(), dir_ / "bundle"})
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
}

void Bundle::leave_out_the_terminals_group() {
  for (oci::Json& mount : config["mounts"])
    if (mount["type"] == "devpts")
      std::erase(mount["options"].get_ref<oci::Json::array_t&>(), oci::Json("gid=5"));
}

}  // namespace isle::test
