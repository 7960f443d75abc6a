"""How far figures of merit spread: over seeds and splits, and over queries. Pure."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """A mean with its interval.

    Args:
        count: Of the values.
        mean: Of the values.
        deviation: Their standard deviation (divided by n - 1); None for a single one.
        low: Lower end of the confidence interval of the mean; None for a single value.
        high: Its upper end; likewise.
    """

    count: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    @property
    def half(self) -> float | None:
        """Half the width of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def to_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return dict(vars(self))


def spread(values: Sequence[float], *, level: float = LEVEL) -> Spread:
    """Return mean, deviation and Student's interval of independent values, as of seeds or splits.

    Args:
        values: At least 1.
        level: Of confidence, in 0..1 without the ends.

    Raises:
        ValueError: There are no values.
    """
    if not len(values):
        raise ValueError("a spread needs at least one value")
    exact = np.asarray(values, np.float64)
    mean, count = float(exact.mean()), len(exact)
    if count == 1:
        return Spread(1, mean, None, None, None)
    deviation = float(exact.std(ddof=1))
    half = student_quantile((1 + level) / 2, count - 1) * deviation / math.sqrt(count)
    return Spread(count, mean, deviation, mean - half, mean + half)


def paired(first: Sequence[float], second: Sequence[float], *, level: float = LEVEL) -> Spread:
    """Return the spread of first - second, value by value, as of two methods on the same splits.

    Raises:
        ValueError: The lengths differ, or there are no values.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    return spread(differences, level=level)


def bootstrap(
    values: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Spread:
    """Return the spread of the mean of values when whole groups are drawn again with replacement.

    Queries of one type rise and fall together: drawn one by one they would look surer than they
    are.

    Args:
        values: At least 1.
        groups: Of the values; None: each value is a group of its own.
        level: Of confidence; the interval lies between percentiles.
        draws: Samples drawn.
        seed: Of chance.

    Returns:
        ``count`` and ``deviation`` are those of the values; the interval is None where there is
        only one group.

    Raises:
        ValueError: The lengths differ, or there are no values.
    """
    if not len(values) or (groups is not None and len(groups) != len(values)):
        raise ValueError("a bootstrap needs values, and a group for each of them or for none")
    exact = np.asarray(values, np.float64)
    sums, sizes = _by_group(exact, groups)
    chosen = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    means = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    sure = len(sums) > 1
    return Spread(
        count=len(exact),
        mean=float(exact.mean()),
        deviation=float(exact.std(ddof=1)) if len(exact) > 1 else None,
        low=float(low) if sure else None,
        high=float(high) if sure else None,
    )


def student_quantile(share: float, freedom: int) -> float:
    """Return where Student's distribution has this share below it.

    Args:
        share: In 0.5..1 without the upper end.
        freedom: Degrees of freedom, at least 1.

    Raises:
        ValueError: A figure is out of its range.
    """
    if not (0.5 <= share < 1 and freedom >= 1):
        raise ValueError(f"share {share} is not in 0.5..1, or {freedom} degrees are below 1")
    within = 2 * share - 1
    # In angles from 0 to 90° the quantile is bounded, so that halving finds it.
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < within else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _within(angle: float, freedom: int) -> float:
    """Return the share within ±sqrt(freedom) · tan(angle).

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(3 if odd else 2, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (power - 1) / power
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def _by_group(values: Floats, groups: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sums and sizes of groups, in the order in which they first come."""
    if groups is None:
        return values, np.ones(len(values))
    places: dict[Hashable, int] = {}
    of = [places.setdefault(group, len(places)) for group in groups]
    sums = np.bincount(of, weights=values).astype(np.float64)
    return sums, np.bincount(of).astype(np.float64)
