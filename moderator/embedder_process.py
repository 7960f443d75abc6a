"""The network in a process of its own, behind the same seam as in this one.

The parent hands over where frames lie in shared memory, never pixels. A process that dies is
started anew and given again what it had not answered. Knows nothing of posts or Kafka.
"""

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from models.errors import BadRelease, ModelError
from moderator.embedder import Embedder, Embeddings, Frame
from moderator.errors import ModeratorError, Unavailable
from moderator.private import keep_private
from moderator.rows import Boxes
from moderator.slots import ArenaHandle, SlotArena

logger = logging.getLogger(__name__)

MAX_RESTARTS = 3
"""Deaths without a result in between after which the network counts as gone."""

_Answers = SimpleQueue[tuple[int, Future[Embeddings]]]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""They reach the whole process group; while the member drains, the network is still needed."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the process needs to serve the network: the release and how to run it.

    ``rows_digest`` is the release's own, which names its network and head; a process that finds
    another one there is refused.
    ``regions`` asks for the embeddings of regions as well; ``nice`` is how much the process gives
    way to others, 0..19.
    """

    release: Path
    rows_digest: str
    device: str
    threads: int
    chunk: int
    regions: bool = False
    nice: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    """Frames to embed, with or without their regions."""

    frames: tuple[Frame, ...]
    regions: bool


class ProcessEmbedder:
    """The network in a process of its own; it is ready once this is made.

    Args:
        serving: The release and how to run it.
        arena: Where the frames lie; the process maps the same memory.

    Raises:
        BadRelease: The release is damaged, fails its self-test, or holds another network.
        BadNetwork: The device cannot be used, or the backbone's package is not installed.
        Unavailable: The process ended before it was ready.
    """

    def __init__(self, serving: Serving, arena: SlotArena) -> None:
        self._serving = serving
        self._arena = arena
        self._pending: dict[int, tuple[_Request, Future[Embeddings]]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self._ready = False
        self._deaths = 0
        self.boxes: Boxes = {}
        self._process, self._connection = self._start()
        self._reader = threading.Thread(target=self._read, name="embedder", daemon=True)
        try:
            self._greet()
        except (EOFError, OSError):
            self._end()
            code = self._process.exitcode
            raise Unavailable(f"the embedder process ended with {code} as it began") from None
        except BaseException:
            self._end()
            raise
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """Process id of the embedder process."""
        return self._process.pid

    def submit(self, frames: Sequence[Frame], *, regions: bool = True) -> Future[Embeddings]:
        """See ``Embedder.submit``."""
        result: Future[Embeddings] = Future()
        with self._lock:
            if self._closing:
                raise Unavailable("the embedder process is closed")
            number = next(self._numbers)
            request = _Request(tuple(frames), regions)
            self._pending[number] = (request, result)
            # One that is being started anew is given everything pending once it is ready.
            if self._ready:
                self._send(number, request)
        return result

    def close(self) -> None:
        """See ``Embedder.close``."""
        for result in self._abandoned():
            result.cancel()
        self._end()

    def _end(self) -> None:
        # The signal that asks for the end is one that it ignores.
        self._process.kill()
        self._process.join(5)
        if self._reader.is_alive():
            self._reader.join(5)
        self._connection.close()

    def _start(self) -> tuple[BaseProcess, Connection]:
        # Spawned, not forked: a fork of a process with threads can inherit a lock held for ever.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._arena.handle(), self._serving), name="embedder"
        )
        with theirs, _signals_held_back():
            process.start()
        return process, ours

    def _greet(self) -> None:
        """Wait until the process serves the network, then send what is pending.

        Raises:
            ModelError, ModeratorError: It cannot serve it, and says why.
            EOFError, OSError: It is gone.
        """
        greeting = self._connection.recv()
        if isinstance(greeting, ModelError | ModeratorError):
            raise greeting
        rows_digest, self.boxes = greeting
        if rows_digest != self._serving.rows_digest:
            raise BadRelease(
                f"{self._serving.release} now holds another network or head than at the start; "
                "releases must not be changed: restart the member"
            )
        with self._lock:
            self._ready = True
            for number, (request, _) in self._pending.items():
                self._send(number, request)

    def _send(self, number: int, request: "_Request") -> None:
        rows = [(each.slot, each.index, each.height, each.width) for each in request.frames]
        # Its reader thread sees the death too, and sends everything pending again.
        with contextlib.suppress(OSError):
            self._connection.send((number, request.regions, rows))

    def _read(self) -> None:
        try:
            while not self._closing:
                self._take_next()
        except (ModelError, ModeratorError) as error:
            self._give_up(str(error))
        except Exception as error:
            # Nobody else would ever complete what is pending.
            logger.exception("the embedder process cannot be started anew")
            self._give_up(f"the embedder process cannot be started anew: {error}")

    def _take_next(self) -> None:
        try:
            if not self._ready:
                self._greet()
            number, answer = self._connection.recv()
        except (EOFError, OSError):
            self._restart()
            return
        self._deaths = 0
        with self._lock:
            _, result = self._pending.pop(number, (None, None))
        if result is None:
            return
        # Whoever asked may have cancelled it.
        with contextlib.suppress(InvalidStateError):
            if isinstance(answer, str):
                result.set_exception(Unavailable(answer))
            else:
                result.set_result(answer)

    def _restart(self) -> None:
        """Start the process anew, unless this is closing.

        Raises:
            Unavailable: It has died too often.
            OSError: There is no room for another process.
        """
        self._process.join(1)
        self._process.kill()
        self._process.join()
        with self._lock:
            if self._closing:
                return
            self._ready = False
            self._deaths += 1
            if self._deaths > MAX_RESTARTS:
                raise Unavailable(f"the embedder process died {self._deaths} times in a row")
            code = self._process.exitcode
            logger.error("the embedder process ended with %s; starting it anew", code)
            self._connection.close()
            self._process, self._connection = self._start()

    def _give_up(self, reason: str) -> None:
        """Fail what is pending, and whatever is submitted from now on."""
        for result in self._abandoned():
            with contextlib.suppress(InvalidStateError):
                result.set_exception(Unavailable(reason))

    def _abandoned(self) -> list[Future[Embeddings]]:
        """Begin to close; return what is not answered and will not be."""
        with self._lock:
            self._closing = True
            pending = [result for _, result in self._pending.values()]
            self._pending.clear()
        return pending


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Start processes with the signals blocked: they stay so until these ignore them."""
    # Its own start would let them through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, handle: ArenaHandle, serving: Serving) -> None:
    """Answer requests until the parent is gone: (number, regions, frames) with (number, rows).

    The rows are float32[rows, D + C].

    The first answer is the digest of network and head, and the boxes of its regions, or the error
    for which there is none.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.nice(serving.nice)
    keep_private()
    try:
        embedder, rows_digest = _loaded(handle, serving)
    except (ModelError, ModeratorError) as error:
        connection.send(error)
        return
    except Exception as error:
        connection.send(Unavailable(f"the network cannot be served: {_line(error)}"))
        return
    connection.send((rows_digest, embedder.boxes))
    answers: _Answers = SimpleQueue()
    # On a thread of its own: whoever reads requests must never wait for answers to be taken.
    threading.Thread(target=_answer, args=(connection, answers), daemon=True).start()
    while True:
        try:
            number, regions, rows = connection.recv()
        except (EOFError, OSError):
            return
        future = embedder.submit([Frame(*row) for row in rows], regions=regions)
        future.add_done_callback(partial(_put, answers, number))


def _loaded(handle: ArenaHandle, serving: Serving) -> tuple[Embedder, str]:
    """Return the network of the release, in this process, and the digest of its rows."""
    from models.device import resolve_device, set_threads
    from models.release import load_release
    from moderator.embedder import InProcessEmbedder

    set_threads(1)
    release = load_release(serving.release)
    network = release.load_network(resolve_device(serving.device))
    arena = SlotArena.attach(handle)
    embedder = InProcessEmbedder(
        network, arena, threads=serving.threads, chunk=serving.chunk, regions=serving.regions
    )
    return embedder, release.rows_digest


def _put(answers: _Answers, number: int, done: Future[Embeddings]) -> None:
    answers.put((number, done))


def _answer(connection: Connection, answers: _Answers) -> None:
    while True:
        number, done = answers.get()
        error = done.exception()
        if error is None:
            reply: object = np.asarray(done.result())
        elif isinstance(error, Unavailable):
            reply = str(error)
        else:
            reply = f"the embedder process failed: {_line(error)}"
        try:
            connection.send((number, reply))
        except OSError:
            return


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
