"""The surface of python-lxns 0.1, each name with its arguments, and spec.h's, each member: what is there is all of it."""

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import in_child, require

import isle
import isle as lxns

SOURCE = Path(__file__).resolve().parents[2]

CLASSES = {
    "CgroupNamespace": ("CLONE_NEWCGROUP", "cgroup"),
    "IpcNamespace": ("CLONE_NEWIPC", "ipc"),
    "NetworkNamespace": ("CLONE_NEWNET", "net"),
    "MountNamespace": ("CLONE_NEWNS", "mnt"),
    "PidNamespace": ("CLONE_NEWPID", "pid"),
    "TimeNamespace": ("CLONE_NEWTIME", "time"),
    "UserNamespace": ("CLONE_NEWUSER", "user"),
    "UtsNamespace": ("CLONE_NEWUTS", "uts"),
}

# Name, kind, arguments; of BaseNamespace.
METHODS = [
    ("fileno", "method", "(self)"),
    ("setns", "method", "(self)"),
    ("get_user_namespace", "method", "(self)"),
    ("close", "method", "(self)"),
    ("__enter__", "method", "(self)"),
    ("__exit__", "method", "(self, kind, value, traceback)"),
    ("from_pid", "class", "(pid)"),
    ("from_self", "class", "()"),
    ("get_current_ns_id", "class", "()"),
    ("unshare", "class", "()"),
    ("get_current_limit", "class", "()"),
    ("set_current_limit", "class", "(limit)"),
]

# The arguments' names, with their defaults; "/" ends those that have no name for the caller.
OS_FUNCTIONS = {
    "unshare": "flags, /",
    "setns": "fd, nstype, /",
    "ns_get_userns": "fd, /",
    "ns_get_parent": "fd, /",
    "ns_get_nstype": "fd, /",
    "ns_get_owner_uid": "fd, /",
    "open_tree": "dirfd=, path=, flags=",
    "move_mount": "from_dirfd=, from_path=, to_dirfd=, to_path=, flags=",
}


def plain(signature):
    """Without types and without what says that an argument is positional only."""
    return re.sub(r"(, )?/", "", str(re.sub(r": [^,)=]*| -> .*", "", str(signature))))


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    flag, proc_name = CLASSES[name]
    cls = getattr(lxns.namespaces, name)
    assert issubclass(cls, lxns.namespaces.BaseNamespace)
    assert cls.NAMESPACE_CONSTANT == getattr(lxns.os, flag)
    assert cls.NAMESPACE_PROC_NAME == proc_name
    assert plain(inspect.signature(cls)) == "(fd, closefd=True)"


@pytest.mark.parametrize("name, kind, arguments", METHODS)
def test_methods(name, kind, arguments):
    for cls in (lxns.namespaces.BaseNamespace, *lxns.namespaces.ALL_NAMESPACE_CLASSES):
        assert isinstance(inspect.getattr_static(cls, name), classmethod) == (kind == "class")
        signature = re.sub(r": '[^']*'| -> '[^']*'", "", str(inspect.signature(getattr(cls, name))))
        assert plain(signature) == arguments
        assert getattr(cls, name).__doc__


def test_the_rest_of_namespaces():
    assert isinstance(inspect.getattr_static(lxns.namespaces.BaseNamespace, "ns_id"), property)
    signature = str(inspect.signature(lxns.namespaces.unshare_namespaces))
    names = "cgroup ipc network mount pid time user uts".split()
    assert signature == "(*, " + ", ".join(f"{name}=False" for name in names) + ")"
    classes = lxns.namespaces.ALL_NAMESPACE_CLASSES
    assert isinstance(classes, tuple) and {each.__name__ for each in classes} == set(CLASSES)
    assert classes[0] is lxns.namespaces.UserNamespace


def test_mount():
    cls = lxns.mount.ClonedTree
    path, *others = inspect.signature(cls).parameters.values()
    assert path.name == "path" and path.default is path.empty
    assert all(each.kind == each.KEYWORD_ONLY for each in others)
    assert list(inspect.signature(cls.mount).parameters) == ["self", "path"]
    for name in ("close", "__enter__", "__exit__"):
        assert callable(getattr(cls, name))


@pytest.mark.parametrize("name", OS_FUNCTIONS)
def test_os(name):
    first_line = getattr(lxns.os, name).__doc__.splitlines()[0]
    arguments = re.match(r"\w+\((.*)\) -> (.*)", first_line)
    assert re.sub(r": \w+( = [^,]*)?", lambda found: "=" if found[1] else "", arguments[1]) == OS_FUNCTIONS[name]
    assert arguments[2] == ("None" if name in ("unshare", "setns", "move_mount") else "int")


