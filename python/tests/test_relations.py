"""isle.namespaces: what leads to a namespace besides a pid, and what namespaces are to each other."""

import contextlib
import errno
import os
import socket
import subprocess

import pytest
from conftest import in_child, require

import isle
from isle.namespaces import NetworkNamespace, PidNamespace, UserNamespace, UtsNamespace


@contextlib.contextmanager
def neighbour(*namespaces):
    """The pid of a command in new namespaces."""
    with isle.spawn(["sleep", "1000"], namespaces=list(namespaces)) as process:
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()


def test_a_socket_leads_to_its_namespace():
    require("root", "netns")

    def body():
        with socket.socket() as outside, NetworkNamespace.from_self() as outer:
            NetworkNamespace.unshare()
            with NetworkNamespace.from_socket(outside) as by_object, NetworkNamespace.from_socket(outside.fileno()) as found:
                return by_object.ns_id == found.ns_id == outer.ns_id != NetworkNamespace.get_current_ns_id()

    assert in_child(body)
    with open("/dev/null") as file, pytest.raises(OSError) as caught:
        NetworkNamespace.from_socket(file)
    assert caught.value.errno == errno.ENOTTY


def test_a_veth_leads_to_its_peer():
    require("root", "netns", "program:ip")

    def body():
        NetworkNamespace.unshare()
        with neighbour("network") as pid, NetworkNamespace.from_pid(pid) as theirs:
            words = f"ip link add here type veth peer name there netns {pid}"
            subprocess.run(words.split(), check=True)
            with NetworkNamespace.from_link_peer("here") as peer:
                return peer.ns_id == theirs.ns_id

    assert in_child(body)
    with pytest.raises(OSError) as caught:
        NetworkNamespace.from_link_peer("isle-nobody")
    assert caught.value.errno == errno.ENODEV


def test_pids_and_children():
    require("root")
    with neighbour("pid", "mount") as pid, PidNamespace.from_pid(pid) as inner, PidNamespace.from_self() as own:
        assert inner.pid_in(pid) == 1
        assert inner.pid_from(1) == pid
        with pytest.raises(ProcessLookupError):
            inner.pid_in(os.getpid())
        children = own.get_children()
        assert inner.ns_id in [each.ns_id for each in children]
        for each in children:
            each.close()


def test_reopened_by_its_unique_id():
    require("root", "kernel:6.18")
    with UtsNamespace.from_self() as own:
        number = own.get_unique_id()
        with UtsNamespace.from_unique_id(number) as found:
            assert found.ns_id == own.ns_id
        with pytest.raises(OSError) as caught:
            UserNamespace.from_unique_id(number)
        assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError) as caught:
        UtsNamespace.from_unique_id(1 << 62)
    assert caught.value.errno == errno.ESTALE
