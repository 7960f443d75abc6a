"""Assignment epochs of partitions: which records read are still this member's to decide.

Knows nothing of Kafka's clients. A partition gets a new epoch whenever it is assigned or rewound,
and has none once it is revoked or lost; a record read under another epoch than the current one is
left out (design section 4).
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable

from moderator.records import Partition, Record


class Epochs:
    """Epochs by partition; safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._assigned: dict[Partition, int] = {}
        self._rewind: set[Partition] = set()
        self._closing: set[Partition] = set()
        self._begun: Counter[Partition] = Counter()
        self._topic_ids: dict[Partition, str] = {}
        self._member = ""
        self._renewed = False
        self._last = 0

    def belong(self, member: str) -> None:
        """Take note of this process's id in the group, and rewind everything where it is new.

        The client does not say so where it was expelled while it joined: it goes on with the
        partitions that it holds again, whoever had them in between.

        Args:
            member: The group's id of this member; empty while it has none.
        """
        with self._lock:
            before, self._member = self._member, member or self._member
            renewed = bool(member) and before not in ("", member)
            self._renewed = self._renewed or renewed
        if renewed:
            self.rewind()

    @property
    def renewed(self) -> bool:
        """Whether the group has ever expelled this process and taken it back as another member."""
        with self._lock:
            return self._renewed

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Take up partitions, each in a new epoch and to be read from its committed offset.

        The client may have handed out records of a partition before it said that it is assigned;
        those were not taken, so reading goes back to where the group stands.
        """
        with self._lock:
            for partition in partitions:
                self._last += 1
                self._assigned[partition] = self._last
                self._rewind.add(partition)
                self._closing.discard(partition)

    def close(self, partitions: Iterable[Partition]) -> None:
        """Begin nothing more of partitions that are about to go; what was begun stays live."""
        with self._lock:
            self._closing.update(partitions)

    def begin(self, record: Record) -> bool:
        """Take up a record, if it is still to be decided here; it must be ended in any case."""
        with self._lock:
            source = record.source
            if source in self._closing or self._assigned.get(source) != record.epoch:
                return False
            self._begun[source] += 1
            return True

    def end(self, records: Iterable[Record]) -> None:
        """Say that records that were begun are published or dropped."""
        with self._lock:
            for record in records:
                self._begun[record.source] -= 1

    def begun(self, partitions: Iterable[Partition]) -> int:
        """Return how many records of partitions are on their way."""
        with self._lock:
            return sum(self._begun[partition] for partition in partitions)

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """Let go of partitions; what was read of them is stale from now on."""
        with self._lock:
            for partition in partitions:
                self._assigned.pop(partition, None)
                self._topic_ids.pop(partition, None)
                self._rewind.discard(partition)
                self._closing.discard(partition)

    def rewind(self, partitions: Collection[Partition] | None = None) -> None:
        """Make what was read of partitions (None: of all) stale, to be read again.

        The partitions stay in ``rewinding`` until ``rewound`` says that reading stands at their
        committed offsets, so that nothing read in between is taken for the new epoch's.
        """
        with self._lock:
            for partition in self._assigned if partitions is None else partitions:
                if partition in self._assigned:
                    self._last += 1
                    self._assigned[partition] = self._last
                    self._rewind.add(partition)

    def rewound(self, partition: Partition, topic_id: str = "") -> None:
        """Say that a partition's next read starts at its committed offset.

        Args:
            partition: Which.
            topic_id: Of the topic that is read; empty where the brokers give none.
        """
        with self._lock:
            self._rewind.discard(partition)
            self._topic_ids[partition] = topic_id

    def topic_ids(self) -> dict[Partition, str]:
        """Return the id of the topic that each partition was last begun to be read of.

        For a record that is live after this was called, it is the id of the record's topic.
        """
        with self._lock:
            return dict(self._topic_ids)

    def rewinding(self) -> frozenset[Partition]:
        """Return the partitions whose reading has yet to go back."""
        with self._lock:
            return frozenset(self._rewind)

    def snapshot(self) -> dict[Partition, int]:
        """Return the epoch of every assigned partition."""
        with self._lock:
            return dict(self._assigned)

    def live(self, record: Record) -> bool:
        """Return whether a record is still this member's to decide."""
        with self._lock:
            return self._assigned.get(record.source) == record.epoch
