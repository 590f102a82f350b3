"""Standard input and output of a process to be: as arguments, as descriptors, and as what flows through them."""

from __future__ import annotations

import fcntl
import os
import selectors
import subprocess
import time
from typing import IO, Any, List, Optional, Tuple

_FIRST_FREE = 3  # Below are the standard descriptors themselves
_CHUNK_BYTES = 64 * 1024


class Streams:
    """What the arguments stdin, stdout and stderr mean: `numbers` for the child, and `files` for this side of pipes."""

    def __init__(
        self, stdin: Any, stdout: Any, stderr: Any, text: bool, encoding: Optional[str], errors: Optional[str]
    ) -> None:
        self.numbers: List[int] = [0, 1, 2]
        self.files: List[Optional[IO[Any]]] = [None, None, None]
        self._of_child: List[int] = []
        try:
            for number, wish in enumerate((stdin, stdout, stderr)):
                if wish is None:
                    continue
                if wish == subprocess.PIPE:
                    self.numbers[number], own = self._pipe(number)
                    mode = "wb" if number == 0 else "rb"
                    buffering = 0 if number == 0 and not text else -1
                    self.files[number] = (
                        open(own, mode[0], encoding=encoding, errors=errors) if text else open(own, mode, buffering)
                    )
                elif wish == subprocess.DEVNULL:
                    self.numbers[number] = self._keep(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
                elif wish == subprocess.STDOUT and number == 2:
                    self.numbers[2] = self._keep(os.dup(self.numbers[1]))
                else:
                    fd = wish if isinstance(wish, int) else wish.fileno()
                    self.numbers[number] = self._keep(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
        except BaseException:
            self.close()
            raise

    def _keep(self, fd: int) -> int:
        """A descriptor for the child, above the standard ones."""
        if fd < _FIRST_FREE:
            low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
            os.close(low)
        self._of_child.append(fd)
        return fd

    def _pipe(self, number: int) -> Tuple[int, int]:
        read, write = os.pipe()
        theirs, own = (read, write) if number == 0 else (write, read)
        return self._keep(theirs), own

    def close_ends_of_child(self) -> None:
        while self._of_child:
            os.close(self._of_child.pop())

    def close(self) -> None:
        self.close_ends_of_child()
        for file in self.files:
            if file is not None:
                file.close()


def exchange(
    stdin: Optional[IO[Any]],
    stdout: Optional[IO[Any]],
    stderr: Optional[IO[Any]],
    data: Any,
    end: Optional[float],
) -> Tuple[Any, Any]:
    """Writes `data` to stdin and reads both others to their ends, all at once. TimeoutError: it is past `end`."""
    received: dict[Any, List[bytes]] = {stream: [] for stream in (stdout, stderr) if stream is not None}
    with selectors.DefaultSelector() as selector:
        for stream in received:
            selector.register(stream, selectors.EVENT_READ)
        left = memoryview(b"")
        if stdin is not None:
            encoding = getattr(stdin, "encoding", None)
            left = memoryview(data.encode(encoding) if encoding and isinstance(data, str) else data or b"")
            if left:
                os.set_blocking(stdin.fileno(), False)
                selector.register(stdin, selectors.EVENT_WRITE)
            else:
                stdin.close()
        while selector.get_map():
            for key, _ in selector.select(None if end is None else max(0.0, end - time.monotonic())):
                stream = key.fileobj
                if stream is stdin:
                    left = _write_some(key.fd, left)
                    done = not left
                else:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    received[stream].append(chunk)
                    done = not chunk
                if done:
                    selector.unregister(stream)
                    stream.close()
            if end is not None and selector.get_map() and time.monotonic() >= end:
                raise TimeoutError
    return _joined(stdout, received), _joined(stderr, received)


def _write_some(fd: int, left: memoryview) -> memoryview:
    try:
        return left[os.write(fd, left) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:
        return left[:0]


def _joined(stream: Optional[IO[Any]], received: dict[Any, List[bytes]]) -> Any:
    if stream is None:
        return None
    data = b"".join(received[stream])
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        return data
    return data.decode(encoding, stream.errors or "strict").replace("\r\n", "\n")  # type: ignore[attr-defined]
