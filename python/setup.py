"""Builds isle._isle with the CMake project that this directory is part of; pyproject.toml says the rest.

ISLE_BUILD_DIR names a build of isle that is there already: its module is taken, where it is for this interpreter.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

TREE = Path(__file__).resolve().parent.parent
MODULE = "isle/_isle" + sysconfig.get_config_var("EXT_SUFFIX")


def build_base():
    """Beside isle's own builds, so that nothing is left among the sources."""
    path = TREE / "build" / f"pip-{sys.implementation.cache_tag}"
    path.mkdir(parents=True, exist_ok=True)
    return path


class CMakeBuild(build_ext):
    def build_extension(self, extension):
        built = Path(os.environ.get("ISLE_BUILD_DIR", "")) / "python" / MODULE
        if "ISLE_BUILD_DIR" not in os.environ or not built.exists():
            build = build_base() / "cmake"
            options = ["-DCMAKE_BUILD_TYPE=Release", "-DISLE_TESTS=OFF", f"-DPython_EXECUTABLE={sys.executable}"]
            subprocess.run(["cmake", "-S", TREE, "-B", build, *options], check=True)
            subprocess.run(["cmake", "--build", build, "--target", "isle_python", "--parallel"], check=True)
            built = build / "python" / MODULE
        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(built, target)


setup(
    version=re.search(r"project\(isle VERSION ([\d.]+)", (TREE / "CMakeLists.txt").read_text())[1],
    ext_modules=[Extension("isle._isle", [])],
    cmdclass={"build_ext": CMakeBuild},
    options={"build": {"build_base": str(build_base())}, "egg_info": {"egg_base": str(build_base())}},
)
