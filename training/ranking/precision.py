"""Figures of merit of rankings: average precision and recall at k. Pure.

Must not know embeddings, networks or files. A ranking is the relevance of what was found, best
first.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["trapezoid", "standard"]
RULES: tuple[Rule, ...] = ("trapezoid", "standard")
KS = (1, 2, 4, 8, 16, 32)
"""Ranks up to which the paper looks for a hit."""

Marks = NDArray[np.bool_]


def average_precision(relevant: Marks, *, rule: Rule = "trapezoid") -> float:
    """Return the average precision of a whole ranking.

    Args:
        relevant: bool[N], whether each is relevant, best first.
        rule: ``trapezoid``, the authors': Σ Δrecall · (p_before + p_after) / 2 over the relevant,
            where p_before is the precision just before the item, 1 at the top of the ranking; or
            ``standard``: Σ Δrecall · p_after, which is never less.

    Returns:
        In 0..1; 0 where none is relevant.

    Raises:
        ValueError: The rule is unknown.

    Source: the evaluation of Hao et al., DeepFirearm, ICPR 2018 (after Philbin 2007).
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} of average precision is unknown; choose one of {RULES}")
    places = np.flatnonzero(relevant)
    if not places.size:
        return 0.0
    hits = np.arange(places.size, dtype=np.float64)
    after = (hits + 1) / (places + 1)
    if rule == "standard":
        return float(after.mean())
    before = np.where(places == 0, 1.0, hits / np.maximum(places, 1))
    return float(((before + after) / 2).mean())


def mean_average_precision(rankings: Iterable[Marks], *, rule: Rule = "trapezoid") -> float:
    """Return the mean of the average precisions of rankings, one per query.

    Raises:
        ValueError: There is no ranking, or the rule is unknown.
    """
    found = [average_precision(relevant, rule=rule) for relevant in rankings]
    if not found:
        raise ValueError("a mean average precision needs at least one query")
    return float(np.mean(found))


def recall_at(rankings: Iterable[Marks], ks: Sequence[int] = KS) -> dict[int, float]:
    """Return the share of queries with at least one relevant item among the first k.

    Args:
        rankings: bool[N] for each query, best first; those shorter than k are taken whole.
        ks: Ranks, each at least 1.

    Returns:
        k → share in 0..1, in the order of ``ks``.

    Raises:
        ValueError: There is no ranking, or a k is below 1.

    Source: the paper's rank-k, which it also calls Recall@k.
    """
    if any(k < 1 for k in ks):
        raise ValueError(f"ranks {tuple(ks)} are not all 1 or more")
    firsts = np.array([first_hit(relevant) for relevant in rankings])
    if not firsts.size:
        raise ValueError("a recall at k needs at least one query")
    return {k: float((firsts <= k).mean()) for k in ks}


def first_hit(relevant: Marks) -> float:
    """Return the rank, from 1, of the first relevant item; infinity where there is none."""
    places = np.flatnonzero(relevant)
    return float(places[0] + 1) if places.size else float("inf")
