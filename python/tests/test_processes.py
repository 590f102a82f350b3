"""run and spawn: how processes are started, fed, waited for, signalled and left."""

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from conftest import become_nobody, in_child, require

import isle
from isle.namespaces import NetworkNamespace, UtsNamespace


def sh(script, **options):
    return isle.run(["sh", "-c", script], **options)


def test_run():
    done = sh("exit 3")
    assert (done.code, done.signal, done.shell_status, done.returncode) == (3, 0, 3, 3)
    done = sh("kill -KILL $$")
    assert (done.signal, done.shell_status, done.returncode, done.core_dumped) == (9, 137, -9, False)
    assert isle.run("true").code == 0


def test_output():
    done = sh("echo out; echo err >&2", capture_output=True)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    done = sh("echo out; echo err >&2", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.stdout, done.stderr) == ("out\nerr\n", None)
    assert sh("echo out", stdout=subprocess.DEVNULL).stdout is None


def test_output_to_a_file(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        sh("echo out; echo err >&2", stdout=file, stderr=file.fileno())
    assert (tmp_path / "out").read_bytes() == b"out\nerr\n"


def test_input():
    data = bytes(range(256)) * 4096
    assert isle.run(["cat"], input=data, capture_output=True).stdout == data
    assert isle.run(["cat"], input="tüßt\n", capture_output=True, encoding="utf-8").stdout == "tüßt\n"
    assert isle.run(["true"], input=data).code == 0  # nobody reads it
    assert isle.run(["cat"], stdin=subprocess.DEVNULL, capture_output=True).stdout == b""


def test_check_and_timeout():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        sh("echo why >&2; exit 5", check=True, capture_output=True)
    assert (caught.value.returncode, caught.value.stderr) == (5, b"why\n")
    began = time.monotonic()
    for options in ({}, {"capture_output": True}):
        with pytest.raises(subprocess.TimeoutExpired):
            isle.run(["sleep", "60"], timeout=0.1, **options)
    assert time.monotonic() - began < 20


def test_sandbox():
    require("userns", "netns")

    def run_it():
        become_nobody()
        script = "hostname; id -u; echo $$; ls /sys/class/net 2>/dev/null; touch /etc/x 2>/dev/null || echo read-only"
        return isle.run(
            isle.sandbox(["sh", "-c", script], hostname="box", uid_mappings=[(0, os.geteuid(), 1)]),
            capture_output=True,
            text=True,
            cwd="/",
        )

    done = in_child(run_it)
    words = done.stdout.split()
    assert words[0] == "box" and words[1] == "0" and words[-1] == "read-only", done


def test_join():
    require("root")

    def join():
        with UtsNamespace.from_self() as home:
            UtsNamespace.unshare()
            UtsNamespace.unshare()
            with UtsNamespace.from_self() as inner:
                number = inner.ns_id
                home.setns()
                done = isle.run(["readlink", "/proc/self/ns/uts"], namespaces=[inner], capture_output=True, text=True)
        return number, done.stdout

    number, text = in_child(join)
    assert text == f"uts:[{number}]\n"


def test_process():
    with isle.spawn(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.poll() is None and process.status is None
        assert os.readlink(f"/proc/{process.pid}/exe").endswith("cat")
        assert process.fileno() == process.pidfd
        assert select.select([process], [], [], 0) == ([], [], [])
        assert "running" in repr(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert process.communicate(b"hello") == (b"hello", None)
    assert process.wait() is process.wait() is process.poll() is process.status
    assert select.select([process], [], [], 0)[0] == [process]
    with pytest.raises(ProcessLookupError):
        process.signal(signal.SIGTERM)
    process.kill()


def test_signal():
    with isle.spawn(["sleep", "60"]) as process:
        process.signal(signal.SIGTERM)
        assert process.wait().signal == signal.SIGTERM


def test_signal_to_pid_1():
    require("root")
    with isle.spawn(["sleep", "60"], namespaces=["pid"]) as process:
        process.terminate()
        assert process.wait().signal == signal.SIGTERM


def test_with_kills_where_the_block_raised():
    with pytest.raises(KeyError):
        with isle.spawn(["sleep", "60"]) as process:
            raise KeyError
    assert process.status.signal == signal.SIGKILL


def test_unwaited_is_killed_with_a_warning():
    process = isle.spawn(["sleep", "60"])
    pid = process.pid
    with pytest.warns(ResourceWarning, match="not waited for"):
        del process
        gc.collect()
    assert not os.path.exists(f"/proc/{pid}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        isle.spawn(["true"]).wait()
        gc.collect()


def test_a_forked_copy_kills_nothing():
    with isle.spawn(["sleep", "60"]) as process:
        box = [process]

        def drop():
            box.clear()
            nonlocal process
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                del process
                gc.collect()

        in_child(drop)
        assert process.poll() is None
        process.kill()


def test_gil_is_free_while_waiting():
    counter = 0
    with isle.spawn(["sleep", "0.3"]) as process:
        waiter = threading.Thread(target=process.wait)
        waiter.start()
        while waiter.is_alive():
            counter += 1
            time.sleep(0)
    assert counter > 50


def test_many_threads():
    answers, errors = [], []

    def work(number):
        try:
            for each in range(4):
                done = sh(f"echo {number} {each}", capture_output=True, text=True)
                answers.append((done.stdout, f"{number} {each}\n"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not errors
    assert len(answers) == 64 and all(got == wanted for got, wanted in answers)


def test_several_threads_wait_for_one():
    with isle.spawn(["sh", "-c", "sleep 0.1; exit 7"]) as process:
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(process.wait().code)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert codes == [7] * 8


def test_pass_fds():
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        script = f"(echo there >/proc/self/fd/{write}) 2>/dev/null"  # sh itself knows one-digit numbers only
        assert sh(script, pass_fds=[write]).code == 0
        assert os.read(read, 100) == b"there\n"
        assert sh(script).code != 0
    finally:
        os.close(read)
        os.close(write)


def test_environment_and_directory():
    done = sh("echo $A; pwd", env={"A": "1", "PATH": os.environ["PATH"]}, cwd="/usr", capture_output=True, text=True)
    assert done.stdout == "1\n/usr\n"


def test_console():
    require("root")
    with isle.spawn(isle.sandbox(["sh", "-c", "test -t 0 && echo terminal"], terminal=True)) as process:
        assert process.console is not None
        select.select([process.console], [], [], 10)
        assert os.read(process.console, 100) == b"terminal\r\n"
    with isle.spawn(["true"]) as process:
        assert process.console is None


def test_await():
    async def several():
        async with isle.spawn(["sleep", "0.2"]) as slow:
            codes = await asyncio.gather(
                *(isle.spawn(["sh", "-c", f"exit {code}"]) for code in range(5)), slow, slow.wait_async(), slow
            )
            return [each.code for each in codes]

    assert asyncio.run(several()) == [0, 1, 2, 3, 4, 0, 0, 0]


def test_the_loop_runs_meanwhile_and_waits_can_be_cancelled():
    async def wait():
        ticks = 0
        process = isle.spawn(["sleep", "60"])
        waiter = asyncio.ensure_future(process.wait_async())
        for _ in range(20):
            await asyncio.sleep(0.005)
            ticks += 1
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert process.poll() is None
        process.kill()
        return ticks, (await process).signal

    assert asyncio.run(wait()) == (20, 9)


def test_async_with_kills_where_the_block_raised():
    async def raise_inside():
        async with isle.spawn(["sleep", "60"]) as process:
            try:
                raise KeyError
            finally:
                box.append(process)

    box = []
    with pytest.raises(KeyError):
        asyncio.run(raise_inside())
    assert box[0].status.signal == 9


def test_interrupt_while_waiting():
    code = (
        "import isle, sys\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    isle.run(['sleep', '60'])\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as python:
        assert python.stdout.readline() == "ready\n"
        time.sleep(0.5)
        python.send_signal(signal.SIGINT)
        assert python.stdout.read() == "interrupted\n"


def test_nothing_leaks():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        sh("exit 0", capture_output=True, input=b"")
        with pytest.raises(FileNotFoundError):
            isle.run(["/no/such"], capture_output=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_run_in_a_new_network():
    require("root")
    done = isle.run(["readlink", "/proc/self/ns/net"], namespaces=[NetworkNamespace], capture_output=True, text=True)
    assert str(NetworkNamespace.get_current_ns_id()) not in done.stdout
