"""The figures of a release's report, from similarities of held-out photographs. Pure.

Must not know files, networks or indexes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.ranking.precision import average_precision
from training.threshold import Floats, at_false_flag_rate

RATES = (0.001, 0.01, 0.05)
DIGITS = 4
UNNAMED = "(unknown source)"

CURVE = "recall_at_false_flags"
SIDES = (
    f"{CURVE} chooses its thresholds on the very photographs that it reports. at_threshold of the "
    "side threshold is of the photographs that set the release's threshold, and so better than on "
    "others; that of the side test, where there is one, is of photographs that set no threshold."
)
"""What a report notes of its figures' sides."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Held-out photographs and what the index says of them, as parallel columns.

    Args:
        names: Type of firearm, or kind of look-alike or harmless thing.
        sources: None where not known.
        firearm: bool[N], whether it shows a firearm.
        nearest: float64[N], similarity to the nearest firearm, -1 without one.
        scores: float64[N], flag scores (see ``training.threshold``).
        highest: That scores of their kind may be.
    """

    names: tuple[str, ...]
    sources: tuple[str | None, ...]
    firearm: NDArray[np.bool_]
    nearest: Floats
    scores: Floats
    highest: float = 1.0

    def __len__(self) -> int:
        return len(self.names)


def flag_figures(judged: Judged, threshold: float, near_miss: float) -> dict[str, Any]:
    """Return how well firearms are flagged.

    ``at_threshold`` says what the release's own threshold does here: of photographs that set it,
    what they let it do. ``recall_at_false_flags`` is what could be had with thresholds chosen on
    these very photographs, for comparing networks.
    """
    firearms, harmless = judged.scores[judged.firearm], judged.scores[~judged.firearm]
    flagged = judged.scores >= threshold
    return {
        "firearms": len(firearms),
        "harmless": len(harmless),
        "at_threshold": {
            "recall": _share(flagged[judged.firearm]),
            "false_flags": _share(flagged[~judged.firearm]),
            "recall_with_near_misses": _share(firearms >= threshold - near_miss),
            "false_flags_with_near_misses": _share(harmless >= threshold - near_miss),
        },
        CURVE: _curve(firearms, harmless, judged.highest),
        "firearms_flagged_by_source": _shares(_sources(judged), judged.firearm, flagged),
        "firearms_flagged_by_type": _shares(judged.names, judged.firearm, flagged),
        "harmless_flagged_by_source": _shares(_sources(judged), ~judged.firearm, flagged),
        "harmless_flagged_by_kind": _shares(judged.names, ~judged.firearm, flagged),
    }


def type_figures(
    similarities: NDArray[np.float32],
    types: Sequence[str],
    prototype_types: Sequence[str],
    families: Mapping[str, str],
    coarse: Sequence[str] = (),
) -> dict[str, Any]:
    """Return how well types are told, over the firearms whose type has prototypes.

    Args:
        similarities: float32[N, P], of firearms to firearm prototypes.
        types: Of the firearms.
        prototype_types: Of the prototypes.
        families: Of types, where they are known; firearms of other types are not asked for it.
        coarse: Types that name no model: such firearms are left out as queries; such prototypes
            stay, and are a wrong type but maybe the right family.

    Returns:
        ``queries``, ``recall_at_1``, ``recall_at_5``, ``family_at_1``, ``mean_average_precision``
        (the paper's: trapezoids over the whole ranking), ``types_without_prototypes``. A share
        of nothing is None.
    """
    prototype = np.asarray(prototype_types)
    known = set(prototype_types)
    named = [n for n, name in enumerate(types) if name not in coarse]
    asked = [n for n in named if types[n] in known]
    figures: dict[str, Any] = {
        "queries": len(asked),
        "types_without_prototypes": _counts([types[n] for n in named if types[n] not in known]),
    }
    first, fifth, family, precision = [], [], [], []
    for place in asked:
        order = np.argsort(-similarities[place], kind="stable")
        ranked = prototype[order]
        right = ranked == types[place]
        first.append(bool(right[0]))
        fifth.append(bool(right[:5].any()))
        best = str(ranked[0])
        if types[place] in families:
            family.append(families.get(best) == families[types[place]])
        precision.append(average_precision(right))
    figures["recall_at_1"] = _share(np.array(first, np.bool_))
    figures["recall_at_5"] = _share(np.array(fifth, np.bool_))
    figures["family_at_1"] = _share(np.array(family, np.bool_))
    mean = round(float(np.mean(precision)), DIGITS) if precision else None
    figures["mean_average_precision"] = mean
    return figures


def with_sides(notes: Iterable[str]) -> list[str]:
    """Return a report's notes with that of its sides first, in place of one that was there."""
    return [SIDES, *(note for note in notes if not note.startswith(CURVE))]


def side_figures(names: Sequence[str], sources: Sequence[str | None]) -> dict[str, Any]:
    """Return how many photographs of a side there are, by name and by source."""
    return {
        "photographs": len(names),
        "by_name": _counts(names),
        "by_source": _counts([source or UNNAMED for source in sources]),
    }


def _curve(firearms: Floats, harmless: Floats, highest: float) -> dict[str, Any]:
    if not len(firearms) or not len(harmless):
        return {}
    thresholds = {rate: at_false_flag_rate(harmless, rate, highest=highest) for rate in RATES}
    return {f"{rate:g}": _share(firearms >= cut) for rate, cut in thresholds.items()}


def _shares(
    labels: Sequence[str], among: NDArray[np.bool_], flagged: NDArray[np.bool_]
) -> dict[str, Any]:
    column = np.asarray(labels, dtype=object)
    found = {}
    for label in sorted({str(name) for name in column[among]}):
        chosen = flagged[among & (column == label)]
        found[label] = {
            "photographs": len(chosen),
            "flagged": int(chosen.sum()),
            "share": _share(chosen),
        }
    return found


def _sources(judged: Judged) -> list[str]:
    return [source or UNNAMED for source in judged.sources]


def _share(marks: NDArray[np.bool_]) -> float | None:
    return round(float(marks.mean()), DIGITS) if len(marks) else None


def _counts(labels: Sequence[str]) -> dict[str, int]:
    names, counts = np.unique(np.asarray(labels, dtype=np.str_), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
