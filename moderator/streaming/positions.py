"""Where reading a partition stands: at the group's offset, at a start, or behind a gap.

Used on the reader's thread alone. A committed offset carries the id of its topic as metadata, so
that an offset of a topic that was deleted is never taken for one of the topic made anew.
"""

import logging
import random
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import FencedInstanceIdError, KafkaError
from prometheus_client import Counter

from moderator.following import MADE_ANEW
from moderator.records import Partition
from moderator.streaming.epochs import Epochs

logger = logging.getLogger(__name__)

OFFSETS_LOST = Counter(
    "moderator_offsets_lost_total",
    "Offsets that vanished before they were read.",
    ["topic", "partition"],
)

ASK = 0.5
"""Seconds that one question about one partition may take: the others go on being read."""


DOUBT = 3.0
"""Seconds until an offset of a topic that was never seen here is taken for a deleted topic's: a
broker that has yet to hear of the new topic may have told us the old one's id."""

GAP = 1.0
"""Seconds until offsets that are not there are taken for a gap, and not for a topic made anew."""

LOOK_UP = 5.0
"""Seconds that finding the beginning or the end of partitions may take."""

Start = Literal["earliest", "latest"]


class Seeker(Protocol):
    """The part of kafka-python's consumer that this uses."""

    # ruff: noqa: D102
    def seek(self, partition: Any, offset: int) -> None: ...
    def committed(self, partition: Any, metadata: bool, timeout_ms: int) -> Any: ...
    def beginning_offsets(self, partitions: list[Any], timeout_ms: int) -> Mapping[Any, int]: ...
    def end_offsets(self, partitions: list[Any], timeout_ms: int) -> Mapping[Any, int]: ...
    def commit(self, offsets: Mapping[Any, Any], timeout_ms: int) -> None: ...


class Identities(Protocol):
    """The ids that brokers give to topics (see ``topic_ids``)."""

    # ruff: noqa: D102
    def __call__(self, topic: str) -> str: ...
    def ask(self) -> None: ...


class TopicUnsettledError(KafkaError):  # type: ignore[misc]
    """Which topic of a name there is, or an offset is of, is not known at the moment."""


