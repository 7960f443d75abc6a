"""Draw pairs and triplets of photographs by their types. Pure; must not know images or torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput

Places = NDArray[np.int64]

PAIRS_PER_TYPE = 180
"""Positive pairs the paper draws for each type, and negative pairs."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photographs as parallel columns, in the order in which they are trained on.

    Args:
        first: int64[P], places of photographs.
        second: int64[P], never the same photograph as ``first``.
        same_type: bool[P], whether both are of one type.
    """

    first: Places
    second: Places
    same_type: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, eq=False)
class Triplets:
    """Triplets of photographs as parallel columns, in the order in which they are trained on.

    Args:
        anchor: int64[P], places of photographs.
        positive: int64[P], of the anchor's type and never the anchor.
        negative: int64[P], of another type.
    """

    anchor: Places
    positive: Places
    negative: Places

    def __len__(self) -> int:
        return len(self.anchor)


def sample_pairs(
    labels: Sequence[int] | NDArray[np.integer],
    *,
    positives_per_type: int = PAIRS_PER_TYPE,
    negatives_per_type: int = PAIRS_PER_TYPE,
    generator: np.random.Generator,
) -> Pairs:
    """Draw as many pairs for each type, all with replacement, and shuffle them.

    A positive pair is two different photographs of the type. A negative pair is a photograph of
    the type and one of another: first the other type is drawn, then its photograph, so that large
    types are not negatives more often than small ones. A type with one photograph has no
    positive pair; its negative ones are drawn all the same.

    Args:
        labels: int[N], the type of each photograph; any numbers.
        positives_per_type: Of types with two photographs or more; at least 0.
        negatives_per_type: At least 0; a pair counts for the type of its first photograph.
        generator: Two in the same state give the same pairs.

    Raises:
        BadInput: Positive pairs are asked for and no type has two photographs, or negative ones
            and there is only one type.

    Source: Hao et al., DeepFirearm, ICPR 2018, and its released code: 180 + 180 for each type,
        drawn again every 5 epochs.
    """
    types = _Types(labels)
    _check_count("positives_per_type", positives_per_type)
    _check_count("negatives_per_type", negatives_per_type)
    if positives_per_type:
        types.check_positives()
    if negatives_per_type:
        types.check_negatives()
    each = np.repeat(types.plural, positives_per_type)
    first, second = types.two_of(each, generator)
    owner = np.repeat(np.arange(len(types)), negatives_per_type)
    own = types.one_of(owner, generator)
    other = types.one_of(types.another(owner, generator), generator)
    same = np.arange(len(each) + len(owner)) < len(each)
    order = generator.permutation(len(same))
    return Pairs(
        np.concatenate([first, own])[order], np.concatenate([second, other])[order], same[order]
    )


def sample_triplets(
    labels: Sequence[int] | NDArray[np.integer],
    *,
    triplets_per_type: int = PAIRS_PER_TYPE,
    generator: np.random.Generator,
) -> Triplets:
    """Draw as many triplets for each type, all with replacement, and shuffle them.

    Anchor and positive are drawn as positive pairs are, the negative as in negative pairs. A type
    with one photograph is never an anchor.

    Args:
        labels: int[N], the type of each photograph; any numbers.
        triplets_per_type: Of types with two photographs or more; at least 0. The paper states no
            figure for its triplet network; the default gives as many as positive pairs.
        generator: Two in the same state give the same triplets.

    Raises:
        BadInput: No type has two photographs, or there is only one type.

    Source: the released code of Hao et al., DeepFirearm, ICPR 2018.
    """
    types = _Types(labels)
    _check_count("triplets_per_type", triplets_per_type)
    types.check_positives()
    types.check_negatives()
    each = np.repeat(types.plural, triplets_per_type)
    anchor, positive = types.two_of(each, generator)
    negative = types.one_of(types.another(each, generator), generator)
    order = generator.permutation(len(each))
    return Triplets(anchor[order], positive[order], negative[order])


class _Types:
    """Photographs by type; types are numbered in the order of their labels."""

    def __init__(self, labels: Sequence[int] | NDArray[np.integer]) -> None:
        column = np.asarray(labels, dtype=np.int64)
        # All photographs, type after type: one of a type is its start plus a number below its
        # count, for any number of types in one step.
        self._places: Places = np.argsort(column, kind="stable").astype(np.int64)
        counts = np.unique(column, return_counts=True)[1]
        self._counts: Places = counts.astype(np.int64)
        self._starts: Places = np.cumsum(self._counts) - self._counts
        self.plural: Places = np.flatnonzero(self._counts > 1).astype(np.int64)

    def __len__(self) -> int:
        return len(self._counts)

    def check_positives(self) -> None:
        if not len(self.plural):
            raise BadInput("no type has two photographs to pair; give at least two of each type")

    def check_negatives(self) -> None:
        if len(self) < 2:
            raise BadInput(
                f"photographs of two types at least are needed for negative pairs, not {len(self)}"
            )

    def one_of(self, types: Places, generator: np.random.Generator) -> Places:
        """Return a photograph of each of these types."""
        numbers = generator.integers(self._counts[types])
        places: Places = self._places[self._starts[types] + numbers]
        return places

    def two_of(self, types: Places, generator: np.random.Generator) -> tuple[Places, Places]:
        """Return two different photographs of each of these types, all pairs equally likely."""
        counts = self._counts[types]
        first = generator.integers(counts)
        second = (first + 1 + generator.integers(counts - 1)) % counts
        starts = self._starts[types]
        return self._places[starts + first], self._places[starts + second]

    def another(self, types: Places, generator: np.random.Generator) -> Places:
        """Return another type for each of these, all others equally likely."""
        if not len(types):
            return types
        steps = generator.integers(1, len(self), size=len(types))
        others: Places = (types + steps) % len(self)
        return others


def _check_count(name: str, count: int) -> None:
    if count < 0:
        raise BadInput(f"{name} is {count}; it must be at least 0")
