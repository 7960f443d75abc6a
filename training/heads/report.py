"""What a head does with photographs of sources that it did not learn from. Pure.

``untouched`` are those of small sources that the network was not tuned on either; large sources
stand one by one, those that it was tuned on marked as ``learnt``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.types import Types
from training.folder import Photo
from training.heads.figures import MAIN_RATE, error, flagging, kinds_flagged, naming, sureness
from training.heads.folds import Fold
from training.heads.levels import level_names
from training.ranking.flags import highest_passed

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Held:
    """What heads say of N photographs that they did not learn from.

    Args:
        photos: N of them.
        types: K names of the head's types.
        scores: float64[N, K], of each type, for whole pictures.
        flags: float64[N], flag scores, regions counted.
        table: Families and mechanisms of types.
        learnt: Sources that the network was tuned on.
    """

    photos: tuple[Photo, ...]
    types: tuple[str, ...]
    scores: Floats
    flags: Floats
    table: Types
    learnt: frozenset[str]

    @property
    def firearm(self) -> Marks:
        """bool[N]."""
        return np.array([photo.firearm for photo in self.photos], np.bool_)

    @property
    def untouched(self) -> Marks:
        """bool[N], of sources that the network was not tuned on."""
        return np.array([photo.source not in self.learnt for photo in self.photos], np.bool_)

    @property
    def typed(self) -> Marks:
        """bool[N], firearms of a type that has a mechanism: a model, or a group of models."""
        known = [p.firearm and self.table.mechanism(p.name) is not None for p in self.photos]
        return np.array(known, np.bool_)

    def column(self, name: str) -> Names:
        """Return N texts, a field of the photographs."""
        return np.array([str(getattr(photo, name)) for photo in self.photos])


def head_report(held: Held, folds: Sequence[Fold], levels: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures, plain JSON.

    Args:
        held: All photographs that were held out.
        folds: Of them.
        levels: Level → temperature.
    """
    small = held.untouched & np.logical_or.reduce([f.test for f in folds if not f.large])
    harmless = held.flags[~held.firearm & held.untouched]
    kinds = held.column("name")[~held.firearm & held.untouched]
    return {
        "untouched": {
            "firearms": int((small & held.firearm).sum()),
            "harmless": len(harmless),
            "flags": _flags(held, small, harmless),
            "names": _names(held, small, levels),
            "calibration": _sureness(held, small, levels),
        },
        "large": {
            fold.name: {
                "learnt": fold.name in held.learnt,
                "flags": _flags(held, fold.test, harmless),
                "names": _names(held, fold.test, levels),
            }
            for fold in folds
            if fold.large
        },
        "harmless_kinds": kinds_flagged(harmless, kinds, highest_passed(harmless, MAIN_RATE)),
    }


def _flags(held: Held, where: Marks, harmless: Floats) -> dict[str, Any]:
    own = where & held.firearm
    return flagging(held.flags[own], held.column("source")[own], harmless)


def _names(held: Held, where: Marks, levels: Mapping[str, float]) -> dict[str, Any] | None:
    own = where & held.typed
    if not own.any():
        return None
    modelled = _modelled(held)
    types = [held.types[place] for place in modelled]
    mechanisms = {name: held.table.mechanism(name) or "" for name in types}
    return naming(
        held.scores[own][:, modelled], types, held.column("name")[own],
        held.column("source")[own], mechanisms, temperature=levels["mechanism"],
    )  # fmt: skip


def _sureness(held: Held, where: Marks, levels: Mapping[str, float]) -> dict[str, float]:
    """Return by level the calibration error of names."""
    own = where & held.typed
    names = level_names(held.types, held.table)
    found = {}
    for level, temperature in levels.items():
        of = dict(zip(held.types, names[level], strict=True))
        truth = np.array([of.get(name, "") for name in held.column("name")[own].tolist()])
        found[level] = error(*sureness(held.scores[own], names[level], truth, temperature))
    return found


def _modelled(held: Held) -> list[int]:
    return [n for n, name in enumerate(held.types) if held.table.mechanism(name) is not None]
