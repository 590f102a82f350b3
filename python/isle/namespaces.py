"""Namespaces as objects: open, join, make, look at.

An object is a reference to a namespace that exists; while it is open the namespace lives. Descriptors are few, so close
them: by `close()` or a ``with`` block. One that is forgotten is closed all the same, with a ResourceWarning.

Joining and making change the calling thread (pid and time: its later children). `isle.inside` runs a function in other
namespaces and leaves the caller where it is.
"""

from __future__ import annotations

import os
from typing import ClassVar, List, Optional, Protocol, Tuple, Type, TypeVar, Union

from . import os as kernel
from ._isle import NamespaceDescriptor
from ._isle import namespaces as _calls

__all__ = [
    "ALL_NAMESPACE_CLASSES",
    "BaseNamespace",
    "CgroupNamespace",
    "IpcNamespace",
    "MountNamespace",
    "NetworkNamespace",
    "PidNamespace",
    "TimeNamespace",
    "UserNamespace",
    "UtsNamespace",
    "unshare_namespaces",
]

StrPath = Union[str, "os.PathLike[str]"]
Self = TypeVar("Self", bound="BaseNamespace")



class HasFileno(Protocol):
    def fileno(self) -> int: ...


_SELF = -1


def _process(pid: Union[int, str]) -> int:
    if pid == "self":
        return _SELF
    if not isinstance(pid, int):
        raise TypeError(f'a pid or "self" is wanted, not {pid!r}')
    if pid < 0:
        raise ValueError(f"{pid} is no pid")
    return pid


class BaseNamespace(NamespaceDescriptor):
    """What the eight types have in common. Made by `from_pid` and its kin.

    The constructor takes a descriptor that is open already: ``fd``, which is closed with the object unless ``closefd``
    is false. ValueError: it is another type of namespace. OSError: ENOTTY it is no namespace. Then it stays open.
    """

    __slots__ = ("__weakref__",)

    NAMESPACE_CONSTANT: ClassVar[int]
    """CLONE_NEW* of the type."""
    NAMESPACE_PROC_NAME: ClassVar[str]
    """The type's file in /proc/PID/ns."""

    # Opening -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_pid(cls: Type[Self], pid: Union[int, str]) -> Self:
        """The namespace that process `pid` (or "self", the calling thread) is in.

        OSError: ENOENT there is no such process; EACCES ptrace(2)'s access check said no.
        """
        number = _process(pid)
        if number == _SELF:
            return cls.from_self()
        return cls._holding(_calls.open_of_process(number, cls.NAMESPACE_CONSTANT))

    @classmethod
    def from_self(cls: Type[Self]) -> Self:
        """The namespace that the calling thread is in."""
        return cls._holding(_calls.open_own(cls.NAMESPACE_CONSTANT))

    @classmethod
    def from_path(cls: Type[Self], path: StrPath) -> Self:
        """What a link in /proc/PID/ns leads to, or what `persist` bound on `path`.

        OSError: ENOTTY it is no namespace; EINVAL it is one of another type.
        """
        return cls._holding(_calls.open_path(os.fspath(path), cls.NAMESPACE_CONSTANT))

    @classmethod
    def from_pidfd(cls: Type[Self], pidfd: int) -> Self:
        """The namespace of the process of a pidfd, which cannot become another one meanwhile.

        OSError: ESRCH it is gone; ENOTTY the kernel is older than 6.11.
        """
        return cls._holding(_calls.open_of_pidfd(pidfd, cls.NAMESPACE_CONSTANT))

    # Moving --------------------------------------------------------------------------------------------------------

    def setns(self) -> None:
        """Moves the calling thread into this namespace (pid and time: its later children); setns(2)."""
        _calls.join(self.fileno(), self.NAMESPACE_CONSTANT)

    @classmethod
    def unshare(cls) -> None:
        """Moves the calling thread into a new namespace (pid and time: its later children); unshare(2)."""
        _calls.make(cls.NAMESPACE_CONSTANT)

    # Looking -------------------------------------------------------------------------------------------------------

    @property
    def ns_id(self) -> int:
        """The inode number, as in "net:[4026531840]". The kernel may use it again when the namespace is gone."""
        return _calls.inode(self.fileno())

    @classmethod
    def get_current_ns_id(cls) -> int:
        """`ns_id` of the namespace that the calling thread is in, without opening it."""
        return _calls.current_inode(cls.NAMESPACE_CONSTANT)

    def get_unique_id(self) -> Optional[int]:
        """A number that no other namespace ever has until the next boot; None before Linux 6.18."""
        return _calls.unique_id(self.fileno()) or None

    @classmethod
    def from_unique_id(cls: Type[Self], number: int) -> Self:
        """The namespace whose `get_unique_id` this is, while it lives.

        OSError: ESTALE none that can be seen has it; EINVAL it is of another type.
        """
        return cls._holding(_calls.open_unique_id(number, cls.NAMESPACE_CONSTANT))

    def get_user_namespace(self) -> UserNamespace:
        """The user namespace that owns this one; of a user namespace, its parent.

        OSError: EPERM it is neither the caller's nor below it.
        """
        return UserNamespace._holding(_calls.owner(self.fileno()))

    # Keeping -------------------------------------------------------------------------------------------------------

    def persist(self, path: StrPath) -> None:
        """Keeps the namespace beyond its last process, bound to a file that is made where it is missing."""
        _calls.persist(self.fileno(), os.fspath(path))

    @staticmethod
    def unpersist(path: StrPath) -> None:
        """Undoes `persist` and removes the file."""
        _calls.unpersist(os.fspath(path))

    # Limits --------------------------------------------------------------------------------------------------------

    @classmethod
    def get_current_limit(cls) -> int:
        """How many namespaces of this type a user may make in the caller's user namespace; namespaces(7)."""
        return _calls.limit(cls.NAMESPACE_CONSTANT)

    @classmethod
    def set_current_limit(cls, limit: int) -> None:
        """Sets that: 0, which forbids, to 2147483647. Needs CAP_SYS_RESOURCE in the caller's user namespace."""
        _calls.set_limit(cls.NAMESPACE_CONSTANT, limit)

    def __repr__(self) -> str:
        try:
            state = f"ns_id={self.ns_id}"
        except (ValueError, AttributeError):
            state = "closed"
        except OSError as error:
            state = str(error.strerror)
        return f"<{type(self).__name__} {state}>"


