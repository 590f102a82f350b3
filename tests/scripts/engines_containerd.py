#!/usr/bin/env python3
"""engines_containerd.py [--runtime PROGRAM] [--systemd]: containerd (by ctr) and docker drive isle-oci.

Their daemons run in mount and network namespaces of the test's own, with all state in one directory; the machine's
services, /var/lib and firewall are not touched. --systemd: cgroups are systemd's scopes, and the machine is used as it is;
for guests that are thrown away.
"""
import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

from engines import BUILD, IMAGE, Cgroups, Daemon, Suite, in_own_namespaces, write_image

# (words, status, what the output has). ctr's `run` wants image, name, command. ENTER is `isle enter` by the container's id.
CTR = [
    ("run --rm {run} bb one echo hello", 0, "hello"),
    ("run --rm {run} bb one sh -c 'exit 7'", 7, ""),
    ("run --rm {run} bb one nosuchcommand", 1, "not found"),
    ("run --rm {run} --memory-limit 67108864 bb one true", 0, ""),
    ("run --rm {run} --env A=b --cwd /bin bb one sh -c 'echo $A; pwd'", 0, "b\n/bin"),
    ("run --rm {run} --mount type=bind,src=/etc,dst=/x,options=rbind:ro bb one sh -c 'cat /x/hostname; touch /x/y'", 1, "Read-only"),
    ("run -d {run} bb c sh -c 'exec sleep 1000'", 0, ""),
    ("task ls", 0, "RUNNING"),
    ("task exec --exec-id e1 c echo inside", 0, "inside"),
    ("task exec --exec-id e2 c sh -c 'exit 5'", 5, ""),
    ("task exec --exec-id e3 --cwd /bin --user 7 c id -u", 0, "7"),
    ("ENTER c cat /proc/1/cmdline", 0, "sleep"),
    ("task ps c", 0, "PID"),
    ("task metrics c", 0, "memory"),
    ("task pause c", 0, ""),
    ("task ls", 0, "PAUSED"),
    ("task resume c", 0, ""),
    ("task ls", 0, "RUNNING"),
    ("task exec --exec-id e4 c cat /proc/1/cgroup", 0, "0::/isle.slice/isle-test.scope", "systemd"),
    ("task checkpoint --image-path {scratch}/criu c", 0, "", "criu"),
    ("container checkpoint --task --image c saved", 0, "", "criu"),
    ("task ls", 0, "RUNNING"),
    ("task kill -s SIGKILL c", 0, ""),
    ("WAIT task ls", 0, "STOPPED"),
    ("task rm c", 0, "137"),
    ("container rm c", 0, ""),
    ("container restore --live c saved", 0, "", "criu"),
    ("task exec --exec-id e5 c echo inside", 0, "inside", "criu"),
    ("task checkpoint --exit --image-path {scratch}/criu2 c", 0, "", "criu"),
    ("WAIT task ls", 0, "STOPPED", "criu"),
    ("task rm c", 0, "", "criu"),
    ("container rm c", 0, "", "criu"),
]
DOCKER = [
    ("run --rm {run} bb echo hello", 0, "hello"),
    ("run --rm {run} bb sh -c 'exit 7'", 7, ""),
    ("run --rm {run} bb nosuchcommand", 127, "not found"),
    ("run --rm {run} bb /etc", 126, "ermission denied"),
    ("run --rm {run} --user 12:34 -w /bin -e A=b bb sh -c 'id -u; pwd; echo $A'", 0, "12\n/bin\nb"),
    ("run --rm {run} --read-only bb touch /x", 1, "Read-only"),
    ("run --rm {run} --cap-drop all bb grep CapEff /proc/self/status", 0, "0000000000000000"),
    ("run --rm {run} --memory 64m --pids-limit 50 bb cat /sys/fs/cgroup/memory/memory.limit_in_bytes", 0, "67108864", "v1"),
    ("run --rm {run} --memory 64m --pids-limit 50 bb cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max", 0, "67108864\n50", "v2"),
    ("run --rm {run} --cgroupns host bb cat /proc/self/cgroup", 0, "0::/system.slice/docker-", "systemd"),
    ("run --rm {run} bb cat /proc/self/attr/current", 0, "docker-default (enforce)", "/sys/kernel/security/apparmor"),
    ("run --rm {run} -v /etc:/x:ro bb touch /x/y", 1, "Read-only"),
    ("run --rm {run} --tmpfs /t:size=1m bb grep /t /proc/mounts", 0, "size=1024k"),
    ("run --rm {run} --init bb cat /proc/1/comm", 0, "init", "docker-init"),
    ("run -d {run} --name box bb sh -c 'echo said; exec sleep 1000'", 0, ""),
    ("ps", 0, "sh -c 'echo said"),
    ("exec box echo inside", 0, "inside"),
    ("exec box sh -c 'exit 5'", 5, ""),
    ("exec box nosuchcommand", 126, ""),
    ("exec -u 5 box id -u", 0, "5"),
    ("ENTER box cat /proc/1/cmdline", 0, "sleep"),
    ("logs box", 0, "said"),
    ("top box", 0, "sleep"),
    ("pause box", 0, ""),
    ("inspect -f '{{.State.Status}} {{.HostConfig.Runtime}}' box", 0, "paused isle"),
    ("unpause box", 0, ""),
    ("update --memory 128m --memory-swap 256m box", 0, ""),
    ("exec box cat /sys/fs/cgroup/memory/memory.limit_in_bytes", 0, "134217728", "v1"),
    ("exec box cat /sys/fs/cgroup/memory.max", 0, "134217728", "v2"),
    ("stats --no-stream box", 0, "box"),
    ("stop -t 0 box", 0, ""),
    ("inspect -f '{{.State.Status}} {{.State.ExitCode}}' box", 0, "exited 137"),
    ("start box", 0, ""),
    ("checkpoint create --leave-running box one", 0, "one", "criu"),
    ("checkpoint create box two", 0, "two", "criu"),
    ("WAIT inspect -f '{{.State.Status}}' box", 0, "exited", "criu"),
    ("start --checkpoint two box", 0, "", "criu"),
    ("exec box cat /proc/1/cmdline", 0, "sleep", "criu"),
    ("rm -f box", 0, ""),
]


