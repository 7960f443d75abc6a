"""Numbers and choices that vary from drawing to drawing, never shared between the two sets.

The drawings that are indexed and those that are posted must not be the same pictures in disguise:
every number comes from bands that belong to one set only, every choice from options of one set.
Knows nothing of what the numbers mean.
"""

import random
from collections.abc import Sequence
from typing import Literal, TypeVar

Variant = Literal["indexed", "posted"]

BANDS: dict[Variant, tuple[tuple[float, float], ...]] = {
    "indexed": ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)),
    "posted": ((0.25, 0.35), (0.65, 0.75)),
}
"""Shares of a parameter's range that each set may take: apart, and the posted ones in between."""

T = TypeVar("T")


class Dial:
    """A source of variation, wholly given by a name, a seed and a set.

    ``shares`` holds every share that was taken, by parameter, in 0..1; ``choices`` every choice.

    Args:
        name: What is drawn.
        seed: Which one of it.
        variant: The set it belongs to.
    """

    def __init__(self, name: str, seed: int, variant: Variant) -> None:
        self._variant = variant
        # A text seeds by its SHA-512, the same in every process, and apart for each set.
        self._random = random.Random(f"{variant}/{name}/{seed}")  # noqa: S311 - drawings, no secret
        self.shares: dict[str, float] = {}
        self.choices: dict[str, object] = {}

    def between(self, parameter: str, low: float, high: float) -> float:
        """Return a number of [low, high] out of the bands of this set."""
        share = self._random.uniform(*self._random.choice(BANDS[self._variant]))
        self.shares[parameter] = share
        return low + share * (high - low)

    def choose(self, parameter: str, *, indexed: Sequence[T], posted: Sequence[T]) -> T:
        """Return one of the options of this set."""
        chosen = self._random.choice(indexed if self._variant == "indexed" else posted)
        self.choices[parameter] = chosen
        return chosen

    def coin(self) -> bool:
        """Return heads or tails, for what may be alike in both sets."""
        return self._random.random() < 0.5

    def grain(self) -> int:
        """Return a seed for noise."""
        return self._random.getrandbits(32)
