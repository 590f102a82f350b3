"""isle.mount.ClonedTree."""

import errno
import gc
import os
import warnings
from pathlib import Path

import pytest
from conftest import become_nobody, in_child, require

import isle
from isle.mount import ClonedTree


def in_mount_namespace(function):
    require("root")

    def body():
        isle.namespaces.MountNamespace.unshare()
        isle.mount.set_propagation("private")
        return function()

    return in_child(body)


@pytest.fixture
def trees(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "seen").touch()
    return source, target


@pytest.mark.parametrize("kind", [str, Path])
def test_clone_and_mount(trees, kind):
    source, target = trees

    def mount():
        with ClonedTree(kind(source)) as tree:
            tree.mount(kind(target))
        return os.listdir(target)

    assert in_mount_namespace(mount) == ["seen"]
    assert os.listdir(target) == []


def test_mounts_below_only_when_recursive(trees):
    source, target = trees
    (source / "below").mkdir()

    def mount():
        isle.run(["mount", "-t", "tmpfs", "tmpfs", str(source / "below")], check=True)
        (source / "below" / "file").touch()
        seen = []
        for recursive in (False, True):
            with ClonedTree(source, recursive=recursive) as tree:
                tree.mount(target)
            seen.append(os.listdir(target / "below"))
            isle.run(["umount", "-R", str(target)], check=True)
        return seen

    assert in_mount_namespace(mount) == [[], ["file"]]


def test_closed(trees):
    source, target = trees

    def use():
        tree = ClonedTree(source)
        assert "closed" not in repr(tree)
        fd = tree.fileno()
        assert not os.get_inheritable(fd)
        tree.close()
        tree.close()
        assert "closed" in repr(tree)
        with pytest.raises(OSError):
            os.fstat(fd)
        with pytest.raises(ValueError):
            tree.mount(target)
        with pytest.raises(ValueError):
            with tree:
                pass

    in_mount_namespace(use)


def test_leak_is_warned_of(trees):
    def leak():
        with pytest.warns(ResourceWarning, match="ClonedTree"):
            ClonedTree(trees[0])
            gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with ClonedTree(trees[0]):
                pass
            gc.collect()

    in_mount_namespace(leak)


def test_errors(trees):
    def fail():
        with pytest.raises(FileNotFoundError) as caught:
            ClonedTree("/no/such")
        assert isinstance(caught.value, isle.Error) and '"/no/such"' in str(caught.value)
        with ClonedTree(trees[0]) as tree:
            with pytest.raises(FileNotFoundError):
                tree.mount("/no/such")
            tree.mount(trees[1])
            with pytest.raises(OSError) as caught:
                tree.mount(trees[1])
            assert caught.value.errno in (errno.EINVAL, errno.ELOOP)  # it differs by kernel

    in_mount_namespace(fail)

    def unprivileged():
        become_nobody()
        ClonedTree("/")

    with pytest.raises(PermissionError):
        in_child(unprivileged)


def test_propagation(trees):
    def kinds():
        def fields():
            lines = Path("/proc/self/mountinfo").read_text().splitlines()
            return [line for line in lines if "shared:" in line or "master:" in line]

        before = fields()
        isle.mount.set_propagation("shared", Path("/"), recursive=False)
        shared = fields()
        isle.mount.set_propagation("private")
        with pytest.raises(ValueError):
            isle.mount.set_propagation("public")
        with pytest.raises(OSError) as caught:
            isle.mount.set_propagation("private", trees[0])
        return before, len(shared), fields(), caught.value.errno

    assert in_mount_namespace(kinds) == ([], 1, [], errno.EINVAL)


def test_a_function_in_a_new_mount_namespace_mounts_for_itself(trees):
    require("root")

    def mount():
        with ClonedTree(trees[0]) as tree:
            tree.mount(trees[1])
        return os.listdir(trees[1])

    assert isle.inside(isle.namespaces.MountNamespace).run(mount) == ["seen"]
    assert os.listdir(trees[1]) == []
