"""What the tests with real engines have in common: where programs are, what is skipped, how a row is judged, what stays behind.

Programs are taken from PATH and, for packages that are not installed, from what tools/get_engines unpacked below the build
directory.
"""
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("ISLE_BUILD_DIR", "build/release")).resolve()
MUST_RUN = os.environ.get("ISLE_TESTS_MUST_RUN", "").split(",")
UNPACKED = BUILD.parent / "engines"
DEBIAN = UNPACKED / "debian.tar"  # an image's files
TTY = "tty"
IMAGE = "docker.io/library/bb:latest"  # what write_image() writes
NAMES = ("sh", "cat", "echo", "id", "sleep", "true", "hostname", "grep", "tty", "touch", "stat")

os.environ["PATH"] += ":/usr/sbin:/sbin"


def skip(name, why):
    held = name in MUST_RUN or "all" in MUST_RUN
    print(f"needs {name}: {why}" + (" (and ISLE_TESTS_MUST_RUN lists it)" if held else ""))
    sys.exit(1 if held else 77)


def show_unpacked():
    """In this mount namespace, as if they were installed; what is installed stands before them."""
    if not UNPACKED.is_dir():
        return
    for tree in ("/etc", "/usr"):
        subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={tree}:{UNPACKED}{tree}", "unpacked", tree], check=True)


def in_own_namespaces(prefix, programs, *flags, undo=None, as_it_is=False):
    """Starts this again where mounts and network are its own; cgroups stay the machine's. Gives the directory all is in.

    as_it_is: uses the machine itself, and leaves what it wrote.
    """
    inside = os.environ.get("ISLE_ENGINES_INSIDE")
    if inside:
        show_unpacked()
        return pathlib.Path(inside)
    if os.geteuid() != 0:
        skip("root", f"this is uid {os.geteuid()}")
    for program in programs:
        if shutil.which(program) is None and not (UNPACKED / "usr/bin" / program).exists():
            skip(program, f"{program} is not installed")
    if as_it_is:
        return pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    with tempfile.TemporaryDirectory(prefix=prefix, dir="/var/tmp", ignore_cleanup_errors=True) as scratch:
        os.chmod(scratch, 0o755)
        environment = os.environ | {"ISLE_ENGINES_INSIDE": scratch, "TMPDIR": scratch}
        done = subprocess.run(["unshare", "--mount", "--net", "--ipc", *flags, "--propagation", "private", sys.executable, *sys.argv],
                              env=environment, check=False)
        if undo:
            undo(scratch)
    sys.exit(done.returncode)


def features(runtime):
    """What the runtime says of itself."""
    told = subprocess.run([runtime, "features"], capture_output=True, text=True, check=False)
    return json.loads(told.stdout) if told.returncode == 0 else {}


class Cgroups:
    """Removes, at the end, those of these names that were not there at the beginning."""

    def __init__(self, *names):
        self.names = names
        self.before = self.here()

    def here(self):
        return {path for name in self.names for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}") if path.is_dir()}

    def remove(self):
        for path in self.here() - self.before:
            subprocess.run(["find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], stderr=subprocess.DEVNULL, check=False)


class Suite:
    def __init__(self, runtime, *, systemd=False):
        self.features = features(runtime)
        self.systemd = systemd  # makes the cgroups
        self.v1 = not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.passed, self.failed, self.skipped = 0, [], {}

    def has(self, need):
        """need: a program, or one of these."""
        if need in ("", TTY):
            return True
        if need == "seccomp":
            return self.features.get("linux", {}).get("seccomp", {}).get("enabled", True)
        if need == "systemd":
            return self.systemd
        if need == "criu":
            return shutil.which(need) is not None and subprocess.run([need, "check"], capture_output=True, check=False).returncode == 0
        if need == "tmpcopyup":
            return need in self.features.get("mountOptions", [need])
        if need == "pasta and podman 4.4":
            said = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False).stdout
            version = [int(number) for number in re.findall(r"\d+", said)[:2]]
            return version >= [4, 4] and shutil.which("pasta") is not None
        if need == "rootless network":
            return self.has("slirp4netns") or self.has("pasta and podman 4.4")
        if need.startswith("/"):
            return os.path.exists(need)
        if need == "an image of Debian":
            return DEBIAN.exists()
        if need in ("v1", "v2"):
            return (need == "v1") == self.v1
        return pathlib.Path(f"/dev/{need}").exists() if need in ("fuse", "mqueue") else shutil.which(need) is not None

    def skip(self, need, count=1):
        self.skipped[need] = self.skipped.get(need, 0) + count

    def run(self, argv, **more):
        """Status, or "no end", and all that was said."""
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=90, check=False, **more)
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            return "no end", str(late.stdout)

    def judge(self, what, got, output, status, wanted):
        if got == status and wanted in output:
            self.passed += 1
        else:
            self.failed.append(f"{what}\n  status {got}, expected {status}, and {wanted!r} in\n  {output.strip()[-600:]}")

    def report(self):
        """The exit status."""
        for what in self.failed:
            print(f"FAILED: {what}")
        for need, count in self.skipped.items():
            print(f"skipped {count}: needs {need}")
        print(f"{self.passed} passed, {len(self.failed)} failed, {sum(self.skipped.values())} skipped")
        return 1 if self.failed or any(need in MUST_RUN for need in self.skipped) else 0


def layer():
    """The image's one layer, a tar file."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as archive:
        for name in ("bin", "etc", "tmp", "dev", "proc", "sys"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(shutil.which("busybox"), "bin/busybox")
        for name in NAMES:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return text.getvalue()


def write_image(path):
    """As `docker save` writes one."""
    bytes_of_layer = layer()
    digest = hashlib.sha256(bytes_of_layer).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = json.dumps({"architecture": machine, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"]},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in (("layer.tar", bytes_of_layer), ("config.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


class Daemon:
    def __init__(self, scratch, name, argv, ready):
        self.log = pathlib.Path(scratch) / f"{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(300):
            if self.process.poll() is not None:
                break
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError(f"{name} did not start: {self.log.read_text()[-1500:]}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
