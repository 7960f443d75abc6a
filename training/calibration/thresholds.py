"""Thresholds of types, of regions, and of what is too unlike any firearm. Pure.

All are chosen on flag scores of held-out photographs, see ``training.threshold``.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.policy import MOST_LOGITS, HeadRule
from training.threshold import Floats, at_false_flag_rate

HIGHEST = 2.0
"""No margin or offset of similarities or supports is above it."""


class Rule(Protocol):
    """What a policy, and the settings of one, say of the rule of scoring."""

    @property
    def temperature(self) -> float | None:
        """Of the soft rule."""
        ...

    @property
    def head(self) -> HeadRule | None:
        """Of the rule that joins a head and prototypes."""
        ...


def ceiling(rule: Rule) -> float:
    """Return the highest threshold of similarities, of supports, or of a head's logits."""
    if rule.head is not None:
        return MOST_LOGITS
    return 1.0 if rule.temperature is None else HIGHEST


def widest(rule: Rule) -> float:
    """Return the largest band or margin."""
    return HIGHEST if rule.head is None else MOST_LOGITS


def least_similarity(nearest: Floats, quantile: float) -> float:
    """Return the similarity to the nearest firearm that all but a share of firearms reach.

    What is less like every known firearm than almost any firearm is of an open set of other
    things, on which supports, which compare firearms with known look-alikes, say nothing.

    Args:
        nearest: float64[N], of held-out firearms; at least 1.
        quantile: That share, in 0..1; 0: there is no limit.

    Returns:
        In -1..1.
    """
    if quantile == 0:
        return -1.0
    found = float(np.quantile(nearest, quantile, method="lower"))
    return min(1.0, max(-1.0, found))


def type_offsets(
    best: NDArray[np.int64],
    scores: Floats,
    types: Sequence[str],
    *,
    rate: float,
    shrinkage: float,
    highest: float = HIGHEST,
) -> dict[str, float]:
    """Return how much more than the common threshold each type needs.

    A harmless photograph is laid to the type it is most like. A type's own threshold flags at
    most ``rate`` of those laid to it, so that the types' shares add up to the whole budget. With
    ``a`` = rate times how many those are, the false flags that the type may have, it is pulled
    to the common threshold by a / (a + shrinkage): a type with few false flags to go by needs
    about what all need, one with many needs its own.

    Args:
        best: int64[N], the type that each harmless photograph is most like; -1: none.
        scores: float64[N], flag scores of the harmless photographs; at least 1.
        types: Names by those places.
        rate: Of false flags, in 0..1.
        shrinkage: At least 0; 0: each type has its own threshold.
        highest: That a threshold may be.

    Returns:
        Type → offset, for the types that a harmless photograph is laid to.
    """
    common = at_false_flag_rate(scores, rate, highest=highest)
    found = {}
    for place in np.unique(best[best >= 0]).tolist():
        laid = scores[best == place]
        own = at_false_flag_rate(laid, rate, highest=highest)
        allowed = rate * len(laid)
        found[types[place]] = allowed / (allowed + shrinkage) * (own - common)
    return found


def whole_rate(harmless: int, rate: float, region_share: float) -> tuple[float, int]:
    """Part the allowed false flags between whole photographs and what regions add.

    Args:
        harmless: Photographs, at least 1.
        rate: Of false flags, in 0..1.
        region_share: Most of them that regions may add, in 0..1.

    Returns:
        The rate that whole photographs may have, and how many flags regions may add.
    """
    allowed = int(np.floor(rate * harmless + 1e-9))
    added = int(np.floor(region_share * allowed + 1e-9))
    return (allowed - added) / harmless, added


def region_margin(
    whole: Floats, regions: Floats, threshold: float, added: int, highest: float = HIGHEST
) -> float:
    """Return how much more a region needs than a whole photograph, as little as can be.

    Args:
        whole: float64[N], flag scores of harmless photographs.
        regions: float64[N], of the best region of each.
        threshold: Of whole photographs.
        added: How many photographs may be flagged for their regions alone.
        highest: That a margin may be.

    Returns:
        In 0..``highest``.
    """
    passed = regions[whole < threshold] - threshold
    if not len(passed):
        return 0.0
    margin = at_false_flag_rate(passed, added / len(passed), highest=highest)
    return max(0.0, margin)
