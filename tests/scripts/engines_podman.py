#!/usr/bin/env python3
"""engines_podman.py [--runtime PROGRAM] [WORD]: podman and buildah drive isle-oci, as root and as an ordinary user.

Each row of CASES is a podman command line, the status it is to end with, and words its output is to have. With
--runtime the same is asked of another runtime. All happens in mount, network and user-id files of the test's own: images
of busybox, states, networks and locks are in one directory, and nothing of the machine's /etc/containers, /var/lib or
firewall is touched.
"""
import argparse
import os
import pathlib
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time

from engines import BUILD, DEBIAN, TTY, Cgroups, Suite, in_own_namespaces

UID = 54322
SUBIDS = "containers:200000:65536\nengineuser:300000:65536\n"
UNMAPPED_GID = 54399  # a group of the ordinary user's
UPLINK, UPLINK_ADDRESS = "uplink0", "192.0.2.7/24"  # what pasta takes for the machine's
COMMON = ["--network", "none"]


def remove_stores(scratch):
    """Where an overlay may still be mounted, in a mount namespace without it."""
    subprocess.run(["unshare", "--mount", "rm", "-rf", "--one-file-system", f"{scratch}/root", f"{scratch}/user"], check=False)


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
        own = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", f"--groups={UNMAPPED_GID}"] if self.uid else []
        return [*own, *words]

    def run(self, suite, *words, program="podman"):
        return suite.run(self.argv([program, *words]), env=self.environment, cwd=self.home / "context")

    def import_image(self, suite):
        archive = self.home / "context/bb.tar"
        subprocess.run(["tar", "-C", self.home / "context/image", "-cf", archive, "."], check=True)
        return self.run(suite, "import", str(archive), "bb")

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


# (words, status, what the output has, what it needs, "nonet": with the network it names). TTY: on a terminal.
BOTH = [
    ("run --rm bb echo hello", 0, "hello"),
    ("run --rm bb sh -c 'exit 7'", 7, ""),
    ("run --rm bb nosuchcommand", 127, "not found"),
    ("run --rm bb /etc", 126, "OCI permission denied"),
    ("run --rm bb grep SigIgn /proc/self/status", 0, "0000000000000000"),  # conmon ignores SIGPIPE
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
    ("pod create --name q --share net,ipc,uts --infra-name q-infra --infra-image localhost/bb --infra-command 'sleep 1000'", 0, "", "seccomp"),
    ("run -d --pod q --name q1 bb sleep 1000", 0, "", "seccomp", "nonet"),
    ("exec q1 ip -o link", 0, "eth0", "seccomp"),
    ("run --rm --pod q bb ip -o link", 0, "eth0", "seccomp", "nonet"),
    ("pod stats --no-stream q", 0, "q1", "seccomp"),
    ("pod rm -f -t 0 q", 0, "", "seccomp"),
    ("run -d --name u --health-cmd 'exit 3' --health-retries 1 bb sleep 1000", 0, ""),
    ("healthcheck run u", 1, "unhealthy"),
    ("rm -f -t 0 u", 0, ""),
]
USER = [
    ("run --rm bb id", 0, "uid=0 gid=0\n"),
    ("run --rm --group-add keep-groups bb id", 0, "65534"),
    ("run -d --name n bb sleep 1000", 0, ""),
    ("update n", 0, ""),  # without a cgroup
    ("rm -f -t 0 n", 0, ""),
    ("run --rm --network bridge bb ip -o link", 0, "eth0", "rootless network", "nonet"),
    ("run --rm --network slirp4netns bb ip -o link", 0, "tap0", "slirp4netns", "nonet"),
    ("run --rm --network pasta bb ip -o addr", 0, f"{UPLINK} ", "pasta and podman 4.4", "nonet"),
    ("run --rm --network pasta --publish 8080:80 bb ip -o addr", 0, UPLINK_ADDRESS, "pasta and podman 4.4", "nonet"),
]
# A whole distribution's image, as debootstrap makes it.
DEBIAN_ROWS = [
    ("run --rm debian dpkg --version", 0, "package management"),
    ("run --rm debian ls -l /dev/pts/ptmx /bin/sh", 0, "dash"),
    ("run --rm --user games debian id", 0, "uid=5(games) gid=60(games)"),
    ("run --rm --group-add adm --user www-data debian id", 0, "4(adm)"),
    ("run --rm debian su -s /bin/sh -c 'id -un' nobody", 0, "nobody"),
    ("run --rm --user nobody debian su -c id", 1, "Authentication failure"),
    ("run --rm --security-opt no-new-privileges --user nobody debian su -c id", 1, ""),
    ("run --rm --cap-drop all debian su -s /bin/sh -c id nobody", 1, "set groups"),
    ("run --rm debian sh -c 'useradd -m new && su - new -c pwd'", 0, "/home/new"),
    ("run --rm debian perl -e 'print join q( ), map { -e qq(/proc/$_) ? 1 : 0 } qw(self sys)'", 0, "1 1"),
    ("run --rm --read-only debian touch /etc/x", 1, "Read-only"),
    ("run --rm -it debian sh -c 'tty; stty size'", 0, "/dev/pts/0", TTY),
]
BUILDAH = [("build --isolation oci -t made .", 0, "built", "seccomp")]