def check(suite, who, command, rows, words_of_run):
    for words, status, wanted, *need in rows:
        if need and not suite.has(need[0]):
            suite.skip(need[0])
            continue
        argv = command + shlex.split(words.removeprefix("WAIT ").replace("{run}", words_of_run))
        if words.startswith("ENTER "):
            target, *inside = words.split()[1:]
            if who == "docker":  # whose names are in its data root, which is not the usual one here
                target = suite.run([*command, "inspect", "-f", "{{.Id}}", target])[1][:20]
            argv = [str(BUILD / "bin/isle"), "enter", target, "--", *inside]
        for _ in range(50 if words.startswith("WAIT ") else 1):
            got, output = suite.run(argv)
            if got == status and wanted in output:
                break
            time.sleep(0.1)
        suite.judge(f"{who} {words}", got, output, status, wanted)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default=str(BUILD / "bin/isle-oci"))
    parser.add_argument("--systemd", action="store_true")
    options = parser.parse_args()
    # A pid namespace, so that shims and daemons end with the test.
    scratch = in_own_namespaces("isle-containerd-", ("containerd", "ctr", "containerd-shim-runc-v2", "busybox"), "--pid", "--fork",
                                "--kill-child", "--mount-proc", as_it_is=options.systemd)
    cgroups = Cgroups("docker", "default", "moby")
    for directory in ("/run", "/var/lib/containerd", "/var/lib/docker", "/etc/docker"):
        if os.path.isdir(directory) and not options.systemd:
            subprocess.run(["mount", "-t", "tmpfs", "isle-test", directory], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    write_image(scratch / "bb.tar")
    (scratch / "config.toml").write_text(
        f'version = 2\nroot = "{scratch}/root"\nstate = "/run/containerd"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", '
        '"io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]\n'
        '[grpc]\naddress = "/run/c.sock"\n[plugins."io.containerd.internal.v1.opt"]\n'
        f'path = "{scratch}/opt"\n')
    ctr = ["ctr", "--address", "/run/c.sock"]
    suite = Suite(options.runtime, systemd=options.systemd)
    daemons = [Daemon(scratch, "containerd", ["containerd", "--config", str(scratch / "config.toml")], [*ctr, "version"])]
    try:
        imported = subprocess.run([*ctr, "images", "import", "--snapshotter", "native", str(scratch / "bb.tar")], capture_output=True,
                                  text=True, check=False)
        if imported.returncode != 0:
            raise RuntimeError(f"ctr images import: {imported.stderr}")
        rows = [(words.replace(" bb ", f" {IMAGE} ").replace("{scratch}", str(scratch)), *rest) for words, *rest in CTR]
        scope = " --runc-systemd-cgroup --cgroup isle.slice:isle:test" if options.systemd else ""
        check(suite, "ctr", ctr, rows, f"--snapshotter native --runc-binary {options.runtime}{scope}")
        if shutil.which("dockerd") is None:
            suite.skip("docker", len(DOCKER))
        elif not suite.features.get("hooks", ["prestart"]):  # docker sets a container's network up by one
            suite.skip("hooks of the runtime, for docker", len(DOCKER))
        else:
            # The client of docker.io; another of that name may stand before it in PATH.
            client = pathlib.Path(shutil.which("dockerd")).parent.parent / "bin/docker"
            docker = [str(client), "-H", "unix:///run/d.sock"]
            daemons.append(Daemon(scratch, "dockerd", [
                "dockerd", "--data-root", f"{scratch}/docker", "--exec-root", "/run/docker", "--pidfile", "/run/d.pid",
                "-H", "unix:///run/d.sock", "--containerd", "/run/c.sock", "--add-runtime", f"isle={options.runtime}",
                "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
                "--bridge=none", "--experimental", "--exec-opt",
                f"native.cgroupdriver={'systemd' if options.systemd else 'cgroupfs'}"], [*docker, "version"]))
            subprocess.run([*docker, "load", "-i", str(scratch / "bb.tar")], capture_output=True, check=True)
            unconfined = "" if suite.has("seccomp") else " --security-opt seccomp=unconfined"
            check(suite, "docker", docker, DOCKER, "--runtime isle --network none" + unconfined)
    except RuntimeError as error:
        suite.failed.append(str(error))
    finally:
        for daemon in reversed(daemons):
            daemon.end()
        cgroups.remove()
    return suite.report()


if __name__ == "__main__":
    sys.exit(main())
