"""Hold partitions whose next record is not due yet. Knows nothing of what makes records due.

Used on the reader's thread alone. A partition that is held is to be paused; it holds up no other,
and nothing of it waits in memory: its records are fetched again when the first of them is due.
"""

import time
from collections.abc import Callable, Collection, Sequence

from kafka import TopicPartition
from prometheus_client import Gauge

from moderator.records import Partition, Record
from moderator.streaming.positions import Seeker

HELD = Gauge("moderator_held_partitions", "Partitions of retry topics whose head is not due yet.")


class Holding:
    """Lets through what is due.

    Args:
        consumer: Put back to the first record that is not due.
        wait: Returns the seconds until a record is due, 0 where it is.
    """

    def __init__(self, consumer: Seeker, wait: Callable[[Record], float]) -> None:
        self._consumer = consumer
        self._wait = wait
        self._heads: dict[Partition, tuple[int, float]] = {}

    def due(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return those of a partition's records that come before the first that is not due."""
        for place, record in enumerate(records):
            wait = self._left(record)
            if wait <= 0:
                continue
            try:
                self._consumer.seek(TopicPartition(*record.source), record.offset)
            except (AssertionError, ValueError):
                # Not assigned any more: its next owner starts at what is committed.
                return records[:place]
            self._heads[record.source] = record.offset, time.monotonic() + wait
            return records[:place]
        return records

    def _left(self, record: Record) -> float:
        """Return the seconds until a record is due; what was waited for is due for good."""
        offset, until = self._heads.get(record.source, (-1, 0.0))
        if record.offset == offset:
            return until - time.monotonic()
        return self._wait(record)

    def held(self, moved: Collection[Partition]) -> set[Partition]:
        """Return the partitions to pause.

        Args:
            moved: Partitions that are read from another place from now on, and so not held.
        """
        now = time.monotonic()
        for partition in moved:
            self._heads.pop(partition, None)
        held = {partition for partition, (_, until) in self._heads.items() if until > now}
        HELD.set(len(held))
        return held
