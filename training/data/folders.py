"""Split photographs by their types, as the paper's authors split theirs. Pure; knows no files.

No type and no group of near copies is in two of training, validation and test.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from training.data.sets import QuerySet, RetrievalData
from training.errors import BadInput
from training.folder import Photo

SHARES = (0.65, 0.10, 0.25)
"""Of the types, for training, validation and test (paper, 1)."""

QUERIES = 2
"""Of each type of validation and test (paper, 1)."""

LEAST = 4
"""Photographs a type needs, near copies counted once: two queries, and two for them to find."""

Groups = Mapping[str, Mapping[str, Sequence[Photo]]]
"""Type → group of near copies → its photographs, in the order they were given."""


def split_folder(
    photos: Sequence[Photo],
    *,
    seed: int,
    shares: tuple[float, float, float] = SHARES,
    queries_per_type: int = QUERIES,
    least: int = LEAST,
    harmless: Sequence[Photo] = (),
    untyped: Sequence[Photo] = (),
    name: str = "folder",
) -> RetrievalData:
    """Split photographs by disjoint types, and draw queries from those of validation and test.

    A group of near copies that stands under several types stays with the one that has most of
    it. Near copies of a query are not in its database. Types with too few photographs are left
    out; ``too_small`` names them.

    Args:
        photos: Of firearms, with their groups.
        seed: The same one splits the same photographs the same way, whatever their order.
        shares: Of the types, for training, validation and test; they sum to 1. Training gets
            two types at least, the others one.
        queries_per_type: Of each type of validation and test, from different groups.
        least: Groups of near copies that a type needs; more than ``queries_per_type``.
        harmless: Handed on, without near copies of photographs of validation and test.
        untyped: Of firearms of no known type; handed on likewise.
        name: Of the data set.

    Raises:
        BadInput: Too few types have enough photographs.
        ValueError: A figure is outside its range.

    Source: the paper's protocol (1), with near copies kept together.
    """
    if not 0 < queries_per_type < least:
        raise ValueError(f"{queries_per_type} queries of types with {least} photographs or more")
    types = {kind: held for kind, held in _grouped(photos).items() if len(held) >= least}
    if len(types) < 4:
        raise BadInput(
            f"{len(types)} types have {least} different photographs or more; a split into "
            "training, validation and test needs at least 4 such types"
        )
    train, validation, test = _parts(sorted(types), seed, shares)
    sets = [_query_set(types, part, seed, queries_per_type) for part in (validation, test)]
    held = {photo.group for part in sets for photo in (*part.queries, *part.database)}
    return RetrievalData(
        name=name,
        train=_photos(types, train),
        classification=_photos(types, sorted((*train, *validation))),
        validation=sets[0],
        test=sets[1],
        harmless=tuple(photo for photo in harmless if photo.group not in held),
        untyped=tuple(photo for photo in untyped if photo.group not in held),
    )


def too_small(photos: Sequence[Photo], least: int = LEAST) -> dict[str, int]:
    """Return the types that ``split_folder`` leaves out, with their different photographs."""
    counts = {kind: len(held) for kind, held in _grouped(photos).items()}
    return {
        kind: counts.get(kind, 0)
        for kind in sorted({photo.name for photo in photos})
        if counts.get(kind, 0) < least
    }


def every_image_as_query(part: QuerySet) -> QuerySet:
    """Ask every photograph of a set against all others of it.

    A photograph neither finds nor ranks itself or its near copies. One that has nothing else of
    its type is not asked, but stays in the database.

    Args:
        part: Two queries of a type say little; it gives the photographs to ask.
    """
    photos = tuple({photo.path: photo for photo in (*part.database, *part.queries)}.values())
    types: dict[str, set[int]] = defaultdict(set)
    groups: dict[str, set[int]] = defaultdict(set)
    for place, photo in enumerate(photos):
        types[photo.name].add(place)
        groups[photo.group].add(place)
    asked = [photo for photo in photos if types[photo.name] - groups[photo.group]]
    return QuerySet(
        queries=tuple(asked),
        database=photos,
        relevant=tuple(frozenset(types[photo.name] - groups[photo.group]) for photo in asked),
        ignored=tuple(frozenset(groups[photo.group]) for photo in asked),
    )


def _grouped(photos: Sequence[Photo]) -> Groups:
    """Return the photographs by type and group, each group under one type only."""
    shared: dict[str, Counter[str]] = defaultdict(Counter)
    for photo in photos:
        shared[photo.group][photo.name] += 1
    owner = {
        group: min(counts, key=lambda kind: (-counts[kind], kind))
        for group, counts in shared.items()
    }
    types: dict[str, dict[str, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    for photo in sorted(photos, key=lambda photo: photo.path):
        if owner[photo.group] == photo.name:
            types[photo.name][photo.group].append(photo)
    return types


def _parts(
    names: Sequence[str], seed: int, shares: tuple[float, float, float]
) -> tuple[list[str], list[str], list[str]]:
    if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
        raise ValueError(f"the shares {shares} are not above 0 with a sum of 1")
    order = list(names)
    random.Random(f"{seed} types").shuffle(order)  # noqa: S311 - a reproducible choice
    test = min(max(1, round(shares[2] * len(order))), len(order) - 3)
    validation = min(max(1, round(shares[1] * len(order))), len(order) - test - 2)
    held = test + validation
    return sorted(order[held:]), sorted(order[test:held]), sorted(order[:test])


def _query_set(types: Groups, names: Sequence[str], seed: int, queries_per_type: int) -> QuerySet:
    queries: list[Photo] = []
    database: list[Photo] = []
    spans: dict[str, frozenset[int]] = {}
    for name in names:
        chance = random.Random(f"{seed} {name}")  # noqa: S311 - a reproducible choice
        asked = chance.sample(sorted(types[name]), queries_per_type)
        queries += [chance.choice(types[name][group]) for group in asked]
        start = len(database)
        database += [
            photo for group, held in types[name].items() if group not in asked for photo in held
        ]
        spans[name] = frozenset(range(start, len(database)))
    relevant = tuple(spans[query.name] for query in queries)
    return QuerySet(tuple(queries), tuple(database), relevant)


def _photos(types: Groups, names: Sequence[str]) -> tuple[Photo, ...]:
    return tuple(photo for name in names for held in types[name].values() for photo in held)
