"""pip installs the package into a virtual environment, without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require

PYTHON = Path(__file__).resolve().parent.parent


def test_pip_install(tmp_path):
    require("program:cmake")
    if "ISLE_BUILD_DIR" not in os.environ:
        pytest.skip("ISLE_BUILD_DIR names no build, and compiling isle once more takes minutes")
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    pytest.importorskip("ensurepip")
    python = tmp_path / "venv/bin/python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"

    def run(*words):
        done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--system-site-packages", tmp_path / "venv")
    run(python, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps", PYTHON)
    program = "import isle, os; print(os.path.dirname(isle.__file__)); print(isle.run(['true']).code)"
    place, code = run(python, "-c", program).split()
    assert place.startswith(str(tmp_path)) and code == "0"
    assert {"py.typed", "_isle.pyi"} <= set(os.listdir(place))
    assert "isle-namespaces" in run(python, "-m", "pip", "list", "--format", "freeze")
    assert not list(PYTHON.glob("*.egg-info")) and not (PYTHON / "build").exists()
