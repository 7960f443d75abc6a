"""The process that forks decode processes, as the pool sees it. Knows nothing of images."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moderator.decoding.decode_process import FORK
from moderator.slots import SlotArena

ANSWER_TIMEOUT = 30.0
"""Seconds a fork may take, the nursery's own start included, before it is started anew."""

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
"""Environment variables handed on; others may hold passwords, and bad images run beside them."""

MEMORY_HABITS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    # Fixed, since glibc otherwise raises them with use, and then keeps what large images took.
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**20),
}


class Nursery:
    """A process that forks decode processes on request; it is started when first needed.

    It is a plain subprocess and no child of ``multiprocessing``, so that the worker's main module
    (and torch with it) is never imported there. Its children end with it, and it ends with the
    thread that first needed it.

    Args:
        given: What decode processes need: ``input``, ``room`` (the form of their slots),
            ``memory``, ``max_pixels``, ``max_frames``, ``timeout`` and ``sandbox``.
    """

    module = "moderator.decoding.decode_process"

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._children: set[int] = set()
        self._dead: deque[int] = deque()

    def fork(self, room: SlotArena) -> tuple[int, socket.socket]:
        """Start a decode process.

        Args:
            room: The slots that it alone writes to.

        Returns:
            Its process id, which stays its own until it is buried, and our end of its socket.

        Raises:
            OSError: It could not be started; the next call begins with a new nursery.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                pid = self._forked(theirs, room)
        except OSError:
            ours.close()
            self.close()
            raise
        self._children.add(pid)
        return pid, ours

    def bury(self, pid: int) -> bool:
        """Kill a decode process, which may have ended by itself, and have it reaped later.

        Returns:
            Whether the nursery that forked it still runs; otherwise it ended with that one.
        """
        # Those of an earlier nursery ended with it: the id may be somebody else's by now.
        if pid in self._children and self._process is not None and self._process.poll() is None:
            self._children.remove(pid)
            self._dead.append(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return True
        return False

    def close(self) -> None:
        """End it, and with it the processes that it forked."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._control is not None:
            self._control.close()
        self._process = self._control = None
        self._children.clear()
        self._dead.clear()

    def _forked(self, theirs: socket.socket, room: SlotArena) -> int:
        control = self._control or self._start()
        dead = self._dead.popleft() if self._dead else 0
        socket.send_fds(control, [FORK.pack(dead)], [theirs.fileno(), room.fd])
        answer = control.recv(FORK.size, socket.MSG_WAITALL)
        if len(answer) < FORK.size:
            raise ConnectionResetError("the process that forks decode processes has ended")
        pid: int = FORK.unpack(answer)[0]
        return pid

    def _start(self) -> socket.socket:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(ANSWER_TIMEOUT)
        with theirs:
            told = json.dumps({**self._given, "control": theirs.fileno()})
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", self.module, told],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        return self._control


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    paths = [path or str(Path.cwd()) for path in sys.path]
    return {**kept, **MEMORY_HABITS, "PYTHONPATH": os.pathsep.join(paths)}
