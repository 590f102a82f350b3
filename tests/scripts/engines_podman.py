#!/usr/bin/env python3
"""engines_podman.py [--runtime PROGRAM] [WORD]: podman and buildah drive isle-oci, as root and as an ordinary user.

Each row of CASES is a podman command line, the status it is to end with, and words its output is to have. With
--runtime the same is asked of another runtime. All happens in mount, network and user-id files of the test's own: images
of busybox, states, networks and locks are in one directory, and nothing of the machine's /etc/containers, /var/lib or
firewall is touched.
"""
import argparse
import json
import os
import pathlib
import pty
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("ISLE_BUILD_DIR", "build/release")).resolve()
MUST_RUN = os.environ.get("ISLE_TESTS_MUST_RUN", "").split(",")
UID = 54322
SUBIDS = "containers:200000:65536\nengineuser:300000:65536\n"
COMMON = ["--network", "none"]
FEATURES = {}  # what the runtime says of itself


def skip(name, why):
    held = name in MUST_RUN or "all" in MUST_RUN
    print(f"needs {name}: {why}" + (" (and ISLE_TESTS_MUST_RUN lists it)" if held else ""))
    sys.exit(1 if held else 77)


def in_own_namespaces():
    """Starts this again where mounts and network are its own; cgroups stay the machine's, with a parent of ours."""
    if os.environ.get("ISLE_ENGINES_INSIDE"):
        return
    if os.geteuid() != 0:
        skip("root", f"this is uid {os.geteuid()}")
    for program in ("podman", "conmon", "busybox"):
        if shutil.which(program) is None:
            skip(program, f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="isle-podman-", dir="/var/tmp") as scratch:
        os.chmod(scratch, 0o755)
        environment = os.environ | {"ISLE_ENGINES_INSIDE": scratch, "TMPDIR": scratch}
        done = subprocess.run(["unshare", "--mount", "--net", "--ipc", "--propagation", "private", sys.executable,
                               *sys.argv], env=environment, check=False)
        subprocess.run(["unshare", "--mount", "rm", "-rf", "--one-file-system", f"{scratch}/root", f"{scratch}/user"],
                       check=False)
    sys.exit(done.returncode)


class Podman:
    """One user's podman: its files are below `home`."""

    def __init__(self, scratch, runtime, uid):
        self.home = pathlib.Path(scratch) / ("root" if uid == 0 else "user")
        self.uid = uid
        for name in ("run", "tmp", "store", "net", "context"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "containers.conf").write_text(
            "[engine]\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\nlock_type=\"file\"\n"
            f"runtime=\"isle\"\nruntime_supports_json=[\"isle\"]\nruntime_supports_nocgroups=[\"isle\"]\n"
            f"tmp_dir=\"{self.home}/tmp\"\n[engine.runtimes]\nisle=[\"{runtime}\"]\n"
            # A test's machine may have no right to raise limits.
            "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n"
            f"[network]\nnetwork_config_dir=\"{self.home}/net\"\n")
        (self.home / "storage.conf").write_text(
            f"[storage]\ndriver=\"vfs\"\ngraphroot=\"{self.home}/store\"\nrunroot=\"{self.home}/run\"\n")
        (self.home / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": f"{self.home}/run", "TMPDIR": f"{self.home}/tmp",
            "CONTAINERS_CONF": f"{self.home}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{self.home}/storage.conf",
            "BUILDAH_RUNTIME": runtime, "LANG": "C.UTF-8",
        }
        self.make_image()
        if uid != 0:
            subprocess.run(["chown", "-R", f"{uid}:{uid}", str(self.home)], check=True)

    def make_image(self):
        image = self.home / "context/image/bin"
        image.mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), image / "busybox")
        for name in ("sh", "cat", "echo", "id", "ls", "sleep", "ps", "true", "false", "hostname", "mount", "grep", "touch",
                     "tty", "wget", "ip", "mkdir", "stat"):
            (image / name).symlink_to("busybox")
        (self.home / "context/Containerfile").write_text("FROM bb\nRUN echo built > /made\nRUN cat /made\nCMD cat /made\n")
        (self.home / "context/pod.yaml").write_text(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: kube}\nspec:\n  hostNetwork: true\n  containers:\n"
            "  - {name: one, image: localhost/bb, imagePullPolicy: Never, command: [sleep, '1000']}\n"
            "  - {name: two, image: localhost/bb, imagePullPolicy: Never, command: [sleep, '1000']}\n")

    def argv(self, words):
        own = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"] if self.uid else []
        return [*own, *words]

    def run(self, *words, program="podman", **more):
        return subprocess.run(self.argv([program, *words]), env=self.environment, cwd=self.home / "context", text=True,
                              stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=90, check=False, **more)

    def import_image(self):
        archive = self.home / "context/bb.tar"
        subprocess.run(["tar", "-C", self.home / "context/image", "-cf", archive, "."], check=True)
        return self.run("import", str(archive), "bb")

    def on_terminal(self, *words):
        """What a command says on a terminal of its own."""
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.home / "context")
            argv = self.argv(["podman", *words])
            os.execvpe(argv[0], argv, self.environment)
        text = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
        _, status = os.waitpid(pid, 0)
        os.close(master)
        return os.waitstatus_to_exitcode(status), text.decode(errors="replace")


