"""isle.namespaces: the classes, what they take, give, raise and warn of."""

import gc
import inspect
import os
import pickle
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from conftest import become_nobody, become_root_inside, in_child, require

import isle
from isle.namespaces import (
    ALL_NAMESPACE_CLASSES,
    BaseNamespace,
    CgroupNamespace,
    IpcNamespace,
    MountNamespace,
    NetworkNamespace,
    PidNamespace,
    TimeNamespace,
    UserNamespace,
    UtsNamespace,
    unshare_namespaces,
)

TABLE = {
    CgroupNamespace: ("cgroup", "CLONE_NEWCGROUP"),
    IpcNamespace: ("ipc", "CLONE_NEWIPC"),
    NetworkNamespace: ("net", "CLONE_NEWNET"),
    MountNamespace: ("mnt", "CLONE_NEWNS"),
    PidNamespace: ("pid", "CLONE_NEWPID"),
    TimeNamespace: ("time", "CLONE_NEWTIME"),
    UserNamespace: ("user", "CLONE_NEWUSER"),
    UtsNamespace: ("uts", "CLONE_NEWUTS"),
}
every_class = pytest.mark.parametrize("cls", ALL_NAMESPACE_CLASSES)


def link_id(name, pid="self"):
    return int(os.readlink(f"/proc/{pid}/ns/{name}").split("[")[1].rstrip("]"))


def test_all_classes_are_in_an_order_to_join_them():
    assert isinstance(ALL_NAMESPACE_CLASSES, tuple)
    assert ALL_NAMESPACE_CLASSES[0] is UserNamespace
    assert set(ALL_NAMESPACE_CLASSES) == set(TABLE)
    assert len(ALL_NAMESPACE_CLASSES) == 8


@every_class
def test_class_constants(cls):
    name, constant = TABLE[cls]
    assert issubclass(cls, BaseNamespace)
    assert cls.NAMESPACE_PROC_NAME == name
    assert cls.NAMESPACE_CONSTANT == getattr(isle.os, constant)


@every_class
def test_from_self_is_what_proc_shows(cls):
    with cls.from_self() as namespace:
        assert namespace.ns_id == link_id(cls.NAMESPACE_PROC_NAME) == cls.get_current_ns_id()
        assert isle.os.ns_get_nstype(namespace.fileno()) == cls.NAMESPACE_CONSTANT
        assert not os.get_inheritable(namespace.fileno())
        assert str(namespace.ns_id) in repr(namespace) and cls.__name__ in repr(namespace)


@every_class
def test_from_pid(cls):
    for pid in (os.getpid(), "self"):
        with cls.from_pid(pid) as namespace:
            assert namespace.ns_id == cls.get_current_ns_id()


def test_from_pid_of_nobody():
    with pytest.raises(FileNotFoundError) as caught:
        NetworkNamespace.from_pid(2**22 + 1)
    assert "4194305/ns/net" in str(caught.value)
    with pytest.raises((TypeError, ValueError)):
        NetworkNamespace.from_pid("nobody")
    with pytest.raises(ValueError):
        NetworkNamespace.from_pid(-1)


def test_current_id_opens_nothing():
    before = os.listdir("/proc/self/fd")
    NetworkNamespace.get_current_ns_id()
    assert os.listdir("/proc/self/fd") == before


def test_constructor_takes_a_descriptor():
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    with UtsNamespace(fd) as namespace:
        assert namespace.fileno() == fd
    with pytest.raises(OSError):
        os.fstat(fd)


def test_closefd_false_leaves_it_open():
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    try:
        namespace = UtsNamespace(fd, closefd=False)
        namespace.close()
        os.fstat(fd)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            UtsNamespace(fd, False)
            gc.collect()
        os.fstat(fd)
    finally:
        os.close(fd)


@every_class
def test_constructor_refuses_another_type(cls):
    other = UtsNamespace if cls is not UtsNamespace else IpcNamespace
    with other.from_self() as namespace:
        with pytest.raises(ValueError) as caught:
            cls(namespace.fileno(), closefd=False)
        assert not isinstance(caught.value, OSError)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError):
                cls(namespace.fileno())
            gc.collect()
        namespace.ns_id  # it is still open


def test_constructor_refuses_what_is_no_namespace():
    for path in ("/dev/null", "/", "/proc/self/status"):
        fd = os.open(path, os.O_RDONLY)
        try:
            with pytest.raises(OSError) as caught:
                UserNamespace(fd)
            assert caught.value.errno == 25
        finally:
            os.close(fd)
    with pytest.raises(OSError) as caught:
        UserNamespace(1000000)
    assert caught.value.errno == 9
    with pytest.raises(TypeError):
        UserNamespace("net")


