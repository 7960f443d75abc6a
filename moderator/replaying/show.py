"""Show people what a replay came to. Counts nothing itself."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from moderator.replaying.outcome import CLOSE
from moderator.replaying.tally import CHANGES, STATUSES, Tally

MOST_ROWS = 20
"""Rows of one table at most; --json has all."""

MEANING = {
    "same": "decided alike",
    "changed": "decided differently",
    "near-threshold": f"within {CLOSE:g} of a threshold, listed apart",
    "unreachable": "images that could be fetched only once of the two times, listed apart",
    "missing": "no old decision",
}


def show(out: Console, tally: Tally) -> None:
    """Print tables by change, by reason and by type, and a line for each thing to be known."""
    _table(out, ("posts", "what"), ((str(tally.statuses[s]), MEANING[s]) for s in STATUSES))
    if tally.changes:
        changes = ((str(tally.changes[c]), c) for c in CHANGES if tally.changes[c])
        _table(out, ("posts", "change"), changes)
        reasons = tally.reasons.most_common(MOST_ROWS)
        _table(
            out,
            ("posts", "reason then", "reason now"),
            ((str(n), old, new) for (old, new), n in reasons),
        )
        types = tally.types.most_common(MOST_ROWS)
        _table(
            out, ("posts", "type", "change"), ((str(n), name, kind) for (name, kind), n in types)
        )
    for line in _notes(tally):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _notes(tally: Tally) -> Iterator[str]:
    if tally.interrupted:
        yield f"interrupted: {tally.posts} of about {tally.offsets} posts were decided again"
    if tally.releases:
        low, high = tally.overlays or (0, 0)
        names = ", ".join(f"{name} ({count})" for name, count in tally.releases.most_common(5))
        yield f"old decisions by release: {names}; overlay {low} to {high}"
    if tally.drift is not None:
        yield f"largest difference of similarities to one prototype: {tally.drift:.2g}"
    if tally.near_changed:
        yield f"{tally.near_changed} of the posts near a threshold were decided differently"
    if tally.deletions:
        yield f"{tally.deletions} records say that a post was deleted; there is nothing to judge"
    if tally.unfetched:
        yield f"{tally.unfetched} posts have images that cannot be fetched now"
    for partition, count in tally.lost.items():
        yield f"partition {partition}: {count} offsets of the range are gone (retention)"
    for partition, offset in tally.cut.items():
        yield (
            f"partition {partition}: the range begins with the oldest record left, offset "
            f"{offset}; earlier ones may be gone"
        )
    if tally.without_record:
        yield f"{tally.without_record} offsets hold no record (marks of transactions, compaction)"
    if tally.unreadable:
        yield f"{tally.unreadable} records of the decisions topic are no decisions"
    for name in tally.missing:
        yield f"missing\t{name}"
    if tally.statuses["missing"] > len(tally.missing):
        yield f"and {tally.statuses['missing'] - len(tally.missing)} more without an old decision"


def _table(out: Console, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table with its headings; tab-separated lines where it is not on a terminal."""
    if not out.is_terminal:
        for row in (header, *rows):
            out.file.write("\t".join(row) + "\n")
        return
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    out.print(table)
