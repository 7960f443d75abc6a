"""A decode process that does what an "image" names and answers, in pixels, what came of it.

Everything but the decoder itself is the real one: how it is forked, restrained and confined. It is
what a process would be that a hostile image has taken over. Not a test itself.
"""

import ctypes
import errno
import fcntl
import gc
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from moderator.decoding import decode_process
from moderator.decoding.decode import DecodedImage
from moderator.slots import SlotArena

SIDE = 64
PTRACE_ATTACH = 16
IO_URING_SETUP = 425
IPC_RMID = 0


GIVEN: dict[str, Any] = {}
"""What deeds are aimed at: the ``worker`` (its id), a ``secret`` (its path), a ``semaphore``, a
``queue`` and a ``memory`` (their ids), where a test has made these."""


def decode(data: bytes, *_: object, **__: object) -> DecodedImage:
    """Try each of ``deeds`` that a JSON object names; the pixels hold, as JSON, what came of it."""
    GIVEN.update(json.loads(data))
    told = {name: outcome(DEEDS[name]) for name in GIVEN["deeds"]}
    text = np.frombuffer(json.dumps(told).encode(), np.uint8)
    frame = np.zeros(SIDE * SIDE * 3, np.uint8)
    frame[: len(text)] = text
    return DecodedImage(SIDE, SIDE, (frame.reshape(SIDE, SIDE, 3),))


def outcome(deed: Callable[[], object]) -> str:
    try:
        deed()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except Exception as error:
        return type(error).__name__
    return "done"


