"""Whether firearms of types never learnt are told from harmless photographs, and how surely.

Scores are similarities to the nearest of some known firearms. Must not know networks or files.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.folder import Photo
from training.ranking.flags import highest_passed
from training.ranking.rank import Rows
from training.ranking.reliability import BINNINGS, balanced_weights, reliability
from training.threshold import Floats, calibrate

LOOKALIKES = (
    "airsoft_gear",
    "bow_crossbow_slingshot",
    "camera_tripod",
    "gun_accessory_optics",
    "hand_tool",
    "musical_instrument",
    "power_drill",
    "stick_like_object",
    "taser",
    "toy_gun_obvious",
    "toy_weapon_not_gun",
    "umbrella",
)
"""Kinds of harmless things that are shaped or held like firearms, where nobody names others."""

UNNAMED = "(unknown source)"
BLOCK = 1024


def nearest(rows: Rows, groups: Sequence[str], known: Rows, known_groups: Sequence[str]) -> Floats:
    """Return float64[N], the similarity to the nearest known one that is no near copy.

    Args:
        rows: float[N, D], L2-normalised.
        groups: Of the rows; near copies share one.
        known: float[M, D], likewise.
        known_groups: Of those.

    Returns:
        In -1..1; -1 where there is none but near copies.
    """
    codes = {group: code for code, group in enumerate(dict.fromkeys((*groups, *known_groups)))}
    own = np.array([codes[group] for group in groups], np.intp)
    theirs = np.array([codes[group] for group in known_groups], np.intp)
    found = np.full(len(rows), -1.0)
    for begin in range(0, len(rows) if len(known) else 0, BLOCK):
        part = slice(begin, begin + BLOCK)
        similarity = np.asarray(rows[part] @ known.T, np.float64)
        similarity[own[part, None] == theirs[None, :]] = -1.0
        found[part] = similarity.max(axis=1)
    result: Floats = np.clip(found, -1.0, 1.0)
    return result


def halves(photos: Sequence[Photo]) -> NDArray[np.bool_]:
    """Part photographs into two halves of about one size; no source or near copies are in both.

    Where sources are not known, or there are fewer than four, groups of near copies part.

    Returns:
        bool[N], True for the half that fits.
    """
    sources = {photo.source for photo in photos}
    by_source = None not in sources and len(sources) >= 4
    units: dict[str, list[int]] = defaultdict(list)
    for place, photo in enumerate(photos):
        units[str(photo.source) if by_source else photo.group].append(place)
    first = np.zeros(len(photos), np.bool_)
    sizes = [0, 0]
    for _, places in sorted(units.items(), key=lambda unit: (-len(unit[1]), unit[0])):
        fits = sizes[0] < sizes[1]
        first[places] = fits
        sizes[0 if fits else 1] += len(places)
    return first


def calibration(
    fit: tuple[Floats, Floats], held_out: tuple[Floats, Floats], rate: float = 0.01
) -> dict[str, Any]:
    """Fit the probability of a firearm to scores and measure it on others.

    Args:
        fit: float64[N] scores of firearms and float64[M] of harmless ones, at least 1 each.
        held_out: Likewise, of other photographs.
        rate: Of false flags, whose score the logistic is centred on.

    Returns:
        Counts, ``slope``, ``offset``, ``centre`` and, by binning, the reliability of held-out
        scores with both kinds weighing one half, as the fit does.
    """
    centre = highest_passed(fit[1], rate)
    found = calibrate(fit[0], fit[1], centre)
    scores = np.concatenate(held_out)
    truth = np.arange(len(scores)) < len(held_out[0])
    excess = np.clip(found.slope * (scores - centre) + found.offset, -700, 700)
    said = 1 / (1 + np.exp(-excess))
    weights = balanced_weights(truth)
    return {
        "fitted_on": {"firearms": len(fit[0]), "harmless": len(fit[1])},
        "held_out": {"firearms": len(held_out[0]), "harmless": len(held_out[1])},
        "slope": found.slope,
        "offset": found.offset,
        "centre": centre,
        **{
            binning: reliability(said, truth, weights=weights, binning=binning).to_json()
            for binning in BINNINGS
        },
    }


def breakdown(photos: Sequence[Photo], scores: Floats, above: float) -> dict[str, Any]:
    """Return how many photographs score above a figure, by source and by type or kind.

    Returns:
        ``by_source`` and ``by_name``: name → ``photographs``, ``flagged`` and ``share``.
    """
    flagged = scores > above
    return {
        "by_source": _shares([photo.source or UNNAMED for photo in photos], flagged),
        "by_name": _shares([photo.name for photo in photos], flagged),
    }


def _shares(names: Sequence[str], flagged: NDArray[np.bool_]) -> dict[str, Any]:
    totals, hits = Counter(names), Counter(n for n, f in zip(names, flagged, strict=True) if f)
    return {
        name: {"photographs": total, "flagged": hits[name], "share": hits[name] / total}
        for name, total in sorted(totals.items())
    }
