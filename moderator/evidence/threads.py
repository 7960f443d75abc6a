"""Threads that a call which never returns cannot keep a process from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """A few daemon threads that take calls in turn; those of an executor are waited for at exit.

    A call that is cancelled before its turn is let go of at once, with all that it holds.

    Args:
        count: How many there are.
        name: Of the threads.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._turns: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._calls: dict[Future[Any], Callable[[], Any]] = {}
        for _ in range(count):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken yet."""
        return len(self._calls)

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Begin a call when its turn comes, unless it is cancelled before."""
        future: Future[T] = Future()
        self._calls[future] = call
        future.add_done_callback(lambda done: self._calls.pop(done, None))
        self._turns.put(future)
        return future

    def close(self) -> None:
        """End the threads that are not in a call; the others end after it."""
        for _ in range(self._count):
            self._turns.put(None)

    def _run(self) -> None:
        while (future := self._turns.get()) is not None:
            call = self._calls.pop(future, None)
            if call is None or not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            # What it holds must not wait for the next call with this thread.
            del call, future
