#!/usr/bin/env python3
"""util_linux_parity.py [-v] [WORD]: command lines of unshare(1) and nsenter(1), each given to the machine's util-linux
and to isle's fronts, as root and as an ordinary user: the same status, namespaces, ids, output. WORD: only lines with it.

Where the two are meant to differ, DIFFERENCES has the line and the reason; one that differs no more is a failure, too.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

UID = 54321
TYPES = "cgroup ipc mnt net pid pid_for_children time time_for_children user uts".split()
BUILD = pathlib.Path(os.environ.get("ISLE_BUILD_DIR", "build/release"))
SANITIZERS = re.search(r"^ISLE_INSTRUMENT:STRING=(.*-fsanitize.*)", (BUILD / "CMakeCache.txt").read_text(), re.M)
if SANITIZERS and "thread" in SANITIZERS[1]:
    print("the fronts have one thread: the thread sanitizer has nothing to see")
    sys.exit(77)
# Looking for leaks at the end takes /proc, which is not there under another root.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0"} if SANITIZERS else {}

# What a command sees of itself. In a new pid namespace without a proc of its own there is no /proc/self.
PROBE = r"""for t in %s; do readlink /proc/self/ns/$t; done 2>/dev/null
id -u; id -g; id -G
cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups 2>/dev/null
grep -E '^(Cap(Inh|Prm|Eff|Amb|Bnd)|Sig(Blk|Ign)|NoNewPrivs|Seccomp):' /proc/self/status 2>/dev/null
pwd; umask; hostname; ls /proc/self/fd 2>/dev/null | wc -l
grep -c shared: /proc/self/mountinfo; cat /proc/self/timens_offsets 2>/dev/null
""" % " ".join(TYPES)
P = ["sh", "-c", PROBE]


def unshare_lines():
    """Words behind `unshare`."""
    for kind in "muinpUCT":
        for how in ("", "f", "r", "rf", "c", "cf"):
            yield [f"-{how}{kind}", *P]
    longs = "mount uts ipc net pid user cgroup time".split()
    for name in longs:
        yield [f"--{name}", "true"]
        yield [f"--{name}=/nonexistent/file", "true"]
    yield from ([*words.split(), *P] for words in (
        "-r", "-c", "-U", "-f", "-muinUCT", "-rmuinpfCT", "--user --map-root-user", "--map-current-user", "--map-user=7",
        "--map-user 7 --map-group 8", "--map-group=8", "--map-user=root", "--map-user=0 --map-user=9", "-rc", "-cr",
        "-U --setgroups=deny", "-U --setgroups=allow", "-r --setgroups=deny", "-r --keep-caps", "-c --keep-caps",
        "-cf --keep-caps", "--keep-caps", "-r -S 0", "-r -S 0 -G 0", "-S 5", "-G 5", "-S 5 -G 6", "-S 5 -G 6 -f", "-r -S 5",
        "-m --propagation private", "-m --propagation slave", "-m --propagation shared", "-m --propagation unchanged",
        "-rm --propagation slave", "--propagation slave", "-w /usr", "-w usr -R /", "-R /", "-r -R /", "-R / -w /usr", "-mR /",
        "-T --monotonic 1000", "-T --monotonic -5", "-T --boottime 1000", "-rT --boottime 77 --monotonic 99", "-rfT --boottime 5",
        "-pf --mount-proc", "-rpf --mount-proc", "-rm --mount-proc", "-rpf --mount-proc=/proc", "--kill-child", "-p --kill-child=TERM",
        "-rp --kill-child=15", "-r --fork --kill-child=SIGHUP", "-un -ri", "--ut", "--mount-p", "-fp", "-rfn --",
    ))
    for words in (
        "--nosuch", "-Z", "--map-user", "--map-user=nosuchuser", "--map-user=-1", "--map-group=-1", "--propagation nosuch", "--setgroups=nosuch",
        "--monotonic 5", "--boottime 5", "-T --monotonic x", "--kill-child=NOSUCH", "-S x", "-G x", "-S -1", "-R /nonexistent true",
        "-w /nonexistent true", "-r -R /nonexistent true", "--mount-proc=/nonexistent true", "-r --mount-proc=/nonexistent true", "--map-users=x",
        "--map-users=1,2", "--map-users=1,2,x", "--map-group=5 --setgroups=allow true", "-r --setgroups=allow true", "--setgroups=deny true", "--ma true",
        "nosuchcommand", "-r nosuchcommand", "-rf nosuchcommand", "/etc/passwd", "-r /etc/passwd", "-f /", "-rpf /nonexistent/x",
        "-R /etc true", "--map-users=auto true",
    ):
        yield words.split()
    for how in ("", "-r", "-rf", "-rpf", "-f"):
        for script in ("exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -TERM $$", "kill -HUP $$"):
            if "p" in how and "kill -" in script:
                continue  # pid 1: the kernel spares it from signals of its own
            yield [*how.split(), "sh", "-c", script]


def nsenter_lines():
    """Words behind `nsenter`; TARGET, USER: processes in namespaces of root and of the ordinary user."""
    for kind in "muinpUCT":
        yield ["-t", "TARGET", f"-{kind}", *P]
        yield ["-t", "USER", f"-{kind}", *P]
        yield ["-t", "USER", "-U", "--preserve-credentials", f"-{kind}", *P]
    for name in "mnt uts ipc net pid user cgroup time".split():
        option = "mount" if name == "mnt" else name
        yield [f"--{option}=/proc/TARGET/ns/{name}", *P]
        yield [f"--{option}=/nonexistent", "true"]
        yield [f"--{option}", "true"]
    yield from ([*words.split(), *P] for words in (
        "-a -t TARGET", "-a -t USER", "--all --target TARGET", "-a -t USER --preserve-credentials", "-t TARGET -muinpCT", "-t USER -Umun",
        "-t USER -Un -S 0 -G 0", "-t USER -Un -S 5", "-t TARGET -n -S 5", "-t TARGET -n -G 5", "-t TARGET -n -S 5 -G 6", "-t TARGET -r", "-t TARGET -w",
        "-t TARGET -rw", "-t TARGET -m -r -w", "-r/", "-w/usr", "-w/usr -r/", "-t TARGET -m -W /usr", "-t TARGET -m --wdns=/usr", "-t TARGET -m --wdns", "-t TARGET -p -F",
        "-t TARGET -pm -F", "-t TARGET -pm", "-t TARGET -a -m/proc/TARGET/ns/mnt", "--net=/proc/TARGET/ns/net --uts=/proc/TARGET/ns/uts", "", "-t TARGET",
        "-t USER -U --preserve-credentials -r", "-t TARGET -n -e", "-F", "-t TARGET -n -F",
    ))
    for words in (
        "-a true", "-t x -n true", "-t 0 -n true", "-t 999999999 -n true", "-t 4194303 -n true", "-n true", "-r true", "-w true", "-S x true", "-G x true", "--nosuch", "-w/nonexistent true",
        "-r/nonexistent true", "-n/proc/TARGET/ns/uts true", "-t TARGET -m -W /nonexistent true", "-t TARGET -n nosuchcommand", "-t TARGET -a /nonexistent/x",
        "-t TARGET -n /etc/passwd", "-m/etc/passwd true",
    ):
        yield words.split()
    for types in ("-n", "-p", "-mp", "-a"):
        for script in ("exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -TERM $$"):
            yield ["-t", "TARGET", types, "sh", "-c", script]


# (identity, tool, words as a text, with the probe as PROBE) -> why isle differs.
DENY_TWICE = "util-linux writes deny once more, after the map, which the kernel refuses; isle writes it once, before"
NUMBER = "util-linux 2.38 takes signals by name only"
NO_ID = "(uid_t)-1 is no id; util-linux takes it for an option that was not given"
UNBLOCK = "util-linux tries to unblock SIGKILL, and fails by that; isle ends by the command's signal, as for others"
AT_ONCE = "util-linux enters again what the caller is in already, one after the other; isle the others, by one setns(2)"
NEWER = "came after util-linux 2.38"
HANGS = "util-linux 2.38 waits for a child that waits for it"
DIFFERENCES = {
    ("both", "unshare -r --setgroups=deny PROBE"): DENY_TWICE,
    ("both", "unshare -rp --kill-child=15 PROBE"): NUMBER,
    ("both", "unshare --map-user=-1"): NO_ID,
    ("both", "unshare --map-group=-1"): NO_ID,
    ("both", "unshare -rf sh -c kill -9 $$"): UNBLOCK,
    ("both", "unshare -f sh -c kill -9 $$"): UNBLOCK,
    ("root", "nsenter -t TARGET -n -e PROBE"): NEWER,
    ("user", "nsenter -a -t USER --preserve-credentials PROBE"): AT_ONCE,
    ("user", "unshare --mount=/nonexistent/file true"): HANGS,
}


def ns_names(pid):
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in TYPES if os.path.islink(f"/proc/{pid}/ns/{kind}")}


class Run:
    def __init__(self, known, cwd):
        self.known = known  # "net:[4026531840]" -> "host"
        self.cwd = cwd

    def __call__(self, program, words, uid):
        prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        environment = {"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C", "SHELL": "/bin/true",
                       **ENVIRONMENT}
        with subprocess.Popen([*prefix, program, *words], env=environment, cwd=self.cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as command:
            try:
                out, err = command.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(command.pid, signal.SIGKILL)  # what it forked, too
                command.communicate()
                return ("hangs", ""), ""
        named = re.sub(r"\w+:\[\d+\]", lambda match: self.known.get(match.group(), "new"), out)
        return (command.returncode, named), err


def start_target(words, uid):
    prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
    parent = subprocess.Popen([*prefix, "/usr/bin/unshare", *words, "sleep", "600"], stdin=subprocess.DEVNULL)
    for _ in range(200):
        time.sleep(0.02)
        children = pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        pid = int(children[0]) if "--fork" in words and children else parent.pid
        if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
            return parent, pid
    sys.exit("the process to enter did not start")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def compare(run, fronts, targets, verbose, only):
    count = failures = 0
    seen_differences = set()
    for identity, uid in (("root", 0), ("user", UID)):
        for tool, lines in (("unshare", unshare_lines()), ("nsenter", nsenter_lines())):
            for words in lines:
                shown = f"{tool} " + " ".join("PROBE" if word == PROBE else word for word in words).replace("sh -c PROBE", "PROBE")
                if only and only not in shown:
                    continue
                real = [re.sub("TARGET|USER", lambda match: str(targets[match.group()]), word)
                        if word != PROBE else word for word in words]
                expected, _ = run(f"/usr/bin/{tool}", real, uid)
                found, stderr = run(f"{fronts}/isle-{tool}", real, uid)
                count += 1
                reason = DIFFERENCES.get((identity, shown)) or DIFFERENCES.get(("both", shown))
                if (expected == found) == (reason is None):
                    if reason:
                        seen_differences.add(shown)
                    if verbose:
                        print(f"ok: {identity}: {shown} [{found[0]}]")
                    continue
                failures += 1
                if reason:
                    print(f"FAIL: {identity}: {shown}: differs no more; take it from the table")
                    continue
                print(f"FAIL: {identity}: {shown}\n  status {expected[0]}, isle {found[0]}: {stderr.strip()[:300]}")
                for ours, theirs in zip(found[1].splitlines() + [""] * 40, expected[1].splitlines()):
                    if ours != theirs:
                        print(f"  {theirs!r}, isle {ours!r}")
    return count, failures


def main():
    arguments = sys.argv[1:]
    verbose = "-v" in arguments
    only = next((word for word in arguments if not word.startswith("-")), None)
    if os.geteuid() != 0:
        skip("needs root, to be both root and somebody else")
    for program in ("/usr/bin/unshare", "/usr/bin/nsenter", "setpriv"):
        if not shutil.which(program):
            skip(f"{program} is missing")
    if subprocess.run(["/usr/bin/unshare", "-muinpCT", "--fork", "true"], check=False, capture_output=True).returncode:
        skip("no namespaces can be made here")
    started = []
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        # The fronts where the ordinary user can reach them.
        shutil.copy(BUILD / "bin" / "isle", f"{directory}/isle")
        for tool in ("unshare", "nsenter"):
            os.symlink("isle", f"{directory}/isle-{tool}")
        try:
            targets = {}
            known = dict.fromkeys(ns_names("self"), "host")
            for name, words, uid in (("TARGET", ["-muinpCT", "--fork", "--mount-proc"], 0), ("USER", ["-Urmun"], UID)):
                parent, targets[name] = start_target(words, uid)
                started.append(parent)
                known.update({link: known.get(link, name) for link in ns_names(targets[name])})
            count, failures = compare(Run(known, directory), directory, targets, verbose, only)
        finally:
            for parent in started:
                subprocess.run(["pkill", "-KILL", "-P", str(parent.pid)], check=False)
                parent.kill()
                parent.wait()
    print(f"{count} command lines on both, {failures} failures; {len(DIFFERENCES)} differences are meant")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
