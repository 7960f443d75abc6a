"""The Unix socket over which a member is asked to drain, by its own user on its own machine.

A TCP port would also answer whatever forwards to it: a mesh's sidecar, a container's proxy, a web
page whose name was bound to the loopback address. The socket lies in a folder that only the
member's user may enter, and the kernel says which process is at the other end.
"""

import hashlib
import json
import logging
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from moderator.errors import BadSettings
from moderator.settings import Kafka

logger = logging.getLogger(__name__)

ASKED = 1.0
"""Seconds in which whoever connected must ask; the next one waits meanwhile."""

PAUSE = 0.1
"""Seconds until whoever asks is looked for again, where the system could not say."""

ANSWER = 5.0
"""Seconds that a member may take to answer."""

SUFFIX = ".drain"

DRAIN = b"drain\n"
NAME = b"name\n"

CREDENTIALS = struct.Struct("iII")
"""What SO_PEERCRED gives: process, user, group."""


def member_name(kafka: Kafka) -> str:
    """Return the name that tells a member from every other, as JSON: group, instance, static."""
    return json.dumps([kafka.group, kafka.instance, kafka.group_instance_id])


def default_folder() -> Path:
    """Return the folder of this user's sockets where no setting names one."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"moderator-{os.geteuid()}"


def socket_path(folder: Path, name: str) -> Path:
    """Return where the member of a name listens; short, as paths of sockets have a limit."""
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}{SUFFIX}"


class DrainSocket:
    """Listens from construction until it is closed, on a thread of its own.

    Args:
        folder: Made for this user alone where it is not there.
        name: See ``member_name``.
        begin: Called when a process of this user, or of root, asks.

    Raises:
        BadSettings: The folder cannot be made, or others may enter it.
    """

    def __init__(self, folder: Path, name: str, begin: Callable[[], None]) -> None:
        self._name = name
        self._begin = begin
        self._path = socket_path(folder, name)
        self._socket = _bound(folder, self._path)
        self._inode = self._path.stat().st_ino
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="drain", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        with suppress(OSError):
            # A successor of the same name may have put its own in place.
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(ANSWER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                # Closed, or out of descriptors for a while: whoever asks then is heard later.
                self._closed.wait(PAUSE)
                continue
            with connection, suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(ASKED)
        _, user = _peer(connection)
        if user not in (0, os.geteuid()):
            return
        asked = connection.recv(64)
        connection.sendall(self._name.encode())
        if asked == DRAIN:
            logger.info("asked to drain")
            self._begin()


@dataclass(frozen=True, slots=True)
class Member:
    """A member that runs on this machine: its name and its process."""

    name: str
    process: int


def ask(path: Path, *, drain: bool) -> Member | None:
    """Ask the member at a socket for its name, and to drain; None where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER)
        try:
            connection.connect(str(path))
            connection.sendall(DRAIN if drain else NAME)
            name = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except OSError:
            return None
        return Member(name, _peer(connection)[0]) if name else None


def members(folder: Path) -> Iterator[tuple[Path, Member]]:
    """Yield the members that listen in a folder, with their sockets."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        found = ask(path, drain=False)
        if found is not None:
            yield path, found


def _bound(folder: Path, path: Path) -> socket.socket:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise BadSettings(
                f"runtime_folder {folder} must belong to this user and be closed to others; "
                "chmod 700 it, or name another"
            )
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # What a member that was killed left behind.
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(8)
    except OSError as error:
        raise BadSettings(
            f"runtime_folder {folder}: {error.strerror or error}; name a folder that this user "
            "may write to, with a short path"
        ) from None
    return listening


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end."""
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process, user, _ = CREDENTIALS.unpack(given)
    return process, user
