"""What Landlock alone takes from a process, where the kernel has it; the filter is not there."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from moderator.decoding.landlock import CREATE_RULESET, NETWORK, SCOPE, VERSION

PROGRAM = """
import errno, json, os, signal, socket, sys
from pathlib import Path
from moderator.decoding.landlock import forsake
given = json.loads(sys.argv[1])
before = open(given["secret"])
if given["forsake"]:
    assert forsake()
def outcome(deed):
    try:
        deed()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def abstract():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(given["abstract"])
print(json.dumps({
    "open": outcome(lambda: open(given["secret"])),
    "write": outcome(lambda: open(given["secret"], "a")),
    "list": outcome(lambda: os.listdir("/")),
    "make": outcome(lambda: os.mkdir(given["secret"] + "-folder")),
    "remove": outcome(lambda: os.unlink(given["secret"] + "-other")),
    "environment": outcome(lambda: open(f"/proc/{given['worker']}/environ", "rb").read()),
    "memory": outcome(lambda: open(f"/proc/{given['worker']}/mem", "rb")),
    "connect": outcome(lambda: socket.create_connection(("127.0.0.1", given["port"]), 5).close()),
    "signal": outcome(lambda: os.kill(given["worker"], 0)),
    "abstract": outcome(abstract),
    "open before": outcome(before.read),
}))
"""


def version() -> int:
    if sys.platform != "linux":
        return 0
    return ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)


def tried(folder: Path, *, forsake: bool) -> dict[str, str]:
    secret = folder / "password"
    for path in (secret, folder / "password-other"):
        path.touch(0o600)
    name = f"\0moderator-{os.getpid()}-{forsake}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(name)
        unix.listen()
        given = {
            "secret": str(secret),
            "worker": os.getpid(),
            "port": server.getsockname()[1],
            "abstract": name,
            "forsake": forsake,
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@pytest.mark.skipif(version() < 1, reason="this kernel has no Landlock")
def test_what_is_forsaken_is_refused(tmp_path) -> None:
    expected = dict.fromkeys(
        ("open", "write", "list", "make", "remove", "environment", "memory"), "EACCES"
    )
    expected |= {
        "connect": "EACCES" if version() >= NETWORK else "done",
        "signal": "EPERM" if version() >= SCOPE else "done",
        "abstract": "EPERM" if version() >= SCOPE else "done",
        "open before": "done",
    }
    assert tried(tmp_path, forsake=True) == expected


def test_the_same_is_done_without_it(tmp_path) -> None:
    answers = tried(tmp_path, forsake=False)
    # Yama may keep processes from each other's memory.
    del answers["memory"]
    assert answers == dict.fromkeys(answers, "done")


def test_a_kernel_without_landlock_is_no_error() -> None:
    program = """
import ctypes
from moderator.decoding import landlock
landlock.CREATE_RULESET = 100_000
assert landlock.forsake() is False
open("/dev/null").close()
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's signals")
def test_a_parent_still_ends_a_process_that_has_forsaken_all() -> None:
    program = "from moderator.decoding.landlock import forsake; forsake(); print(1, flush=True);"
    command = [sys.executable, "-c", program + "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
