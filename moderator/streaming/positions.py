"""Where reading a partition stands: at the group's offset, at a start, or behind a gap.

Used on the reader's thread alone. Knows nothing of records or of what is done with them.
"""

import logging
import random
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import FencedInstanceIdError, KafkaError
from prometheus_client import Counter

from moderator.streaming.epochs import Epochs

logger = logging.getLogger(__name__)

OFFSETS_LOST = Counter(
    "moderator_offsets_lost_total",
    "Offsets that vanished before they were read.",
    ["topic", "partition"],
)

ASK = 0.5
"""Seconds that one question about one partition may take: the others go on being read."""

LOOK_UP = 5.0
"""Seconds that finding the beginning or the end of partitions may take."""

Start = Literal["earliest", "latest"]


class Seeker(Protocol):
    """The part of kafka-python's consumer that this uses."""

    # ruff: noqa: D102
    def seek(self, partition: Any, offset: int) -> None: ...
    def committed(self, partition: Any, timeout_ms: int) -> int | None: ...
    def beginning_offsets(self, partitions: list[Any], timeout_ms: int) -> Mapping[Any, int]: ...
    def end_offsets(self, partitions: list[Any], timeout_ms: int) -> Mapping[Any, int]: ...
    def commit(self, offsets: Mapping[Any, Any], timeout_ms: int) -> None: ...


class Positions:
    """Moves a consumer to where its partitions are to be read.

    Args:
        consumer: To be moved.
        epochs: Say which partitions are to be read from the group's offset again.
        start: Where a new group starts.
        from_beginning: Topics that are read from their beginning whatever ``start`` is.
    """

    def __init__(
        self,
        consumer: Seeker,
        epochs: Epochs,
        start: Start,
        *,
        from_beginning: Collection[str] = (),
    ) -> None:
        self._consumer = consumer
        self._epochs = epochs
        self._start = start
        self._from_beginning = frozenset(from_beginning)
        self._counted: dict[Any, int] = {}
        self._there_at_start: frozenset[int] | None = None

    def know(self, partitions: Collection[int] | None) -> None:
        """Take note of the topic's partitions when this member started; None: not known."""
        self._there_at_start = None if partitions is None else frozenset(partitions)

    def rewind(self) -> None:
        """Go back to the group's offsets where that is asked for, as far as they are to be had.

        A partition whose offset is not stable, since a dead member's transaction is still open,
        waits without holding up the others: polling has to go on, for rebalances.

        Raises:
            FencedInstanceIdError: Another member has taken this one's name.
        """
        deadline = time.monotonic() + 2 * ASK
        waiting = sorted(self._epochs.rewinding())
        # One that stays unstable must not always come first.
        random.shuffle(waiting)
        for partition in waiting:
            if time.monotonic() > deadline:
                return
            try:
                self._to_committed(TopicPartition(*partition))
            except FencedInstanceIdError:
                raise
            except (AssertionError, KeyError, ValueError):
                # Not assigned to the client; the epochs will soon say the same.
                continue
            except KafkaError as error:
                logger.info("%s-%d: no offset to be had yet: %s", *partition, type(error).__name__)
                continue
            self._epochs.rewound(partition)

    def skip_gap(self, positions: Mapping[Any, Any]) -> None:
        """Go on behind offsets that vanished, and say which.

        Args:
            positions: By partition where reading stood, an offset; or, where the log was cut off
                and written anew, an object whose ``offset`` is where it is still as it was read.

        Raises:
            KafkaError: The oldest offsets left cannot be found; nothing was moved.
        """
        found = self._consumer.beginning_offsets(list(positions), timeout_ms=_ms(LOOK_UP))
        for key, oldest in found.items():
            stood = positions[key]
            truncated = hasattr(stood, "offset")
            wanted = stood.offset if truncated else stood
            target = max(oldest, wanted) if truncated and wanted is not None else oldest
            # Until something behind a gap is committed, every way back leads to the same gap.
            known = self._counted.get(key, 0)
            missing = max(0, oldest - max(wanted, known)) if wanted is not None else 0
            self._counted[key] = max(oldest, known)
            OFFSETS_LOST.labels(key.topic, str(key.partition)).inc(missing)
            logger.error(
                "%s-%d: %s; reading on at %d", *key, _gap(wanted, oldest, truncated), target
            )
            try:
                self._consumer.seek(key, target)
            except ValueError:
                # Not assigned any more; its next owner finds the same gap.
                continue

    def _to_committed(self, key: TopicPartition) -> None:
        offset = self._consumer.committed(key, timeout_ms=_ms(ASK))
        if offset is not None:
            self._consumer.seek(key, offset)
            return
        find = self._consumer.end_offsets if self._from_end(key) else (
            self._consumer.beginning_offsets
        )  # fmt: skip
        offset = find([key], timeout_ms=_ms(LOOK_UP))[key]
        # Committed before anything of it is read. Else a group that starts at the end and dies
        # would skip what came in between; and later it would take a batch's commit back.
        self._consumer.commit({key: OffsetAndMetadata(offset, "", -1)}, timeout_ms=_ms(ASK))
        self._consumer.seek(key, offset)

    def _from_end(self, key: TopicPartition) -> bool:
        """Return whether a partition without an offset starts at its end.

        One that was added while this member runs never does, whatever the group is.
        """
        known = self._there_at_start
        if key.topic in self._from_beginning:
            return False
        return self._start == "latest" and (known is None or key.partition in known)


def _gap(wanted: int | None, oldest: int, truncated: bool) -> str:
    """Say which offsets are not there any more."""
    if truncated:
        return f"the log was cut off and written anew from offset {wanted}"
    if wanted is None or oldest <= wanted:
        return f"there is no offset {wanted}"
    return f"offsets {wanted} to {oldest - 1} are gone ({oldest - wanted} lost)"


def gone(error: Exception) -> Iterable[Any]:
    """Return the partitions that an error of the client names."""
    named: Iterable[Any] = error.args[0] if error.args else ()
    return named


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
