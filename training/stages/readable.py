"""Photographs that can be learnt from: readable ones, enough of each type. Knows no networks."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from rich.console import Console

from training.data.sets import QuerySet, RetrievalData
from training.errors import BadInput
from training.folder import Photo
from training.leftout import some, unreadable


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
            f"types with one photograph cannot be used to {purpose}: {some(lonely)}; "
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
    data: RetrievalData, bad: Mapping[str, str], console: Console, *, skip: bool = True
) -> RetrievalData:
    """Return the data without photographs that cannot be read, and say which they are.

    Args:
        data: Of a split.
        bad: Digest of what cannot be read → why.
        console: Where it is said.
        skip: Whether they may be left out.

    Raises:
        BadInput: There are such photographs, and they are not to be skipped.
    """
    if not bad:
        return data
    every = {
        photo.digest: photo for photo in (*used(data), *data.test.queries, *data.test.database)
    }
    named = [f"{p.name}/{p.path.name}: {bad[p.digest]}" for p in every.values() if p.digest in bad]
    unreadable(named, len(every), console, skip=skip)
    return replace(
        data,
        train=_kept(data.train, bad),
        classification=_kept(data.classification, bad),
        validation=_kept_queries(data.validation, bad),
        test=_kept_queries(data.test, bad),
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