# (words, status, what the output has). "!x": what it has not. TTY: on a terminal.
TTY = "tty"
BOTH = [
    ("run --rm bb echo hello", 0, "hello"),
    ("run --rm bb sh -c 'exit 7'", 7, ""),
    ("run --rm bb nosuchcommand", 127, "not found"),
    ("run --rm bb /etc", 126, ""),
    ("run --rm --read-only bb touch /x", 1, "Read-only", "tmpcopyup"),
    ("run --rm --read-only bb touch /tmp/x", 0, "", "tmpcopyup"),
    ("run --rm --init bb sh -c 'cat /proc/1/comm'", 0, "init", "catatonit"),
    ("run --rm --cap-drop all bb grep CapEff /proc/self/status", 0, "0000000000000000"),
    ("run --rm --cap-add net_admin bb grep CapEff /proc/self/status", 0, "CapEff"),
    ("run --rm --security-opt no-new-privileges bb grep NoNewPrivs /proc/self/status", 0, "1"),
    ("run --rm --security-opt seccomp=unconfined bb grep Seccomp: /proc/self/status", 0, "\t0"),
    ("run --rm bb grep Seccomp: /proc/self/status", 0, "\t2", "seccomp"),
    ("run --rm --hostname there bb hostname", 0, "there"),
    ("run --rm -e A=b bb sh -c 'echo $A'", 0, "b"),
    ("run --rm -w /bin bb sh -c pwd", 0, "/bin"),
    ("run --rm --user 12:34 bb id", 0, "uid=12 gid=34"),
    ("run --rm -v {context}/image:/x:ro bb sh -c 'ls /x; touch /x/y'", 1, "bin"),
    ("run --rm -v {context}/image:/x:ro,rslave,noexec bb /x/bin/true", 126, "denied"),
    ("run --rm --tmpfs /t:size=1m,mode=700 bb stat -c %a /t", 0, "700", "tmpcopyup"),
    ("run --rm --mount type=bind,src={context}/image,dst=/x,ro bb ls /x", 0, "bin"),
    ("run --rm --pid host bb true", 0, ""),
    ("run --rm --ipc host --uts host bb true", 0, "", "mqueue"),
    ("run --rm --shm-size 2m bb sh -c 'grep /dev/shm /proc/mounts'", 0, "2048k"),
    ("run --rm --sysctl kernel.msgmax=9000 bb cat /proc/sys/kernel/msgmax", 0, "9000"),
    ("run --rm --oom-score-adj 500 bb cat /proc/self/oom_score_adj", 0, "500"),
    ("run --rm -it bb tty", 0, "/dev/pts/0", TTY),
    ("run -d --name d bb sh -c 'echo said; exec sleep 1000'", 0, ""),
    ("exec d echo inside", 0, "inside"),
    ("exec d sh -c 'exit 5'", 5, ""),
    ("exec d nosuchcommand", 127, ""),
    ("exec --user 5 -w /bin -e X=y d sh -c 'id -u; pwd; echo $X'", 0, "5\n/bin\ny"),
    ("exec -it d tty", 0, "/dev/pts/", TTY),
    ("exec -d d sleep 1000", 0, ""),
    ("logs d", 0, "said"),
    ("ps", 0, "sh -c echo said"),
    ("top d", 0, "sleep"),
    ("inspect -f '{{.State.Status}} {{.OCIRuntime}}' d", 0, "running isle"),
    ("kill -s USR1 d", 0, "d"),
    ("stop -t 0 d", 0, "d"),
    ("inspect -f '{{.State.Status}} {{.State.ExitCode}}' d", 0, "exited 137"),
    ("start d", 0, "d"),
    ("rm -f -t 0 d", 0, "d"),
    ("run -d --name h --health-cmd true bb sleep 1000", 0, ""),
    ("healthcheck run h", 0, ""),
    ("rm -f -t 0 h", 0, ""),
    ("pod create --name p --network none --share net,ipc,uts --infra-name p-infra --infra-image localhost/bb --infra-command 'sleep 1000'", 0, "", "seccomp", "nonet"),
    ("run -d --pod p --name p1 bb sleep 1000", 0, "", "seccomp", "nonet"),
    ("run --rm --pod p bb sh -c 'stat -L -c %i /proc/self/ns/ipc'", 0, "", "seccomp", "nonet"),
    ("pod rm -f -t 0 p", 0, "", "seccomp", "nonet"),
    ("play kube pod.yaml", 0, "", "seccomp", "nonet"),
    ("exec kube-one echo kube", 0, "kube", "seccomp", "nonet"),
    ("play kube --down pod.yaml", 0, "", "seccomp", "nonet"),
]
ROOT = [
    ("run --rm --memory 64m --pids-limit 50 bb sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max'",
     0, "67108864\n50", "v1"),
    ("run --rm --memory 64m --pids-limit 50 bb sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'", 0, "67108864\n50", "v2"),
    ("run --rm --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 bb true", 0, ""),
    ("run -d --name r bb sleep 1000", 0, ""),
    ("pause r", 0, ""),
    ("inspect -f '{{.State.Status}}' r", 0, "paused"),
    ("exec r true", 255, ""),
    ("unpause r", 0, ""),
    ("update --memory 128m --cpus 0.3 r", 0, ""),
    ("exec r cat /sys/fs/cgroup/memory/memory.limit_in_bytes", 0, "134217728", "v1"),
    ("exec r cat /sys/fs/cgroup/memory.max", 0, "134217728", "v2"),
    ("stats --no-stream r", 0, "r"),
    ("rm -f -t 0 r", 0, ""),
    ("run --rm --userns=auto bb cat /proc/self/uid_map", 0, "200000"),
    ("run --rm --device /dev/fuse:/dev/x:r bb sh -c 'test -c /dev/x'", 0, "", "fuse"),
    ("run --rm --network bridge bb ip -o link", 0, "eth0", "", "nonet"),
    ("run --rm --network slirp4netns bb ip -o link", 0, "tap0", "slirp4netns", "nonet"),
]
BUILDAH = [("build --isolation oci -t made .", 0, "built", "seccomp")]


