"""How well scores name and flag held-out photographs, with intervals. Pure.

Must not know how a head is fitted. Intervals are of a bootstrap by source: photographs of one
source rise and fall together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.ranking.flags import highest_passed
from training.ranking.reliability import reliability
from training.ranking.spread import bootstrap

RATES = (0.001, 0.01, 0.05)
"""Shares of harmless photographs that may be flagged."""

MAIN_RATE = 0.01
"""The one that kinds of harmless things are told of at."""

MANY = 20
"""Photographs that a mechanism needs to count in the mean over mechanisms."""

KIND = 30
"""Photographs that a kind of harmless thing needs to have a row."""

TOP = 3
DIGITS = 4

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
Names = NDArray[np.str_]


def share(hits: Marks, sources: Names) -> dict[str, Any]:
    """Return ``n``, the ``share`` of hits, and the ends ``low`` and ``high`` of its interval."""
    if not len(hits):
        return {"n": 0, "share": None, "low": None, "high": None}
    found = bootstrap(hits.astype(float).tolist(), sources.tolist())
    ends = {"share": found.mean, "low": found.low, "high": found.high}
    return {
        "n": len(hits),
        **{name: None if end is None else round(end, DIGITS) for name, end in ends.items()},
    }


def softmax(scores: Floats, temperature: float) -> Floats:
    """Return float64[N, K], probabilities that sum to 1 of scores float64[N, K]."""
    scaled = scores / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: Floats = shares / shares.sum(axis=1, keepdims=True)
    return result


def grouped(shares: Floats, names: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """Add up the shares float64[N, K] of equal names; returns float64[N, G] and the G names."""
    kept = tuple(sorted(set(names)))
    member = np.array([[name == group for group in kept] for name in names], np.float64)
    result: Floats = shares @ member.reshape(len(names), len(kept))
    return result, kept


def naming(
    scores: Floats,
    types: Sequence[str],
    truth: Names,
    sources: Names,
    mechanisms: Mapping[str, str],
    *,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Return how often the type, one of the top three types, and the mechanism are right.

    Args:
        scores: float64[N, K], of each type.
        types: K names.
        truth: N names, of types.
        sources: N names.
        mechanisms: Of types; a type that is not in it has none.
        temperature: Of the probabilities that are added up to mechanisms.
    """
    names = np.array(types)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    known = [place for place, name in enumerate(types) if name in mechanisms]
    sums, groups = grouped(
        softmax(scores, temperature)[:, known], [mechanisms[types[place]] for place in known]
    )
    said = np.array(groups)[sums.argmax(axis=1)]
    true = np.array([mechanisms.get(name, "") for name in truth.tolist()])
    rows = {
        name: share(said[true == name] == name, sources[true == name])
        for name in sorted(set(true.tolist()) - {""})
    }
    counted = [row["share"] for row in rows.values() if row["n"] >= MANY]
    return {
        "types": share(names[order[:, 0]] == truth, sources),
        "top_three": share((names[order] == truth[:, None]).any(axis=1), sources),
        "mechanism": share((said == true)[true != ""], sources[true != ""]),
        "mechanisms": rows,
        "mechanisms_mean": round(float(np.mean(counted)), DIGITS) if counted else None,
    }


def flagging(firearms: Floats, sources: Names, harmless: Floats) -> dict[str, Any]:
    """Return by rate of false flags how many firearms are flagged; thresholds on the harmless.

    Args:
        firearms: float64[N], scores.
        sources: N names, of the firearms.
        harmless: float64[M], scores, at least 1.
    """
    return {
        f"{rate:g}": share(firearms > highest_passed(harmless, rate), sources) for rate in RATES
    }


def kinds_flagged(harmless: Floats, kinds: Names, threshold: float) -> dict[str, Any]:
    """Return how many of each kind of harmless thing lie above a threshold, of the common kinds."""
    rows = {}
    for kind in sorted(set(kinds.tolist())):
        own = harmless[kinds == kind]
        if len(own) >= KIND:
            rows[kind] = {"n": len(own), "flagged": int((own > threshold).sum())}
    return rows


def sureness(
    scores: Floats, names: Sequence[str], truth: Names, temperature: float
) -> tuple[Floats, Marks]:
    """Return how probable the best name of a level is said to be, and whether it is right.

    Args:
        scores: float64[N, K], of each type.
        names: K names, those of the types at the level; empty for a type that has none.
        truth: N names at the level.
        temperature: Of the level.
    """
    known = [place for place, name in enumerate(names) if name]
    sums, groups = grouped(
        softmax(scores[:, known], temperature), [names[place] for place in known]
    )
    # Rounding may carry a sum beyond 1.
    return np.minimum(sums.max(axis=1), 1.0), np.array(groups)[sums.argmax(axis=1)] == truth


def error(said: Floats, right: Marks, weights: Floats | None = None) -> float:
    """Return the expected calibration error of probabilities, in 15 bins of equal width."""
    return round(reliability(said, right, weights=weights).error, DIGITS)