def native(name: str, *given: object) -> None:
    """Call a function of the C library that returns -1 where it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*given) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def write_file() -> None:
    path = f"/tmp/moderator-loot-{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.write(descriptor, b"loot")
    finally:
        Path(path).unlink()


def raise_limit(limit: int) -> None:
    resource.setrlimit(limit, (1_000, 1_000))


def send_descriptor() -> None:
    ours = next(fd for fd in range(3, 16) if is_open(fd))
    # Never closed: it is the process's own.
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=ours)
    socket.send_fds(connection, [b"\n"], [0])
    connection.detach()


def is_open(descriptor: int) -> bool:
    try:
        return os.write(descriptor, b"") == 0
    except OSError as error:
        return error.errno != errno.EBADF


def check_descriptors() -> None:
    """Raise if anything is open besides nothing three times, the socket and its slots."""
    if len([each for each in range(1_024) if is_open(each)]) != 5:
        raise OSError(errno.EMFILE, "more is open")


def take_lease() -> None:
    descriptor = os.open(GIVEN["secret"], os.O_RDONLY)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def lock_file() -> None:
    fcntl.flock(os.open(GIVEN["secret"], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def worker_memory() -> None:
    path = f"/proc/{GIVEN['worker']}"
    start = int(Path(f"{path}/maps").read_text().partition("-")[0], 16)
    descriptor = os.open(f"{path}/mem", os.O_RDONLY)
    os.lseek(descriptor, start, os.SEEK_SET)
    os.read(descriptor, 4_096)


def read_process() -> None:
    room = ctypes.create_string_buffer(8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(room), 8)
    start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_Py_NoneStruct"))
    remote = (ctypes.c_uint64 * 2)(start, 8)
    native("process_vm_readv", GIVEN["worker"], local, 1, remote, 1, 0)


def make_executable() -> None:
    memory = mmap.mmap(-1, 4_096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    native("mprotect", ctypes.c_void_p(address), ctypes.c_size_t(4_096), 7)


def scribble() -> None:
    """Write over all memory that is shared with the worker."""
    for each in gc.get_objects():
        if isinstance(each, SlotArena):
            for slot in range(each.slots):
                each.buffer(slot).fill(255)


DEEDS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "socket-v6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "socket-unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "socket-netlink": lambda: socket.socket(16, socket.SOCK_RAW, 0),
    "socketpair": socket.socketpair,
    "connect": lambda: native("connect", 3, b"\2\0\0\x09\x7f\0\0\1" + bytes(8), 16),
    "send-descriptor": send_descriptor,
    "open-to-write": lambda: os.open("/dev/null", os.O_WRONLY),
    "open-and-write": lambda: Path(os.devnull).write_bytes(b"x"),
    "open-both-ways": lambda: os.open("/dev/null", os.O_RDWR),
    "truncate-at-open": lambda: os.open("/dev/null", os.O_RDONLY | os.O_TRUNC),
    "unnamed-file": lambda: os.open("/tmp", os.O_RDONLY | 0o20200000),
    "write-file": write_file,
    "memory-file": lambda: os.memfd_create("loot"),
    "mkdir": Path("/tmp/moderator-loot").mkdir,
    "unlink": Path("/tmp/moderator-nothing").unlink,
    "rename": lambda: Path("/tmp/moderator-nothing").rename("/tmp/moderator-loot"),
    "chmod": lambda: Path("/tmp/moderator-nothing").chmod(0o777),
    "fork": fork,
    "thread": lambda: threading.Thread(target=int).start(),
    "exec": lambda: os.execv("/bin/true", ["/bin/true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["/bin/true"], {}),
    "kill-worker": lambda: os.kill(GIVEN["worker"], signal.SIGWINCH),
    "kill-own": lambda: os.kill(os.getpid(), signal.SIGWINCH),
    "signal-worker": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, GIVEN["worker"]),
    "ptrace": lambda: native("ptrace", PTRACE_ATTACH, GIVEN["worker"], 0, 0),
    "process-memory": read_process,
    "worker-memory": worker_memory,
    "worker-environment": lambda: Path(f"/proc/{GIVEN['worker']}/environ").read_bytes(),
    "worker-limit": lambda: resource.prlimit(
        GIVEN["worker"], resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)
    ),
    "own-memory": lambda: os.open("/proc/self/mem", os.O_RDWR),
    "read-secret": lambda: Path(GIVEN["secret"]).read_bytes(),
    "lease": take_lease,
    "lock": lock_file,
    "remove-semaphore": lambda: native("semctl", GIVEN["semaphore"], 0, IPC_RMID),
    "remove-queue": lambda: native("msgctl", GIVEN["queue"], IPC_RMID, None),
    "remove-memory": lambda: native("shmctl", GIVEN["memory"], IPC_RMID, None),
    "attribute": lambda: os.setxattr(GIVEN["secret"], "user.loot", b"x"),
    "list-folder": lambda: list(Path("/").iterdir()),
    "status": Path("/").stat,
    "executable": lambda: mmap.mmap(-1, 4_096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "make-executable": make_executable,
    "limit-files": lambda: raise_limit(resource.RLIMIT_NOFILE),
    "limit-memory": lambda: raise_limit(resource.RLIMIT_AS),
    "unshare": lambda: native("unshare", 0x10000000),
    "shared-memory": lambda: native("shmget", 0, 4096, 0o1600),
    "io-uring": lambda: native("syscall", IO_URING_SETUP, 1, ctypes.create_string_buffer(256)),
    "x32": lambda: native("syscall", 0x40000000 + 41, 2, 1, 0),
    "stderr": lambda: os.write(2, b"something nobody wants to see\n"),
    "read-file": lambda: Path(os.__file__).read_bytes(),
    "read-limits": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    "cpu-limit": lambda: resource.setrlimit(resource.RLIMIT_CPU, (1_000, 1_000)),
    "scribble": scribble,
    "memory": lambda: mmap.mmap(-1, 2**22),
    "much-memory": lambda: mmap.mmap(-1, 2**32),
    "descriptors": check_descriptors,
    "spin": lambda: [None for _ in iter(int, 1)],
    "abort": os.abort,
}


if __name__ == "__main__":
    decode_process.decode = decode  # type: ignore[assignment]
    sys.argv[0] = "moderator.decoding.decode_process"
    decode_process.main()
