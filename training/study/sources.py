"""Which sources are held out in turn, and what with them. Pure; must not know networks.

A fold tests on the firearms of one source, and on harmless photographs of sources of which none
was learnt either: those of the same source, and a part of the others.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.errors import BadInput
from training.folder import Photo

LEAST = 150
"""Firearms that a source needs to be held out."""


@dataclass(frozen=True)
class Fold:
    """What is held out.

    Args:
        source: Whose firearms are tested.
        together: All sources that are held out wholly, this one first.
        harmless: Sources whose harmless photographs are held out.
    """

    source: str
    together: tuple[str, ...]
    harmless: tuple[str, ...]


def folds(
    photos: Sequence[Photo],
    *,
    least: int = LEAST,
    parts: int = 4,
    related: Sequence[Sequence[str]] = (),
) -> tuple[Fold, ...]:
    """Return a fold for each large source of firearms, the largest first.

    Args:
        photos: With their sources.
        least: Firearms that a source needs.
        parts: Into which the sources of harmless photographs are dealt, largest first, each to
            the part that has fewest; a fold holds out one of them.
        related: Sources that descend from one another, and are held out together.

    Raises:
        BadInput: There are no two such sources, no harmless photographs of several sources, or
            no photograph of a source that is related.
    """
    _check_related(photos, related)
    guns = Counter(photo.source for photo in photos if photo.firearm and photo.source)
    large = [name for name, count in guns.most_common() if count >= least]
    if len(large) < 2:
        raise BadInput(
            f"{len(large)} sources have {least} firearms or more; two are needed to hold out in "
            "turn: give a table of sources as --groups"
        )
    dealt = _dealt(photos, parts)
    return tuple(
        Fold(
            name,
            (name, *sorted({s for family in related if name in family for s in family} - {name})),
            dealt[place % parts],
        )
        for place, name in enumerate(large)
    )


def tested(photos: Sequence[Photo], fold: Fold) -> list[int]:
    """Return the places of the photographs that a fold tests on, in order."""
    return [
        place
        for place, photo in enumerate(photos)
        if (photo.source == fold.source) or (not photo.firearm and photo.source in fold.harmless)
    ]


def _check_related(photos: Sequence[Photo], related: Sequence[Sequence[str]]) -> None:
    known = {photo.source for photo in photos}
    for name in (name for family in related for name in family):
        if name not in known:
            raise BadInput(
                f"--related {name} is no source of the photographs; give values of the column "
                "source_repo of --groups"
            )


def _dealt(photos: Sequence[Photo], parts: int) -> list[tuple[str, ...]]:
    counts = Counter(photo.source for photo in photos if not photo.firearm and photo.source)
    if len(counts) < parts:
        raise BadInput(
            f"harmless photographs come from {len(counts)} sources; {parts} are needed to hold "
            "out a part of them"
        )
    dealt: list[list[str]] = [[] for _ in range(parts)]
    sizes = [0] * parts
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        least = sizes.index(min(sizes))
        dealt[least].append(name)
        sizes[least] += count
    return [tuple(sorted(names)) for names in dealt]
