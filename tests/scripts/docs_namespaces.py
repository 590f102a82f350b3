#!/usr/bin/env python3
"""The examples of docs/namespaces.md are compiled, and run as root, each in a process of its own."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

source = pathlib.Path(os.environ["ISLE_SOURCE_DIR"])
build = pathlib.Path(os.environ["ISLE_BUILD_DIR"])
cache = (build / "CMakeCache.txt").read_text()
if re.search(r"^ISLE_INSTRUMENT:STRING=.*-fsanitize", cache, re.M):
    print("this libisle needs the sanitizers' run-time")
    sys.exit(77)

HEADERS = ["contents", "in", "mount", "namespace", "run", "user_namespace"]
SYSTEM = ["cstdio", "stdexcept", "string", "linux/mount.h", "sys/socket.h", "sys/stat.h", "sys/wait.h", "unistd.h"]
MAIN = """
int main() {
  isle::Spec spec;
  for (const auto type : isle::NamespaceSet::all() - isle::NamespaceSet{isle::NamespaceType::user})
    spec.namespaces.push_back({.type = type});
  spec.hostname = {.value = "example"};
  spec.process.args = {.value = {"sleep", "1000"}};
  isle::Process process = std::move(isle::spawn(spec).value());
  int failures = 0;
  for (auto* example : kExamples) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        example(process.host_pid());
      } catch (const std::bad_expected_access<isle::Error>& access) {
        std::fprintf(stderr, "%s\\n", access.error().message().c_str());
        ::_exit(1);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\\n", error.what());
        ::_exit(1);
      }
      std::fflush(stdout);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) std::fprintf(stderr, "example %d failed\\n", failures);
    failures += status != 0;
  }
  return failures;
}
"""

page = (source / "docs/namespaces.md").read_text()
examples = re.findall(r"^```cpp\n(.*?)^```$", page, re.M | re.S)
assert len(examples) >= 6, "the page has examples"
text = "".join(f"#include <isle/{name}.h>\n" for name in HEADERS) + "".join(f"#include <{name}>\n" for name in SYSTEM)
for number, body in enumerate(examples):
    text += f"static void example_{number}([[maybe_unused]] pid_t pid) {{\n{body}}}\n"
text += "constexpr void (*kExamples[])(pid_t) = {" + ", ".join(f"example_{i}" for i in range(len(examples))) + "};\n" + MAIN

compiler = re.search(r"^CMAKE_CXX_COMPILER:[A-Z]*=(.*)$", cache, re.M).group(1)
with tempfile.TemporaryDirectory() as work:
    program = pathlib.Path(work) / "examples"
    (pathlib.Path(work) / "examples.cc").write_text(text)
    compiled = subprocess.run(
        [compiler, "-std=c++23", "-O1", "-Wall", "-Wextra", "-Werror", "-I", source / "include", f"{program}.cc", "-o", program,
         build / "lib/libisle.so", f"-Wl,-rpath,{build}/lib"], capture_output=True, text=True)
    if compiled.returncode != 0:
        sys.exit(compiled.stderr)
    if os.geteuid() != 0:
        print("compiled; not run: that takes root")
        sys.exit(77)
    ran = subprocess.run([program], capture_output=True, text=True, errors="replace", timeout=120)
    print(ran.stdout, ran.stderr, sep="")
    sys.exit(1 if ran.returncode != 0 else 0)
