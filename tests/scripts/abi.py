#!/usr/bin/env python3
"""libisle.so exports what the public headers declare, and nothing else: cmake/isle.map.in is complete and tight."""
import os
import pathlib
import re
import subprocess
import sys

build = pathlib.Path(os.environ["ISLE_BUILD_DIR"])
headers = sorted((pathlib.Path(os.environ["ISLE_SOURCE_DIR"]) / "include/isle").glob("*.h"))
if re.search(r"^ISLE_INSTRUMENT:STRING=.*-fsanitize", (build / "CMakeCache.txt").read_text(), re.M):
    print("sanitizers export names of their own")
    sys.exit(77)


def symbols(*options):
    """The functions and variables that are defined, demangled, without weak ones: those are everybody's."""
    lines = subprocess.run(["nm", "-C", "--defined-only", *options], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in lines.splitlines():
        match = re.match(r"[0-9a-f]+ [TRDB] (.*)", line)
        if match:
            found.add(match.group(1).replace("[abi:cxx11]", "").partition("@@")[0])
    return found


def declared():
    """Names of functions, and classes with functions, that the headers declare and do not define."""
    names = set()
    for header in headers:
        text = re.sub(r"//[^\n]*|/\*.*?\*/|= *{}", "", header.read_text(), flags=re.S)
        names |= set(re.findall(r"\b(\w+)\((?=[^;{}]*\)[^;{}]*;)", text))
        names |= set(re.findall(r"extern const [\w:]+ (\w+);", text))
    return names


def is_public(symbol, names):
    path = re.match(r"(?:isle::)?((?:\w+::)*~?\w+)", symbol)
    parts = path.group(1).split("::") if path else []
    if symbol.startswith("isle_"):
        return parts[0] in names
    if not symbol.startswith("isle::") or not parts:
        return False
    if len(parts) == 1 or parts[0] == "detail":
        return parts[-1] in names
    return re.search(rf"^(?:class|struct) (?:\[\[nodiscard\]\] )?{parts[0]}\b[^;]*{{", TEXT, re.M) is not None


TEXT = "\n".join(header.read_text() for header in headers)
names = declared()
exported = {name for name in symbols("-D", str(build / "lib/libisle.so")) if name.startswith("isle")}
defined = symbols(str(build / "lib/libisle.a"))
public = {name for name in defined if is_public(name, names)}
# explain() of a plan's step is run's own and shares its name with the public explain(IdMaps).
public = {name for name in public if not re.match(r"isle::(Failed|\w+\(.*(FailedStep|StepFailure|exec::|plan::|sys::))", name)}
missing, surplus = sorted(public - exported), sorted(exported - public)
for name in missing:
    print("not exported:", name)
for name in surplus:
    print("exported, but in no public header:", name)
print(f"{len(exported)} names")
sys.exit(1 if missing or surplus or len(exported) < 100 else 0)
