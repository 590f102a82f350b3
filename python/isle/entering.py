"""Running a function in other namespaces, while the caller stays where it is."""

from __future__ import annotations

import functools
import operator
import os
import pickle
import sys
import threading
import traceback
from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple, Type, TypeVar, Union

from . import os as kernel
from ._isle import namespaces as _calls
from .mount import set_propagation
from .namespaces import ALL_NAMESPACE_CLASSES, BaseNamespace, PidNamespace, TimeNamespace, UserNamespace

__all__ = ["inside"]

Result = TypeVar("Result")
Target = Union[BaseNamespace, Type[BaseNamespace]]

# The kernel lets a single thread of several move into all but these; pid and time are entered by children only.
_FOR_PROCESSES = (UserNamespace, TimeNamespace, PidNamespace)
_FOR_CHILDREN = (TimeNamespace, PidNamespace)


class inside:
    """Runs functions inside namespaces and gives back what they return, or raises what they raise.

    A target is a namespace object, which is joined, or a class of isle.namespaces, which stands for a new one each time; mounts in a
    new mount namespace do not show in others.
    `pid` adds the namespaces of a process, of all types in which it differs from the caller, or of those in `types`.

        inside(net).run(socket.create_server, ("", 80))

        @inside(NetworkNamespace)
        def links(): ...

    Where the kernel allows it the function runs in a thread of its own. A user, pid or time namespace takes a forked
    process: then arguments come as they are, but result or exception must be something pickle can carry, and what the
    function changes in memory is lost. `process=True` asks for the process in any case.

    isle.Error: it could not be joined or made. ChildProcessError: the forked process died on its way.
    """

    def __init__(
        self,
        *targets: Target,
        pid: Optional[int] = None,
        types: Optional[Iterable[Type[BaseNamespace]]] = None,
        process: bool = False,
    ) -> None:
        for target in targets:
            if not isinstance(target, BaseNamespace) and not (
                isinstance(target, type) and issubclass(target, BaseNamespace)
            ):
                raise TypeError(f"a namespace or a class of isle.namespaces is wanted, not {target!r}")
        if types is not None and pid is None:
            raise TypeError("types are those of a process: pid is wanted, too")
        self._joined = [each for each in targets if isinstance(each, BaseNamespace)]
        self._new = [each for each in targets if isinstance(each, type)]
        self._pid = pid
        self._types = None if types is None else tuple(types)
        self._process = process

    def __call__(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """Decorates: each call of the function happens inside."""

        @functools.wraps(function)
        def wrapper(*args: Any, **keywords: Any) -> Result:
            return self.run(function, *args, **keywords)

        return wrapper

    def run(self, function: Callable[..., Result], *args: Any, **keywords: Any) -> Result:
        """Calls the function inside."""
        opened: List[BaseNamespace] = []
        try:
            if self._pid is not None:
                opened += _namespaces_of(self._pid, self._types)
            joined = [*self._joined, *opened]
            types = [*map(type, joined), *self._new]
            call = functools.partial(function, *args, **keywords)
            if self._process or any(issubclass(each, _FOR_PROCESSES) for each in types):
                return _in_process(joined, self._new, call)
            return _in_thread(joined, self._new, call)
        finally:
            for each in opened:
                each.close()


def _namespaces_of(pid: int, types: Optional[Sequence[Type[BaseNamespace]]]) -> List[BaseNamespace]:
    by_flag = {cls.NAMESPACE_CONSTANT: cls for cls in (ALL_NAMESPACE_CLASSES if types is None else types)}
    flags = functools.reduce(operator.or_, by_flag, 0)
    return [by_flag[flag]._holding(fd) for fd, flag in _calls.open_all_of(pid, flags)]


def _move(joined: Sequence[BaseNamespace], new: Sequence[Type[BaseNamespace]]) -> None:
    _calls.join_all([each.fileno() for each in joined])
    flags = 0
    for cls in new:
        flags |= cls.NAMESPACE_CONSTANT
    if flags:
        _calls.make(flags)
    if flags & kernel.CLONE_NEWNS:
        set_propagation("private")


def _in_thread(
    joined: Sequence[BaseNamespace], new: Sequence[Type[BaseNamespace]], call: Callable[[], Result]
) -> Result:
    outcome: List[Any] = []

    def body() -> None:
        try:
            # With a root and working directory of its own a thread may change its mount namespace.
            kernel.unshare(kernel.CLONE_FS)
            _move(joined, new)
            outcome.append(call())
        except BaseException as error:
            outcome.extend((None, error))

    thread = threading.Thread(target=body, name="isle.inside")
    thread.start()
    thread.join()
    if len(outcome) == 2:
        try:
            raise outcome[1]
        finally:
            outcome.clear()  # else the exception's frames and the exception hold each other
    return outcome[0]  # type: ignore[no-any-return]


class _RemoteTraceback(Exception):
    """The traceback in the other process, as the cause of the exception here."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def _answer(call: Callable[[], Any]) -> bytes:
    """What is sent back: (True, result), or (False, (exception, traceback))."""
    try:
        return pickle.dumps((True, call()))
    except BaseException as error:
        text = traceback.format_exc()
        try:
            data = pickle.dumps((False, (error, text)))
            pickle.loads(data)  # some exceptions can be taken apart, but not put together again
            return data
        except Exception:
            return pickle.dumps((False, (RuntimeError(f"{type(error).__name__}: {error}"), text)))


def _send(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _be_child(joined: Sequence[BaseNamespace], new: Sequence[Type[BaseNamespace]], call: Any, write: int) -> int:
    """In the forked process: moves, and runs the call here or, for what only children enter, in a child of its own."""

    def moved() -> Tuple[bool, Any]:
        _move(joined, new)
        return True, None

    first = _answer(moved)
    if not pickle.loads(first)[0]:
        _send(write, first)
        return 0
    if any(issubclass(each, _FOR_CHILDREN) for each in (*map(type, joined), *new)):
        try:
            child = os.fork()
        except OSError as error:
            failed = error

            def refuse() -> None:
                raise failed

            _send(write, _answer(refuse))
            return 0
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    answer = _answer(call)
    _flush()
    _send(write, answer)
    return 0


def _flush() -> None:
    """What is buffered is written once, by whoever it belongs to."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _in_process(
    joined: Sequence[BaseNamespace], new: Sequence[Type[BaseNamespace]], call: Callable[[], Result]
) -> Result:
    _flush()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            status = _be_child(joined, new, call, write)
        finally:
            # Nothing of the caller's (exit handlers, buffers) is run or written a second time.
            os._exit(status if status >= 0 else 128 - status)
    os.close(write)
    try:
        with open(read, "rb") as pipe:
            data = pipe.read()
    except BaseException:
        os.kill(pid, 9)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not data:
        how = f"signal {-status if status < 0 else status - 128}" if status < 0 or status > 128 else f"status {status}"
        raise ChildProcessError(f"the function's process ended with {how} and no result")
    good, result = pickle.loads(data)
    if good:
        return result  # type: ignore[no-any-return]
    error, text = result
    error.__cause__ = _RemoteTraceback(text)
    raise error
