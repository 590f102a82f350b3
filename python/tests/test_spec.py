"""Spec, plans as data, and what is said of a Spec that makes no sense."""

import dataclasses
import json
import pickle

import pytest
from conftest import require

import isle
from isle import Bind, FileSystem, FsOperation, IdMapping, MountAttributes, NamespaceWish, ProcessWish, Root, Spec


def steps(plan, op):
    return [step for step in plan if step["op"] == op]


def test_explain_is_data():
    plan = isle.explain(["true"], namespaces=["user", "uts"], hostname="box")
    assert [step["index"] for step in plan] == list(range(len(plan)))
    assert steps(plan, "sethostname")[0]["args"] == ["box"]
    assert steps(plan, "sethostname")[0]["from"] == "python hostname"
    assert steps(plan, "execve")[0]["from"] == "python process.args"


def test_compile():
    plan = isle.compile(["true"], namespaces=["user", "uts"], hostname="box")
    assert plan.steps == json.loads(plan.to_json())["steps"]
    assert len(plan) == len(plan.steps)
    assert 'sethostname "box"' in str(plan)
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan and hash(again) == hash(plan) and bytes(again) == bytes(plan)
    assert plan != isle.compile(["true"])
    assert isle.run(plan).code == 0
    with pytest.raises(OSError):
        isle.Plan(b"this is none" * 100)
    with pytest.raises(TypeError):
        isle.spawn(plan, hostname="box")


def test_a_spec_and_names_are_the_same():
    spec = Spec(namespaces=[NamespaceWish("user"), NamespaceWish("uts")], hostname="box", process=ProcessWish(["true"]))
    assert isle.compile(spec) == isle.compile(["true"], namespaces=["user", "uts"], hostname="box")
    assert isle.compile(spec, cwd="/") == isle.compile(dataclasses.replace(spec, process=ProcessWish(["true"], cwd="/")))
    assert isle.compile(spec, hostname="other") != isle.compile(spec)
    assert spec.hostname == "box"


def test_short_forms_are_the_same():
    require("root")
    attributes = MountAttributes(set=1 | 2)  # MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID
    plans = [
        isle.compile(
            ["true"],
            namespaces=["user", kind],
            uid_mappings=[mapping],
            gid_mappings=[mapping],
            mounts=[FsOperation("/mnt", FileSystem("tmpfs", "tmpfs", attributes=each))],
        )
        for kind, mapping, each in [
            ("mount", IdMapping(0, 0, 1), attributes),
            ("mnt", (0, 0, 1), "ro,nosuid"),
            (isle.namespaces.MountNamespace, (0, 0, 1), 3),
        ]
    ]
    assert plans[0] == plans[1] == plans[2]


def test_environment():
    for env in ({"A": "1", "B": "2"}, ["A=1", "B=2"]):
        assert steps(isle.explain(["true"], env=env), "execve")[0]["args"][2] == ["A=1", "B=2"]


def test_every_part_is_read():
    """Each member of each dataclass is one that the extension asks for; a misspelt one would not come this far."""
    spec = Spec(
        namespaces=["user", "mount", "uts", "pid", "network", "time"],
        time_offsets=[isle.TimeOffset("boottime", 10**9)],
        root=Root("/", "nosuid"),
        mounts=[
            FsOperation("/proc", FileSystem("proc")),
            FsOperation("/proc", isle.CoverProc()),
            FsOperation("/dev", isle.Dev()),
            FsOperation("/tmp", FileSystem("tmpfs", options={"size": "1M"})),
            FsOperation("/tmp/a", isle.MakeDirectory()),
            FsOperation("/tmp/b", isle.MakeSymlink("a")),
            FsOperation("/tmp/c", isle.MakeFile(__file__)),
            FsOperation("/dev/zero", isle.MakeDevice(0o20666, 1, 5)),
            FsOperation("/tmp/d", Bind("/etc", attributes="ro", propagation="slave")),
            FsOperation("/tmp/d", isle.Remount("nosuid")),
            FsOperation("/tmp/d", isle.Mask(), optional=True),
        ],
        hostname="box",
        domainname="domain",
        sysctl={"kernel.hostname": "box"},
        loopback_up=True,
        process=ProcessWish(
            ["true"],
            env={},
            cwd="/",
            user=isle.User(0, 0),
            umask=0o22,
            capabilities=isle.Capabilities(bounding=["CAP_CHOWN", "kill"], permitted=1, effective=1),
            no_new_privileges=True,
            rlimits=[isle.Rlimit("nofile", 64, 64), isle.Rlimit(0, 5, 5)],
            oom_score_adj=0,
            nice=1,
            new_session=True,
            default_signals=True,
            die_with_parent=True,
        ),
    )
    ops = {step["op"] for step in isle.explain(spec)}
    assert {"sethostname", "setdomainname", "prctl", "link_up", "execve"} <= ops


@pytest.mark.parametrize(
    "error, words, wishes",
    [
        (TypeError, "hostname", {"hostname": 5}),
        (TypeError, "root", {"root": "/"}),
        (TypeError, "namespaces", {"namespaces": "user"}),
        (ValueError, "namespaces[0]", {"namespaces": ["usr"]}),
        (TypeError, "mounts[0].what", {"mounts": [FsOperation("/x", "tmpfs")]}),
        (ValueError, "mounts[0].what.attributes", {"mounts": [FsOperation("/x", Bind("/", attributes="rw,quick"))]}),
        (ValueError, "process.user.uid", {"user": isle.User(-1)}),
        (ValueError, "process.rlimits[0].resource", {"rlimits": [isle.Rlimit("files", 1, 1)]}),
        (ValueError, "process.capabilities.bounding", {"capabilities": isle.Capabilities(["CAP_ALL"])}),
        (TypeError, "hostnam", {"hostnam": "box"}),
        (TypeError, "process.env", {"env": 7}),
    ],
)
def test_what_is_wrong_is_named(error, words, wishes):
    with pytest.raises(error) as caught:
        isle.compile(["true"], **wishes)
    assert words in str(caught.value)


def test_validate():
    found = isle.validate(["true"], hostname="box", cwd="here", domainname="x" * 65)
    assert {each.origin for each in found} == {"python hostname", "python domainname", "python process.cwd"}
    assert all(isinstance(each, isle.Error) and isinstance(each, ValueError) for each in found)
    assert isle.validate(["true"]) == []


def test_sandbox_is_a_spec():
    spec = isle.sandbox(["true"], hostname="box", mounts=[FsOperation("/mnt", FileSystem("tmpfs"))])
    assert isinstance(spec, Spec)
    assert spec.process.no_new_privileges and spec.mounts[-1].destination == "/mnt"
    assert isle.validate(spec) == []
