"""Threads that a call which never returns cannot keep a process from ending. Knows no store."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """A few daemon threads that take calls in turn; those of an executor are waited for at exit.

    Args:
        count: How many there are.
        name: Of the threads.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken yet."""
        return self._calls.qsize()

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Begin a call when its turn comes, unless it is cancelled before."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    def close(self) -> None:
        """End the threads that are not in a call; the others end after it."""
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (given := self._calls.get()) is not None:
            future, call = given
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
