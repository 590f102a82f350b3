"""What is wanted, as plain data: the structures of isle/spec.h, member for member.

Where a member is a list of dataclasses, it may hold shorter forms: a type ("network") or an object of isle.namespaces
for a `NamespaceWish`, (container_id, host_id, size) for an `IdMapping`. Mount attributes may be written as mount(8)
does ("ro,nosuid"), descriptors as anything with a ``fileno()``. None leaves a value as it is. An error names the
member: "asked by: python hostname".
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

if TYPE_CHECKING:
    from .namespaces import BaseNamespace

__all__ = [
    "Bind",
    "Capabilities",
    "ConsoleSize",
    "ControllerValue",
    "CoverProc",
    "Dev",
    "DeviceRule",
    "FileSystem",
    "FsOperation",
    "Hook",
    "IdMapping",
    "KeepWish",
    "MakeDevice",
    "MakeDirectory",
    "MakeFile",
    "MakeSymlink",
    "Mask",
    "MemoryPolicy",
    "MountAttributes",
    "NamespaceWish",
    "Overlay",
    "ProcessWish",
    "Remount",
    "Resources",
    "Rlimit",
    "Root",
    "Scheduler",
    "Seccomp",
    "Spec",
    "TimeOffset",
    "UnifiedValue",
    "User",
    "WriteFile",
    "sandbox",
]

StrPath = Union[str, bytes, "os.PathLike[str]"]


# Namespaces --------------------------------------------------------------------------------------------------------


@dataclass
class NamespaceWish:
    """A new namespace, or one to join by path or descriptor (of a namespace, or a pidfd for its process's).

    `for_children`: only the command's children are born in a new pid namespace.
    """

    type: str
    path: Optional[StrPath] = None
    fd: Any = None
    for_children: bool = False


@dataclass
class KeepWish:
    """A new namespace to keep after its last process, bound to a file."""

    type: str
    path: StrPath


@dataclass
class TimeOffset:
    """An offset of a new time namespace's clock, "monotonic" or "boottime"."""

    clock: str
    offset_ns: int = 0


@dataclass
class IdMapping:
    """`size` ids from `container_id` inside are those from `host_id` outside."""

    container_id: int
    host_id: int
    size: int = 1


# The root file system and what is mounted on it --------------------------------------------------------------------


@dataclass
class MountAttributes:
    """MOUNT_ATTR_* to set and to clear; recursive ones on the mounts below, too."""

    set: int = 0
    clear: int = 0
    recursive_set: int = 0
    recursive_clear: int = 0


Attributes = Union[MountAttributes, str, int]


@dataclass
class Bind:
    """A part of the caller's file system.

    A source whose last name is a symbolic link: with `no_follow` that link is bound, with `copy_link` one like it made.
    """

    source: StrPath = ""
    source_fd: Any = None
    recursive: bool = True
    attributes: Optional[Attributes] = None
    clear_unlocked: int = 0
    propagation: str = "unchanged"
    propagation_recursive: bool = False
    uid_mappings: Sequence[Union[IdMapping, Tuple[int, int, int]]] = ()
    gid_mappings: Sequence[Union[IdMapping, Tuple[int, int, int]]] = ()
    idmap_recursive: bool = False
    idmap_as_joined: bool = False
    detached: bool = False
    no_follow: bool = False
    copy_link: bool = False


@dataclass
class FileSystem:
    """A new file system: tmpfs, proc, sysfs, mqueue ...

    `refuse_links`: not where the destination is a symbolic link. `copy_up`: filled with a copy of what stands there.
    """

    type: str
    source: StrPath = ""
    options: Mapping[str, str] = field(default_factory=dict)
    attributes: Optional[Attributes] = None
    propagation: str = "unchanged"
    refuse_links: bool = False
    copy_up: bool = False


@dataclass
class Overlay:
    """overlayfs; changes go to `upper`, or to memory."""

    lower: Sequence[StrPath] = ()
    upper: StrPath = ""
    work: StrPath = ""
    attributes: Optional[Attributes] = None


@dataclass
class Dev:
    """/dev as a container expects it."""


@dataclass
class CoverProc:
    """The parts of /proc that change the whole machine made read-only."""


@dataclass
class MakeDirectory:
    mode: int = 0o755


@dataclass
class MakeSymlink:
    target: StrPath


@dataclass
class MakeFile:
    """A file with the bytes read from `source` or `source_fd` when the sandbox is made."""

    source: StrPath = ""
    source_fd: Any = None
    mode: int = 0o644


@dataclass
class WriteFile:
    """One write(2) of `text` to a file that is there."""

    text: str


@dataclass
class MakeDevice:
    """A device node; `mode` is S_IFCHR, S_IFBLK or S_IFIFO with the permission bits."""

    mode: int = 0o666
    major: int = 0
    minor: int = 0
    uid: int = 0
    gid: int = 0


@dataclass
class Remount:
    """New attributes for the mount at the destination; with `bind` it becomes a mount of its own first."""

    attributes: Optional[Attributes] = None
    bind: bool = False


@dataclass
class Mask:
    """The destination made unreadable."""


Operation = Union[
    Bind, FileSystem, Overlay, Dev, CoverProc, MakeDirectory, MakeSymlink, MakeFile, WriteFile, MakeDevice, Remount, Mask
]


@dataclass
class FsOperation:
    """What happens at `destination`, a path inside the root; passed over where `optional` and something is missing."""

    destination: StrPath
    what: Operation
    optional: bool = False
    no_follow: bool = False


@dataclass
class Root:
    """The new root; `attributes` are for its whole tree before anything is mounted on it."""

    path: StrPath = "/"
    attributes: Optional[Attributes] = None
    read_only: bool = False
    overlay: Optional[Overlay] = None
    propagation: str = "private"
    pivot: bool = True


# The process -------------------------------------------------------------------------------------------------------

CapabilitySet = Union[int, Sequence[str]]


@dataclass
class Capabilities:
    """Five sets; each a mask, or names ("CAP_NET_ADMIN")."""

    bounding: CapabilitySet = 0
    effective: CapabilitySet = 0
    permitted: CapabilitySet = 0
    inheritable: CapabilitySet = 0
    ambient: CapabilitySet = 0


@dataclass
class Rlimit:
    """`resource` is RLIMIT_* of the module resource, or its name ("nofile")."""

    resource: Union[int, str]
    soft: int
    hard: int


@dataclass
class Seccomp:
    """A BPF program: each instruction, struct sock_filter, as a number of 64 bits."""

    instructions: Sequence[int]
    flags: int = 0


@dataclass
class Scheduler:
    policy: int = 0
    nice: int = 0
    priority: int = 0
    flags: int = 0
    runtime_ns: int = 0
    deadline_ns: int = 0
    period_ns: int = 0


@dataclass
class MemoryPolicy:
    """set_mempolicy(2): MPOL_*, and numbers of 64 bits with a bit a node."""

    mode: int = 0
    nodes: Sequence[int] = ()


@dataclass
class Hook:
    """A program that is run while the sandbox is made, which fails with it.

    Its standard input holds `input_before`, the first process's pid, and `input_after`.
    """

    path: StrPath
    args: Sequence[StrPath] = ()
    env: Union[Mapping[str, str], Sequence[str]] = ()
    timeout_s: int = 0
    input_before: str = ""
    input_after: str = ""


@dataclass
class User:
    """Ids as seen inside. `as_is`: what is not asked for stays the caller's, mapped or not, its groups too.
    `keep_groups`: those stay, though uid or gid change."""

    uid: Optional[int] = None
    gid: Optional[int] = None
    additional_gids: Optional[Sequence[int]] = None
    as_is: bool = False
    keep_groups: bool = False


@dataclass
class ConsoleSize:
    rows: int
    columns: int


@dataclass
class ProcessWish:
    """What runs, and as what."""

    args: Sequence[StrPath] = ()
    program: Optional[StrPath] = None
    env: Union[Mapping[str, str], Sequence[str], None] = None
    cwd: Optional[StrPath] = None
    user: User = field(default_factory=User)
    umask: Optional[int] = None
    capabilities: Optional[Capabilities] = None
    no_new_privileges: Optional[bool] = None
    rlimits: Sequence[Rlimit] = ()
    oom_score_adj: Optional[int] = None
    nice: Optional[int] = None
    cpus_allowed: Optional[Sequence[int]] = None
    initial_cpus_allowed: Optional[Sequence[int]] = None
    memory_policy: Optional[MemoryPolicy] = None
    scheduler: Optional[Scheduler] = None
    io_priority: Optional[int] = None
    personality: Optional[int] = None
    apparmor_profile: Optional[str] = None
    selinux_label: Optional[str] = None
    seccomp: Optional[Seccomp] = None
    session_keyring: Optional[str] = None
    terminal: Optional[bool] = None
    console_size: Optional[ConsoleSize] = None
    console_path: Optional[StrPath] = None
    plain_newlines: bool = False
    new_session: Optional[bool] = None
    default_signals: Optional[bool] = None
    die_with_parent: Optional[bool] = None
    death_signal: int = 9
    init: Optional[bool] = None
    pass_fds: Optional[Sequence[Any]] = None
    pass_all_fds: bool = False


# Limits ------------------------------------------------------------------------------------------------------------


@dataclass
class UnifiedValue:
    """A value for a file of a cgroup v2 controller."""

    file: str
    value: str


@dataclass
class ControllerValue:
    """A value for a file of a controller, which is another one on cgroup v1 and on v2."""

    controller: str
    v1_file: str = ""
    v2_file: str = ""
    v1_value: str = ""
    v2_value: str = ""
    optional: bool = False


@dataclass
class DeviceRule:
    """Of device nodes: `type` "c", "b" or "a", -1 for every number, some of "rwm". A later one goes before an earlier."""

    allow: bool = False
    type: str = "a"
    major: int = -1
    minor: int = -1
    access: str = ""


@dataclass
class Resources:
    """A cgroup by `cgroup_name` below the one isle may use, or by `path` below each hierarchy; limits in it."""

    cgroup_name: Optional[str] = None
    path: Optional[str] = None
    keep_cgroup: bool = False
    memory_limit_bytes: Optional[int] = None
    memory_swap_bytes: Optional[int] = None
    cpu_quota_us: Optional[int] = None
    cpu_period_us: Optional[int] = None
    cpu_shares: Optional[int] = None
    pids_limit: Optional[int] = None
    unified: Sequence[UnifiedValue] = ()
    controller_values: Sequence[ControllerValue] = ()
    devices: Sequence[DeviceRule] = ()
    join: Sequence[StrPath] = ()


# All of it ---------------------------------------------------------------------------------------------------------


@dataclass
class Spec:
    """What is wanted. What is not asked for is shared with the caller, or as the caller has it."""

    namespaces: Sequence[Union[NamespaceWish, BaseNamespace, Type[BaseNamespace], str]] = ()
    keep: Sequence[KeepWish] = ()
    note_namespaces: Optional[bool] = None
    time_offsets: Sequence[TimeOffset] = ()
    uid_mappings: Optional[Sequence[Union[IdMapping, Tuple[int, int, int]]]] = None
    gid_mappings: Optional[Sequence[Union[IdMapping, Tuple[int, int, int]]]] = None
    leave_uids_unmapped: bool = False
    leave_gids_unmapped: bool = False
    allow_setgroups: Optional[bool] = None
    map_auto: Optional[bool] = None
    use_subordinate_ids: bool = True
    root: Optional[Root] = None
    mounts: Sequence[FsOperation] = ()
    root_fd: Any = None
    root_directory: Optional[StrPath] = None
    cwd_fd: Any = None
    mount_propagation: Optional[str] = None
    hostname: Optional[str] = None
    domainname: Optional[str] = None
    sysctl: Mapping[str, str] = field(default_factory=dict)
    loopback_up: Optional[bool] = None
    process: ProcessWish = field(default_factory=ProcessWish)
    resources: Resources = field(default_factory=Resources)
    create_hooks: Sequence[Hook] = ()
    start_hooks: Sequence[Hook] = ()


Command = Union[StrPath, Sequence[StrPath]]

_PROCESS_WISHES = frozenset(each.name for each in fields(ProcessWish))


def spec_of(what: Union[Spec, Command], wishes: Mapping[str, Any]) -> Spec:
    """A Spec of a command, or one that is there, with members of Spec and ProcessWish by name."""
    if isinstance(what, Spec):
        values: Dict[str, Any] = {each.name: getattr(what, each.name) for each in fields(Spec)}
        args = what.process.args
    else:
        values = {}
        args = [what] if isinstance(what, (str, bytes, os.PathLike)) else list(what)
    process = {each.name: getattr(values["process"], each.name) for each in fields(ProcessWish)} if values else {}
    process["args"] = args
    for name, value in wishes.items():
        (process if name in _PROCESS_WISHES else values)[name] = value
    values.setdefault("process", None)
    if "process" not in wishes:
        values["process"] = ProcessWish(**process)
    return Spec(**values)


def sandbox(args: Command, **wishes: Any) -> Spec:
    """The Spec of what ``isle run`` does by default.

    Every type of namespace but time is new; the host's files are there, read-only; /tmp, /run, /proc and /dev are
    private; there is a loopback and no other network; no capabilities, and none to be gained; the command is killed
    when the thread that started it ends. `wishes` are members of Spec and ProcessWish; `mounts` come on top.
    """
    quiet = "nosuid,nodev"
    mounts: List[FsOperation] = [
        FsOperation("/proc", FileSystem("proc", "proc", attributes=quiet + ",noexec")),
        FsOperation("/proc", CoverProc()),
        FsOperation("/dev", Dev()),
        FsOperation("/tmp", FileSystem("tmpfs", "tmpfs", {"mode": "1777"}, quiet)),
        FsOperation("/run", FileSystem("tmpfs", "tmpfs", {"mode": "755"}, quiet)),
    ]
    defaults: Dict[str, Any] = {
        "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
        "root": Root(attributes="ro,nosuid,nodev"),
        "loopback_up": True,
        "capabilities": Capabilities(),
        "no_new_privileges": True,
        "new_session": True,
        "die_with_parent": True,
        **wishes,
        "mounts": [*mounts, *wishes.get("mounts", ())],
    }
    return spec_of(args, defaults)
