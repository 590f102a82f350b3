"""Every constant is the kernel headers'."""

import os
import re
from pathlib import Path

import pytest

import isle.os

HEADERS = ("linux/sched.h", "linux/mount.h", "linux/fcntl.h", "bits/fcntl-linux.h", "bits/mman.h")
ROOTS = (Path("/usr/include"), *Path("/usr/include").glob("*-linux-gnu"))

NAMES = """
CLONE_FILES CLONE_FS CLONE_NEWCGROUP CLONE_NEWIPC CLONE_NEWNET CLONE_NEWNS CLONE_NEWPID CLONE_NEWTIME CLONE_NEWUSER
CLONE_NEWUTS CLONE_SYSVSEM AT_EMPTY_PATH AT_NO_AUTOMOUNT AT_SYMLINK_NOFOLLOW AT_RECURSIVE OPEN_TREE_CLOEXEC
OPEN_TREE_CLONE MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_EMPTY_PATH MOVE_MOUNT_F_AUTOMOUNTS MOVE_MOUNT_T_AUTOMOUNTS
MOVE_MOUNT_F_SYMLINKS MOVE_MOUNT_T_SYMLINKS
""".split()


def of_headers(name):
    for root in ROOTS:
        for header in HEADERS:
            path = root / header
            found = path.exists() and re.search(rf"^#\s*define\s+{name}\s+(\w+)", path.read_text(), re.MULTILINE)
            if found:
                return getattr(os, found[1]) if found[1].startswith("O_") else int(found[1], 0)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_constant(name):
    expected = of_headers(name)
    assert expected is not None
    value = getattr(isle.os, name)
    assert type(value) is int
    assert value == expected


def test_there_are_no_others():
    assert sorted(NAMES) == sorted(name for name in isle.os.__all__ if name.isupper())


def test_the_values_cannot_change_unseen():
    # Where there are no headers of this kernel: the numbers are part of its interface and never change.
    assert isle.os.CLONE_NEWTIME == 0x80
    assert isle.os.CLONE_NEWNS == 0x20000
    assert isle.os.OPEN_TREE_CLOEXEC == os.O_CLOEXEC
