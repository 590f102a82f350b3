"""What the tests share: functions that run in a process of their own, and what a test needs of the machine.

`require("root", ...)` skips a test with the reason where something is missing, and fails it where the environment's
ISLE_TESTS_MUST_RUN lists that ("root,userns" or "all"): the rule of the C++ tests.
"""

import ctypes
import functools
import gc
import os
import pickle
import platform
import shutil
import traceback
from pathlib import Path

import pytest

import isle

NOBODY = 65534
PR_SET_DUMPABLE = 4


def in_child(function, *args, **keywords):
    """The function's result, or its exception, from a forked process: what it does to itself stays there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            try:
                answer = (True, function(*args, **keywords))
            except BaseException as error:
                error.__cause__ = error.__context__ = None
                print(traceback.format_exc(), flush=True)
                answer = (False, error)
            with open(write, "wb") as pipe:
                pipe.write(pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    assert data, "the child died"
    good, value = pickle.loads(data)
    if good:
        return value
    raise value


def become_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        # Whoever changed its ids is not dumpable, and then its /proc is root's.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def become_root_inside():
    """In a child: a user namespace of one's own, with one's ids as root's."""
    uid, gid = os.geteuid(), os.getegid()
    isle.namespaces.UserNamespace.unshare()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _works(function):
    try:
        in_child(function)
    except Exception as error:
        return str(error).splitlines()[0]
    return ""


def _root():
    if os.geteuid() != 0:
        return "the effective uid is not 0"
    return _works(isle.namespaces.UtsNamespace.unshare)


def _userns():
    def make():
        become_nobody()
        isle.namespaces.UserNamespace.unshare()

    return _works(make)


def _make_as_someone(cls):
    def make():
        if os.geteuid() != 0:
            become_root_inside()
        cls.unshare()

    return _works(make)


def _kernel(version):
    have = tuple(int(part) for part in platform.release().split(".")[:2])
    wanted = tuple(int(part) for part in version.split("."))
    return "" if have >= wanted else f"this kernel is {platform.release()}"


@functools.lru_cache(maxsize=None)
def missing(name):
    if name.startswith("kernel:"):
        return _kernel(name[7:])
    if name.startswith("program:"):
        return "" if shutil.which(name[8:]) else f"{name[8:]} is not on PATH"
    return {
        "root": _root,
        "userns": _userns,
        "netns": lambda: _make_as_someone(isle.namespaces.NetworkNamespace),
        "timens": lambda: _make_as_someone(isle.namespaces.TimeNamespace),
    }[name]()


def require(*names):
    must = os.environ.get("ISLE_TESTS_MUST_RUN", "").split(",")
    for name in names:
        why = missing(name)
        if why and (name in must or "all" in must):
            pytest.fail(f"needs {name}: {why} (and ISLE_TESTS_MUST_RUN lists it)")
        if why:
            pytest.skip(f"needs {name}: {why}")


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No test leaves a descriptor or a child behind, or is itself moved."""

    def state():
        gc.collect()
        descriptors = set(os.listdir("/proc/self/fd"))
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        own = [os.readlink(f"/proc/self/ns/{each}") for each in sorted(os.listdir("/proc/self/ns"))]
        return len(descriptors), children, own

    # isle keeps one for the life of the process, the program it starts others with.
    isle.run(["true"])
    before = state()
    yield
    assert state() == before
