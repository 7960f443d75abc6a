"""Draw batches with as many photographs of each type. Pure; must not know images or torch."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput


def balanced_batches(
    labels: Sequence[int] | NDArray[np.integer],
    *,
    types_per_batch: int,
    images_per_type: int,
    batches: int,
    generator: np.random.Generator,
    extra: tuple[Sequence[int], int] | None = None,
) -> list[list[int]]:
    """Draw batches of photographs, some types each and as many photographs of each type.

    Types are dealt like cards: all come once before one comes again, and so do the photographs of
    a type. Within a batch types differ, and so do photographs; only a type that has fewer than
    ``images_per_type`` repeats its own, each as often as the others or once more (augmentation
    makes the repeats differ).

    Args:
        labels: int[N], the type of each photograph; any numbers.
        types_per_batch: At least 1, at most the number of types.
        images_per_type: At least 1; pairs of one type need 2.
        batches: At least 0.
        generator: Two in the same state give the same batches.
        extra: Places of harmless photographs and how many of them to add to each batch, dealt in
            the same way. Places among ``labels`` are not drawn as types; others may lie beyond.

    Returns:
        Places: type after type, then the harmless ones.

    Raises:
        BadInput: A number is out of range, or harmless photographs are asked for and there are
            none.
    """
    places, per_batch = extra or ((), 0)
    decks = _decks_by_type(labels, set(places), generator)
    _check(len(decks), types_per_batch, images_per_type, batches)
    if per_batch < 0 or (per_batch and not len(places)):
        raise BadInput(f"{per_batch} harmless photographs a batch were asked of {len(places)}")
    types = _Deck(list(decks), generator)
    harmless = _Deck(list(places), generator)
    drawn = []
    for _ in range(batches):
        batch = [
            place
            for kind in types.deal(types_per_batch)
            for place in decks[kind].deal(images_per_type)
        ]
        drawn.append(batch + harmless.deal(per_batch))
    return drawn


class _Deck:
    """Cards that are dealt in an order of chance, all of them before one comes again."""

    def __init__(self, cards: Sequence[int], generator: np.random.Generator) -> None:
        self._cards = [int(card) for card in cards]
        self._generator = generator
        self._rest: list[int] = []

    def deal(self, count: int) -> list[int]:
        """Return as many cards; none twice unless there are fewer cards than that."""
        dealt: list[int] = []
        while len(dealt) < count:
            if not self._rest:
                shuffled = [self._cards[n] for n in self._generator.permutation(len(self._cards))]
                # What this very deal already has comes last, so that it is not dealt twice.
                self._rest = sorted(shuffled, key=dealt.count)
            wanted = count - len(dealt)
            dealt += self._rest[:wanted]
            self._rest = self._rest[wanted:]
        return dealt


def _decks_by_type(
    labels: Sequence[int] | NDArray[np.integer], left_out: set[int], generator: np.random.Generator
) -> dict[int, _Deck]:
    by_type: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        if place not in left_out:
            by_type[int(label)].append(place)
    return {label: _Deck(by_type[label], generator) for label in sorted(by_type)}


def _check(types: int, types_per_batch: int, images_per_type: int, batches: int) -> None:
    if not 1 <= types_per_batch <= types:
        raise BadInput(f"{types_per_batch} types a batch is not in 1..{types}, the number of types")
    if images_per_type < 1:
        raise BadInput(f"{images_per_type} images of a type a batch is less than 1")
    if batches < 0:
        raise BadInput(f"{batches} batches is less than 0")
