"""What a policy does with held-out photographs, apart by source, look-alike and size. Pure.

Adds to the figures of ``training.report``; must not know files, networks or indexes.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.policy import Policy
from training.calibration.choice import choose_policy
from training.calibration.frames import Frames, flag_scores_of, offsets_of
from training.calibration.settings import PolicySettings
from training.calibration.thresholds import ceiling
from training.folder import Photo
from training.ranking.openset import LOOKALIKES
from training.report import RATES, UNNAMED
from training.threshold import at_false_flag_rate

Marks = NDArray[np.bool_]

SMALL = 0.1
"""A firearm is small whose boxes cover at most this share of its photograph."""

DIGITS = 4


def small_firearms(photos: Sequence[Photo]) -> Marks:
    """Return bool[N], which photographs have boxes that cover at most ``SMALL`` of them."""
    areas = [sum(box.width * box.height for box in photo.boxes) for photo in photos]
    known = [photo.firearm and bool(photo.boxes) for photo in photos]
    return np.array(known, np.bool_) & (np.array(areas, np.float64) <= SMALL)


def small_figures(
    frames: Frames, photos: Sequence[Photo], policy: Policy, alone: Policy
) -> dict[str, Any] | None:
    """Return how many small firearms are flagged, with regions and without.

    Args:
        frames: Of the photographs.
        photos: Likewise.
        policy: With regions, whose flags count among its false ones.
        alone: Chosen for the same false flags without regions, see ``without_regions``.

    Returns:
        None where no small firearm is known. ``recall_at_false_flags`` chooses its thresholds on
        the harmless of these very photographs.
    """
    small = small_firearms(photos)
    if not small.any():
        return None
    firearm = np.array([photo.firearm for photo in photos], np.bool_)
    both = {"with_regions": policy, "without_regions": alone}
    found: dict[str, Any] = {"photographs": int(small.sum())}
    for name, its in both.items():
        if name == "with_regions" and its.region_margin is None:
            continue
        scores = flag_scores_of(frames, its)
        harmless = scores[~firearm]
        found[name] = {
            "recall": _share(scores[small] >= its.threshold),
            "false_flags": _share(harmless >= its.threshold),
            "recall_at_false_flags": {
                f"{rate:g}": _share(
                    scores[small] >= at_false_flag_rate(harmless, rate, highest=ceiling(policy))
                )
                for rate in RATES
                if len(harmless)
            },
        }
    return found


def without_regions(frames: Frames, firearm: Marks, settings: PolicySettings) -> Policy:
    """Return the policy that would be chosen, were regions not judged."""
    return choose_policy(frames.wholes(), firearm, settings)


def source_figures(
    photos: Sequence[Photo], scores: NDArray[np.float64], right: Mapping[int, bool], policy: Policy
) -> dict[str, Any]:
    """Return by source: firearms and how many are flagged and of the right type, and harmless.

    Args:
        photos: N of them.
        scores: float64[N], their flag scores.
        right: By place, whether a firearm's type was told, for those whose type could be.
        policy: Of the thresholds.
    """
    flagged = scores >= policy.threshold
    near = scores >= policy.threshold - policy.near_miss
    sources = np.array([photo.source or UNNAMED for photo in photos], dtype=object)
    firearm = np.array([photo.firearm for photo in photos], np.bool_)
    found = {}
    for source in sorted(set(sources.tolist())):
        own = sources == source
        told = [right[n] for n in np.flatnonzero(own & firearm).tolist() if n in right]
        found[source] = {
            "firearms": int((own & firearm).sum()),
            "recall": _share(flagged[own & firearm]),
            "recall_with_near_misses": _share(near[own & firearm]),
            "typed": len(told),
            "type_right": _share(np.array(told, np.bool_)),
            "harmless": int((own & ~firearm).sum()),
            "false_flags": _share(flagged[own & ~firearm]),
        }
    return found


def types_told(
    frames: Frames,
    photos: Sequence[Photo],
    policy: Policy,
    families: Mapping[str, str | None],
    coarse: Collection[str],
) -> tuple[dict[int, bool], dict[str, Any]]:
    """Return by place whether the type was told as it is where releases are served, and shares.

    Args:
        frames: Of the photographs.
        photos: Likewise.
        policy: Of the thresholds of types.
        families: Of the types that have prototypes; None where it is not known and not asked for.
        coarse: Types that name no model, which are not asked for.
    """
    best = frames.best_types(offsets_of(policy), policy.region_margin)
    right, family = {}, {}
    for place, photo in enumerate(photos):
        if not photo.firearm or photo.name in coarse or photo.name not in families:
            continue
        told = frames.types[best[place]] if best[place] >= 0 else None
        right[place] = told == photo.name
        if families[photo.name] is not None:
            family[place] = told is not None and families.get(told) == families[photo.name]
    return right, {
        "queries": len(right),
        "type_right": _share(np.array([*right.values()], np.bool_)),
        "family_right": _share(np.array([*family.values()], np.bool_)),
    }


def lookalike_figures(
    photos: Sequence[Photo], scores: NDArray[np.float64], policy: Policy
) -> dict[str, Any] | None:
    """Return how many look-alikes are flagged, at the policy's threshold and at fixed rates.

    The fixed rates are of all harmless photographs. None without look-alikes.
    """
    harmless = np.array([not photo.firearm for photo in photos], np.bool_)
    close = np.array([photo.name in LOOKALIKES for photo in photos], np.bool_) & harmless
    if not close.any():
        return None
    return {
        "photographs": int(close.sum()),
        "flagged": _share(scores[close] >= policy.threshold),
        "near_misses_too": _share(scores[close] >= policy.threshold - policy.near_miss),
        "at_false_flags": {
            f"{rate:g}": _share(
                scores[close] >= at_false_flag_rate(scores[harmless], rate, highest=ceiling(policy))
            )
            for rate in RATES
        },
    }


def type_budgets(
    frames: Frames, harmless: Marks, policy: Policy, settings: PolicySettings
) -> dict[str, Any]:
    """Return for each type with a threshold of its own: harmless ones like it, allowed, flagged."""
    offsets = offsets_of(policy)
    best = frames.best_types(offsets, policy.region_margin)
    flagged = flag_scores_of(frames, policy) >= policy.threshold
    found = {}
    for place, name in enumerate(frames.types):
        laid = harmless & (best == place)
        if name in policy.thresholds:
            found[name] = {
                "threshold": policy.thresholds[name],
                "harmless": int(laid.sum()),
                "allowed": round(settings.false_flag_rate * int(laid.sum()), DIGITS),
                "flagged": int((laid & flagged).sum()),
            }
    return dict(sorted(found.items()))


def _share(marks: Marks) -> float | None:
    return round(float(marks.mean()), DIGITS) if len(marks) else None
