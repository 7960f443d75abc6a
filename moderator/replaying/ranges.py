"""Read ranges of a topic's offsets, in no group, so that nobody's place in it moves.

Only what is committed is read. Knows nothing of what records say.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from moderator.errors import Unavailable
from moderator.records import Record
from moderator.replaying.span import Edge, Moment, Offsets, partitions_of
from moderator.settings import Kafka
from moderator.streaming import clients
from moderator.streaming.reader import as_record
from moderator.streaming.unreadable import MAX_RECORD, tolerate_unreadable

logger = logging.getLogger(__name__)

STUCK = 60.0
"""Seconds without a step on after which reading a range gives up."""

ASK = 10_000
"""Milliseconds that finding offsets may take."""


@dataclass(frozen=True, slots=True)
class Window:
    """A range of a partition: offsets from ``begin`` on and before ``end``.

    ``lost`` counts offsets that were asked for and are gone; ``cut`` says that the range begins
    with the oldest record left, so that more may be gone which nobody can count.
    """

    partition: int
    begin: int
    end: int
    lost: int = 0
    cut: bool = False

    @property
    def size(self) -> int:
        """How many offsets there are in it."""
        return self.end - self.begin


class RangeReader:
    """Reads one topic; ``lost`` counts, by partition, offsets that vanish while it does.

    Args:
        kafka: Where the brokers are.
        topic: Which.
        max_records: Records of one poll.
        max_record: Bytes of a record that is read; of a larger one the key alone.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """

    def __init__(
        self, kafka: Kafka, topic: str, max_records: int, max_record: int = MAX_RECORD
    ) -> None:
        self._topic = topic
        self._max_records = max_records
        self._consumer: KafkaConsumer = clients.consumer(
            kafka, group=False, client_id="moderator-replay"
        )
        tolerate_unreadable(self._consumer, max_record, keys=True)
        self.lost: Counter[int] = Counter()

    def windows(self, begin: Edge, end: Edge) -> list[Window]:
        """Return the ranges between two places, by partition; empty ones are left out.

        Raises:
            BadSettings: A partition is named that is not there.
            Unavailable: The brokers do not say.
        """
        there = frozenset(self._consumer.partitions_for_topic(self._topic) or ())
        if not there:
            raise Unavailable(f"no topic {self._topic}, or no permission to see it")
        keys = [TopicPartition(self._topic, n) for n in partitions_of(begin, end, there)]
        try:
            oldest = self._consumer.beginning_offsets(keys, timeout_ms=ASK)
            newest = self._consumer.end_offsets(keys, timeout_ms=ASK)
            first = self._found(begin, keys, oldest, newest)
            after = self._found(end, keys, oldest, newest)
        except KafkaError as error:
            raise Unavailable(
                f"offsets of {self._topic}: {type(error).__name__}: {error}; try again"
            ) from None
        timed = isinstance(begin, Moment)
        windows = [
            _window(
                key.partition, first[key], min(after[key], newest[key]), oldest[key], timed=timed
            )
            for key in keys
        ]
        return [window for window in windows if window.size or window.lost]

    def first_timestamp(self, window: Window) -> int:
        """Return the timestamp of a range's first record in milliseconds, 0 where it has none."""
        record = next(self.read(window), None)
        return 0 if record is None else max(0, record.timestamp)

    def read(self, window: Window) -> Iterator[Record]:
        """Yield the records of a range in the order of their offsets.

        Raises:
            Unavailable: It cannot be read on.
        """
        key = TopicPartition(self._topic, window.partition)
        self._consumer.assign([key])
        self._consumer.seek(key, window.begin)
        position, stepped = window.begin, time.monotonic()
        while position < window.end:
            for record in self._polled(key, position).get(key, ()):
                if record.offset >= window.end:
                    return
                yield as_record(record)
            reached = self._position(key, position)
            if reached > position:
                position, stepped = reached, time.monotonic()
            elif time.monotonic() - stepped > STUCK:
                raise Unavailable(
                    f"{self._topic}-{window.partition} cannot be read on from {position} for "
                    f"{STUCK:g} s; try again"
                )

    def read_all(self, windows: Iterable[Window]) -> Iterator[Record]:
        """Yield the records of ranges, one after the other."""
        for window in windows:
            yield from self.read(window)

    def close(self) -> None:
        """Read no more."""
        self._consumer.close(autocommit=False)

    def _polled(self, key: TopicPartition, position: int) -> Mapping[Any, Sequence[Any]]:
        try:
            polled: Mapping[Any, Sequence[Any]] = self._consumer.poll(
                timeout_ms=200, max_records=self._max_records
            )
        except (OffsetOutOfRangeError, LogTruncationError):
            # Retention was quicker.
            oldest = self._consumer.beginning_offsets([key], timeout_ms=ASK)[key]
            # A second pass meets the same gap, which counts once.
            gone = max(0, oldest - position)
            self.lost[key.partition] = max(self.lost[key.partition], gone)
            self._consumer.seek(key, max(oldest, position))
        except KafkaError as error:
            logger.warning("%s: %s: %s; trying again", self._topic, type(error).__name__, error)
            time.sleep(0.2)
        else:
            return polled
        return {}

    def _position(self, key: TopicPartition, known: int) -> int:
        """Return the next offset; beyond records there may be marks of transactions."""
        try:
            return int(self._consumer.position(key, timeout_ms=1000) or known)
        except KafkaError:
            return known

    def _found(
        self,
        edge: Edge,
        keys: Sequence[TopicPartition],
        oldest: Mapping[Any, int],
        newest: Mapping[Any, int],
    ) -> Mapping[Any, int]:
        if isinstance(edge, Offsets):
            return {key: edge.by_partition[key.partition] for key in keys}
        if isinstance(edge, Moment):
            asked = dict.fromkeys(keys, edge.milliseconds)
            found = self._consumer.offsets_for_times(asked, timeout_ms=ASK)
            return {key: newest[key] if found[key] is None else found[key].offset for key in keys}
        return oldest if edge == "earliest" else newest


def _window(partition: int, first: int, after: int, oldest: int, *, timed: bool) -> Window:
    begin = max(first, oldest)
    lost = max(0, min(after, oldest) - first)
    cut = timed and first <= oldest and oldest > 0 and after > begin
    return Window(partition, begin, max(begin, after), lost, cut)
