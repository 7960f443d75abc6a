"""Whether a score is the probability it says, on photographs it was not fitted to. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.policy import Policy
from training.calibration.choice import with_score
from training.folder import Photo
from training.ranking.openset import halves
from training.ranking.reliability import BINNINGS, reliability
from training.threshold import Floats

Marks = NDArray[np.bool_]
MOST = 60.0
"""Largest exponent of a score, as where releases are served."""


def probabilities(policy: Policy, evidence: Floats) -> Floats:
    """Return float64[N] in 0..1, the scores that a policy makes of evidence."""
    excess = evidence - policy.threshold
    exponent = np.clip(policy.score_slope * excess + policy.score_offset, -MOST, MOST)
    result: Floats = 1 / (1 + np.exp(-exponent))
    return result


def prior_weights(firearm: Marks, prior: float) -> Floats:
    """Return float64[N], weights that let firearms be this share of all."""
    counts = np.where(firearm, firearm.sum(), (~firearm).sum())
    result: Floats = np.where(firearm, prior, 1 - prior) / counts
    return result


def measure(scores: Floats, firearm: Marks, prior: float) -> dict[str, Any] | None:
    """Return how far scores are from the truth.

    Args:
        scores: float64[N] in 0..1, of photographs that the score was not fitted to.
        firearm: bool[N].
        prior: Share of firearms that the score was fitted for.

    Returns:
        Counts, and by binning the expected calibration error ``error`` and the reliability
        curve's points, each kind weighing its share; None where one kind is missing.
    """
    if firearm.all() or not firearm.any():
        return None
    weights = prior_weights(firearm, prior)
    return {
        "firearms": int(firearm.sum()),
        "harmless": int((~firearm).sum()),
        **{
            binning: reliability(scores, firearm, weights=weights, binning=binning).to_json()
            for binning in BINNINGS
        },
    }


def crossed(
    policy: Policy, evidence: Floats, photos: Sequence[Photo], prior: float
) -> dict[str, Any] | None:
    """Measure a score by fitting it to each half of photographs and scoring the other half.

    It tells how well this kind of score does where there are no photographs but those that the
    policy's own was fitted to. Sources and near copies are kept on one side.

    Returns:
        As ``measure``; None where a half lacks one kind.
    """
    firearm = np.array([photo.firearm for photo in photos], np.bool_)
    first = halves(photos)
    scores = np.zeros(len(photos))
    for half in (first, ~first):
        if not half.any() or firearm[half].all() or not firearm[half].any():
            return None
        fitted = with_score(policy, evidence[half], firearm[half], prior)
        scores[~half] = probabilities(fitted, evidence[~half])
    return measure(scores, firearm, prior)
