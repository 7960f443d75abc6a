"""Whether a score is the probability it says: reliability curve and calibration error. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Binning = Literal["equal-width", "equal-count"]
BINNINGS: tuple[Binning, ...] = ("equal-width", "equal-count")
BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """What scores said and what was true, by bins of the score; bins without scores are left out.

    Args:
        said: float64[B] in 0..1, the mean score of each bin, rising.
        true: float64[B] in 0..1, the share of each bin that was true.
        share: float64[B], of all weight; sums to 1.
    """

    said: Floats
    true: Floats
    share: Floats

    @property
    def error(self) -> float:
        """The expected calibration error (ECE): the mean gap, weighted by the bins' shares."""
        return float((self.share * np.abs(self.said - self.true)).sum())

    def to_json(self) -> dict[str, Any]:
        """Return the plain form, for results and drawing."""
        return {
            "error": self.error,
            "said": self.said.tolist(),
            "true": self.true.tolist(),
            "share": self.share.tolist(),
        }


def reliability(
    scores: Floats,
    truth: NDArray[np.bool_],
    *,
    weights: Floats | None = None,
    bins: int = BINS,
    binning: Binning = "equal-width",
) -> Reliability:
    """Compare scores with the truth.

    Args:
        scores: float64[N] in 0..1, at least 1.
        truth: bool[N].
        weights: float64[N], above 0; None: all alike.
        bins: Most bins, at least 1.
        binning: ``equal-width`` of the score, or ``equal-count`` of scores, where equal scores
            share a bin and bins may so be fewer and unequal.

    Raises:
        ValueError: Lengths differ, there is no score, or a figure is out of its range.

    Source: Naeini 2015 and Guo 2017 (equal width); Nguyen and O'Connor 2015 (equal count).
    """
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    _check(scores, truth, mass, bins)
    places = _width_bins(scores, bins) if binning == "equal-width" else _count_bins(scores, bins)
    total, said, true = (
        np.bincount(places, weights=mass * column, minlength=bins)
        for column in (np.ones(len(scores)), scores, truth)
    )
    filled = total > 0
    return Reliability(
        said=said[filled] / total[filled],
        true=true[filled] / total[filled],
        share=total[filled] / mass.sum(),
    )


def balanced_weights(truth: NDArray[np.bool_]) -> Floats:
    """Return float64[N] weights that let true and false ones weigh one half each."""
    counts = np.where(truth, truth.sum(), (~truth).sum())
    result: Floats = 0.5 / counts
    return result


def _check(scores: Floats, truth: NDArray[np.bool_], mass: Floats, bins: int) -> None:
    if not len(scores) == len(truth) == len(mass):
        raise ValueError(f"{len(scores)} scores, {len(truth)} truths and {len(mass)} weights")
    if not len(scores) or bins < 1:
        raise ValueError("calibration needs at least one score and one bin")
    if not ((scores >= 0) & (scores <= 1)).all() or not (mass > 0).all():
        raise ValueError("scores must be in 0..1 and weights above 0")


def _width_bins(scores: Floats, bins: int) -> NDArray[np.intp]:
    return np.minimum((scores * bins).astype(np.intp), bins - 1)


def _count_bins(scores: Floats, bins: int) -> NDArray[np.intp]:
    ranked = np.sort(scores)
    # The first score of each further bin; equal ones then fall into one bin, whatever their order.
    edges = ranked[[len(scores) * n // bins for n in range(1, bins)]]
    return np.searchsorted(edges, scores, side="right")
