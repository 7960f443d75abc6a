"""Figures of a set of rankings: means over queries, by type, after PCA, and what was mistaken.

Plain JSON from rankings and types. Must not know networks or files.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from training.ranking.pca import DIMENSIONS, fit_pca, largest_dimension
from training.ranking.precision import RULES, average_precision, first_hit, recall_at
from training.ranking.rank import Ranked, Rows, rank
from training.ranking.spread import bootstrap

WHOLE = "whole"
"""Key of the figures without PCA."""


def quality(ranked: Ranked, types: Sequence[str]) -> dict[str, Any]:
    """Return the figures of all queries.

    Args:
        ranked: At least 1 ranking.
        types: Of the queries.

    Returns:
        ``queries``; ``map`` by rule; ``recall`` by k; ``interval``, the 95 % interval of the
        trapezoid mAP when types are drawn again, None with one type. Shares in 0..1.

    Raises:
        ValueError: There is no ranking, or not a type for each.
    """
    found = {rule: [average_precision(r, rule=rule) for r in ranked.relevant] for rule in RULES}
    again = bootstrap(found["trapezoid"], types)
    return {
        "queries": len(ranked),
        "map": {rule: float(np.mean(values)) for rule, values in found.items()},
        "interval": None if again.low is None else [again.low, again.high],
        "recall": {str(k): share for k, share in recall_at(ranked.relevant).items()},
    }


def reduced(
    queries: Rows,
    database: Rows,
    types: Sequence[str],
    *,
    relevant: Sequence[Collection[int]],
    ignored: Sequence[Collection[int]],
    fitted_on: Mapping[str, Rows],
) -> dict[str, dict[str, Any]]:
    """Return the figures after PCA, for each set it is fitted on and each dimension that it gives.

    Args:
        queries: float[Q, D].
        database: float[N, D].
        types: Of the queries.
        relevant: See ``training.ranking.rank``.
        ignored: Likewise.
        fitted_on: Name → rows to fit on; dimensions are capped by their number and by D.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, rows in fitted_on.items():
        dimensions = [d for d in DIMENSIONS if d <= largest_dimension(rows)]
        if not dimensions:
            continue
        whole = fit_pca(rows, dimensions[0])
        found[name] = {}
        for dimension in dimensions:
            pca = whole.first(dimension)
            ranked = rank(pca.apply(queries), pca.apply(database), relevant, ignored)
            found[name][str(dimension)] = quality(ranked, types)
    return found


def by_type(ranked: Ranked, types: Sequence[str], found: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of each type, worst first.

    Args:
        ranked: Rankings.
        types: Of the queries.
        found: Of the database.

    Returns:
        For each type ``type``, ``photographs`` in the database, ``queries``, ``map``,
        ``recall_at_1``, and ``taken_for``, the types of nearest photographs that are wrong, with
        their counts, most frequent first.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(types):
        places[name].append(place)
    counts = Counter(found)
    rows = []
    for name, own in places.items():
        precisions = [average_precision(ranked.relevant[n]) for n in own]
        first = [first_hit(ranked.relevant[n]) == 1 for n in own]
        wrong = Counter(found[int(ranked.order[n][0])] for n, hit in zip(own, first, strict=True)
                        if not hit and len(ranked.order[n]))  # fmt: skip
        rows.append(
            {
                "type": name,
                "photographs": counts[name],
                "queries": len(own),
                "map": float(np.mean(precisions)),
                "recall_at_1": float(np.mean(first)),
                "taken_for": dict(sorted(wrong.items(), key=lambda item: (-item[1], item[0]))),
            }
        )
    return sorted(rows, key=lambda row: (row["map"], row["type"]))


def confusions(types: Sequence[Mapping[str, Any]], most: int = 15) -> list[dict[str, Any]]:
    """Return the pairs of types that are most often mistaken.

    Args:
        types: As ``by_type`` gives them.
        most: Pairs to return.

    Returns:
        ``asked``, ``found``, ``count`` and ``share`` of the asked type's queries, most frequent
        share first.
    """
    pairs = [
        {"asked": row["type"], "found": name, "count": count, "share": count / row["queries"]}
        for row in types
        for name, count in row["taken_for"].items()
    ]
    order = sorted(pairs, key=lambda p: (-p["share"], -p["count"], p["asked"], p["found"]))
    return order[:most]
