"""The photographs that training and evaluation use, and what each query should find.

Knows no files' layout, no networks and no figures of merit.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from training.folder import Photo


@dataclass(frozen=True)
class QuerySet:
    """Photographs that are asked, and those that are searched.

    Args:
        queries: Photographs to ask.
        database: Photographs to search. A query may stand in it if it is ignored for itself.
        relevant: For each query, the places in ``database`` that show its type; never empty.
        ignored: For each query, the places in ``database`` that its ranking leaves out, as they
            are the query itself or its near copies; none of them is relevant. Empty for each
            query when not given.

    Raises:
        ValueError: The lengths differ, or a query has nothing relevant or a place outside the
            database.
    """

    queries: tuple[Photo, ...]
    database: tuple[Photo, ...]
    relevant: tuple[frozenset[int], ...]
    ignored: tuple[frozenset[int], ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.ignored:
            object.__setattr__(self, "ignored", (frozenset(),) * len(self.queries))
        if not len(self.queries) == len(self.relevant) == len(self.ignored):
            raise ValueError(
                f"{len(self.queries)} queries, {len(self.relevant)} sets of relevant places and "
                f"{len(self.ignored)} of ignored ones"
            )
        for query, right, left_out in zip(self.queries, self.relevant, self.ignored, strict=True):
            if not right:
                raise ValueError(f"nothing is relevant to the query {query.path.name}")
            if right & left_out:
                raise ValueError(f"the query {query.path.name} both finds and ignores a place")
            if not all(0 <= place < len(self.database) for place in right | left_out):
                raise ValueError(f"the query {query.path.name} has a place outside the database")


@dataclass(frozen=True)
class RetrievalData:
    """All photographs of one data set, split by types: no type is in two of its parts.

    Args:
        name: Of the data set, for tables and results.
        train: Stage 2 draws its pairs here.
        classification: Stage 1's photographs, of the types of train and validation (paper, 1);
            ``classification_split`` parts them.
        validation: Chooses the best network of stage 2.
        test: Is only ever measured.
        harmless: Photographs without firearms that training may use.
        untyped: Photographs of firearms whose type is not known; empty unless asked for.
    """

    name: str
    train: tuple[Photo, ...]
    classification: tuple[Photo, ...]
    validation: QuerySet
    test: QuerySet
    harmless: tuple[Photo, ...] = ()
    untyped: tuple[Photo, ...] = ()


def relevant_by_name(
    queries: Sequence[Photo], database: Sequence[Photo]
) -> tuple[frozenset[int], ...]:
    """Return, for each query, the places in the database with the same type."""
    places: dict[str, set[int]] = defaultdict(set)
    for place, photo in enumerate(database):
        places[photo.name].add(place)
    return tuple(frozenset(places[query.name]) for query in queries)


def classification_split(
    photos: Sequence[Photo], *, share: float = 0.7, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Part photographs at random within each type, near copies together.

    Args:
        photos: Of any types.
        share: Of each type's n photographs that learn: ``int(share * n)`` of them, less where a
            group of near copies does not fit, but at least one group.
        seed: The same one gives the same parts; those of a type depend on no other type.

    Returns:
        Places of the photographs to learn from, and of those to measure by; both in order.

    Source: the released code splits at random, ``int(0.7 * n)`` per type (paper, 1).
    """
    types: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, photo in enumerate(photos):
        types[photo.name][photo.group].append(place)
    learn: list[int] = []
    for name, groups in types.items():
        order = [groups[group] for group in sorted(groups)]
        random.Random(f"{seed} {name}").shuffle(order)  # noqa: S311 - a reproducible choice
        learn += _first(order, int(share * sum(map(len, order))))
    chosen = set(learn)
    return (
        tuple(sorted(learn)),
        tuple(place for place in range(len(photos)) if place not in chosen),
    )


def _first(groups: Sequence[Sequence[int]], at_most: int) -> list[int]:
    places: list[int] = []
    for group in groups:
        if len(places) + len(group) <= at_most:
            places += group
    return places or list(groups[0])
