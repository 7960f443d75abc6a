"""A decode process that does what an "image" names and answers, in pixels, what came of it.

Everything but the decoder itself is the real one: how it is forked, restrained and confined. It is
what a process would be that a hostile image has taken over. Not a test itself.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from moderator.decoding import decode_process
from moderator.decoding.decode import DecodedImage

SIDE = 64
PTRACE_ATTACH = 16
IO_URING_SETUP = 425


def decode(data: bytes, *_: object, **__: object) -> DecodedImage:
    """Try each deed that a JSON list names; the pixels hold, as JSON, what came of each."""
    told = {name: outcome(DEEDS[name]) for name in json.loads(data)}
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
    ours = next(fd for fd in range(3, 16) if is_socket(fd))
    with socket.socket(fileno=os.dup(ours)) as connection:
        socket.send_fds(connection, [b"\n"], [0])


def is_socket(fd: int) -> bool:
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("socket:")
    except OSError:
        return False


def check_descriptors() -> None:
    """Raise if anything is open besides nothing three times, the socket and the slots."""
    names = []
    for descriptor in range(16):
        with suppress(OSError):
            names.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()).partition(":")[0])
    if sorted(names) != ["/dev/null"] * 3 + ["/memfd", "socket"]:
        raise OSError(errno.EMFILE, names)


DEEDS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "socket-v6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "socket-unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "socket-netlink": lambda: socket.socket(16, socket.SOCK_RAW, 0),
    "socketpair": socket.socketpair,
    "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
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
    "kill-parent": lambda: os.kill(os.getppid(), signal.SIGWINCH),
    "kill-own": lambda: os.kill(os.getpid(), signal.SIGWINCH),
    "own-descriptor": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
    "ptrace": lambda: native("ptrace", PTRACE_ATTACH, os.getppid(), 0, 0),
    "read-parent": lambda: native("process_vm_readv", os.getppid(), None, 0, None, 0, 0),
    "parent-memory": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR),
    "limit-of-parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1_000, 1_000)),
    "limit-files": lambda: raise_limit(resource.RLIMIT_NOFILE),
    "limit-memory": lambda: raise_limit(resource.RLIMIT_AS),
    "unshare": lambda: native("unshare", 0x10000000),
    "shared-memory": lambda: native("shmget", 0, 4096, 0o1600),
    "io-uring": lambda: native("syscall", IO_URING_SETUP, 1, ctypes.create_string_buffer(256)),
    "x32": lambda: native("syscall", 0x40000000 + 41, 2, 1, 0),
    "stderr": lambda: os.write(2, b"something nobody wants to see\n"),
    "read-file": lambda: Path(os.__file__).read_bytes(),
    "read-limits": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    "cpu-limit": lambda: resource.setrlimit(resource.RLIMIT_CPU, (1_000, resource.RLIM_INFINITY)),
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