def check(suite, podman, row, only, program="podman"):
    words, status, wanted, need, net = (*row, "", "")[:5]
    if only and only not in words and "run -d" not in words:
        return
    if not suite.has(need):
        suite.skip(need)
        return
    argv = shlex.split(words.replace("{{", "\0").replace("{context}", str(podman.home / "context")).replace("\0", "{{"))
    if argv[0] == "run" and net != "nonet":
        argv[1:1] = COMMON
    if argv[0] == "run" and not suite.has("seccomp"):
        argv[1:1] = ["--security-opt", "seccomp=unconfined"]
    if argv[0] == "build" and program == "buildah":
        argv[1:1] = ["--network", "none", "--pull-never"]
    got, output = podman.on_terminal(*argv) if need == TTY else podman.run(suite, *argv, program=program)
    suite.judge(f"{program} (uid {podman.uid}) {words}", got, output, status, wanted)


def clean_up(suite, podman):
    podman.run(suite, "pod", "rm", "-f", "-a", "-t", "0")
    podman.run(suite, "rm", "-f", "-a", "-t", "0")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default=str(BUILD / "bin/isle-oci"))
    parser.add_argument("only", nargs="?", default="")
    options = parser.parse_args()
    scratch = in_own_namespaces("isle-podman-", ("podman", "conmon", "busybox"), undo=remove_stores)
    ours = scratch / "etc"
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
    subprocess.run(["mount", "-t", "tmpfs", "isle-test", "/dev/net"], check=True)
    subprocess.run(["mknod", "-m", "666", "/dev/net/tun", "c", "10", "200"], check=True)  # everybody's, as udev has it
    for words in ("link set lo up", f"link add {UPLINK} type veth peer name uplink1", f"addr add {UPLINK_ADDRESS} dev {UPLINK}",
                  "link set uplink1 up", f"link set {UPLINK} up", f"route add default via 192.0.2.1 dev {UPLINK}"):
        subprocess.run(["ip", *words.split()], check=True)
    cgroups = Cgroups("libpod_parent")
    runtime = shutil.copy(options.runtime, scratch)  # where an ordinary user can reach it, too
    suite = Suite(runtime)
    for uid, rows in ((0, BOTH + ROOT), (UID, BOTH + USER)):
        if uid != 0 and shutil.which("newuidmap") is None:
            suite.skip("newuidmap", len(rows))
            continue
        podman = Podman(scratch, runtime, uid)
        try:
            got, output = podman.import_image(suite)
            if got != 0:
                suite.failed.append(f"uid {uid}: podman import: {output.strip()[-400:]}")
                continue
            for row in rows:
                check(suite, podman, row, options.only)
            if not suite.has("an image of Debian"):
                suite.skip("an image of Debian", len(DEBIAN_ROWS))
            else:
                shutil.copy(DEBIAN, podman.home / "context/debian.tar")
                suite.judge("podman import of Debian", *podman.run(suite, "import", "debian.tar", "debian"), 0, "")
                for row in DEBIAN_ROWS:
                    check(suite, podman, row, options.only)
            if not suite.has("buildah"):
                suite.skip("buildah", len(BUILDAH))
                continue
            for row in BUILDAH:
                check(suite, podman, row, options.only, "buildah")
        finally:
            clean_up(suite, podman)
    cgroups.remove()
    return suite.report()


if __name__ == "__main__":
    sys.exit(main())
