"""From similarities of held-out photographs to thresholds. Pure; must not know files or networks.

A photograph's *flag score* is its similarity to the nearest firearm, or ``VETOED`` where a
look-alike is nearer by more than the margin: it is flagged where the score reaches the threshold.
Under the soft rule (``models.scoring``) it is the support, in -2..2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

VETOED = -1.0
"""Flag score of what no threshold flags."""

CLEARANCE = 1e-4
"""How far beyond the last score a threshold lies that is to flag none or all, in similarity."""


def at_false_flag_rate(harmless: Floats, rate: float, *, highest: float = 1.0) -> float:
    """Return the lowest threshold that flags at most this share of harmless photographs.

    It lies midway between two scores, so that rounding changes nothing. It is at most
    ``highest``, so that a harmless photograph that is a firearm's very own (similarity 1) is
    flagged all the same.

    Args:
        harmless: float64[N], flag scores, at least 1.
        rate: In 0..1.
        highest: Of the scores' kind.

    Raises:
        ValueError: There are no scores.
    """
    if not len(harmless):
        raise ValueError("a rate of false flags needs harmless photographs")
    ranked = np.sort(harmless)[::-1]
    allowed = int(np.floor(rate * len(ranked) + 1e-9))
    if allowed >= len(ranked):
        return float(ranked[-1])
    # Equal scores are flagged together or not at all.
    flagged = ranked[ranked > ranked[allowed]]
    lower = float(ranked[allowed])
    return (lower + float(flagged[-1])) / 2 if len(flagged) else min(highest, lower + CLEARANCE)


def at_recall(firearms: Floats, recall: float, *, lowest: float = -1.0) -> float:
    """Return the highest threshold that flags at least this share of firearms.

    It lies midway between two scores, so that rounding changes nothing.

    Args:
        firearms: float64[N], flag scores, at least 1.
        recall: In 0..1.
        lowest: Of the scores' kind.

    Raises:
        ValueError: There are no scores.
    """
    if not len(firearms):
        raise ValueError("a recall needs firearms")
    ranked = np.sort(firearms)[::-1]
    needed = max(1, int(np.ceil(recall * len(ranked) - 1e-9)))
    last = float(ranked[needed - 1])
    missed = ranked[ranked < last]
    return (last + float(missed[0])) / 2 if len(missed) else max(lowest, last - CLEARANCE)


@dataclass(frozen=True)
class Calibration:
    """score = logistic(slope * (similarity - threshold) + offset); slope is above 0."""

    slope: float
    offset: float


def calibrate(
    firearms: Floats, harmless: Floats, threshold: float, *, prior: float = 0.5
) -> Calibration:
    """Fit the score: the chance that it is a firearm, were this share of all photographs one.

    A logistic regression by Newton's method, each kind weighing its share, with a small ridge on
    the slope so that it stays finite where the kinds do not overlap.

    Args:
        firearms: float64[N], similarities to the nearest firearm, or supports; at least 1.
        harmless: float64[M], likewise; none: an arbitrary slope that gives 0.5 at the threshold.
        threshold: At which the logistic's similarity is zero.
        prior: Share of firearms among what is judged, in 0..1.
    """
    if not len(harmless):
        return Calibration(slope=40.0, offset=0.0)
    excess = np.concatenate([firearms, harmless]) - threshold
    truth = np.concatenate([np.ones(len(firearms)), np.zeros(len(harmless))])
    weights = np.where(truth == 1, prior / len(firearms), (1 - prior) / len(harmless))
    scale = float(excess.std()) or 1.0
    slope, offset = _newton(excess / scale, truth, weights)
    # A slope at or below zero would call nearer things less likely; they were not told apart.
    return Calibration(slope=max(slope / scale, 1e-3), offset=offset)


def _newton(x: Floats, truth: Floats, weights: Floats) -> tuple[float, float]:
    features = np.stack([x, np.ones_like(x)], axis=1)
    ridge = np.diag([1e-4, 1e-6])
    beta = np.zeros(2)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(features @ beta, -60, 60)))
        slope = features.T @ (weights * (chance - truth)) + ridge @ beta
        bend = (features * (weights * chance * (1 - chance))[:, None]).T @ features + ridge
        step = np.linalg.solve(bend, slope)
        # Damped: a full step may overshoot where the kinds hardly overlap.
        beta -= step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(beta[0]), float(beta[1])
