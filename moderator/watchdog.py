"""Say whether this process lives and whether it is ready. Knows nothing of what it watches.

Whoever does work tells here when a piece of it began and ended; a piece that takes longer than
the limit means that something hangs, and the process is better started anew.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchdog:
    """What goes on, since when, and what readiness hangs on; safe to use from every thread.

    Args:
        limit: Seconds that one piece of work may take.
        clock: Monotonic seconds.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._working: dict[str, float] = {}
        self._turning: dict[str, Callable[[], float]] = {}
        self._conditions: dict[str, Callable[[], bool]] = {}
        self._remarks: list[Callable[[], str | None]] = []

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Mark a piece of work; one of a name at a time."""
        with self._lock:
            self._working[name] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._working.pop(name, None)

    def turn(self, name: str) -> None:
        """Say that a piece of work moves on, however long it takes in all."""
        with self._lock:
            if name in self._working:
                self._working[name] = self._clock()

    def watch(self, name: str, turned: Callable[[], float] | None) -> None:
        """Watch a loop by the time of its last turn; None ends that."""
        with self._lock:
            if turned is None:
                self._turning.pop(name, None)
            else:
                self._turning[name] = turned

    def require(self, name: str, condition: Callable[[], bool]) -> None:
        """Be ready only while a condition holds; its name says what is missing when it does not."""
        with self._lock:
            self._conditions[name] = condition

    def remark(self, told: Callable[[], str | None]) -> None:
        """Have something told beside readiness that does not decide it; None: nothing now."""
        with self._lock:
            self._remarks.append(told)

    def remarks(self) -> list[str]:
        """Return what is to be known of this process, ready or not."""
        with self._lock:
            remarks = list(self._remarks)
        return [text for told in remarks if (text := told()) is not None]

    def stalled(self) -> list[str]:
        """Return what hangs: name and seconds, a line each; none where all is well."""
        now = self._clock()
        with self._lock:
            since = {**self._working, **{n: turned() for n, turned in self._turning.items()}}
        return [
            f"{name} has not moved for {now - begun:.0f} s"
            for name, begun in sorted(since.items())
            if now - begun > self._limit
        ]

    def missing(self) -> list[str]:
        """Return the names of what readiness lacks; none where this process is ready."""
        with self._lock:
            conditions = dict(self._conditions)
        return [name for name, condition in conditions.items() if not condition()]
