"""The OCI runtimes beside each other: one bundle, one cgroup layout, in turns. Part of bench/run.

Everything happens in a mount namespace of its own, with a tmpfs for the bundle and the states. crun refuses a machine
whose controllers are on v1 while a cgroup2 is mounted beside them, so that one is taken away there, for all alike.
"""

import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNTIMES = ("isle-oci", "crun", "runc")
PR_SET_CHILD_SUBREAPER = 36
RESIDENT_LIMIT_KB = 300

# (id, what is compared, sample, limits against crun and runc): wall time, the lower the better.
TIME_ROWS = [
    ("oci_run", "run of true", "run", 0.5, 0.2),
    ("oci_life", "create, start, delete", "life", 0.5, 0.2),
    ("oci_exec", "exec of true", "exec", 0.4, None),
]

INSIDE = """
for line in $(awk '$3 == "cgroup2" {print $2}' /proc/mounts); do
  if grep -q ' cgroup rw' /proc/mounts; then umount "$line" || exit 1; fi
done
mount -t tmpfs -o mode=0700 isle-bench "$1" && shift && exec "$@"
"""


def config(args):
    """What an engine asks for by default, with nothing that only one of the runtimes can do."""
    capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    mount = lambda to, kind, *options: {"destination": to, "type": kind, "source": kind, "options": list(options)}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/", "noNewPrivileges": True,
            "env": ["PATH=/bin", "TERM=xterm"],
            "capabilities": {name: capabilities for name in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": [
            mount("/proc", "proc"),
            mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
            mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
            mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 100},
                          "memory": {"limit": 256 << 20}},
            "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def process_tree_kb(root):
    """Resident memory of all below a process, which has taken its orphans in."""
    total = 0
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                os.waitpid(int(child), os.WNOHANG)  # one that has ended
            except ChildProcessError:
                pass
            if not Path(f"/proc/{child}").exists():
                continue
            for line in Path(f"/proc/{child}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    total += int(line.split()[1])
            total += process_tree_kb(child)
    return total


class Inside:
    """Runs in the namespace; its samples are the JSON it prints."""

    def __init__(self, scratch, lap, true, rounds, runtimes):
        self.scratch, self.lap_program, self.rounds = Path(scratch), lap, rounds
        self.runtimes = {}
        self.why = {}
        for name, args in (("true", ["/bin/true"]), ("sleep", ["/bin/busybox", "sleep", "1000"])):
            bundle = self.scratch / name
            (bundle / "rootfs/bin").mkdir(parents=True)
            for directory in ("proc", "sys", "dev"):
                (bundle / "rootfs" / directory).mkdir()
            shutil.copy(true, bundle / "rootfs/bin/true")
            if name == "sleep":
                shutil.copy(shutil.which("busybox"), bundle / "rootfs/bin/busybox")
            (bundle / "config.json").write_text(json.dumps(config(args)))
        for name, program in runtimes.items():
            tried = subprocess.run(self.argv(name, program, "run", "true", "try"), stdin=subprocess.DEVNULL,
                                   capture_output=True, text=True, check=False)
            if tried.returncode == 0:
                self.runtimes[name] = program
            else:
                self.why[name] = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[0]

    def argv(self, name, program, verb, bundle, container):
        root = [program, "--root", str(self.scratch / f"state-{name}"), verb]
        where = ["--bundle", str(self.scratch / bundle)] if verb in ("run", "create") else []
        force = ["--force"] if verb == "delete" else []
        return root + force + where + [container] + (["/bin/true"] if verb == "exec" else [])

    def lap(self, rows, *options):
        words = [self.lap_program, *options]
        for row in rows:
            for i, argv in enumerate(row):
                words += [":::" if i == 0 else "::+", *argv]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"lap: {done.stderr}")
        return json.loads(done.stdout)["commands"]

    def rows(self, *verbs, bundle="true", container="c{n}"):
        return [[self.argv(name, program, verb, bundle, container) for verb in verbs]
                for name, program in self.runtimes.items()]

    def throughput(self, many, rounds):
        """By turns, since the kernel still takes apart what the one left when it is the next one's turn."""
        told = [{"wall_ns": [], "failed": 0} for _ in self.runtimes]
        for _ in range(rounds):
            for name, row, mine in zip(self.runtimes, self.rows("run"), told):
                if name == "runc":  # has no limit here, and most to leave
                    continue
                time.sleep(0.5)
                done = self.lap([row], "-n", str(many), "-j", "8", "-w", "16")[0]
                mine["wall_ns"] += done["wall_ns"]
                mine["failed"] += done["failed"]
        return told

    def resident_kb(self, name, program):
        container = f"resident-{name}"
        subprocess.run(self.argv(name, program, "create", "sleep", container), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        time.sleep(0.2)  # what only carried it has ended by then
        try:
            return process_tree_kb(os.getpid())
        finally:
            subprocess.run(self.argv(name, program, "delete", "sleep", container), check=True)

    def measure(self, quick):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        told = {"why": self.why, "names": list(self.runtimes), "failed": []}
        if not self.runtimes:
            return told
        options = ("-n", str(self.rounds), "-w", "3")
        told["run"] = self.lap(self.rows("run"), *options)
        told["life"] = self.lap(self.rows("create", "start", "delete"), *options)
        for name, program in self.runtimes.items():
            subprocess.run(self.argv(name, program, "create", "sleep", f"s-{name}"), stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            subprocess.run(self.argv(name, program, "start", "sleep", f"s-{name}"), check=True)
        told["exec"] = self.lap([[self.argv(name, program, "exec", "sleep", f"s-{name}")]
                                 for name, program in self.runtimes.items()], *options)
        for name, program in self.runtimes.items():
            subprocess.run(self.argv(name, program, "delete", "sleep", f"s-{name}"), check=True)
        many = 100 if quick else 500
        told["many"] = many
        told["throughput"] = self.throughput(many, 1 if quick else 5)
        told["resident_kb"] = {name: self.resident_kb(name, program) for name, program in self.runtimes.items()}
        return told


def measure(bench, quick):
    """Adds the rows to `bench`, a Bench of bench/run."""
    missing = None
    if os.geteuid() != 0:
        missing = "needs root"
    elif not bench.has("isle-oci"):
        missing = "isle-oci is not built"
    elif shutil.which("busybox") is None:
        missing = "busybox is not installed"
    if missing is None:
        bench.progress.show("OCI runtimes")
        told = run_inside(bench, quick)
        missing = told["why"].get("isle-oci")
    if missing is not None:
        bench.add("oci", "OCI runtimes", why=missing)
        return
    samples = {name: {key: told[key][i] for key in ("run", "life", "exec", "throughput")}
               for i, name in enumerate(told["names"])}
    for name, sample in samples.items():
        for key, command in sample.items():
            if command["failed"]:
                bench.failures.append(f"{name}: {key}: failed {command['failed']} times")
    for key, what, sample, *limits in TIME_ROWS:
        for rival, limit in zip(RUNTIMES[1:], limits):
            if rival not in samples:
                bench.add(f"{key}_vs_{rival}", f"{what} / {rival}", limit=limit, why=told["why"].get(rival, "not installed"))
                continue
            a, b = samples["isle-oci"][sample]["wall_ns"], samples[rival][sample]["wall_ns"]
            bench.add_samples(f"{key}_vs_{rival}", f"{what} / {rival}", a, b, limit)
    if "crun" not in samples:
        return
    ours, theirs = samples["isle-oci"], samples["crun"]
    rates = [told["many"] / (statistics.median(s["throughput"]["wall_ns"]) / 1e9) for s in (ours, theirs)]
    bench.add("oci_throughput", f"{told['many']} containers, 8 at a time / crun", *rates, "/s", 2.0, better="higher")
    peaks = [statistics.median(s["run"]["maxrss_kb"]) for s in (ours, theirs)]
    bench.add("oci_memory", "peak memory of run / crun", *peaks, "kB", 1.0)
    bench.add("oci_resident", "resident, a container created", told["resident_kb"]["isle-oci"], RESIDENT_LIMIT_KB, "kB", 1.0,
              note=f"crun {told['resident_kb']['crun']} kB")


def run_inside(bench, quick):
    runtimes = {name: str(bench.programs[name]) for name in RUNTIMES if bench.has(name)}
    with tempfile.TemporaryDirectory(prefix="isle-bench-oci-") as scratch:
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh", scratch,
                 "python3", __file__, scratch, str(bench.programs["lap"]), str(bench.programs["true"]),
                 str(bench.rounds // 2), json.dumps(runtimes), "quick" if quick else ""]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"why": {"isle-oci": (done.stderr.strip().splitlines() or ["?"])[-1]}}
    return json.loads(done.stdout)


if __name__ == "__main__":
    scratch, lap, true, rounds, runtimes, quick = sys.argv[1:]
    print(json.dumps(Inside(scratch, lap, true, int(rounds), json.loads(runtimes)).measure(bool(quick))))
