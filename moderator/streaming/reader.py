"""Read posts from Kafka: polling, back pressure, and committing outside transactions.

The consumer belongs to the reader's thread alone; only ``listener`` is called on the client's own.
Decides nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    GroupAuthorizationFailedError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from kafka.structs import MemberState
from prometheus_client import Counter, Gauge

from moderator.errors import BadSettings, Unavailable
from moderator.records import Partition, Record
from moderator.streaming.epochs import Epochs
from moderator.streaming.holding import Holding
from moderator.streaming.inbox import Inbox
from moderator.streaming.listener import Loop, RebalanceListener
from moderator.streaming.positions import Identities, Positions, Seeker, Start, gone
from moderator.streaming.share import Share

logger = logging.getLogger(__name__)

POLL = 0.1
"""Longest wait of one poll, in seconds; how soon requests of other threads are seen."""

REPORT = 1.0
"""Seconds between two reports of positions and lag."""

ASK_ENDS = 5
"""Reports between two questions for the ends of partitions that are paused, so not fetched."""

COMMIT = 2.0
"""Seconds that committing outside a transaction may take before it is tried again later."""

RECORDS_READ = Counter(
    "moderator_records_read_total", "Records read from the posts and retry topics."
)
POSITION = Gauge("moderator_position_offset", "Next offset to be read.", ["topic", "partition"])
LAG = Gauge("moderator_lag_records", "Records of a partition not read yet.", ["topic", "partition"])
ASSIGNED = Gauge("moderator_assigned_partitions", "Partitions this member owns.")
PAUSED = Gauge("moderator_reading_paused", "1 while back pressure keeps reading paused.")


class Consumer(Seeker, Protocol):
    """The part of kafka-python's consumer that the reader uses."""

    # ruff: noqa: D102
    def subscribe(self, topics: list[str], *, listener: Any) -> None: ...
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    def poll(self, timeout_ms: int, max_records: int) -> Mapping[Any, list[Any]]: ...
    def pause(self, *partitions: Any) -> None: ...
    def resume(self, *partitions: Any) -> None: ...
    def paused(self) -> set[Any]: ...
    def assignment(self) -> set[Any]: ...
    def position(self, partition: Any, timeout_ms: int) -> int | None: ...
    def highwater(self, partition: Any) -> int | None: ...
    def group_metadata(self) -> Any: ...
    def close(self, autocommit: bool, timeout_ms: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: the topic, where a new group starts, and most records of one poll.

    ``drain_timeout`` is in seconds: how long revoked partitions are held for what was begun.
    ``retry_topics`` are read as well, from their beginning whatever ``start_from`` says, since
    only this group writes there; ``wait`` returns the seconds until a record is due.
    """

    topic: str
    start_from: Start
    max_records: int
    drain_timeout: float
    retry_topics: tuple[str, ...] = ()
    wait: Callable[[Record], float] = lambda _: 0.0


class Reader:
    """Polls the posts topic into the inbox until it is stopped.

    Args:
        consumer: Not subscribed yet; the reader closes it.
        reading: What to read.
        inbox: Where records go.
        epochs: Moved by rebalances, and by whoever wants partitions read again.
        loop: The consumer's own event loop.
        topic_ids: The ids of the topics, as the consumer knows them.
    """

    def __init__(
        self,
        consumer: Consumer,
        reading: Reading,
        inbox: Inbox,
        epochs: Epochs,
        loop: Loop,
        *,
        topic_ids: Identities,
    ) -> None:
        self._consumer = consumer
        self._reading = reading
        self._inbox = inbox
        self._epochs = epochs
        self._loop = loop
        self._positions = Positions(
            consumer,
            epochs,
            reading.topic,
            reading.start_from,
            topic_ids,
            from_beginning=reading.retry_topics,
        )
        self._holding = Holding(consumer, reading.wait)
        self._commits: dict[Partition, OffsetAndMetadata] = {}
        self._commits_lock = threading.Lock()
        self.listener = RebalanceListener(
            epochs, loop, self._take_commits, reading.drain_timeout
        )  # fmt: skip
        self._stopped = threading.Event()
        self._full = False
        self._reachable = False
        self._worked = False
        self._reported: set[Partition] = set()
        self._reports = 0
        self._report_due = 0.0
        self.share = Share(reading.topic)
        self.turned = time.monotonic()

    def run(self, finished: threading.Event) -> None:
        """Read until stopped, then stay a member of the group until ``finished``.

        Raises:
            BadSettings: This user may not read, and never could.
            Unavailable: Another member has this one's ``group_instance_id``.
        """
        reading = self._reading
        self._consumer.subscribe([reading.topic, *reading.retry_topics], listener=self.listener)
        try:
            self._positions.know(self._consumer.partitions_for_topic(reading.topic))
            while not finished.is_set():
                self._turn()
            self._commit()
        except FencedInstanceIdError as error:
            raise Unavailable(
                "another member of the group has this member's group_instance_id; give each its own"
            ) from error
        finally:
            # What is not published by now is for others: leaving waits for nothing any more.
            self.listener.patience = 0.0
            self._consumer.close(autocommit=False, timeout_ms=2000)

    def stop(self) -> None:
        """Read no more; what is on its way goes on."""
        self._stopped.set()

    def commit(self, offsets: Mapping[Partition, OffsetAndMetadata]) -> None:
        """Have next offsets committed soon, outside any transaction; safe from every thread."""
        with self._commits_lock:
            self._commits.update(offsets)

    def group_metadata(self) -> Any:
        """Return the membership as it is now; safe from every thread."""
        return self._consumer.group_metadata()

    @property
    def joined(self) -> bool:
        """Whether the group has this member, is stable, and can be reached."""
        return bool(self._reachable and self._consumer.group_metadata().state == MemberState.STABLE)

    def _turn(self) -> None:
        self.turned = time.monotonic()
        try:
            self._epochs.belong(self._consumer.group_metadata().member_id)
            self._positions.rewind()
            self._commit()
            self._throttle()
            before = self._epochs.snapshot()
            polled = self._poll()
            self._take(polled, before)
            self._report()
        except FencedInstanceIdError:
            raise
        except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
            if not self._worked:
                raise BadSettings(
                    f"this user may not read {error}; `moderator check` says what it needs"
                ) from None
            self._wait_for(error)
        except KafkaError as error:
            self._wait_for(error)

    def _wait_for(self, error: KafkaError) -> None:
        logger.warning("reading posts: %s: %s; trying again", type(error).__name__, error)
        # A broker that is away must not make this a busy loop.
        time.sleep(POLL)

    def _poll(self) -> Mapping[Any, list[Any]]:
        try:
            return self._consumer.poll(
                timeout_ms=int(POLL * 1000), max_records=self._reading.max_records
            )
        except NoOffsetForPartitionError as error:
            self._epochs.rewind([Partition(*key) for key in gone(error)])
        except LogTruncationError as error:
            self._positions.skip_gap(error.divergent_offsets)
        except OffsetOutOfRangeError as error:
            self._positions.skip_gap(error.args[0])
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
            self._worked = True
            RECORDS_READ.inc(len(records))
            self._inbox.put(self._holding.due([as_record(record, epoch) for record in records]))

    def _throttle(self) -> None:
        """Pause while the inbox is full, resume when it is half empty; stopped is full for ever.

        Done anew at each turn, since newly assigned partitions are not paused. What would be read
        of partitions that have yet to go back would be thrown away, so they are paused as well,
        and so are those whose next record is not due.
        """
        # While a rebalance is under way the client may have let go of what the epochs still hold.
        assigned = {TopicPartition(*p) for p in self._epochs.snapshot()} & set(
            self._consumer.assignment() or ()
        )
        edge = 0.5 if self._full else 1
        self._full = self._stopped.is_set() or self._inbox.fullness >= edge
        PAUSED.set(self._full)
        back = self._epochs.rewinding()
        kept = {TopicPartition(*partition) for partition in back | self._holding.held(back)}
        wanted = assigned if self._full else assigned & kept
        paused = self._consumer.paused() & assigned
        try:
            self._consumer.pause(*(wanted - paused))
            self._consumer.resume(*(paused - wanted))
        except KeyError:
            # The client has let go of one just now; the next turn does the rest.
            return

    def _take_commits(self, partitions: Iterable[Partition]) -> dict[Partition, OffsetAndMetadata]:
        with self._commits_lock:
            return {p: self._commits.pop(p) for p in partitions if p in self._commits}

    def _commit(self) -> None:
        with self._commits_lock:
            offsets, self._commits = self._commits, {}
        owned = self._epochs.snapshot()
        mine = {
            TopicPartition(*partition): stand
            for partition, stand in offsets.items()
            if partition in owned
        }
        if not mine:
            return
        try:
            self._consumer.commit(mine, timeout_ms=int(COMMIT * 1000))
        except FencedInstanceIdError:
            raise
        except KafkaError as error:
            logger.warning("committing offsets: %s: %s", type(error).__name__, error)
            with self._commits_lock:
                self._commits = {**offsets, **self._commits}

    def _report(self) -> None:
        now = time.monotonic()
        if now < self._report_due:
            return
        self._report_due = now + REPORT
        self._reports += 1
        self._reachable = self._loop.reachable()
        owned = set(self._epochs.snapshot())
        ASSIGNED.set(len(owned))
        self.share.note(owned, joined=self.joined)
        for partition in self._reported - owned:
            for gauge in (POSITION, LAG):
                gauge.remove(partition.topic, str(partition.partition))
        self._reported = owned
        keys = [TopicPartition(*partition) for partition in owned]
        ends: Mapping[Any, int] = {}
        if self._full and self._reports % ASK_ENDS == 0 and self._reachable:
            ends = self._consumer.end_offsets(keys, timeout_ms=500)
        for key in keys:
            self._report_partition(key, ends.get(key))

    def _report_partition(self, key: TopicPartition, end: int | None) -> None:
        try:
            position = self._consumer.position(key, timeout_ms=0)
            end = self._consumer.highwater(key) if end is None else end
        except (AssertionError, KafkaError, KeyError, ValueError):
            # Not fetched from yet, or just revoked; the next report will know.
            return
        if position is None:
            return
        labels = (key.topic, str(key.partition))
        POSITION.labels(*labels).set(position)
        if end is not None:
            LAG.labels(*labels).set(max(0, end - position))


def as_record(record: Any, epoch: int = 0) -> Record:
    """Return what the client read as a record of ours, of its partition's assignment epoch."""
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
