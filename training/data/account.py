"""What people read of a verified copy: lines of text. Pure; must not read files."""

from collections import Counter
from collections.abc import Iterator, Sequence

from training.data.verify import Verdict

SHOWN = 20
"""Lines of each kind; further ones are counted."""


def account(verdict: Verdict, *, verbose: bool) -> Iterator[str]:
    """Yield the lines.

    Args:
        verdict: Of the copy.
        verbose: Show each line, however many there are.
    """
    limit = None if verbose else SHOWN
    yield from _lines("missing", verdict.missing, limit)
    yield from _lines("damaged", [f"{path}: {why}" for path, why in verdict.damaged], limit)
    yield from _lines("extra", verdict.extra, limit)
    yield from _lines("ground truth", verdict.ground_truth, limit)
    across = set(verdict.found.across_splits)
    types = [paths for paths in verdict.found.across_types if paths not in across]
    for title, sets in (
        ("in two splits", verdict.found.across_splits),
        ("under two types", types),
        ("query in the database", verdict.found.of_queries),
    ):
        yield from _lines(title, [" = ".join(paths) for paths in sets], limit)
    yield _found(verdict)
    yield _duplicates(verdict)


def _lines(title: str, items: Sequence[str], limit: int | None) -> Iterator[str]:
    for item in items[:limit]:
        yield f"{title}: {item}"
    rest = items[len(items) if limit is None else limit :]
    if rest:
        counts = Counter(item.partition("/")[0] for item in rest)
        where = ", ".join(f"{count} in {split}" for split, count in sorted(counts.items()))
        yield f"{title}: {len(rest)} more ({where}); --verbose shows them"


def _found(verdict: Verdict) -> str:
    missing, damaged, extra = map(len, (verdict.missing, verdict.damaged, verdict.extra))
    whole = verdict.expected - missing - damaged
    return (
        f"{verdict.expected:,} files expected: {whole:,} whole, {missing:,} missing, "
        f"{damaged:,} damaged; {extra:,} extra; ground truth "
        f"{'wrong' if verdict.ground_truth else 'right'}"
    )


def _duplicates(verdict: Verdict) -> str:
    found = verdict.found
    return (
        f"{found.distinct:,} different files among {found.files:,}: {len(found.across_splits)} are "
        f"in two splits, {len(found.across_types)} under two types, {len(found.of_queries)} are "
        "both query and in the database"
    )
