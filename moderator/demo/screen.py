"""What the demo shows: a live table on a terminal, plain lines elsewhere. Decides nothing."""

from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress import track
from rich.table import Table
from rich.text import Text

from moderator.demo.tally import Mark, Outcome, Summary

T = TypeVar("T")

MARKS: dict[Mark, tuple[str, str]] = {
    "right": ("✓", "green"),
    "other type": ("≈ other type", "yellow"),
    "wrong": ("✗ wrong", "bold red"),
    "unknown": ("·", "dim"),
}
FRAME = 8
"""Lines of a terminal that are not rows of the table."""


class Screen:
    """Shows outcomes as they come.

    Args:
        console: Where to.
        posts: Posts that are expected in all.
    """

    def __init__(self, console: Console, posts: int) -> None:
        self._console = console
        self._posts = posts
        self._rows: deque[Outcome] = deque(maxlen=max(5, console.height - FRAME))
        self._counts = {"decided": 0, "flag": 0, "wrong": 0}
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Return a context that shows a spinner, on a terminal."""
        return self._console.status(text) if self._console.is_terminal else nullcontext()

    def counted(self, items: Iterable[T], total: int, text: str) -> Iterable[T]:
        """Return items as they are, with a progress bar meanwhile, on a terminal."""
        if not self._console.is_terminal:
            return items
        return track(items, text, total, console=self._console, transient=True)

    def show(self, outcome: Outcome) -> None:
        """Show one more decided post."""
        self._counts["decided"] += 1
        self._counts["flag"] += outcome.decision == "flag"
        self._counts["wrong"] += outcome.mark == "wrong"
        self._rows.append(outcome)
        if self._live is None:
            self.say(line(outcome))
        else:
            self._live.update(self._view())

    def _view(self) -> Group:
        table = Table(expand=True, pad_edge=False)
        for title in ("post", "truly shows", "decision", "types", "age", ""):
            table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=_RATIOS.get(title))
        for row in self._rows:
            mark, style = MARKS[row.mark]
            colour = "red" if row.decision == "flag" else "green"
            table.add_row(
                row.post.post_id,
                Text(row.post.label),
                Text(_decision(row), colour),
                Text(_types(row)),
                f"{row.age:.2f} s",
                Text(mark, style),
            )
        decided, flag, wrong = self._counts.values()
        head = f"{decided} of {self._posts} decided · {flag} flagged · {wrong} wrong"
        return Group(table, Text(head, "bold"))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(self._view(), console=self._console, refresh_per_second=10)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


_RATIOS = {"truly shows": 5, "decision": 4, "types": 6}


def line(outcome: Outcome) -> str:
    """Return an outcome as one plain line."""
    return (
        f"{outcome.post.post_id}  {outcome.post.label:44.44}  {_decision(outcome):24}  "
        f"{outcome.age:5.2f} s  {MARKS[outcome.mark][0]:12}  {_types(outcome)}"
    ).rstrip()


def closing(summary: Summary) -> list[str]:
    """Return a run's summary as lines."""
    lines = [
        f"{summary.posted} posts, {summary.decided} decided: {summary.flagged} flagged, "
        f"{summary.decided - summary.flagged} passed; {summary.wrong} wrong, "
        f"{summary.other_type} flagged as another type"
        + (f", {summary.unknown} of unknown truth" if summary.unknown else ""),
        f"{summary.cached_repeats} of {summary.repeats} repeats decided from the cache",
        f"{summary.images_per_second:.1f} images/s, age p50 {summary.age_p50:.2f} s, "
        f"p99 {summary.age_p99:.2f} s",
    ]
    missing = summary.posted - summary.decided
    return [*lines, f"{missing} posts were never decided"] if missing else lines


def _decision(outcome: Outcome) -> str:
    return f"{outcome.decision}: {outcome.reason}{' (cached)' if outcome.cached else ''}"


def _types(outcome: Outcome) -> str:
    return ", ".join(f"{name} {score:.2f}" for name, score in outcome.types[:2])
