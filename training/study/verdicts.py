"""What is made of a fold's held-out photographs by each rule of scoring. Pure but for the index.

Must not know networks or files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.index import PrototypeIndex
from training.calibration.choice import choose_policy
from training.calibration.figures import small_firearms
from training.calibration.frames import Frames, evidence_of, flag_scores_of, look
from training.calibration.settings import PolicySettings
from training.folder import Photo
from training.ranking.flags import recall_at_false_flags
from training.ranking.openset import LOOKALIKES
from training.report import RATES

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

MAIN_RATE = 0.01
DIGITS = 4

RULES: Mapping[str, PolicySettings] = {
    # The nearest firearm alone, and firearms weighed against all else; 30 neighbours of each.
    "nearest": PolicySettings(lookalike_margin=2.0),
    "soft 0.02": PolicySettings(temperature=0.02, least_quantile=0),
    "soft 0.05": PolicySettings(temperature=0.05, least_quantile=0),
    "soft 0.1": PolicySettings(temperature=0.1, least_quantile=0),
}


@dataclass(frozen=True, eq=False)
class Seen:
    """Held-out photographs.

    Args:
        photos: N of them.
        described: Of each float32[1 + R, D], the whole first.
        types: That have prototypes.
        families: Of types, where they are known; others are not asked for theirs.
        coarse: Types whose name begins so say only that it is a firearm.
    """

    photos: tuple[Photo, ...]
    described: tuple[Rows, ...]
    types: frozenset[str]
    families: Mapping[str, str]
    coarse: str


def figures(index: PrototypeIndex, seen: Seen, rule: PolicySettings) -> dict[str, Any]:
    """Return how a rule flags and names held-out photographs.

    Recall at a rate of false flags has its threshold on the fold's own harmless photographs, as
    is usual; ``evidence`` lets thresholds be taken from other folds.
    """
    frames = look(
        index,
        seen.described,
        neighbours=rule.neighbours,
        temperature=rule.temperature,
        lookalike_margin=rule.lookalike_margin,
    )
    firearm = np.array([photo.firearm for photo in seen.photos], np.bool_)
    policy = choose_policy(frames, firearm, rule)
    whole = frames.scores()[0]
    both = flag_scores_of(frames, policy)
    return {
        "whole": _recalls(whole, firearm),
        "with_regions": _recalls(both, firearm),
        "region_margin": policy.region_margin,
        "lookalikes_flagged": {
            "whole": _lookalikes(whole, firearm, seen),
            "with_regions": _lookalikes(both, firearm, seen),
        },
        "small": _small(whole, both, firearm, seen),
        "types": _types(frames, seen),
        "evidence": {
            "firearms": _listed(evidence_of(frames, policy)[firearm]),
            "harmless": _listed(evidence_of(frames, policy)[~firearm]),
        },
    }


def _recalls(scores: Floats, firearm: Marks) -> dict[str, float]:
    return {
        f"{rate:g}": round(recall_at_false_flags(scores[firearm], scores[~firearm], rate), DIGITS)
        for rate in RATES
    }


def _above(scores: Floats, firearm: Marks, rate: float) -> Marks:
    """Return which scores are above what the rate allows."""
    harmless = np.sort(scores[~firearm])[::-1]
    found: Marks = scores > harmless[int(np.floor(rate * len(harmless)))]
    return found


def _lookalikes(scores: Floats, firearm: Marks, seen: Seen) -> dict[str, Any]:
    kinds = np.array([photo.name in LOOKALIKES for photo in seen.photos], np.bool_) & ~firearm
    flagged = _above(scores, firearm, MAIN_RATE)
    return {"photographs": int(kinds.sum()), "flagged": int((flagged & kinds).sum())}


def _small(whole: Floats, both: Floats, firearm: Marks, seen: Seen) -> dict[str, Any]:
    small = small_firearms(seen.photos)
    return {
        "photographs": int(small.sum()),
        "whole": int(_above(whole, firearm, MAIN_RATE)[small].sum()),
        "with_regions": int(_above(both, firearm, MAIN_RATE)[small].sum()),
    }


def _types(frames: Frames, seen: Seen) -> dict[str, Any]:
    """Return how many types are right: of all that name a model, and of those with prototypes."""
    best = _best_models(frames, seen.coarse)
    typed = [
        place
        for place, photo in enumerate(seen.photos)
        if photo.firearm and not photo.name.startswith(seen.coarse)
    ]
    right = {place: best[place] == seen.photos[place].name for place in typed}
    family = {
        place: seen.families.get(best[place] or "") == seen.families[seen.photos[place].name]
        for place in typed
        if seen.photos[place].name in seen.families
    }
    known = [place for place in typed if seen.photos[place].name in seen.types]
    return {
        "typed": len(typed),
        "right": sum(right.values()),
        "family_known": len(family),
        "family_right": sum(family.values()),
        "known": len(known),
        "known_right": sum(right[place] for place in known),
    }


def _best_models(frames: Frames, coarse: str) -> list[str | None]:
    """Return of each photograph the best type that names a model, by the whole picture."""
    wholes = frames.wholes()
    best: list[str | None] = [None] * frames.count
    value = np.full(frames.count, -np.inf)
    for row, code, by in zip(wholes.row, wholes.code, wholes.value, strict=True):
        place, name = int(wholes.photo[row]), wholes.types[int(code)]
        if not name.startswith(coarse) and by > value[place]:
            best[place], value[place] = name, by
    return best


def _listed(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values, DIGITS).tolist()
    return rounded
