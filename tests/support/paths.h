// Where the build and the sources are.
#pragma once

#include <string>
#include <string_view>

namespace isle::test {

/// ISLE_BUILD_DIR, or the directory this test was built in. Absolute.
std::string build_dir();
/// ISLE_SOURCE_DIR, or the sources this test was built from. Absolute.
std::string source_dir();

/// A program of this build ("isle", "isle-exec", ...), as a path that the throw-away user can
/// reach too: below a closed directory (/root) it is a copy. Throws if it was not built.
std::string isle_binary(std::string_view name = "isle");

/// `path`, or the path of a copy that every user can reach. Lives as long as the test process.
std::string reachable_by_all(const std::string& path);

/// Where PATH finds `program`, or "".
std::string find_program(std::string_view program);

/// A directory (mode 0755) for files that live as long as this process; removed by main().
const std::string& process_scratch_dir();

}  // namespace isle::test
