"""isle.inside: functions in other namespaces, and the caller where it was."""

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import become_nobody, in_child, require

import isle
from isle.namespaces import (
    ALL_NAMESPACE_CLASSES,
    IpcNamespace,
    MountNamespace,
    NetworkNamespace,
    PidNamespace,
    TimeNamespace,
    UserNamespace,
    UtsNamespace,
    unshare_namespaces,
)


@pytest.fixture
def sleeper():
    """A process in new namespaces of all types."""
    require("root")
    wishes = ["user", "uts", "network", "ipc", "mount", "pid", "cgroup"]
    with isle.spawn(["sleep", "1000"], namespaces=wishes, hostname="inside") as process:
        yield SimpleNamespace(pid=process.pid)
        process.kill()
    del process


def current(cls):
    return cls.get_current_ns_id()


def test_a_thread_where_the_kernel_allows_it():
    require("root")
    caller, lock = os.getpid(), threading.Lock()  # no pickle carries a lock
    for cls in (UtsNamespace, NetworkNamespace, IpcNamespace, MountNamespace):
        pid, number, same = isle.inside(cls).run(lambda cls=cls: (os.getpid(), current(cls), lock))
        assert pid == caller and number != current(cls) and same is lock


def test_joined_namespaces(sleeper):
    with UtsNamespace.from_pid(sleeper.pid) as uts, MountNamespace.from_pid(sleeper.pid) as mount:
        where = isle.inside(mount, uts)
        assert where.run(lambda: os.uname().nodename) == "inside"
        assert where.run(current, MountNamespace) == mount.ns_id

        @where
        def name(prefix, *, suffix):
            "A docstring."
            return prefix + os.uname().nodename + suffix

        assert name("<", suffix=">") == "<inside>"
        assert (name.__name__, name.__doc__) == ("name", "A docstring.")
    assert os.uname().nodename != "inside"


def test_all_namespaces_of_a_process(sleeper):
    def look():
        return os.getpid(), os.uname().nodename, [os.readlink(f"/proc/{who}/ns/user") for who in ("self",)]

    pid, name, (user,) = isle.inside(pid=sleeper.pid).run(look)
    assert name == "inside" and pid != os.getpid()
    assert user == os.readlink(f"/proc/{sleeper.pid}/ns/user")
    only = isle.inside(pid=sleeper.pid, types=[UtsNamespace])
    assert only.run(lambda: (os.getpid(), os.uname().nodename)) == (os.getpid(), "inside")
    with PidNamespace.from_pid(sleeper.pid) as namespace:
        assert isle.inside(namespace).run(os.getpid) < 100


def test_new_namespaces_for_an_ordinary_user():
    require("userns")

    def make():
        become_nobody()
        return isle.inside(UserNamespace, UtsNamespace, PidNamespace).run(lambda: (os.getpid(), current(UtsNamespace)))

    pid, number = in_child(make)
    assert pid == 1 and number != current(UtsNamespace)


def test_time_namespace():
    require("root", "timens")
    assert isle.inside(TimeNamespace).run(current, TimeNamespace) != current(TimeNamespace)


class Custom(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class CannotTravel(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def throw(error):
    raise error


@pytest.mark.parametrize("process", [False, True])
def test_exceptions_come_back(process):
    run = isle.inside(process=process).run
    with pytest.raises(Custom) as caught:
        run(throw, Custom(1, 2))
    assert caught.value.args == (1, 2)
    with pytest.raises(FileNotFoundError) as caught:
        run(UtsNamespace.from_pid, 2**22 + 1)
    assert isinstance(caught.value, isle.Error)
    with pytest.raises(SystemExit):
        run(throw, SystemExit(3))
    if process:
        assert "from_pid" in str(run_and_catch(run).__cause__)


def run_and_catch(run):
    try:
        run(UtsNamespace.from_pid, 2**22 + 1)
    except isle.Error as error:
        return error


def test_what_pickle_cannot_carry():
    run = isle.inside(process=True).run
    with pytest.raises(RuntimeError, match="CannotTravel: one"):
        run(throw, CannotTravel("one", "two"))
    with pytest.raises(TypeError):
        run(threading.Lock)


def test_a_process_that_dies():
    run = isle.inside(process=True).run
    with pytest.raises(ChildProcessError, match="signal 9"):
        run(lambda: os.kill(os.getpid(), 9))
    with pytest.raises(ChildProcessError, match="status 4"):
        run(os._exit, 4)
    require("root")
    with pytest.raises(ChildProcessError, match="signal 9"):
        isle.inside(PidNamespace).run(lambda: os.kill(os.getppid() or os.getpid(), 9) or os._exit(137))


def test_buffers_are_written_once(capfd):
    print("before", end=" ")
    isle.inside(process=True).run(print, "inside")
    print("after")
    out, _ = capfd.readouterr()
    assert out == "before inside\nafter\n"


def test_large_results():
    assert len(isle.inside(process=True).run(bytes, 10_000_000)) == 10_000_000


def test_no_privilege():
    require("userns")

    def try_it():
        become_nobody()
        for process in (False, True):
            with pytest.raises(PermissionError) as caught:
                isle.inside(UtsNamespace, process=process).run(current, UtsNamespace)
            assert isinstance(caught.value, isle.Error)

    in_child(try_it)


def test_working_directory_stays():
    require("root")
    before = os.getcwd()
    isle.inside(UtsNamespace).run(os.chdir, "/")
    assert os.getcwd() == before


def test_arguments():
    with pytest.raises(TypeError):
        isle.inside("net")
    with pytest.raises(TypeError):
        isle.inside(types=[UtsNamespace])
    with pytest.raises(ProcessLookupError):
        isle.inside(pid=2**22 + 1).run(print)
    with UtsNamespace.from_self() as namespace:
        namespace.close()
        with pytest.raises(ValueError):
            isle.inside(namespace).run(print)


def test_from_many_threads():
    require("root")
    home = current(UtsNamespace)
    answers, errors = [], []

    def work(number):
        def named():
            Path("/proc/sys/kernel/hostname").write_text(f"host{number}")
            time.sleep(0.01)
            return os.uname().nodename == f"host{number}"

        try:
            answers.extend(isle.inside(UtsNamespace).run(named) for _ in range(4))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not errors and answers == [True] * 128
    assert current(UtsNamespace) == home


def test_a_namespace_of_somebody_else(sleeper):
    """The user namespace first, for the privilege it gives over the others."""

    def as_owner():
        run = isle.inside(pid=sleeper.pid, types=[UserNamespace, UtsNamespace, NetworkNamespace]).run
        return run(lambda: [cls.get_current_ns_id() for cls in (UserNamespace, UtsNamespace, NetworkNamespace)])

    expected = []
    for cls in (UserNamespace, UtsNamespace, NetworkNamespace):
        with cls.from_pid(sleeper.pid) as namespace:
            expected.append(namespace.ns_id)
    assert as_owner() == expected


def test_what_nothing_was_asked_of():
    assert isle.inside().run(lambda: [current(cls) for cls in ALL_NAMESPACE_CLASSES]) == [
        current(cls) for cls in ALL_NAMESPACE_CLASSES
    ]
    assert unshare_namespaces() is None
