"""How well flag scores part firearms from harmless photographs. Pure; knows no networks or files.

A score is the similarity to the nearest firearm known. Rates are chosen on the very photographs
that they are reported of: what a release's own threshold does is in ``training.report``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.threshold import Floats

RATES = (0.001, 0.01, 0.05)
"""Shares of harmless photographs that may be flagged."""

POINTS = 200
"""Points of a curve that are kept for drawing."""

Marks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Roc:
    """Recall against false flags, from the threshold that flags nothing to that which flags all.

    Args:
        thresholds: float64[K], falling, infinite first; each score once.
        false_flags: float64[K] in 0..1, never falling: share of the harmless that is flagged.
        recall: float64[K] in 0..1, never falling: share of the firearms that is flagged.
    """

    thresholds: Floats
    false_flags: Floats
    recall: Floats

    @property
    def area(self) -> float:
        """Under the curve by trapezoids: the chance that a firearm scores above a harmless one."""
        return float(np.trapezoid(self.recall, self.false_flags))


def roc(firearms: Floats, harmless: Floats) -> Roc:
    """Return the curve of all thresholds.

    Args:
        firearms: float64[N], scores, at least 1.
        harmless: float64[M], scores, at least 1.

    Raises:
        ValueError: One kind is missing, or a score is not finite.
    """
    if not len(firearms) or not len(harmless):
        raise ValueError("a ROC needs scores of firearms and of harmless photographs")
    scores = np.unique(np.concatenate([firearms, harmless]))[::-1]
    if not np.isfinite(scores).all():
        raise ValueError("scores that are not finite have no ROC")
    return Roc(
        thresholds=np.concatenate([[np.inf], scores]),
        false_flags=np.concatenate([[0.0], _reach(harmless, scores)]),
        recall=np.concatenate([[0.0], _reach(firearms, scores)]),
    )


def highest_passed(harmless: Floats, rate: float) -> float:
    """Return the score above which at most this share of the harmless lies, as low as can be.

    Args:
        harmless: float64[M], scores, at least 1.
        rate: In 0..1.

    Raises:
        ValueError: There are no scores.
    """
    if not len(harmless):
        raise ValueError("a rate of false flags needs harmless photographs")
    ranked = np.sort(harmless)[::-1]
    allowed = int(np.floor(rate * len(ranked) + 1e-9))
    return float(ranked[allowed] if allowed < len(ranked) else np.nextafter(ranked[-1], -np.inf))


def recall_at_false_flags(firearms: Floats, harmless: Floats, rate: float) -> float:
    """Return the most recall that flags at most this share of the harmless.

    Raises:
        ValueError: One kind is missing.
    """
    if not len(firearms):
        raise ValueError("a recall needs firearms")
    return float((firearms > highest_passed(harmless, rate)).mean())


def flag_metrics(firearms: Floats, harmless: Floats, lookalike: Marks) -> dict[str, Any]:
    """Return recall at rates of false flags, over all harmless photographs and look-alikes alone.

    Args:
        firearms: float64[N], scores, at least 1.
        harmless: float64[M], scores, at least 1.
        lookalike: bool[M], which of the harmless look like firearms.

    Returns:
        Plain JSON: counts; ``area``; ``rates`` with, for each rate over all harmless ones,
        ``above`` (what scores more is flagged), ``recall``, ``false_flags`` and those of
        look-alikes and of the others;
        ``lookalikes_alone`` with the recall and area were there only look-alikes, None without;
        ``roc`` thinned for drawing.

    Raises:
        ValueError: One kind is missing, or a score is not finite.
    """
    curve = roc(firearms, harmless)
    close = harmless[lookalike]
    return {
        "firearms": len(firearms),
        "harmless": len(harmless),
        "lookalikes": len(close),
        "area": curve.area,
        "rates": {
            f"{rate:g}": _at(firearms, harmless, lookalike, highest_passed(harmless, rate))
            for rate in RATES
        },
        "lookalikes_alone": _alone(firearms, close) if len(close) else None,
        "roc": thinned(curve),
    }


def thinned(curve: Roc, points: int = POINTS) -> dict[str, list[float]]:
    """Return a curve's points for drawing: those at evenly spread logarithms of false flags."""
    floor = 1e-4
    steps = np.concatenate([[0.0], np.geomspace(floor, 1.0, points - 1)])
    # The last point at or below each step, so that the curve is never better than it is.
    kept = np.unique(np.searchsorted(curve.false_flags, steps, side="right") - 1)
    return {
        "false_flags": curve.false_flags[kept].tolist(),
        "recall": curve.recall[kept].tolist(),
    }


def _at(firearms: Floats, harmless: Floats, lookalike: Marks, above: float) -> dict[str, Any]:
    return {
        "above": above,
        "recall": _share(firearms > above),
        "false_flags": _share(harmless > above),
        "false_flags_lookalikes": _share(harmless[lookalike] > above),
        "false_flags_others": _share(harmless[~lookalike] > above),
    }


def _alone(firearms: Floats, lookalikes: Floats) -> dict[str, Any]:
    return {
        "area": roc(firearms, lookalikes).area,
        "recall": {
            f"{rate:g}": recall_at_false_flags(firearms, lookalikes, rate) for rate in RATES
        },
    }


def _reach(scores: Floats, thresholds: Floats) -> Floats:
    """Return the share of scores that reach each threshold."""
    ranked = np.sort(scores)
    below = np.searchsorted(ranked, thresholds, side="left")
    result: Floats = (len(ranked) - below) / len(ranked)
    return result


def _share(marks: Marks) -> float | None:
    return float(marks.mean()) if len(marks) else None