def available(need):
    if need in ("", TTY):
        return True
    if need == "seccomp":
        return FEATURES.get("linux", {}).get("seccomp", {}).get("enabled", True)
    if need == "tmpcopyup":
        return need in FEATURES.get("mountOptions", [need])
    if need in ("v1", "v2"):
        return (need == "v2") == pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return pathlib.Path(f"/dev/{need}").exists() if need in ("fuse", "mqueue") else shutil.which(need) is not None


class Suite:
    def __init__(self, only):
        self.only = only
        self.passed, self.failed, self.skipped = 0, [], {}

    def check(self, podman, row, program="podman"):
        words, status, wanted, need, net = (*row, "", "")[:5]
        if self.only and self.only not in words and "run -d" not in words:
            return
        who = f"{program} (uid {podman.uid})"
        if not available(need):
            self.skipped[need] = self.skipped.get(need, 0) + 1
            return
        argv = shlex.split(words.replace("{{", "\0").replace("{context}", str(podman.home / "context")).replace("\0", "{{"))
        if argv[0] == "run" and net != "nonet":
            argv[1:1] = COMMON
        if argv[0] == "run" and not available("seccomp"):
            argv[1:1] = ["--security-opt", "seccomp=unconfined"]
        if argv[0] == "build" and program == "buildah":
            argv[1:1] = ["--network", "none", "--pull-never"]
        try:
            if need == TTY:
                got, output = podman.on_terminal(*argv)
            else:
                done = podman.run(*argv, program=program)
                got, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            got, output = "no end", str(late.stdout)
        if got == status and wanted in output:
            self.passed += 1
        else:
            self.failed.append(f"{who} {words}\n  status {got}, expected {status}, and {wanted!r} in\n  {output.strip()[-600:]}")


