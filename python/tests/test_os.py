"""isle.os: the kernel's calls, their arguments and errors."""

import errno
import os
import threading
from pathlib import Path

import pytest
from conftest import become_nobody, become_root_inside, in_child, require

from isle import os as kernel
from isle.mount import set_propagation


def namespace(name):
    return os.open(f"/proc/self/ns/{name}", os.O_RDONLY)


@pytest.fixture
def uts():
    fd = namespace("uts")
    yield fd
    os.close(fd)


def expect(code, function, *arguments, **keywords):
    with pytest.raises(OSError) as caught:
        function(*arguments, **keywords)
    assert caught.value.errno == code
    assert type(caught.value) is type(OSError(code, ""))


def test_nstype(uts):
    assert kernel.ns_get_nstype(uts) == kernel.CLONE_NEWUTS
    for call in (kernel.ns_get_nstype, kernel.ns_get_userns, kernel.ns_get_parent, kernel.ns_get_owner_uid):
        expect(errno.EBADF, call, -1)
        with open("/dev/null") as null:
            expect(errno.ENOTTY, call, null.fileno())


def test_userns(uts):
    require("userns")

    def look():
        become_nobody()
        become_root_inside()
        kernel.unshare(kernel.CLONE_NEWUTS)
        fd = namespace("uts")
        owner = kernel.ns_get_userns(fd)
        assert not os.get_inheritable(owner)
        assert kernel.ns_get_nstype(owner) == kernel.CLONE_NEWUSER
        assert os.fstat(owner).st_ino == os.stat("/proc/self/ns/user").st_ino
        assert kernel.ns_get_owner_uid(owner) == 0
        expect(errno.EPERM, kernel.ns_get_parent, owner)
        return True

    assert in_child(look)
    expect(errno.EINVAL, kernel.ns_get_parent, uts)
    expect(errno.EINVAL, kernel.ns_get_owner_uid, uts)


def test_parent_of_a_pid_namespace():
    require("root")

    def look():
        own = os.stat("/proc/self/ns/pid").st_ino
        kernel.unshare(kernel.CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            threading.Event().wait()
        try:
            fd = os.open(f"/proc/{child}/ns/pid", os.O_RDONLY)
            parent = kernel.ns_get_parent(fd)
            return os.fstat(parent).st_ino == own != os.fstat(fd).st_ino
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)

    assert in_child(look)


def test_unshare_and_setns():
    require("root")

    def there_and_back():
        home = namespace("uts")
        kernel.unshare(kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC)
        away = os.stat("/proc/self/ns/uts").st_ino
        expect(errno.EINVAL, kernel.setns, home, kernel.CLONE_NEWNET)
        kernel.setns(home, 0)
        return os.stat("/proc/self/ns/uts").st_ino == os.fstat(home).st_ino != away

    assert in_child(there_and_back)


def test_setns_with_a_pidfd():
    require("root")

    def join():
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            kernel.unshare(kernel.CLONE_NEWUTS | kernel.CLONE_NEWNET)
            os.write(write, b".")
            threading.Event().wait()
        try:
            os.read(read, 1)
            before = os.readlink("/proc/self/ns/net")
            kernel.setns(os.pidfd_open(child), kernel.CLONE_NEWUTS)
            same = [os.readlink(f"/proc/{each}/ns/uts") for each in ("self", child)]
            return same[0] == same[1] and os.readlink("/proc/self/ns/net") == before
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)

    assert in_child(join)


def test_errors_of_moving(uts):
    expect(errno.EBADF, kernel.setns, -1, 0)
    expect(errno.EINVAL, kernel.unshare, 1)
    require("userns")

    def try_it():
        become_nobody()
        expect(errno.EPERM, kernel.unshare, kernel.CLONE_NEWNET)
        expect(errno.EPERM, kernel.setns, namespace("uts"), 0)

    in_child(try_it)


def test_positional_only(uts):
    for call in (
        lambda: kernel.unshare(flags=0),
        lambda: kernel.setns(fd=uts, nstype=0),
        lambda: kernel.setns(uts),
        lambda: kernel.ns_get_nstype(fd=uts),
        lambda: kernel.ns_get_userns(fd=uts),
        lambda: kernel.ns_get_parent(fd=uts),
        lambda: kernel.ns_get_owner_uid(fd=uts),
        lambda: kernel.unshare("0"),
        lambda: kernel.unshare(),
    ):
        with pytest.raises(TypeError):
            call()


def test_open_tree_without_privilege(tmp_path):
    fd = kernel.open_tree(path=str(tmp_path), flags=kernel.OPEN_TREE_CLOEXEC)
    try:
        assert os.fstat(fd).st_ino == tmp_path.stat().st_ino
        assert not os.get_inheritable(fd)
        (tmp_path / "below").mkdir()
        below = kernel.open_tree(fd, "below", kernel.OPEN_TREE_CLOEXEC)
        assert os.fstat(below).st_ino == (tmp_path / "below").stat().st_ino
        os.close(below)
    finally:
        os.close(fd)


def test_left_out_descriptors_mean_here(tmp_path):
    def look():
        os.chdir(tmp_path)
        Path("file").touch()
        fd = kernel.open_tree(path=Path("file"), flags=kernel.OPEN_TREE_CLOEXEC)
        return os.fstat(fd).st_ino == Path("file").stat().st_ino

    assert in_child(look)
    expect(errno.EBADF, kernel.open_tree, -1, "file", 0)
    expect(errno.ENOENT, kernel.open_tree, path="/no/such")
    expect(errno.EINVAL, kernel.open_tree, path="/", flags=1 << 30)
    with pytest.raises(ValueError):
        kernel.open_tree(path="nul\0inside")


def test_move_mount(tmp_path):
    require("root")

    def move():
        kernel.unshare(kernel.CLONE_NEWNS)
        set_propagation("private")
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir(), target.mkdir()
        (source / "seen").touch()
        flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC | kernel.AT_RECURSIVE
        fd = kernel.open_tree(path=str(source), flags=flags)
        kernel.move_mount(fd, "", to_path=str(target), flags=kernel.MOVE_MOUNT_F_EMPTY_PATH)
        expect(errno.EBADF, kernel.move_mount, -1, "", -1, "x", kernel.MOVE_MOUNT_F_EMPTY_PATH)
        return os.listdir(target)

    assert in_child(move) == ["seen"]
    assert not list((tmp_path / "target").iterdir())


def test_other_threads_run_meanwhile():
    """Making a network namespace takes long; the GIL is free for that time."""
    require("root")

    def count():
        counter, done = 0, threading.Event()

        def make():
            for _ in range(30):
                kernel.unshare(kernel.CLONE_NEWNET)
            done.set()

        thread = threading.Thread(target=make)
        thread.start()
        while not done.is_set():
            counter += 1
        thread.join()
        return counter

    assert in_child(count) > 100
