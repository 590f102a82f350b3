"""Mounts as objects."""

from __future__ import annotations

import os
from typing import Union

from . import os as kernel
from . import _isle
from .errors import Error

__all__ = ["ClonedTree", "set_propagation"]

StrPath = Union[str, "os.PathLike[str]"]


class ClonedTree(_isle.Descriptor):
    """A copy of the mount at `path`, attached nowhere until `mount` attaches it; with `recursive` of those below, too.

    Needs CAP_SYS_ADMIN over the caller's mount namespace. Gone with its object where it was never attached.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, path: StrPath, *, recursive: bool = False) -> None:
        flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC
        if recursive:
            flags |= kernel.AT_RECURSIVE
        try:
            fd = kernel.open_tree(path=path, flags=flags)
        except OSError as error:
            raise Error(error.errno, f'clone the mount at "{os.fspath(path)}"') from None
        self._hold(fd)

    def mount(self, path: StrPath) -> None:
        """Attaches it on `path`, where it is seen from then on. Once; this object may be closed afterwards.

        ValueError: it is closed.
        """
        fd = self.fileno()
        try:
            kernel.move_mount(fd, to_path=path, flags=kernel.MOVE_MOUNT_F_EMPTY_PATH)
        except OSError as error:
            raise Error(error.errno, f'mount a cloned tree on "{os.fspath(path)}"') from None

    def __repr__(self) -> str:
        return f"<ClonedTree {'closed' if self.closed else f'fd={self.fileno()}'}>"


def set_propagation(kind: str, path: StrPath = "/", *, recursive: bool = True) -> None:
    """Whether mounts made below `path` show in other namespaces: "private", "slave", "shared" or "unbindable".

    A new mount namespace has the propagation of the one it was copied from; "private" is what keeps its mounts its own.
    """
    try:
        _isle.set_propagation(path, kind, recursive)
    except OSError as error:
        raise Error(error.errno, f'make "{os.fspath(path)}" {kind}') from None
