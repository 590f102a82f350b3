"""From a Spec or a Plan to a running process, and to its end."""

from __future__ import annotations

import asyncio
import os
import select
import signal as signals
import subprocess
import threading
import time
import warnings
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Generator, Optional, Tuple, Type, Union

from ._isle import processes as _calls
from .plans import Plan, compile
from .spec import Command, Spec
from .streams import Streams, exchange

__all__ = ["Completed", "ExitStatus", "Process", "run", "spawn"]

Bytes = Union[bytes, str]


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended."""

    code: int
    """Exit code; 0 where `signal` is not."""
    signal: int = 0
    """The signal that ended it; 0 for an exit."""
    core_dumped: bool = False

    @property
    def shell_status(self) -> int:
        """128+signal or the code, as shells tell it."""
        return 128 + self.signal if self.signal else self.code

    @property
    def returncode(self) -> int:
        """-signal or the code, as the module subprocess tells it."""
        return -self.signal if self.signal else self.code


@dataclass(frozen=True)
class Completed(ExitStatus):
    """How a process ended, and what it wrote where that was asked for."""

    args: Any = ()
    stdout: Any = None
    stderr: Any = None

    def check_returncode(self) -> None:
        """subprocess.CalledProcessError: it did not end with 0."""
        if self.returncode:
            raise subprocess.CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)


class Process:
    """A sandboxed process that was started by `isle.spawn`: its command's execve has succeeded.

    In a ``with`` block it is waited for at the end, or killed where the block raised. One that goes away unwaited is
    killed, with a ResourceWarning. ``await process`` waits without blocking the event loop.
    """

    def __init__(self, child: Any, args: Any, streams: Streams) -> None:
        self._child = child
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._status: Optional[ExitStatus] = None
        self.args = args
        self.pid: int = child.pid
        """Of the sandbox's first process, in the caller's pid namespace."""
        self.stdin: Optional[IO[Any]] = streams.files[0]
        self.stdout: Optional[IO[Any]] = streams.files[1]
        self.stderr: Optional[IO[Any]] = streams.files[2]

    @property
    def pidfd(self) -> int:
        """Becomes readable when the process ends; this object's."""
        return int(self._child.pidfd)

    def fileno(self) -> int:
        """`pidfd`, for select and its kin."""
        return self.pidfd

    @property
    def console(self) -> Optional[int]:
        """The other end of its terminal where `terminal` was asked for; this object's."""
        fd = int(self._child.console)
        return fd if fd >= 0 else None

    def signal(self, number: int) -> None:
        """Sends a signal. Where the kernel would spare a pid 1 from one that should end it, SIGKILL stands in.

        ProcessLookupError: it has ended.
        """
        with self._lock:
            self._child.signal(int(number))

    send_signal = signal

    def terminate(self) -> None:
        """`signal` SIGTERM; nothing where it has ended."""
        self._end(signals.SIGTERM)

    def kill(self) -> None:
        """`signal` SIGKILL; nothing where it has ended."""
        self._end(signals.SIGKILL)

    def _end(self, number: int) -> None:
        try:
            self.signal(number)
        except ProcessLookupError:
            pass

    @property
    def status(self) -> Optional[ExitStatus]:
        """How it ended, once that is known from `wait` or `poll`."""
        return self._status

    def poll(self) -> Optional[ExitStatus]:
        """How it ended, or None while it runs."""
        return self._reap() if self._status or self._ended(0) else None

    def wait(self, timeout: Optional[float] = None) -> ExitStatus:
        """Waits for the end, undoes what was made on the host, and says how it ended; again says the same.

        Other threads run meanwhile, and may wait, too. subprocess.TimeoutExpired: `timeout` seconds are over.
        """
        if self._status is None and not self._ended(timeout):
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self._reap()

    def _ended(self, timeout: Optional[float]) -> bool:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def _reap(self) -> ExitStatus:
        with self._lock:
            if self._status is None:
                self._status = ExitStatus(*self._child.wait())
            return self._status

    async def wait_async(self) -> ExitStatus:
        """`wait` for a coroutine; cancelled, the process goes on."""
        if self._status is None:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            # A descriptor of its own: a loop watches each for one reader only.
            pidfd = os.dup(self.pidfd)
            try:
                loop.add_reader(pidfd, _settle, ended)
                try:
                    await ended
                finally:
                    loop.remove_reader(pidfd)
            finally:
                os.close(pidfd)
        return self._reap()

    def __await__(self) -> Generator[Any, None, ExitStatus]:
        return self.wait_async().__await__()

    def communicate(self, input: Optional[Bytes] = None, timeout: Optional[float] = None) -> Tuple[Any, Any]:
        """Writes `input`, reads what comes until the ends of both pipes, waits; what came on stdout and stderr.

        Once only. subprocess.TimeoutExpired: `timeout` seconds are over; the process goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            out, err = exchange(self.stdin, self.stdout, self.stderr, input, end)
        except TimeoutError:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout) from None
        self.wait(None if end is None else end - time.monotonic())
        return out, err

    def _close_streams(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._close_streams()
        if kind is not None:
            self.kill()
        self.wait()

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._close_streams()
        if kind is not None:
            self.kill()
        await self

    def __del__(self, _warn: Any = warnings.warn, _getpid: Any = os.getpid) -> None:
        # Whoever was forked off has a copy of this object, and no business with the process.
        if getattr(self, "_status", True) is None and self._owner == _getpid():
            _warn(f"{self!r} was not waited for and is killed", ResourceWarning, source=self)

    def __repr__(self) -> str:
        state = "running" if self._status is None else str(self._status)
        return f"<isle.Process {self.pid}: {state}>"


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def spawn(
    what: Union[Spec, Plan, Command],
    *,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    text: bool = False,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    **wishes: Any,
) -> Process:
    """Starts a Spec, a Plan, or a command with members of Spec and ProcessWish by name.

    stdin, stdout and stderr are as in the module subprocess: None (the caller's), a descriptor or file, subprocess.PIPE,
    DEVNULL, and for stderr STDOUT. Safe from a process with many threads, which go on meanwhile.

    isle.Error: what failed, by step, with who asked for it and a hint; then nothing is left behind. TypeError,
    ValueError: a member of the Spec does not hold what it should.
    """
    if isinstance(what, Plan):
        if wishes:
            raise TypeError(f"a plan is settled; it takes no {', '.join(wishes)}")
        plan, args = what, what
    else:
        plan = compile(what, **wishes)
        args = what.process.args if isinstance(what, Spec) else what  # type: ignore[assignment]
    streams = Streams(stdin, stdout, stderr, text or encoding is not None or errors is not None, encoding, errors)
    try:
        child = _calls.launch(bytes(plan), streams.numbers)
    except BaseException:
        streams.close()
        raise
    streams.close_ends_of_child()
    return Process(child, args, streams)


def run(
    what: Union[Spec, Plan, Command],
    *,
    input: Optional[Bytes] = None,
    capture_output: bool = False,
    timeout: Optional[float] = None,
    check: bool = False,
    **options: Any,
) -> Completed:
    """`spawn`, and wait for the end.

    capture_output: what was written is in the answer's stdout and stderr. timeout: seconds; then the process is killed
    and subprocess.TimeoutExpired raised. check: subprocess.CalledProcessError where it does not end with 0.
    """
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options["stdout"] = options["stderr"] = subprocess.PIPE
    with spawn(what, **options) as process:
        out, err = process.communicate(input, timeout)
        status = process.wait()
    done = Completed(status.code, status.signal, status.core_dumped, process.args, out, err)
    if check:
        done.check_returncode()
    return done
