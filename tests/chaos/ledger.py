"""Who was decided how often: the count that everything else is done for. Pure.

Posts are counted by the coordinates of their records, and only by them: a post id may come twice.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Coordinates = tuple[str, int, int]
"""Topic, partition and offset of a post's record."""

ERRORS = "__connect.errors."


class Row(Protocol):
    """A record as it is read."""

    @property
    def value(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Count:
    """What a topic holds against what it should hold.

    Attributes:
        wanted: Records that should be there.
        found: Records that are there.
        lost: Coordinates that should be there and are not.
        doubled: Coordinates that are there more than once.
        strange: Coordinates that are there and should not be.
    """

    wanted: int
    found: int
    lost: tuple[Coordinates, ...]
    doubled: tuple[Coordinates, ...]
    strange: tuple[Coordinates, ...]

    @property
    def right(self) -> bool:
        """Whether everything is there exactly once, and nothing else."""
        return not (self.lost or self.doubled or self.strange)


def posted(topic: str, ends: Mapping[int, int]) -> set[Coordinates]:
    """Return the coordinates of all records of a topic without transactions.

    Args:
        topic: Its name.
        ends: Its end offset by partition; it begins at 0.
    """
    return {(topic, partition, n) for partition, end in ends.items() for n in range(end)}


def counted(wanted: set[Coordinates], found: Iterable[Coordinates]) -> Count:
    """Compare what is there with what should be."""
    times = Counter(found)
    return Count(
        wanted=len(wanted),
        found=times.total(),
        lost=tuple(sorted(wanted - times.keys())),
        doubled=tuple(sorted(each for each, count in times.items() if count > 1)),
        strange=tuple(sorted(times.keys() - wanted)),
    )


def decisions(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the decisions that records hold."""
    return [json.loads(row.value or "null") for row in rows]


def source(decision: Mapping[str, Any]) -> Coordinates:
    """Return the coordinates of the post that a decision is of."""
    at = decision["source"]
    return at["topic"], at["partition"], at["offset"]


def dead_letter_source(row: Row) -> Coordinates:
    """Return the coordinates of the post that a dead letter is of, from its headers."""
    topic, partition, offset = (
        row.headers[f"{ERRORS}{name}"] for name in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)