PROGRAM = """
import isle as lxns
from isle.mount import ClonedTree
from isle.namespaces import ALL_NAMESPACE_CLASSES, BaseNamespace, UserNamespace, unshare_namespaces
from isle.os import CLONE_NEWUTS, open_tree, unshare
from pathlib import Path
from typing import Type

def links(cls: Type[BaseNamespace]) -> str:
    with cls.from_pid("self") as namespace:
        owner: UserNamespace = namespace.get_user_namespace()
        owner.close()
        return f"{cls.NAMESPACE_PROC_NAME}:[{namespace.ns_id}]"

def main() -> None:
    print([links(cls) for cls in ALL_NAMESPACE_CLASSES if cls is not UserNamespace])
    limit: int = UserNamespace.get_current_limit()
    before: int = lxns.namespaces.UtsNamespace.get_current_ns_id()
    unshare_namespaces(uts=True, ipc=True)
    unshare(CLONE_NEWUTS)
    lxns.namespaces.MountNamespace.unshare()
    assert before != lxns.namespaces.UtsNamespace.get_current_ns_id() and limit >= 0
    with ClonedTree(Path("/usr")) as tree:
        tree.close()
    fd: int = open_tree(path="/usr", flags=lxns.os.OPEN_TREE_CLOEXEC)
    with UserNamespace.from_self() as own, UserNamespace(own.fileno(), closefd=False) as user:
        assert user.ns_id == own.ns_id

main()
"""


def test_a_typed_program_of_it_runs(tmp_path):
    require("root")
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(Path(isle.__file__).parents[1])}
    done = subprocess.run([sys.executable, tmp_path / "program.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(":[") == 7


def test_it_is_typed(tmp_path):
    require("program:mypy")
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"MYPYPATH": str(Path(isle.__file__).parents[1])}
    done = subprocess.run(
        ["mypy", "--strict", f"--python-executable={sys.executable}", "--cache-dir", tmp_path / "cache",
         tmp_path / "program.py", Path(isle.__file__).parent],
        env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_closed_namespace_refuses_each():
    def check():
        for cls in lxns.namespaces.ALL_NAMESPACE_CLASSES:
            namespace = cls.from_self()
            namespace.close()
            for use in (namespace.fileno, namespace.setns, namespace.get_user_namespace, lambda: namespace.ns_id):
                with pytest.raises(ValueError):
                    use()
            assert "closed" in repr(namespace)

    in_child(check)


# spec.h's members that have no place in a dataclass, and why.
NOT_IN_PYTHON = {
    ("ProcessWish", "in_place"): "the interpreter does not become the command",
    ("ProcessWish", "start_socket"): "two halves of a start are isle-oci's",
    ("Spec", "origins"): "an origin is the member's own name",
    ("Spec", "calls_back"): "nothing of Python runs while the sandbox is made",
}


def members_of_header():
    """struct -> its members' names, without the origins."""
    text = re.sub(r"//[^\n]*", "", (SOURCE / "include/isle/spec.h").read_text())
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{(?:\};|\n(.*?)^\};)", text, re.M | re.S):
        body = re.sub(r"enum class \w+ \{[^}]*\} (\w+)\{\};", r"int \1;", body)
        names = []
        for statement in body.split(";"):
            if "(" in re.sub(r"<.*>", "", statement):
                continue
            declared = re.sub(r"<.*>|\{[^}]*\}|=[^,]*", "", statement, flags=re.S).split()
            if len(declared) >= 2:
                names += re.findall(r"\w+", "".join(declared[1:]).replace(",", " , "))
        found[name] = [each for each in names if each != "from"]
    return found


def test_every_member_of_the_spec_is_here():
    header = members_of_header()
    assert len(header) > 32 and len(header["Spec"]) > 25, "this test does not read the header"
    for struct, names in header.items():
        if struct == "Asked":
            continue
        cls = getattr(isle, struct)
        assert dataclasses.is_dataclass(cls), struct
        here = {each.name for each in dataclasses.fields(cls)}
        left_out = {member for owner, member in NOT_IN_PYTHON if owner == struct}
        assert here == set(names) - left_out, struct
        assert left_out <= set(names), struct


def test_every_member_is_read():
    """The extension asks each dataclass for each of its members by name."""
    text = (SOURCE / "python/src/read_spec.cc").read_text()
    for struct, names in members_of_header().items():
        if struct == "Asked":
            continue
        body = re.search(rf"^void fields\(const Fields& \w*, ?{struct}& x\) {{(.*?)^}}|^void fields\(const Fields&, {struct}&\) {{}}"
                         rf"|^void read\(const Place& at, {struct}& out\) {{(.*?)^}}"
                         rf"|^void fields\(const Fields& f, {struct}& x\) {{([^\n]*)}}", text, re.M | re.S)
        assert body, struct
        asked = set(re.findall(r'\w*\("(\w+)",', body[0]))
        assert {each for each in names if (struct, each) not in NOT_IN_PYTHON} <= asked, struct
