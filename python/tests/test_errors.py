"""isle.Error: what it is, what it says, and that it travels."""

import copy
import errno
import pickle

import pytest

import isle


@pytest.mark.parametrize(
    "code, cls",
    [
        (errno.EPERM, PermissionError),
        (errno.EACCES, PermissionError),
        (errno.ENOENT, FileNotFoundError),
        (errno.EEXIST, FileExistsError),
        (errno.ESRCH, ProcessLookupError),
        (errno.ECHILD, ChildProcessError),
        (errno.ENOTDIR, NotADirectoryError),
        (errno.EINTR, InterruptedError),
        (errno.EAGAIN, BlockingIOError),
        (errno.EINVAL, OSError),
        (None, ValueError),
    ],
)
def test_class(code, cls):
    error = isle.Error(code, "try it")
    assert isinstance(error, isle.Error) and isinstance(error, OSError) and isinstance(error, cls)
    assert error.errno == code
    assert type(error).__name__ == "Error"
    with pytest.raises(cls):
        raise error
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)


def test_message():
    error = isle.Error(errno.ENODEV, 'mount "none" on "/tmp"', "python mounts[0]", "see /proc/filesystems", 7)
    assert str(error) == (
        'mount "none" on "/tmp": No such device (ENODEV)\n  asked by: python mounts[0]\n  hint: see /proc/filesystems'
    )
    assert (error.what, error.origin, error.hint, error.step) == (
        'mount "none" on "/tmp"',
        "python mounts[0]",
        "see /proc/filesystems",
        7,
    )
    assert error.strerror == "No such device"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(other) == str(error) and other.step == 7
    assert str(isle.Error(None, "the command is empty", "default")) == "the command is empty"


def test_of_a_launch():
    with pytest.raises(FileNotFoundError) as caught:
        isle.run(["/no/such", "command"])
    error = caught.value
    assert isinstance(error, isle.Error)
    assert error.origin == "python process.args"
    assert "/no" in error.hint
    assert isle.explain(["/no/such", "command"])[error.step]["op"] == "execve"


def test_of_a_spec():
    with pytest.raises(ValueError) as caught:
        isle.run(["true"], hostname="box")
    assert isinstance(caught.value, isle.Error)
    assert caught.value.errno is None and caught.value.step is None
    assert "asked by: python hostname" in str(caught.value)
    with pytest.raises(isle.Error):
        isle.run([])
