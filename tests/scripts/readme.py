#!/usr/bin/env python3
"""README.md tells the truth: its blocks marked `<!-- test -->` are run, and what they print is compared.

A console block is one shell session: lines that begin with "$ " are typed, what follows is what must come out, and the
session must end with status 0. A block of C++ is compiled against libisle and run. Marks:

  as="COMMAND"       typed in place of the block's one command
  compare="labels"   only the words before the first gap of each line: the rest differs from machine to machine
  compare="excerpt"  the lines shown must come in this order, each the beginning of one; between them others may
  status="N"         what the session ends with
  needs="root"       passed over for others
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["ISLE_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["ISLE_BUILD_DIR"])
BLOCK = re.compile(r"^<!-- test(?P<marks>[^\n]*?) -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
SKIPPED = 77


def cached(name):
    """A value of CMakeCache.txt."""
    found = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)
    return found.group(1) if found else ""


def marks_of(text):
    words = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in words}


def label(line):
    return re.split(r"\s{2,}", line.strip())[0] if not line.startswith(" ") else ""


def matches(shown, printed, compare):
    if compare == "labels":
        return [label(line) for line in shown] == [label(line) for line in printed]
    if compare == "excerpt":
        rest = iter(printed)
        return all(any(line.startswith(wanted) for line in rest) for wanted in shown)
    return shown == printed


def run_console(text, marks, environment, directory):
    """What is wrong with it; nothing where nothing is."""
    typed, shown = [], []
    for line in text.splitlines():
        (typed if line.startswith("$ ") else shown).append(line.removeprefix("$ "))
    if "as" in marks:
        typed = [marks["as"]]
    session = subprocess.run(["bash", "-c", "\n".join(typed)], cwd=directory, env=environment, text=True, timeout=120,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    printed = session.stdout.splitlines()
    if session.returncode != int(marks.get("status", 0)):
        return f"ends with {session.returncode}:\n{session.stdout}"
    if not matches(shown, printed, marks.get("compare")):
        return "is shown as\n" + "\n".join(shown) + "\nbut prints\n" + session.stdout
    return None


def compile_and_run(text, environment, directory):
    if "-fsanitize" in cached("ISLE_INSTRUMENT"):
        return None  # that libisle needs its run-time
    source, program = directory / "readme.cc", directory / "readme"
    source.write_text(text)
    built = subprocess.run([cached("CMAKE_CXX_COMPILER"), "-std=c++23", "-Wall", "-Werror", f"-I{SOURCE}/include", source,
                            "-o", program, f"-L{BUILD}/lib", "-lisle", f"-Wl,-rpath,{BUILD}/lib"],
                           capture_output=True, text=True)
    if built.returncode != 0:
        return built.stderr
    ran = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60)
    return None if (ran.returncode, ran.stdout) == (0, "box\n") else f"ends with {ran.returncode}: {ran.stdout}"


def main():
    environment = dict(os.environ, LC_ALL="C")
    probe = subprocess.run(["isle", "run", "--", "true"], env=environment, capture_output=True, text=True)
    if probe.returncode != 0:
        print("no sandbox can be made here:", (probe.stderr.splitlines() or ["no reason given"])[0])
        return SKIPPED
    failures = count = 0
    for block in BLOCK.finditer((SOURCE / "README.md").read_text()):
        count += 1
        marks = marks_of(block["marks"])
        if marks.get("needs") == "root" and os.geteuid() != 0:
            print("not run: a block that needs root")
            continue
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            if block["language"] == "cpp":
                wrong = compile_and_run(block["text"], environment, directory)
            else:
                (directory / "tools").symlink_to(SOURCE / "tools")
                wrong = run_console(block["text"], marks, environment, directory)
        if wrong:
            failures += 1
            print(f"FAIL: README.md, the block that begins {block['text'].splitlines()[0]!r}: {wrong}")
    print(f"README.md: {count} blocks, {failures} failures")
    return 1 if failures or not count else 0


sys.exit(main())
