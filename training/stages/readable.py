"""Photographs that can be learnt from: readable ones, enough of each type. Knows no networks."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from rich.console import Console

from training.data.sets import QuerySet, RetrievalData
from training.errors import BadInput
from training.folder import Photo
from training.stages.pixelstore import PixelStore

NAMED = 5
"""Unreadable photographs or types that an error names."""


def check_types(photos: Sequence[Photo], purpose: str) -> None:
    """Refuse types that have fewer than two photographs.

    Raises:
        BadInput: There are such types, or there are fewer than two types.
    """
    counts = Counter(photo.name for photo in photos)
    if len(counts) < 2:
        raise BadInput(
            f"{len(counts)} types to {purpose}; at least two are needed, each with two photographs"
        )
    lonely = sorted(name for name, count in counts.items() if count < 2)
    if lonely:
        raise BadInput(
            f"types with one photograph cannot be used to {purpose}: {_some(lonely)}; "
            "add photographs or leave them out"
        )


def check_queries(queries: QuerySet) -> None:
    """Refuse a validation that would measure nothing.

    Raises:
        BadInput: It has no query or no database.
    """
    if not queries.queries or not queries.database:
        raise BadInput(
            "there are no photographs to validate on; give more types, or shares that leave some"
        )


def without_unreadable(
    data: RetrievalData, store: PixelStore, console: Console, *, skip: bool
) -> RetrievalData:
    """Return the data without the photographs that the store could not read.

    The test set stays as it is: training does not read it.

    Raises:
        BadInput: There are such photographs, and they are not to be skipped.
    """
    bad = store.unreadable
    if not bad:
        return data
    named = sorted({f"{p.name}/{p.path.name}: {bad[p.digest]}" for p in used(data)
                    if p.digest in bad})  # fmt: skip
    if not skip:
        raise BadInput(
            f"{len(named)} photographs cannot be read: {_some(named)}; "
            "mend or remove them, or give --skip-unreadable"
        )
    for line in named:
        console.print(f"left out, cannot be read: {line}", style="yellow", highlight=False)
    return replace(
        data,
        train=_kept(data.train, bad),
        classification=_kept(data.classification, bad),
        validation=_kept_queries(data.validation, bad),
        harmless=_kept(data.harmless, bad),
        untyped=_kept(data.untyped, bad),
    )


def used(data: RetrievalData) -> Iterable[Photo]:
    """Return the photographs that training may read; some may come twice."""
    return (
        *data.train,
        *data.classification,
        *data.validation.queries,
        *data.validation.database,
        *data.harmless,
        *data.untyped,
    )


def _kept(photos: Sequence[Photo], bad: Collection[str]) -> tuple[Photo, ...]:
    return tuple(photo for photo in photos if photo.digest not in bad)


def _kept_queries(queries: QuerySet, bad: Collection[str]) -> QuerySet:
    """Renumber the database; queries that then have nothing to find go too."""
    places = [n for n, photo in enumerate(queries.database) if photo.digest not in bad]
    new = {old: n for n, old in enumerate(places)}

    def moved(old: Iterable[int]) -> frozenset[int]:
        return frozenset(new[n] for n in old if n in new)

    rows = zip(queries.queries, queries.relevant, queries.ignored, strict=True)
    kept = [(photo, moved(right), moved(left_out)) for photo, right, left_out in rows
            if photo.digest not in bad and moved(right)]  # fmt: skip
    return QuerySet(
        queries=tuple(photo for photo, _, _ in kept),
        database=tuple(queries.database[n] for n in places),
        relevant=tuple(right for _, right, _ in kept),
        ignored=tuple(left_out for _, _, left_out in kept),
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