def clean_up(podman):
    podman.run("pod", "rm", "-f", "-a", "-t", "0")
    podman.run("rm", "-f", "-a", "-t", "0")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default=str(BUILD / "bin/isle-oci"))
    parser.add_argument("only", nargs="?", default="")
    options = parser.parse_args()
    in_own_namespaces()
    told = subprocess.run([options.runtime, "features"], capture_output=True, text=True, check=False)
    FEATURES.update(json.loads(told.stdout) if told.returncode == 0 else {})
    scratch = os.environ["ISLE_ENGINES_INSIDE"]
    ours = pathlib.Path(scratch) / "etc"
    ours.mkdir()
    (ours / "subid").write_text(SUBIDS)
    (ours / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    (ours / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + f"engineuser:x:{UID}:{UID}::{scratch}/user:/bin/sh\n")
    for file in ("subuid", "subgid"):
        subprocess.run(["mount", "--bind", ours / "subid", f"/etc/{file}"], check=True)
    subprocess.run(["mount", "--bind", ours / "passwd", "/etc/passwd"], check=True)
    for directory in ("/run", "/dev/shm", "/var/lib/containers" if os.path.isdir("/var/lib/containers") else "/run"):
        subprocess.run(["mount", "-t", "tmpfs", "isle-test", directory], check=True)
    if pathlib.Path("/etc/containers/policy.json").exists():
        subprocess.run(["mount", "--bind", ours / "policy.json", "/etc/containers/policy.json"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    before = {str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("*/libpod_parent")}
    suite = Suite(options.only)
    for uid, rows in ((0, BOTH + ROOT), (UID, BOTH)):
        if uid != 0 and shutil.which("newuidmap") is None:
            suite.skipped["newuidmap"] = len(rows)
            continue
        podman = Podman(scratch, options.runtime, uid)
        try:
            made = podman.import_image()
            if made.returncode != 0:
                suite.failed.append(f"uid {uid}: podman import: {made.stdout.strip()[-400:]}")
                continue
            for row in rows:
                suite.check(podman, row)
            if shutil.which("buildah") is None:
                suite.skipped["buildah"] = len(BUILDAH)
            else:
                for row in BUILDAH:
                    suite.check(podman, row, "buildah")
        finally:
            clean_up(podman)
    for path in pathlib.Path("/sys/fs/cgroup").glob("*/libpod_parent"):
        if str(path) not in before:
            subprocess.run(["find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], stderr=subprocess.DEVNULL, check=False)
    for what in suite.failed:
        print(f"FAILED: {what}")
    for need, count in suite.skipped.items():
        print(f"skipped {count}: needs {need}")
    print(f"{suite.passed} passed, {len(suite.failed)} failed, {sum(suite.skipped.values())} skipped")
    held = [need for need in suite.skipped if need in MUST_RUN]
    return 1 if suite.failed or held else 0


if __name__ == "__main__":
    sys.exit(main())
