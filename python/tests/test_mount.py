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