class Positions:
    """Moves a consumer to where its partitions are to be read.

    Args:
        consumer: To be moved.
        epochs: Say which partitions are to be read from the group's offset again.
        topic: The posts topic.
        start: Where a new group starts.
        topic_ids: The ids of the topics now.
        from_beginning: Topics that are read from their beginning whatever ``start`` is.
    """

    def __init__(
        self,
        consumer: Seeker,
        epochs: Epochs,
        topic: str,
        start: Start,
        topic_ids: Identities,
        *,
        from_beginning: Collection[str] = (),
    ) -> None:
        self._consumer = consumer
        self._epochs = epochs
        self._start = start
        self._from_beginning = frozenset(from_beginning)
        self._counted: dict[Any, int] = {}
        self._there_at_start: frozenset[int] | None = None
        self._topics = (topic, *from_beginning)
        self._topic_ids = topic_ids
        self._ids: dict[str, list[str]] = {topic: [] for topic in self._topics}
        self._doubted: dict[Any, float] = {}

    def know(self, partitions: Collection[int] | None) -> None:
        """Take note of the topics and partitions when this member started; None: not known."""
        self._there_at_start = None if partitions is None else frozenset(partitions)
        self.look_for_new()

    def look_for_new(self) -> None:
        """Have the partitions of topics that were made anew read from their beginning."""
        for topic, ids in self._ids.items():
            now = self._topic_ids(topic)
            if not now or now in ids:
                continue
            ids.append(now)
            if len(ids) == 1:
                continue
            MADE_ANEW.labels(topic).inc()
            logger.warning(
                "%s was deleted and made anew: it is read from its beginning, and what was not "
                "read before is gone; the decision ids of its records begin again",
                topic,
            )
            if topic == self._topics[0]:
                # To a group that starts at the end, all of it was added while this member runs.
                self._there_at_start = frozenset()
            self._counted = {key: seen for key, seen in self._counted.items() if key[0] != topic}
            self._epochs.rewind([each for each in self._epochs.snapshot() if each.topic == topic])

    def rewind(self) -> None:
        """Go back to the group's offsets where that is asked for, as far as they are to be had.

        A partition whose offset is not stable, since a dead member's transaction is still open,
        waits without holding up the others: polling has to go on, for rebalances.

        Raises:
            FencedInstanceIdError: Another member has taken this one's name.
        """
        self.look_for_new()
        deadline = time.monotonic() + 2 * ASK
        waiting = sorted(self._epochs.rewinding())
        # One that stays unstable must not always come first.
        random.shuffle(waiting)
        for partition in waiting:
            if time.monotonic() > deadline:
                return
            topic_id = self._newest(partition.topic)
            try:
                self._to_committed(TopicPartition(*partition), topic_id)
            except FencedInstanceIdError:
                raise
            except (AssertionError, KeyError, ValueError):
                # Not assigned to the client; the epochs will soon say the same.
                continue
            except KafkaError as error:
                logger.info("%s-%d: no offset to be had yet: %s", *partition, type(error).__name__)
                continue
            self._doubted.pop(partition, None)
            self._epochs.rewound(partition, topic_id)

    def _newest(self, topic: str) -> str:
        """Return the id of a topic, empty where there is none or it is not known.

        A broker that has yet to hear of a topic made anew may tell the one before it again.
        """
        now = self._topic_ids(topic)
        return self._ids[topic][-1] if now in self._ids.get(topic, ()) else now

    def skip_gap(self, positions: Mapping[Any, Any]) -> None:
        """Go on behind offsets that vanished, and say which.

        Args:
            positions: By partition where reading stood, an offset; or, where the log was cut off
                and written anew, an object whose ``offset`` is where it is still as it was read.

        Raises:
            KafkaError: The oldest offsets left cannot be found; nothing was moved.
        """
        positions = {key: stood for key, stood in positions.items() if self._is_gap(key)}
        if not positions:
            return
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

    def _is_gap(self, key: Any) -> bool:
        """Return whether offsets vanished from a topic that is still the same one.

        A topic made anew looks alike until the metadata say so, which are asked for; until then
        reading stands still.
        """
        partition = Partition(*key)
        if partition in self._epochs.rewinding():
            return False
        if not self._epochs.topic_ids().get(partition):
            return True
        self._topic_ids.ask()
        return self._lasts(key, GAP)

    def _lasts(self, key: Any, seconds: float) -> bool:
        """Return whether a doubt about a partition has lasted so long; then it is over."""
        now = time.monotonic()
        if now - self._doubted.setdefault(key, now) < seconds:
            return False
        del self._doubted[key]
        return True

    def _to_committed(self, key: TopicPartition, topic_id: str) -> None:
        if not topic_id and self._ids.get(key.topic):
            raise TopicUnsettledError(f"there is no topic {key.topic} at the moment")
        stands = self._consumer.committed(key, metadata=True, timeout_ms=_ms(ASK))
        another = stands is not None and self._is_of_another(key, stands.metadata, topic_id)
        if stands is not None and not another:
            self._consumer.seek(key, stands.offset)
            return
        from_end = not another and self._from_end(key)
        find = self._consumer.end_offsets if from_end else self._consumer.beginning_offsets
        offset = find([key], timeout_ms=_ms(LOOK_UP))[key]
        # Committed before anything of it is read. Else a group that starts at the end and dies
        # would skip what came in between; and later it would take a batch's commit back.
        stand = OffsetAndMetadata(offset, topic_id, -1)
        self._consumer.commit({key: stand}, timeout_ms=_ms(ASK))
        self._consumer.seek(key, offset)

    def _is_of_another(self, key: TopicPartition, committed_of: str, topic_id: str) -> bool:
        """Return whether an offset is one of a topic that was deleted.

        Those of other programs and earlier versions say nothing, and are believed.

        Raises:
            TopicUnsettledError: It is not known yet whether the offset's or our id is out of date.
        """
        if not committed_of or not topic_id or committed_of == topic_id:
            self._doubted.pop(key, None)
            return False
        if committed_of in self._ids.get(key.topic, ())[:-1]:
            return True
        self._topic_ids.ask()
        if self._lasts(key, DOUBT):
            return True
        raise TopicUnsettledError(f"the offset committed of {key.topic} is of another topic's id")

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
