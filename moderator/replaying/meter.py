"""Show how far long work is: a bar with the time left on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 10.0
"""Seconds between two plain lines."""


class Meter:
    """Counts steps of one piece of work.

    Args:
        console: Where it is shown.
        what: What is done, in a word or two.
        total: Steps there are, about.
    """

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = 0
        self._begin = time.monotonic()
        self._due = self._begin + EVERY
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total)

    def advance(self) -> None:
        """Go one step on."""
        self._done += 1
        self._progress.advance(self._task)
        now = time.monotonic()
        if now >= self._due and not self._console.is_terminal:
            self._due = now + EVERY
            rate = self._done / (now - self._begin)
            left = max(0, self._total - self._done) / rate
            self._console.file.write(
                f"{self._what}: {self._done} of {self._total}, {rate:.0f}/s, {left:.0f} s left\n"
            )
            self._console.file.flush()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