class CgroupNamespace(BaseNamespace):
    """The root of the cgroup tree; cgroup_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWCGROUP
    NAMESPACE_PROC_NAME = "cgroup"


class IpcNamespace(BaseNamespace):
    """System V IPC objects and POSIX message queues; ipc_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWIPC
    NAMESPACE_PROC_NAME = "ipc"


class NetworkNamespace(BaseNamespace):
    """Network devices, addresses, routes, ports; network_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWNET
    NAMESPACE_PROC_NAME = "net"

    @classmethod
    def from_socket(cls: Type[Self], sock: Union[int, HasFileno]) -> Self:
        """The namespace that a socket was made in. OSError: ENOTTY it is no socket; EPERM no CAP_NET_ADMIN over it."""
        return cls._holding(_calls.open_of_socket(sock if isinstance(sock, int) else sock.fileno()))

    @classmethod
    def from_link_peer(cls: Type[Self], interface: str) -> Self:
        """The namespace in which the other end of a veth lives; the caller's own where both are in it.

        OSError: ENODEV there is no such interface; ENOENT neither a process of /proc nor a mount leads there.
        """
        return cls._holding(_calls.open_link_peer(interface))


class MountNamespace(BaseNamespace):
    """What is mounted where; mount_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWNS
    NAMESPACE_PROC_NAME = "mnt"


class _Nested(BaseNamespace):
    __slots__ = ()

    def get_parent(self: Self) -> Self:
        """The namespace around this one. OSError: EPERM there is none, or the caller is not in it nor above."""
        return self._holding(_calls.parent(self.fileno()))

    def get_children(self: Self) -> List[Self]:
        """The namespaces directly below, as far as a process of /proc or a mount leads there. Each is to be closed."""
        return [self._holding(fd) for fd in _calls.children(self.fileno())]


class _ForChildren(BaseNamespace):
    __slots__ = ()

    @classmethod
    def for_children(cls: Type[Self], pid: Union[int, str] = "self") -> Self:
        """The namespace that later children of `pid` will be in."""
        return cls._holding(_calls.open_for_children(_process(pid), cls.NAMESPACE_CONSTANT))


class PidNamespace(_Nested, _ForChildren):
    """Process ids; pid_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWPID
    NAMESPACE_PROC_NAME = "pid"

    def pid_in(self, pid: int) -> int:
        """A process of the caller's pid namespace as this one counts it. OSError: ESRCH it is not in this one."""
        return _calls.pid_in(self.fileno(), pid)

    def pid_from(self, pid: int) -> int:
        """A process of this pid namespace as the caller's counts it. OSError: ESRCH the caller does not see it."""
        return _calls.pid_from(self.fileno(), pid)


class TimeNamespace(_ForChildren):
    """The monotonic and the boot-time clock; time_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWTIME
    NAMESPACE_PROC_NAME = "time"


class UserNamespace(_Nested):
    """User and group ids, and capabilities; user_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWUSER
    NAMESPACE_PROC_NAME = "user"

    def get_owner_uid(self) -> int:
        """The uid of who made it, as the caller's user namespace counts."""
        return _calls.owner_uid(self.fileno())


class UtsNamespace(BaseNamespace):
    """Host name and NIS domain name; uts_namespaces(7)."""

    __slots__ = ()
    NAMESPACE_CONSTANT = kernel.CLONE_NEWUTS
    NAMESPACE_PROC_NAME = "uts"


ALL_NAMESPACE_CLASSES: Tuple[Type[BaseNamespace], ...] = (
    UserNamespace,
    CgroupNamespace,
    IpcNamespace,
    NetworkNamespace,
    UtsNamespace,
    TimeNamespace,
    PidNamespace,
    MountNamespace,
)
"""All eight, in an order to join them in: user first, which gives the privilege for the others; mount last, so that
paths mean the same until then."""


unshare_namespaces = _calls.unshare_namespaces
