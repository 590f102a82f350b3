#!/usr/bin/env python3
"""enter_containers.py [WORD]: `isle enter` gets into what crun, runc, isle-oci and podman run, by id, by the beginning of
one and by name, as root and as an ordinary user, each with its state where it keeps it by default.

All happens in a mount namespace with a /run and a /var/lib/containers of its own. A runtime that is not installed is said
to be left out; with none of another's, the test is skipped.
"""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("ISLE_BUILD_DIR", "build/release")).resolve()
UID = 54323
TYPES = "ipc mnt net pid uts".split()
CGROUP = f"/isle-enter-{os.getpid()}"
ONLY = next(iter(sys.argv[1:]), "")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def in_own_mounts():
    if os.environ.get("ISLE_ENTER_INSIDE"):
        return pathlib.Path(os.environ["ISLE_ENTER_INSIDE"])
    if os.geteuid() != 0:
        skip("needs root, to be both root and somebody else")
    if shutil.which("busybox") is None:
        skip("busybox is not installed")
    with tempfile.TemporaryDirectory(prefix="isle-enter-") as scratch:
        os.chmod(scratch, 0o755)
        script = ("mount -t tmpfs none /run && mkdir -p /var/lib/containers && mount -t tmpfs none /var/lib/containers && "
                  "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified || exit; fi && exec \"$@\"")  # crun 1.8 is confused by it
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", sys.executable,
                               *sys.argv], env=os.environ | {"ISLE_ENTER_INSIDE": scratch}, check=False)
    sys.exit(done.returncode)


