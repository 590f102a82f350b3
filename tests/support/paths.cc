#include "paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "temp_dir.h"

namespace isle::test {
namespace {

std::string directory(const char* variable, const char* compiled_in) {
  const char* value = std::getenv(variable);
  const std::string path = value != nullptr && *value != '\0' ? value : compiled_in;
  return std::filesystem::absolute(path).lexically_normal();
}

// Every directory above may be searched by others, and the file itself be run by them.
bool others_reach(const std::filesystem::path& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
  return path == path.root_path() || others_reach(path.parent_path());
}

}  // namespace

std::string build_dir() { return directory("ISLE_BUILD_DIR", ISLE_TEST_BUILD_DIR); }
std::string source_dir() { return directory("ISLE_SOURCE_DIR", ISLE_TEST_SOURCE_DIR); }

std::string isle_binary(std::string_view name) {
  const std::string build = build_dir();
  for (const char* below : {"/bin/", "/libexec/isle/"}) {
    const std::string path = build + below + std::string(name);
    if (std::filesystem::is_regular_file(path)) return reachable_by_all(path);
  }
  throw std::runtime_error("no program \"" + std::string(name) + "\" in " + build +
                           ": build it, or set ISLE_BUILD_DIR");
}

std::string reachable_by_all(const std::string& path) {
  if (geteuid() != 0 || others_reach(std::filesystem::canonical(path))) return path;
  static std::map<std::string, std::string> copies;
  std::string& copy = copies[path];
  if (copy.empty()) {
    const std::filesystem::path dir =
        std::filesystem::path(process_scratch_dir()) / ("copy" + std::to_string(copies.size()));
    std::filesystem::create_directories(dir);
    const std::filesystem::path to = dir / std::filesystem::path(path).filename();
    // A forked child may have made it already, which this process does not know.
    std::filesystem::copy(path, to, std::filesystem::copy_options::skip_existing);
    if (chmod(to.c_str(), 0755) != 0) throw std::runtime_error("chmod " + to.string());
    copy = to;
  }
  return copy;
}

std::string find_program(std::string_view program) {
  const char* variable = std::getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!path.empty()) {
    const std::size_t colon = path.find(':');
    const std::string file = std::string(path.substr(0, colon)) + "/" + std::string(program);
    if (access(file.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(file)) return file;
    path.remove_prefix(colon == path.npos ? path.size() : colon + 1);
  }
  return {};
}

const std::string& process_scratch_dir() {
  static const TempDir* dir = new TempDir;  // main() removes it, after the last check
  return dir->path();
}

}  // namespace isle::test
