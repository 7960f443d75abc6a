"""Which photographs become prototypes, which set thresholds, which only test. Pure.

Nothing is on two sides: no group of near copies and, where sources are known, no source. What
sources share with each other is dropped from the thresholds' side and from the test.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from training.errors import BadInput
from training.folder import Photo

SEED = 0


@dataclass(frozen=True)
class Sides:
    """Places of photographs, in order.

    ``dropped`` counts those that were on no side in the end because a near copy of them was on
    another.
    """

    prototypes: tuple[int, ...]
    threshold: tuple[int, ...]
    test: tuple[int, ...]
    dropped: int


def split(
    photos: Sequence[Photo],
    *,
    threshold_sources: Collection[str] = (),
    test_sources: Collection[str] = (),
    share: float = 0.25,
    seed: int = SEED,
) -> Sides:
    """Split photographs by source, or by group where no source is known.

    Args:
        photos: All of them.
        threshold_sources: Sources that set thresholds; none: chosen by chance.
        test_sources: Sources that are left out of everything but the test.
        share: Of the firearms, and of the rest, that set thresholds where that is chosen by
            chance, in 0..1.
        seed: Of that chance.

    Raises:
        BadInput: A source is not there or on both sides, or a side would be without firearms.
    """
    _check_sources(photos, threshold_sources, test_sources)
    open_places = [n for n, photo in enumerate(photos) if photo.source not in test_sources]
    if threshold_sources:
        held = {n for n in open_places if photos[n].source in threshold_sources}
    elif any(photo.source for photo in photos):
        chosen = _chosen_sources([photos[n] for n in open_places], share, seed)
        held = {n for n in open_places if photos[n].source in chosen}
    else:
        held = _chosen_groups(photos, open_places, share, seed)
    sides = _without_copies(photos, open_places, held)
    if not any(photos[n].firearm for n in sides.prototypes):
        raise BadInput("no firearm is left to be a prototype; hold out fewer sources")
    if not any(photos[n].firearm for n in sides.threshold):
        raise BadInput("no firearm is left to set the threshold; name more threshold sources")
    return sides


def _check_sources(
    photos: Sequence[Photo], threshold_sources: Collection[str], test_sources: Collection[str]
) -> None:
    known = {photo.source for photo in photos}
    for source in (*threshold_sources, *test_sources):
        if source not in known:
            raise BadInput(f"no photograph is of the source {source!r}; see the table of groups")
    both = sorted(set(threshold_sources) & set(test_sources))
    if both:
        raise BadInput(f"the source {both[0]!r} cannot both set thresholds and test")


def _chosen_sources(photos: Sequence[Photo], share: float, seed: int) -> set[str | None]:
    """Choose sources by chance until both firearms and the rest have about their share."""
    counts: dict[str | None, list[int]] = defaultdict(lambda: [0, 0])
    for photo in photos:
        counts[photo.source][photo.firearm] += 1
    wanted = [share * sum(count[role] for count in counts.values()) for role in (0, 1)]
    have = [0, 0]
    chosen: set[str | None] = set()
    order = sorted((source for source in counts if source), key=str)
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible choice, no secret
    for source in order:
        sizes = counts[source]
        needed = any(sizes[role] and have[role] < wanted[role] for role in (0, 1))
        if needed and all(have[role] + sizes[role] <= 2 * wanted[role] for role in (0, 1)):
            chosen.add(source)
            have = [have[role] + sizes[role] for role in (0, 1)]
    return chosen


def _chosen_groups(
    photos: Sequence[Photo], places: Iterable[int], share: float, seed: int
) -> set[int]:
    """Choose a share of each type's groups by chance; at least one stays a prototype."""
    by_name: dict[tuple[bool, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place in places:
        photo = photos[place]
        by_name[photo.firearm, photo.name][photo.group].append(place)
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, no secret
    held: set[int] = set()
    for (firearm, name), groups in sorted(by_name.items()):
        if len(groups) < 2:
            if firearm:
                raise BadInput(
                    f"type {name!r} has one photograph, or copies of one; give at least two: "
                    "one to be a prototype and one to set the threshold"
                )
            continue
        order = sorted(groups)
        chance.shuffle(order)
        count = min(len(order) - 1, max(1, round(share * len(order))))
        held.update(place for group in order[:count] for place in groups[group])
    return held


def _without_copies(
    photos: Sequence[Photo], open_places: Sequence[int], held: Collection[int]
) -> Sides:
    """Drop near copies: prototypes keep theirs first, then the thresholds' side."""
    prototypes = tuple(n for n in open_places if n not in held)
    taken = {photos[n].group for n in prototypes}
    threshold = tuple(n for n in sorted(held) if photos[n].group not in taken)
    taken |= {photos[n].group for n in threshold}
    outside = set(range(len(photos))) - set(open_places)
    test = tuple(n for n in sorted(outside) if photos[n].group not in taken)
    dropped = len(photos) - len(prototypes) - len(threshold) - len(test)
    return Sides(prototypes, threshold, test, dropped)
