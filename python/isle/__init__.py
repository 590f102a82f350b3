"""isle: one engine for Linux namespaces.

isle.namespaces, isle.mount and isle.os are namespaces and mounts that exist; `run` and `spawn` start commands in new
ones; `inside` runs a function in others; `compile` and `explain` show what would be done.
"""

from . import mount, namespaces, os
from ._isle import VERSION as __version__
from .entering import inside
from .errors import Error
from .plans import Plan, compile, explain, validate
from .processes import Completed, ExitStatus, Process, run, spawn
from .spec import (
    Bind,
    Capabilities,
    ConsoleSize,
    CoverProc,
    Dev,
    FileSystem,
    FsOperation,
    IdMapping,
    KeepWish,
    MakeDevice,
    MakeDirectory,
    MakeFile,
    MakeSymlink,
    Mask,
    MountAttributes,
    NamespaceWish,
    Overlay,
    ProcessWish,
    Remount,
    Resources,
    Rlimit,
    Root,
    Scheduler,
    Seccomp,
    Spec,
    TimeOffset,
    UnifiedValue,
    User,
    sandbox,
)

__all__ = [
    "Bind",
    "Capabilities",
    "Completed",
    "ConsoleSize",
    "CoverProc",
    "Dev",
    "Error",
    "ExitStatus",
    "FileSystem",
    "FsOperation",
    "IdMapping",
    "KeepWish",
    "MakeDevice",
    "MakeDirectory",
    "MakeFile",
    "MakeSymlink",
    "Mask",
    "MountAttributes",
    "NamespaceWish",
    "Overlay",
    "Plan",
    "Process",
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
    "compile",
    "explain",
    "inside",
    "mount",
    "namespaces",
    "os",
    "run",
    "sandbox",
    "spawn",
    "validate",
]
