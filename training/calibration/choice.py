"""Choose a policy on held-out photographs: thresholds, bands, limits and the score. Pure.

Must not know files, networks or indexes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.policy import Policy
from training.calibration.frames import Frames, combined, evidence_of
from training.calibration.settings import PolicySettings
from training.calibration.thresholds import (
    ceiling,
    least_similarity,
    region_margin,
    type_offsets,
    whole_rate,
    widest,
)
from training.threshold import Floats, at_false_flag_rate, at_recall, calibrate

DIGITS = 6
Marks = NDArray[np.bool_]


def choose_policy(frames: Frames, firearm: Marks, settings: PolicySettings) -> Policy:
    """Choose a policy that keeps the rate of false flags, counted with regions on.

    Args:
        frames: Of held-out photographs, as an index saw them with these settings.
        firearm: bool[N], which of them show a firearm; at least one does.
        settings: What the policy is to be like. Without harmless photographs it follows
            ``fallback_recall``, and regions are not judged: what they add is not known.
    """
    limit = _limit(frames, firearm, settings)
    if firearm.all():
        lowest = frames.floor
        whole, _ = frames.scores(least=limit)
        threshold = at_recall(whole, settings.fallback_recall, lowest=lowest)
        return _policy(frames, firearm, settings, threshold=threshold, least=limit)
    harmless = ~firearm
    offsets = _offsets(frames, harmless, settings, limit)
    whole, regions = (scores[harmless] for scores in frames.scores(offsets, least=limit))
    rate, added = settings.false_flag_rate, 0
    judged = frames.has_regions and settings.region_share > 0
    if judged:
        rate, added = whole_rate(len(whole), rate, settings.region_share)
    threshold = _at(whole, rate, settings)
    margin = region_margin(whole, regions, threshold, added, widest(settings)) if judged else None
    # Rounded as the policy holds it, before anything else is chosen on top of it.
    margin = None if margin is None else round(margin, DIGITS)
    every = combined(whole, regions, margin)
    return _policy(
        frames, firearm, settings,
        threshold=threshold, band=threshold - _at(every, settings.near_miss_rate, settings),
        least=limit, margin=margin, offsets=offsets,
    )  # fmt: skip


def _limit(frames: Frames, firearm: Marks, settings: PolicySettings) -> float:
    """Return the least similarity; the hard rule's threshold is such a limit by itself."""
    if settings.temperature is None and settings.head is None:
        return -1.0
    nearest = frames.nearest[frames.whole][firearm]
    # Downwards, or the firearm that sets it would itself be below.
    scale = 10.0**DIGITS
    found = least_similarity(nearest, settings.least_quantile)
    return max(-1.0, float(np.floor(found * scale) / scale))


def _offsets(
    frames: Frames, harmless: Marks, settings: PolicySettings, limit: float
) -> dict[str, float]:
    if not settings.type_thresholds:
        return {}
    whole, _ = frames.scores(least=limit)
    return type_offsets(
        frames.best_types()[harmless],
        whole[harmless],
        frames.types,
        rate=settings.false_flag_rate,
        shrinkage=settings.shrinkage,
        highest=ceiling(settings),
    )


def _at(scores: Floats, rate: float, settings: PolicySettings) -> float:
    return at_false_flag_rate(scores, rate, highest=ceiling(settings))


def _policy(
    frames: Frames,
    firearm: Marks,
    settings: PolicySettings,
    *,
    threshold: float,
    least: float,
    band: float = 0.0,
    margin: float | None = None,
    offsets: dict[str, float] | None = None,
) -> Policy:
    """Join what was chosen, and fit the score to what the policy will make it of."""
    most = ceiling(settings)
    policy = Policy(
        threshold=round(threshold, DIGITS),
        thresholds={
            name: round(min(most, max(-most, threshold + offset)), DIGITS)
            for name, offset in (offsets or {}).items()
        },
        near_miss=round(min(max(band, 0.0), widest(settings)), DIGITS),
        lookalike_margin=settings.lookalike_margin,
        neighbours=settings.neighbours,
        temperature=settings.temperature,
        least_similarity=least,
        region_margin=margin,
        part_margin=settings.part_margin,
        head=settings.head,
    )
    return with_score(policy, evidence_of(frames, policy), firearm, settings.prior, at=threshold)


def with_score(
    policy: Policy, evidence: Floats, firearm: Marks, prior: float, *, at: float | None = None
) -> Policy:
    """Return a policy with its score fitted to held-out photographs.

    Args:
        policy: What its score is of.
        evidence: float64[N], see ``training.calibration.frames.evidence_of``.
        firearm: bool[N], which show a firearm.
        prior: Share of firearms among what is judged.
        at: The threshold before it was rounded, where that is known.
    """
    centre = policy.threshold if at is None else at
    fit = calibrate(evidence[firearm], evidence[~firearm], centre, prior=prior)
    return replace(
        policy, score_slope=round(fit.slope, DIGITS), score_offset=round(fit.offset, DIGITS)
    )
