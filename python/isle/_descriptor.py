"""An object that holds one descriptor: closed at most once, by whichever thread comes first, and warned of if never."""

from __future__ import annotations

import os
import warnings
from types import TracebackType
from typing import Any, List, Optional, Type, TypeVar

Self = TypeVar("Self", bound="Descriptor")


class Descriptor:
    # The descriptor, or nothing: a list, because one pop() succeeds and a second fails, whoever calls them.
    __slots__ = ("_open", "_closefd", "__weakref__")

    _open: List[int]
    _closefd: bool

    def _hold(self, fd: int, closefd: bool = True) -> None:
        self._open = [fd]
        self._closefd = closefd

    @classmethod
    def _holding(cls: Type[Self], fd: int) -> Self:
        self = cls.__new__(cls)
        self._open = [fd]
        self._closefd = True
        return self

    def fileno(self) -> int:
        """The descriptor, which stays this object's. ValueError: it is closed."""
        try:
            return self._open[0]
        except IndexError:
            raise ValueError(f"{type(self).__name__} is closed") from None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._open

    def close(self) -> None:
        """Closes the descriptor, or lets go of it where it was lent; again does nothing."""
        try:
            fd = self._open.pop()
        except IndexError:
            return
        if self._closefd:
            os.close(fd)

    def __enter__(self: Self) -> Self:
        self.fileno()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__}: a descriptor cannot be copied to another process by pickle")

    def __del__(self, _warn: Any = warnings.warn) -> None:
        # What a failed __init__ left has no attributes yet.
        if getattr(self, "_open", None):
            if self._closefd:
                _warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()