class Somebody:
    """Root or an ordinary user, with isle and a root file system where both can read them."""

    def __init__(self, scratch, uid):
        self.uid = uid
        self.home = scratch / ("root" if uid == 0 else "user")
        self.rootfs = self.home / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        for name in ("proc", "dev", "sys", "tmp", "etc", "run"):
            (self.rootfs / name).mkdir()
        shutil.copy(shutil.which("busybox"), self.rootfs / "bin/busybox")
        for name in ("sh", "sleep", "readlink", "cat", "hostname"):
            (self.rootfs / "bin" / name).symlink_to("busybox")
        self.run_dir = pathlib.Path("/run" if uid == 0 else f"/run/user/{uid}")
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        if uid:
            self.environment["XDG_RUNTIME_DIR"] = str(self.run_dir)
            subprocess.run(["chown", "-R", f"{uid}:{uid}", self.home, self.run_dir], check=True)

    def argv(self, words):
        own = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"] if self.uid else []
        return [*own, *map(str, words)]

    def run(self, *words, check=True, **more):
        done = subprocess.run(self.argv(words), env=self.environment | more.pop("more_environment", {}), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False, **more)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}: status {done.returncode}: {done.stdout.strip()}")
        return done.stdout

    def bundle(self, name):
        """A bundle of the runtime-spec with a shell that waits."""
        directory = self.home / name
        directory.mkdir()
        namespaces = [{"type": each} for each in ("ipc", "mount", "network", "pid", "uts")]
        linux = {"namespaces": namespaces}
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        if self.uid:
            namespaces.append({"type": "user"})
            one = [{"containerID": 0, "hostID": self.uid, "size": 1}]
            linux |= {"uidMappings": one, "gidMappings": one}
        else:
            linux["cgroupsPath"] = f"{CGROUP}/{name}"
        (directory / "config.json").write_text(json.dumps({
            "ociVersion": "1.0.2", "root": {"path": str(self.rootfs)}, "hostname": name, "mounts": mounts, "linux": linux,
            "process": {"args": ["/bin/sleep", "600"], "cwd": "/", "env": ["PATH=/bin", "WHO=" + name],
                        "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True}}))
        if self.uid:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", directory], check=True)
        return directory


class Check:
    def __init__(self, scratch):
        self.isle = scratch / "isle"
        shutil.copy(BUILD / "bin/isle", self.isle)
        self.rows = self.failures = 0

    def enters(self, who, title, words, pid, hostname):
        """Each of `words` leads into all namespaces of `pid`, which has the given host name and its own root."""
        expected = [os.readlink(f"/proc/{pid}/ns/{each}") for each in TYPES] + [hostname, "busybox"]
        script = "".join(f"readlink /proc/self/ns/{each};" for each in TYPES) + "hostname; readlink /bin/sh"
        for word in words:
            self.rows += 1
            said = who.run(self.isle, "enter", word, "--", "/bin/sh", "-c", script, check=False)
            if said.split() != expected:
                self.failures += 1
                print(f"FAIL: {title}: isle enter {word}: {said.strip()!r}, not {expected}")

    def failed(self, title, error):
        self.failures += 1
        print(f"FAIL: {title}: {error}")


def with_runtime(check, who, runtime, name):
    """The container is called as no other runtime's is: its id is what leads to the state directory."""
    title = f"{name} as uid {who.uid}"
    container = f"{name.replace('-', '')}{who.uid}x"
    options = ["--cgroup-manager=disabled"] if name == "crun" else []
    try:
        log = who.home / f"{name}.log"
        with open(log, "w", encoding="utf-8") as out:
            subprocess.run(who.argv([runtime, *options, "run", "--detach", "--bundle", who.bundle(name), container]),
                           env=who.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60, check=False)
        try:
            state = json.loads(who.run(runtime, "state", container))
        except RuntimeError:
            raise RuntimeError(log.read_text().strip()) from None
        check.enters(who, title, [container, container[:-1]], state["pid"], name)
    except (RuntimeError, json.JSONDecodeError, OSError) as error:
        check.failed(title, error)
    finally:
        who.run(runtime, "delete", "--force", container, check=False)


def with_podman(check, who, runtime, name):
    title = f"podman with {name} as uid {who.uid}"
    conf = who.home / f"{name}.conf"
    conf.write_text(
        "[engine]\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"none\"\nlock_type=\"file\"\n"
        f"runtime=\"it\"\n[engine.runtimes]\nit=[\"{runtime}\"]\n"
        "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n")
    own = {"CONTAINERS_CONF": str(conf), "TMPDIR": str(who.home)}
    podman = ["podman", "--storage-driver=vfs"]
    try:
        container = who.run(*podman, "run", "--detach", "--name", f"called-{name}", "--hostname", "box", "--network", "none",
                            "--cgroup-parent", CGROUP, "--rootfs", who.rootfs, "/bin/sleep", "600", more_environment=own).split()[-1]
        for _ in range(100):
            pid = who.run(*podman, "inspect", "--format", "{{.State.Pid}}", container, more_environment=own).strip()
            if pid.isdigit() and int(pid) > 0:
                break
            time.sleep(0.05)
        check.enters(who, title, [container, container[:12], f"called-{name}"], pid, "box")
    except (RuntimeError, OSError, IndexError) as error:
        check.failed(title, error)
    finally:
        who.run(*podman, "rm", "--force", "--time", "0", f"called-{name}", check=False, more_environment=own)


def main():
    scratch = in_own_mounts()
    runtimes = {name: shutil.which(name) for name in ("crun", "runc")}
    for name in [name for name, path in runtimes.items() if path is None]:
        print(f"left out: {name} is not installed")
        del runtimes[name]
    shutil.copy(BUILD / "bin/isle-oci", scratch / "isle-oci")
    others = len(runtimes)
    runtimes["isle-oci"] = scratch / "isle-oci"
    check = Check(scratch)
    for uid in (0, UID):
        who = Somebody(scratch, uid)
        for name, runtime in runtimes.items():
            if ONLY in f"{name} {uid}":
                with_runtime(check, who, runtime, name)
        if uid == 0 and shutil.which("podman") and shutil.which("conmon") and ONLY in "podman":
            for name in ("runc", "isle-oci"):
                if name in runtimes:
                    with_podman(check, who, runtimes[name], name)
    for top in glob.glob(f"/sys/fs/cgroup/*{CGROUP}") + glob.glob(f"/sys/fs/cgroup{CGROUP}"):
        for directory, _, _ in os.walk(top, topdown=False):
            os.rmdir(directory)
    print(f"{check.rows} times entered, {check.failures} failures")
    if not others:
        skip("neither crun nor runc is installed")
    return 1 if check.failures or not check.rows else 0


if __name__ == "__main__":
    sys.exit(main())
