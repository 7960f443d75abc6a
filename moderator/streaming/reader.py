"""Read posts from Kafka: polling, back pressure, rebalances, rewinding. Decides nothing.

The consumer belongs to the reader's thread alone. The rebalance listener runs on the client's
I/O thread and does no more than raise epochs.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kafka import AsyncConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from kafka.structs import MemberState
from prometheus_client import Counter, Gauge

from moderator.errors import Unavailable
from moderator.records import Partition, Record
from moderator.streaming.epochs import Epochs

logger = logging.getLogger(__name__)

POLL = 0.1
"""Longest wait of one poll, in seconds; how soon requests of other threads are seen."""

LAG_INTERVAL = 1.0

DRAIN_INTERVAL = 0.02
"""Seconds between two looks at whether what was begun of revoked partitions is published."""

Sleep = Callable[[float], Awaitable[None]]
"""Sleeps on the client's own event loop, which is not asyncio's."""

RECORDS_READ = Counter("moderator_records_read_total", "Records read from the posts topic.")
REBALANCES = Counter("moderator_rebalances_total", "Changes of assignment, by kind.", ["kind"])
OFFSETS_LOST = Counter(
    "moderator_offsets_lost_total",
    "Offsets that vanished before they were read.",
    ["topic", "partition"],
)
POSITION = Gauge("moderator_position_offset", "Next offset to be read.", ["topic", "partition"])
LAG = Gauge("moderator_lag_records", "Records of a partition not read yet.", ["topic", "partition"])
ASSIGNED = Gauge("moderator_assigned_partitions", "Partitions this member owns.")
PAUSED = Gauge("moderator_reading_paused", "1 while back pressure keeps reading paused.")
INBOX = Gauge("moderator_queue_records", "Records read that no batch holds yet.")


class Inbox:
    """Records read and not yet taken; full by count or by bytes, whichever comes first."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, records: Iterable[Record]) -> None:
        """Add records; never waits, since the reader stops by pausing."""
        with self._changed:
            for record in records:
                self._records.append(record)
                self._bytes += record.size
            INBOX.set(len(self._records))
            self._changed.notify_all()

    def take(self, timeout: float | None) -> Record | None:
        """Return the next record, None after ``timeout`` seconds (None: no limit) or closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._closed, timeout)
            if not self._records:
                return None
            record = self._records.popleft()
            self._bytes -= record.size
            INBOX.set(len(self._records))
            return record

    def close(self) -> None:
        """Let go of everything; takers get None from now on."""
        with self._changed:
            self._records.clear()
            self._bytes = 0
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed

    @property
    def fullness(self) -> float:
        """How full it is, 1 and above being full."""
        with self._changed:
            return max(len(self._records) / self._most_records, self._bytes / self._most_bytes)


class Consumer(Protocol):
    """The part of kafka-python's consumer that the reader uses."""

    # ruff: noqa: D102
    def subscribe(self, topics: list[str], *, listener: Any) -> None: ...
    def poll(self, timeout_ms: int, max_records: int) -> Mapping[Any, list[Any]]: ...
    def pause(self, *partitions: Any) -> None: ...
    def resume(self, *partitions: Any) -> None: ...
    def paused(self) -> set[Any]: ...
    def seek(self, partition: Any, offset: int) -> None: ...
    def position(self, partition: Any, timeout_ms: int) -> int | None: ...
    def highwater(self, partition: Any) -> int | None: ...
    def committed(self, partition: Any, timeout_ms: int) -> int | None: ...
    def beginning_offsets(self, partitions: list[Any]) -> Mapping[Any, int]: ...
    def end_offsets(self, partitions: list[Any]) -> Mapping[Any, int]: ...
    def commit(self, offsets: Mapping[Any, Any], timeout_ms: int) -> None: ...
    def group_metadata(self) -> Any: ...
    def close(self, autocommit: bool, timeout_ms: int) -> None: ...


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Raises epochs; on the client's I/O thread, so it only ever awaits.

    Partitions that are taken away in good order keep their epoch until what was begun of them is
    published, or until ``drain_timeout`` is over: the next owner then reads little twice. Those
    that are lost are another member's already.
    """

    def __init__(self, epochs: Epochs, sleep: Sleep, drain_timeout: float) -> None:
        self._epochs = epochs
        self._sleep = sleep
        self._drain_timeout = drain_timeout

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        REBALANCES.labels("assigned").inc()
        self._epochs.assign(Partition(*partition) for partition in assigned)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        REBALANCES.labels("revoked").inc()
        partitions = [Partition(*partition) for partition in revoked]
        self._epochs.close(partitions)
        deadline = time.monotonic() + self._drain_timeout
        while self._epochs.begun(partitions) and time.monotonic() < deadline:
            await self._sleep(DRAIN_INTERVAL)
        self._epochs.give_up(partitions)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        REBALANCES.labels("lost").inc()
        self._epochs.give_up(Partition(*partition) for partition in lost)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: the topic, where a new group starts, and most records of one poll.

    ``drain_timeout`` is in seconds: how long revoked partitions are held for what was begun.
    """

    topic: str
    start_from: str
    max_records: int
    drain_timeout: float


