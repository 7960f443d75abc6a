"""Which photographs a head is tested on, and which it then learns from. Pure.

Sources with many firearms are held out one at a time, the others by fifths, as a hash of their
names deals them; sources that descend from one another leave together.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput
from training.folder import Photo

LEAST = 150
"""Firearms of a source that is held out by itself."""

PARTS = 5
"""Into which the other sources are dealt."""

Marks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fold:
    """What is held out of N photographs.

    Args:
        name: The source, or ``small 1`` to ``small 5``.
        large: Whether it is a single source's.
        test: bool[N], held out and judged: firearms, and the harmless of the same sources.
        learn: bool[N], learnt from: neither of the same sources, nor related, nor near copies;
            but firearms of a source of which only harmless photographs are tested.
    """

    name: str
    large: bool
    test: Marks
    learn: Marks


def folds(
    photos: Sequence[Photo],
    *,
    related: Sequence[Collection[str]] = (),
    least: int = LEAST,
    parts: int = PARTS,
) -> tuple[Fold, ...]:
    """Return the folds: parts of the small sources first, then the large ones, largest first.

    Every harmless photograph is tested in one of the parts: their other sources are dealt largest
    first, each to the part that has fewest.

    Args:
        photos: N of them, with their sources.
        related: Sources that descend from one another; one in a test keeps the others from being
            learnt. Names that no photograph has do not matter.
        least: Firearms of a source that is held out by itself.
        parts: Into which the others are dealt.

    Raises:
        BadInput: A photograph has no source, or a part has no firearms or nothing harmless.
    """
    if any(photo.source is None for photo in photos):
        raise BadInput("a photograph has no source; name it in the column source_repo of the table")
    sources = np.array([photo.source for photo in photos])
    firearm = np.array([photo.firearm for photo in photos], np.bool_)
    counts = Counter(sources[firearm].tolist())
    large = [name for name, count in counts.most_common() if count >= least]
    dealt = _dealt(sources, firearm, large, parts)
    found = []
    for part in range(parts):
        own = np.isin(sources, [name for name, place in dealt.items() if place == part])
        test = own & ~(firearm & np.isin(sources, large))
        if not (test & firearm).any() or not (test & ~firearm).any():
            raise BadInput(
                f"part {part + 1} of {parts} of the sources below {least} firearms lacks firearms "
                "or harmless photographs; give more sources"
            )
        found.append((f"small {part + 1}", False, test))
    found += [(name, True, sources == name) for name in large]
    return tuple(
        Fold(name, is_large, test, _learnt(photos, sources, firearm, test, related))
        for name, is_large, test in found
    )


def _dealt(
    sources: NDArray[np.str_], firearm: Marks, large: Collection[str], parts: int
) -> Mapping[str, int]:
    """Return the part of each small source, and of each that has harmless photographs."""
    small = sorted(set(sources[firearm].tolist()) - set(large))
    dealt = {name: int(hashlib.sha256(name.encode()).hexdigest(), 16) % parts for name in small}
    sizes = [0] * parts
    harmless = Counter(sources[~firearm].tolist())
    for name, count in sorted(harmless.items(), key=lambda item: (-item[1], item[0])):
        place = dealt.setdefault(name, sizes.index(min(sizes)))
        sizes[place] += count
    return dealt


def _learnt(
    photos: Sequence[Photo],
    sources: NDArray[np.str_],
    firearm: Marks,
    test: Marks,
    related: Sequence[Collection[str]],
) -> Marks:
    """Return what is learnt from; where only a source's harmless are tested, its firearms are."""
    tested = set(sources[test & firearm].tolist())
    gone = tested.union(*(family for family in related if tested & set(family)))
    harmless = ~firearm & np.isin(sources, sources[test & ~firearm])
    copies = {photos[place].group for place in np.flatnonzero(test).tolist()}
    copied = np.array([photo.group in copies for photo in photos], np.bool_)
    learnt: Marks = ~(test | copied | harmless | np.isin(sources, sorted(gone)))
    return learnt
