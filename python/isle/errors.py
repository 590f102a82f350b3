"""isle.Error: what failed, who asked for it, and what to try."""

from __future__ import annotations

import functools
import os
from errno import errorcode
from typing import Any, Optional, Type

__all__ = ["Error"]


class Error(OSError):
    """A failure of isle.

    It is also the exception Python has for its errno (``except PermissionError`` works), or ``ValueError`` where no
    system call failed because what was asked for cannot be. It can be pickled.

    ``str()`` of it is the sentence, and below it who asked and what to try, where they are known.
    """

    what: str
    """What was tried, with its arguments."""
    origin: str
    """Where the wish came from: "python hostname"; may be empty."""
    hint: str
    """What to try; from a check, never a guess; may be empty."""
    step: Optional[int]
    """Index of the plan's step that failed; None where none did."""

    def __new__(
        cls, errno: Optional[int], what: str = "", origin: str = "", hint: str = "", step: Optional[int] = None
    ) -> "Error":
        if cls is Error:
            cls = _class_for(errno)
        make: Any = super().__new__  # what the stubs of object say of it does not hold for OSError
        self: Error = make(cls, errno, os.strerror(errno) if errno else what)
        self.what, self.origin, self.hint, self.step = what, origin, hint, step
        return self

    def __str__(self) -> str:
        lines = [self.what]
        if self.errno:
            lines[0] += f": {os.strerror(self.errno)} ({errorcode.get(self.errno, self.errno)})"
        if self.origin and self.origin != "default":
            lines.append(f"asked by: {self.origin}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n  ".join(lines)

    def __reduce__(self) -> Any:
        return Error, (self.errno, self.what, self.origin, self.hint, self.step)


@functools.lru_cache(maxsize=None)
def _class_for(errno: Optional[int]) -> Type[Error]:
    builtin = type(OSError(errno, "")) if errno else ValueError
    if builtin is OSError:
        return Error
    # By whatever class, it is an isle.Error to who reads a traceback.
    return type("Error", (Error, builtin), {"__module__": "isle", "__doc__": Error.__doc__})


Error.__module__ = "isle"