class Reader:
    """Polls the posts topic into the inbox until it is stopped.

    Args:
        consumer: Not subscribed yet; the reader closes it.
        reading: What to read.
        inbox: Where records go.
        epochs: Raised by rebalances, and by whoever wants partitions read again.
        sleep: Sleeps on the consumer's own event loop.
    """

    def __init__(
        self,
        consumer: Consumer,
        reading: Reading,
        inbox: Inbox,
        epochs: Epochs,
        sleep: Sleep,
    ) -> None:
        self._consumer = consumer
        self._listener = _Listener(epochs, sleep, reading.drain_timeout)
        self._reading = reading
        self._inbox = inbox
        self._epochs = epochs
        self._commits: dict[Partition, int] = {}
        self._commits_lock = threading.Lock()
        self._stopped = threading.Event()
        self._reported: set[Partition] = set()
        self._report_due = 0.0
        self.turned = time.monotonic()

    def run(self, finished: threading.Event) -> None:
        """Read until stopped, then stay a member of the group until ``finished``."""
        self._consumer.subscribe([self._reading.topic], listener=self._listener)
        try:
            while not finished.is_set():
                self._turn()
            self._commit()
        finally:
            self._consumer.close(autocommit=False, timeout_ms=5000)

    def stop(self) -> None:
        """Read no more; what is on its way goes on."""
        self._stopped.set()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Have next offsets committed soon, outside any transaction; safe from every thread."""
        with self._commits_lock:
            self._commits.update(offsets)

    def group_metadata(self) -> Any:
        """Return the membership as it is now; safe from every thread."""
        return self._consumer.group_metadata()

    @property
    def joined(self) -> bool:
        """Whether the group has this member and is stable."""
        return bool(self._consumer.group_metadata().state == MemberState.STABLE)

    def _turn(self) -> None:
        self.turned = time.monotonic()
        try:
            self._rewind()
            self._commit()
            self._throttle()
            before = self._epochs.snapshot()
            polled = self._poll()
            self._take(polled, before)
            self._report()
        except FencedInstanceIdError as error:
            raise Unavailable(
                "another member of the group has this member's group_instance_id; give each its own"
            ) from error
        except KafkaError as error:
            logger.warning("reading posts: %s: %s; trying again", type(error).__name__, error)
            # A broker that is away must not make this a busy loop.
            time.sleep(POLL)

    def _poll(self) -> Mapping[Any, list[Any]]:
        try:
            return self._consumer.poll(
                timeout_ms=int(POLL * 1000), max_records=self._reading.max_records
            )
        except NoOffsetForPartitionError as error:
            self._begin(error.args[0])
        except LogTruncationError as error:
            self._skip_gap(error.divergent_offsets)
        except OffsetOutOfRangeError as error:
            self._skip_gap(error.args[0])
        return {}

    def _take(self, polled: Mapping[Any, list[Any]], before: Mapping[Partition, int]) -> None:
        after, rewinding = self._epochs.snapshot(), self._epochs.rewinding()
        for key, records in polled.items():
            partition = Partition(*key)
            epoch = after.get(partition)
            if epoch is None or self._stopped.is_set():
                continue
            if before.get(partition) != epoch or partition in rewinding:
                # Read across a change of assignment: which side is unknown, so it is read again.
                self._epochs.rewind([partition])
                continue
            RECORDS_READ.inc(len(records))
            self._inbox.put(_record(record, epoch) for record in records)

    def _throttle(self) -> None:
        """Pause while the inbox is full, resume when it is half empty; stopped is full for ever.

        Done anew at each turn, since newly assigned partitions are not paused.
        """
        assigned = {TopicPartition(*partition) for partition in self._epochs.snapshot()}
        paused = self._consumer.paused() & assigned
        full = self._stopped.is_set() or self._inbox.fullness >= (0.5 if paused else 1)
        PAUSED.set(full)
        if full and assigned - paused:
            self._consumer.pause(*(assigned - paused))
        elif not full and paused:
            self._consumer.resume(*paused)

    def _rewind(self) -> None:
        for partition in self._epochs.rewinding():
            key = TopicPartition(*partition)
            try:
                offset = self._consumer.committed(key, timeout_ms=5000)
                if offset is None:
                    self._begin([key])
                else:
                    self._consumer.seek(key, offset)
            except (ValueError, AssertionError):
                # Not assigned any more; the listener has given it up or is about to.
                continue
            self._epochs.rewound(partition)

    def _begin(self, partitions: Iterable[Any]) -> None:
        """Start partitions that the group has never committed, and commit where they start.

        Without the commit, a group that starts from ``latest`` and dies before its first batch
        would skip what came in between.
        """
        keys = list(partitions)
        earliest = self._reading.start_from == "earliest"
        find = self._consumer.beginning_offsets if earliest else self._consumer.end_offsets
        for key, offset in find(keys).items():
            self._consumer.seek(key, offset)
            self.commit({Partition(*key): offset})

    def _skip_gap(self, positions: Mapping[Any, Any]) -> None:
        """Go on at the oldest record left, and say which offsets vanished."""
        for key, oldest in self._consumer.beginning_offsets(list(positions)).items():
            wanted = getattr(positions[key], "offset", positions[key])
            missing = max(0, oldest - wanted) if wanted is not None else 0
            OFFSETS_LOST.labels(key.topic, str(key.partition)).inc(missing)
            logger.error(
                "%s-%d: offset %s is gone; reading on at %d, the oldest left (%d lost)",
                key.topic,
                key.partition,
                wanted,
                oldest,
                missing,
            )
            self._consumer.seek(key, oldest)

    def _commit(self) -> None:
        with self._commits_lock:
            offsets, self._commits = self._commits, {}
        owned = self._epochs.snapshot()
        mine = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
            if partition in owned
        }
        if not mine:
            return
        try:
            self._consumer.commit(mine, timeout_ms=5000)
        except KafkaError as error:
            logger.warning("committing offsets: %s: %s", type(error).__name__, error)
            with self._commits_lock:
                self._commits = {**offsets, **self._commits}

    def _report(self) -> None:
        now = time.monotonic()
        if now < self._report_due:
            return
        self._report_due = now + LAG_INTERVAL
        owned = set(self._epochs.snapshot())
        ASSIGNED.set(len(owned))
        for gone in self._reported - owned:
            for gauge in (POSITION, LAG):
                gauge.remove(gone.topic, str(gone.partition))
        self._reported = owned
        for partition in owned:
            self._report_partition(partition)

    def _report_partition(self, partition: Partition) -> None:
        key = TopicPartition(*partition)
        labels = (partition.topic, str(partition.partition))
        try:
            position = self._consumer.position(key, timeout_ms=0)
            end = self._consumer.highwater(key)
        except (KafkaError, ValueError, AssertionError):
            # Not fetched from yet, or just revoked; the next report will know.
            return
        if position is not None:
            POSITION.labels(*labels).set(position)
            LAG.labels(*labels).set(max(0, (end or position) - position))


def _record(record: Any, epoch: int) -> Record:
    headers = tuple((name, value or b"") for name, value in record.headers or ())
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=headers,
        epoch=epoch,
    )
