"""Read a topic of one partition by oneself, in no group. Knows nothing of what it says."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError, LogTruncationError, OffsetOutOfRangeError

from moderator.following import MadeAnew
from moderator.settings import Kafka
from moderator.streaming import clients
from moderator.streaming.unreadable import tolerate_unreadable

GONE = (OffsetOutOfRangeError, LogTruncationError)
"""What was read is not there any more: the topic was made anew, cut off, or cleaned up."""


class TopicReader:
    """Reads partition 0 of a topic from its beginning.

    Args:
        kafka: Where the brokers are.
        topic: Compacted, with one partition.
        client_id: Shown in the broker's log and quotas.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """

    def __init__(self, kafka: Kafka, topic: str, client_id: str = "moderator-prototypes") -> None:
        self._partition = TopicPartition(topic, 0)
        self._consumer: KafkaConsumer = clients.consumer(kafka, group=False, client_id=client_id)
        tolerate_unreadable(self._consumer)
        self._consumer.assign([self._partition])
        self._consumer.seek_to_beginning(self._partition)
        self._topic_id: object = None

    def poll(self, timeout_ms: int) -> Mapping[Any, Iterable[Any]]:
        """Return what has come, by partition.

        Raises:
            MadeAnew: The topic is another one than before, or what was read of it is gone;
                reading begins at its beginning.
        """
        try:
            polled: Mapping[Any, Iterable[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
        except GONE:
            self._begin_again()
        if self._is_another():
            # What was polled may be from the middle of the new topic, and is read again.
            self._begin_again()
        return polled

    def _begin_again(self) -> NoReturn:
        self._consumer.seek_to_beginning(self._partition)
        raise MadeAnew(self._partition.topic) from None

    def _is_another(self) -> bool:
        """Whether the topic's id has changed; brokers before Kafka 2.8 give none."""
        known, now = self._topic_id, self._consumer._cluster.topic_id(self._partition.topic)
        self._topic_id = now or known
        return known is not None and self._topic_id != known

    def end(self) -> int:
        """Return the offset that the next record written will have.

        Raises:
            KafkaError: The brokers do not say.
        """
        return int(self._consumer.end_offsets([self._partition])[self._partition])

    def position(self) -> int:
        """Return the offset of the next record to be read, 0 while that is not known.

        Raises:
            MadeAnew: As for ``poll``.
        """
        try:
            return int(self._consumer.position(self._partition, timeout_ms=1000) or 0)
        except KafkaTimeoutError:
            return 0
        except GONE:
            self._begin_again()

    def close(self) -> None:
        """Read no more."""
        self._consumer.close(autocommit=False)
