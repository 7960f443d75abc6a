"""What a sample may be, and where windows show a firearm. Pure: must not know torch or files.

Types whose name begins with ``coarse_`` say only a family, so that a photograph of one may be of
any type of it. What is harmless is of its kind; a background beside a firearm is of some kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.types import Types
from training.data.options import COARSE
from training.errors import BadInput
from training.folder import Photo
from training.tuning.areas import Area, overlap
from training.tuning.plan import BACKGROUND, Sample

Flags = NDArray[np.bool_]

BROAD: Mapping[str, frozenset[str]] = {
    "handgun": frozenset({"pistol", "revolver", "handgun"}),
    "long gun": frozenset({"rifle", "shotgun", "submachine gun", "machine gun", "long gun"}),
}
"""Families that stand for several; any other stands for itself."""

HELD = 0.7
"""Share of a firearm that a window has to hold to show it."""

FILLED = 0.08
"""Share of the window that this firearm has to fill."""

FIREARM, HARMLESS, UNKNOWN = 1, 0, -1
"""Labels of windows."""

BESIDE = "beside a firearm"
"""The kind of what is seen in photographs of firearms beside them."""


@dataclass(frozen=True, eq=False)
class Classes:
    """What the classifier tells apart: types of firearms, then kinds of harmless things.

    Args:
        names: (is it a firearm, name) of each of K classes.
        firearm: bool[K].
        allowed: bool[K, K]; row k: the classes that a sample called k may be.
    """

    names: tuple[tuple[bool, str], ...]
    firearm: Flags
    allowed: Flags

    def of(self, photos: Sequence[Photo], sample: Sample) -> int:
        """Return what a sample is called."""
        photo = photos[sample.photo]
        name = (False, BESIDE) if sample.kind == BACKGROUND else (photo.firearm, photo.name)
        return self.names.index(name)


def classes_of(
    photos: Sequence[Photo], types: Types, *, broad: Mapping[str, frozenset[str]] = BROAD
) -> Classes:
    """Return the classes of photographs.

    Args:
        photos: That are learnt from.
        types: The families of types.
        broad: Families that stand for several.

    Raises:
        BadInput: There are coarse types, and the table does not say the family of some type.
    """
    firearms = sorted({photo.name for photo in photos if photo.firearm})
    kinds = sorted({photo.name for photo in photos if not photo.firearm} | {BESIDE})
    coarse = [name for name in firearms if name.startswith(COARSE)]
    unknown = [name for name in firearms if coarse and name not in types.names]
    if unknown:
        raise BadInput(
            f"no family is known of {', '.join(unknown[:5])}, which {coarse[0]} may stand for; "
            "add it to the table of --types"
        )
    names = (*((True, name) for name in firearms), *((False, kind) for kind in kinds))
    allowed = np.eye(len(names), dtype=bool)
    for name in coarse:
        family = types.family(name)
        wide = broad.get(family, frozenset({family}))
        for k, other in enumerate(firearms):
            allowed[firearms.index(name), k] |= types.family(other) in wide
    beside = names.index((False, BESIDE))
    allowed[beside, len(firearms) :] = True
    return Classes(names, np.array([firearm for firearm, _ in names], bool), allowed)


def window_labels(
    windows: Sequence[Area], firearms: Sequence[Area], *, firearm: bool
) -> NDArray[np.int8]:
    """Return what windows of a picture show.

    Args:
        windows: R parts of the picture.
        firearms: Where firearms are; none named does not mean that there are none.
        firearm: Whether the picture shows one.

    Returns:
        int8[R]: 1 where a window holds 70 % of a firearm that fills 8 % of it, 0 where it
        touches none, -1 where neither can be said.
    """
    if not firearm:
        return np.full(len(windows), HARMLESS, np.int8)
    if not firearms:
        return np.full(len(windows), UNKNOWN, np.int8)
    return np.array([_label(window, firearms) for window in windows], np.int8)


def _label(window: Area, firearms: Sequence[Area]) -> int:
    common = [overlap(window, area) for area in firearms]
    shown = any(
        part >= HELD * area.size and part >= FILLED * window.size
        for part, area in zip(common, firearms, strict=True)
    )
    if shown:
        return FIREARM
    return UNKNOWN if any(common) else HARMLESS
