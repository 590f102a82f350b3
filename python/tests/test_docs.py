"""The examples of docs/python.md run.

Each in a sandbox whose root is read-only: a mistake in one (a clean-up that goes through a mount, say) must not reach the
machine's own files.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require

import isle

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

PRELUDE = "import sys; sys.path[:] = {path!r}\n"
CAUGHT = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 60}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number):
    require("root")
    spec = isle.Spec(
        namespaces=["mount"],
        root=isle.Root(attributes="ro"),
        mounts=[isle.FsOperation("/proc", isle.FileSystem("proc"))],
    )
    done = isle.run(spec, args=[sys.executable, "-c", PRELUDE.format(path=sys.path) + EXAMPLES[number]], **CAUGHT)
    assert done.code == 0, done.stdout


def test_there_are_examples():
    assert len(EXAMPLES) >= 7
