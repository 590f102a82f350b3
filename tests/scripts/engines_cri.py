#!/usr/bin/env python3
"""engines_cri.py [--runtime PROGRAM] [--systemd]: containerd's CRI plugin drives isle-oci as a kubelet has it do.

A pod of runtime class "isle" is made, two containers run in it, and all is taken away: the calls of CRI's RuntimeService
over gRPC, by their fields' numbers in its api.proto. Everything happens in namespaces of the test's own, the network by
CNI's plugins where these are there. --systemd: cgroups are systemd's scopes, and the machine is used as it is; for guests
that are thrown away.
"""
import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys

from engines import BUILD, IMAGE, Cgroups, Daemon, Suite, in_own_namespaces, skip, write_image

PYTHON = "/usr/bin/python3"  # Debian's modules are for Debian's own
CNI = "/usr/lib/cni"
NETWORK = {"cniVersion": "0.4.0", "name": "isle", "plugins": [
    {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.99.0.0/24", "dataDir": "{scratch}/cni"}}]}
OWN, NODE = 1, 2  # NamespaceMode; 0 is the pod's
EXITED = 2  # ContainerState
SHORT_S, LONGEST_S = 1, 90


def varint(number):
    number &= (1 << 64) - 1
    text = b""
    while number > 0x7F:
        text += bytes([number & 0x7F | 0x80])
        number >>= 7
    return text + bytes([number])


def encode(message):
    """A message of protobuf's: {field's number: value}; a list is a repeated field, a dict another message."""
    text = b""
    for field, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                text += varint(field << 3) + varint(value)
                continue
            data = encode(value) if isinstance(value, dict) else value.encode()
            text += varint(field << 3 | 2) + varint(len(data)) + data
    return text


def decode(text):
    """{field's number: the last value}: an int, or bytes, which may be another message."""
    def number():
        nonlocal text
        value = shift = 0
        while True:
            byte, text = text[0], text[1:]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    message = {}
    while text:
        field = number()
        value = number()
        if field & 7 == 2:
            value, text = text[:value], text[value:]
        message[field >> 3] = value
    return message


class Kubelet:
    """The RuntimeService behind a socket."""

    def __init__(self, grpc, socket):
        self.error = grpc.RpcError
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def call(self, name, message, seconds=LONGEST_S):
        """The answer, and the error's code and words."""
        method = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{name}", request_serializer=encode, response_deserializer=decode)
        try:
            return method(message, timeout=seconds), ""
        except self.error as error:
            return {}, f"{error.code().name}: {error.details()}"

    def execute(self, container, words, seconds=0):
        answer, error = self.call("ExecSync", {1: container, 2: words, 3: seconds})
        return error or answer.get(3, 0), error or (answer.get(1, b"") + answer.get(2, b"")).decode(errors="replace")


def pod(scratch, parent, network):
    return {1: {1: "pod", 2: "uid", 3: "default"}, 2: "there", 3: f"{scratch}/logs",
            8: {1: parent, 2: {1: {1: network, 2: OWN}, 9: {1: 0}}}}


def container(scratch, name, limits, security):
    """The process says one thing and stays."""
    return {1: {1: name}, 2: {1: IMAGE}, 3: ["sh", "-c", "echo said; exec sleep 1000"], 5: "/bin", 6: [{1: "A", 2: "b"}],
            7: [{1: "/x", 2: f"{scratch}/volume", 3: 1}], 11: f"{name}.log", 15: {1: limits, 2: security}}


# Limits, security context, and how it ends: SIGTERM does not end a pid namespace's first process.
CONTAINERS = {
    "strict": ({3: 512, 4: 67108864},
               {1: {2: ["ALL"]}, 3: {2: OWN}, 5: {1: 7}, 7: 1, 11: 1, 13: ["/proc/kcore"], 14: ["/proc/sys"], 15: {1: 0}}, 137),
    "shares": ({}, {3: {2: 0}, 15: {1: 1}}, 143),  # the pod's pid namespace
}
# (container, words of ExecSync, status, what the output has, what it needs)
EXEC = [
    ("strict", "hostname", 0, "there"),
    ("strict", "sh -c 'pwd; echo $A'", 0, "/bin\nb"),
    ("strict", "cat /x/file", 0, "volume"),
    ("strict", "touch /x/y", 1, "Read-only"),
    ("strict", "touch /y", 1, "Read-only"),
    ("strict", "id -u", 0, "7"),
    ("strict", "grep CapBnd /proc/self/status", 0, "0000000000000000"),
    ("strict", "grep NoNewPrivs /proc/self/status", 0, "1"),
    ("strict", "grep Seccomp: /proc/self/status", 0, "2", "seccomp"),
    ("strict", "cat /proc/1/cmdline", 0, "1000\0"),
    ("strict", "sh -c 'exit 5'", 5, ""),
    ("strict", "nosuchcommand", "UNKNOWN", "not found"),
    ("strict", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", 0, "67108864", "v1"),
    ("strict", "cat /sys/fs/cgroup/memory.max", 0, "67108864", "v2"),
    ("strict", "cat /sys/class/net/eth0/address", 0, ":", CNI),
    ("shares", "cat /proc/1/cmdline", 0, "100000\0"),  # the pod's own process
    ("shares", "cat /sys/class/net/eth0/address", 0, ":", CNI),
    ("shares", "grep Seccomp: /proc/self/status", 0, "\t0"),
]


def config(scratch, runtime, systemd):
    return (f'version = 2\nroot = "{scratch}/root"\nstate = "/run/containerd"\n'
            'disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", '
            '"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]\n'
            '[grpc]\naddress = "/run/c.sock"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{scratch}/opt"\n'
            f'[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "{IMAGE}"\nrestrict_oom_score_adj = true\n'
            '[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\ndefault_runtime_name = "isle"\n'
            '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.isle]\nruntime_type = "io.containerd.runc.v2"\n'
            '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.isle.options]\n'
            f'BinaryName = "{runtime}"\nSystemdCgroup = {str(systemd).lower()}\n'
            f'[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "{CNI}"\nconf_dir = "{scratch}/net.d"\n')


class Session:
    """One pod's life; each call is judged."""

    def __init__(self, suite, kubelet, scratch, systemd):
        self.suite, self.kubelet, self.scratch = suite, kubelet, scratch
        self.network = 0 if suite.has(CNI) else NODE
        self.limit_file = "memory/memory.limit_in_bytes" if suite.v1 else "memory.max"
        self.pod = pod(scratch, "isle-test.slice" if systemd else "/isle-test", self.network)

    def expect(self, name, message, wanted=""):
        answer, error = self.kubelet.call(name, message)
        self.suite.judge(name, 1 if error else 0, error or str(answer), 0, wanted)
        return answer

    def run(self):
        sandbox = self.expect("RunPodSandbox", {1: self.pod, 2: "isle"}).get(1, b"").decode()
        if not sandbox:
            return
        status = decode(self.expect("PodSandboxStatus", {1: sandbox}).get(1, b""))
        self.suite.judge("the pod's handler", status.get(9), str(status.get(3, 0)), b"isle", "0")
        made = {name: self.start(sandbox, name) for name in CONTAINERS}
        if all(made.values()):
            self.execute(made)
            self.change(made["strict"])
        self.end(sandbox, made)

    def start(self, sandbox, name):
        limits, security, _ = CONTAINERS[name]
        security = security | {3: security[3] | {1: self.network}}
        wish = container(self.scratch, name, limits, security)
        made = self.expect("CreateContainer", {1: sandbox, 2: wish, 3: self.pod}).get(1, b"").decode()
        self.expect("StartContainer", {1: made})
        return made

    def execute(self, made):
        for name, words, status, wanted, *need in EXEC:
            if need and not self.suite.has(need[0]):
                self.suite.skip(need[0])
                continue
            got, output = self.kubelet.execute(made[name], shlex.split(words))
            if isinstance(got, str):
                got = got.split(":")[0]
            self.suite.judge(f"ExecSync in {name}: {words}", got, output, status, wanted)
        late = self.kubelet.execute(made["strict"], ["sleep", "1000"], SHORT_S)[0]
        self.suite.judge("ExecSync that takes too long", str(late).split(":", maxsplit=1)[0], str(late), "DEADLINE_EXCEEDED", "")

    def change(self, name):
        self.expect("UpdateContainerResources", {1: name, 2: {3: 256, 4: 100663296}})
        self.suite.judge("the limit afterwards", *self.kubelet.execute(name, ["cat", f"/sys/fs/cgroup/{self.limit_file}"]), 0, "100663296")
        used = decode(decode(self.expect("ContainerStats", {1: name}).get(1, b"")).get(3, b""))
        self.suite.judge("ContainerStats has memory in use", bool(decode(used.get(2, b"")).get(1)), str(used), True, "")
        log = pathlib.Path(f"{self.scratch}/logs/strict.log")
        self.suite.judge("the container's log", 0, log.read_text() if log.exists() else "", 0, "stdout F said")

    def end(self, sandbox, made):
        for name, each in made.items():
            self.expect("StopContainer", {1: each, 2: SHORT_S})
            status = decode(self.expect("ContainerStatus", {1: each}).get(1, b""))
            self.suite.judge(f"how {name} ended", (status.get(3), status.get(7)), str(status), (EXITED, CONTAINERS[name][2]), "")
            self.expect("RemoveContainer", {1: each})
        self.expect("StopPodSandbox", {1: sandbox})
        self.expect("RemovePodSandbox", {1: sandbox})
        self.suite.judge("no pod is left", self.kubelet.call("ListPodSandbox", {}), "", ({}, ""), "")
        left = [str(path) for path in pathlib.Path("/sys/fs/cgroup").rglob("*isle-test*/*") if path.is_dir()]
        left += [each for each in (sandbox, *made.values()) if pathlib.Path(f"/run/containerd/runc/k8s.io/{each}").exists()]
        self.suite.judge("no cgroup and no state is left", left, "", [], "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default=str(BUILD / "bin/isle-oci"))
    parser.add_argument("--systemd", action="store_true")
    options = parser.parse_args()
    if sys.executable != PYTHON and os.path.exists(PYTHON):
        os.execv(PYTHON, [PYTHON, *sys.argv])
    scratch = in_own_namespaces("isle-cri-", ("containerd", "ctr", "containerd-shim-runc-v2", "busybox"), "--pid", "--fork",
                                "--kill-child", "--mount-proc", as_it_is=options.systemd)
    try:
        import grpc  # from the packages that are unpacked, too
    except ImportError:
        skip("python3-grpcio", f"{sys.executable} has no module grpc")
    cgroups = Cgroups("isle-test")
    if not options.systemd:
        for directory in ("/run", "/var/lib"):
            subprocess.run(["mount", "-t", "tmpfs", "isle-test", directory], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    write_image(scratch / "bb.tar")
    for name in ("volume", "logs", "net.d"):
        (scratch / name).mkdir()
    (scratch / "volume/file").write_text("volume")
    (scratch / "net.d/isle.conflist").write_text(json.dumps(NETWORK).replace("{scratch}", str(scratch)))
    (scratch / "config.toml").write_text(config(scratch, options.runtime, options.systemd))
    ctr = ["ctr", "--address", "/run/c.sock", "--namespace", "k8s.io"]
    suite = Suite(options.runtime)
    daemon = Daemon(scratch, "containerd", ["containerd", "--config", str(scratch / "config.toml")], [*ctr, "version"])
    try:
        subprocess.run([*ctr, "images", "import", "--snapshotter", "native", str(scratch / "bb.tar")], capture_output=True, check=True)
        Session(suite, Kubelet(grpc, "/run/c.sock"), scratch, options.systemd).run()
    finally:
        daemon.end()
        cgroups.remove()
    if suite.failed:
        print("\n".join(line for line in daemon.log.read_text().splitlines() if "level=error" in line))
    return suite.report()


if __name__ == "__main__":
    sys.exit(main())
