"""How far apart photographs of one type lie, and of different ones. Pure.

Distances are Euclidean between embeddings of norm 1, in 0..2: where training's margins lie.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.ranking.rank import Rows

BINS = 50
FARTHEST = 2.0
BLOCK = 1024
"""Rows that are compared with all others at once."""


def distance_histograms(
    rows: Rows, types: Sequence[str], groups: Sequence[str], *, bins: int = BINS
) -> dict[str, Any]:
    """Return histograms of the distances of all pairs, without near copies of each other.

    Args:
        rows: float[N, D], L2-normalised.
        types: Of the rows.
        groups: Near copies share one.
        bins: Of equal width over 0..2.

    Returns:
        ``edges`` and, for ``same`` and ``other`` types, ``counts``, ``pairs``, and ``mean`` of
        the distances, None without pairs.

    Raises:
        ValueError: Lengths differ.
    """
    if not len(rows) == len(types) == len(groups):
        raise ValueError(f"{len(rows)} rows, {len(types)} types and {len(groups)} groups")
    edges = np.linspace(0.0, FARTHEST, bins + 1)
    kind, copy = _codes(types), _codes(groups)
    counts = {True: np.zeros(bins, np.int64), False: np.zeros(bins, np.int64)}
    sums = {True: 0.0, False: 0.0}
    for begin in range(0, len(rows), BLOCK):
        part = slice(begin, begin + BLOCK)
        # Of each pair the later row is compared with the earlier, once.
        once = np.arange(len(rows))[None, :] < np.arange(begin, begin + len(rows[part]))[:, None]
        once &= copy[part, None] != copy[None, :]
        distance = _distance(rows[part], rows)
        same = kind[part, None] == kind[None, :]
        for alike in (True, False):
            chosen = distance[once & (same == alike)]
            counts[alike] += np.histogram(chosen, edges)[0]
            sums[alike] += float(chosen.sum())
    return {
        "edges": edges.tolist(),
        **{
            name: _side(counts[alike], sums[alike])
            for name, alike in (("same", True), ("other", False))
        },
    }


def _distance(some: Rows, rows: Rows) -> NDArray[np.float64]:
    similarity = np.asarray(some, np.float64) @ np.asarray(rows, np.float64).T
    result: NDArray[np.float64] = np.sqrt(np.clip(2 - 2 * similarity, 0.0, FARTHEST**2))
    return result


def _side(counts: NDArray[np.int64], total: float) -> dict[str, Any]:
    pairs = int(counts.sum())
    mean = total / pairs if pairs else None
    return {"counts": counts.tolist(), "pairs": pairs, "mean": mean}


def _codes(names: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.asarray(names, np.str_), return_inverse=True)[1]
