"""How far a long step is: a bar on a terminal, else plain lines. Knows nothing of the steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINES = 10
"""Plain lines that a step gives at most."""


@contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a step of ``total`` parts; yields what is told how many more are done."""
    if not console.is_terminal:
        yield _lines(console, title, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)


def _lines(console: Console, title: str, total: int) -> Callable[[int], None]:
    done = shown = 0

    def advance(more: int) -> None:
        nonlocal done, shown
        done += more
        if done * LINES // max(1, total) > shown:
            shown = done * LINES // max(1, total)
            console.print(f"{title}: {done} of {total}", highlight=False)

    return advance
