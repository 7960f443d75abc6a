"""Follow the group's committed offsets: what stands still, and when what a kill held up goes on."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

LOOK = 0.2
SETTLED = 0.4
"""Seconds after a kill until the commit that was under way has arrived, if it does at all."""


def ends_of(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return the end offset of every partition of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        keys = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
        return {key.partition: end for key, end in consumer.end_offsets(keys).items()}
    finally:
        consumer.close(autocommit=False)


@dataclass(eq=False)
class Recovery:
    """How long a kill held up the partitions of its member.

    Attributes:
        partitions: Those that the member had.
        moment: When it was killed; all times are of the monotonic clock.
        since: The same, or the end of the last fault that came before things went on again.
        ended: When the last partition went on, None until then.
    """

    partitions: frozenset[int]
    moment: float
    since: float
    base: dict[int, int] | None = None
    ended: float | None = None

    @property
    def disturbed(self) -> bool:
        """Whether another fault came before things went on."""
        return self.since > self.moment

    @property
    def seconds(self) -> float | None:
        """Seconds from the kill, or the last fault, until things went on."""
        return None if self.ended is None else self.ended - self.since


class Watch:
    """Looks at offsets on a thread of its own; what the broker's absence hides is seen later.

    Args:
        connect: Makes a client.
        group: The group.
        topic: What it reads.
        partitions: How many partitions that has.
    """

    def __init__(
        self, connect: Callable[[], KafkaAdminClient], group: str, topic: str, partitions: int
    ) -> None:
        self._connect = connect
        self._group = group
        self._keys = [TopicPartition(topic, n) for n in range(partitions)]
        self._client: KafkaAdminClient | None = None
        self._moved = dict.fromkeys(range(partitions), time.monotonic())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.committed: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self.ends: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self.standstill = 0.0
        """Longest time in seconds that a partition had posts and went on with none."""
        self.recoveries: list[Recovery] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(30)
        self._forget()

    def killed(self, partitions: frozenset[int]) -> Recovery:
        """Say that the member of these partitions was killed just now."""
        now = time.monotonic()
        recovery = Recovery(partitions, now, now, ended=None if partitions else now)
        self.recoveries.append(recovery)
        return recovery

    def disturbed(self) -> None:
        """Say that another fault is at work; what has not gone on by now is measured from here."""
        for each in self.recoveries:
            if each.ended is None:
                each.since = time.monotonic()

    @property
    def recovered(self) -> bool:
        """Whether everything that a kill held up goes on."""
        return all(each.ended is not None for each in self.recoveries)

    def stuck(self, seconds: float) -> list[int]:
        """Return the partitions that have posts and went on with none for so long."""
        now = time.monotonic()
        return [n for n, moved in self._moved.items() if now - moved > seconds]

    @property
    def flowing(self) -> bool:
        """Whether every partition went on within the last two seconds, or has nothing to do."""
        return not self.stuck(2)

    def complete(self, ends: Mapping[int, int]) -> bool:
        """Return whether offsets are committed to these ends."""
        return all(self.committed[n] == end for n, end in ends.items())

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            begun = time.monotonic()
            try:
                committed, ends = self._ask()
            except (KafkaError, OSError, ValueError, AssertionError):
                self._forget()
                continue
            self._note(committed, ends, begun)

    def _ask(self) -> tuple[dict[int, int], dict[int, int]]:
        if self._client is None:
            self._client = self._connect()
        found: Mapping[Any, Any] = self._client.list_group_offsets({self._group: self._keys})
        committed = {key.partition: at.offset for key, at in found[self._group].items()}
        latest = self._client.list_partition_offsets(dict.fromkeys(self._keys, OffsetSpec.LATEST))
        return committed, {key.partition: at.offset for key, at in latest.items()}

    def _note(self, committed: Mapping[int, int], ends: Mapping[int, int], begun: float) -> None:
        now = time.monotonic()
        for n in self._moved:
            offset = max(0, committed.get(n, 0))
            if offset > self.committed[n] or offset >= ends.get(n, 0):
                self._moved[n] = now
            self.standstill = max(self.standstill, now - self._moved[n])
            self.committed[n] = offset
            self.ends[n] = ends.get(n, 0)
        for each in self.recoveries:
            if each.ended is None:
                self._recover(each, begun, now)

    def _recover(self, recovery: Recovery, begun: float, now: float) -> None:
        if recovery.base is None:
            if begun >= recovery.moment + SETTLED:
                recovery.base = dict(self.committed)
            return
        waiting = [
            n
            for n in recovery.partitions
            if self.committed[n] <= recovery.base[n] and self.committed[n] < self.ends[n]
        ]
        if not waiting:
            recovery.ended = now

    def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError, OSError):
                client.close()
