"""What other processes of the same user can see of ours: not its memory, environment, files."""

import os
import subprocess
import sys

import pytest

NOBODY = 65_534

linux = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")

# A stranger of the same user, who is not root, looks at another process through /proc.
LOOK = """
import ctypes, os, sys
sys.path[:] = {path}
from moderator.private import keep_private
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec
if sys.argv[1] == "private":
    keep_private()
target = os.getpid()
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_long(-1), 0, 0, 0)  # whatever Yama says
stranger = os.fork()
if stranger == 0:
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    for name in ("environ", "mem", "maps", "fd/0"):
        try:
            os.close(os.open(f"/proc/{{target}}/{{name}}", os.O_RDONLY))
            print(name, "open", flush=True)
        except PermissionError:
            print(name, "closed", flush=True)
    os._exit(0)
os.waitpid(stranger, 0)
print("own", open("/proc/self/stat").read().split()[0] == str(target))
print("descriptors", len(os.listdir("/proc/self/fd")) > 2)
print("limits", "Max" in open("/proc/self/limits").read())
"""


def looked(how: str) -> dict[str, str]:
    program = LOOK.format(path=sys.path, nobody=NOBODY)
    done = subprocess.run(
        [sys.executable, "-c", program, how], capture_output=True, text=True, timeout=60, check=True
    )
    return dict(line.split() for line in done.stdout.splitlines())


@linux
def test_strangers_see_nothing_of_a_process_that_keeps_private() -> None:
    seen = looked("private")
    assert {seen[name] for name in ("environ", "mem", "maps", "fd/0")} == {"closed"}
    # It sees itself as before; prometheus_client, for one, reads these.
    assert seen["own"] == seen["descriptors"] == seen["limits"] == "True"


@linux
def test_without_it_they_see_all() -> None:
    seen = looked("as ever")
    assert {seen[name] for name in ("environ", "maps", "fd/0")} == {"open"}


def dumpable(program: str) -> str:
    end = "\nimport ctypes; print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run(
        [sys.executable, "-c", program + end],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout.splitlines()[-1]


@linux
def test_every_command_keeps_private_before_it_reads_a_setting() -> None:
    program = """
from moderator.cli import main
try:
    main(["worker", "--set", "nonsense=1"])
except SystemExit:
    pass
"""
    assert dumpable("") == "dumpable 1"
    assert dumpable(program) == "dumpable 0"


@linux
def test_so_does_what_decodes() -> None:
    """Both the nursery and what it forks, which must not look at each other either."""
    program = """
from moderator.decoding import decode_process
decode_process._import_the_rest = lambda: (_ for _ in ()).throw(SystemExit)
import sys
sys.argv[1:] = ["{}"]
try:
    decode_process.main()
except SystemExit:
    pass
"""
    assert dumpable(program) == "dumpable 0"
