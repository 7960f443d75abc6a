"""One decode process as the pool sees it: its socket, and the images it has in hand.

Decides nothing: what becomes of an image whose process dies is the pool's to say.
"""

import contextlib
import json
import os
import socket
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from moderator.decoding.decode import CAUSES
from moderator.decoding.decode_process import READY, REQUEST, UNCONFINED
from moderator.decoding.view import BACKGROUNDS, WHOLE, Layout, View

SEND_BUFFER = 2**20
"""Bytes of the next image that the kernel takes while a process decodes (as far as it allows)."""

BURIAL_TIMEOUT = 1.0
"""Seconds that the end of a killed process is waited for."""

Sandbox = Literal["required", "preferred", "off"]

NO_SLOT = -1
"""The slot of an image whose turn has not come."""

LEAST_TIME = 0.5
"""Seconds that an image has in a process even if it has spent its time in another."""

MAX_ANSWER = 2**16
"""Bytes that unanswered lines may hold; a process that says more has been taken over."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Where a decoded image lies.

    ``slot`` holds what each view of ``layout`` sees, in their order.
    """

    slot: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What an image may take.

    ``max_pixels`` and ``max_frames`` are those of ``decode``; ``timeout`` is in seconds an image;
    ``memory`` is the bytes of address space on top of what the process has before any image;
    ``sandbox`` says whether a process must, should or need not be confined to decoding.
    """

    max_pixels: int
    max_frames: int
    timeout: float
    memory: int
    sandbox: Sandbox = "preferred"


@dataclass(eq=False, slots=True)
class Job:
    """An image to decode.

    ``frames`` is how many of an animation's are wanted at most; ``view`` is what a copy is to show.
    ``seed`` chooses among frames; it stays the same when the image is tried again. ``deaths``
    counts the processes that it has cost, ``nursery_deaths`` how often the nursery ended while it
    was decoded; ``spent`` is the seconds it has had from processes that it cost.
    """

    data: bytes
    future: Future[Decoded]
    frames: int
    view: View = WHOLE
    seed: int = field(default_factory=lambda: int.from_bytes(os.urandom(8)))
    slot: int = NO_SLOT
    deaths: int = 0
    nursery_deaths: int = 0
    spent: float = 0.0


class Decoder:
    """A decode process and its images, of which it decodes the first.

    Args:
        pid: Its process id.
        connection: Our end of its socket; it is made not to block, so that a process which stops
            reading holds up nobody.
        timeout: Seconds that each image may take.
        now: Monotonic time in seconds.
        start: Seconds within which it must be ready.
    """

    def __init__(
        self, pid: int, connection: socket.socket, *, timeout: float, now: float, start: float
    ) -> None:
        self.pid = pid
        self.connection = connection
        self.jobs: deque[Job] = deque()
        self.deadline: float | None = now + start
        self.ready = False
        self.confined = False
        self.fresh = True
        self.alone = False
        self._timeout = timeout
        self._begun = now
        self._outbox: deque[memoryview] = deque()
        self._inbox = bytearray()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        connection.setblocking(False)

    @property
    def sending(self) -> bool:
        """Whether there is more to send than the kernel took."""
        return bool(self._outbox)

    def give(self, job: Job, now: float) -> None:
        """Hand over an image; it is decoded after those before it.

        Raises:
            OSError: The process is gone.
        """
        self.fresh = False
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self._begin(now)
        background = BACKGROUNDS.index(job.view.background)
        header = REQUEST.pack(
            job.slot, job.frames, job.seed, job.view.frame, background, len(job.data)
        )
        self._outbox.extend((memoryview(header), memoryview(job.data)))
        self.send()

    def send(self) -> None:
        """Send what the kernel takes now.

        Raises:
            OSError: The process is gone.
        """
        while self._outbox:
            try:
                sent = self.connection.sendmsg(self._outbox)
            except BlockingIOError:
                return
            while sent or (self._outbox and not self._outbox[0]):
                first = self._outbox.popleft()
                if sent < len(first):
                    self._outbox.appendleft(first[sent:])
                    break
                sent -= len(first)

    def receive(self) -> list[bytes]:
        """Return the lines that have come in.

        Raises:
            OSError: The process is gone.
            ValueError: It says more than a decode process has to say.
        """
        try:
            received = self.connection.recv(MAX_ANSWER)
        except BlockingIOError:
            return []
        if not received:
            raise ConnectionResetError("its end of the socket is closed")
        *lines, rest = (self._inbox + received).split(b"\n")
        self._inbox = rest
        if len(rest) > MAX_ANSWER:
            raise ValueError("an endless line")
        return [bytes(line) for line in lines]

    def begin(self, line: bytes) -> None:
        """Take the first line, after which it may have images.

        Raises:
            ValueError: It is not the line that is agreed on.
        """
        if line + b"\n" not in (READY, UNCONFINED):
            raise ValueError(f"{line[:80]!r} at its start")
        self.ready = True
        self.confined = line + b"\n" == READY
        self.deadline = None

    def answered(self, line: bytes, now: float) -> tuple[Job, Decoded | str]:
        """Take the answer to the first image: where it lies, or the cause why it does not.

        Raises:
            ValueError: It is no answer to an image.
        """
        if not self.jobs:
            raise ValueError("an answer without a question")
        result = _parsed(line, self.jobs[0].slot)
        self.charge(now)
        job = self.jobs.popleft()
        self.alone = False
        self.deadline = None
        if self.jobs:
            self._begin(now)
        return job, result

    def charge(self, now: float) -> None:
        """Count what the first image has taken so far as spent."""
        self.jobs[0].spent += now - self._begun

    def computes(self) -> bool:
        """Whether it is at work right now: neither stopped nor waiting, nor gone."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "R"

    def end(self) -> list[Job]:
        """Wait for the end of the process, which has been killed; return the images it had."""
        self.ready = False
        jobs = list(self.jobs)
        self.jobs.clear()
        # Its end of the socket closes after its memory is gone: then nothing writes to its slots.
        self.connection.settimeout(BURIAL_TIMEOUT)
        with contextlib.suppress(OSError):
            while self.connection.recv(MAX_ANSWER):
                pass
        self.connection.close()
        return jobs

    def _begin(self, now: float) -> None:
        """Start the time of the first image."""
        self._begun = now
        self.deadline = now + max(LEAST_TIME, self._timeout - self.jobs[0].spent)


def _parsed(line: bytes, slot: int) -> Decoded | str:
    try:
        answer = json.loads(line)
        if isinstance(answer, str) and answer in CAUSES:
            return answer
        return Decoded(slot, Layout.from_json(answer))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{line[:80]!r}") from error
