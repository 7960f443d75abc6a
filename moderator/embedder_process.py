"""The network in a process of its own, behind the same seam as in this one.

The parent hands over where frames lie in shared memory, never pixels. A process that dies is
started anew and given again what it had not answered. Knows nothing of posts or Kafka.
"""

import itertools
import logging
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from moderator.embedder import Embeddings, Frame
from moderator.errors import Unavailable
from moderator.slots import ArenaHandle, SlotArena

logger = logging.getLogger(__name__)

MAX_RESTARTS = 3
"""Deaths without a result in between after which the network counts as gone."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the process needs to serve the network: the release and how to run it."""

    release: Path
    device: str
    threads: int
    chunk: int


class ProcessEmbedder:
    """The network in a process of its own.

    Args:
        serving: The release and how to run it.
        arena: Where the frames lie; the process maps the same memory.
    """

    def __init__(self, serving: Serving, arena: SlotArena) -> None:
        self._serving = serving
        self._arena = arena
        self._pending: dict[int, tuple[Sequence[Frame], Future[Embeddings]]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self._deaths = 0
        self._process, self._connection = self._start()
        self._reader = threading.Thread(target=self._read, name="embedder", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """Process id of the embedder process."""
        return self._process.pid

    def submit(self, frames: Sequence[Frame]) -> Future[Embeddings]:
        """See ``Embedder.submit``."""
        result: Future[Embeddings] = Future()
        with self._lock:
            if self._closing:
                raise Unavailable("the embedder process is closed")
            number = next(self._numbers)
            self._pending[number] = (list(frames), result)
            self._send(number, frames)
        return result

    def close(self) -> None:
        """See ``Embedder.close``."""
        with self._lock:
            self._closing = True
            pending = list(self._pending.values())
            self._pending.clear()
        for _, result in pending:
            result.cancel()
        self._process.terminate()
        self._process.join(5)
        self._reader.join(5)
        self._connection.close()

    def _start(self) -> tuple[BaseProcess, Connection]:
        # Spawned, not forked: a fork of a process with threads can inherit a lock held for ever.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._arena.handle(), self._serving), name="embedder"
        )
        process.start()
        theirs.close()
        return process, ours

    def _send(self, number: int, frames: Sequence[Frame]) -> None:
        rows = [(frame.slot, frame.index, frame.height, frame.width) for frame in frames]
        try:
            self._connection.send((number, rows))
        except OSError:
            # Its reader thread sees the death too, and sends everything pending again.
            return

    def _read(self) -> None:
        while True:
            try:
                number, answer = self._connection.recv()
            except (EOFError, OSError):
                if self._closing or not self._restart():
                    return
                continue
            self._deaths = 0
            with self._lock:
                _, result = self._pending.pop(number, (None, None))
            if result is None or result.cancelled():
                continue
            if isinstance(answer, str):
                result.set_exception(Unavailable(f"the embedder process failed: {answer}"))
            else:
                result.set_result(answer)

    def _restart(self) -> bool:
        self._process.join(5)
        self._deaths += 1
        logger.error("embedder process ended with %s; starting it anew", self._process.exitcode)
        with self._lock:
            if self._deaths > MAX_RESTARTS:
                for _, result in self._pending.values():
                    result.set_exception(
                        Unavailable(f"the embedder process died {self._deaths} times in a row")
                    )
                self._pending.clear()
                self._closing = True
                return False
            self._connection.close()
            self._process, self._connection = self._start()
            for number, (frames, _) in self._pending.items():
                self._send(number, frames)
        return True


def _serve(connection: Connection, handle: ArenaHandle, serving: Serving) -> None:
    """Answer requests until the parent is gone: (number, frames) with (number, float32[N, D])."""
    from models.device import resolve_device, set_threads
    from models.release import load_release
    from moderator.embedder import InProcessEmbedder

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_threads(1)
    network = load_release(serving.release).load_network(resolve_device(serving.device))
    arena = SlotArena.attach(handle)
    embedder = InProcessEmbedder(network, arena, threads=serving.threads, chunk=serving.chunk)
    lock = threading.Lock()

    def answer(number: int, done: Future[Embeddings]) -> None:
        error = done.exception()
        reply = np.asarray(done.result()) if error is None else f"{type(error).__name__}: {error}"
        with lock:
            connection.send((number, reply))

    while True:
        try:
            number, rows = connection.recv()
        except (EOFError, OSError):
            return
        future = embedder.submit([Frame(*row) for row in rows])
        future.add_done_callback(partial(answer, number))
