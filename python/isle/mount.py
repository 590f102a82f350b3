"""Mounts as objects."""

from __future__ import annotations

import os
from typing import Union

from . import _isle

__all__ = ["ClonedTree", "set_propagation"]

StrPath = Union[str, "os.PathLike[str]"]


class ClonedTree(_isle.Descriptor):
    """A copy of the mount at `path`, attached nowhere until `mount` attaches it; with `recursive` of those below, too.

    Needs CAP_SYS_ADMIN over the caller's mount namespace. Gone with its object where it was never attached.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, path: StrPath, *, recursive: bool = False) -> None:
        self._hold(_isle.clone_tree(path, recursive))

    def mount(self, path: StrPath) -> None:
        """Attaches it on `path`, where it is seen from then on. Once; this object may be closed afterwards.

        ValueError: it is closed.
        """
        _isle.attach_tree(self.fileno(), path)

    def __repr__(self) -> str:
        return f"<ClonedTree {'closed' if self.closed else f'fd={self.fileno()}'}>"


def set_propagation(kind: str, path: StrPath = "/", *, recursive: bool = True) -> None:
    """Whether mounts made below `path` show in other namespaces: "private", "slave", "shared" or "unbindable".

    A new mount namespace has the propagation of the one it was copied from; "private" is what keeps its mounts its own.
    """
    _isle.set_propagation(path, kind, recursive)