def test_closed_objects_refuse():
    namespace = UserNamespace.from_self()
    for _ in range(3):
        namespace.close()
    for use in (
        namespace.fileno,
        namespace.setns,
        namespace.get_user_namespace,
        lambda: namespace.ns_id,
        namespace.__enter__,
        namespace.get_parent,
    ):
        with pytest.raises(ValueError):
            use()
    assert "closed" in repr(namespace)


def test_with_closes_and_lets_exceptions_out():
    with pytest.raises(KeyError):
        with UtsNamespace.from_self() as namespace:
            raise KeyError
    assert "closed" in repr(namespace)


@every_class
def test_a_leak_is_warned_of_and_closed(cls):
    namespace = cls.from_self()
    fd = namespace.fileno()
    with pytest.warns(ResourceWarning, match=cls.__name__):
        del namespace
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_no_warning_when_closed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UtsNamespace.from_self().close()
        with UtsNamespace.from_self():
            pass
        gc.collect()


def test_concurrent_close_closes_once():
    for _ in range(200):
        namespace = UtsNamespace.from_self()
        barrier = threading.Barrier(4)
        errors = []

        def close():
            barrier.wait()
            try:
                namespace.close()
            except OSError as error:
                errors.append(error)

        threads = [threading.Thread(target=close) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not errors


@every_class
def test_unshare(cls):
    require("root", *(["timens"] if cls is TimeNamespace else []))

    def make():
        before = cls.get_current_ns_id()
        cls.unshare()
        if cls in (PidNamespace, TimeNamespace):  # for children only
            assert cls.get_current_ns_id() == before
            if cls is PidNamespace:
                return in_child(cls.get_current_ns_id) != before
            with cls.for_children() as children:
                return children.ns_id != before
        return cls.get_current_ns_id() != before

    assert in_child(make)


def test_setns_goes_back():
    require("root")

    def there_and_back():
        with UtsNamespace.from_self() as home:
            UtsNamespace.unshare()
            away = UtsNamespace.get_current_ns_id()
            home.setns()
            return home.ns_id == UtsNamespace.get_current_ns_id() != away

    assert in_child(there_and_back)


def test_setns_without_privilege():
    require("root", "userns")

    def try_it():
        with UtsNamespace.from_self() as namespace:
            become_nobody()
            namespace.setns()

    with pytest.raises(PermissionError) as caught:
        in_child(try_it)
    assert isinstance(caught.value, isle.Error)
    assert caught.value.errno == 1


def test_unshare_namespaces_at_once():
    require("userns")

    def make():
        become_nobody()
        before = {cls: cls.get_current_ns_id() for cls in ALL_NAMESPACE_CLASSES}
        unshare_namespaces(user=True, uts=True, network=True, ipc=True, mount=True, cgroup=True)
        return {cls.NAMESPACE_PROC_NAME for cls, number in before.items() if cls.get_current_ns_id() != number}

    assert in_child(make) == {"user", "uts", "net", "ipc", "mnt", "cgroup"}


def test_unshare_namespaces_takes_names_only():
    assert [each.name for each in inspect.signature(unshare_namespaces).parameters.values()] == [
        "cgroup", "ipc", "network", "mount", "pid", "time", "user", "uts",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        unshare_namespaces(True)
    in_child(unshare_namespaces)


def test_unshare_namespaces_is_all_or_nothing():
    require("userns")

    def try_it():
        become_nobody()
        before = UtsNamespace.get_current_ns_id()
        try:
            unshare_namespaces(uts=True, network=True)
        except PermissionError:
            return UtsNamespace.get_current_ns_id() == before
        return False

    assert in_child(try_it)


def test_user_namespace_of_a_process_with_threads():
    def try_it():
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        try:
            UserNamespace.unshare()
        except isle.Error as error:
            return error
        finally:
            stop.set()
            thread.join()

    error = in_child(try_it)
    assert error.errno == 22
    assert "2 threads" in error.hint


def test_owner_and_parent():
    require("userns")

    def look():
        become_nobody()
        outer = UserNamespace.get_current_ns_id()
        become_root_inside()
        NetworkNamespace.unshare()
        with NetworkNamespace.from_self() as network, network.get_user_namespace() as owner:
            assert isinstance(owner, UserNamespace)
            assert owner.ns_id == UserNamespace.get_current_ns_id()
            assert owner.get_owner_uid() == 0
            for parent in (owner.get_user_namespace, owner.get_parent):
                try:
                    parent().close()
                    return "the caller is not in it"
                except PermissionError:
                    pass
        return outer != UserNamespace.get_current_ns_id()

    assert in_child(look) is True


def test_parent_seen_from_above():
    require("userns")

    def look():
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            become_root_inside()
            os.write(write, b".")
            os.pause() if hasattr(os, "pause") else threading.Event().wait()
        try:
            os.read(read, 1)
            with UserNamespace.from_pid(pid) as inner, inner.get_parent() as parent:
                return parent.ns_id == UserNamespace.get_current_ns_id() != inner.ns_id
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)

    assert in_child(look)


@every_class
def test_limits(cls):
    path = Path(f"/proc/sys/user/max_{cls.NAMESPACE_PROC_NAME}_namespaces")
    assert cls.get_current_limit() == int(path.read_text())


def test_set_limit():
    require("userns")

    def set_them():
        become_nobody()
        become_root_inside()  # limits are a user namespace's own
        NetworkNamespace.set_current_limit(1)
        NetworkNamespace.unshare()
        assert NetworkNamespace.get_current_limit() == 1
        NetworkNamespace.set_current_limit(0)
        try:
            NetworkNamespace.unshare()
        except OSError as error:
            return error

    error = in_child(set_them)
    assert error.errno == 28
    assert "max_net_namespaces is 0" in error.hint


def test_set_limit_refused():
    for value in (-1, 2**31, 2**40):
        with pytest.raises(OSError) as caught:
            UtsNamespace.set_current_limit(value)
        assert caught.value.errno == 22
    with pytest.raises(TypeError):
        UtsNamespace.set_current_limit("1")

    def try_it():
        become_nobody()
        UtsNamespace.set_current_limit(5)

    require("root")
    with pytest.raises(PermissionError):
        in_child(try_it)


def work_in_new_namespace(name):
    unshare_namespaces(uts=True)
    isle.namespaces.UtsNamespace.get_current_ns_id()
    Path("/proc/sys/kernel/hostname").write_text(name)
    return os.uname().nodename


def raise_in_worker():
    NetworkNamespace.from_pid(2**22 + 1)


def test_in_worker_processes():
    require("root")
    with ProcessPoolExecutor(max_workers=2) as pool:
        assert list(pool.map(work_in_new_namespace, ["a", "b"])) == ["a", "b"]
        with pytest.raises(FileNotFoundError) as caught:
            pool.submit(raise_in_worker).result()
        assert isinstance(caught.value, isle.Error)
    assert os.uname().nodename not in ("a", "b")


def test_threads_have_namespaces_of_their_own():
    require("root")
    seen = []

    def thread():
        NetworkNamespace.unshare()
        with NetworkNamespace.from_self() as own, NetworkNamespace.from_pid("self") as same:
            seen.append((own.ns_id, same.ns_id, NetworkNamespace.get_current_ns_id()))

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(len(set(each)) == 1 for each in seen)
    assert NetworkNamespace.get_current_ns_id() not in {each[0] for each in seen}


def test_pidfd_and_path(tmp_path):
    require("kernel:6.11")
    pidfd = os.pidfd_open(os.getpid())
    try:
        with UtsNamespace.from_pidfd(pidfd) as namespace:
            assert namespace.ns_id == UtsNamespace.get_current_ns_id()
    finally:
        os.close(pidfd)
    with UtsNamespace.from_path("/proc/self/ns/uts") as namespace:
        assert namespace.ns_id == UtsNamespace.get_current_ns_id()
    with pytest.raises(OSError) as caught:
        UtsNamespace.from_path(Path("/proc/self/ns/net"))
    assert caught.value.errno == 22


def test_persist(tmp_path):
    require("root")

    def keep():
        unshare_namespaces(mount=True)
        isle.mount.set_propagation("private")
        path = tmp_path / "kept"
        with UtsNamespace.from_self() as home:
            UtsNamespace.unshare()
            with UtsNamespace.from_self() as new:
                number = new.ns_id
                new.persist(path)
            home.setns()
        with UtsNamespace.from_path(path) as kept:
            same = kept.ns_id == number
        UtsNamespace.unpersist(path)
        return same and not path.exists()

    assert in_child(keep)


def test_objects_cannot_be_pickled():
    with UtsNamespace.from_self() as namespace, pytest.raises(TypeError):
        pickle.dumps(namespace)


def test_ten_thousand_handles():
    for _ in range(10000):
        with UtsNamespace.from_self() as namespace:
            namespace.ns_id


def test_unique_id():
    with UtsNamespace.from_self() as namespace:
        number = namespace.get_unique_id()
        assert number is None or number > 0
        with UtsNamespace.from_self() as again:
            assert again.get_unique_id() == number
