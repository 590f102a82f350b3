#!/usr/bin/env python3
"""isle.namespaces and isle.os beside the same system calls made through ctypes, as a careful program makes them: with the
errno looked at. PYTHONPATH=BUILD/python bench/python_calls.py [--json] [--rounds N] [--check]

Both of a pair run in turn, a batch each, many times; the ratio is median over median, its spread the middle half of the
ratios taken round by round. What needs root is left out for others. --check: exit with 1 if a ratio is above the limit.
"""
import argparse
import ctypes
import json
import os
import statistics
import struct
import sys
import time

import isle
from isle import os as kernel
from isle.namespaces import UtsNamespace, unshare_namespaces

LIMIT = 1.0
BATCH = 100
NS_GET_USERNS, NS_GET_NSTYPE = 0xB701, 0xB703
FLAGS = os.O_RDONLY | os.O_CLOEXEC
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def inode(stat):
    return struct.unpack_from("Q", stat, 8)[0]  # struct stat: st_dev, st_ino


def pairs():
    """(what, by isle, by ctypes, needs root)"""
    namespace = UtsNamespace.from_self()
    fd = namespace.fileno()
    stat = ctypes.create_string_buffer(256)
    text = ctypes.create_string_buffer(32)
    path, limit = b"/proc/thread-self/ns/uts", b"/proc/sys/user/max_uts_namespaces"

    def open_close():
        checked(libc.close(checked(libc.open(path, FLAGS))))

    def wrap():
        if checked(libc.ioctl(fd, NS_GET_NSTYPE)) != kernel.CLONE_NEWUTS:
            raise ValueError

    def ns_id():
        checked(libc.fstat(fd, stat))
        return inode(stat)

    def current():
        checked(libc.stat(path, stat))
        return inode(stat)

    def owner():
        checked(libc.close(checked(libc.ioctl(fd, NS_GET_USERNS))))

    def read_limit():
        file = checked(libc.open(limit, FLAGS))
        size = checked(libc.read(file, text, 32))
        checked(libc.close(file))
        return int(text.raw[:size])

    both = kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
    return [
        ("from_self, close", lambda: UtsNamespace.from_self().close(), open_close, False),
        ("the constructor", lambda: UtsNamespace(fd, False), wrap, False),
        ("ns_id", lambda: namespace.ns_id, ns_id, False),
        ("get_current_ns_id", UtsNamespace.get_current_ns_id, current, False),
        ("get_user_namespace, close", lambda: namespace.get_user_namespace().close(), owner, False),
        ("get_current_limit", UtsNamespace.get_current_limit, read_limit, False),
        ("os.ns_get_nstype", lambda: kernel.ns_get_nstype(fd), lambda: checked(libc.ioctl(fd, NS_GET_NSTYPE)), False),
        ("setns", namespace.setns, lambda: checked(libc.setns(fd, kernel.CLONE_NEWUTS)), True),
        ("os.setns", lambda: kernel.setns(fd, 0), lambda: checked(libc.setns(fd, 0)), True),
        ("unshare", UtsNamespace.unshare, lambda: checked(libc.unshare(kernel.CLONE_NEWUTS)), True),
        ("unshare_namespaces", lambda: unshare_namespaces(uts=True, cgroup=True), lambda: checked(libc.unshare(both)), True),
    ]  # fmt: skip


def batch_ns(function):
    each = range(BATCH)
    begin = time.perf_counter_ns()
    for _ in each:
        function()
    return (time.perf_counter_ns() - begin) / BATCH


def middle_half(values):
    quartiles = statistics.quantiles(values, n=4)
    return quartiles[0], quartiles[2]


def measure(rounds):
    for what, by_isle, by_ctypes, needs_root in pairs():
        if needs_root and os.geteuid() != 0:
            continue
        a, b = [], []
        for turn in range(rounds + 1):
            for into, function in ((a, by_isle), (b, by_ctypes))[:: 1 if turn % 2 else -1]:
                into.append(batch_ns(function))
        del a[0], b[0]  # warming up
        yield {
            "what": what, "isle_ns": statistics.median(a), "ctypes_ns": statistics.median(b),
            "ratio": statistics.median(a) / statistics.median(b),
            "spread": middle_half([x / y for x, y in zip(a, b)]), "limit": LIMIT,
        }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    options = parser.parse_args()
    rows = list(measure(max(options.rounds, 4)))
    if options.json:
        print(json.dumps({"isle": isle.__version__, "rows": rows}))
    else:
        print(f"{'Python calls / through ctypes':<30}{'ratio':>7}  {'middle half':<14}{'limit':<9}measured")
        for row in rows:
            low, high = row["spread"]
            print(f"{row['what']:<30}{row['ratio']:>7.2f}  {f'{low:.2f} - {high:.2f}':<14}{'<= 1.00':<9}"
                  f"{row['isle_ns'] / 1e3:.2f} / {row['ctypes_ns'] / 1e3:.2f} us")
    return 1 if options.check and any(row["ratio"] > LIMIT for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
