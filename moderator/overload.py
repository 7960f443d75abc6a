"""How much work is left out, by how old posts are when they are judged. Pure: time is passed in.

Above the objective one more kind of work is left out at a time, since leaving out the first may be
enough. Far enough below it for a while, the last one is taken up again. In between all stays as it
is (hysteresis): at the edge the level would otherwise change with every batch, and each change
raises the age again. Knows nothing of posts, networks or threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import median_low

SILENCE = 10.0
"""Seconds without a batch after which nothing is waiting, whatever the settings say."""


class Level(IntEnum):
    """What is left out; each level leaves out what those below it do, and one thing more."""

    WHOLE = 0
    NO_REGIONS = 1
    ONE_FRAME = 2

    @property
    def regions(self) -> bool:
        """Whether regions are judged."""
        return self < Level.NO_REGIONS

    @property
    def frames(self) -> bool:
        """Whether more than one frame of an animation is judged."""
        return self < Level.ONE_FRAME


@dataclass(frozen=True, slots=True)
class Objective:
    """When work is left out and taken up again.

    Attributes:
        age: Seconds of age above which work is left out; 0: never.
        step: Seconds that the age stays above it until the next level.
        recovered: Share of ``age`` below which work is taken up again, in 0..1.
        recovery: Seconds that the age stays below that until a level is taken back.
    """

    age: float
    step: float
    recovered: float
    recovery: float


class Shedding:
    """The level, from the ages of batches; each call is at a monotonic time not before the last.

    Args:
        objective: When it rises and falls.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._level = Level.WHOLE
        self._raise_at: float | None = None
        self._calm_since: float | None = None
        self._observed: float | None = None

    def level(self, now: float) -> Level:
        """Return what a batch that is begun now leaves out."""
        silent = 0.0 if self._observed is None else now - self._observed
        if self._observed is not None and silent > self._quiet:
            # Nothing is waiting: as long a calm as the silence, a level for each recovery.
            steps = int(silent // self._quiet)
            self._level = Level(max(Level.WHOLE, self._level - steps))
            self._observed += steps * self._quiet
            self._raise_at = self._calm_since = None
        return self._level

    def begun(self, age: float, now: float) -> Level:
        """Take the age in seconds of posts that are begun now; return the level for them.

        They will be older when they are judged, so that late ones raise the level, and young ones
        say nothing: a backlog is known by its first batch, and not by those begun meanwhile.
        """
        self.level(now)
        if 0 < self._objective.age < age:
            self._observed = now
            self._late(now)
        return self._level

    def observe(self, age: float, now: float) -> Level:
        """Take the age in seconds of a batch that is judged now; return the level from now on."""
        if self._objective.age <= 0:
            return Level.WHOLE
        self.level(now)
        self._observed = now
        if age > self._objective.age:
            self._late(now)
        elif age < self._objective.age * self._objective.recovered:
            self._calm(now)
        else:
            self._raise_at = self._calm_since = None
        return self._level

    @property
    def _quiet(self) -> float:
        """Seconds of silence that count as calm enough to take a level back."""
        return max(SILENCE, self._objective.recovery)

    def _late(self, now: float) -> None:
        self._calm_since = None
        # Batches that were begun before a step still show the age without it.
        if self._raise_at is None:
            self._raise_at = now + (self._objective.step if self._level else 0.0)
        if now >= self._raise_at and self._level < max(Level):
            self._level = Level(self._level + 1)
            self._raise_at = now + self._objective.step

    def _calm(self, now: float) -> None:
        self._raise_at = None
        if self._calm_since is None:
            self._calm_since = now
        if now - self._calm_since >= self._objective.recovery and self._level > min(Level):
            self._level = Level(self._level - 1)
            self._calm_since = now


def age_of(timestamps: Sequence[int], now: float) -> float | None:
    """Return the age of a batch in seconds: the median of its posts', the younger of two.

    Single posts may have any timestamp: producers set them, and some come again after a delay.

    Args:
        timestamps: Of its posts, in milliseconds since 1970; negative where there is none.
        now: In milliseconds since 1970.

    Returns:
        At least 0; None where no post has a timestamp.
    """
    ages = [max(0.0, now - each) / 1000 for each in timestamps if each >= 0]
    return median_low(ages) if ages else None
