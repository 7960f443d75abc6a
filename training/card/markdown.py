"""Markdown and numbers as a card shows them. Pure; must not know what they tell."""

from collections.abc import Iterable, Sequence
from typing import Any

from training.ranking.spread import Spread

NONE = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of a table, the first column to the left and the others to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return [
        "",
        *(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines),
        "",
    ]


def bullets(texts: Iterable[str]) -> list[str]:
    """Return the lines of a list."""
    return ["", *(f"- {text}" for text in texts), ""]


def code(name: str) -> str:
    """Return a name that Markdown leaves as it is."""
    return f"`{name.replace('`', '')}`"


def percent(share: float | None) -> str:
    """Return a share in 0..1 in percent."""
    return NONE if share is None else f"{100 * share:.1f} %"


def rate(share: float) -> str:
    """Return a rate that was chosen, such as 0.001, in percent with no digit more than it has."""
    return f"{100 * share:g} %"


def part(count: int, of: int) -> str:
    """Return a count of others, with its share."""
    return f"{count} of {of} ({percent(count / of)})" if of else NONE


def with_interval(found: Spread) -> str:
    """Return a mean of shares with half its interval, where there is one."""
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{100 * found.mean:.1f}{half} %"


def points(found: Spread) -> str:
    """Return a mean difference of shares in percentage points, with half its interval."""
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{100 * found.mean:+.1f}{half}"


def tidy(lines: Iterable[str]) -> str:
    """Return a text of lines without blank lines that follow each other."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).rstrip("\n") + "\n"
